//! 1 KB, 1 MB and 1 GiB (in debug builds 64 MiB) go up as they are, between us and ourselves and between
//! us and others, and whoever sends or takes them holds a small part at a time.

use http::{Method, StatusCode};
use tests::loopback::{QuinnClient, ServerProcess, pattern::SAMPLES};

/// No process of ours may ever need more, however long the body.
const MEMORY: u64 = 64 << 20;

#[test]
fn h3_on_quinn_uploads_to_necko_server() {
    let server = ServerProcess::start();
    let client = QuinnClient::connect(server.address(), &server.ca()).unwrap();
    for sample in SAMPLES {
        let exchange = client.upload(Method::POST, "/sink", sample.length, sample.pieces());
        assert_eq!(exchange.status, StatusCode::OK);
        assert_eq!(exchange.headers["x-data-received-length"], sample.length.to_string());
        client.finish(exchange);
    }
    drop(client);
    let sum: u64 = SAMPLES.iter().map(|sample| sample.length).sum();
    assert_eq!(server.wait_until_empty()["upload_bytes"], sum);
    let peak = server.peak_memory();
    assert!(peak < MEMORY, "the server needed {peak} bytes");
}
