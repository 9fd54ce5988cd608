//! Connections that are made ahead of time.

use connection_mgr::{ConnectionInfo, Event};
use http3_session::{CloseReason, Http3Event};

use crate::{
    common::{Fixture, SECOND},
    machine::{Machine, assert_answered},
};

fn ahead(machine: &mut Machine, host: &str) {
    machine.submit(Event::SpeculativeConnect(ConnectionInfo::new(host, 443)));
}

#[test]
fn m18_a_connection_made_ahead_of_time_is_the_first_requests() {
    let mut machine = Machine::new(1);
    ahead(&mut machine, "a.example");
    ahead(&mut machine, "a.example");
    let snapshot = machine.snapshot();
    assert_eq!((snapshot.connections(), snapshot.handles, snapshot.transactions()), (1, 1, 0));
    machine.connected(0);
    ahead(&mut machine, "a.example");
    let mut response = machine.get("a.example");
    machine.answer(0, 0);
    assert_answered(&mut response);
    assert_eq!(machine.begun(), 1);
}

#[test]
fn m18_what_is_looked_up_ahead_of_time_is_so_whoever_comes_and_goes_meanwhile() {
    let mut machine = Machine::new(1);
    machine.job_delay(10 * SECOND);
    ahead(&mut machine, "a.example");
    drop(machine.get("a.example"));
    machine.settle();
    assert!(
        machine.entry("a.example").unwrap().half_open == connection_mgr::HalfOpenState::Resolving
    );
    machine.run_for(10 * SECOND);
    assert_eq!((machine.begun(), machine.snapshot().connections()), (1, 1));
    machine.connected(0);
}

#[test]
fn m18_who_comes_while_it_is_made_waits_for_it() {
    let mut machine = Machine::new(1);
    ahead(&mut machine, "a.example");
    let mut response = machine.get("a.example");
    assert_eq!(machine.entry("a.example").unwrap().pending, 1);
    machine.connected(0);
    machine.answer(0, 0);
    assert_answered(&mut response);
}

#[test]
fn m10_a_name_that_is_looked_up_ahead_of_time_and_is_none_leaves_nothing() {
    let mut machine = Machine::new(0);
    ahead(&mut machine, "none.example");
    assert!(machine.snapshot().entries.is_empty());
}

#[test]
fn m10_m18_after_the_first_address_comes_the_second_and_after_that_nothing() {
    let mut machine = Machine::new(2);
    ahead(&mut machine, "two.example");
    let timeout = CloseReason::IdleTimeout;
    machine.play(0, [Http3Event::Closed(timeout.clone())]);
    assert_eq!((machine.begun(), machine.snapshot().connections()), (2, 1));
    machine.play(1, [Http3Event::Closed(timeout)]);
    assert!(machine.snapshot().entries.is_empty());
    ahead(&mut machine, "none.example");
    assert!(machine.snapshot().entries.is_empty(), "nor does it keep others from it");
}

#[test]
fn m18_what_is_made_ahead_of_time_is_given_up_when_nothing_present_is_to_be_used() {
    let mut machine = Machine::new(1);
    ahead(&mut machine, "two.example");
    machine.submit(Event::ClosePersistentConnections);
    machine.end_connection(0);
    assert_eq!(machine.begun(), 1);
    assert!(machine.snapshot().entries.is_empty());
}

#[test]
fn m21_what_is_made_ahead_of_time_is_made_anew_on_another_network() {
    let mut machine = Machine::new(2);
    ahead(&mut machine, "a.example");
    machine.submit(Event::NetworkChanged);
    assert_eq!(machine.begun(), 2);
    machine.end_connection(0);
    machine.connected(1);
    assert_eq!((machine.begun(), machine.snapshot().connections()), (2, 1));
}

#[test]
fn m18_no_more_are_made_ahead_of_time_than_the_limit_says_until_some_are_made() {
    let mut machine = Machine::with(3, |parts| parts.limits.max_speculative = 2);
    for host in ["1.example", "2.example", "3.example"] {
        machine.name(host, &[1]);
        ahead(&mut machine, host);
    }
    assert_eq!(machine.begun(), 2);
    machine.connected(0);
    machine.name("3.example", &[3]);
    ahead(&mut machine, "3.example");
    assert_eq!(machine.begun(), 3);
}

#[test]
fn m18_a_host_may_join_a_connection_ahead_of_time() {
    let mut machine = Machine::new(1);
    let _own = machine.connect_a("a.example b.example");
    ahead(&mut machine, "b.example");
    assert!(machine.entry("b.example").unwrap().coalesced);
    ahead(&mut machine, "b.example");
    assert_eq!((machine.begun(), machine.verifications()), (1, 1));
}

#[test]
fn m20_a_shutdown_ends_what_is_made_ahead_of_time_and_none_comes_after() {
    let mut machine = Machine::new(1);
    machine.job_delay(10 * SECOND);
    ahead(&mut machine, "a.example");
    let fixture: &mut Fixture = &mut machine;
    fixture.stack.service().shutdown();
    fixture.settle();
    assert!(fixture.snapshot().entries.is_empty());
    fixture.simulation.run_for(&mut fixture.stack, 20 * SECOND).unwrap();
    assert_eq!(fixture.snapshot().lifetime.connections, 0);
}

#[test]
fn m18_a_connection_that_takes_no_more_keeps_nobody_from_making_one_ahead_of_time() {
    let mut machine = Machine::new(2);
    let mut running = machine.get("a.example");
    machine.connected(0);
    machine.submit(Event::ClosePersistentConnections);
    ahead(&mut machine, "a.example");
    assert_eq!((machine.begun(), machine.snapshot().connections()), (2, 2));
    machine.answer(0, 0);
    assert_answered(&mut running);
}

#[test]
fn m15_m18_a_look_up_that_is_under_way_is_its_requests_alone() {
    let mut machine = Machine::new(1);
    machine.job_delay(10 * SECOND);
    let response = machine.get("a.example");
    ahead(&mut machine, "a.example");
    drop(response);
    machine.settle();
    assert!(machine.snapshot().entries.is_empty());
    machine.run_for(10 * SECOND);
    assert_eq!(machine.begun(), 0);
}

#[test]
fn m18_once_a_request_has_it_it_is_made_for_that_alone() {
    let mut machine = Machine::new(2);
    machine.job_delay(10 * SECOND);
    ahead(&mut machine, "two.example");
    let response = machine.get("two.example");
    machine.run_for(10 * SECOND);
    drop(response);
    machine.settle();
    machine.play(0, [Http3Event::Closed(CloseReason::IdleTimeout)]);
    machine.run_for(20 * SECOND);
    assert_eq!((machine.snapshot().entries.len(), machine.begun()), (0, 1));
}
