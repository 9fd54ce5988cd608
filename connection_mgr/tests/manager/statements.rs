//! Statements on handles, reclaim, lists and queues.

use connection_mgr::{ConnectionInfo, EntrySnapshot, Event};
use http::StatusCode;
use http3_session::{CloseReason, Http3Event, StreamId, scripted::Call};
use transaction::{AddressFamily, ErrorCode, NetError};

use crate::{
    common::{Fixture, SECOND, head, poll},
    machine::{Machine, assert_answered, assert_error, fetches},
};

/// Connections of an entry: active, idle, draining.
fn lists(entry: &EntrySnapshot) -> [usize; 3] {
    let count = |active, idle| {
        let connections = entry.connections.iter();
        connections.filter(|one| (one.active, one.idle) == (active, idle)).count()
    };
    [count(true, false), count(false, true), count(false, false)]
}

#[test]
fn m1_every_connection_has_one_handle_from_its_making_to_the_end_of_its_closing_period() {
    let mut machine = Machine::new(3);
    let handles = |machine: &mut Machine| {
        let snapshot = machine.snapshot();
        let held = |entry: &EntrySnapshot| {
            let sessions = entry.connections.iter().flat_map(|one| &one.session);
            sessions.filter(|session| session.handle).count()
        };
        let held: usize = snapshot.entries.iter().map(held).sum();
        assert_eq!((held, snapshot.connections()), (snapshot.handles, snapshot.handles));
        snapshot.handles
    };
    let _connecting = machine.get("a.example");
    assert_eq!(handles(&mut machine), 1);
    let _other = machine.get("two.example");
    assert_eq!(handles(&mut machine), 2);
    machine.connected(0);
    let reason = CloseReason::NoError { by_peer: true };
    machine.play(0, [Http3Event::Closing(reason.clone())]);
    assert_eq!(handles(&mut machine), 3, "one closes, and there is a new one");
    machine.play(0, [Http3Event::Closed(reason)]);
    assert_eq!(handles(&mut machine), 2);
}

#[test]
fn m2_m20_a_shutdown_lets_every_handle_go_and_reclaims_nothing() {
    let mut machine = Machine::new(2);
    let mut responses = [machine.get("a.example"), machine.get("two.example")];
    machine.connected(0);
    machine.stack.service().shutdown();
    machine.settle();
    let snapshot = machine.snapshot();
    assert_eq!((snapshot.handles, snapshot.lifetime.reclaimed), (0, 0));
    for response in &mut responses {
        assert_error(response, &NetError::ShuttingDown);
    }
}

#[test]
fn m3_a_reclaim_has_the_queue_served() {
    let mut machine = Machine::with(2, |parts| parts.limits.max_connections = 1);
    let mut running = machine.get("a.example");
    machine.connected(0);
    machine.play(0, [Http3Event::GoawayReceived]);
    let mut waiting = machine.get("a.example");
    assert_eq!((machine.begun(), machine.entry("a.example").unwrap().pending), (1, 1));
    machine.answer(0, 0);
    assert_answered(&mut running);
    machine.end_connection(0);
    let entry = machine.entry("a.example").unwrap();
    assert_eq!((lists(&entry), entry.pending), ([1, 0, 0], 0));
    machine.connected(1);
    machine.answer(1, 0);
    assert_answered(&mut waiting);
}

#[test]
fn m4_m24_an_unused_connection_waits_among_the_active_ones_and_no_clock_touches_it() {
    let mut machine = Machine::new(1);
    let mut response = machine.get("a.example");
    machine.connected(0);
    machine.answer(0, 0);
    assert_answered(&mut response);
    machine.calls(0);
    machine.scripts[0].callback(None);
    machine.nudge();
    assert_eq!(machine.snapshot().service.timers, 1, "the engine's, which is not set");
    machine.calls(0);
    machine.run_for(24 * 3600 * SECOND);
    assert!(machine.calls(0).is_empty(), "nothing looked at it in a day");
    assert_eq!(lists(&machine.entry("a.example").unwrap()), [1, 0, 0]);
    let _next = machine.get("a.example");
    assert_eq!(fetches(&machine.scripts[0]), 1);
}

#[test]
fn m7_m21_a_draining_connection_does_not_count_and_is_reclaimed_from_its_list() {
    let mut machine = Machine::new(2);
    let mut running = machine.get("a.example");
    machine.connected(0);
    machine.submit(Event::NetworkChanged);
    assert_eq!(lists(&machine.entry("a.example").unwrap()), [0, 0, 1]);
    let mut next = machine.get("a.example");
    assert_eq!(lists(&machine.entry("a.example").unwrap()), [1, 0, 1]);
    machine.connected(1);
    machine.answer(0, 0);
    assert_answered(&mut running);
    assert!(machine.calls(0).contains(&Call::Close(ErrorCode::NO_ERROR)));
    machine.end_connection(0);
    assert_eq!(lists(&machine.entry("a.example").unwrap()), [1, 0, 0]);
    assert_eq!(machine.snapshot().lifetime.reclaimed, 1);
    machine.answer(1, 0);
    assert_answered(&mut next);
}

