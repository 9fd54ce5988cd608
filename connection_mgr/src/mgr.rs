//! The table of connections, and what drives it. Necko's class is `nsHttpConnectionMgr`.

mod connecting;
mod dispatch;
mod ech;
mod ending;
mod joining;
mod racing;
mod resuming;
mod room;

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet, VecDeque},
    rc::Rc,
    sync::Arc,
    time::Instant,
};

use http3_session::{
    CertificateVerifier, ConnectParameters, Http3Conn, Http3ConnFactory, Http3Settings,
    SslTokensCache, VerificationRequest,
};
use socket_transport::{Detached, Ready, SocketHandler, slots::Slots};
use transaction::{ConnectionInfo, NetError, TabId, TransactionId, WebTransportUse};

use crate::{
    addresses::SlowFamilies,
    coalescing::CoalescingTable,
    connection::{Aftermath, Ctx, Dial, HttpConnection, HttpConnectionFactory},
    ech::EchConfigs,
    entry::ConnectionEntry,
    limits::ConnectionLimits,
    resolver::Resolve,
    snapshot::{EntrySnapshot, Lifetime, Snapshot},
    target::{ConnectionKey, Event, Target},
    time_limits::Watches,
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
    /// How many connections there may be.
    pub limits: ConnectionLimits,
    /// Makes the connections for keys whose protocol is not HTTP/3.
    pub others: Option<Box<dyn HttpConnectionFactory>>,
}

impl Parts {
    pub(crate) fn connect(
        &self,
        dial: &Dial<'_>,
        local: std::net::SocketAddr,
        now: Instant,
    ) -> Result<Box<dyn Http3Conn>, NetError> {
        let (settings, host) = (self.settings.clone(), dial.info.host().to_owned());
        let (remote, ech, is_retry) = (dial.peer, dial.ech.ech.clone(), dial.is_retry);
        let resumption_token = dial.resumption_token.clone();
        let web_transport = dial.info.web_transport != WebTransportUse::None;
        let parameters = ConnectParameters {
            host,
            local,
            remote,
            resumption_token,
            is_retry,
            ech,
            web_transport,
            settings,
        };
        self.engines.connect(&parameters, now)
    }
}

/// A connection, the entry it belongs to, and the entries that have joined it.
pub(crate) struct Registered {
    pub(crate) info: ConnectionInfo,
    pub(crate) connection: Box<dyn HttpConnection>,
    /// Entries that are coalesced onto it.
    pub(crate) guests: BTreeSet<ConnectionInfo>,
    /// Entries that may not: the certificate is not theirs, or the server said so.
    pub(crate) strangers: BTreeSet<ConnectionInfo>,
    /// Grows with each dispatch: who was used least lately makes room first.
    pub(crate) last_used: u64,
    /// It has a handle, or the reclaim of one is on its way.
    pub(crate) in_use: bool,
}

/// Owns every connection of a socket thread, and is the [`SocketHandler`] that the service drives.
pub struct ConnectionMgr {
    parts: Parts,
    pub(crate) entries: BTreeMap<ConnectionInfo, ConnectionEntry>,
    pub(crate) connections: Slots<Registered>,
    pub(crate) coalescing: CoalescingTable,
    ech: EchConfigs,
    /// Where a waiting transaction waits, so that a cancel finds it.
    pub(crate) waiting: BTreeMap<TransactionId, ConnectionInfo>,
    /// Entries that would make a connection but find no room, in the order of asking.
    pub(crate) starved: VecDeque<ConnectionInfo>,
    /// Which family is better tried last.
    slow_families: SlowFamilies,
    /// What earlier connections left.
    tokens: SslTokensCache,
    /// Who has time limits.
    watches: Watches,
    /// The tab in front.
    current_tab: TabId,
    pub(crate) handles: Rc<Cell<usize>>,
    attempts: u64,
    lifetime: Lifetime,
    shutting_down: bool,
}

