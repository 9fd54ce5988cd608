//! The library fetches from h3 on quinn.

use std::{
    io::{BufRead as _, Read as _},
    thread,
};

use http::{Method, Version};
use necko::{HttpHandler, Request, ResponseBody};
use tests::loopback::{
    Client, DEADLINE, QuinnOptions, QuinnServer, ServerEvent, TestCa, block_on, fetch, pattern,
    read_all, read_to_end, wait_until_empty, within,
};

fn server_and_handler() -> (QuinnServer, HttpHandler) {
    let ca = TestCa::new();
    let server = QuinnServer::start(&ca);
    let handler = Client::trusting(&ca.file()).to(server.address()).start();
    (server, handler)
}

fn text(body: &mut ResponseBody) -> String {
    String::from_utf8(read_all(body).unwrap()).unwrap()
}

fn post(url: &str, body: Vec<u8>) -> Request {
    Request::new(Method::POST, url).unwrap().body(body)
}

#[test]
fn bodies_of_every_size_arrive_as_they_were_sent() {
    let (server, handler) = server_and_handler();
    // 1,350 is about a packet, 96 KiB the pipe.
    for length in [0, 1, 1350, 98_304, 98_305, 1_048_576, 50_000_000] {
        let response = fetch(handler.get(&server.url(&format!("/{length}")))).unwrap();
        assert_eq!(response.headers()["content-length"], length.to_string());
        assert_eq!(read_to_end(response), Ok(length));
    }
    assert_eq!(handler.snapshot().unwrap().lifetime.connections, 1);
}

#[test]
fn a_response_says_status_version_and_fields() {
    let (server, handler) = server_and_handler();
    let mut response = fetch(handler.get(&server.url("/status/418"))).unwrap();
    assert_eq!(response.status(), 418);
    assert_eq!(response.version(), Version::HTTP_3);
    assert_eq!(response.headers()["x-made-by"], "h3");
    assert_eq!(text(response.body_mut()), "as you wish");
}

#[test]
fn the_server_sees_the_request_as_it_was_made() {
    let (server, handler) = server_and_handler();
    let url = server.url("/headers?a=b&c=%20d#not-this");
    let request = Request::new(Method::GET, &url).unwrap();
    let request = request.header("X-Mine", "one").unwrap().header("x-mine", "two").unwrap();
    let mut response = fetch(handler.fetch(request)).unwrap();
    let seen = text(response.body_mut());
    let lines: Vec<_> = seen.lines().collect();
    let target = server.url("/headers?a=b&c=%20d");
    assert_eq!(lines[0], format!("GET {target}"));
    for line in ["x-mine: one", "x-mine: two", "accept: */*"] {
        assert!(lines.contains(&line), "{line}: {seen}");
    }
    assert!(seen.contains("\nuser-agent: necko/"), "{seen}");
}

#[test]
fn a_posted_body_arrives_and_comes_back() {
    let (server, handler) = server_and_handler();
    for length in [0, 1, 10_000, 3_000_000] {
        let body = pattern::body(length);
        let sum = pattern::sha256(&body);
        let mut response = fetch(handler.fetch(post(&server.url("/post"), body.clone()))).unwrap();
        assert_eq!(text(response.body_mut()), format!("{length} {sum}"));
        let echo = fetch(handler.fetch(post(&server.url("/echo"), body))).unwrap();
        assert_eq!(read_to_end(echo), Ok(length));
    }
}

#[test]
fn a_hundred_requests_run_at_once_on_one_connection() {
    let (server, handler) = server_and_handler();
    // The server answers none of them before it has all of them.
    let url = server.url("/together/100");
    let pending: Vec<_> = (0..100).map(|_| handler.get(&url)).collect();
    for pending in pending {
        assert_eq!(text(fetch(pending).unwrap().body_mut()), "together");
    }
    let lifetime = handler.snapshot().unwrap().lifetime;
    assert_eq!((lifetime.connections, lifetime.transactions), (1, 100));
    assert_eq!(server.count(|event| *event == ServerEvent::Connected), 1);
}

#[test]
fn requests_beyond_the_servers_limit_of_streams_wait_their_turn() {
    let ca = TestCa::new();
    let options = QuinnOptions { max_streams: 5, ..QuinnOptions::new(ca.localhost()) };
    let server = QuinnServer::start_with(options);
    let handler = Client::trusting(&ca.file()).to(server.address()).start();
    let pending: Vec<_> = (0..60).map(|n| handler.get(&server.url(&format!("/{n}000")))).collect();
    for (n, pending) in (0..).zip(pending) {
        assert_eq!(read_to_end(fetch(pending).unwrap()), Ok(n * 1000));
    }
    assert_eq!(handler.snapshot().unwrap().lifetime.connections, 1);
}

