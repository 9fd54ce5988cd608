//! Room for connections: who finds none waits, and unused connections leave.

use connection_mgr::Event;
use http3_session::{CloseReason, Http3Event, scripted::Call};
use transaction::{ErrorCode, NetError, PendingResponse};

use crate::{
    common::SECOND,
    machine::{Machine, assert_answered, assert_error},
};

/// A manager that may have so many connections, and hosts at one address each.
fn crowded(max_connections: usize, connections: usize) -> Machine {
    let machine = Machine::with(connections, |parts| {
        parts.limits.max_connections = max_connections;
    });
    for n in 1..=connections.max(3) {
        machine.name(&format!("{n}.example"), &[u8::try_from(n).expect("few")]);
    }
    machine
}

/// A connection that is connected and on which nothing runs.
fn unused(machine: &mut Machine, script: usize, host: &str) {
    let mut response = machine.get(host);
    machine.connected(script);
    machine.answer(script, 0);
    assert_answered(&mut response);
}

fn was_closed(machine: &Machine, script: usize) -> bool {
    machine.calls(script).contains(&Call::Close(ErrorCode::NO_ERROR))
}

fn end(machine: &mut Machine, script: usize) {
    machine.play(script, [Http3Event::Closed(CloseReason::NoError { by_peer: false })]);
}

#[test]
fn s6_u10_who_finds_no_room_waits_until_a_connection_is_gone() {
    let mut machine = crowded(1, 2);
    let mut first = machine.get("1.example");
    machine.connected(0);
    let mut second = machine.get("2.example");
    let snapshot = machine.snapshot();
    assert_eq!((snapshot.starved, snapshot.connections()), (1, 1));
    assert!(!was_closed(&machine, 0), "it is in use");
    machine.answer(0, 0);
    assert_answered(&mut first);
    assert!(was_closed(&machine, 0), "and now it is not");
    assert_eq!(machine.begun(), 1, "its closing period takes room");
    end(&mut machine, 0);
    assert_eq!((machine.begun(), machine.snapshot().starved), (2, 0));
    machine.connected(1);
    machine.answer(1, 0);
    assert_answered(&mut second);
}

#[test]
fn s6_u10_the_socket_services_limit_counts_as_well() {
    let mut machine = Machine::with(2, |_| {});
    machine.name("1.example", &[1]);
    let limit = socket_transport::Limits::default().max_sockets;
    assert!(limit > 2, "what a test can't use up");
    let _first = machine.get("1.example");
    assert_eq!(machine.snapshot().starved, 0);
}

#[test]
fn s6_the_connection_that_was_used_least_lately_makes_room_and_no_more_than_are_needed() {
    let mut machine = crowded(3, 4);
    for (script, host) in ["1.example", "2.example", "3.example"].into_iter().enumerate() {
        unused(&mut machine, script, host);
    }
    let mut again = machine.get("1.example");
    machine.answer(0, 4);
    assert_answered(&mut again);
    let _fourth = machine.get("4.example");
    machine.settle();
    let closed: Vec<_> = (0..3).map(|script| was_closed(&machine, script)).collect();
    assert_eq!(closed, [false, true, false]);
    // Whatever else happens before it is gone.
    machine.nudge();
    assert_eq!((0..3).filter(|script| was_closed(&machine, *script)).count(), 0);
    end(&mut machine, 1);
    assert_eq!(machine.begun(), 4);
}

#[test]
fn s6_who_waits_for_room_goes_in_the_order_of_asking() {
    let mut machine = crowded(1, 3);
    unused(&mut machine, 0, "1.example");
    let mut third = machine.get("3.example");
    let mut second = machine.get("2.example");
    assert_eq!(machine.snapshot().starved, 2);
    end(&mut machine, 0);
    machine.connected(1);
    machine.answer(1, 0);
    assert_answered(&mut third);
    // It was asked to leave as soon as it was unused, and its closing period is over.
    assert_eq!((machine.snapshot().starved, machine.begun()), (0, 3));
    machine.connected(2);
    machine.answer(2, 0);
    assert_answered(&mut second);
}