#[test]
fn m21_an_unused_connection_closes_when_the_network_changes() {
    let mut machine = Machine::new(1);
    let mut response = machine.get("a.example");
    machine.connected(0);
    machine.answer(0, 0);
    assert_answered(&mut response);
    machine.submit(Event::NetworkChanged);
    assert!(machine.calls(0).contains(&Call::Close(ErrorCode::NO_ERROR)));
    machine.end_connection(0);
    assert!(machine.snapshot().entries.is_empty());
}

#[test]
fn m21_who_waits_for_a_handshake_on_the_old_network_does_not() {
    let mut machine = Machine::new(2);
    let mut responses = [machine.get("two.example"), machine.get("two.example")];
    machine.name("two.example", &[3]);
    machine.submit(Event::NetworkChanged);
    let entry = machine.entry("two.example").unwrap();
    assert_eq!((lists(&entry), entry.pending), ([1, 0, 0], 1), "nothing is left of the old one");
    let peers: Vec<_> = entry.connections.iter().map(|one| one.peer.clone()).collect();
    assert_eq!(peers, ["192.0.2.3:443"], "the new address, not the next old one");
    machine.connected(1);
    machine.play(1, [head(0, 204, true), head(4, 204, true)]);
    responses.iter_mut().for_each(assert_answered);
}

#[test]
fn m8_improved_connections_that_never_came_about_leave_nothing_to_be_counted() {
    let mut machine = Machine::new(50);
    for script in 0..50 {
        let mut response = machine.get("a.example");
        machine.play(script, [Http3Event::Closed(CloseReason::IdleTimeout)]);
        assert!(poll(&mut response).unwrap().is_err());
        let snapshot = machine.snapshot();
        assert_eq!((snapshot.connections(), snapshot.coalescable, snapshot.handles), (0, 0, 0));
    }
    let lifetime = machine.snapshot().lifetime;
    assert_eq!((lifetime.connections, lifetime.reclaimed), (50, 50));
}

#[test]
fn m10_an_entry_is_forgotten_with_the_last_thing_in_it_and_not_before() {
    let mut machine = Machine::new(2);
    machine.job_delay(5 * SECOND);
    let mut response = machine.get("a.example");
    assert!(
        machine.entry("a.example").unwrap().half_open == connection_mgr::HalfOpenState::Resolving
    );
    machine.run_for(5 * SECOND);
    machine.connected(0);
    machine.answer(0, 0);
    assert_answered(&mut response);
    assert_eq!(lists(&machine.entry("a.example").unwrap()), [1, 0, 0]);
    machine.play(0, [Http3Event::GoawayReceived]);
    assert_eq!(lists(&machine.entry("a.example").unwrap()), [0, 0, 1]);
    machine.end_connection(0);
    assert!(machine.entry("a.example").is_none());
}

#[test]
fn m11_m12_an_entry_makes_one_connection_however_many_wait_and_one_look_up() {
    let mut machine = Machine::new(1);
    machine.job_delay(5 * SECOND);
    let responses: Vec<_> = (0..50).map(|_| machine.fetch("two.example")).collect();
    machine.settle();
    let snapshot = machine.snapshot();
    assert_eq!((snapshot.service.jobs_in_flight, snapshot.service.timers), (1, 1));
    machine.run_for(5 * SECOND);
    let entry = machine.entry("two.example").unwrap();
    assert_eq!((lists(&entry), entry.pending), ([1, 0, 0], 49));
    machine.connected(0);
    assert_eq!(fetches(&machine.scripts[0]), responses.len());
    assert_eq!(machine.entry("two.example").unwrap().pending, 0);
}

#[test]
fn m13_what_is_reported_twice_is_reported_once() {
    let mut machine = Machine::new(1);
    let _response = machine.get("a.example");
    machine.play(0, [Http3Event::Connected, Http3Event::Connected]);
    machine.play(0, [Http3Event::Connected]);
    assert_eq!(machine.snapshot().coalescable, 1);
}

