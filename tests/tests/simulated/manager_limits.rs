//! What there is room for, and for how long anything may take: what is beyond a limit waits.

use tests::simulated::{Ask, Bench, HOST, MS, OTHER, SECOND, SERVER, Setup};
use transaction::{ClassOfService, Isolation, NetError, Priority, TabId, TimeoutPhase};

/// A request that can share no connection with others.
fn apart(path: &str, n: usize) -> Ask {
    let partition = format!("site{n}.example");
    Ask::get(path).isolated(Isolation { partition, ..Isolation::default() })
}

/// Twenty requests that need a connection each.
#[track_caller]
fn twenty_complete(bench: &mut Bench, at_most: usize) {
    let mut fetches: Vec<_> = (0..20).map(|n| bench.ask(apart("/drip/30/10/50", n))).collect();
    let mut most = 0;
    bench.run_until("all have ended", |client| {
        let snapshot = client.call(|mgr, ctx| mgr.snapshot(ctx));
        assert!(snapshot.service.sockets <= at_most && snapshot.connections() <= at_most + 1);
        most = most.max(snapshot.starved);
        fetches.iter_mut().fold(true, |done, fetch| fetch.poll() & done)
    });
    assert!(most >= 10, "most of them had to wait: {most}");
    for fetch in &fetches {
        fetch.expect_pattern(30);
    }
    assert_eq!(bench.snapshot().lifetime.connections, 20);
}

#[test]
fn s6_u10_improved_at_the_socket_limit_requests_wait_for_a_socket() {
    let mut bench = Setup::new(1).limits(|limits| limits.max_sockets = 4).build();
    bench.http3_server(SERVER, |parameters| parameters);
    twenty_complete(&mut bench, 4);
}

#[test]
fn at_the_limit_of_connections_requests_wait_and_unused_connections_make_room() {
    let mut bench = Setup::new(2).connections(|limits| limits.max_connections = 3).build();
    bench.http3_server(SERVER, |parameters| parameters);
    twenty_complete(&mut bench, 3);
}

#[test]
fn who_waits_for_room_can_be_cancelled_and_leaves_nothing() {
    let mut bench = Setup::new(3).connections(|limits| limits.max_connections = 1).build();
    bench.http3_server(SERVER, |parameters| parameters);
    let mut running = bench.ask(apart("/drip/30/10/1000", 0));
    bench.run_until("it runs", |_| running.poll_head());
    let waiting = bench.ask(apart("/1", 1));
    let mut next = bench.ask(apart("/2", 2));
    bench.run_for(SECOND);
    assert_eq!(bench.snapshot().starved, 2);
    drop(waiting);
    bench.run_for(MS);
    assert_eq!(bench.snapshot().starved, 1);
    bench.finish([&mut running, &mut next]);
    next.expect_pattern(2);
}

#[test]
fn m20_a_shutdown_ends_those_who_wait_for_room() {
    let mut bench = Setup::new(4).connections(|limits| limits.max_connections = 1).build();
    bench.http3_server(SERVER, |parameters| parameters);
    let mut fetches: Vec<_> = (0..3).map(|n| bench.ask(apart("/silent", n))).collect();
    bench.run_for(SECOND);
    bench.shutdown();
    for fetch in &mut fetches {
        assert!(fetch.poll());
        assert_eq!(fetch.error(), &NetError::ShuttingDown);
    }
}

// Time.

#[test]
fn a_connection_that_does_not_come_about_in_time_is_given_up_whatever_the_idle_timeout() {
    let mut bench = Setup::new(5)
        .settings(|settings| settings.idle_timeout = 600 * SECOND)
        .connections(|limits| limits.attempt_timeout = 7 * SECOND)
        .build();
    bench.silent_server(SERVER);
    let fetch = bench.fetch("/1");
    assert_eq!(fetch.error(), &NetError::NetTimeout(TimeoutPhase::Connect));
    let elapsed = bench.elapsed();
    assert!(elapsed >= 7 * SECOND && elapsed < 8 * SECOND, "{elapsed:?}");
}

#[test]
fn the_next_address_has_its_own_time_to_connect() {
    let mut bench = Setup::new(6)
        .settings(|settings| settings.idle_timeout = 600 * SECOND)
        .connections(|limits| limits.attempt_timeout = 7 * SECOND)
        .build();
    bench.silent_server(SERVER);
    bench.http3_server(OTHER, |parameters| parameters);
    bench.name(HOST, [SERVER, OTHER]);
    bench.fetch("/1").expect_pattern(1);
    assert!(bench.elapsed() < 8 * SECOND);
}

#[test]
fn m19_a_look_up_that_takes_too_long_fails_who_waits_and_its_answer_finds_nobody() {
    let mut bench = Setup::new(7).connections(|limits| limits.attempt_timeout = 5 * SECOND).build();
    bench.http3_server(SERVER, |parameters| parameters);
    bench.network().job_delay(20 * SECOND);
    let mut fetches = [bench.get("/1"), bench.get("/2")];
    bench.finish(&mut fetches);
    for fetch in &fetches {
        assert_eq!(fetch.error(), &NetError::NetTimeout(TimeoutPhase::Resolve));
    }
    let snapshot = bench.snapshot();
    assert_eq!((snapshot.entries.len(), snapshot.service.timers), (0, 0));
    bench.run_for(20 * SECOND);
    assert_eq!(bench.snapshot().lifetime.connections, 0);
    bench.network().job_delay(MS);
    bench.fetch("/3").expect_pattern(3);
}

// Order.

#[test]
fn requests_that_wait_for_a_connection_go_by_urgency_and_tab() {
    let (mut bench, server) = Bench::with_server(8);
    bench.submit(connection_mgr::Event::CurrentTab(TabId(2)));
    let class = |urgent_start, tab| ClassOfService { urgent_start, tab: TabId(tab) };
    // The first one is what the connection is made for.
    let mut fetches = vec![bench.get("/1")];
    bench.run_for(MS);
    for (path, class) in [
        ("/6", class(false, 1)),
        ("/7", class(false, 1)),
        ("/4", class(false, 2)),
        ("/5", class(false, 2)),
        ("/3", class(true, 1)),
    ] {
        fetches.push(bench.ask(Ask::get(path).class(class)));
    }
    fetches.push(bench.ask(Ask::get("/2").class(class(true, 1)).urgency(Priority::new(0, false))));
    bench.finish(&mut fetches);
    let order: Vec<_> =
        server.look(|server| server.requests.iter().map(|seen| seen.path.clone()).collect());
    assert_eq!(order, ["/1", "/2", "/3", "/4", "/5", "/6", "/7"]);
}
