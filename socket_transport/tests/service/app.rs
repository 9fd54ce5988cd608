//! An application that writes down what it is called for, and reacts as its test says.

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use socket_transport::{
    Context, Detached, Ecn, Limits, Network, Ready, SocketHandler, SocketIo, SocketKey,
    SocketTransportService, Turn, UdpOptions, Wait,
};

pub(crate) type Ctx<'a> = Context<'a, u32, u32>;
pub(crate) type Service = SocketTransportService<u32, u32>;

/// The target of the guard timer.
const GUARD: u32 = u32::MAX;
const PATIENCE: Duration = Duration::from_secs(20);

/// What the application was called for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Ready(u32),
    Writable(u32),
    Detached(u32, Detached),
    Timer(u32),
    Wakeup(u32),
    Event(u32),
    Shutdown,
}

type Reaction<'r> = Box<dyn FnMut(&mut Ctx<'_>, &Call) + 'r>;

pub(crate) struct App<'r> {
    pub(crate) calls: Vec<Call>,
    react: Reaction<'r>,
}

impl<'r> App<'r> {
    pub(crate) fn new(react: impl FnMut(&mut Ctx<'_>, &Call) + 'r) -> Self {
        Self { calls: Vec::new(), react: Box::new(react) }
    }

    /// One that does nothing but read.
    pub(crate) fn quiet(sockets: &'r [SocketKey]) -> Self {
        Self::new(move |ctx, call| {
            if let Call::Ready(_) = call {
                for socket in sockets {
                    if let Some(mut io) = ctx.socket_io(*socket) {
                        read_all(&mut io);
                    }
                }
            }
        })
    }

    fn call(&mut self, ctx: &mut Ctx<'_>, call: Call) {
        (self.react)(ctx, &call);
        self.calls.push(call);
    }

    pub(crate) fn count(&self, call: &Call) -> usize {
        self.calls.iter().filter(|other| *other == call).count()
    }

    pub(crate) fn take_calls(&mut self) -> Vec<Call> {
        std::mem::take(&mut self.calls)
    }
}

impl SocketHandler for App<'_> {
    type Target = u32;
    type Event = u32;

    fn on_socket_ready(&mut self, ctx: &mut Ctx<'_>, target: u32, ready: Ready) {
        assert!(ready.readable || ready.writable);
        if ready.readable {
            self.call(ctx, Call::Ready(target));
        } else {
            self.call(ctx, Call::Writable(target));
        }
    }

    fn on_socket_detached(&mut self, ctx: &mut Ctx<'_>, target: u32, reason: Detached) {
        self.call(ctx, Call::Detached(target, reason));
    }

    fn on_timer(&mut self, ctx: &mut Ctx<'_>, target: u32) {
        assert_ne!(target, GUARD, "waited in vain; so far: {:?}", self.calls);
        self.call(ctx, Call::Timer(target));
    }

    fn on_wakeup(&mut self, ctx: &mut Ctx<'_>, target: u32) {
        self.call(ctx, Call::Wakeup(target));
    }

    fn on_event(&mut self, ctx: &mut Ctx<'_>, event: u32) {
        self.call(ctx, Call::Event(event));
    }

    fn on_shutdown(&mut self, ctx: &mut Ctx<'_>) {
        self.call(ctx, Call::Shutdown);
    }
}

pub(crate) fn service() -> Service {
    service_with(Limits::default())
}

pub(crate) fn service_with(limits: Limits) -> Service {
    Service::new(Network::operating_system(), limits).unwrap()
}

pub(crate) fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// Opens a loopback socket for a target.
pub(crate) fn open(service: &mut Service, target: u32) -> (SocketKey, SocketAddr) {
    open_with(service, target, UdpOptions::default())
}

pub(crate) fn open_with(
    service: &mut Service,
    target: u32,
    options: UdpOptions,
) -> (SocketKey, SocketAddr) {
    service.with_context(|ctx| {
        let key = ctx.open_udp(target, loopback(), options).unwrap();
        (key, ctx.local_addr(key).unwrap())
    })
}

/// A turn that does not wait.
pub(crate) fn turn(service: &mut Service, app: &mut App<'_>) -> Turn {
    service.turn(app, Wait::Poll).unwrap()
}

/// Turns until `done`, waiting for what has to happen, but not for ever.
pub(crate) fn turn_until(
    service: &mut Service,
    app: &mut App<'_>,
    mut done: impl FnMut(&App<'_>) -> bool,
) {
    let guard = service.with_context(|ctx| {
        let guard = ctx.create_timer(GUARD);
        ctx.set_timer(guard, Some(ctx.now() + PATIENCE));
        guard
    });
    while !done(app) {
        assert_ne!(service.turn(app, Wait::Block).unwrap(), Turn::Stopped);
    }
    service.with_context(|ctx| ctx.remove_timer(guard));
}

/// Reads until there is nothing left, or the budget is used.
pub(crate) fn read_all(io: &mut SocketIo<'_>) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let Some(mut received) = io.recv().unwrap() {
        all.extend(received.datagrams().map(|datagram| datagram.to_vec()));
    }
    all
}

/// Sends one datagram from a socket of the service.
pub(crate) fn send(ctx: &mut Ctx<'_>, from: SocketKey, to: SocketAddr, datagram: &[u8]) {
    let mut io = ctx.socket_io(from).unwrap();
    assert!(io.batch().push(to, None, Ecn::Ect0, datagram));
    let _ = io.send_batch().unwrap();
}

/// A socket outside of the service. On loopback its datagrams are there when `send_to` returns.
pub(crate) struct Outside(UdpSocket);

impl Outside {
    pub(crate) fn new() -> Self {
        Self(UdpSocket::bind(loopback()).unwrap())
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    pub(crate) fn send(&self, to: SocketAddr, datagram: &[u8]) {
        self.0.send_to(datagram, to).unwrap();
    }

    pub(crate) fn recv(&self) -> Vec<u8> {
        self.0.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut buffer = vec![0; 65_536];
        let len = self.0.recv(&mut buffer).unwrap();
        buffer.truncate(len);
        buffer
    }
}
