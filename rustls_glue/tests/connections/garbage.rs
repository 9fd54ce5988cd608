//! Servers that say anything.

use http1_session::{TlsConnFactory as _, TlsParameters, TlsState};
use proptest::prelude::*;
use transaction::NetError;

use crate::support::{Pair, Server, VERSIONS, factory, info};

#[test]
fn a_server_that_speaks_no_tls_is_named_as_such() {
    let answers: [&[u8]; 4] = [
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n",
        b"220 mail.example.org ESMTP\r\n",
        &[0; 64],
    ];
    for answer in answers {
        let mut client = factory().connect(&TlsParameters { info: info() }).unwrap();
        let error = client.read_tls(answer).unwrap_err();
        assert!(error.to_string().contains("what it sent is no TLS"), "{error}");
        assert_eq!(client.state(), TlsState::Closed);
    }
}

#[test]
fn a_message_without_end_is_an_error_and_not_memory() {
    let mut client = factory().connect(&TlsParameters { info: info() }).unwrap();
    // Handshake records, the first of which announces a message of 16 MiB.
    let mut record = vec![22, 3, 3, 0x40, 0];
    record.resize(5 + 0x4000, 0);
    record[5..9].copy_from_slice(&[11, 0xff, 0xff, 0xff]);
    let error = (0..2000).find_map(|_| client.read_tls(&record).err());
    assert!(matches!(error, Some(NetError::TlsProtocol(_))), "{error:?}");
}

/// Feeds all of it, whatever the client says of it.
fn feed(pair: &mut Pair, bytes: &[u8], piece: usize) {
    for piece in bytes.chunks(piece) {
        let mut rest = piece;
        while !rest.is_empty() {
            match pair.client.read_tls(rest) {
                Ok(0) | Err(_) => break,
                Ok(taken) => rest = &rest[taken..],
            }
            let _ = pair.client.read_plain(&mut [0; 100]);
        }
    }
    pair.client.read_tls_end();
    assert_eq!(pair.client.state(), TlsState::Closed);
    let _ = pair.client.write_plain(b"x");
    let _ = pair.client.peer_certificates();
    pair.client.close_notify();
    pair.output();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn garbage_instead_of_a_handshake(bytes in prop::collection::vec(any::<u8>(), 0..2000), piece in 1..500_usize) {
        let mut pair = Pair::new(&factory(), info(), &Server::http(VERSIONS[0]));
        feed(&mut pair, &bytes, piece);
    }

    /// Something of a real server's flight is changed, or cut off.
    #[test]
    fn a_flight_with_changes(
        version in 0..2_usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        end in any::<prop::sample::Index>(),
        piece in 1..500_usize,
    ) {
        let mut pair = Pair::new(&factory(), info(), &Server::http(VERSIONS[version]));
        pair.carry_up();
        let mut flight = Vec::new();
        while pair.server.wants_write() {
            pair.server.write_tls(&mut flight).unwrap();
        }
        for (place, byte) in changes {
            let place = place.index(flight.len());
            flight[place] ^= byte;
        }
        flight.truncate(end.index(flight.len() + 1));
        feed(&mut pair, &flight, piece);
    }

    #[test]
    fn garbage_in_the_middle_of_a_connection(bytes in prop::collection::vec(any::<u8>(), 1..200)) {
        let mut pair = Pair::connected(&Server::http(VERSIONS[1]));
        let mut record = vec![23, 3, 3, 0, u8::try_from(bytes.len()).unwrap_or(u8::MAX)];
        record.extend(&bytes);
        let result = pair.client.read_tls(&record);
        prop_assert!(result.is_err() || bytes.len() > 255);
        prop_assert_eq!(pair.client.state(), TlsState::Closed);
    }
}