impl ConnectionMgr {
    /// A manager without connections.
    pub fn new(parts: Parts) -> Self {
        Self {
            parts: Parts { limits: parts.limits.bounded(), ..parts },
            entries: BTreeMap::new(),
            connections: Slots::new(),
            coalescing: CoalescingTable::default(),
            ech: EchConfigs::default(),
            waiting: BTreeMap::new(),
            starved: VecDeque::new(),
            slow_families: SlowFamilies::default(),
            tokens: SslTokensCache::default(),
            watches: Watches::default(),
            current_tab: TabId::default(),
            handles: Rc::default(),
            attempts: 0,
            lifetime: Lifetime::default(),
            shutting_down: false,
        }
    }

    /// Calls a connection, then does what has to be done after it.
    fn with_connection(
        &mut self,
        ctx: &mut Ctx<'_>,
        key: ConnectionKey,
        call: impl FnOnce(&mut dyn HttpConnection, &mut Ctx<'_>),
    ) {
        let Some(registered) = self.connections.get_mut(key.slot()) else { return };
        call(registered.connection.as_mut(), ctx);
        let aftermath = registered.connection.aftermath();
        // As after most packets.
        if !aftermath.is_nothing() {
            let info = registered.info.clone();
            self.after_connection(ctx, key, info, aftermath);
        }
    }

    fn after_connection(
        &mut self,
        ctx: &mut Ctx<'_>,
        key: ConnectionKey,
        info: ConnectionInfo,
        aftermath: Aftermath,
    ) {
        if let Some(request) = aftermath.verification {
            self.verify(ctx, key, &info, request);
        }
        // Before the restarts, which forget them.
        self.keep_tokens(ctx, &info, aftermath.tokens);
        // Whose queues have to be served; each once, in the order of keys.
        let mut concerned = BTreeSet::new();
        if !aftermath.restarts.is_empty() {
            self.forget_tokens(&info);
        }
        for transaction in aftermath.restarts {
            let Some(transaction) = self.can_be_dialled(transaction) else { continue };
            // Not by an event: while one is on its way, the reclaim could find the entry empty and forget
            // it, and with it the addresses that were not tried.
            let info = transaction.connection_info().clone();
            if transaction.was_misdirected() {
                concerned.extend(self.avoid(key, &info));
            }
            self.enqueue(ctx, transaction);
            concerned.insert(info);
        }
        if aftermath.early {
            concerned.insert(info.clone());
        }
        if aftermath.connected {
            self.report_connection(ctx, key, &info);
            concerned.insert(info.clone());
        }
        if aftermath.draining {
            let left = self.entries.get_mut(&info).is_some_and(|entry| entry.make_draining(key));
            concerned.extend(self.leave_guests(key));
            if left {
                self.connection_left(ctx, key, &info, aftermath.failed_to_connect.as_ref());
                concerned.insert(info);
            }
        }
        if aftermath.ended && !self.connections.get(key.slot()).is_some_and(|found| found.in_use) {
            self.remove_connection(ctx, key);
        }
        for info in concerned {
            self.process_pending_queue(ctx, &info);
        }
    }

    fn verify(
        &self,
        ctx: &Ctx<'_>,
        key: ConnectionKey,
        info: &ConnectionInfo,
        request: VerificationRequest,
    ) {
        let own = self.entries.get(info).and_then(|entry| entry.verifier.as_ref());
        let (verifier, poster) =
            (Arc::clone(own.unwrap_or(&self.parts.verifier)), ctx.poster().clone());
        ctx.workers().run(Box::new(move || {
            let verdict = verifier.verify(&request);
            poster.post(Event::CertificateVerified(key, verdict));
        }));
    }

    /// The last thing that every callback does: who waited for room looks again, and the lists are compared
    /// with each other in debug builds.
    fn after_callback(&mut self, ctx: &mut Ctx<'_>) {
        self.serve_starved(ctx);
        #[cfg(debug_assertions)]
        if let Err(wrong) = self.check_accounts() {
            log::error!(target: "necko::mgr", "the accounts don't add up: {wrong}");
            debug_assert!(false, "the accounts don't add up: {wrong}");
        }
    }

    /// What is alive.
    pub fn snapshot(&self, ctx: &Ctx<'_>) -> Snapshot {
        let entries = self.entries.iter().map(|(info, entry)| EntrySnapshot {
            info: info.to_string(),
            pending: entry.pending.len(),
            half_open: entry.half_open.state(),
            connecting: entry.connecting.len(),
            coalesced: entry.coalesced.is_some(),
            connections: (entry.active.iter().map(|key| (*key, true, false)))
                .chain(entry.idle.iter().map(|key| (*key, false, true)))
                .chain(entry.draining.iter().map(|key| (*key, false, false)))
                .filter_map(|(key, active, idle)| {
                    let connection = &self.connections.get(key.slot())?.connection;
                    let mut snapshot = connection.snapshot();
                    (snapshot.active, snapshot.idle) = (active, idle);
                    Some(snapshot)
                })
                .collect(),
        });
        Snapshot {
            service: ctx.snapshot(),
            entries: entries.collect(),
            handles: self.handles.get(),
            coalescable: self.coalescing.connections().count(),
            starved: self.starved.len(),
            resumption_tokens: self.tokens.len(),
            lifetime: self.lifetime,
        }
    }
}

impl SocketHandler for ConnectionMgr {
    type Target = Target;
    type Event = Event;

