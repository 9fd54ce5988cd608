//! Servers to talk to: neqo's own, and a bare QUIC connection that sends whatever bytes a test wants.

use std::{cell::RefCell, rc::Rc, time::Instant};

use neqo_common::{Datagram, event::Provider as _};
use neqo_crypto::AntiReplay;
use neqo_http3::{Http3Parameters, Http3Server, Output};
use neqo_transport::{
    Connection, ConnectionEvent, ConnectionParameters, RandomConnectionIdGenerator, StreamId,
    StreamType,
};

use super::nss_db;

/// The other end of a [`super::pair::Pair`].
pub(crate) trait Peer {
    fn input(&mut self, datagram: Datagram, now: Instant);
    fn output(&mut self, now: Instant) -> Output;
}

impl Peer for Http3Server {
    fn input(&mut self, datagram: Datagram, now: Instant) {
        // It answers an input with a datagram at once; `later` keeps it for the next output.
        let output = self.process(Some(datagram), now);
        LATER.with_borrow_mut(|later| later.extend(output.dgram()));
    }

    fn output(&mut self, now: Instant) -> Output {
        LATER
            .with_borrow_mut(|later| (!later.is_empty()).then(|| later.remove(0)))
            .map_or_else(|| self.process_output(now), Output::Datagram)
    }
}

thread_local! {
    /// What neqo's server answered while it was given datagrams.
    static LATER: RefCell<Vec<Datagram>> = const { RefCell::new(Vec::new()) };
}

/// neqo's HTTP/3 server with these transport parameters.
pub(crate) fn http3_server(
    parameters: ConnectionParameters,
) -> impl FnOnce(Instant) -> Http3Server {
    server(parameters, false)
}

/// neqo's HTTP/3 server with WebTransport and these transport parameters.
pub(crate) fn web_transport_server(
    parameters: ConnectionParameters,
) -> impl FnOnce(Instant) -> Http3Server {
    server(parameters, true)
}

fn server(
    parameters: ConnectionParameters,
    web_transport: bool,
) -> impl FnOnce(Instant) -> Http3Server {
    move |now| {
        LATER.with_borrow_mut(Vec::clear);
        Http3Server::new(
            now,
            &[nss_db::SERVER_KEY],
            &["h3"],
            AntiReplay::new(now, std::time::Duration::from_secs(10), 7, 14).unwrap(),
            Rc::new(RefCell::new(RandomConnectionIdGenerator::new(5))),
            Http3Parameters::default()
                .connection_parameters(parameters.pmtud_iface_mtu(false))
                .max_table_size_encoder(4096)
                .max_table_size_decoder(4096)
                .max_blocked_streams(10)
                .webtransport(web_transport)
                .http3_datagram(web_transport),
            None,
        )
        .unwrap()
    }
}

/// A server of which the test writes every byte above QUIC.
pub(crate) struct RawPeer {
    pub(crate) connection: Connection,
    /// The request streams that the client opened.
    pub(crate) requests: Vec<StreamId>,
    control: Option<StreamId>,
}

/// A bare QUIC server for this protocol.
pub(crate) fn raw_peer(alpn: &'static str) -> impl FnOnce(Instant) -> RawPeer {
    move |_| RawPeer {
        connection: Connection::new_server(
            &[nss_db::SERVER_KEY],
            &[alpn],
            Rc::new(RefCell::new(RandomConnectionIdGenerator::new(5))),
            ConnectionParameters::default().pmtud_iface_mtu(false),
        )
        .unwrap(),
        requests: Vec::new(),
        control: None,
    }
}

impl RawPeer {
    /// Sends `bytes` on the control stream, which begins with an empty SETTINGS frame.
    pub(crate) fn send_control(&mut self, bytes: &[u8]) {
        let control = *self.control.get_or_insert_with(|| {
            let stream = self.connection.stream_create(StreamType::UniDi).unwrap();
            self.connection.stream_send(stream, &[0x00, 0x04, 0x00]).unwrap();
            stream
        });
        if !bytes.is_empty() {
            self.connection.stream_send(control, bytes).unwrap();
        }
    }

    /// Answers the `n`th request with these bytes, and ends the stream.
    pub(crate) fn answer(&mut self, n: usize, bytes: &[u8]) {
        let stream = self.requests[n];
        if !bytes.is_empty() {
            self.connection.stream_send(stream, bytes).unwrap();
        }
        self.connection.stream_close_send(stream).unwrap();
    }
}

/// A HEADERS frame that uses neither of QPACK's tables: names and values are on the wire as they are.
pub(crate) fn headers_frame(fields: &[(&[u8], &[u8])]) -> Vec<u8> {
    let mut block = vec![0, 0];
    for (name, value) in fields {
        assert!((7..134).contains(&name.len()) && value.len() < 127, "one length byte each");
        block.extend([0x27, u8::try_from(name.len() - 7).unwrap()]);
        block.extend_from_slice(name);
        block.push(u8::try_from(value.len()).unwrap());
        block.extend_from_slice(value);
    }
    assert!(block.len() < 64);
    [&[0x01, u8::try_from(block.len()).unwrap()], &block[..]].concat()
}

impl Peer for RawPeer {
    fn input(&mut self, datagram: Datagram, now: Instant) {
        self.connection.process_input(datagram, now);
        while let Some(event) = self.connection.next_event() {
            match event {
                ConnectionEvent::NewStream { stream_id } if stream_id.is_bidi() => {
                    self.requests.push(stream_id);
                }
                _ => {}
            }
        }
    }

    fn output(&mut self, now: Instant) -> Output {
        self.connection.process_output(now)
    }
}
