//! How connections end.

use http1_session::{PlainRead, TlsState};
use transaction::NetError;

use crate::support::{Pair, Server, VERSIONS, factory, info, read_all};

#[test]
fn an_end_that_was_said_is_told_from_one_that_was_not() {
    for version in VERSIONS {
        let mut said = Pair::connected(&Server::http(version));
        said.respond(b"whole");
        said.server.send_close_notify();
        said.carry_down().unwrap();
        said.client.read_tls_end();
        assert_eq!(said.client.state(), TlsState::Connected, "something can be read yet");
        assert_eq!(read_all(&mut *said.client).unwrap(), (b"whole".to_vec(), PlainRead::End));
        assert_eq!(said.client.state(), TlsState::Closed);

        let mut cut = Pair::connected(&Server::http(version));
        cut.respond(b"half");
        cut.client.read_tls_end();
        assert_eq!(read_all(&mut *cut.client).unwrap(), (b"half".to_vec(), PlainRead::Truncated));
        assert_eq!(cut.client.state(), TlsState::Closed);
    }
}

#[test]
fn what_follows_the_end_is_swallowed() {
    let mut pair = Pair::connected(&Server::http(VERSIONS[1]));
    pair.server.send_close_notify();
    pair.carry_down().unwrap();
    assert_eq!(pair.client.read_tls(b"anything"), Ok(8));
    assert_eq!(pair.client.read_plain(&mut [0; 8]), Ok(PlainRead::End));
}

#[test]
fn a_server_that_leaves_in_the_handshake_is_an_error() {
    let server = Server::http(VERSIONS[1]);
    let mut pair = Pair::new(&factory(), info(), &server);
    pair.client.read_tls_end();
    assert_eq!(pair.client.state(), TlsState::Closed);
    assert!(matches!(pair.client.read_plain(&mut [0; 8]), Err(NetError::NetReset { .. })));

    let mut pair = Pair::new(&factory(), info(), &server);
    let close_notify = [21, 3, 3, 0, 2, 1, 0];
    assert_eq!(pair.client.read_tls(&close_notify), Ok(close_notify.len()));
    assert_eq!(pair.client.state(), TlsState::Handshaking, "anybody could have said that");
    pair.client.read_tls_end();
    assert!(matches!(pair.client.read_plain(&mut [0; 8]), Err(NetError::NetReset { .. })));
}

#[test]
fn the_client_says_once_that_it_closes_and_writes_no_more() {
    let mut pair = Pair::connected(&Server::http(VERSIONS[1]));
    assert_eq!(pair.client.write_plain(b"last"), 4);
    pair.client.close_notify();
    assert_eq!(pair.client.write_plain(b"more"), 0);
    pair.carry_up();
    pair.client.close_notify();
    assert!(!pair.client.wants_write(), "once is enough");
    assert_eq!(pair.received(), b"last");
    assert!(pair.server.process_new_packets().unwrap().peer_has_closed());
    // The other direction is still open.
    pair.respond(b"answer");
    assert_eq!(read_all(&mut *pair.client).unwrap().0, b"answer");
}