    fn on_socket_ready(&mut self, ctx: &mut Ctx<'_>, target: Target, _ready: Ready) {
        if let Target::Connection(key) = target {
            self.with_connection(ctx, key, |connection, ctx| connection.on_packet_received(ctx));
        }
        self.after_callback(ctx);
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
        self.after_callback(ctx);
    }

    fn on_timer(&mut self, ctx: &mut Ctx<'_>, target: Target) {
        match target {
            Target::Connection(key) => {
                self.with_connection(ctx, key, |connection, ctx| connection.on_timer(ctx));
            }
            Target::HalfOpen(attempt) => self.half_open_timed_out(ctx, attempt),
            Target::TimeLimits => self.watches.look(ctx),
            _ => {}
        }
        self.after_callback(ctx);
    }

    fn on_wakeup(&mut self, ctx: &mut Ctx<'_>, target: Target) {
        match target {
            Target::ResumeSend(key) => {
                self.with_connection(ctx, key, |connection, ctx| connection.send_data(ctx));
            }
            Target::ForceRecv(key) => {
                self.with_connection(ctx, key, |connection, ctx| connection.recv_data(ctx));
            }
            Target::Stream(key, stream) => {
                self.with_connection(ctx, key, |connection, _| connection.stream_wishes(stream));
            }
            Target::Reclaim(key) => self.reclaim_connection(ctx, key),
            Target::Pending(id) => self.pending_wishes(ctx, id),
            Target::TimeLimits => self.watches.forget_ended(ctx),
            Target::Connection(_) | Target::HalfOpen(_) => {}
        }
        self.after_callback(ctx);
    }

    fn on_event(&mut self, ctx: &mut Ctx<'_>, event: Event) {
        match event {
            Event::NewTransaction(transaction) => self.process_new_transaction(ctx, transaction),
            Event::Resolved { attempt, info, result } => self.resolved(ctx, attempt, &info, result),
            Event::JoinVerified { attempt, info, verdict } => {
                self.join_verified(ctx, attempt, &info, verdict.is_ok());
            }
            Event::CertificateVerified(key, verdict) => {
                self.with_connection(ctx, key, |connection, _| connection.authenticated(verdict));
            }
            Event::EchConfig { host, config } => self.ech_config_changed(ctx, &host, config),
            Event::SpeculativeConnect(info) => self.speculative_connect(ctx, &info),
            Event::CurrentTab(tab) => self.current_tab = tab,
            Event::ClosePersistentConnections => self.close_persistent_connections(ctx),
            Event::NetworkChanged => self.network_changed(ctx),
            Event::AbortAllConnections => self.abort_all_connections(ctx),
            Event::Snapshot(answer) => answer(self.snapshot(ctx)),
        }
        self.after_callback(ctx);
    }

    fn on_shutdown(&mut self, ctx: &mut Ctx<'_>) {
        self.shutdown(ctx);
        self.after_callback(ctx);
    }
}
