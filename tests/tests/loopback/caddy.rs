//! Both ways to fetch, from Caddy.

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
