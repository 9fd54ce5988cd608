//! Servers that say (421) that a request is not for them.

use http3_session::Http3Event;
use transaction::ErrorCode;

use crate::{
    common::{head, poll},
    machine::{Machine, assert_answered},
};

#[test]
fn t11_a_421_on_the_own_connection_has_it_closed_after_what_runs() {
    let mut machine = Machine::new(2);
    let mut misdirected = machine.connect_a("a.example");
    let mut running = machine.get("a.example");
    machine.play(0, [head(0, 421, true)]);
    let snapshot = machine.snapshot();
    assert_eq!((snapshot.connections(), snapshot.coalescable), (2, 0));
    machine.connected(1);
    machine.answer(1, 0);
    assert_answered(&mut misdirected);
    machine.answer(0, 4);
    assert_answered(&mut running);
    assert_eq!(machine.begun(), 2);
}

#[test]
fn t11_a_421_on_a_joined_connection_is_about_that_host_alone() {
    let mut machine = Machine::new(2);
    let mut own = machine.connect_a("a.example b.example");
    let mut guest = machine.get("b.example");
    machine.play(0, [head(4, 421, true)]);
    assert!(machine.entry("a.example").unwrap().connections[0].active);
    assert_eq!((machine.begun(), machine.verifications()), (2, 1), "and is not asked about again");
    machine.connected(1);
    machine.answer(1, 0);
    assert_answered(&mut guest);
    machine.answer(0, 0);
    assert_answered(&mut own);
}

/// What it was told once says nothing of the next connection.
#[test]
fn t11_a_misdirected_request_that_is_refused_for_another_reason_leaves_its_connection_alone() {
    let mut machine = Machine::new(2);
    let mut response = machine.connect_a("a.example");
    machine.play(0, [head(0, 421, true)]);
    machine.connected(1);
    let refused = |stream| Http3Event::Reset(stream, ErrorCode::REQUEST_REJECTED);
    machine.play(1, [refused(http3_session::StreamId::new(0))]);
    assert!(poll(&mut response).is_none());
    let entry = machine.entry("a.example").unwrap();
    assert!(entry.connections.iter().any(|connection| connection.active));
    machine.answer(1, 4);
    assert_answered(&mut response);
    assert_eq!(machine.begun(), 2);
}

#[test]
fn t11_those_who_had_joined_leave_with_a_host_that_was_misdirected() {
    let mut machine = Machine::new(3);
    let _own = machine.connect_a("a.example b.example");
    let mut guest = machine.get("b.example");
    machine.play(0, [head(0, 421, true)]);
    assert!(machine.entry("b.example").is_none());
    machine.answer(0, 4);
    assert_answered(&mut guest);
    let _next = machine.get("b.example");
    assert_eq!(machine.begun(), 3);
}
