//! The table of connections, and what happens to them. Necko's class is `nsHttpConnectionMgr`.

use std::{cell::Cell, collections::BTreeMap, net::SocketAddr, rc::Rc, sync::Arc, time::Instant};

use http3_session::{
    CertificateVerifier, ConnectParameters, Http3Conn, Http3ConnFactory, Http3Settings,
    VerificationRequest,
};
use socket_transport::{
    Detached, Ready, SocketHandler,
    slots::Slots,
    walk::{Step, step},
};
use transaction::{HttpTransaction, NetError, TransactionId};

use crate::{
    entry::ConnectionEntry,
    half_open::HalfOpen,
    handle::ConnectionHandle,
    http_connection_udp::{Ctx, HttpConnectionUdp},
    info::ConnectionInfo,
    resolver::Resolve,
    snapshot::{EntrySnapshot, Lifetime, Snapshot},
    target::{ConnectionKey, Event, Target},
};

/// What the front door plugs into a manager.
pub struct Parts {
    /// Makes engines.
    pub engines: Box<dyn Http3ConnFactory>,
    /// Verifies certificates, on worker threads.
    pub verifier: Arc<dyn CertificateVerifier>,
    /// Looks names up, on worker threads.
    pub resolver: Arc<dyn Resolve>,
    /// The engines' knobs.
    pub settings: Http3Settings,
}

impl Parts {
    pub(crate) fn connect(
        &self,
        host: &str,
        local: SocketAddr,
        remote: SocketAddr,
        now: Instant,
    ) -> Result<Box<dyn Http3Conn>, NetError> {
        let settings = self.settings.clone();
        let parameters = ConnectParameters { host: host.to_owned(), local, remote, settings };
        self.engines.connect(&parameters, now)
    }
}

/// A connection and the entry it belongs to.
struct Registered {
    info: ConnectionInfo,
    connection: HttpConnectionUdp,
}

/// Owns every connection of a socket thread, and is the [`SocketHandler`] that the service drives.
pub struct ConnectionMgr {
    parts: Parts,
    entries: BTreeMap<ConnectionInfo, ConnectionEntry>,
    connections: Slots<Registered>,
    /// Where a waiting transaction waits, so that a cancel finds it.
    waiting: BTreeMap<TransactionId, ConnectionInfo>,
    pub(crate) handles: Rc<Cell<usize>>,
    attempts: u64,
    lifetime: Lifetime,
    shutting_down: bool,
}

impl ConnectionMgr {
    /// A manager without connections.
    pub fn new(parts: Parts) -> Self {
        Self {
            parts,
            entries: BTreeMap::new(),
            connections: Slots::new(),
            waiting: BTreeMap::new(),
            handles: Rc::default(),
            attempts: 0,
            lifetime: Lifetime::default(),
            shutting_down: false,
        }
    }

    // Dispatch.

    /// Necko's `ProcessNewTransaction`: joins the entry's connection, or waits for one.
    fn process_new_transaction(
        &mut self,
        ctx: &mut Ctx<'_>,
        info: &ConnectionInfo,
        transaction: Box<HttpTransaction>,
    ) {
        if self.shutting_down {
            transaction.fail(NetError::ShuttingDown);
            return;
        }
        self.enqueue(ctx, info, transaction);
        self.process_pending_queue(ctx, info);
    }

    fn enqueue(&mut self, ctx: &Ctx<'_>, info: &ConnectionInfo, transaction: Box<HttpTransaction>) {
        self.lifetime.transactions += 1;
        transaction.set_owner(ctx.poster().waker(Target::Pending(transaction.id())));
        self.waiting.insert(transaction.id(), info.clone());
        self.entries.entry(info.clone()).or_default().pending.push(transaction);
    }

    /// Necko's `ProcessPendingQForEntry`: dispatches what can be, and opens at most one connection.
    fn process_pending_queue(&mut self, ctx: &mut Ctx<'_>, info: &ConnectionInfo) {
        while let Some(entry) = self.entries.get_mut(info)
            && let Some(key) = entry.active
            && self.connections.get(key.slot()).is_some_and(|active| active.connection.can_reuse())
            && let Some(transaction) = entry.pending.pop()
        {
            if !self.dispatch(ctx, info, key, transaction) {
                break;
            }
        }
        self.make_new_connection(ctx, info);
        self.forget_if_empty(info);
    }

