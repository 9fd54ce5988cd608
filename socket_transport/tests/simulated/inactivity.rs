//! What replaces necko's `mPollTimeout`: a timer that is set anew with every packet.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use socket_transport::{
    Context, Detached, Limits, Ready, SocketHandler, SocketKey, SocketTransportService, TimerKey,
    UdpOptions,
    simulated::{Simulation, Stack},
};

use crate::peer::{A, B, MINUTE, MS, Peer, send};

const PATIENCE: Duration = Duration::from_secs(5);

/// Waits for its socket, but not for ever.
struct Watcher {
    socket: SocketKey,
    timer: TimerKey,
    address: SocketAddr,
    received: usize,
    timeouts: Vec<Instant>,
}

type Ctx<'a> = Context<'a, (), ()>;

impl SocketHandler for Watcher {
    type Target = ();
    type Event = ();

    fn on_socket_ready(&mut self, ctx: &mut Ctx<'_>, (): (), _: Ready) {
        let mut io = ctx.socket_io(self.socket).unwrap();
        while let Some(received) = io.recv().unwrap() {
            self.received += received.len();
        }
        drop(io);
        ctx.set_timer(self.timer, Some(ctx.now() + PATIENCE));
    }

    fn on_timer(&mut self, ctx: &mut Ctx<'_>, (): ()) {
        self.timeouts.push(ctx.now());
    }

    fn on_socket_detached(&mut self, _: &mut Ctx<'_>, (): (), _: Detached) {}

    fn on_wakeup(&mut self, _: &mut Ctx<'_>, (): ()) {}

    fn on_event(&mut self, _: &mut Ctx<'_>, (): ()) {}

    fn on_shutdown(&mut self, ctx: &mut Ctx<'_>) {
        ctx.stop();
    }
}

#[test]
fn s7_a_silent_socket_is_told_once_by_its_timer_and_again_after_the_next_packet() {
    let simulation = Simulation::new(1);
    let network = simulation.network();
    let mut service = SocketTransportService::new(network.host(A), Limits::default()).unwrap();
    let watcher = service.with_context(|ctx: &mut Ctx<'_>| {
        let socket = ctx.open_udp((), SocketAddr::new(A, 0), UdpOptions::default()).unwrap();
        let (timer, address) = (ctx.create_timer(()), ctx.local_addr(socket).unwrap());
        Watcher { socket, timer, address, received: 0, timeouts: Vec::new() }
    });
    let there = watcher.address;
    let mut nodes = (Stack::of(service, watcher), Peer::at(network, B));
    let start = network.clock().now();
    for seconds in [3, 3, 60] {
        send(&mut nodes.1, there, [1]);
        simulation.run_for(&mut nodes, Duration::from_secs(seconds)).unwrap();
    }
    // Packets came 10 ms after 0, 3 and 6 seconds.
    let silent = |seconds| start + Duration::from_secs(seconds) + 10 * MS + PATIENCE;
    assert_eq!((nodes.0.app().received, &nodes.0.app().timeouts[..]), (3, &[silent(6)][..]));
    let turns = nodes.0.service().snapshot().turns;
    simulation.run_for(&mut nodes, MINUTE).unwrap();
    let more = nodes.0.service().snapshot().turns - turns;
    assert!(more < 3, "nothing is repeated: {more} turns");

    send(&mut nodes.1, there, [1]);
    simulation.run_for(&mut nodes, MINUTE).unwrap();
    assert_eq!(nodes.0.app().timeouts, [silent(6), silent(126)]);
}
