//! Several addresses race for a connection (RFC 8305): who joins when, who wins, and what becomes of the others.

use std::time::Duration;

use connection_mgr::{ConnectionInfo, Event};
use http3_session::{CloseReason, Http3Event, scripted::Call};
use transaction::{ErrorCode, NetError, TimeoutPhase};

use crate::{
    common::{SECOND, head, poll},
    machine::{Machine, address, assert_answered, assert_error, fetches},
};

const DELAY: Duration = Duration::from_millis(250);
/// How often the engines look at their scripts.
const TICK: Duration = Duration::from_millis(10);

/// IPv6 first, as most systems sort them.
fn machine(connections: usize) -> Machine {
    let machine = Machine::with(connections, |parts| {
        parts.limits.attempt_delay = DELAY;
        parts.limits.attempt_timeout = 20 * SECOND;
    });
    for script in &machine.scripts {
        script.callback(Some(TICK));
    }
    machine.name("both.example", &[101, 1]);
    machine.name("four.example", &[101, 102, 1, 2]);
    machine
}

/// Where the connections of the first entry go, and how many of them are being made.
fn peers(machine: &mut Machine) -> (Vec<String>, usize) {
    let snapshot = machine.snapshot();
    let Some(entry) = snapshot.entries.first() else { return (Vec::new(), 0) };
    (entry.connections.iter().map(|one| one.peer.clone()).collect(), entry.connecting)
}

/// Has an engine look at its script, without much time passing.
fn play(machine: &mut Machine, script: usize, event: Http3Event) {
    machine.scripts[script].event(event);
    machine.run_for(TICK * 2);
}

fn connected(machine: &mut Machine, script: usize) {
    play(machine, script, Http3Event::Connected);
}

fn closed(machine: &mut Machine, script: usize) {
    play(machine, script, Http3Event::Closed(CloseReason::NoError { by_peer: false }));
}

fn answer(machine: &mut Machine, script: usize) {
    play(machine, script, head(0, 204, true));
}

#[test]
fn h23_the_other_family_joins_the_race_after_a_quarter_of_a_second() {
    let mut machine = machine(4);
    let _response = machine.fetch("four.example");
    for (millis, expected) in [(10, 1), (230, 1), (20, 2), (240, 2), (10, 3), (250, 4), (1000, 4)] {
        machine.run_for(Duration::from_millis(millis));
        assert_eq!(peers(&mut machine).1, expected, "after {millis} ms more");
    }
    let expected = [101, 1, 102, 2].map(|last| address(last, 443).to_string());
    assert_eq!(peers(&mut machine).0, expected);
}

#[test]
fn h23_the_winner_gets_what_was_on_the_loser_and_the_loser_leaves_nothing() {
    let mut machine = machine(2);
    let mut response = machine.fetch("both.example");
    machine.run_for(DELAY * 2);
    assert_eq!(peers(&mut machine).1, 2);
    connected(&mut machine, 1);
    assert_eq!(peers(&mut machine), (vec![address(1, 443).to_string()], 0));
    assert_eq!(machine.snapshot().lifetime.reclaimed, 1);
    let snapshot = machine.snapshot().service;
    assert_eq!((snapshot.sockets, snapshot.timers), (1, 1));
    assert!(machine.calls(0).contains(&Call::Close(ErrorCode::NO_ERROR)), "it was told");
    assert_eq!(fetches(&machine.scripts[1]), 1);
    answer(&mut machine, 1);
    assert_answered(&mut response);
}

#[test]
fn h23_who_answers_first_wins_also_when_he_began_first() {
    let mut machine = machine(2);
    let mut response = machine.fetch("both.example");
    machine.run_for(DELAY * 2);
    connected(&mut machine, 0);
    assert_eq!(peers(&mut machine), (vec![address(101, 443).to_string()], 0));
    answer(&mut machine, 0);
    assert_answered(&mut response);
    assert_eq!(machine.snapshot().lifetime.reclaimed, 1);
}

#[test]
fn an_address_that_refuses_has_the_next_one_tried_at_once() {
    let mut machine = machine(4);
    let response = machine.fetch("four.example");
    machine.run_for(Duration::from_millis(10));
    play(&mut machine, 0, Http3Event::Closed(CloseReason::IdleTimeout));
    let (to, connecting) = peers(&mut machine);
    assert_eq!((to.last().cloned(), connecting), (Some(address(1, 443).to_string()), 1));
    drop(response);
}

#[test]
fn when_no_address_answers_one_error_lists_them_all() {
    let mut machine = machine(2);
    let mut first = machine.fetch("both.example");
    let mut second = machine.fetch("both.example");
    machine.run_for(19 * SECOND);
    assert!(poll(&mut first).is_none());
    machine.run_for(2 * SECOND);
    let attempts =
        [101, 1].map(|last| (address(last, 443), NetError::NetTimeout(TimeoutPhase::Connect)));
    let error =
        NetError::NoAddressAnswered { host: "both.example".into(), attempts: attempts.into() };
    let text = error.to_string();
    assert!(
        text.contains("[2001:db8::65]:443: timed out") && text.contains("192.0.2.1:443: timed")
    );
    for response in [&mut first, &mut second] {
        assert_error(response, &error);
    }
    machine.run_for(60 * SECOND);
    assert_eq!(machine.snapshot().connections(), 0);
}

