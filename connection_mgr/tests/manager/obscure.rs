//! A peer that sends and sends, and nothing comes of it.

use http3_session::{Http3Event, SessionState, StreamId, scripted::Call};
use socket_transport::{Ecn, Limits, SendOutcome, SocketKey, SocketTransportService, UdpOptions};
use transaction::{ErrorCode, NetError, PendingResponse};

use crate::{
    common::{SECOND, head, poll},
    machine::Machine,
};

const WINDOW: u64 = 10_000;
const PACKET: [u8; 1200] = [7; 1200];
/// So many packets are more than half of what may come, and less than all of it.
const MORE_THAN_HALF: usize = 500;

/// The other end of the first connection, which says nothing that the engine would understand.
struct Peer {
    service: SocketTransportService<u8, u8>,
    socket: SocketKey,
}

impl Peer {
    fn send(&mut self, machine: &mut Machine, packets: usize) {
        for _ in 0..packets {
            self.service.with_context(|ctx| {
                let mut io = ctx.socket_io(self.socket).expect("a socket");
                let first_port = ([198, 51, 100, 1], 49152).into();
                assert!(io.batch().push(first_port, None, Ecn::NotEct, &PACKET));
                assert_eq!(io.send_batch().expect("sent"), SendOutcome::Sent);
            });
            machine.run_for(SECOND / 1000);
        }
        machine.run_for(SECOND / 10);
    }
}

/// A connection whose request waits for its answer.
fn connected() -> (Machine, Peer, PendingResponse) {
    let mut machine = Machine::with(2, |parts| parts.settings.max_data = WINDOW);
    let response = machine.get("a.example");
    machine.connected(0);
    let host = machine.simulation.network().host([192, 0, 2, 1].into());
    let mut service = SocketTransportService::new(host, Limits::default()).expect("a service");
    let any = ([0, 0, 0, 0], 443).into();
    let socket = service.with_context(|ctx| ctx.open_udp(0, any, UdpOptions::default()));
    let peer = Peer { socket: socket.expect("a free port"), service };
    machine.calls(0);
    machine.scripts[0].callback(None);
    machine.nudge();
    (machine, peer, response)
}

fn state(machine: &mut Machine) -> SessionState {
    let entry = machine.entry("a.example").expect("it is there");
    entry.connections[0].session.as_ref().expect("it is there").state
}

#[test]
fn more_than_a_window_and_a_head_without_any_event_ends_the_connection() {
    let (mut machine, mut peer, mut response) = connected();
    peer.send(&mut machine, MORE_THAN_HALF);
    assert_eq!(state(&mut machine), SessionState::Connected);
    assert!(poll(&mut response).is_none());
    peer.send(&mut machine, MORE_THAN_HALF);
    assert_eq!(state(&mut machine), SessionState::Closing);
    let code = ErrorCode::EXCESSIVE_LOAD;
    let error = poll(&mut response).expect("ended").expect_err("failed");
    let NetError::Http3Protocol { code: told, by_peer: false, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(told, code);
    assert!(machine.calls(0).contains(&Call::Close(code)));
    // The closing period is not ended by more of it.
    peer.send(&mut machine, MORE_THAN_HALF);
    assert_eq!(state(&mut machine), SessionState::Closing);
    assert!(!machine.calls(0).contains(&Call::Close(code)));
}

#[test]
fn an_event_that_brings_nothing_explains_nothing() {
    let (mut machine, mut peer, _response) = connected();
    for _ in 0..4 {
        machine.scripts[0].event(Http3Event::DataWritable(StreamId::new(400)));
        peer.send(&mut machine, MORE_THAN_HALF);
    }
    assert_eq!(state(&mut machine), SessionState::Closing);
}

#[test]
fn so_does_a_byte_of_a_body_that_is_read_without_an_event() {
    let (mut machine, mut peer, mut response) = connected();
    machine.scripts[0].event(head(0, 200, false));
    machine.scripts[0].data(StreamId::new(0), &vec![7; 200_000], false);
    peer.send(&mut machine, 1);
    let mut body = poll(&mut response).expect("a head").expect("a response").into_body();
    peer.send(&mut machine, MORE_THAN_HALF);
    while body.try_chunk().is_some() {}
    machine.settle();
    peer.send(&mut machine, MORE_THAN_HALF);
    assert_eq!(state(&mut machine), SessionState::Connected);
}
