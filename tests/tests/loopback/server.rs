//! An independent client, h3 on quinn, fetches from necko-server.

use std::{
    fs,
    net::{Ipv4Addr, Ipv6Addr},
    os::unix::fs::symlink,
    process::Command,
};

use http::{Method, StatusCode};
use tests::loopback::{QuinnClient, ServerProcess, ipv6_loopback, pattern, skip};

fn server_and_client() -> (ServerProcess, QuinnClient) {
    let server = ServerProcess::start();
    let client = QuinnClient::connect(server.address(), &server.ca()).unwrap();
    (server, client)
}

#[test]
fn files_arrive_byte_for_byte() {
    let (server, client) = server_and_client();
    let large = pattern::body(10_000_000);
    server.put("large.bin", &large);
    server.put("empty", b"");
    server.put("below/two folders/page.html", b"<p>hello</p>");
    let fetched = client.get("/large.bin");
    assert_eq!(fetched.status, StatusCode::OK);
    assert_eq!(fetched.headers["content-length"], "10000000");
    assert_eq!(pattern::sha256(&fetched.body), pattern::sha256(&large));
    let fetched = client.get("/empty");
    assert_eq!((fetched.status, fetched.body.len()), (StatusCode::OK, 0));
    let fetched = client.get("/below/two%20folders/page.html?a=query#");
    assert_eq!(fetched.body, b"<p>hello</p>");
    assert!(fetched.headers["content-type"].to_str().unwrap().starts_with("text/html"));
}

#[test]
fn generated_bodies_are_what_is_promised() {
    let (_server, client) = server_and_client();
    for length in [0, 1, 1_048_576, 50_000_000] {
        let fetched = client.get(&format!("/bytes/{length}"));
        assert_eq!(fetched.status, StatusCode::OK);
        assert_eq!(fetched.headers["content-length"], length.to_string());
        pattern::assert_is(&fetched.body, length);
    }
}

#[test]
fn head_is_get_without_the_body() {
    let (server, client) = server_and_client();
    server.put("file.txt", b"some text");
    for path in ["/file.txt", "/bytes/1000000", "/missing"] {
        let (head, get) = (client.fetch(Method::HEAD, path, Vec::new()), client.get(path));
        assert_eq!(head.status, get.status);
        for field in ["content-length", "content-type"] {
            assert_eq!(head.headers.get(field), get.headers.get(field), "{path} {field}");
        }
        assert!(head.body.is_empty() && !get.body.is_empty(), "{path}");
    }
}

#[test]
fn what_is_not_there_is_a_404() {
    let (server, client) = server_and_client();
    fs::create_dir(server.root().join("folder")).unwrap();
    for path in ["/missing", "/folder/", "/bytes", "/"] {
        let fetched = client.get(path);
        assert_eq!(fetched.status, StatusCode::NOT_FOUND, "{path}");
        assert!(!fetched.body.is_empty(), "{path}: a person wants to read something");
    }
    assert_eq!(client.get("/bytes/many").status, StatusCode::BAD_REQUEST);
    // The connection is as good as before.
    pattern::assert_is(&client.get("/bytes/1000").body, 1000);
}

#[test]
fn a_posted_body_is_counted_to_its_last_byte() {
    let (server, client) = server_and_client();
    for length in [0, 1, 5_000_000] {
        let fetched = client.fetch(Method::POST, "/anything", pattern::body(length));
        assert_eq!(fetched.status, StatusCode::OK);
        assert_eq!(fetched.headers["x-data-received-length"], length.to_string());
    }
    drop(client);
    assert_eq!(server.wait_until_empty()["upload_bytes"], 5_000_001);
}

#[test]
fn fifty_requests_at_once_are_all_answered_on_one_connection() {
    let (server, client) = server_and_client();
    // Longer than a stream's window in quinn, so that none is over before it is read.
    let length = |n: u64| 1_500_000 + n * 1009;
    let begin = |n| client.begin(Method::GET, &format!("/bytes/{}", length(n)), Vec::new());
    let running: Vec<_> = (0..50).map(begin).collect();
    assert_eq!(server.snapshot()["transfers"], 50);
    for (n, exchange) in (0..).zip(running) {
        pattern::assert_is(&client.finish(exchange).body, length(n));
    }
    drop(client);
    let totals = server.wait_until_empty();
    assert_eq!((&totals["connections"], &totals["responses_completed"]), (&1.into(), &50.into()));
}

#[test]
fn no_path_leads_out_of_the_served_folder() {
    let (server, client) = server_and_client();
    let outside = server.root().parent().unwrap().join("secret.txt");
    fs::write(&outside, "a secret").unwrap();
    symlink(&outside, server.root().join("link")).unwrap();
    symlink("/", server.root().join("slash")).unwrap();
    server.put("folder/file", b"public");
    let absolute = format!("/{}", outside.display());
    let below_a_link = format!("/slash{}", outside.display());
    for path in [
        "/../secret.txt",
        "/folder/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/folder/%2E%2E/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e%2fsecret.txt",
        "/link",
        "/folder/../../../../../../../../etc/passwd",
        &absolute,
        &below_a_link,
    ] {
        let fetched = client.get(path);
        assert!(fetched.status.is_client_error(), "{path}: {}", fetched.status);
        let body = String::from_utf8_lossy(&fetched.body);
        assert!(!body.contains("a secret") && !body.contains("root:"), "{path}: {body}");
    }
    assert_eq!(client.get("/folder/file").body, b"public");
}

#[test]
fn it_serves_on_ipv6() {
    if !ipv6_loopback() {
        return skip("server::it_serves_on_ipv6", "this machine has no ::1");
    }
    let server = ServerProcess::start_with(Ipv6Addr::LOCALHOST.into(), |_| ());
    let client = QuinnClient::connect(server.address(), &server.ca()).unwrap();
    pattern::assert_is(&client.get("/bytes/1000000").body, 1_000_000);
}

#[test]
fn a_client_that_proves_its_address_first_is_served() {
    let retry = |command: &mut Command| _ = command.arg("--retry");
    let server = ServerProcess::start_with(Ipv4Addr::LOCALHOST.into(), retry);
    let client = QuinnClient::connect(server.address(), &server.ca()).unwrap();
    pattern::assert_is(&client.get("/bytes/1000000").body, 1_000_000);
}
