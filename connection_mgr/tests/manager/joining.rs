//! Requests that join another host's connection.

use connection_mgr::{ConnectionInfo, Event};
use http3_session::Http3Event;
use transaction::{AddressFamily, Alpn, Isolation};

use crate::{
    common::{SECOND, head, poll},
    machine::{Machine, assert_answered, fetches},
};

const BOTH: &str = "a.example b.example";

#[test]
fn m13_a_host_that_the_certificate_names_joins_the_connection() {
    let mut machine = Machine::new(1);
    machine.name("b.example", &[9, 1]);
    let mut own = machine.connect_a(BOTH);
    assert_eq!(machine.snapshot().coalescable, 1);
    let mut guest = machine.get("b.example");
    assert_eq!((machine.begun(), machine.verifications()), (1, 1));
    let entry = machine.entry("b.example").unwrap();
    assert!(entry.coalesced && entry.half_open == connection_mgr::HalfOpenState::Idle);
    assert_eq!((entry.connections.len(), entry.pending), (0, 0));
    machine.play(0, [head(0, 204, true), head(4, 204, true)]);
    assert_answered(&mut own);
    assert_answered(&mut guest);
    // The next one finds it without another look.
    let mut next = machine.get("b.example");
    assert_eq!((fetches(&machine.scripts[0]), machine.verifications()), (3, 1));
    machine.answer(0, 8);
    assert_answered(&mut next);
}

#[test]
fn m13_a_host_that_it_does_not_name_gets_its_own_and_is_not_asked_about_again() {
    let mut machine = Machine::new(3);
    let _own = machine.connect_a("a.example");
    let _stranger = machine.get("b.example");
    assert_eq!((machine.begun(), machine.verifications()), (2, 1));
    assert!(!machine.entry("b.example").unwrap().coalesced);
    machine.end_connection(1);
    let _again = machine.get("b.example");
    assert_eq!((machine.begun(), machine.verifications()), (3, 1));
}

#[test]
fn m13_nothing_is_joined_that_is_not_the_same_in_all_that_counts() {
    let key = |change: fn(&mut ConnectionInfo)| {
        let mut info = ConnectionInfo::new("b.example", 443);
        change(&mut info);
        info
    };
    let isolated = |isolation: Isolation| {
        let mut info = ConnectionInfo::new("b.example", 443);
        info.isolation = isolation;
        info
    };
    let others = [
        isolated(Isolation { anonymous: true, ..Isolation::default() }),
        isolated(Isolation { private: true, ..Isolation::default() }),
        isolated(Isolation { partition: "c.example".into(), ..Isolation::default() }),
        ConnectionInfo::new("b.example", 444),
        key(|info| info.alpn = Alpn::Http11),
    ];
    for info in others {
        let mut machine = Machine::new(2);
        let _own = machine.connect_a(BOTH);
        let _other = machine.get_over(info.clone());
        assert_eq!(machine.verifications(), 0, "{info}");
        assert!(machine.entry("b.example").is_none_or(|entry| !entry.coalesced));
        assert_eq!(machine.begun(), if info.alpn == Alpn::Http3 { 2 } else { 1 }, "{info}");
    }
    // What doesn't count: which addresses it would use, as long as that one is among them.
    let mut machine = Machine::new(1);
    let _own = machine.connect_a(BOTH);
    let _guest = machine.get_over(key(|info| info.address_family = AddressFamily::V4));
    assert_eq!((machine.begun(), machine.verifications()), (1, 1));
}

#[test]
fn m13_a_connection_at_another_address_or_in_the_making_is_not_joined() {
    let mut machine = Machine::new(3);
    let _own = machine.get("a.example");
    machine.scripts[0].chain(vec![BOTH.into()]);
    let _meanwhile = machine.get("b.example");
    assert_eq!((machine.begun(), machine.snapshot().coalescable), (2, 0));
    machine.connected(0);
    machine.name("c.example", &[2]);
    let _elsewhere = machine.get("c.example");
    assert_eq!((machine.begun(), machine.verifications()), (3, 0));
}

