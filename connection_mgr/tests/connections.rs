//! One connection as the manager has it: what still reaches it when it ends, and that nothing does afterwards.
//! Each test ends with the fixture's check that nothing is left alive.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, its helpers included"
)]

mod common;

use connection_mgr::{Event, Snapshot};
use http3_session::{CloseReason, FetchError, Http3Event, SessionState, StreamId, scripted::Call};
use socket_transport::{
    simulated::Node as _,
    walk::{self, Step},
};
use transaction::{ErrorCode, NetError, ResponseBody};

use common::{Fixture, SECOND, error, head, poll};

const BY_PEER: CloseReason = CloseReason::NoError { by_peer: true };

/// A connection with a response whose consumer has the head.
fn with_response(fixture: &mut Fixture) -> ResponseBody {
    let mut response = fixture.fetch("one.example");
    fixture.settle();
    fixture.connected(0);
    fixture.scripts[0].event(head(0, 200, false));
    fixture.scripts[0].data(StreamId::new(0), &vec![7; 200_000], false);
    fixture.nudge();
    poll(&mut response).expect("a head").expect("a response").into_body()
}

/// One turn, as long as time stands still.
fn turn(fixture: &mut Fixture) -> Vec<Step> {
    walk::record(|| {
        let _ = fixture.stack.turn().expect("a working service");
    })
}

fn state(snapshot: &Snapshot) -> Option<SessionState> {
    let connection = snapshot.entries.first()?.connections.first()?;
    connection.session.as_ref().map(|session| session.state)
}

/// The engine ends, and in the same turn everything comes that can come late: a packet, the consumer's wishes,
/// the wake-ups that they post.
#[test]
fn c2_what_comes_after_the_session_does_not_touch_the_engine() {
    let mut fixture = Fixture::new(1);
    let mut body = with_response(&mut fixture);
    fixture.calls(0);
    fixture.scripts[0].event(Http3Event::Closed(CloseReason::IdleTimeout));
    let network = fixture.simulation.network().clone();
    network.advance(31 * SECOND);
    // The timer is due. Behind it wait `ForceRecv` and, twice over, `ResumeSend`.
    while body.try_chunk().is_some() {}
    assert!(fixture.stack.poster().submit(Event::ClosePersistentConnections).is_ok());
    drop(body);
    let steps = turn(&mut fixture);
    assert!(steps.contains(&Step::SessionClosed), "{steps:?}");
    fixture.calls(0);
    fixture.scripts[0].event(Http3Event::Connected);
    network.fail_next_receive(([198, 51, 100, 1], 49152).into(), std::io::ErrorKind::Other);

    let steps = walk::record(|| fixture.nudge());
    let of_the_session = [Step::RecvData, Step::SendData, Step::ProcessOutput, Step::ProcessEvents];
    assert!(!steps.iter().any(|step| of_the_session.contains(step)), "{steps:?}");
    assert_eq!(fixture.calls(0), []);
}

#[test]
fn c4_when_the_engine_has_ended_the_session_the_timer_and_the_socket_go() {
    let mut fixture = Fixture::new(1);
    let _body = with_response(&mut fixture);
    let before = fixture.snapshot();
    assert_eq!((before.service.timers, before.service.sockets, before.handles), (1, 1, 1));

    fixture.scripts[0].event(Http3Event::Closed(CloseReason::StatelessReset));
    fixture.simulation.network().advance(31 * SECOND);
    let steps = turn(&mut fixture);
    assert_eq!(
        steps[steps.len() - 3..],
        [Step::SessionClosed, Step::HandleDropped, Step::ConnectionClose]
    );
    let after = fixture.snapshot();
    // What is left is the object, until it is reclaimed, and a socket that waits for the service's next turn.
    assert_eq!((after.connections(), state(&after)), (1, None));
    assert_eq!((after.service.timers, after.handles), (0, 0));
    assert_eq!(fixture.scripts[0].holders(), 1, "the engine is gone");

    let steps = turn(&mut fixture);
    assert_eq!(steps[..2], [Step::OnSocketDetached, Step::OnStopListening]);
    let after = fixture.snapshot();
    assert_eq!((after.service.sockets, after.connections()), (0, 0));
}

/// Necko makes the connection all the same, whose `Activate` then fails. Here there is none: the engine can't be
/// made, so the socket goes again, and all that waited for a connection are told.
#[test]
fn c1_c12_an_error_before_connecting_fails_what_waits_and_leaves_no_connection() {
    let mut fixture = Fixture::new(0);
    let mut responses = [fixture.fetch("one.example"), fixture.fetch("one.example")];
    fixture.settle();
    for response in &mut responses {
        assert!(matches!(error(response), NetError::Internal(_)));
    }
    let snapshot = fixture.snapshot();
    assert_eq!(snapshot.expect_empty(), Ok(()));
    assert_eq!((snapshot.lifetime.connections, snapshot.lifetime.dispatched), (0, 0));
}

