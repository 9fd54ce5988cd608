//! Much data, through buffers that are small.

use std::io::{Read as _, Write as _};

use http1_session::{PlainRead, TlsState};

use crate::support::{Pair, Server, VERSIONS};

const SIZE: usize = 3 * 1024 * 1024;

fn byte(place: usize) -> u8 {
    u8::try_from(place % 251).unwrap()
}

/// Both ways at once, with a network that takes and gives little, a writer and a reader that are slow.
#[test]
fn much_data_both_ways_arrives_whole() {
    for version in VERSIONS {
        let mut pair = Pair::connected(&Server::http(version));
        let data: Vec<u8> = (0..SIZE).map(byte).collect();
        let (mut up, mut down) = (0, 0);
        let (mut uploaded, mut downloaded) = (Vec::new(), Vec::new());
        let mut wire = Vec::new();
        while uploaded.len() < SIZE || downloaded.len() < SIZE {
            up += pair.client.write_plain(&data[up..]);
            let mut room = 7000_usize;
            pair.client
                .write_tls(&mut |bytes| {
                    let count = bytes.len().min(room).min(3000);
                    pair.server.read_tls(&mut &bytes[..count]).unwrap();
                    pair.server.process_new_packets().unwrap();
                    room -= count;
                    Ok(count)
                })
                .unwrap();
            let mut piece = [0; 16_000];
            if let Ok(count) = pair.server.reader().read(&mut piece) {
                uploaded.extend_from_slice(&piece[..count]);
            }
            down += pair.server.writer().write(&data[down..]).unwrap();
            if wire.len() < 100_000 && pair.server.wants_write() {
                pair.server.write_tls(&mut wire).unwrap();
            }
            let taken = pair.client.read_tls(&wire).unwrap();
            wire.drain(..taken);
            if let PlainRead::Bytes(count) = pair.client.read_plain(&mut piece[..9000]).unwrap() {
                downloaded.extend_from_slice(&piece[..count]);
            }
        }
        assert!(uploaded == data, "the upload is what was sent");
        assert!(downloaded == data, "the download is what was sent");
        assert_eq!(pair.client.state(), TlsState::Connected);
    }
}

#[test]
fn a_network_that_takes_nothing_stops_the_writer() {
    let mut pair = Pair::connected(&Server::http(VERSIONS[1]));
    let mut taken = 0;
    loop {
        match pair.client.write_plain(&[1; 4096]) {
            0 => break,
            count => taken += count,
        }
        pair.client.write_tls(&mut |_| Ok(0)).unwrap();
        let blocked = || std::io::Error::from(std::io::ErrorKind::WouldBlock);
        pair.client.write_tls(&mut |_| Err(blocked())).unwrap();
    }
    assert!((32 * 1024..=64 * 1024).contains(&taken), "{taken}");
    assert!(pair.client.wants_write());
    assert!(pair.output().len() > taken);
    assert_eq!(pair.client.write_plain(b"x"), 1, "it goes on when there is room");
}

#[test]
fn an_error_of_the_network_is_the_callers() {
    let mut pair = Pair::connected(&Server::http(VERSIONS[1]));
    pair.client.write_plain(b"x");
    let reset = || std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    let error = pair.client.write_tls(&mut |_| Err(reset())).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}
