//! The manager and its connections with a scripted engine: every order of events, no peer, no cryptography.
//! Each test ends with the check that nothing is left alive.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, its helpers included"
)]

mod common;

use connection_mgr::Event;
use http3_session::{CloseReason, Http3Event, SessionState, StreamId, scripted::Call};
use socket_transport::{
    simulated::Node as _,
    walk::{self, Step},
};
use transaction::{CertificateProblem, ErrorCode, NetError};

use common::{Fixture, SECOND, error, head, poll};

#[test]
fn m12_requests_that_come_while_connecting_share_one_connection() {
    let mut fixture = Fixture::new(1);
    let responses: Vec<_> = (0..100).map(|_| fixture.fetch("one.example")).collect();
    fixture.settle();
    let snapshot = fixture.snapshot();
    assert_eq!((snapshot.connections(), snapshot.service.sockets), (1, 1));
    assert_eq!((snapshot.transactions(), snapshot.entries[0].pending), (100, 99));
    assert!(fixture.calls(0).is_empty(), "no stream before the handshake");
    fixture.connected(0);
    let snapshot = fixture.snapshot();
    assert_eq!((snapshot.lifetime.connections, snapshot.entries[0].pending), (1, 0));
    assert_eq!(snapshot.transactions(), responses.len());
    let fetches = fixture.calls(0).iter().filter(|call| matches!(call, Call::Fetch { .. })).count();
    assert_eq!(fetches, 100);
}

#[test]
fn a_response_is_delivered_and_the_connection_stays_for_the_next() {
    let mut fixture = Fixture::new(1);
    let mut first = fixture.fetch("one.example");
    fixture.settle();
    fixture.connected(0);
    fixture.scripts[0].event(head(0, 200, false));
    fixture.scripts[0].data(StreamId::new(0), b"hello", true);
    fixture.nudge();
    let mut body = poll(&mut first).unwrap().unwrap().into_body();
    assert_eq!(body.wait_chunk().unwrap().unwrap(), "hello");
    assert_eq!(body.wait_chunk().unwrap(), None);
    let mut second = fixture.fetch("one.example");
    fixture.settle();
    fixture.play(0, [head(4, 204, true)]);
    assert_eq!(poll(&mut second).unwrap().unwrap().status(), 204);
    assert_eq!(fixture.snapshot().lifetime.connections, 1);
}

#[test]
fn m2_m3_the_handle_dies_with_the_session_and_the_connection_is_reclaimed_once() {
    let mut fixture = Fixture::new(1);
    let mut response = fixture.fetch("one.example");
    fixture.settle();
    fixture.connected(0);
    fixture.play(0, [head(0, 204, true)]);
    assert!(poll(&mut response).unwrap().is_ok());
    assert_eq!(fixture.snapshot().handles, 1, "m1: exactly one handle until the session is closed");
    let steps = walk::record(|| fixture.end_connection(0));
    let of_interest = [Step::CloseTransaction, Step::HandleDropped, Step::ReclaimConnection];
    let order: Vec<_> = steps.into_iter().filter(|step| of_interest.contains(step)).collect();
    // Twice: the peer's close, then the engine's end.
    assert_eq!(order[..2], [Step::CloseTransaction, Step::CloseTransaction]);
    assert_eq!(order[2..], [Step::HandleDropped, Step::ReclaimConnection]);
    let snapshot = fixture.snapshot();
    assert_eq!((snapshot.connections(), snapshot.handles, snapshot.service.sockets), (0, 0, 0));
    assert_eq!(snapshot.lifetime.reclaimed, 1);
    assert!(snapshot.entries.is_empty());
}

#[test]
fn c3_a_closing_connection_keeps_its_socket_and_its_place_on_a_list() {
    let mut fixture = Fixture::new(2);
    let _response = fixture.fetch("one.example");
    fixture.settle();
    fixture.connected(0);
    let code = ErrorCode::new(0x101);
    let reason = CloseReason::Application { code, by_peer: true, reason: String::new() };
    fixture.play(0, [Http3Event::Closing(reason)]);
    let snapshot = fixture.snapshot();
    assert_eq!((snapshot.service.sockets, snapshot.handles, snapshot.connections()), (1, 1, 1));
    assert!(!snapshot.entries[0].connections[0].active);
    let _next = fixture.fetch("one.example");
    fixture.settle();
    assert_eq!(
        fixture.snapshot().connections(),
        2,
        "a new one does not wait for the old one's end"
    );
}

