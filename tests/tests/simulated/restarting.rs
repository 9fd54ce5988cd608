//! Servers that want a request once more: over HTTP/1.1, or because they did not wait for it.

use tests::simulated::{Ask, Bench, RawPeer, SECOND};
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
