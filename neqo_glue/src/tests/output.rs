//! Batches, sizes of packets, and the log of a connection.

use std::{
    io::{self, Write},
    time::Duration,
};

use http::{HeaderMap, Method};
use http3_session::{EngineOutput, Http3Conn as _, Http3Event, Http3Settings};
use neqo_transport::ConnectionParameters;
use transaction::RequestHead;

use super::server;
use crate::testing::{
    pair::{Pair, get},
    peers::http3_server,
};

const SECOND: Duration = Duration::from_secs(1);

/// A batch that takes one datagram refuses each second one; that one must not be lost.
#[test]
fn a_refused_datagram_is_the_first_of_the_next_batch() {
    let mut pair = Pair::new(Http3Settings::default(), |now| {
        http3_server(ConnectionParameters::default())(now)
    });
    pair.batch = 1;
    let (first, output) = pair.client_batch();
    assert_eq!((first.len(), output), (1, EngineOutput::BatchFull));
    let (second, output) = pair.client_batch();
    assert_eq!(second.len(), 1);
    assert!(matches!(output, EngineOutput::Callback(_)));
    assert_ne!(first, second);

    let mut pair = Pair::new(Http3Settings::default(), |now| {
        http3_server(ConnectionParameters::default())(now)
    });
    pair.batch = 1;
    pair.run(SECOND / 5);
    assert!(pair.take(|event| matches!(event, Http3Event::Connected)), "{:?}", pair.events);
    let stream = pair.client.fetch(&get("/"), pair.now).unwrap();
    assert_eq!(pair.client.send_data(stream, &vec![0; 500_000]), Ok(500_000));
    pair.run(2 * SECOND);
    assert_eq!(pair.client.stats().packets_lost, 0);
}

/// The largest datagram that was sent during a long upload.
fn largest(max_datagram_size: Option<u16>) -> usize {
    let settings = Http3Settings { max_datagram_size, ..Http3Settings::default() };
    let server = http3_server(ConnectionParameters::default());
    let mut pair = Pair::connected(settings, server);
    let post = RequestHead::new(Method::POST, "https", "localhost", "/", &HeaderMap::new());
    let stream = pair.client.fetch(&post.unwrap(), pair.now).unwrap();
    for _ in 0..10 {
        pair.client.send_data(stream, &vec![0; 200_000]).unwrap();
        pair.run(SECOND);
        pair.peer.events().for_each(drop);
    }
    pair.sent.iter().map(Vec::len).max().unwrap()
}

#[test]
fn packets_grow_to_the_limit_and_not_above() {
    // The numbers are IP packets; a datagram is 28 bytes less with IPv4.
    assert_eq!(largest(None), 1252);
    assert_eq!(largest(Some(1280)), 1252);
    assert_eq!(largest(Some(1500)), 1472);
    assert_eq!(largest(Some(1499)), 1444);
    // Less than QUIC needs is not a limit.
    assert_eq!(largest(Some(100)), 1252);
}

#[test]
fn a_connection_is_logged_in_a_file_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("new");
    let settings = Http3Settings { qlog_dir: Some(dir.clone()), ..Http3Settings::default() };
    for _ in 0..2 {
        let server = http3_server(ConnectionParameters::default());
        drop(Pair::connected(settings.clone(), server));
    }
    let files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 2);
    for file in files {
        assert!(file.file_name().unwrap().to_str().unwrap().starts_with("localhost_"));
        assert_eq!(file.extension().unwrap(), "sqlog");
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains("packet_sent") && text.contains("packet_received"));
    }
}

#[test]
fn a_folder_that_can_not_be_made_costs_only_the_log() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let qlog_dir = Some(file.path().join("below a file"));
    let settings = Http3Settings { qlog_dir, ..Http3Settings::default() };
    drop(Pair::connected(settings, http3_server(ConnectionParameters::default())));
}

/// A disk with room for so many bytes.
struct SmallDisk(usize);

impl Write for SmallDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_ends_the_log_and_not_the_program() {
    for room in [0, 600, 2000] {
        let mut pair = server();
        pair.client.log_to(SmallDisk(room), pair.now);
        pair.client.fetch(&get("/"), pair.now).unwrap();
        pair.run(SECOND);
        assert!(!pair.take(|event| matches!(event, Http3Event::Closing(_))));
    }
}