    /// Activates a transaction on a connection; answers whether the connection took it.
    fn dispatch(
        &mut self,
        ctx: &mut Ctx<'_>,
        info: &ConnectionInfo,
        key: ConnectionKey,
        transaction: Box<HttpTransaction>,
    ) -> bool {
        let id = transaction.id();
        let activated = match self.connections.get_mut(key.slot()) {
            Some(registered) => registered.connection.activate(ctx, transaction),
            None => Err(transaction),
        };
        match activated {
            Ok(()) => {
                self.waiting.remove(&id);
                self.lifetime.dispatched += 1;
                true
            }
            Err(transaction) => {
                self.entries.entry(info.clone()).or_default().pending.push_front(transaction);
                false
            }
        }
    }

    /// Necko's `MakeNewConnection`: at most one connection or look-up per entry.
    fn make_new_connection(&mut self, ctx: &mut Ctx<'_>, info: &ConnectionInfo) {
        loop {
            let Some(entry) = self.entries.get_mut(info) else { return };
            if entry.pending.is_empty() || entry.at_active_connection_limit() {
                return;
            }
            let Some(peer) = entry.untried.next() else {
                self.resolve(ctx, info);
                return;
            };
            let last = entry.untried.is_empty();
            match self.setup_connection(ctx, info, peer) {
                Ok(()) => return,
                Err(error) if last => self.fail_pending(info, &error),
                Err(error) => log::debug!(target: "necko::mgr", "{info}: {peer}: {error}"),
            }
        }
    }

    fn resolve(&mut self, ctx: &mut Ctx<'_>, info: &ConnectionInfo) {
        self.attempts += 1;
        let attempt = self.attempts;
        if let Some(entry) = self.entries.get_mut(info) {
            entry.half_open = HalfOpen::Resolving { attempt };
        }
        let (resolver, poster) = (Arc::clone(&self.parts.resolver), ctx.poster().clone());
        let info = info.clone();
        ctx.workers().run(Box::new(move || {
            let result = resolver.resolve(info.host(), info.port());
            poster.post(Event::Resolved { attempt, info, result });
        }));
    }

    fn resolved(
        &mut self,
        ctx: &mut Ctx<'_>,
        attempt: u64,
        info: &ConnectionInfo,
        result: Result<Vec<SocketAddr>, String>,
    ) {
        let Some(entry) = self.entries.get_mut(info) else { return };
        if !matches!(entry.half_open, HalfOpen::Resolving { attempt: wanted } if wanted == attempt)
        {
            return;
        }
        entry.half_open = HalfOpen::Idle;
        match result {
            Ok(addresses) if !addresses.is_empty() => entry.untried.set(addresses),
            Ok(_) => self.fail_pending(info, &unknown_host(info, "the name has no address")),
            Err(reason) => self.fail_pending(info, &unknown_host(info, &reason)),
        }
        self.process_pending_queue(ctx, info);
    }

    /// Necko's `SetupConn`: a connection, its handle, and the transaction that it is made for.
    fn setup_connection(
        &mut self,
        ctx: &mut Ctx<'_>,
        info: &ConnectionInfo,
        peer: SocketAddr,
    ) -> Result<(), NetError> {
        let parts = &self.parts;
        let slot = self.connections.try_insert_with(|slot| {
            let key = ConnectionKey::new(slot);
            let connection = HttpConnectionUdp::init(ctx, parts, key, info.host(), peer)?;
            Ok::<_, NetError>(Registered { info: info.clone(), connection })
        })?;
        let key = ConnectionKey::new(slot);
        log::debug!(target: "necko::mgr", "{info}: connecting to {peer}");
        self.lifetime.connections += 1;
        let handle = ConnectionHandle::new(ctx.poster().waker(Target::Reclaim(key)), &self.handles);
        let entry = self.entries.entry(info.clone()).or_default();
        entry.active = Some(key);
        let first = entry.pending.pop();
        if let Some(Registered { connection, .. }) = self.connections.get_mut(slot) {
            connection.hold(handle, !entry.untried.is_empty());
        }
        if let Some(transaction) = first {
            self.dispatch(ctx, info, key, transaction);
        }
        Ok(())
    }

    fn fail_pending(&mut self, info: &ConnectionInfo, error: &NetError) {
        let Some(entry) = self.entries.get_mut(info) else { return };
        for transaction in entry.pending.take_all() {
            self.waiting.remove(&transaction.id());
            transaction.fail(error.clone());
        }
    }

