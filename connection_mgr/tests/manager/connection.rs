//! A QUIC connection between its session, its socket and its timer.

use std::fs::File;

use connection_mgr::Event;
use http3_session::{CloseReason, Http3Event, StreamId, scripted::Call};
use socket_transport::{
    Ecn, Limits, SendOutcome, SocketTransportService, UdpOptions,
    walk::{self, Step},
};
use transaction::{ErrorCode, NetError, Priority, RequestBody, TimeoutPhase};

use crate::{
    common::{SECOND, head, poll},
    machine::{Machine, assert_answered, assert_error},
};

const FIRST: StreamId = StreamId::new(0);

#[test]
fn c2_a_packet_that_comes_drives_its_connection_and_no_other() {
    let mut machine = Machine::new(2);
    let _responses = [machine.get("a.example"), machine.get("two.example")];
    machine.calls(0);
    let network = machine.simulation.network().host([192, 0, 2, 1].into());
    let mut service: SocketTransportService<u8, u8> =
        SocketTransportService::new(network, Limits::default()).unwrap();
    service.with_context(|ctx| {
        let any = ([0, 0, 0, 0], 443).into();
        let socket = ctx.open_udp(0, any, UdpOptions::default()).unwrap();
        let mut io = ctx.socket_io(socket).unwrap();
        let first_port = ([198, 51, 100, 1], 49152).into();
        assert!(io.batch().push(first_port, None, Ecn::NotEct, b"a packet"));
        assert_eq!(io.send_batch().unwrap(), SendOutcome::Sent);
    });
    machine.settle();
    let input = |call: &Call| matches!(call, Call::ProcessInput { datagrams: 1 });
    assert!(machine.calls(0).iter().any(input));
    assert!(!machine.calls(1).iter().any(input));
}

/// Reading is all that is needed: no packet comes and no timer runs out.
#[test]
fn r3_h8_a_consumer_that_makes_space_has_the_rest_read() {
    let mut machine = Machine::new(1);
    let mut response = machine.get("a.example");
    machine.connected(0);
    machine.scripts[0].event(head(0, 200, false));
    machine.scripts[0].data(FIRST, &vec![7; 300_000], true);
    machine.nudge();
    let mut body = poll(&mut response).expect("a head").expect("a response").into_body();
    machine.scripts[0].callback(None);
    let mut read = 0;
    while read < 300_000 {
        let before = read;
        while let Some(Ok(Some(chunk))) = body.try_chunk() {
            read += chunk.len();
        }
        assert!(read > before, "{read} bytes were read, and no more come");
        machine.run_for(SECOND / 100);
    }
    assert_eq!(machine.snapshot().transactions(), 0);
}

#[test]
fn u8_the_timer_is_what_the_engine_says_and_is_let_go_with_the_connection() {
    let mut machine = Machine::new(1);
    let mut response = machine.get("a.example");
    machine.connected(0);
    machine.scripts[0].callback(Some(5 * SECOND));
    machine.answer(0, 0);
    assert_answered(&mut response);
    let timeouts = |machine: &mut Machine, span| {
        let steps = walk::record(|| machine.run_for(span));
        steps.into_iter().filter(|step| *step == Step::OnQuicTimeoutExpired).count()
    };
    timeouts(&mut machine, SECOND);
    let count = timeouts(&mut machine, 50 * SECOND);
    assert_eq!(count, 10, "each sets the next");
    machine.scripts[0].callback(None);
    timeouts(&mut machine, 5 * SECOND);
    assert_eq!(timeouts(&mut machine, 3600 * SECOND), 0);
    machine.submit(Event::ClosePersistentConnections);
    machine.scripts[0].callback(Some(SECOND));
    machine.settle();
    let snapshot = machine.snapshot();
    assert_eq!((snapshot.service.timers, snapshot.service.sockets), (1, 1));
}

#[test]
fn a_handshake_that_takes_too_long_is_given_up_at_its_time_and_the_next_address_has_its_own() {
    let mut machine = Machine::with(2, |parts| parts.limits.attempt_timeout = 20 * SECOND);
    let mut response = machine.get("two.example");
    machine.run_for(18 * SECOND);
    assert_eq!(machine.begun(), 1);
    machine.run_for(2 * SECOND);
    assert_eq!(machine.begun(), 2);
    assert!(machine.calls(0).contains(&Call::Close(ErrorCode::NO_ERROR)));
    machine.run_for(18 * SECOND);
    assert!(poll(&mut response).is_none());
    machine.run_for(2 * SECOND);
    let both = [1, 2]
        .map(|last| (([192, 0, 2, last], 443).into(), NetError::NetTimeout(TimeoutPhase::Connect)));
    let host = "two.example".into();
    assert_error(&mut response, &NetError::NoAddressAnswered { host, attempts: both.into() });
    for script in [0, 1] {
        machine.play(script, [Http3Event::Closed(CloseReason::NoError { by_peer: false })]);
    }
    assert!(machine.snapshot().entries.is_empty());
}

