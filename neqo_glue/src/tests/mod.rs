//! The connection against real servers, in virtual time.

mod bodies;
mod closing;
mod ech;
mod garbage;
mod handshake;
mod heads;
mod output;
mod requests;
mod web_transport;

use http3_session::Http3Settings;
use neqo_http3::{Http3Server, Http3ServerEvent};
use neqo_transport::ConnectionParameters;

use crate::testing::{
    pair::Pair,
    peers::{RawPeer, http3_server, raw_peer},
};

/// A connection to neqo's own server.
fn server() -> Pair<Http3Server> {
    Pair::connected(Http3Settings::default(), http3_server(ConnectionParameters::default()))
}

/// A connection to a server of which the test writes each byte.
fn raw_server() -> Pair<RawPeer> {
    let mut pair = Pair::connected(Http3Settings::default(), raw_peer("h3"));
    pair.peer.send_control(&[]);
    pair
}

/// What happened at neqo's server since the last look.
fn server_events(pair: &Pair<Http3Server>) -> Vec<Http3ServerEvent> {
    pair.peer.events().collect()
}
