//! How connections begin and end.

use http3_session::{CloseReason, Http3Event, scripted::Call};
use tests::simulated::{Ask, Fetch, MS, SECOND, Setup};
use transaction::{CertificateProblem, ErrorCode, NetError, TimeoutPhase};

use super::{
    BY_PEER, FIRST, SECOND_STREAM, asked, assert_gone, bench, fetched, head, play, script,
};

#[test]
fn h27_authentication_that_is_needed_twice_is_one_verification() {
    let script = script();
    let mut bench = bench(&script);
    let fetch = bench.get("/");
    bench.run_for(5 * MS);
    play(&mut bench, &script, [Http3Event::AuthenticationNeeded, Http3Event::AuthenticationNeeded]);
    play(&mut bench, &script, [Http3Event::AuthenticationNeeded]);
    assert_eq!(bench.verifications(), 1);
    let answers =
        script.take_calls().iter().filter(|it| **it == Call::Authenticated(Ok(()))).count();
    assert_eq!(answers, 1);
    drop(fetch);
}

#[test]
fn h26_a_verdict_that_comes_in_the_closing_period_is_ignored() {
    let script = script();
    let mut bench = bench(&script);
    bench.network().job_delay(SECOND / 10);
    let mut fetch = bench.get("/");
    bench.run_for(SECOND / 5);
    play(&mut bench, &script, [Http3Event::AuthenticationNeeded]);
    let alert = CloseReason::TlsAlert { alert: 40, by_peer: true };
    play(&mut bench, &script, [Http3Event::Closing(alert.clone())]);
    bench.finish([&mut fetch]);
    assert_eq!(fetch.error(), &NetError::Tls { alert: 40, by_peer: true });
    script.take_calls();
    bench.run_for(SECOND);
    assert_eq!(bench.verifications(), 1);
    assert!(!script.take_calls().contains(&Call::Authenticated(Ok(()))));
    play(&mut bench, &script, [Http3Event::Closed(alert)]);
    assert_gone(&mut bench, &script);
}

#[test]
fn h26_a_verdict_that_comes_after_the_connection_finds_nobody() {
    let script = script();
    let mut bench = bench(&script);
    bench.network().job_delay(SECOND / 10);
    let mut fetch = bench.get("/");
    bench.run_for(SECOND / 5);
    play(
        &mut bench,
        &script,
        [Http3Event::AuthenticationNeeded, Http3Event::Closed(CloseReason::IdleTimeout)],
    );
    bench.finish([&mut fetch]);
    assert_eq!(fetch.error(), &NetError::NetTimeout(TimeoutPhase::Connect));
    bench.run_for(SECOND);
    assert_gone(&mut bench, &script);
}

#[test]
fn authentication_that_is_asked_for_after_the_handshake_is_answered_by_nobody() {
    let script = script();
    let (mut bench, mut fetch) = asked(&script, Ask::get("/"));
    play(&mut bench, &script, [Http3Event::AuthenticationNeeded]);
    assert!(!script.take_calls().iter().any(|call| matches!(call, Call::Authenticated(_))));
    play(&mut bench, &script, [head(FIRST, 200, true)]);
    bench.finish([&mut fetch]);
    fetch.expect_pattern(0);
}

#[test]
fn a_server_without_a_certificate_is_refused_without_a_verifier() {
    let script = script();
    script.chain(Vec::new());
    let mut bench = bench(&script);
    let mut fetch = bench.get("/");
    bench.run_for(5 * MS);
    play(&mut bench, &script, [Http3Event::AuthenticationNeeded]);
    assert_eq!(bench.verifications(), 0);
    let refusal = Call::Authenticated(Err(CertificateProblem::Missing));
    assert!(script.take_calls().contains(&refusal));
    let alert = CloseReason::TlsAlert { alert: 42, by_peer: false };
    play(&mut bench, &script, [Http3Event::Closing(alert.clone()), Http3Event::Closed(alert)]);
    bench.finish([&mut fetch]);
    let NetError::Certificate { problem, .. } = fetch.error() else {
        panic!("{:?}", fetch.error())
    };
    assert_eq!(*problem, CertificateProblem::Missing);
    assert_gone(&mut bench, &script);
}

#[test]
fn requests_that_are_creatable_before_the_handshake_is_done_wait_for_it() {
    let script = script();
    let mut bench = bench(&script);
    let mut fetch = bench.get("/");
    bench.run_for(5 * MS);
    play(&mut bench, &script, [Http3Event::RequestsCreatable, Http3Event::RequestsCreatable]);
    assert_eq!(fetched(&script), 0);
    play(&mut bench, &script, [Http3Event::Connected, Http3Event::RequestsCreatable]);
    assert_eq!(fetched(&script), 1);
    play(&mut bench, &script, [head(FIRST, 200, true)]);
    bench.finish([&mut fetch]);
    fetch.expect_pattern(0);
}

#[test]
fn m13_a_handshake_that_is_done_twice_is_done_once() {
    let script = script();
    let mut bench = bench(&script);
    let mut fetches = [bench.get("/a"), bench.get("/b")];
    bench.run_for(5 * MS);
    play(&mut bench, &script, [Http3Event::Connected, Http3Event::Connected]);
    play(&mut bench, &script, [Http3Event::Connected]);
    assert_eq!(fetched(&script), 2);
    play(&mut bench, &script, [head(SECOND_STREAM, 200, true), head(FIRST, 200, true)]);
    bench.finish(&mut fetches);
    for fetch in &fetches {
        fetch.expect_pattern(0);
    }
    assert_eq!(bench.snapshot().lifetime.connections, 1);
}

