//! 1 KB, 1 MB and 1 GiB (in debug builds 64 MiB) go down as they are, between us and ourselves and between
//! us and others, and whoever sends or reads them holds a small part at a time.

use std::io::Read as _;

use http::{Method, StatusCode};
use tests::loopback::{
    Client, DEADLINE, NeckoCommand, QuinnClient, QuinnServer, ServerProcess, TestCa, block_on,
    fetch,
    pattern::{LARGE, RunningHash, SAMPLES},
};

/// No process of ours may ever need more, however long the body.
const MEMORY: u64 = 64 << 20;
/// More than a pipe holds: who has still to write so much can't have ended.
const MORE_THAN_A_PIPE: u64 = 256 * 1024;

#[test]
fn the_command_downloads_from_necko_server_in_little_memory() {
    let server = ServerProcess::start();
    for sample in SAMPLES {
        let url = server.url(&format!("/bytes/{}", sample.length));
        let command = NeckoCommand::fetch_trusting(&server.ca()).arg(url);
        let (running, mut stdout) = command.start_streaming();
        let (mut hash, mut buffer) = (RunningHash::default(), vec![0; 64 * 1024]);
        let mut peak = None;
        loop {
            let left = sample.length - hash.length();
            if peak.is_none() && left > MORE_THAN_A_PIPE && left < 2 * MORE_THAN_A_PIPE {
                peak = Some(running.process.peak_memory());
            }
            let length = stdout.read(&mut buffer).unwrap();
            if length == 0 {
                break;
            }
            hash.take(&buffer[..length]);
        }
        hash.assert_is(sample);
        running.finish().expect_success();
        let peak = peak.unwrap_or_default();
        assert!(peak < MEMORY, "the command needed {peak} bytes for {} bytes", sample.length);
        assert!(peak > 0 || sample.length < LARGE.length);
    }
    let totals = server.wait_until_empty();
    assert_eq!(totals["responses_completed"], 3);
    let peak = server.peak_memory();
    assert!(peak < MEMORY, "the server needed {peak} bytes");
}

#[test]
fn the_library_downloads_from_h3_on_quinn() {
    let ca = TestCa::new();
    let server = QuinnServer::start(&ca);
    let handler = Client::trusting(&ca.file()).to(server.address()).start();
    for sample in SAMPLES {
        let response = fetch(handler.get(&server.url(&format!("/{}", sample.length)))).unwrap();
        let (mut body, mut hash) = (response.into_body(), RunningHash::default());
        while let Some(piece) = block_on(DEADLINE, body.chunk()).unwrap() {
            hash.take(&piece);
        }
        hash.assert_is(sample);
    }
    assert_eq!(handler.snapshot().unwrap().lifetime.connections, 1);
}

#[test]
fn h3_on_quinn_downloads_from_necko_server() {
    let server = ServerProcess::start();
    let client = QuinnClient::connect(server.address(), &server.ca()).unwrap();
    for sample in SAMPLES {
        let path = format!("/bytes/{}", sample.length);
        let mut exchange = client.begin(Method::GET, &path, Vec::new());
        assert_eq!(exchange.status, StatusCode::OK);
        let mut hash = RunningHash::default();
        while let Some(piece) = client.read_piece(&mut exchange) {
            hash.take(&piece);
        }
        hash.assert_is(sample);
    }
    drop(client);
    assert_eq!(server.wait_until_empty()["responses_completed"], 3);
    let peak = server.peak_memory();
    assert!(peak < MEMORY, "the server needed {peak} bytes");
}

#[test]
fn files_of_every_size_go_down_in_little_memory() {
    let server = ServerProcess::start();
    let client = QuinnClient::connect(server.address(), &server.ca()).unwrap();
    for sample in SAMPLES {
        server.put_pieces("file.bin", sample.pieces());
        let mut exchange = client.begin(Method::GET, "/file.bin", Vec::new());
        assert_eq!(exchange.headers["content-length"], sample.length.to_string());
        let mut hash = RunningHash::default();
        while let Some(piece) = client.read_piece(&mut exchange) {
            hash.take(&piece);
        }
        hash.assert_is(sample);
    }
    drop(client);
    server.wait_until_empty();
    let peak = server.peak_memory();
    assert!(peak < MEMORY, "the server needed {peak} bytes");
}
