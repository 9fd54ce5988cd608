//! HTTP/1.1 over TLS and TCP, on real sockets, against a server that does what it is told.

use std::sync::Arc;

use http::Method;
use necko::{Alpn, HttpHandler, NetError, Request, Response, Snapshot};
use tests::loopback::{
    Client, DEADLINE, Http1Connection, Http1Server, TestCa, block_on, fetch, read_all, wait_until,
};

fn server(
    serve: impl Fn(&mut Http1Connection) + Send + Sync + 'static,
) -> (Http1Server, HttpHandler) {
    let ca = TestCa::new();
    let server = Http1Server::start(ca.localhost(), serve);
    let handler = Client::trusting(&ca.file()).to(server.address()).start();
    (server, handler)
}

/// Answers every request with its own line and body.
fn echo(connection: &mut Http1Connection) {
    while let Some(request) = connection.read_request() {
        let mut body = request.line().to_owned().into_bytes();
        body.push(b'\n');
        body.extend(request.body);
        if !connection.respond(&body) {
            return;
        }
    }
}

fn request(method: Method, server: &Http1Server, path: &str) -> Request {
    Request::new(method, &server.url(path)).expect("a URL").version(Alpn::Http11)
}

fn send(handler: &HttpHandler, request: Request) -> Result<(u16, Vec<u8>), NetError> {
    whole(fetch(handler.fetch(request))?)
}

fn whole(response: Response) -> Result<(u16, Vec<u8>), NetError> {
    let status = response.status().as_u16();
    Ok((status, read_all(&mut response.into_body())?))
}

fn get(handler: &HttpHandler, server: &Http1Server, path: &str) -> Result<String, NetError> {
    let (_, body) = send(handler, request(Method::GET, server, path))?;
    Ok(String::from_utf8(body).expect("text"))
}

/// Active and idle connections.
fn lists(handler: &HttpHandler) -> (usize, usize) {
    let snapshot = handler.snapshot().expect("it answers");
    let connections = || snapshot.entries.iter().flat_map(|entry| &entry.connections);
    (connections().filter(|one| one.active).count(), connections().filter(|one| one.idle).count())
}

fn settled(handler: &HttpHandler, what: &str, ok: impl Fn(&Snapshot) -> bool) -> Snapshot {
    wait_until(DEADLINE, what, || Some(handler.snapshot().expect("it answers")).filter(&ok))
}

#[test]
fn m5_a_connection_is_used_again_by_the_next_request() {
    let (server, handler) = server(echo);
    for n in 0..5 {
        let path = format!("/{n}");
        assert_eq!(get(&handler, &server, &path), Ok(format!("GET {path} HTTP/1.1\n")));
    }
    assert_eq!(server.connections(), 1);
    settled(&handler, "the connection is idle", |_| lists(&handler) == (0, 1));
}

#[test]
fn the_first_request_has_its_connections_timings_and_each_knows_where_it_went() {
    let (server, handler) = server(echo);
    for first in [true, false] {
        let response = fetch(handler.fetch(request(Method::GET, &server, "/"))).unwrap();
        let timings = response.timings();
        assert_eq!(timings.remote, Some(server.address()));
        assert!(timings.local.is_some_and(|local| local.ip().is_loopback() && local.port() > 0));
        let connect = timings.connect;
        let all = [connect.connect_start, connect.secure_connection_start, connect.connect_end];
        assert!(all.iter().all(|time| time.is_some() == first), "{timings:?}");
        assert!(all.is_sorted() && timings.request_start <= timings.response_start);
        assert_eq!(timings.connection_was_reused(), !first);
        let mut body = response.into_body();
        while block_on(DEADLINE, body.chunk()).unwrap().is_some() {}
        settled(&handler, "it is idle", |snapshot| snapshot.handles == 0);
    }
}

#[test]
fn bodies_go_up_with_a_length_and_in_chunks() {
    let (server, handler) = server(echo);
    let body = vec![b'x'; 300_000];
    let (_, echoed) =
        send(&handler, request(Method::POST, &server, "/whole").body(body.clone())).unwrap();
    assert_eq!(echoed.len(), "POST /whole HTTP/1.1\n".len() + body.len());
    let (writer, pipe) = necko::RequestBody::pipe(None);
    let feeding = std::thread::spawn(move || {
        use std::io::Write as _;
        let mut writer = writer;
        for _ in 0..100 {
            writer.write_all(&[b'y'; 3000]).unwrap();
        }
        writer.finish();
    });
    let (status, echoed) =
        send(&handler, request(Method::PUT, &server, "/chunked").body(pipe)).unwrap();
    feeding.join().unwrap();
    assert_eq!((status, echoed.len()), (200, "PUT /chunked HTTP/1.1\n".len() + 300_000));
    assert_eq!(server.connections(), 1);
}

