//! ECH: which configuration a connection gets, what becomes of it when the server wants another one, and when
//! the application has one.

use connection_mgr::Event;
use http3_session::{CloseReason, Ech, EchConfigList, Http3Event, scripted::Call};
use transaction::{CertificateProblem, NetError, RequestBody};

use crate::{
    common::{SECOND, error, poll},
    machine::{Machine, assert_answered, fetches},
};

/// A list with this public name, whose key is of a kind that nobody looks into.
fn list(public_name: &str) -> EchConfigList {
    let length = u8::try_from(public_name.len()).expect("a short name");
    let key = [7, 0, 0x21, 0, 1, 9, 0, 4, 0, 1, 0, 1, 64, length];
    let contents = [&key[..], public_name.as_bytes(), &[0, 0]].concat();
    let length = u8::try_from(contents.len()).expect("short");
    let bytes = [&[0, length + 4, 0xfe, 0x0d, 0, length][..], &contents].concat();
    EchConfigList::parse(bytes).expect("a list")
}

/// A manager that knows a configuration of `a.example`.
fn machine(connections: usize) -> Machine {
    let mut machine = Machine::new(connections);
    set(&mut machine, "a.example", Some(list("old.example")));
    machine
}

fn set(machine: &mut Machine, host: &str, config: Option<EchConfigList>) {
    machine.submit(Event::EchConfig { host: host.to_owned(), config });
}

/// The server of a connection refuses ECH, proves to be `proved`, and gives this instead.
fn refuse(machine: &mut Machine, script: usize, proved: &str, config: Option<&EchConfigList>) {
    machine.scripts[script].chain(vec![proved.as_bytes().to_vec()]);
    let public_name = "old.example".to_owned();
    machine.play(script, [Http3Event::EchFallbackAuthenticationNeeded { public_name }]);
    let config = config.map(|config| config.as_bytes().to_vec()).unwrap_or_default();
    let reason = CloseReason::EchRetry { config };
    machine.play(script, [Http3Event::Closing(reason.clone()), Http3Event::Closed(reason)]);
}

#[test]
fn a_connection_has_its_host_s_configuration_and_others_have_grease() {
    let mut machine = machine(2);
    let responses = [machine.get("a.example"), machine.get("b.example")];
    assert_eq!(machine.scripts[0].ech(), Ech::Config(list("old.example")));
    assert_eq!(machine.scripts[1].ech(), Ech::Grease);
    drop(responses);

    let mut machine = Machine::with(1, |parts| parts.settings.ech_grease = false);
    let _response = machine.get("a.example");
    assert_eq!(machine.scripts[0].ech(), Ech::Off);
}

#[test]
fn what_a_server_gives_instead_is_used_for_the_next_connection_alone() {
    let mut machine = machine(3);
    let mut asked = machine.get("a.example");
    let mut waiting = machine.get("a.example");
    let given = list("given.example");
    refuse(&mut machine, 0, "old.example", Some(&given));
    assert!(machine.scripts[0].take_calls().contains(&Call::Authenticated(Ok(()))));
    assert_eq!(machine.scripts[1].ech(), Ech::Config(given));
    assert_eq!(fetches(&machine.scripts[0]), 0);
    machine.scripts[1].accept_ech();
    machine.connected(1);
    let sessions = |machine: &mut Machine| {
        let entries = machine.snapshot().entries;
        let connections = entries.into_iter().flat_map(|entry| entry.connections);
        connections.filter_map(|connection| connection.session).collect::<Vec<_>>()
    };
    assert!(sessions(&mut machine)[0].ech_accepted);
    machine.answer(1, 0);
    machine.answer(1, 4);
    assert_answered(&mut asked);
    assert_answered(&mut waiting);

    machine.end_connection(1);
    let _later = machine.get("a.example");
    assert_eq!(
        machine.scripts[2].ech(),
        Ech::Config(list("old.example")),
        "the application's again"
    );
}

/// While what it was given for still runs.
#[test]
fn what_a_server_gives_is_forgotten_when_it_was_used() {
    let mut machine = machine(3);
    let _running = machine.get("a.example");
    refuse(&mut machine, 0, "old.example", Some(&list("given.example")));
    machine.connected(1);
    machine.submit(Event::NetworkChanged);
    let _next = machine.get("a.example");
    assert_eq!(machine.scripts[2].ech(), Ech::Config(list("old.example")));
}

#[test]
fn an_upload_goes_again_as_well() {
    let mut machine = machine(2);
    let mut response = machine.post("a.example", RequestBody::from("once"));
    refuse(&mut machine, 0, "old.example", Some(&list("given.example")));
    machine.connected(1);
    machine.answer(1, 0);
    assert_answered(&mut response);
}

/// RFC 9849 §6.1.6: it has securely disabled ECH.
#[test]
fn a_server_that_gives_nothing_instead_is_asked_without_ech() {
    let mut machine = machine(2);
    let mut response = machine.get("a.example");
    refuse(&mut machine, 0, "old.example", None);
    assert_eq!(machine.scripts[1].ech(), Ech::Off, "not even grease");
    machine.connected(1);
    machine.answer(1, 0);
    assert_answered(&mut response);
}