/// Its descriptor is good for nothing any more, which the service finds out and tells: no farewell is possible.
#[test]
fn c5_a_socket_that_is_gone_ends_its_session_whatever_its_state() {
    for closing in [false, true] {
        let mut fixture = Fixture::new(1);
        let mut response = fixture.fetch("one.example");
        fixture.settle();
        fixture.connected(0);
        if closing {
            let code = ErrorCode::INTERNAL_ERROR;
            let reason = CloseReason::Application { code, by_peer: true, reason: String::new() };
            fixture.play(0, [Http3Event::Closing(reason)]);
        }
        fixture.calls(0);
        fixture.simulation.network().break_socket(([198, 51, 100, 1], 49152).into());
        fixture.settle();
        let snapshot = fixture.snapshot();
        assert_eq!((snapshot.connections(), snapshot.handles, snapshot.service.timers), (0, 0, 0));
        assert_eq!(fixture.calls(0), [], "no farewell");
        let error = error(&mut response);
        assert_eq!(matches!(error, NetError::Socket { .. }), !closing, "{error:?}");
    }
}

#[test]
fn c6_a_connection_closes_once() {
    let mut fixture = Fixture::new(1);
    let _body = with_response(&mut fixture);
    let steps = walk::record(|| {
        // By the peer, by its socket, by the end of its engine, and by the manager.
        let address = ([198, 51, 100, 1], 49152).into();
        fixture.simulation.network().fail_next_receive(address, std::io::ErrorKind::Other);
        fixture.scripts[0].event(Http3Event::Closing(BY_PEER));
        fixture.scripts[0].event(Http3Event::Closed(BY_PEER));
        assert!(fixture.stack.poster().submit(Event::ClosePersistentConnections).is_ok());
        fixture.nudge();
        fixture.stack.service().shutdown();
        fixture.settle();
    });
    for once in [
        Step::SessionClose,
        Step::SessionClosed,
        Step::HandleDropped,
        Step::ConnectionClose,
        Step::OnSocketDetached,
        Step::ReclaimConnection,
    ] {
        assert_eq!(steps.iter().filter(|step| **step == once).count(), 1, "{once}: {steps:?}");
    }
}

/// Seen from outside, turn by turn; that it holds in any order of events is shown with the session.
#[test]
fn c7_the_state_of_a_connection_never_goes_back() {
    let mut fixture = Fixture::new(1);
    let _response = fixture.fetch("one.example");
    fixture.settle();
    let events = [
        Http3Event::Connected,
        Http3Event::AuthenticationNeeded,
        Http3Event::Connected,
        Http3Event::GoawayReceived,
        Http3Event::Closing(CloseReason::StatelessReset),
        Http3Event::Connected,
        Http3Event::Closing(BY_PEER),
    ];
    let mut before = SessionState::Initializing;
    for event in events {
        fixture.play(0, [event]);
        // Without one it has ended.
        let now = state(&fixture.snapshot()).unwrap_or(SessionState::Closed);
        assert!(before <= now, "from {before:?} to {now:?}");
        before = now;
    }
    assert_eq!(before, SessionState::Closed);
}

/// Improved: necko posts an event for each call of `ResumeSend` and `ForceRecv`, and has a timer of 17 ms for
/// `ForceSend`.
#[test]
fn c8_any_number_of_wishes_is_one_wake_up_and_a_later_one_is_another() {
    let mut fixture = Fixture::new(1);
    let mut responses: Vec<_> = (0..50).map(|_| fixture.fetch("one.example")).collect();
    fixture.settle();
    fixture.connected(0);
    fixture.calls(0);
    for left in [30, 10] {
        responses.truncate(left);
        let before = fixture.snapshot().service.turns;
        let steps = walk::record(|| fixture.settle());
        assert_eq!(steps.iter().filter(|step| **step == Step::SendData).count(), 1, "{steps:?}");
        assert!(!steps.contains(&Step::RecvData));
        let cancelled = |call: &Call| matches!(call, Call::CancelFetch(..));
        assert_eq!(fixture.calls(0).iter().filter(|call| cancelled(call)).count(), 20);
        let turns = fixture.snapshot().service.turns - before;
        assert!(turns < 10, "{turns} turns");
    }
}

/// Its keys are stale: what was kept of them finds nothing, also when others have taken its places.
#[test]
fn c9_a_reclaimed_connection_is_known_to_nobody() {
    let mut fixture = Fixture::new(2);
    let body = with_response(&mut fixture);
    fixture.end_connection(0);
    let snapshot = fixture.snapshot();
    let service = &snapshot.service;
    assert_eq!((service.sockets, service.timers, service.posted_events), (0, 0, 0));
    assert_eq!((service.wakers, snapshot.handles, snapshot.connections()), (0, 0, 0));
    assert_eq!(fixture.scripts[0].holders(), 1);

    // The next connection may well be in the same place.
    let mut second = fixture.fetch("one.example");
    fixture.settle();
    fixture.connected(1);
    fixture.calls(1);
    drop(body);
    fixture.settle();
    assert_eq!(fixture.calls(1), [], "what is wished of the old one doesn't reach the new one");
    fixture.play(1, [head(0, 204, true)]);
    assert!(poll(&mut second).expect("ended").is_ok());
}