    // Connections.

    /// Calls a connection, then does what has to be done after it.
    fn with_connection(
        &mut self,
        ctx: &mut Ctx<'_>,
        key: ConnectionKey,
        call: impl FnOnce(&mut HttpConnectionUdp, &mut Ctx<'_>),
    ) {
        let Some(registered) = self.connections.get_mut(key.slot()) else { return };
        call(&mut registered.connection, ctx);
        let aftermath = registered.connection.aftermath();
        let info = registered.info.clone();
        if let Some(request) = aftermath.verification {
            self.verify(ctx, key, request);
        }
        let restarted = !aftermath.restarts.is_empty();
        for transaction in aftermath.restarts {
            // Not by an event: while one is on its way, the reclaim could find the entry empty and forget
            // it, and with it the addresses that were not tried.
            self.enqueue(ctx, &info, transaction);
        }
        if aftermath.connected {
            self.report_http3_connection(&info);
        }
        let left = aftermath.draining
            && self.entries.get_mut(&info).is_some_and(|entry| entry.make_draining(key));
        if left && let Some(error) = aftermath.failed_to_connect {
            self.connection_failed(&info, &error);
        }
        if aftermath.connected || left || restarted {
            self.process_pending_queue(ctx, &info);
        }
    }

    /// The handshake is complete: other addresses are not needed any more.
    fn report_http3_connection(&mut self, info: &ConnectionInfo) {
        if let Some(entry) = self.entries.get_mut(info) {
            entry.untried.clear();
        }
    }

    /// No connection came about. Who waited for it goes on to the next address, or fails as it failed.
    fn connection_failed(&mut self, info: &ConnectionInfo, error: &NetError) {
        let Some(entry) = self.entries.get_mut(info) else { return };
        if !error.is_about_the_address() {
            entry.untried.clear();
        }
        if entry.untried.is_empty() {
            self.fail_pending(info, error);
        }
    }

    fn verify(&self, ctx: &Ctx<'_>, key: ConnectionKey, request: VerificationRequest) {
        let (verifier, poster) = (Arc::clone(&self.parts.verifier), ctx.poster().clone());
        ctx.workers().run(Box::new(move || {
            let verdict = verifier.verify(&request);
            poster.post(Event::CertificateVerified(key, verdict));
        }));
    }

    fn close_persistent_connections(&mut self, ctx: &mut Ctx<'_>) {
        let keys: Vec<_> =
            self.connections.iter().map(|(slot, _)| ConnectionKey::new(slot)).collect();
        for key in keys {
            self.with_connection(ctx, key, |connection, _| connection.dont_reuse());
        }
    }

    /// The last reference to a connection's handle is gone (necko's `OnMsgReclaimConnection`).
    ///
    /// An HTTP/3 connection is never used again: it leaves every list and the table, and then the entry's
    /// queue is served.
    fn reclaim_connection(&mut self, ctx: &mut Ctx<'_>, key: ConnectionKey) {
        step(Step::ReclaimConnection);
        let Some(mut registered) = self.connections.remove(key.slot()) else { return };
        self.lifetime.reclaimed += 1;
        registered.connection.close(ctx);
        if let Some(entry) = self.entries.get_mut(&registered.info) {
            entry.remove_connection(key);
        }
        self.process_pending_queue(ctx, &registered.info);
    }

    fn forget_if_empty(&mut self, info: &ConnectionInfo) {
        if self.entries.get(info).is_some_and(ConnectionEntry::is_empty) {
            self.entries.remove(info);
        }
    }

    /// The application wishes something of a transaction that waits. A new priority is noted in it; else only
    /// a cancel means anything then.
    fn pending_wishes(&mut self, id: TransactionId) {
        let Some(info) = self.waiting.get(&id).cloned() else { return };
        let Some(entry) = self.entries.get_mut(&info) else { return };
        if entry.pending.get_mut(id).is_some_and(|transaction| transaction.take_wishes().cancel)
            && let Some(transaction) = entry.pending.remove(id)
        {
            self.waiting.remove(&id);
            transaction.fail(NetError::Aborted);
            if entry.pending.is_empty() {
                // Nobody waits for the look-up any more: its answer will find another number.
                entry.half_open = HalfOpen::Idle;
            }
            self.forget_if_empty(&info);
        }
    }

    /// Ends everything: each transaction with an error, each connection with a `CONNECTION_CLOSE`.
    fn shutdown(&mut self, ctx: &mut Ctx<'_>) {
        self.shutting_down = true;
        for info in self.entries.keys().cloned().collect::<Vec<_>>() {
            self.fail_pending(&info, &NetError::ShuttingDown);
        }
        self.entries.clear();
        let keys: Vec<_> = self.connections.iter().map(|(key, _)| key).collect();
        for key in keys {
            if let Some(mut registered) = self.connections.remove(key) {
                registered.connection.shutdown(ctx);
            }
        }
        ctx.stop();
    }

    /// What is alive.
    pub fn snapshot(&self, ctx: &Ctx<'_>) -> Snapshot {
        let connection = |key: ConnectionKey, active| {
            self.connections.get(key.slot()).map(|one| one.connection.snapshot(active))
        };
        let entries = self.entries.iter().map(|(info, entry)| EntrySnapshot {
            info: info.to_string(),
            pending: entry.pending.len(),
            resolving: matches!(entry.half_open, HalfOpen::Resolving { .. }),
            connections: (entry.active.iter().map(|key| (*key, true)))
                .chain(entry.draining.iter().map(|key| (*key, false)))
                .filter_map(|(key, active)| connection(key, active))
                .collect(),
        });
        Snapshot {
            service: ctx.snapshot(),
            entries: entries.collect(),
            handles: self.handles.get(),
            lifetime: self.lifetime,
        }
    }
}

fn unknown_host(info: &ConnectionInfo, reason: &str) -> NetError {
    NetError::UnknownHost { host: info.host().to_owned(), reason: reason.to_owned() }
}

impl SocketHandler for ConnectionMgr {
    type Target = Target;
    type Event = Event;