#[test]
fn m14_a_connection_that_takes_no_more_can_not_be_joined() {
    let mut machine = Machine::new(3);
    let _own = machine.connect_a(BOTH);
    machine.play(0, [Http3Event::GoawayReceived]);
    assert_eq!(machine.snapshot().coalescable, 0);
    let _other = machine.get("b.example");
    assert_eq!((machine.begun(), machine.verifications()), (2, 0));
    machine.answer(0, 0);
    machine.end_connection(0);
    assert_eq!(machine.snapshot().lifetime.reclaimed, 1);
}

#[test]
fn m14_who_has_joined_dials_when_it_takes_no_more_and_what_runs_there_goes_on() {
    let mut machine = Machine::new(2);
    let mut own = machine.connect_a(BOTH);
    let mut running = machine.get("b.example");
    machine.play(0, [Http3Event::GoawayReceived]);
    assert!(machine.entry("b.example").is_none(), "nothing waits and nothing is joined");
    let mut next = machine.get("b.example");
    machine.connected(1);
    machine.answer(1, 0);
    assert_answered(&mut next);
    machine.play(0, [head(0, 204, true), head(4, 204, true)]);
    assert_answered(&mut own);
    assert_answered(&mut running);
    assert_eq!(machine.begun(), 2);
}

#[test]
fn m14_the_end_of_a_connection_has_those_dial_who_had_joined_it_and_were_not_answered() {
    let mut machine = Machine::new(3);
    let mut own = machine.connect_a(BOTH);
    let mut guest = machine.get("b.example");
    machine.end_connection(0);
    assert_eq!((machine.begun(), machine.snapshot().connections()), (3, 2), "one for each host");
    for script in [1, 2] {
        machine.connected(script);
        machine.answer(script, 0);
    }
    assert_answered(&mut own);
    assert_answered(&mut guest);
}

#[test]
fn m15_m18_who_is_cancelled_while_a_verdict_is_awaited_joins_nothing() {
    let mut machine = Machine::new(1);
    let _own = machine.connect_a(BOTH);
    let guest = joining(&mut machine);
    drop(guest);
    machine.settle();
    assert!(machine.entry("b.example").is_none());
    let timers = machine.snapshot().service.timers;
    assert_eq!(timers, 1, "the connection's");
    machine.job_delay(SECOND);
    machine.run_for(100 * SECOND);
    assert!(machine.entry("b.example").is_none(), "the late verdict finds nobody");
    assert_eq!(machine.verifications(), 1);
}

/// Has `b.example` wait for a verdict that comes in forty seconds.
fn joining(machine: &mut Machine) -> transaction::PendingResponse {
    machine.job_delay(SECOND / 2);
    let guest = machine.fetch("b.example");
    machine.run_for(SECOND / 4);
    machine.job_delay(40 * SECOND);
    machine.run_for(SECOND / 2);
    let entry = machine.entry("b.example").expect("it is there");
    assert!(entry.half_open == connection_mgr::HalfOpenState::Joining);
    assert_eq!(entry.pending, 1);
    guest
}

#[test]
fn m19_a_verdict_that_takes_too_long_is_not_waited_for() {
    let mut machine = Machine::with(2, |parts| parts.limits.attempt_timeout = 35 * SECOND);
    let _own = machine.connect_a(BOTH);
    let guest = joining(&mut machine);
    machine.run_for(35 * SECOND);
    assert_eq!(machine.begun(), 2);
    let entry = machine.entry("b.example").unwrap();
    assert!(entry.half_open != connection_mgr::HalfOpenState::Joining && !entry.coalesced);
    // It comes while the own connection is being made: too late.
    machine.run_for(10 * SECOND);
    assert!(!machine.entry("b.example").unwrap().coalesced);
    drop(guest);
}

#[test]
fn m14_a_verdict_on_a_connection_that_meanwhile_takes_no_more_joins_nothing() {
    let mut machine = Machine::new(2);
    let _own = machine.connect_a(BOTH);
    let _guest = joining(&mut machine);
    machine.play(0, [Http3Event::GoawayReceived]);
    assert!(
        machine.entry("b.example").unwrap().half_open == connection_mgr::HalfOpenState::Joining,
        "it was not the verdict that came"
    );
    machine.run_for(20 * SECOND);
    assert_eq!((machine.begun(), machine.verifications()), (2, 1));
    assert!(!machine.entry("b.example").unwrap().coalesced);
}