/// The handshake is complete and the peer closes, all in one turn: that is no failure to connect, for which
/// those who wait would fail as well.
#[test]
fn m13_h25_a_connection_that_is_connected_for_less_than_a_turn_was_connected() {
    let mut machine = Machine::new(2);
    let mut responses = [machine.get("a.example"), machine.get("a.example")];
    let reason = CloseReason::NoError { by_peer: true };
    machine.play(0, [Http3Event::Connected, Http3Event::Closing(reason.clone())]);
    machine.play(0, [Http3Event::Closed(reason)]);
    assert_eq!((machine.begun(), machine.snapshot().lifetime.reclaimed), (2, 1));
    machine.connected(1);
    machine.play(1, [head(0, 204, true), head(4, 204, true)]);
    responses.iter_mut().for_each(assert_answered);
}

#[test]
fn m15_the_last_one_that_is_cancelled_ends_the_look_up_and_the_others_don_t() {
    let mut machine = Machine::new(1);
    machine.job_delay(5 * SECOND);
    let (first, second) = (machine.get("a.example"), machine.get("a.example"));
    drop(first);
    machine.settle();
    let entry = machine.entry("a.example").unwrap();
    assert!(entry.half_open == connection_mgr::HalfOpenState::Resolving && entry.pending == 1);
    drop(second);
    machine.settle();
    let snapshot = machine.snapshot();
    assert_eq!((snapshot.entries.len(), snapshot.service.timers), (0, 0));
}

#[test]
fn m15_a_cancelled_request_is_told_so_in_whatever_place_it_waits() {
    let mut machine = Machine::new(1);
    let _connecting = machine.get("a.example");
    let waiting = machine.get("a.example");
    assert_eq!(machine.entry("a.example").unwrap().pending, 1);
    drop(waiting);
    machine.settle();
    assert_eq!(machine.entry("a.example").unwrap().pending, 0);
    machine.connected(0);
    assert_eq!(fetches(&machine.scripts[0]), 1, "it is never sent");
}

#[test]
fn m17_a_request_whose_urgency_changes_while_it_waits_takes_another_place() {
    let mut machine = Machine::new(1);
    let mut responses: Vec<_> = (0..4).map(|_| machine.get("a.example")).collect();
    responses[3].set_priority(transaction::Priority::new(0, false));
    responses[1].set_priority(transaction::Priority::new(7, false));
    machine.settle();
    machine.connected(0);
    let paths: Vec<_> = machine.calls(0).into_iter().filter_map(path).collect();
    assert_eq!(paths, ["/1", "/4", "/3", "/2"]);
    for stream in 0..4 {
        machine.answer(0, stream * 4);
    }
    responses.iter_mut().for_each(assert_answered);
}

fn path(call: Call) -> Option<String> {
    if let Call::Fetch { path, .. } = call { Some(path) } else { None }
}

#[test]
fn m19_a_look_up_that_takes_too_long_leaves_no_timer_and_its_answer_finds_nobody() {
    let mut machine = Machine::with(1, |parts| parts.limits.attempt_timeout = 5 * SECOND);
    machine.job_delay(20 * SECOND);
    let mut response = machine.get("a.example");
    machine.run_for(6 * SECOND);
    let timeout = NetError::NetTimeout(transaction::TimeoutPhase::Resolve);
    assert_error(&mut response, &timeout);
    let snapshot = machine.snapshot();
    assert_eq!((snapshot.entries.len(), snapshot.service.timers), (0, 0));
    // A new one has its own look-up: the old answer is not for it.
    machine.job_delay(SECOND);
    machine.run_for(12 * SECOND);
    machine.job_delay(4 * SECOND);
    let _next = machine.get("a.example");
    machine.run_for(2 * SECOND);
    assert_eq!(machine.begun(), 0);
    machine.run_for(2 * SECOND);
    assert_eq!(machine.begun(), 1);
}

#[test]
fn m20_what_comes_after_a_shutdown_is_refused_and_late_answers_find_nobody() {
    let mut machine = Machine::new(1);
    machine.job_delay(5 * SECOND);
    let mut waiting = machine.get("a.example");
    let fixture: &mut Fixture = &mut machine;
    fixture.stack.service().shutdown();
    fixture.settle();
    assert_error(&mut waiting, &NetError::ShuttingDown);
    fixture.simulation.run_for(&mut fixture.stack, 10 * SECOND).unwrap();
    let snapshot = fixture.snapshot();
    assert_eq!((snapshot.lifetime.connections, snapshot.entries.len()), (0, 0));
}

#[test]
fn m23_what_runs_goes_on_and_what_waits_for_a_handshake_gets_another_connection_after_it() {
    let mut machine = Machine::new(2);
    let mut first = machine.get("a.example");
    let mut waiting = machine.get("a.example");
    machine.submit(Event::ClosePersistentConnections);
    assert_eq!(machine.begun(), 1);
    machine.connected(0);
    assert_eq!(machine.begun(), 2, "the one that it was made for is on it, the other is not");
    machine.answer(0, 0);
    assert_answered(&mut first);
    machine.connected(1);
    machine.answer(1, 0);
    assert_answered(&mut waiting);
}