#[test]
fn h27_two_requests_for_authentication_are_one_verification() {
    let mut fixture = Fixture::new(1);
    let _response = fixture.fetch("one.example");
    fixture.settle();
    fixture.scripts[0].chain(vec![b"good".to_vec()]);
    fixture.play(0, [Http3Event::AuthenticationNeeded, Http3Event::AuthenticationNeeded]);
    let authenticated = |call: &Call| matches!(call, Call::Authenticated(Ok(())));
    assert_eq!(fixture.calls(0).iter().filter(|call| authenticated(call)).count(), 1);
}

#[test]
fn a_bad_certificate_fails_every_waiting_request_with_its_own_error() {
    let mut fixture = Fixture::new(1);
    let mut responses = [fixture.fetch("two.example"), fixture.fetch("two.example")];
    fixture.settle();
    fixture.play(0, [Http3Event::AuthenticationNeeded]);
    let problem = CertificateProblem::UnknownIssuer;
    assert!(fixture.calls(0).contains(&Call::Authenticated(Err(problem))));
    let reason = CloseReason::TlsAlert { alert: 48, by_peer: false };
    fixture.play(0, [Http3Event::Closing(reason.clone()), Http3Event::Closed(reason)]);
    for response in &mut responses {
        assert!(matches!(error(response), NetError::Certificate { .. }));
    }
    assert_eq!(fixture.snapshot().lifetime.connections, 1, "no other address is tried");
}

#[test]
fn h26_a_verdict_that_comes_after_the_session_is_ignored() {
    let mut fixture = Fixture::new(1);
    let _response = fixture.fetch("one.example");
    fixture.simulation.network().job_delay(5 * SECOND);
    fixture.simulation.run_for(&mut fixture.stack, 6 * SECOND).unwrap();
    fixture.play(0, [Http3Event::AuthenticationNeeded]);
    fixture.simulation.network().job_delay(100 * SECOND);
    fixture.end_connection(0);
    fixture.simulation.run_for(&mut fixture.stack, 200 * SECOND).unwrap();
    assert_eq!(fixture.snapshot().connections(), 0);
}

#[test]
fn an_address_that_does_not_answer_is_followed_by_the_next() {
    let mut fixture = Fixture::new(2);
    let mut response = fixture.fetch("two.example");
    let mut waiting = fixture.fetch("two.example");
    fixture.settle();
    let timeout = CloseReason::IdleTimeout;
    fixture.play(0, [Http3Event::Closed(timeout.clone())]);
    assert!(poll(&mut response).is_none());
    assert_eq!(fixture.snapshot().lifetime.connections, 2);
    fixture.play(1, [Http3Event::Closed(timeout)]);
    for response in [&mut response, &mut waiting] {
        let NetError::NoAddressAnswered { attempts, .. } = error(response) else { panic!() };
        let timeouts = attempts.iter().filter(|(_, why)| matches!(why, NetError::NetTimeout(_)));
        assert_eq!(timeouts.count(), 2);
    }
}

#[test]
fn an_unknown_host_fails_all_that_wait_for_it() {
    let mut fixture = Fixture::new(0);
    let mut responses = [fixture.fetch("none.example"), fixture.fetch("none.example")];
    fixture.settle();
    for response in &mut responses {
        assert!(matches!(error(response), NetError::UnknownHost { .. }));
    }
    assert!(fixture.snapshot().entries.is_empty());
}

#[test]
fn m15_a_cancelled_request_in_the_queue_leaves_nothing_behind() {
    let mut fixture = Fixture::new(1);
    fixture.simulation.network().job_delay(10 * SECOND);
    let response = fixture.fetch("one.example");
    fixture.settle();
    assert!(fixture.snapshot().entries[0].half_open == connection_mgr::HalfOpenState::Resolving);
    drop(response);
    fixture.settle();
    assert!(fixture.snapshot().entries.is_empty());
    fixture.simulation.run_for(&mut fixture.stack, 20 * SECOND).unwrap();
    assert_eq!(fixture.snapshot().lifetime.connections, 0, "the late answer has no effect");
}

