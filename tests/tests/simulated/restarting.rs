//! Servers that want a request once more: over HTTP/1.1, or because they did not wait for it.

use tests::simulated::{Act, Ask, Bench, Http3ServerPeer, RawPeer, SECOND, SERVER, Setup};
use transaction::{ErrorCode, NetError};

const FALLBACK: ErrorCode = ErrorCode::VERSION_FALLBACK;

/// The client of these tests speaks HTTP/3 alone.
#[test]
fn h3_version_fallback_of_the_whole_connection_is_the_error_of_all_its_requests() {
    let (mut bench, server) = Bench::with_raw(2);
    let mut fetches = [bench.get("/"), bench.ask(Ask::post("/", "once"))];
    bench.run_until("they arrive", |_| server.look(|server| server.requests() == 2));
    server.tell(|server, _| server.connection().close(FALLBACK.value()));
    bench.finish(&mut fetches);
    for fetch in &fetches {
        assert_eq!(fetch.error(), &NetError::NetInterrupt { code: FALLBACK });
    }
    bench.run_for(SECOND);
    assert_eq!(server.look(RawPeer::requests), 2, "none was sent again over HTTP/3");
}

#[test]
fn a_408_has_the_request_sent_again_whole_and_once() {
    for answers in [&["408", "200"][..], &["408", "408"]] {
        let (mut bench, server) = Bench::with_raw(3);
        server.tell(|server, _| {
            server.on_request(move |connection, request| {
                connection.head(request, &[(":status", answers[request])]);
                connection.finish(request);
            });
        });
        let mut fetch = bench.ask(Ask::post("/", vec![b'x'; 20_000]));
        bench.finish([&mut fetch]);
        assert_eq!(fetch.status().to_string(), answers[1]);
        bench.run_for(SECOND);
        let bodies: Vec<_> = server.look(|server| {
            server.connections[0].requests.iter().map(|request| request.body).collect()
        });
        assert_eq!((bodies.len(), bodies[1]), (2, 20_000), "{bodies:?}");
    }
}

#[test]
fn h3_version_fallback_has_the_request_sent_again_over_http1_1_whatever_its_method() {
    let mut bench = Setup::new(4).http1().build();
    let http3 = bench.http3_server(SERVER, |parameters| parameters);
    let http1 =
        bench.http1_server(SERVER, |_| vec![Act::Head, Act::Body(4), Act::respond("over TCP")]);
    let mut fetch = bench.ask(Ask::post("/VersionFallback", "once"));
    bench.finish([&mut fetch]);
    assert_eq!((fetch.status(), fetch.body()), (200, &b"over TCP"[..]));
    assert_eq!(http3.look(|server| server.count("/VersionFallback")), 1);
    let heard = http1.heard(0);
    let lines: Vec<_> = heard.heads[0].lines().take(2).collect();
    assert_eq!(lines, ["POST /VersionFallback HTTP/1.1", "Host: necko.test:443"]);
    assert_eq!(heard.bodies, [b"once"]);
    // The HTTP/3 connection is as good as it was.
    bench.fetch("/100").expect_pattern(100);
    assert_eq!(http3.look(Http3ServerPeer::connections), 1);
}