#[test]
fn m26_improved_after_an_abort_of_all_nothing_is_left_and_nothing_goes_again() {
    let mut machine = Machine::new(3);
    let mut running = machine.get("a.example");
    machine.connected(0);
    machine.play(0, [head(0, 200, false)]);
    let mut without_id = machine.fetch("a.example");
    let mut connecting = machine.get("two.example");
    let mut queued = machine.get("two.example");
    machine.job_delay(50 * SECOND);
    let mut looked_up = machine.get("c.example");
    machine.submit(Event::AbortAllConnections);
    for response in [&mut without_id, &mut connecting, &mut queued, &mut looked_up] {
        assert_error(response, &NetError::Aborted);
    }
    let mut body = poll(&mut running).unwrap().unwrap().into_body();
    assert_eq!(body.wait_chunk().unwrap_err(), NetError::Aborted);
    assert!(machine.entry("c.example").is_none());
    assert_eq!(machine.snapshot().coalescable, 0);
    machine.end_connection(0);
    machine.end_connection(1);
    let snapshot = machine.snapshot();
    assert_eq!((snapshot.entries.len(), snapshot.lifetime.connections), (0, 2));
}

#[test]
fn t3_a_request_goes_to_six_connections_at_most() {
    let mut machine = Machine::new(7);
    let mut response = machine.get("a.example");
    for script in 0..6 {
        assert!(poll(&mut response).is_none());
        machine.connected(script);
        machine.end_connection(script);
    }
    assert!(matches!(poll(&mut response).unwrap().unwrap_err(), NetError::NetReset { .. }));
    assert_eq!(machine.begun(), 6);
}

#[test]
fn m8_improved_what_was_over_a_whole_life_is_counted() {
    let mut machine = Machine::new(3);
    let responses = [machine.get("a.example"), machine.get("a.example"), machine.get("b.example")];
    let lifetime = machine.snapshot().lifetime;
    assert_eq!((lifetime.transactions, lifetime.dispatched, lifetime.connections), (3, 2, 2));
    machine.connected(0);
    assert_eq!(machine.snapshot().lifetime.dispatched, 3);
    machine.end_connection(0);
    let lifetime = machine.snapshot().lifetime;
    assert_eq!((lifetime.transactions, lifetime.dispatched), (5, 4), "two go again, one goes");
    assert_eq!((lifetime.connections, lifetime.reclaimed), (3, 1));
    drop(responses);
}

#[test]
fn t4_what_has_a_response_byte_does_not_go_again() {
    let mut machine = Machine::new(1);
    let mut response = machine.get("a.example");
    machine.connected(0);
    machine.play(0, [head(0, 200, false)]);
    let mut body = poll(&mut response).unwrap().unwrap().into_body();
    machine.end_connection(0);
    assert!(matches!(body.wait_chunk().unwrap_err(), NetError::PartialTransfer { .. }));
    assert_eq!(machine.begun(), 1);
}

#[test]
fn an_interim_head_is_no_response_and_a_reset_after_it_is_an_error_of_its_own() {
    let mut machine = Machine::new(1);
    let mut response = machine.get("a.example");
    machine.connected(0);
    let code = ErrorCode::REQUEST_CANCELLED;
    machine.play(0, [Http3Event::Reset(StreamId::new(0), code)]);
    assert_error(&mut response, &NetError::NetInterrupt { code });
    let mut next = machine.get("a.example");
    machine.play(0, [head(4, StatusCode::OK.as_u16(), true)]);
    assert!(poll(&mut next).unwrap().is_ok());
}

#[test]
fn a_key_of_one_address_family_uses_no_other() {
    for (family, words) in [(AddressFamily::V6, "IPv6"), (AddressFamily::V4, "")] {
        let mut machine = Machine::new(1);
        let mut info = ConnectionInfo::new("a.example", 443);
        info.address_family = family;
        let mut response = machine.get_over(info);
        match poll(&mut response) {
            Some(Err(NetError::UnknownHost { reason, .. })) => assert!(reason.contains(words)),
            None => assert_eq!((family, machine.begun()), (AddressFamily::V4, 1)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_name_without_an_address_is_unknown() {
    let mut machine = Machine::new(0);
    machine.name("c.example", &[]);
    let mut response = machine.get("c.example");
    let NetError::UnknownHost { reason, .. } = poll(&mut response).unwrap().unwrap_err() else {
        panic!("another error")
    };
    assert_eq!(reason, "the name has no address");
}
