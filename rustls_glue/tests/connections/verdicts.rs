//! What happens before, with and without the verifier's verdict.

use http1_session::{PlainRead, TlsState};
use transaction::{CertificateProblem, NetError};

use crate::support::{Pair, Server, VERSIONS, read_all};

#[test]
fn nothing_of_the_application_passes_before_the_verdict() {
    for version in VERSIONS {
        let mut pair = Pair::unverified(&Server::http(version));
        assert_eq!(pair.client.write_plain(b"secret"), 0);
        pair.respond(b"early");
        assert_eq!(pair.client.read_plain(&mut [0; 8]), Ok(PlainRead::Blocked));
        pair.exchange().unwrap();
        assert_eq!(pair.received(), b"");
        assert_eq!(pair.client.state(), TlsState::AuthenticationNeeded);

        pair.client.authenticated(Ok(()));
        assert_eq!(read_all(&mut *pair.client).unwrap(), (b"early".to_vec(), PlainRead::Blocked));
        assert_eq!(pair.client.write_plain(b"secret"), 6);
        pair.exchange().unwrap();
        assert_eq!(pair.received(), b"secret");
    }
}

#[test]
fn a_bad_verdict_ends_all() {
    for version in VERSIONS {
        let mut pair = Pair::unverified(&Server::http(version));
        pair.respond(b"early");
        pair.client.authenticated(Err(CertificateProblem::WrongHost));
        assert_eq!(pair.client.state(), TlsState::Closed);
        let error = pair.client.read_plain(&mut [0; 8]).unwrap_err();
        assert!(matches!(
            error,
            NetError::Certificate { problem: CertificateProblem::WrongHost, .. }
        ));
        assert_eq!(pair.client.write_plain(b"secret"), 0);
        assert_eq!(pair.client.read_tls(b"more"), Err(error));
        // A verdict that comes after the verdict changes nothing.
        pair.client.authenticated(Ok(()));
        assert_eq!(pair.client.state(), TlsState::Closed);
        assert!(pair.carry_up(), "the server hears of it");
        assert!(pair.server.process_new_packets().unwrap().peer_has_closed());
        assert_eq!(pair.received(), b"");
    }
}

/// The verifier may take its time: what comes meanwhile fills a bounded buffer, and no more is taken.
#[test]
fn a_verdict_that_never_comes_costs_a_bounded_buffer() {
    let mut pair = Pair::unverified(&Server::http(VERSIONS[1]));
    let mut taken_all = 0;
    for _ in 0..64 {
        use std::io::Write as _;
        pair.server.writer().write_all(&[7; 16 * 1024]).unwrap();
        let (_, left) = pair.carry_down().unwrap();
        if !left.is_empty() {
            break;
        }
        taken_all += 16 * 1024;
    }
    assert!(taken_all < 80 * 1024, "{taken_all} bytes were taken");
    assert_eq!(pair.client.state(), TlsState::AuthenticationNeeded);
    assert_eq!(pair.client.read_plain(&mut [0; 8]), Ok(PlainRead::Blocked));
}

#[test]
fn a_verdict_without_a_question_is_a_no_op() {
    let server = Server::http(VERSIONS[1]);
    let mut pair = Pair::new(&crate::support::factory(), crate::support::info(), &server);
    pair.client.authenticated(Ok(()));
    assert_eq!(pair.client.state(), TlsState::Handshaking);
    pair.exchange().unwrap();
    assert_eq!(pair.client.state(), TlsState::AuthenticationNeeded);
    pair.client.authenticated(Ok(()));
    pair.client.authenticated(Err(CertificateProblem::Expired));
    assert_eq!(pair.client.state(), TlsState::Connected);
}

#[test]
fn a_connection_that_ends_before_the_verdict_is_closed() {
    let mut pair = Pair::unverified(&Server::http(VERSIONS[1]));
    pair.client.read_tls_end();
    assert_eq!(pair.client.state(), TlsState::Closed);
    assert_eq!(pair.client.read_plain(&mut [0; 8]), Ok(PlainRead::Truncated));
}
