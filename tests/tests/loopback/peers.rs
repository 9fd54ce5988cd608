//! The peers agree with each other, so that a failure elsewhere is not theirs.

use http::{Method, StatusCode};
use tests::loopback::{QuinnClient, QuinnServer, TestCa, pattern};

#[test]
fn quinn_talks_to_quinn() {
    let ca = TestCa::new();
    let server = QuinnServer::start(&ca);
    let client = QuinnClient::connect(server.address(), &ca.file()).unwrap();
    let fetched = client.get("/3000000");
    assert_eq!(fetched.status, StatusCode::OK);
    assert_eq!(fetched.headers["content-length"], "3000000");
    pattern::assert_is(&fetched.body, 3_000_000);
    let body = pattern::body(300_000);
    assert_eq!(client.fetch(Method::POST, "/echo", body.clone()).body, body);
    assert_eq!(client.get_at_once((0..50).map(|_| "/together/50".to_owned())).len(), 50);
    assert_eq!(client.get("/nothing").status, StatusCode::NOT_FOUND);
    drop(client);
    assert_eq!(server.wait_for_close(), Some(0x100));
}