    fn on_socket_ready(&mut self, ctx: &mut Ctx<'_>, target: Target, _ready: Ready) {
        if let Target::Connection(key) = target {
            self.with_connection(ctx, key, HttpConnectionUdp::on_packet_received);
        }
    }

    fn on_socket_detached(&mut self, ctx: &mut Ctx<'_>, target: Target, reason: Detached) {
        let error = match reason {
            Detached::Shutdown => NetError::ShuttingDown,
            Detached::Offline => NetError::Socket {
                operation: "staying online",
                kind: std::io::ErrorKind::NetworkDown,
            },
            Detached::Failed(kind) => NetError::Socket { operation: "polling a UDP socket", kind },
            Detached::Closed => NetError::Aborted,
        };
        if let Target::Connection(key) = target {
            self.with_connection(ctx, key, |connection, ctx| {
                connection.on_stop_listening(ctx, error);
            });
        }
    }

    fn on_timer(&mut self, ctx: &mut Ctx<'_>, target: Target) {
        if let Target::Connection(key) = target {
            self.with_connection(ctx, key, HttpConnectionUdp::on_quic_timeout_expired);
        }
    }

    fn on_wakeup(&mut self, ctx: &mut Ctx<'_>, target: Target) {
        match target {
            Target::ResumeSend(key) => self.with_connection(ctx, key, HttpConnectionUdp::send_data),
            Target::ForceRecv(key) => self.with_connection(ctx, key, HttpConnectionUdp::recv_data),
            Target::Stream(key, stream) => {
                self.with_connection(ctx, key, |connection, _| connection.stream_wishes(stream));
            }
            Target::Reclaim(key) => self.reclaim_connection(ctx, key),
            Target::Pending(id) => self.pending_wishes(id),
            Target::Connection(_) => {}
        }
    }

    fn on_event(&mut self, ctx: &mut Ctx<'_>, event: Event) {
        match event {
            Event::NewTransaction(info, transaction) => {
                self.process_new_transaction(ctx, &info, transaction);
            }
            Event::Resolved { attempt, info, result } => self.resolved(ctx, attempt, &info, result),
            Event::CertificateVerified(key, verdict) => {
                self.with_connection(ctx, key, |connection, _| connection.authenticated(verdict));
            }
            Event::ClosePersistentConnections => self.close_persistent_connections(ctx),
            Event::Snapshot(answer) => answer(self.snapshot(ctx)),
        }
    }

    fn on_shutdown(&mut self, ctx: &mut Ctx<'_>) {
        self.shutdown(ctx);
    }
}
