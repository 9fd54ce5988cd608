//! An application for the tests: it sends what it was given, and keeps all that it is told.

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use socket_transport::{
    Context, Detached, Ecn, Limits, Network, Ready, SocketHandler, SocketKey,
    SocketTransportService, TimerKey, UdpOptions,
    simulated::{SimulatedNetwork, Simulation, Stack},
};

pub(crate) const A: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
pub(crate) const B: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const MINUTE: Duration = Duration::from_mins(1);

/// Two peers: on machines [`A`] and [`B`], if nothing else is said.
pub(crate) type Two = (Stack<Peer>, Stack<Peer>);

pub(crate) type Ctx<'a> = Context<'a, (), Told>;

/// What is posted to a peer.
#[derive(Debug)]
pub(crate) enum Told {
    /// Send this.
    Send(SocketAddr, Vec<u8>),
    /// A worker's result.
    Result(u32),
}

/// See the module page. One socket, one timer.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) socket: SocketKey,
    pub(crate) timer: TimerKey,
    /// Where the socket is bound.
    pub(crate) address: SocketAddr,
    /// Sends back what it receives.
    pub(crate) echoes: bool,
    /// Says after every reading that it did not read everything.
    pub(crate) never_done: bool,
    /// Sends this to that address and re-arms its timer by this much when it expires.
    pub(crate) beat: Option<(Duration, SocketAddr, Vec<u8>)>,
    outbox: VecDeque<(SocketAddr, Vec<u8>)>,
    pub(crate) received: Vec<(SocketAddr, Vec<u8>)>,
    /// How many datagrams each read returned.
    pub(crate) reads: Vec<usize>,
    pub(crate) writables: usize,
    pub(crate) errors: Vec<io::ErrorKind>,
    pub(crate) results: Vec<u32>,
    pub(crate) detached: Vec<Detached>,
}

impl Peer {
    /// A peer bound to `ip` at `port`, on `network`.
    pub(crate) fn on(network: Network, ip: IpAddr, port: u16, options: UdpOptions) -> Stack<Self> {
        let limits = Limits::default();
        let mut service = SocketTransportService::new(network, limits).unwrap();
        let peer = service.with_context(|ctx: &mut Ctx<'_>| {
            let socket = ctx.open_udp((), SocketAddr::new(ip, port), options).unwrap();
            let address = ctx.local_addr(socket).unwrap();
            Self::new(socket, ctx.create_timer(()), address)
        });
        Stack::of(service, peer)
    }

    /// A peer on a machine of a simulated network.
    pub(crate) fn at(network: &SimulatedNetwork, ip: IpAddr) -> Stack<Self> {
        Self::on(network.host(ip), ip, 4433, UdpOptions::default())
    }

    fn new(socket: SocketKey, timer: TimerKey, address: SocketAddr) -> Self {
        Self {
            socket,
            timer,
            address,
            echoes: false,
            never_done: false,
            beat: None,
            outbox: VecDeque::new(),
            received: Vec::new(),
            reads: Vec::new(),
            writables: 0,
            errors: Vec::new(),
            results: Vec::new(),
            detached: Vec::new(),
        }
    }

    /// Sends as soon as the socket takes it.
    pub(crate) fn send(&mut self, ctx: &mut Ctx<'_>, to: SocketAddr, datagram: &[u8]) {
        self.send_all(ctx, to, [datagram.to_vec()]);
    }

    /// Sends all of them, those of one size in one batch.
    pub(crate) fn send_all(
        &mut self,
        ctx: &mut Ctx<'_>,
        to: SocketAddr,
        datagrams: impl IntoIterator<Item = Vec<u8>>,
    ) {
        self.outbox.extend(datagrams.into_iter().map(|datagram| (to, datagram)));
        self.pump(ctx);
    }

    /// The first byte of each datagram received.
    pub(crate) fn numbers(&self) -> Vec<u8> {
        self.received.iter().filter_map(|(_, datagram)| datagram.first().copied()).collect()
    }

    fn read(&mut self, ctx: &mut Ctx<'_>) {
        let Some(mut io) = ctx.socket_io(self.socket) else { return };
        loop {
            match io.recv() {
                Ok(Some(mut datagrams)) => {
                    self.reads.push(datagrams.len());
                    let source = datagrams.source();
                    for datagram in datagrams.datagrams() {
                        self.received.push((source, datagram.to_vec()));
                        if self.echoes {
                            self.outbox.push_back((source, datagram.to_vec()));
                        }
                    }
                }
                Ok(None) => break,
                Err(error) => self.errors.push(error.kind()),
            }
        }
        if self.never_done {
            io.stay_ready();
        }
    }

    fn pump(&mut self, ctx: &mut Ctx<'_>) {
        let Some(mut io) = ctx.socket_io(self.socket) else { return };
        while !io.is_send_blocked() && !self.outbox.is_empty() {
            while let Some((to, datagram)) = self.outbox.front()
                && io.batch().push(*to, None, Ecn::NotEct, datagram)
            {
                self.outbox.pop_front();
            }
            if let Err(error) = io.send_batch() {
                self.errors.push(error.kind());
            }
        }
    }
}

impl SocketHandler for Peer {
    type Target = ();
    type Event = Told;

    fn on_socket_ready(&mut self, ctx: &mut Ctx<'_>, (): (), ready: Ready) {
        self.writables += usize::from(ready.writable);
        self.read(ctx);
        self.pump(ctx);
    }

    fn on_socket_detached(&mut self, _: &mut Ctx<'_>, (): (), reason: Detached) {
        self.detached.push(reason);
    }

    fn on_timer(&mut self, ctx: &mut Ctx<'_>, (): ()) {
        if let Some((interval, to, datagram)) = self.beat.clone() {
            self.send(ctx, to, &datagram);
            ctx.set_timer(self.timer, Some(ctx.now() + interval));
        }
    }

    fn on_wakeup(&mut self, _: &mut Ctx<'_>, (): ()) {}

    fn on_event(&mut self, ctx: &mut Ctx<'_>, event: Told) {
        match event {
            Told::Send(to, datagram) => self.send(ctx, to, &datagram),
            Told::Result(number) => self.results.push(number),
        }
    }

    fn on_shutdown(&mut self, ctx: &mut Ctx<'_>) {
        ctx.stop();
    }
}

pub(crate) fn two_peers(seed: u64) -> (Simulation, Two) {
    let simulation = Simulation::new(seed);
    let peers = (Peer::at(simulation.network(), A), Peer::at(simulation.network(), B));
    (simulation, peers)
}

/// Sends datagrams of 100 bytes with these first bytes, each for itself.
pub(crate) fn send(from: &mut Stack<Peer>, to: SocketAddr, numbers: impl IntoIterator<Item = u8>) {
    from.call(|peer, ctx| {
        for number in numbers {
            peer.send(ctx, to, &[number; 100]);
        }
    });
}

/// Nothing that could still happen is left in a service.
pub(crate) fn assert_at_rest(stack: &Stack<Peer>) {
    let snapshot = stack.service().snapshot();
    let left = (snapshot.blocked_sockets, snapshot.ready_sockets, snapshot.posted_events);
    assert_eq!((left, snapshot.jobs_in_flight), ((0, 0, 0), 0), "{snapshot:?}");
}