#[test]
fn a_server_that_refuses_what_it_gave_is_not_asked_again() {
    let mut machine = machine(2);
    let mut responses = [machine.get("a.example"), machine.get("a.example")];
    refuse(&mut machine, 0, "old.example", Some(&list("given.example")));
    refuse(&mut machine, 1, "old.example", Some(&list("third.example")));
    for response in &mut responses {
        let told = error(response);
        assert!(matches!(told, NetError::EchRejected { .. }), "{told:?}");
    }
    assert_eq!(machine.begun(), 2);
    machine.run_for(20 * SECOND);
    assert!(machine.snapshot().entries.is_empty());
}

#[test]
fn a_server_that_refuses_and_is_not_the_public_name_is_an_error_of_its_certificate() {
    let mut machine = machine(1);
    let mut response = machine.get("a.example");
    refuse(&mut machine, 0, "a.example", Some(&list("evil.example")));
    let wrong = Call::Authenticated(Err(CertificateProblem::WrongHost));
    assert!(machine.scripts[0].take_calls().contains(&wrong));
    let NetError::Certificate { host, .. } = error(&mut response) else { unreachable!() };
    assert_eq!((host.as_str(), machine.begun()), ("old.example", 1));
}

/// No engine of ours does that; who says so without any proof must not make us show the name.
#[test]
fn a_refusal_that_nobody_proved_is_no_reason_to_do_without() {
    for asked in [false, true] {
        let mut machine = machine(1);
        let mut response = machine.get("a.example");
        machine.job_delay(100 * SECOND);
        if asked {
            let public_name = "old.example".to_owned();
            machine.play(0, [Http3Event::EchFallbackAuthenticationNeeded { public_name }]);
        }
        let reason = CloseReason::EchRetry { config: Vec::new() };
        machine.play(0, [Http3Event::Closing(reason.clone()), Http3Event::Closed(reason)]);
        let told = error(&mut response);
        assert!(matches!(told, NetError::EchRejected { .. }), "{told:?}");
        assert_eq!(machine.begun(), 1);
        machine.run_for(200 * SECOND);
    }
}

#[test]
fn h27_authentication_of_two_names_is_one_verification() {
    let mut machine = machine(1);
    let _response = machine.get("a.example");
    let public_name = "old.example".to_owned();
    let fallback = Http3Event::EchFallbackAuthenticationNeeded { public_name };
    machine.play(0, [fallback, Http3Event::AuthenticationNeeded]);
    assert_eq!(machine.verifications(), 1);
}

/// The next address of the same try is asked with it too.
#[test]
fn what_a_server_gives_counts_for_each_address_of_the_next_try() {
    let mut machine = Machine::new(3);
    set(&mut machine, "two.example", Some(list("old.example")));
    let mut response = machine.get("two.example");
    let given = list("given.example");
    refuse(&mut machine, 0, "old.example", Some(&given));
    machine.play(1, [Http3Event::Closed(CloseReason::IdleTimeout)]);
    assert_eq!(machine.scripts[2].ech(), Ech::Config(given));
    machine.play(2, [Http3Event::Closed(CloseReason::IdleTimeout)]);
    assert!(
        matches!(error(&mut response), NetError::NoAddressAnswered { attempts, .. } if attempts.len() == 2)
    );
}

#[test]
fn m27_another_configuration_closes_what_is_not_made_yet_and_the_queue_is_served_again() {
    let mut machine = machine(2);
    let mut responses = [machine.get("a.example"), machine.get("a.example")];
    set(&mut machine, "A.example", Some(list("new.example")));
    assert!(responses.iter_mut().all(|response| poll(response).is_none()));
    assert_eq!(machine.scripts[1].ech(), Ech::Config(list("new.example")));
    // The same once more is nothing new.
    set(&mut machine, "a.example", Some(list("new.example")));
    assert_eq!(machine.begun(), 2);
    machine.connected(1);
    machine.answer(1, 0);
    machine.answer(1, 4);
    responses.iter_mut().for_each(assert_answered);
}

#[test]
fn m27_another_configuration_closes_what_is_unused_and_leaves_alone_what_is_used() {
    let mut machine = machine(2);
    let mut running = machine.get("a.example");
    machine.connected(0);
    set(&mut machine, "a.example", None);
    machine.answer(0, 0);
    assert_answered(&mut running);
    assert_eq!(machine.snapshot().connections(), 1, "it may be used again");
    set(&mut machine, "b.example", Some(list("new.example")));
    assert!(!machine.scripts[0].take_calls().iter().any(|call| matches!(call, Call::Close(_))));
    set(&mut machine, "a.example", Some(list("new.example")));
    assert!(machine.scripts[0].take_calls().iter().any(|call| matches!(call, Call::Close(_))));
    let _next = machine.get("a.example");
    assert_eq!(machine.scripts[1].ech(), Ech::Config(list("new.example")));
}

#[test]
fn a_connection_made_ahead_of_time_is_made_again_when_the_server_wants_another_configuration() {
    let mut machine = machine(3);
    machine
        .submit(Event::SpeculativeConnect(connection_mgr::ConnectionInfo::new("a.example", 443)));
    refuse(&mut machine, 0, "old.example", Some(&list("given.example")));
    assert_eq!(machine.begun(), 2);
    refuse(&mut machine, 1, "old.example", Some(&list("given.example")));
    assert_eq!(machine.begun(), 2, "once");
}