#[test]
fn h19_a_goaway_that_is_followed_by_the_end_sends_what_was_not_answered_elsewhere() {
    let scripts = [script(), script()];
    let mut bench = Setup::new(1).scripts(scripts.clone()).build();
    for script in &scripts {
        script.event(Http3Event::Connected);
    }
    let mut fetches = [bench.get("/answered"), bench.get("/refused"), bench.get("/open")];
    bench.run_for(10 * MS);
    play(
        &mut bench,
        &scripts[0],
        [
            head(FIRST, 200, true),
            Http3Event::Reset(SECOND_STREAM, ErrorCode::REQUEST_REJECTED),
            Http3Event::GoawayReceived,
            Http3Event::GoawayReceived,
            Http3Event::Closing(BY_PEER),
            Http3Event::Closed(BY_PEER),
        ],
    );
    assert_eq!(bench.snapshot().lifetime.reclaimed, 1);
    assert_eq!(fetched(&scripts[1]), 2);
    play(&mut bench, &scripts[1], [head(FIRST, 201, true), head(SECOND_STREAM, 202, true)]);
    bench.finish(&mut fetches);
    assert_eq!(fetches.each_ref().map(Fetch::status), [200, 201, 202]);
}

/// <https://github.com/mozilla/neqo/pull/1866>
#[test]
fn d2_7_a_closing_that_comes_twice_and_a_close_on_top_are_one() {
    let script = script();
    let (mut bench, mut fetch) = asked(&script, Ask::post("/", "x"));
    play(&mut bench, &script, [Http3Event::Closing(BY_PEER), Http3Event::Closing(BY_PEER)]);
    bench.finish([&mut fetch]);
    assert!(matches!(fetch.error(), NetError::NetReset { .. }), "{:?}", fetch.error());
    bench.close_persistent_connections();
    bench.close_persistent_connections();
    bench.run_for(10 * MS);
    let closes = script.take_calls().iter().filter(|call| matches!(call, Call::Close(_))).count();
    assert_eq!(closes, 1);
    play(&mut bench, &script, [Http3Event::Closed(BY_PEER), Http3Event::Closed(BY_PEER)]);
    assert_gone(&mut bench, &script);
}

#[test]
fn events_that_follow_the_end_are_not_looked_at() {
    let script = script();
    let (mut bench, mut fetch) = asked(&script, Ask::post("/", "x"));
    play(
        &mut bench,
        &script,
        [
            Http3Event::Closed(CloseReason::IdleTimeout),
            head(FIRST, 200, true),
            Http3Event::Connected,
            Http3Event::AuthenticationNeeded,
            Http3Event::GoawayReceived,
            Http3Event::Closing(BY_PEER),
        ],
    );
    bench.finish([&mut fetch]);
    assert_eq!(fetch.error(), &NetError::NetTimeout(TimeoutPhase::Idle));
    assert_eq!(bench.verifications(), 0);
    assert_gone(&mut bench, &script);
}

/// What a request is told when its connection ends like this, before or after the handshake. `None`: it
/// goes again.
#[test]
fn each_end_of_a_connection_has_its_own_error() {
    let code = ErrorCode::INTERNAL_ERROR;
    let application =
        |by_peer| CloseReason::Application { code, by_peer, reason: "words".to_owned() };
    let protocol = |by_peer| NetError::Http3Protocol { code, by_peer, reason: "words".to_owned() };
    let name = || "FLOW_CONTROL_ERROR".to_owned();
    let transport = CloseReason::Transport { name: name(), by_peer: true };
    let quic = NetError::QuicTransport { name: name(), by_peer: true };
    let timeout = |phase| Some(NetError::NetTimeout(phase));
    let reset = |reason: &str| Some(NetError::NetReset { reason: reason.to_owned() });
    let forgotten = "the server no longer knows the connection (stateless reset)";
    let cases = [
        (CloseReason::IdleTimeout, timeout(TimeoutPhase::Connect), timeout(TimeoutPhase::Idle)),
        (CloseReason::StatelessReset, reset(forgotten), None),
        (BY_PEER, reset("the server closed the connection"), None),
        (application(true), Some(protocol(true)), Some(protocol(true))),
        (application(false), Some(protocol(false)), Some(protocol(false))),
        (transport, Some(quic.clone()), Some(quic)),
    ];
    for (reason, before, after) in cases {
        for (connected, expected) in [(false, before), (true, after)] {
            let scripts = [script(), script()];
            let mut bench = Setup::new(1).scripts(scripts.clone()).build();
            let mut fetch = bench.get("/");
            bench.run_for(5 * MS);
            if connected {
                play(&mut bench, &scripts[0], [Http3Event::Connected]);
            }
            let end = [Http3Event::Closing(reason.clone()), Http3Event::Closed(reason.clone())];
            play(&mut bench, &scripts[0], end);
            if expected.is_none() {
                play(&mut bench, &scripts[1], [Http3Event::Connected]);
                play(&mut bench, &scripts[1], [head(FIRST, 200, true)]);
            }
            bench.finish([&mut fetch]);
            assert_eq!(
                fetch.result().err(),
                expected.as_ref(),
                "{reason:?}, connected: {connected}"
            );
            assert_eq!(scripts[0].holders(), 1, "the session let go: {reason:?}");
        }
    }
}
