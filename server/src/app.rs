//! The server as an application of the socket thread.
//!
//! ```text
//!   datagrams ─────┐
//!   timers ────────┼─▶ the connections they concern stand in line ─▶ visit, send ─▶ settle
//!   disk replies ──┘          ▲                                          │
//!                             └── more to do: behind the others ◀────────┘
//! ```
//!
//! A connection is visited once for all that concerns it in a turn, not once per datagram. What a
//! turn does is bounded ([`DATAGRAMS_PER_TURN`]); with connections left in line it wakes itself, so
//! that the socket is read in between.
//!
//! ```text
//!             go_away                     nothing is open, or the deadline
//!   Running ──────────▶ Leaving(timer) ────────────────────────────────────▶ Stopped
//! ```

use std::{collections::VecDeque, io, task::Waker, time::Duration};

use socket_transport::{
    Context, Detached, Ecn, Ready, Route, SocketHandler, SocketIo, SocketKey, TimerKey,
};

use crate::{
    Config, LimitTotals, Snapshot,
    connection::Connection,
    events::{Event, Reply, Target},
    exchange::Limits,
    intake::Intake,
    keyed::{Key, Keyed},
    listener::{Admission, Arrival, Listener, Routed},
    origin::Origin,
    output::{self, Output},
};

/// Datagrams that all connections together send before the socket is read again.
const DATAGRAMS_PER_TURN: u64 = 1024;
/// A timer is never set to less than this from now: whatever the engine thinks, the server does not
/// spin (D2 43).
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
/// Errors of the socket in one turn before the rest waits for the next event.
const MAX_ERRORS: usize = 8;

/// The service's view of a context here.
type Ctx<'a> = Context<'a, Target, Event>;

/// The server.
pub(crate) struct Server {
    socket: SocketKey,
    listener: Listener,
    connections: Keyed<Connection>,
    /// Connections that wait for a visit, each once.
    line: VecDeque<Key<Connection>>,
    origin: Origin,
    waker: Waker,
    phase: Phase,
    waiting_for_empty: Vec<Reply>,
    idle_timeout: Duration,
    shutdown_timeout: Duration,
    /// For each connection.
    limits: Limits,
    /// What they did so far.
    limit_totals: LimitTotals,
    max_connections: usize,
    datagram_size: usize,
    accepted: u64,
    handshaking: usize,
    /// Why the server ended without having been asked to.
    failure: Option<io::Error>,
}

/// See the picture on top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    Leaving { deadline: TimerKey },
    Stopped,
}

impl Server {
    /// Takes over a bound socket.
    pub(crate) fn new(
        config: &Config,
        ctx: &Ctx<'_>,
        socket: SocketKey,
        listener: Listener,
        origin: Origin,
    ) -> Self {
        Self {
            socket,
            listener,
            connections: Keyed::new(),
            line: VecDeque::new(),
            origin,
            waker: ctx.poster().waker(Target::Work),
            phase: Phase::Running,
            waiting_for_empty: Vec::new(),
            idle_timeout: config.idle_timeout,
            shutdown_timeout: config.shutdown_timeout,
            limits: Limits::from(config),
            limit_totals: LimitTotals::default(),
            max_connections: config.max_connections,
            datagram_size: config.datagram_size,
            accepted: 0,
            handshaking: 0,
            failure: None,
        }
    }

    /// Why the server ended, if nobody asked it to.
    pub(crate) fn take_failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// What is alive.
    pub(crate) fn snapshot(&self, service: socket_transport::ServiceSnapshot) -> Snapshot {
        let connections = || self.connections.values();
        Snapshot {
            connections: self.connections.len(),
            handshaking: self.handshaking,
            connection_ids: self.listener.ids(),
            streams: connections().map(|c| c.exchange.open_streams()).sum(),
            transfers: self.origin.transfers.len(),
            uploads: connections().map(|c| c.exchange.uploads()).sum(),
            uploads_unfinished: self.origin.intake.unfinished(),
            uploads_buffered_bytes: self.origin.intake.held(),
            files_open: self.origin.disk.open_files.count(),
            buffered_bytes: self.origin.transfers.held(),
            accepted: self.accepted,
            datagrams_dropped: self.listener.dropped,
            requests: self.origin.totals,
            responses: self.origin.transfers.totals(),
            limits: self.limit_totals,
            service,
        }
    }
}

/// Input.
impl Server {
    /// Takes what the socket has, within the turn's budget.
    fn receive(&mut self, ctx: &mut Ctx<'_>) {
        let Some(mut io) = ctx.socket_io(self.socket) else { return };
        let mut errors = 0;
        while errors < MAX_ERRORS {
            let now = io.now();
            match io.recv() {
                Ok(None) => return,
                Ok(Some(mut received)) => {
                    let (from, to) = (received.source(), received.destination());
                    let arrival = Arrival { from, to, now };
                    for datagram in received.datagrams() {
                        self.route(datagram, arrival);
                    }
                }
                // One client's trouble, or the network's; never a reason to leave the others alone
                // (D2 48).
                Err(error) => {
                    errors += 1;
                    log::warn!("receiving: {error}");
                }
            }
        }
    }

