//! Both ways to fetch, from Caddy.

use http::{Method, Version};
use necko::{Alpn, Request};
use tests::loopback::{Caddy, Client, NeckoCommand, fetch, pattern, read_to_end};

#[test]
fn the_command_fetches_a_large_file_from_caddy() {
    let Some(caddy) = Caddy::start() else { return };
    let content = pattern::body(20_000_000);
    caddy.put("file.bin", &content);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file.bin");
    let command = NeckoCommand::fetch_trusting(&caddy.ca()).arg(caddy.url("/file.bin"));
    let finished = command.arg("-o").arg(&file).run().expect_success();
    assert!(finished.stderr.contains("20000000 bytes in "), "{}", finished.stderr);
    assert!(finished.stderr.contains("HTTP/3, 1 connection"), "{}", finished.stderr);
    let fetched = std::fs::read(file).unwrap();
    assert_eq!(pattern::sha256(&fetched), pattern::sha256(&content));
}

#[test]
fn the_library_fetches_many_files_at_once_from_caddy() {
    let Some(caddy) = Caddy::start() else { return };
    for n in 0..50 {
        caddy.put(&format!("file-{n}"), &pattern::body(n * 20_011));
    }
    let handler = Client::trusting(&caddy.ca()).to(caddy.address()).start();
    let pending: Vec<_> = (0..50).map(|n| handler.get(&caddy.url(&format!("/file-{n}")))).collect();
    for (n, pending) in (0..).zip(pending) {
        let response = fetch(pending).unwrap();
        assert_eq!(response.headers()["server"], "Caddy");
        assert_eq!(read_to_end(response), Ok(n * 20_011));
    }
    assert_eq!(fetch(handler.get(&caddy.url("/missing"))).unwrap().status(), 404);
    assert_eq!(handler.snapshot().unwrap().lifetime.connections, 1);
}

#[test]
fn files_come_over_http1_1_as_well_on_six_connections_that_are_used_again() {
    let Some(caddy) = Caddy::start() else { return };
    for n in 0..50 {
        caddy.put(&format!("file-{n}"), &pattern::body(n * 20_011));
    }
    let handler = Client::trusting(&caddy.ca()).to(caddy.address()).start();
    let get = |path: &str| {
        let request = Request::new(Method::GET, &caddy.url(path)).unwrap();
        handler.fetch(request.version(Alpn::Http11))
    };
    for _ in 0..3 {
        let pending: Vec<_> = (0..50).map(|n| get(&format!("/file-{n}"))).collect();
        for (n, pending) in (0..).zip(pending) {
            let response = fetch(pending).unwrap();
            assert_eq!((response.version(), response.status().as_u16()), (Version::HTTP_11, 200));
            assert_eq!(read_to_end(response), Ok(n * 20_011));
        }
    }
    assert_eq!(fetch(get("/missing")).unwrap().status(), 404);
    assert_eq!(handler.snapshot().unwrap().lifetime.connections, 6);
}

#[test]
fn the_command_fetches_a_large_file_over_http1_1() {
    let Some(caddy) = Caddy::start() else { return };
    let content = pattern::body(20_000_000);
    caddy.put("file.bin", &content);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file.bin");
    let command = NeckoCommand::fetch_trusting(&caddy.ca()).args(["--http1.1", "-o"]).arg(&file);
    let finished = command.arg(caddy.url("/file.bin")).run().expect_success();
    assert!(finished.stderr.contains("HTTP/1.1, 1 connection"), "{}", finished.stderr);
    let fetched = std::fs::read(file).unwrap();
    assert_eq!(pattern::sha256(&fetched), pattern::sha256(&content));
}