/// The rule that the compiler keeps (see the page of `http3_session`), looked at from outside: while one of the
/// three drivers runs, none is begun.
#[test]
fn c11_drivers_are_never_nested() {
    let mut fixture = Fixture::new(1);
    let steps = walk::record(|| {
        let mut body = with_response(&mut fixture);
        fixture.scripts[0].data(StreamId::new(0), &vec![7; 200_000], true);
        while body.try_chunk().is_some() {}
        fixture.nudge();
        while body.try_chunk().is_some() {}
        fixture.nudge();
        fixture.end_connection(0);
    });
    // A driver ends with the events that its output led to; `recv_data` goes on as `send_data`.
    let mut running = None;
    for (place, step) in steps.iter().enumerate() {
        match step {
            Step::RecvData | Step::OnQuicTimeoutExpired => {
                assert_eq!(running, None, "{place}: {steps:?}");
                running = Some(*step);
            }
            Step::SendData => {
                assert!(matches!(running, None | Some(Step::RecvData)), "{place}: {steps:?}");
                running = Some(*step);
            }
            Step::ProcessEvents if running != Some(Step::RecvData) => running = None,
            Step::CloseTransaction => running = None,
            _ => {}
        }
    }
}

#[test]
fn h31_a_request_that_the_engine_refuses_leaves_its_siblings_and_the_connection_alone() {
    let mut fixture = Fixture::new(1);
    let mut sibling = fixture.fetch("one.example");
    fixture.settle();
    fixture.connected(0);
    fixture.scripts[0].refuse(Some(FetchError::Rejected("not like this".into())));
    let mut refused = fixture.fetch("one.example");
    fixture.settle();
    assert_eq!(error(&mut refused), NetError::InvalidRequest("not like this".into()));
    fixture.scripts[0].refuse(None);
    fixture.play(0, [head(0, 204, true)]);
    assert!(poll(&mut sibling).expect("ended").is_ok());
    let snapshot = fixture.snapshot();
    assert!(snapshot.entries[0].connections[0].active);
    assert_eq!((snapshot.lifetime.connections, snapshot.transactions()), (1, 0));
}

/// Twice, and both times before anybody looked: the streams that are refused go elsewhere, each once.
#[test]
fn h19_a_second_goaway_with_a_lower_number_refuses_more() {
    let mut fixture = Fixture::new(2);
    let mut responses: Vec<_> = (0..4).map(|_| fixture.fetch("one.example")).collect();
    fixture.settle();
    fixture.connected(0);
    let refuse = |stream| Http3Event::Reset(StreamId::new(stream), ErrorCode::REQUEST_REJECTED);
    fixture.play(0, [refuse(12), Http3Event::GoawayReceived]);
    assert_eq!(fixture.snapshot().lifetime.connections, 2);
    fixture.connected(1);
    fixture.play(0, [refuse(4), refuse(8), Http3Event::GoawayReceived]);
    let fetched = fixture.calls(1);
    let fetched = fetched.iter().filter(|call| matches!(call, Call::Fetch { .. })).count();
    assert_eq!(fetched, 3);
    fixture.play(1, [head(0, 204, true), head(4, 204, true), head(8, 204, true)]);
    fixture.play(0, [head(0, 204, true)]);
    for response in &mut responses {
        assert!(poll(response).expect("ended").is_ok());
    }
    assert!(fixture.calls(0).contains(&Call::Close(ErrorCode::NO_ERROR)), "and then it closes");
}

/// The engine of this test never says that it has ended.
#[test]
fn c4_a_closing_period_is_not_longer_than_it_need_be() {
    let mut fixture = Fixture::new(1);
    let mut response = fixture.fetch("one.example");
    fixture.settle();
    fixture.connected(0);
    fixture.scripts[0].callback(Some(600 * SECOND));
    assert!(fixture.stack.poster().submit(Event::AbortAllConnections).is_ok());
    fixture.settle();
    assert_eq!(error(&mut response), NetError::Aborted);
    let snapshot = fixture.snapshot();
    assert_eq!((snapshot.sessions(SessionState::Closing), snapshot.service.sockets), (1, 1));
    fixture.simulation.run_for(&mut fixture.stack, 13 * SECOND).expect("no spin");
    assert_eq!(fixture.snapshot().connections(), 1, "late packets can still be answered");
    fixture.simulation.run_for(&mut fixture.stack, 2 * SECOND).expect("no spin");
    assert_eq!(fixture.snapshot().expect_empty(), Ok(()));
    assert_eq!(fixture.snapshot().lifetime.reclaimed, 1);
}
