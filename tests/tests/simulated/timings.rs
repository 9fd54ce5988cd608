//! When what happened, as a request tells it.

use tests::simulated::{Bench, CLIENT, MS, PORT, SECOND, SERVER};
use transaction::ConnectTimings;

#[test]
fn the_first_request_has_its_connections_timings_and_the_others_have_none() {
    let (mut bench, _server) = Bench::with_server(1);
    let start = bench.now();
    bench.network().job_delay(SECOND);
    let (mut first, mut second) = (bench.get("/drip/30/10/1000"), bench.get("/1000"));
    bench.finish([&mut first, &mut second]);
    let timings = first.timings();
    let connect = timings.connect;
    let moments = [
        timings.queued,
        connect.connect_start,
        connect.connect_end,
        timings.request_start,
        timings.response_start,
        timings.response_end,
    ]
    .map(|moment| moment.unwrap().duration_since(start));
    assert!(moments.is_sorted(), "{moments:?}");
    let [queued, connecting, connected, sent, head, end] = moments;
    assert!(queued < MS && connecting >= SECOND, "{moments:?}");
    assert!(connected >= connecting + SECOND, "the certificate was verified meanwhile");
    assert_eq!(connect.secure_connection_start, connect.connect_start);
    assert!(sent < connected + MS && end >= head + 2 * SECOND, "{moments:?}");
    assert!(!timings.early_data && !timings.connection_was_reused());
    assert_eq!(timings.remote.unwrap(), (SERVER, PORT).into());
    let sockets = bench.sockets();
    assert!(sockets.iter().any(|socket| socket.port() == timings.local.unwrap().port()));
    assert_eq!(sockets[0].ip(), CLIENT);
    for later in [second, bench.fetch("/1000")] {
        let timings = later.timings();
        assert_eq!(timings.connect, ConnectTimings::default());
        assert!(timings.connection_was_reused());
        assert_eq!(timings.remote.unwrap(), (SERVER, PORT).into());
    }
}

#[test]
fn a_request_that_failed_tells_how_far_it_came() {
    let mut bench = Bench::new(2);
    bench.silent_server(SERVER);
    let mut fetch = bench.get("/1");
    bench.finish([&mut fetch]);
    fetch.error();
    let timings = fetch.timings();
    assert!(timings.queued.is_some());
    assert_eq!((timings.request_start, timings.response_start), (None, None));
}

#[test]
fn a_restart_is_timed_anew() {
    let (mut bench, server) = Bench::with_server(3);
    let mut fetch = bench.get("/silent");
    bench.run_until("the request is there", |_| server.look(|server| server.requests.len()) == 1);
    let first = fetch.timings();
    bench.run_for(2 * SECOND);
    server.tell(|server, now| server.close(0x100, now));
    bench.run_until("it has come again", |_| server.look(|server| server.requests.len()) == 2);
    let second = fetch.timings();
    assert_eq!(first.queued, second.queued);
    assert!(first.request_start < second.request_start);
    assert!(first.connect.connect_start < second.connect.connect_start);
    fetch.canceller().cancel();
    bench.finish([&mut fetch]);
}
