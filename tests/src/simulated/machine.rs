//! A peer's machine: the service, socket and timer around something that takes and gives datagrams.

use std::{
    cell::RefCell,
    collections::VecDeque,
    io,
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use neqo_common::{Datagram, IpTos, IpTosEcn};
use neqo_transport::Output;
use socket_transport::{
    Context, Detached, Ecn, Limits, Ready, SocketHandler, SocketKey, SocketTransportService,
    TimerKey, UdpOptions,
    simulated::{Node, SimulatedNetwork, Stack},
};

/// neqo may ask to be called at once: a timer of zero would spin.
const MIN_CALLBACK: Duration = Duration::from_millis(1);

/// A server without a socket.
pub trait Endpoint {
    /// Takes a datagram; may answer with one.
    fn input(&mut self, datagram: Datagram, now: Instant) -> Option<Datagram>;

    /// Gives the next datagram, or the time until there may be one. Called until it gives none.
    fn output(&mut self, now: Instant) -> Output;
}

/// An [`Endpoint`] on a service in the simulated network. Clones are the same one.
pub struct Peer<E: Endpoint + 'static>(Rc<RefCell<Stack<Machine<E>>>>);

impl<E: Endpoint> Peer<E> {
    pub(super) fn new(network: &SimulatedNetwork, local: SocketAddr, endpoint: E) -> Self {
        let network = network.host(local.ip());
        let mut service =
            SocketTransportService::new(network, Limits::default()).expect("a service");
        let machine = service.with_context(|ctx: &mut Ctx<'_>| Machine {
            endpoint,
            local,
            socket: ctx.open_udp((), local, UdpOptions::server()).expect("a free port"),
            timer: ctx.create_timer(()),
            outbox: VecDeque::new(),
        });
        Self(Rc::new(RefCell::new(Stack::of(service, machine))))
    }

    /// Looks at the endpoint.
    pub fn look<R>(&self, look: impl FnOnce(&E) -> R) -> R {
        look(&self.0.borrow().app().endpoint)
    }

    /// Has the endpoint do something, and sends what it has to send then.
    pub fn tell<R>(&self, tell: impl FnOnce(&mut E, Instant) -> R) -> R {
        self.0.borrow_mut().call(|machine, ctx| {
            let result = tell(&mut machine.endpoint, ctx.now());
            machine.drive(ctx);
            result
        })
    }

    /// Ends the peer's program without a word to anybody: its port is free then.
    pub fn kill(&self) {
        self.0.borrow().poster().request_shutdown();
    }
}

impl<E: Endpoint> Clone for Peer<E> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<E: Endpoint> Node for Peer<E> {
    fn turn(&mut self) -> io::Result<bool> {
        self.0.borrow_mut().turn()
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.0.borrow().next_deadline()
    }
}

/// The handler.
pub(super) struct Machine<E> {
    endpoint: E,
    local: SocketAddr,
    socket: SocketKey,
    timer: TimerKey,
    outbox: VecDeque<Datagram>,
}

type Ctx<'a> = Context<'a, (), ()>;

impl<E: Endpoint> Machine<E> {
    fn receive(&mut self, ctx: &mut Ctx<'_>) {
        let now = ctx.now();
        let Some(mut io) = ctx.socket_io(self.socket) else { return };
        while let Some(mut received) = io.recv().expect("a socket that works") {
            let (source, tos) = (received.source(), tos(received.ecn()));
            for bytes in received.datagrams() {
                let datagram = Datagram::new(source, self.local, tos, bytes.to_vec());
                self.outbox.extend(self.endpoint.input(datagram, now));
            }
        }
    }

    fn drive(&mut self, ctx: &mut Ctx<'_>) {
        let now = ctx.now();
        let deadline = loop {
            match self.endpoint.output(now) {
                Output::Datagram(datagram) => self.outbox.push_back(datagram),
                Output::Callback(delay) => break Some(now + delay.max(MIN_CALLBACK)),
                Output::None => break None,
            }
        };
        ctx.set_timer(self.timer, deadline);
        self.send(ctx);
    }

    fn send(&mut self, ctx: &mut Ctx<'_>) {
        let Some(mut io) = ctx.socket_io(self.socket) else { return };
        while !io.is_send_blocked() && !self.outbox.is_empty() {
            while let Some(datagram) = self.outbox.front()
                && io.batch().push(datagram.destination(), None, ecn(datagram.tos()), datagram)
            {
                self.outbox.pop_front();
            }
            let _ = io.send_batch().expect("a socket that works");
        }
    }
}

impl<E: Endpoint> SocketHandler for Machine<E> {
    type Target = ();
    type Event = ();

    fn on_socket_ready(&mut self, ctx: &mut Ctx<'_>, (): (), _: Ready) {
        self.receive(ctx);
        self.drive(ctx);
    }

    fn on_socket_detached(&mut self, _: &mut Ctx<'_>, (): (), _: Detached) {}

    fn on_timer(&mut self, ctx: &mut Ctx<'_>, (): ()) {
        self.drive(ctx);
    }

    fn on_wakeup(&mut self, _: &mut Ctx<'_>, (): ()) {}

    fn on_event(&mut self, _: &mut Ctx<'_>, (): ()) {}

    fn on_shutdown(&mut self, ctx: &mut Ctx<'_>) {
        ctx.stop();
    }
}

fn tos(ecn: Ecn) -> IpTos {
    IpTos::from(match ecn {
        Ecn::NotEct => IpTosEcn::NotEct,
        Ecn::Ect1 => IpTosEcn::Ect1,
        Ecn::Ect0 => IpTosEcn::Ect0,
        Ecn::Ce => IpTosEcn::Ce,
    })
}

fn ecn(tos: IpTos) -> Ecn {
    match IpTosEcn::from(tos) {
        IpTosEcn::NotEct => Ecn::NotEct,
        IpTosEcn::Ect1 => Ecn::Ect1,
        IpTosEcn::Ect0 => Ecn::Ect0,
        IpTosEcn::Ce => Ecn::Ce,
    }
}