#[test]
fn large_bodies_at_once_share_a_connection() {
    let (server, handler) = server_and_handler();
    let lengths = [7_000_000, 1_000_000, 5_000_000, 3_000_000];
    let responses = lengths.map(|length| fetch(handler.get(&server.url(&format!("/{length}")))));
    let readers = responses.map(|response| {
        let response = response.unwrap();
        thread::spawn(move || read_to_end(response))
    });
    let read = readers.map(|reader| within(DEADLINE, || reader.join().unwrap()));
    assert_eq!(read, lengths.map(Ok));
    assert_eq!(handler.snapshot().unwrap().lifetime.connections, 1);
}

#[test]
fn a_reader_that_pauses_holds_up_nobody_else() {
    let (server, handler) = server_and_handler();
    // More than all windows together hold.
    let paused = fetch(handler.get(&server.url("/30000000"))).unwrap();
    for _ in 0..10 {
        assert_eq!(read_to_end(fetch(handler.get(&server.url("/300000"))).unwrap()), Ok(300_000));
    }
    assert_eq!(read_to_end(paused), Ok(30_000_000));
    assert_eq!(handler.snapshot().unwrap().lifetime.connections, 1);
}

#[test]
fn two_origins_have_a_connection_each() {
    let ca = TestCa::new();
    let servers = [QuinnServer::start(&ca), QuinnServer::start(&ca)];
    let client = servers
        .iter()
        .fold(Client::trusting(&ca.file()), |client, server| client.to(server.address()));
    let handler = client.start();
    for _ in 0..2 {
        let pending = servers.each_ref().map(|server| handler.get(&server.url("/100000")));
        for pending in pending {
            assert_eq!(read_to_end(fetch(pending).unwrap()), Ok(100_000));
        }
    }
    let snapshot = handler.snapshot().unwrap();
    assert_eq!((snapshot.entries.len(), snapshot.lifetime.connections), (2, 2));
    for server in &servers {
        assert_eq!(server.count(|event| matches!(event, ServerEvent::Request(_))), 2);
    }
}

#[test]
fn a_body_can_be_read_like_any_other_stream() {
    within(DEADLINE, || {
        let (server, handler) = server_and_handler();
        let response = handler.get(&server.url("/2000000")).unwrap().wait().unwrap();
        let mut body = Vec::new();
        assert_eq!(response.into_body().read_to_end(&mut body).unwrap(), 2_000_000);
        pattern::assert_is(&body, 2_000_000);

        let response = handler.get(&server.url("/headers")).unwrap().wait().unwrap();
        let first = response.into_body().lines().next().unwrap().unwrap();
        assert_eq!(first, format!("GET {}", server.url("/headers")));
    });
}

#[test]
fn any_executor_drives_a_response() {
    let (server, handler) = server_and_handler();
    let whole = async {
        let mut response = handler.get(&server.url("/500000"))?.await?;
        let mut check = pattern::Check::new();
        while let Some(piece) = response.body_mut().chunk().await? {
            check.take(&piece);
        }
        Ok::<_, necko::NetError>(check.length())
    };
    assert_eq!(block_on(DEADLINE, whole), Ok(500_000));
}

#[test]
fn a_dropped_response_cancels_its_stream_and_nothing_else() {
    let (server, handler) = server_and_handler();
    let kept = fetch(handler.get(&server.url("/20000000"))).unwrap();
    let dropped = fetch(handler.get(&server.url("/900000000"))).unwrap();
    drop(dropped);
    let (path, code) = server.wait_for(|event| match event {
        ServerEvent::Cancelled(path, code) => Some((path.clone(), *code)),
        _ => None,
    });
    assert_eq!((path.as_str(), code), ("/900000000", 0x10c));
    assert_eq!(read_to_end(kept), Ok(20_000_000));
    assert_eq!(read_to_end(fetch(handler.get(&server.url("/1000"))).unwrap()), Ok(1000));
    assert_eq!(handler.snapshot().unwrap().lifetime.connections, 1);
}

#[test]
fn a_request_that_is_dropped_before_its_answer_is_cancelled() {
    let (server, handler) = server_and_handler();
    let pending = handler.get(&server.url("/hang")).unwrap();
    server.wait_for(|event| (*event == ServerEvent::Request("/hang".into())).then_some(()));
    assert_eq!(handler.snapshot().unwrap().transactions(), 1);
    drop(pending);
    handler.close_persistent_connections().unwrap();
    let lifetime = wait_until_empty(&handler).lifetime;
    assert_eq!((lifetime.connections, lifetime.reclaimed), (1, 1));
}