#[test]
fn chunks_trailers_and_interim_heads_come_through() {
    let (server, handler) = server(|connection| {
        while connection.read_request().is_some() {
            connection.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            connection.send("5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\nX-Sum: 12\r\n\r\n");
        }
    });
    for _ in 0..3 {
        let response = fetch(handler.fetch(request(Method::GET, &server, "/"))).unwrap();
        let mut body = response.into_body();
        assert_eq!(read_all(&mut body), Ok(b"hello, world".to_vec()));
        let trailers = body.take_trailers().expect("HTTP/1.1 delivers them");
        assert_eq!(trailers["x-sum"], "12");
    }
    assert_eq!(server.connections(), 1);
}

#[test]
fn m3_a_connection_that_must_not_be_used_again_is_closed() {
    let (server, handler) = server(|connection| {
        connection.read_request();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
        connection.wait_for_end();
    });
    for _ in 0..3 {
        assert_eq!(get(&handler, &server, "/"), Ok("ok".into()));
    }
    assert_eq!(server.connections(), 3);
    settled(&handler, "nothing is left", |snapshot| snapshot.expect_empty().is_ok());
    wait_until(DEADLINE, "the server saw every end", || (server.open() == 0).then_some(()));
}

#[test]
fn a_body_until_the_connections_end_is_whole_only_with_a_farewell() {
    let (server, handler) = server(|connection| {
        let request = connection.read_request().expect("a request");
        connection.send("HTTP/1.1 200 OK\r\n\r\nall of it");
        if request.path() == "/clean" { connection.end() } else { connection.cut() }
    });
    assert_eq!(get(&handler, &server, "/clean"), Ok("all of it".into()));
    let error = get(&handler, &server, "/cut").expect_err("somebody may have cut it off");
    assert!(matches!(error, NetError::PartialTransfer { received: 9, .. }), "{error:?}");
}

/// <https://github.com/lexiforest/curl_cffi/issues/797>
#[test]
fn d2_2_an_idle_connection_that_ends_or_speaks_is_let_go() {
    let (server, handler) = server(|connection| {
        let request = connection.read_request().expect("a request");
        connection.respond(b"ok");
        match request.path() {
            "/end" => connection.end(),
            "/cut" => connection.cut(),
            _ => {
                connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
                connection.wait_for_end();
            }
        }
    });
    for (n, path) in ["/end", "/cut", "/speak"].into_iter().enumerate() {
        assert_eq!(get(&handler, &server, path), Ok("ok".into()));
        settled(&handler, "it is let go", |snapshot| snapshot.expect_empty().is_ok());
        assert_eq!(server.connections(), n + 1);
    }
}

#[test]
fn t5_a_request_that_meets_the_close_of_an_idle_connection_goes_again() {
    let (server, handler) = server(|connection| {
        while connection.read_request().is_some() {
            connection.respond(b"ok");
            if connection.number == 0 {
                // The next request meets a connection that is gone.
                connection.read_head();
                connection.cut();
            }
        }
    });
    for _ in 0..3 {
        assert_eq!(get(&handler, &server, "/"), Ok("ok".into()));
    }
    assert_eq!(server.connections(), 2);
}

#[test]
fn six_connections_at_most_serve_a_host() {
    let gate = Arc::new(std::sync::Barrier::new(7));
    let inside = Arc::clone(&gate);
    let (server, handler) = server(move |connection| {
        let mut first = true;
        while connection.read_request().is_some() {
            if std::mem::take(&mut first) {
                inside.wait();
            }
            connection.respond(b"ok");
        }
    });
    let pending: Vec<_> =
        (0..20).map(|_| handler.fetch(request(Method::GET, &server, "/"))).collect();
    gate.wait();
    for pending in pending {
        // A response that is dropped before it is there takes its connection with it.
        assert_eq!(whole(fetch(pending).unwrap()), Ok((200, b"ok".to_vec())));
    }
    assert_eq!(server.connections(), 6);
}

#[test]
fn a_consumer_that_does_not_read_holds_the_server_back() {
    let (server, handler) = server(|connection| {
        connection.read_request();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
        let piece = vec![b'x'; 65536];
        let mut sent = 0;
        while connection.send(&piece) && sent < 1_000_000_000 {
            sent += piece.len();
        }
    });
    let response = fetch(handler.fetch(request(Method::GET, &server, "/"))).unwrap();
    let snapshot =
        settled(&handler, "the pipe is full", |snapshot| snapshot.buffered() >= 64 * 1024);
    assert!(snapshot.buffered() < 256 * 1024);
    drop(response);
    settled(&handler, "nothing is left", |snapshot| snapshot.expect_empty().is_ok());
}