#[test]
fn a_handshake_that_was_done_in_time_has_no_time_any_more() {
    let mut machine = Machine::with(1, |parts| parts.limits.attempt_timeout = 40 * SECOND);
    let mut response = machine.get("a.example");
    machine.connected(0);
    machine.run_for(100 * SECOND);
    machine.answer(0, 0);
    assert_answered(&mut response);
    assert_eq!(machine.begun(), 1);
}

#[test]
fn m16_wishes_for_what_runs_are_heard_at_once() {
    let mut machine = Machine::new(1);
    let mut response = machine.get("a.example");
    machine.connected(0);
    machine.calls(0);
    machine.scripts[0].callback(None);
    response.set_priority(Priority::new(1, true));
    machine.run_for(SECOND / 100);
    let changed = Call::PriorityUpdate(FIRST, Priority::new(1, true));
    assert!(machine.calls(0).contains(&changed));
    let steps = walk::record(|| {
        drop(poll(&mut response));
        drop(response);
        machine.run_for(SECOND / 100);
    });
    assert!(!steps.contains(&Step::TransactionHasDataToRecv));
    let cancelled = Call::CancelFetch(FIRST, ErrorCode::REQUEST_CANCELLED);
    assert!(machine.calls(0).contains(&cancelled));
}

#[test]
fn m19_an_engine_that_can_not_be_made_leaves_no_socket_and_fails_who_waits() {
    let mut machine = Machine::new(0);
    let mut response = machine.get("a.example");
    assert!(matches!(poll(&mut response).unwrap().unwrap_err(), NetError::Internal(_)));
    let snapshot = machine.snapshot();
    assert_eq!((snapshot.service.sockets, snapshot.service.timers, snapshot.handles), (0, 0, 0));
    assert!(snapshot.entries.is_empty());
}

#[test]
fn m19_a_socket_that_can_not_be_bound_is_followed_by_the_next_address() {
    let mut machine = Machine::new(1);
    let kind = std::io::ErrorKind::AddrNotAvailable;
    machine.simulation.network().fail_next_bind([198, 51, 100, 1].into(), kind);
    let mut response = machine.get("two.example");
    assert_eq!((machine.begun(), machine.snapshot().service.sockets), (1, 1));
    assert!(machine.snapshot().entries[0].connections[0].peer.starts_with("192.0.2.2"));
    machine.connected(0);
    machine.answer(0, 0);
    assert_answered(&mut response);
}

#[test]
fn c5_offline_is_the_end_of_every_connection_in_the_same_turn() {
    let mut machine = Machine::new(3);
    let mut running = machine.get("a.example");
    machine.connected(0);
    let mut connecting = machine.get("two.example");
    machine.stack.poster().set_offline(true);
    machine.settle();
    for response in [&mut running, &mut connecting] {
        let error = poll(response).expect("ended").expect_err("failed");
        assert!(
            matches!(error, NetError::Socket { kind: std::io::ErrorKind::NetworkDown, .. }),
            "{error:?}"
        );
    }
    let snapshot = machine.snapshot();
    assert_eq!((snapshot.connections(), snapshot.handles, snapshot.entries.len()), (0, 0, 0));
}

/// What a request's body is read from is asked by a worker, never by the socket thread.
#[test]
fn r1_a_file_is_read_by_workers_and_sent_whole() {
    let mut machine = Machine::new(1);
    let file = File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/src/mgr.rs")).unwrap();
    let length = usize::try_from(file.metadata().unwrap().len()).unwrap();
    let _response = machine.post("a.example", RequestBody::file(file).unwrap());
    machine.connected(0);
    let calls = machine.calls(0);
    let taken = |call: &Call| if let Call::SendData { taken, .. } = call { *taken } else { 0 };
    assert_eq!(calls.iter().map(taken).sum::<usize>(), length);
    assert!(calls.contains(&Call::CloseSend(FIRST)));
}
