//! 1 KB, 1 MB and 1 GiB (in debug builds 64 MiB) go up as they are, between us and ourselves and between
//! us and others, and whoever sends or takes them holds a small part at a time.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::Ipv4Addr,
    process::Command,
    thread,
};

use http::{Method, StatusCode};
use necko::{HttpHandler, Request, RequestBody, Response};
use tempfile::TempDir;
use tests::loopback::{
    Client, DEADLINE, NeckoCommand, QuinnClient, QuinnServer, ServerProcess, TestCa, block_on,
    fetch, in_a_process_of_its_own, own_peak_memory,
    pattern::{LARGE, RunningHash, SAMPLES, Sample},
    within,
};

/// No process of ours may ever need more, however long the body.
const MEMORY: u64 = 64 << 20;

/// A server that stores what it is sent, and the folder where it does.
fn storing_server() -> (ServerProcess, TempDir) {
    let store = tempfile::tempdir().unwrap();
    let uploads = |command: &mut Command| _ = command.arg("--uploads").arg(store.path());
    (ServerProcess::start_with(Ipv4Addr::LOCALHOST.into(), uploads), store)
}

/// One file is in the folder, and it is the sample. Takes it away.
#[track_caller]
fn assert_stored(store: &TempDir, sample: Sample) {
    let file = store.path().join("body");
    let (mut stored, mut buffer) = (File::open(&file).unwrap(), vec![0; 64 * 1024]);
    let mut hash = RunningHash::default();
    loop {
        let length = stored.read(&mut buffer).unwrap();
        if length == 0 {
            break;
        }
        hash.take(&buffer[..length]);
    }
    hash.assert_is(sample);
    assert_eq!(fs::read_dir(store.path()).unwrap().count(), 1, "nothing else is left there");
    fs::remove_file(file).unwrap();
}

#[test]
fn what_h3_on_quinn_uploads_is_stored_as_it_was_sent() {
    let (server, store) = storing_server();
    let client = QuinnClient::connect(server.address(), &server.ca()).unwrap();
    for sample in SAMPLES {
        let exchange = client.upload(Method::PUT, "/body", sample.length, sample.pieces());
        assert_eq!(exchange.status, StatusCode::CREATED);
        client.finish(exchange);
        assert_stored(&store, sample);
    }
    drop(client);
    server.wait_until_empty();
    let peak = server.peak_memory();
    assert!(peak < MEMORY, "the server needed {peak} bytes");
}

#[test]
fn what_the_command_uploads_is_stored_as_it_was_sent_in_little_memory() {
    let (server, store) = storing_server();
    for sample in SAMPLES {
        let command = NeckoCommand::fetch_trusting(&server.ca()).args(["-T", "-"]);
        let (running, mut stdin) = command.arg(server.url("/body")).start_feeding();
        for piece in sample.pieces() {
            stdin.write_all(piece).unwrap();
        }
        // It can't have ended before its input has. All but what a pipe holds has gone through it.
        let peak = running.process.peak_memory();
        assert!(peak < MEMORY, "the command needed {peak} bytes for {} bytes", sample.length);
        drop(stdin);
        running.finish().expect_success();
        assert_stored(&store, sample);
    }
    server.wait_until_empty();
    let peak = server.peak_memory();
    assert!(peak < MEMORY, "the server needed {peak} bytes");
}

#[test]
fn the_command_uploads_to_h3_on_quinn() {
    let ca = TestCa::new();
    let server = QuinnServer::start(&ca);
    for sample in SAMPLES {
        let command = NeckoCommand::fetch_trusting(&ca.file()).args(["-X", "POST", "-T", "-"]);
        let (running, mut stdin) = command.arg(server.url("/post")).start_feeding();
        for piece in sample.pieces() {
            stdin.write_all(piece).unwrap();
        }
        drop(stdin);
        let finished = running.finish().expect_success();
        let told = String::from_utf8(finished.stdout).unwrap();
        assert_eq!(told, format!("{} {}", sample.length, sample.sha256));
    }
}

/// A file with a sample in it, which has no name any more.
fn file_of(sample: Sample) -> File {
    let mut file = tempfile::tempfile().unwrap();
    for piece in sample.pieces() {
        file.write_all(piece).unwrap();
    }
    file
}

/// A body that a thread fills as it goes up.
fn pipe_of(sample: Sample, length: Option<u64>) -> RequestBody {
    let (mut writer, body) = RequestBody::pipe(length);
    thread::spawn(move || {
        for piece in sample.pieces() {
            writer.write_all(piece).unwrap();
        }
        writer.finish();
    });
    body
}

fn send(handler: &HttpHandler, method: Method, url: &str, body: RequestBody) -> Response {
    let request = Request::new(method, url).unwrap().body(body);
    fetch(handler.fetch(request)).unwrap()
}

#[test]
fn the_library_uploads_files_and_pipes_to_h3_on_quinn() {
    let ca = TestCa::new();
    let server = QuinnServer::start(&ca);
    let handler = Client::trusting(&ca.file()).to(server.address()).start();
    for sample in SAMPLES {
        let bodies = [
            RequestBody::file(file_of(sample)).unwrap(),
            pipe_of(sample, Some(sample.length)),
            pipe_of(sample, None),
        ];
        for body in bodies {
            let response = send(&handler, Method::POST, &server.url("/post"), body);
            let mut told = String::new();
            within(DEADLINE, move || {
                response.into_body().read_to_string(&mut told).unwrap();
                assert_eq!(told, format!("{} {}", sample.length, sample.sha256));
            });
        }
    }
    assert_eq!(handler.snapshot().unwrap().lifetime.connections, 1);
}

#[test]
fn the_library_uploads_files_and_pipes_to_necko_server() {
    let (server, store) = storing_server();
    let handler = Client::trusting(&server.ca()).to(server.address()).start();
    for sample in SAMPLES {
        for body in [RequestBody::file(file_of(sample)).unwrap(), pipe_of(sample, None)] {
            let response = send(&handler, Method::PUT, &server.url("/body"), body);
            assert_eq!(response.status(), StatusCode::CREATED);
            assert_stored(&store, sample);
        }
    }
    drop(handler);
    let sum: u64 = SAMPLES.iter().map(|sample| 2 * sample.length).sum();
    assert_eq!(server.wait_until_empty()["upload_bytes"], sum);
    let peak = server.peak_memory();
    assert!(peak < MEMORY, "the server needed {peak} bytes");
}

/// This process is the client, so it has to be alone for its memory to be the client's. It runs no other
/// program and no other peer's code in between.
#[test]
fn an_upload_and_a_download_take_the_library_little_memory() {
    in_a_process_of_its_own(
        "uploads::an_upload_and_a_download_take_the_library_little_memory",
        3 * DEADLINE,
        || {
            let server = ServerProcess::start();
            let handler = Client::trusting(&server.ca()).to(server.address()).start();
            let response = send(&handler, Method::POST, &server.url("/sink"), pipe_of(LARGE, None));
            assert_eq!(response.headers()["x-data-received-length"], LARGE.length.to_string());
            let url = server.url(&format!("/bytes/{}", LARGE.length));
            let mut hash = RunningHash::default();
            let mut body = fetch(handler.get(&url)).unwrap().into_body();
            while let Some(piece) = block_on(DEADLINE, body.chunk()).unwrap() {
                hash.take(&piece);
            }
            hash.assert_is(LARGE);
            let peak = own_peak_memory();
            assert!(peak < MEMORY, "the library needed {peak} bytes");
        },
    );
}