#[test]
fn m16_a_cancelled_request_resets_its_stream_and_no_other() {
    let mut fixture = Fixture::new(1);
    let cancelled = fixture.fetch("one.example");
    let mut sibling = fixture.fetch("one.example");
    fixture.settle();
    fixture.connected(0);
    fixture.calls(0);
    drop(cancelled);
    fixture.settle();
    assert_eq!(
        fixture.calls(0),
        [Call::CancelFetch(StreamId::new(0), ErrorCode::REQUEST_CANCELLED)]
    );
    fixture.play(0, [head(4, 204, true)]);
    assert!(poll(&mut sibling).unwrap().is_ok());
    let snapshot = fixture.snapshot();
    assert!(snapshot.entries[0].connections[0].active, "the connection stays usable");
}

#[test]
fn h5_streams_above_the_limit_wait_and_go_when_the_peer_allows_more() {
    let mut fixture = Fixture::new(1);
    fixture.scripts[0].allow_streams(2);
    let _responses: Vec<_> = (0..5).map(|_| fixture.fetch("one.example")).collect();
    fixture.settle();
    fixture.connected(0);
    let session = |fixture: &mut Fixture| {
        fixture.snapshot().entries[0].connections[0].session.clone().expect("open")
    };
    assert_eq!(session(&mut fixture).queued_streams, 3);
    fixture.scripts[0].allow_streams(4);
    fixture.play(0, [Http3Event::RequestsCreatable]);
    assert_eq!(session(&mut fixture).queued_streams, 1);
}

#[test]
fn h6_events_that_come_twice_queue_a_stream_once() {
    let mut fixture = Fixture::new(1);
    let _response = fixture.fetch("one.example");
    fixture.settle();
    fixture.connected(0);
    let writable = Http3Event::DataWritable(StreamId::new(0));
    for event in [writable.clone(), writable.clone(), writable] {
        fixture.scripts[0].event(event);
    }
    let steps = walk::record(|| fixture.nudge());
    assert_eq!(steps.iter().filter(|step| **step == Step::ReadSegments).count(), 1);
}

#[test]
fn h16_h17_connections_that_must_not_be_used_again_close_after_their_last_stream() {
    let mut fixture = Fixture::new(2);
    let mut running = fixture.fetch("one.example");
    fixture.settle();
    fixture.connected(0);
    assert!(fixture.stack.poster().submit(Event::ClosePersistentConnections).is_ok());
    fixture.settle();
    assert!(!fixture.calls(0).contains(&Call::Close(ErrorCode::NO_ERROR)));
    let _next = fixture.fetch("one.example");
    fixture.settle();
    assert_eq!(fixture.snapshot().lifetime.connections, 2, "h17: no new request on the old one");
    fixture.play(0, [head(0, 204, true)]);
    assert!(poll(&mut running).unwrap().is_ok());
    assert!(fixture.calls(0).contains(&Call::Close(ErrorCode::NO_ERROR)));
    fixture.play(0, [Http3Event::Closed(CloseReason::NoError { by_peer: false })]);
    assert_eq!(fixture.snapshot().lifetime.reclaimed, 1);
}

#[test]
fn h18_improved_an_idle_session_that_gets_goaway_closes() {
    let mut fixture = Fixture::new(1);
    let mut response = fixture.fetch("one.example");
    fixture.settle();
    fixture.connected(0);
    fixture.play(0, [head(0, 204, true)]);
    assert!(poll(&mut response).unwrap().is_ok());
    fixture.play(0, [Http3Event::GoawayReceived]);
    assert!(fixture.calls(0).contains(&Call::Close(ErrorCode::NO_ERROR)));
}

#[test]
fn h19_after_goaway_refused_streams_restart_elsewhere_and_the_others_finish() {
    let mut fixture = Fixture::new(2);
    let mut kept = fixture.fetch("one.example");
    let mut refused = fixture.fetch("one.example");
    fixture.settle();
    fixture.connected(0);
    fixture.play(
        0,
        [
            Http3Event::Reset(StreamId::new(4), ErrorCode::REQUEST_REJECTED),
            Http3Event::GoawayReceived,
        ],
    );
    assert!(poll(&mut kept).is_none() && poll(&mut refused).is_none());
    assert_eq!(fixture.snapshot().lifetime.connections, 2);
    fixture.connected(1);
    fixture.play(1, [head(0, 204, true)]);
    assert_eq!(poll(&mut refused).unwrap().unwrap().status(), 204);
    fixture.play(0, [head(0, 200, true)]);
    assert_eq!(poll(&mut kept).unwrap().unwrap().status(), 200);
    assert!(fixture.calls(0).contains(&Call::Close(ErrorCode::NO_ERROR)));
}