#[test]
fn all_attempts_together_have_a_time_limit_too() {
    let mut machine = Machine::with(4, |parts| {
        parts.limits.attempt_delay = DELAY;
        parts.limits.attempt_timeout = 20 * SECOND;
        parts.limits.connect_timeout = 3 * SECOND;
    });
    machine.name("four.example", &[101, 102, 1, 2]);
    machine.job_delay(2 * SECOND);
    let mut response = machine.fetch("four.example");
    machine.run_for(Duration::from_millis(2900));
    assert_eq!(peers(&mut machine).1, 4);
    assert!(poll(&mut response).is_none());
    machine.run_for(Duration::from_millis(200));
    let error = poll(&mut response).expect("ended").expect_err("failed");
    assert!(matches!(error, NetError::NoAddressAnswered { attempts, .. } if attempts.len() == 4));
}

#[test]
fn h23_a_family_that_did_not_answer_is_tried_last_until_the_network_changes() {
    let mut machine = machine(5);
    let mut response = machine.fetch("both.example");
    machine.run_for(DELAY * 2);
    connected(&mut machine, 1);
    answer(&mut machine, 1);
    assert_answered(&mut response);
    closed(&mut machine, 1);
    assert!(machine.snapshot().entries.is_empty(), "what is remembered keeps no entry alive");

    let mut response = machine.fetch("both.example");
    machine.run_for(DELAY / 2);
    assert_eq!(peers(&mut machine), (vec![address(1, 443).to_string()], 1));
    connected(&mut machine, 2);
    answer(&mut machine, 2);
    assert_answered(&mut response);
    machine.submit(Event::NetworkChanged);
    closed(&mut machine, 2);

    let _response = machine.fetch("both.example");
    machine.run_for(DELAY / 2);
    assert_eq!(peers(&mut machine), (vec![address(101, 443).to_string()], 1));
}

#[test]
fn h23_a_family_that_began_later_and_lost_is_not_slow() {
    let mut machine = machine(4);
    let mut response = machine.fetch("both.example");
    machine.run_for(DELAY * 2);
    connected(&mut machine, 0);
    answer(&mut machine, 0);
    assert_answered(&mut response);
    machine.name("both.example", &[1, 101]);
    closed(&mut machine, 0);
    let _response = machine.fetch("both.example");
    machine.run_for(DELAY / 2);
    assert_eq!(peers(&mut machine).0, [address(1, 443).to_string()], "the resolver's order");
}

#[test]
fn m15_a_race_that_nobody_waits_for_any_more_is_given_up() {
    let mut machine = machine(2);
    let running = machine.fetch("both.example");
    let waiting = machine.fetch("both.example");
    machine.run_for(DELAY * 2);
    drop(running);
    machine.run_for(TICK);
    assert_eq!(peers(&mut machine).1, 2, "somebody else waits for it");
    drop(waiting);
    machine.run_for(TICK);
    assert!(machine.snapshot().entries.is_empty());
}

#[test]
fn m15_a_race_whose_only_request_was_cancelled_is_run_to_its_end_for_the_next_one() {
    let mut machine = machine(2);
    drop(machine.get("both.example"));
    machine.run_for(DELAY * 2);
    connected(&mut machine, 1);
    assert_eq!(peers(&mut machine), (vec![address(1, 443).to_string()], 0));
    let mut response = machine.get("both.example");
    answer(&mut machine, 1);
    assert_answered(&mut response);
}

#[test]
fn m15_who_waits_for_a_race_and_is_cancelled_does_not_stop_it() {
    let mut machine = machine(2);
    let mut first = machine.fetch("both.example");
    let second = machine.fetch("both.example");
    machine.run_for(DELAY / 2);
    drop(second);
    machine.run_for(DELAY * 2);
    assert_eq!(peers(&mut machine).1, 2);
    connected(&mut machine, 1);
    answer(&mut machine, 1);
    assert_answered(&mut first);
}

#[test]
fn m18_a_race_ahead_of_time_is_run_as_any_other() {
    let mut machine = machine(2);
    machine.submit(Event::SpeculativeConnect(ConnectionInfo::new("both.example", 443)));
    machine.run_for(DELAY * 2);
    assert_eq!(peers(&mut machine).1, 2);
    connected(&mut machine, 1);
    assert_eq!(peers(&mut machine).0.len(), 1);
    let mut response = machine.get("both.example");
    answer(&mut machine, 1);
    assert_answered(&mut response);
    assert_eq!(machine.begun(), 2);
}

#[test]
fn m21_a_race_on_the_old_network_is_over() {
    let mut machine = machine(4);
    let mut response = machine.fetch("both.example");
    machine.run_for(DELAY * 2);
    assert_eq!(peers(&mut machine).1, 2);
    machine.submit(Event::NetworkChanged);
    closed(&mut machine, 0);
    closed(&mut machine, 1);
    assert!(poll(&mut response).is_none_or(|end| end.is_err()));
}

#[test]
fn m20_a_shutdown_ends_a_race() {
    let mut machine = machine(2);
    let mut response = machine.fetch("both.example");
    machine.run_for(DELAY * 2);
    machine.stack.service().shutdown();
    machine.run_for(TICK);
    assert_error(&mut response, &NetError::ShuttingDown);
}

#[test]
fn a_certificate_that_is_bad_ends_the_race_for_all() {
    let mut machine = machine(2);
    let mut first = machine.fetch("both.example");
    let mut second = machine.fetch("both.example");
    machine.run_for(DELAY * 2);
    machine.scripts[0].chain(vec![b"other.example".to_vec()]);
    play(&mut machine, 0, Http3Event::AuthenticationNeeded);
    machine.run_for(TICK);
    let alert = CloseReason::TlsAlert { alert: 42, by_peer: false };
    play(&mut machine, 0, Http3Event::Closed(alert));
    for response in [&mut first, &mut second] {
        let error = poll(response).expect("ended").expect_err("failed");
        assert!(matches!(error, NetError::Certificate { .. }), "{error}");
    }
    assert_eq!(machine.snapshot().connections(), 0);
}