#[test]
fn m14_a_connection_that_is_gone_when_the_verdict_comes_is_not_joined() {
    let mut machine = Machine::new(3);
    let _own = machine.connect_a(BOTH);
    let _guest = joining(&mut machine);
    machine.end_connection(0);
    machine.job_delay(SECOND / 2);
    machine.run_for(60 * SECOND);
    assert_eq!(machine.begun(), 3);
    assert!(!machine.entry("b.example").unwrap().coalesced);
}

/// Necko has no limit; what a server could do with a certificate for thousands of hosts is bounded here.
#[test]
fn m13_no_more_than_sixty_four_hosts_share_a_connection() {
    let mut machine = Machine::new(2);
    let names: Vec<_> = (100..165).map(|n| format!("{n}.example")).collect();
    let _own = machine.connect_a(&names.join(" "));
    for name in &names {
        machine.name(name, &[1]);
        drop(machine.get(name));
    }
    assert_eq!((machine.begun(), machine.verifications()), (2, 64));
    let joined = machine.snapshot().entries.iter().filter(|entry| entry.coalesced).count();
    assert_eq!(joined, 64);
    machine.end_connection(0);
    assert_eq!(machine.snapshot().connections(), 1, "who had joined is forgotten");
}

#[test]
fn m13_no_more_than_sixty_four_hosts_are_remembered_that_may_not() {
    let mut machine = Machine::new(67);
    let _own = machine.connect_a("a.example");
    for n in 100..166 {
        let name = format!("{n}.example");
        machine.name(&name, &[1]);
        drop(machine.get(&name));
    }
    assert_eq!((machine.begun(), machine.verifications()), (67, 64));
}

#[test]
fn m22_a_network_change_ends_what_was_joined_and_what_was_about_to_be() {
    let mut machine = Machine::new(3);
    machine.name("c.example", &[1]);
    let mut own = machine.connect_a("a.example b.example c.example");
    let mut joined = machine.get("b.example");
    machine.job_delay(SECOND / 2);
    let _joining = machine.fetch("c.example");
    machine.run_for(SECOND / 4);
    machine.job_delay(40 * SECOND);
    machine.settle();
    assert!(
        machine.entry("c.example").unwrap().half_open == connection_mgr::HalfOpenState::Joining
    );
    machine.submit(Event::NetworkChanged);
    assert_eq!(machine.snapshot().coalescable, 0);
    assert!(machine.entry("b.example").is_none(), "what runs needs no entry");
    let entry = machine.entry("c.example").unwrap();
    assert!(
        entry.half_open == connection_mgr::HalfOpenState::Resolving,
        "it looks again where it has to go"
    );
    machine.play(0, [head(0, 204, true), head(4, 204, true)]);
    assert_answered(&mut own);
    assert_answered(&mut joined);
    machine.run_for(40 * SECOND);
    assert_eq!(machine.begun(), 2, "a connection of its own");
}

#[test]
fn m22_after_a_network_change_who_may_not_join_is_forgotten_too() {
    let mut machine = Machine::new(3);
    let own = machine.connect_a("a.example");
    drop(machine.get("b.example"));
    assert_eq!(machine.verifications(), 1);
    machine.submit(Event::NetworkChanged);
    machine.end_connection(1);
    machine.end_connection(0);
    assert!(machine.begun() >= 3, "the unanswered request goes again");
    drop(own);
}

#[test]
fn m16_a_cancelled_guest_resets_its_stream_and_the_connection_stays() {
    let mut machine = Machine::new(1);
    let mut own = machine.connect_a(BOTH);
    drop(machine.get("b.example"));
    machine.settle();
    machine.answer(0, 0);
    assert_answered(&mut own);
    assert!(machine.entry("a.example").unwrap().connections[0].active);
    let mut next = machine.get("b.example");
    machine.answer(0, 8);
    assert!(poll(&mut next).unwrap().is_ok());
}