#[test]
fn h25_a_request_without_an_answer_goes_again_when_the_peer_closes_in_good_order() {
    let mut fixture = Fixture::new(2);
    let mut response = fixture.fetch("one.example");
    fixture.settle();
    fixture.connected(0);
    fixture.end_connection(0);
    assert!(poll(&mut response).is_none());
    fixture.connected(1);
    fixture.play(1, [head(0, 204, true)]);
    assert!(poll(&mut response).unwrap().is_ok());
}

#[test]
fn events_for_what_is_gone_are_harmless() {
    let mut fixture = Fixture::new(1);
    let response = fixture.fetch("one.example");
    fixture.settle();
    fixture.connected(0);
    drop(response);
    fixture.settle();
    let stream = StreamId::new(0);
    fixture.play(
        0,
        [
            Http3Event::DataReadable(stream),
            Http3Event::DataWritable(stream),
            head(0, 200, true),
            Http3Event::Reset(stream, ErrorCode::NO_ERROR),
            Http3Event::StopSending(stream, ErrorCode::NO_ERROR),
            Http3Event::Connected,
            Http3Event::RequestsCreatable,
        ],
    );
    assert_eq!(fixture.snapshot().connections(), 1);
}

#[test]
fn m20_shutdown_fails_what_waits_and_what_runs_and_says_goodbye() {
    let mut fixture = Fixture::new(1);
    let mut running = fixture.fetch("one.example");
    fixture.settle();
    fixture.connected(0);
    fixture.simulation.network().job_delay(10 * SECOND);
    let mut waiting = fixture.fetch("two.example");
    fixture.settle();
    fixture.stack.service().shutdown();
    fixture.settle();
    for response in [&mut running, &mut waiting] {
        assert_eq!(error(response), NetError::ShuttingDown);
    }
    assert!(fixture.calls(0).contains(&Call::Close(ErrorCode::NO_ERROR)));
    assert!(!fixture.stack.turn().unwrap());
    fixture.simulation.run_for(&mut fixture.stack, 20 * SECOND).unwrap();
}

#[test]
fn c5_a_socket_that_fails_ends_its_session_at_once() {
    let mut fixture = Fixture::new(1);
    let mut response = fixture.fetch("one.example");
    fixture.settle();
    fixture.connected(0);
    let network = fixture.simulation.network().clone();
    fixture.scripts[0].datagram(b"x");
    network.fail_next_send([198, 51, 100, 1].into(), std::io::ErrorKind::PermissionDenied);
    fixture.nudge();
    assert!(matches!(error(&mut response), NetError::Socket { .. }));
    assert_eq!(fixture.snapshot().lifetime.reclaimed, 1);
}

#[test]
fn one_snapshot_tells_of_every_list_session_and_byte() {
    let mut fixture = Fixture::new(2);
    let response = fixture.fetch("one.example");
    fixture.settle();
    fixture.connected(0);
    fixture.scripts[0].event(head(0, 200, false));
    fixture.scripts[0].data(StreamId::new(0), &[7; 1000], false);
    fixture.nudge();
    let _connecting = fixture.fetch("two.example");
    fixture.settle();
    let snapshot = fixture.snapshot();
    let states = [SessionState::Initializing, SessionState::Connected, SessionState::Closing];
    assert_eq!(states.map(|state| snapshot.sessions(state)), [1, 1, 0]);
    assert_eq!((snapshot.buffered(), snapshot.handles, snapshot.transactions()), (1000, 2, 2));
    // Each has one, and so has the race for the second address.
    assert_eq!((snapshot.service.sockets, snapshot.service.timers), (2, 3));
    drop(response);
    fixture.settle();
    assert_eq!(fixture.snapshot().buffered(), 0);
}
