//! What `ReclaimConnection` does, both ways: an HTTP/3 connection is removed, an HTTP/1.1 connection is used
//! again, and one that must not be is closed.
//!
//! ```text
//!   the last reference to the handle is gone ─► reclaim_connection
//!       ├─ HTTP/3: its session has ended ─────────────► off the lists, closed
//!       ├─ HTTP/1.1, and another request may follow ──► the idle list, where it is watched
//!       └─ HTTP/1.1, and none may ────────────────────► off the lists, closed
//!                                                          then the entry's queue is served
//! ```

use socket_transport::walk::Step::{
    ConnectionClose, HandleDropped, ReclaimConnection, SessionClosed,
};
use tests::simulated::{Act, Ask, Bench, Http3ServerPeer, OTHER, SECOND, SERVER, Setup};

/// What is on the lists, and what the manager has counted.
fn alive(bench: &mut Bench) -> String {
    let snapshot = bench.snapshot();
    let connections = snapshot.entries.iter().flat_map(|entry| &entry.connections);
    let lists = connections.map(|one| match (one.active, one.idle) {
        (true, _) => "active",
        (_, true) => "idle",
        _ => "draining",
    });
    let lists = lists.collect::<Vec<_>>().join(", ");
    let lifetime = snapshot.lifetime;
    format!(
        "[{lists}] {} handles, {} sockets; {} made, {} reclaimed",
        snapshot.handles, snapshot.service.sockets, lifetime.connections, lifetime.reclaimed
    )
}

#[test]
fn m3_m5_an_http3_connection_is_removed_an_http11_connection_is_used_again_or_closed() {
    let mut bench = Setup::new(1).http1().build();
    let http3 = bench.http3_server(OTHER, |parameters| parameters);
    bench.name("h3.necko.test", [OTHER]);
    let keep = Act::respond("kept");
    let close = Act::send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlast");
    let http1 = bench.http1_server(SERVER, move |_| {
        vec![Act::Head, keep.clone(), Act::Head, keep.clone(), Act::Head, close.clone()]
    });

    // HTTP/3. The session holds the only handle for as long as it lives.
    let mut fetch = bench.ask(Ask::get("/10").host("h3.necko.test"));
    bench.finish([&mut fetch]);
    fetch.expect_pattern(10);
    assert_eq!(alive(&mut bench), "[active] 1 handles, 1 sockets; 1 made, 0 reclaimed");
    let steps = bench.record(|bench| {
        bench.close_persistent_connections();
        bench.run_until_empty();
    });
    let last = [SessionClosed, HandleDropped, ConnectionClose, ReclaimConnection];
    let found: Vec<_> = steps.into_iter().filter(|step| last.contains(step)).collect();
    assert_eq!(found, last, "in this order, each once");
    assert_eq!(alive(&mut bench), "[] 0 handles, 0 sockets; 1 made, 1 reclaimed");
    assert_eq!(http3.look(Http3ServerPeer::connections), 1);

    // HTTP/1.1. Each exchange has a handle of its own; its reclaim makes the connection an idle one ...
    let get = |bench: &mut Bench, path: &str| {
        let mut fetch = bench.ask(Ask::get(path).http1());
        bench.finish([&mut fetch]);
        fetch.body().to_vec()
    };
    assert_eq!(get(&mut bench, "/1"), b"kept");
    assert_eq!(alive(&mut bench), "[idle] 0 handles, 1 sockets; 2 made, 2 reclaimed");
    let running = bench.ask(Ask::get("/2").http1());
    assert_eq!(alive(&mut bench), "[idle] 0 handles, 1 sockets; 2 made, 2 reclaimed");
    // ... which the next transaction takes, under a new handle.
    bench
        .run_until("it is in use", |client| client.call(|mgr, ctx| mgr.snapshot(ctx)).handles == 1);
    assert_eq!(alive(&mut bench), "[active] 1 handles, 1 sockets; 2 made, 2 reclaimed");
    let mut running = running;
    bench.finish([&mut running]);
    assert_eq!(alive(&mut bench), "[idle] 0 handles, 1 sockets; 2 made, 3 reclaimed");
    assert_eq!(http1.connections(), 1, "two requests, one connection");

    // HTTP/1.1, and the server goes on no more: closed instead of kept.
    assert_eq!(get(&mut bench, "/3"), b"last");
    bench.run_for(SECOND);
    assert_eq!(alive(&mut bench), "[] 0 handles, 0 sockets; 2 made, 4 reclaimed");
    assert_eq!(http1.heard(0).ended, Some(true), "with a farewell");
    assert_eq!(bench.snapshot().expect_empty(), Ok(()));
}