    fn route(&mut self, datagram: &mut [u8], arrival: Arrival) {
        let admission = Admission {
            open: self.phase == Phase::Running && self.connections.len() < self.max_connections,
            handshaking: self.handshaking,
        };
        let key = match self.listener.route(datagram, arrival, admission) {
            Routed::Known(key) => key,
            Routed::New(quic, ids) => self.accept(*quic, ids, arrival),
            Routed::Dropped => return,
        };
        if let Some(connection) = self.connections.get_mut(key) {
            connection.receive(datagram, arrival.from, arrival.to, arrival.now);
        }
        self.stand_in_line(key);
    }

    fn accept(
        &mut self,
        quic: quiche::Connection,
        ids: Vec<Box<[u8]>>,
        arrival: Arrival,
    ) -> Key<Connection> {
        let (idle_timeout, limits, now) = (self.idle_timeout, self.limits, arrival.now);
        let key = self
            .connections
            .insert_with(|key| Connection::new(key, quic, idle_timeout, limits, now));
        if let Some(connection) = self.connections.get_mut(key) {
            for id in ids {
                self.listener.add_id(connection, id);
            }
        }
        self.accepted += 1;
        self.handshaking += 1;
        log::info!("connection {key:?} from {}", arrival.from);
        key
    }
}

/// Visits.
impl Server {
    fn stand_in_line(&mut self, key: Key<Connection>) {
        if let Some(connection) = self.connections.get_mut(key)
            && !connection.in_line
        {
            connection.in_line = true;
            self.line.push_back(key);
        }
    }

    /// A stream's response can go on.
    fn continue_stream(&mut self, place: Option<(Key<Connection>, u64)>) {
        let Some((key, stream)) = place else { return };
        if let Some(connection) = self.connections.get_mut(key) {
            connection.exchange.continue_stream(stream);
            self.stand_in_line(key);
        }
    }

    /// Visits those who stand in line now, and lets them send.
    fn work(&mut self, ctx: &mut Ctx<'_>) {
        let mut visited = Vec::with_capacity(self.line.len());
        if let Some(mut io) = ctx.socket_io(self.socket) {
            self.send_replies(&mut io);
            let mut budget = DATAGRAMS_PER_TURN;
            for _ in 0..self.line.len() {
                if budget == 0 || io.is_send_blocked() {
                    break;
                }
                let Some(key) = self.line.pop_front() else { break };
                self.visit(key, &mut io, &mut budget);
                visited.push(key);
            }
        }
        for key in visited {
            self.settle(ctx, key);
        }
        self.leave_if_done(ctx);
        self.report_if_empty(ctx);
        // A blocked socket becomes ready again, and then the line moves on.
        let blocked = ctx.socket_io(self.socket).is_none_or(|io| io.is_send_blocked());
        if !self.line.is_empty() && !blocked {
            self.waker.wake_by_ref();
        }
    }

    fn send_replies(&mut self, io: &mut SocketIo<'_>) {
        for reply in self.listener.take_replies() {
            let source = Some(reply.from.ip());
            let route = Route { destination: reply.to, source, ecn: Ecn::NotEct };
            output::send_reply(io, route, &reply.datagram);
        }
    }

    fn visit(&mut self, key: Key<Connection>, io: &mut SocketIo<'_>, budget: &mut u64) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.in_line = false;
        connection.visit(&mut self.origin, &self.listener.transport.http, io.now());
        self.limit_totals += connection.exchange.take_limit_totals();
        self.listener.refresh_ids(connection);
        let (output, sent) = output::send(&mut connection.quic, io, self.datagram_size);
        *budget = budget.saturating_sub(sent.max(1));
        connection.full = output != Output::Done;
        if connection.full || connection.exchange.is_unfinished() {
            self.stand_in_line(key);
        }
    }

    /// After a visit: the timer, or the end.
    fn settle(&mut self, ctx: &mut Ctx<'_>, key: Key<Connection>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.counts_as_handshaking && !connection.is_handshaking() {
            connection.counts_as_handshaking = false;
            self.handshaking -= 1;
        }
        if connection.quic.is_closed() {
            return self.remove(ctx, key);
        }
        let deadline = connection.deadline().map(|at| at.max(ctx.now() + SHORTEST_WAIT));
        let timer =
            *connection.timer.get_or_insert_with(|| ctx.create_timer(Target::Connection(key)));
        ctx.set_timer(timer, deadline);
    }

    fn remove(&mut self, ctx: &mut Ctx<'_>, key: Key<Connection>) {
        let Some(mut connection) = self.connections.remove(key) else { return };
        log::info!("connection {key:?} is gone: {}", connection.epitaph());
        self.handshaking -= usize::from(connection.counts_as_handshaking);
        connection.exchange.abandon(&mut self.origin);
        self.listener.remove_ids(&connection);
        if let Some(timer) = connection.timer {
            ctx.remove_timer(timer);
        }
    }
}