#[test]
fn m15_who_waits_for_room_and_is_cancelled_leaves_the_line() {
    let mut machine = crowded(1, 2);
    let mut running = machine.get("1.example");
    machine.connected(0);
    drop(machine.get("2.example"));
    machine.settle();
    assert_eq!((machine.snapshot().starved, machine.snapshot().entries.len()), (0, 1));
    machine.answer(0, 0);
    assert_answered(&mut running);
    assert!(!was_closed(&machine, 0), "nobody needs its place");
}

#[test]
fn m15_an_entry_with_a_connection_left_keeps_its_place_in_the_line_until_it_is_served() {
    let mut machine = crowded(1, 3);
    let mut running = machine.get("1.example");
    machine.connected(0);
    machine.submit(Event::ClosePersistentConnections);
    // Its own host's next request has to wait for the place that it takes.
    let waiting = machine.get("1.example");
    assert_eq!(machine.snapshot().starved, 1);
    drop(waiting);
    machine.settle();
    let mut other = machine.get("2.example");
    machine.answer(0, 0);
    assert_answered(&mut running);
    end(&mut machine, 0);
    assert_eq!((machine.begun(), machine.snapshot().starved), (2, 0));
    machine.connected(1);
    machine.answer(1, 0);
    assert_answered(&mut other);
}

#[test]
fn m15_a_connection_whose_request_was_cancelled_makes_room_before_it_is_connected() {
    let mut machine = crowded(1, 2);
    drop(machine.get("1.example"));
    machine.settle();
    assert_eq!(machine.snapshot().connections(), 1);
    let mut second = machine.get("2.example");
    machine.nudge();
    assert!(was_closed(&machine, 0));
    end(&mut machine, 0);
    machine.connected(1);
    machine.answer(1, 0);
    assert_answered(&mut second);
}

#[test]
fn m17_a_connection_for_which_others_wait_does_not_make_room() {
    let mut machine = crowded(1, 2);
    let first = machine.get("1.example");
    let mut waiting = machine.get("1.example");
    drop(first);
    machine.settle();
    let _other = machine.get("2.example");
    machine.nudge();
    assert!(!was_closed(&machine, 0));
    machine.connected(0);
    machine.answer(0, 0);
    assert_answered(&mut waiting);
    assert!(was_closed(&machine, 0));
}

#[test]
fn m20_m26_who_waits_for_room_ends_with_all_others() {
    let mut machine = crowded(1, 2);
    let mut responses = [machine.get("1.example"), machine.get("2.example")];
    machine.submit(Event::AbortAllConnections);
    for response in &mut responses {
        assert_error(response, &NetError::Aborted);
    }
    assert_eq!(machine.snapshot().starved, 0);
    let mut responses: Vec<PendingResponse> =
        ["1.example", "2.example"].into_iter().map(|host| machine.get(host)).collect();
    assert_eq!(machine.snapshot().starved, 2, "the first one still closes");
    machine.stack.service().shutdown();
    machine.settle();
    for response in &mut responses {
        assert_error(response, &NetError::ShuttingDown);
    }
}

#[test]
fn m22_who_waits_for_room_looks_its_name_up_again_on_another_network() {
    let mut machine = crowded(1, 2);
    let mut running = machine.get("1.example");
    machine.connected(0);
    let mut waiting = machine.get("2.example");
    machine.job_delay(10 * SECOND);
    machine.submit(Event::NetworkChanged);
    assert!(
        machine.entry("2.example").unwrap().half_open == connection_mgr::HalfOpenState::Resolving
    );
    machine.run_for(10 * SECOND);
    assert_eq!(machine.snapshot().starved, 1);
    machine.answer(0, 0);
    assert_answered(&mut running);
    end(&mut machine, 0);
    machine.connected(1);
    machine.answer(1, 0);
    assert_answered(&mut waiting);
}