/// The end, and questions about it.
impl Server {
    fn leave(&mut self, ctx: &mut Ctx<'_>) {
        if self.phase != Phase::Running {
            return;
        }
        log::info!("shutting down: {} connections", self.connections.len());
        let deadline = ctx.create_timer(Target::Deadline);
        ctx.set_timer(deadline, Some(ctx.now() + self.shutdown_timeout));
        self.phase = Phase::Leaving { deadline };
        for key in self.connections.keys() {
            if let Some(connection) = self.connections.get_mut(key) {
                connection.go_away();
            }
            self.stand_in_line(key);
        }
        self.work(ctx);
    }

    /// Stops as soon as every client was told.
    fn leave_if_done(&mut self, ctx: &mut Ctx<'_>) {
        if matches!(self.phase, Phase::Leaving { .. })
            && self.connections.values().all(Connection::is_over)
            && ctx.socket_io(self.socket).is_none_or(|io| !io.is_send_blocked())
        {
            self.stop(ctx);
        }
    }

    /// The clients that are still busy have had their time.
    fn on_deadline(&mut self, ctx: &mut Ctx<'_>) {
        for key in self.connections.keys() {
            if let Some(connection) = self.connections.get_mut(key) {
                connection.close();
            }
            self.stand_in_line(key);
        }
        while !self.line.is_empty() && self.phase != Phase::Stopped {
            let before = self.line.len();
            self.work(ctx);
            if self.line.len() >= before {
                // The socket takes no more: these clients will find out by themselves.
                break;
            }
        }
        self.stop(ctx);
    }

    fn stop(&mut self, ctx: &mut Ctx<'_>) {
        if let Phase::Leaving { deadline } = self.phase {
            ctx.remove_timer(deadline);
        }
        if self.phase == Phase::Stopped {
            return;
        }
        self.phase = Phase::Stopped;
        for key in self.connections.keys() {
            self.remove(ctx, key);
        }
        self.line.clear();
        self.report_if_empty(ctx);
        ctx.close_socket(self.socket);
        ctx.stop();
    }

    fn report_if_empty(&mut self, ctx: &Ctx<'_>) {
        if self.waiting_for_empty.is_empty() {
            return;
        }
        let snapshot = self.snapshot(ctx.snapshot());
        if snapshot.is_empty() {
            for reply in self.waiting_for_empty.drain(..) {
                reply(snapshot.clone());
            }
        }
    }
}

impl SocketHandler for Server {
    type Target = Target;
    type Event = Event;

    fn on_socket_ready(&mut self, ctx: &mut Ctx<'_>, _: Target, ready: Ready) {
        if ready.readable || ready.error {
            self.receive(ctx);
        }
        self.work(ctx);
    }

    fn on_socket_detached(&mut self, ctx: &mut Ctx<'_>, _: Target, reason: Detached) {
        if self.phase != Phase::Stopped {
            let error = io::Error::other(format!("the socket was lost: {reason}"));
            self.failure = Some(error);
            self.stop(ctx);
        }
    }

    fn on_timer(&mut self, ctx: &mut Ctx<'_>, target: Target) {
        match target {
            Target::Connection(key) => {
                if let Some(connection) = self.connections.get_mut(key) {
                    connection.on_timer(ctx.now(), &mut self.origin);
                }
                self.stand_in_line(key);
                // Behind the other timers and events of this turn, together.
                self.waker.wake_by_ref();
            }
            Target::Deadline => self.on_deadline(ctx),
            Target::Socket | Target::Work => {}
        }
    }

    fn on_wakeup(&mut self, ctx: &mut Ctx<'_>, _: Target) {
        self.work(ctx);
    }

    fn on_event(&mut self, ctx: &mut Ctx<'_>, event: Event) {
        match event {
            Event::Opened { transfer, result, wanted } => {
                let place = self.origin.opened(transfer, result, &wanted);
                self.continue_stream(place);
            }
            Event::Read { transfer, done } => {
                let place = self.origin.transfers.read_done(transfer, done);
                self.continue_stream(place);
            }
            Event::Stored { place: (key, stream), done } => {
                match self.connections.get_mut(key) {
                    Some(connection) => connection.exchange.stored(stream, done),
                    None => Intake::nobody_waits((key, stream), done, &mut self.origin.disk),
                }
                self.stand_in_line(key);
            }
            Event::Report(reply) => return reply(self.snapshot(ctx.snapshot())),
            Event::ReportWhenEmpty(reply) => self.waiting_for_empty.push(reply),
        }
        self.waker.wake_by_ref();
    }

    fn on_shutdown(&mut self, ctx: &mut Ctx<'_>) {
        self.leave(ctx);
    }
}
