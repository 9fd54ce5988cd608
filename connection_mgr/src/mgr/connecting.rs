//! Names become connections (necko's `MakeNewConnection`, `DnsAndConnectSocket`), or join those of others.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc};

use http3_session::VerificationRequest;
use transaction::{AddressFamily, Alpn, ConnectionInfo, NetError, TimeoutPhase};

use super::{ConnectionMgr, Registered};
use crate::{
    coalescing::CoalescingKey,
    connection::{Ctx, Dial, HttpConnection},
    half_open::{Attempt, HalfOpen},
    http_connection_udp::HttpConnectionUdp,
    target::{ConnectionKey, Event, Target},
};

/// How many hosts may share one connection, and how many are remembered that may not.
const MAX_GUESTS: usize = 64;

impl ConnectionMgr {
    /// Begins the connections that an entry wants and may have; what it has to wait for brings it back here.
    pub(super) fn make_new_connection(&mut self, ctx: &mut Ctx<'_>, info: &ConnectionInfo) {
        while let Some(entry) = self.entries.get_mut(info)
            && entry.wants_connection(info, self.parts.limits.max_connections_per_host)
        {
            if entry.untried.is_empty() {
                self.resolve(ctx, info);
                return;
            }
            if !self.has_room(ctx) {
                self.starve(info);
                return;
            }
            let Some(entry) = self.entries.get_mut(info) else { return };
            let Some(peer) = entry.untried.next() else { return };
            let last = entry.untried.is_empty();
            match self.setup_connection(ctx, info, peer, !last) {
                Ok(()) => {}
                Err(error) if last => self.fail_pending(info, &error),
                Err(error) => log::debug!(target: "necko::mgr", "{info}: {peer}: {error}"),
            }
        }
    }

    /// A connection that nobody waits for yet, so that it is there when somebody does (necko's
    /// `SpeculativeConnect`). Nothing tells whether it came about.
    pub(super) fn speculative_connect(&mut self, ctx: &mut Ctx<'_>, info: &ConnectionInfo) {
        let under_way = self.entries.values().filter(|entry| entry.speculative).count();
        let has_one = self.entries.get(info).is_some_and(|entry| {
            !entry.half_open.is_idle()
                || entry.active.iter().chain(&entry.idle).chain(&entry.coalesced).next().is_some()
        });
        if self.shutting_down || has_one || under_way >= self.parts.limits.max_speculative {
            return;
        }
        self.entries.entry(info.clone()).or_default().speculative = true;
        self.process_pending_queue(ctx, info);
    }

    // Looking the name up.

    fn new_attempt(&mut self, ctx: &mut Ctx<'_>) -> Attempt {
        self.attempts += 1;
        let timer = ctx.create_timer(Target::HalfOpen(self.attempts));
        ctx.set_timer(timer, Some(ctx.now() + self.parts.limits.connect_timeout));
        Attempt { number: self.attempts, timer }
    }

    fn resolve(&mut self, ctx: &mut Ctx<'_>, info: &ConnectionInfo) {
        let attempt = self.new_attempt(ctx);
        if let Some(entry) = self.entries.get_mut(info) {
            entry.half_open = HalfOpen::Resolving(attempt);
        }
        let (resolver, poster) = (Arc::clone(&self.parts.resolver), ctx.poster().clone());
        let info = info.clone();
        ctx.workers().run(Box::new(move || {
            let (host, port) = info.endpoint();
            let result = resolver.resolve(host, port);
            poster.post(Event::Resolved { attempt: attempt.number, info, result });
        }));
    }

    pub(super) fn resolved(
        &mut self,
        ctx: &mut Ctx<'_>,
        attempt: u64,
        info: &ConnectionInfo,
        result: Result<Vec<SocketAddr>, String>,
    ) {
        if !self.end_attempt(ctx, attempt, info) {
            return;
        }
        match result.and_then(|addresses| usable_addresses(info, addresses)) {
            Ok(addresses) => {
                if let Some(entry) = self.entries.get_mut(info) {
                    entry.untried.set(addresses);
                }
                if self.begin_to_join(ctx, info) {
                    return;
                }
            }
            Err(reason) => {
                let host = info.endpoint().0.to_owned();
                self.fail_pending(info, &NetError::UnknownHost { host, reason });
            }
        }
        self.process_pending_queue(ctx, info);
    }

    /// Ends the attempt of this number, if it is the entry's; a late or abandoned one is nobody's.
    fn end_attempt(&mut self, ctx: &mut Ctx<'_>, attempt: u64, info: &ConnectionInfo) -> bool {
        let current =
            self.entries.get(info).is_some_and(|entry| entry.half_open.is_attempt(attempt));
        if current {
            self.abandon_half_open(ctx, info);
        }
        current
    }

    /// Whatever an entry's half-open connection waits for will answer to nobody.
    pub(super) fn abandon_half_open(&mut self, ctx: &mut Ctx<'_>, info: &ConnectionInfo) {
        let Some(entry) = self.entries.get_mut(info) else { return };
        if let Some(attempt) = std::mem::take(&mut entry.half_open).attempt() {
            ctx.remove_timer(attempt.timer);
        }
    }

    pub(super) fn half_open_timed_out(&mut self, ctx: &mut Ctx<'_>, attempt: u64) {
        let mut entries = self.entries.iter();
        let Some((info, entry)) = entries.find(|(_, entry)| entry.half_open.is_attempt(attempt))
        else {
            return;
        };
        let (info, resolving) = (info.clone(), matches!(entry.half_open, HalfOpen::Resolving(_)));
        self.abandon_half_open(ctx, &info);
        if resolving {
            self.fail_pending(&info, &NetError::NetTimeout(TimeoutPhase::Resolve));
        }
        self.process_pending_queue(ctx, &info);
    }

    // Joining another host's connection.

    /// Looks for a connection to one of the entry's addresses, and has its certificate verified for this
    /// host; answers whether it found one.
    fn begin_to_join(&mut self, ctx: &mut Ctx<'_>, info: &ConnectionInfo) -> bool {
        let Some(key) = self.find_coalescable_connection(info) else { return false };
        let Some(registered) = self.connections.get(key.slot()) else { return false };
        let chain = registered.connection.certificates();
        let request = VerificationRequest { host: info.host().to_owned(), chain };
        let attempt = self.new_attempt(ctx);
        if let Some(entry) = self.entries.get_mut(info) {
            entry.half_open = HalfOpen::Joining(attempt, key);
        }
        let (verifier, poster) = (Arc::clone(&self.parts.verifier), ctx.poster().clone());
        let info = info.clone();
        ctx.workers().run(Box::new(move || {
            let verdict = verifier.verify(&request);
            poster.post(Event::JoinVerified { attempt: attempt.number, info, verdict });
        }));
        true
    }

    fn find_coalescable_connection(&self, info: &ConnectionInfo) -> Option<ConnectionKey> {
        let entry = self.entries.get(info)?;
        if info.alpn != Alpn::Http3 {
            return None;
        }
        let keys = entry.untried.iter().map(|address| CoalescingKey::new(info, address.ip()));
        let mut candidates = keys.flat_map(|key| self.coalescing.find(&key).collect::<Vec<_>>());
        candidates.find(|key| {
            self.connections.get(key.slot()).is_some_and(|candidate| {
                candidate.connection.can_activate()
                    && candidate.guests.len() < MAX_GUESTS
                    && candidate.strangers.len() < MAX_GUESTS
                    && !candidate.strangers.contains(info)
            })
        })
    }

    pub(super) fn join_verified(
        &mut self,
        ctx: &mut Ctx<'_>,
        attempt: u64,
        info: &ConnectionInfo,
        names_it: bool,
    ) {
        let Some(entry) = self.entries.get(info) else { return };
        let HalfOpen::Joining(_, key) = entry.half_open else { return };
        if !self.end_attempt(ctx, attempt, info) {
            return;
        }
        if !names_it {
            self.note_stranger(key, info);
        } else if self.can_activate(key) {
            self.join(info, key);
        }
        self.process_pending_queue(ctx, info);
    }

    fn join(&mut self, info: &ConnectionInfo, key: ConnectionKey) {
        if let Some(registered) = self.connections.get_mut(key.slot())
            && let Some(entry) = self.entries.get_mut(info)
        {
            log::debug!(target: "necko::mgr", "{info}: joins the connection of {}", registered.info);
            registered.guests.insert(info.clone());
            entry.coalesced = Some(key);
            entry.speculative = false;
            entry.untried.clear();
        }
    }

    fn note_stranger(&mut self, key: ConnectionKey, info: &ConnectionInfo) {
        if let Some(registered) = self.connections.get_mut(key.slot()) {
            registered.guests.remove(info);
            registered.strangers.insert(info.clone());
        }
    }

    /// A server said (421) that a request is not for it: the host no longer uses this connection. Answers
    /// whose queues are concerned.
    pub(super) fn avoid(
        &mut self,
        key: ConnectionKey,
        info: &ConnectionInfo,
    ) -> BTreeSet<ConnectionInfo> {
        let Some(entry) = self.entries.get_mut(info) else { return BTreeSet::new() };
        if entry.coalesced == Some(key) {
            entry.coalesced = None;
            self.note_stranger(key, info);
            return BTreeSet::new();
        }
        if !entry.make_draining(key) {
            return BTreeSet::new();
        }
        if let Some(registered) = self.connections.get_mut(key.slot()) {
            registered.connection.dont_reuse();
        }
        self.leave_guests(key)
    }

    /// Those who have joined a connection look for another; answers who they were.
    pub(super) fn leave_guests(&mut self, key: ConnectionKey) -> BTreeSet<ConnectionInfo> {
        self.coalescing.remove(key);
        let Some(registered) = self.connections.get_mut(key.slot()) else { return BTreeSet::new() };
        let guests = std::mem::take(&mut registered.guests);
        for guest in &guests {
            if let Some(entry) = self.entries.get_mut(guest) {
                entry.coalesced.take_if(|joined| *joined == key);
            }
        }
        guests
    }

    // Connecting.

    /// Necko's `SetupConn`: a connection, its handle, and the transaction that it is made for.
    fn setup_connection(
        &mut self,
        ctx: &mut Ctx<'_>,
        info: &ConnectionInfo,
        peer: SocketAddr,
        retry_elsewhere: bool,
    ) -> Result<(), NetError> {
        let parts = &self.parts;
        let slot = self.connections.try_insert_with(|slot| {
            let key = ConnectionKey::new(slot);
            let connect_timeout = parts.limits.connect_timeout;
            let dial = Dial { key, info, peer, retry_elsewhere, connect_timeout };
            let connection: Box<dyn HttpConnection> = match (info.alpn, &parts.others) {
                (Alpn::Http3, _) => Box::new(HttpConnectionUdp::init(ctx, parts, &dial)?),
                (Alpn::Http11, Some(others)) => others.connect(ctx, &dial)?,
                (Alpn::Http11, None) => {
                    let what = "this program speaks HTTP/3 alone";
                    return Err(NetError::InvalidRequest(what.into()));
                }
            };
            let (guests, strangers) = (BTreeSet::new(), BTreeSet::new());
            let info = info.clone();
            Ok::<_, NetError>(Registered { info, connection, guests, strangers, last_used: 0 })
        })?;
        let key = ConnectionKey::new(slot);
        log::debug!(target: "necko::mgr", "{info}: connecting to {peer}");
        self.lifetime.connections += 1;
        let entry = self.entries.entry(info.clone()).or_default();
        entry.active.push(key);
        let first = entry.pending.pop(self.current_tab);
        entry.speculative &= first.is_none();
        if info.alpn == Alpn::Http3 {
            self.give_handle(ctx, key);
        }
        if let Some(transaction) = first {
            self.dispatch(ctx, key, transaction);
        }
        Ok(())
    }

    /// A connection has come about: other addresses are not needed any more, and other hosts may join it
    /// (necko's `ReportHttp3Connection`).
    pub(super) fn report_connection(&mut self, key: ConnectionKey, info: &ConnectionInfo) {
        let Some(registered) = self.connections.get(key.slot()) else { return };
        if let Some(entry) = self.entries.get_mut(info)
            && entry.active.contains(&key)
        {
            entry.speculative = false;
            entry.untried.clear();
            if info.alpn == Alpn::Http3 && registered.connection.can_activate() {
                let address = registered.connection.peer().ip();
                self.coalescing.insert(CoalescingKey::new(info, address), key);
            }
        }
    }

    /// No connection came about. Who waited for it goes on to the next address, or fails as it failed.
    /// Without an error nobody wanted it any more.
    pub(super) fn connection_failed(&mut self, info: &ConnectionInfo, error: Option<&NetError>) {
        let Some(entry) = self.entries.get_mut(info) else { return };
        let Some(error) = error else {
            entry.speculative = false;
            return;
        };
        if !error.is_about_the_address() {
            entry.untried.clear();
        }
        if entry.untried.is_empty() {
            self.fail_pending(info, error);
        }
    }

    // Room.

    fn has_room(&self, ctx: &Ctx<'_>) -> bool {
        self.connections.len() < self.parts.limits.max_connections && ctx.can_attach_socket()
    }

    /// An entry has to wait until a connection or a socket is gone.
    fn starve(&mut self, info: &ConnectionInfo) {
        let Some(entry) = self.entries.get_mut(info) else { return };
        if !std::mem::replace(&mut entry.starved, true) {
            self.starved.push_back(info.clone());
        }
    }

    /// Those who wait for room look again, as long as there is some. If nobody leaves by himself, the
    /// unused connection that was used least lately is asked to.
    pub(super) fn serve_starved(&mut self, ctx: &mut Ctx<'_>) {
        for _ in 0..self.starved.len() {
            // Each time that it says so, there is a connection fewer.
            while !self.has_room(ctx) {
                if !self.make_room(ctx) {
                    return;
                }
            }
            let Some(info) = self.starved.pop_front() else { return };
            if let Some(entry) = self.entries.get_mut(&info) {
                entry.starved = false;
                self.process_pending_queue(ctx, &info);
            }
        }
    }

    /// Answers whether a connection is gone already. If not, its reclaim will bring us back.
    fn make_room(&mut self, ctx: &mut Ctx<'_>) -> bool {
        if self.leaving() >= self.starved.len() {
            return false;
        }
        let Some((key, idle)) = self.least_lately_used() else { return false };
        log::debug!(target: "necko::mgr", "no room: an unused connection is closed");
        if idle {
            self.remove_connection(ctx, key);
        } else {
            self.with_connection(ctx, key, |connection, _| connection.dont_reuse());
        }
        idle
    }

    /// Connections that will be gone soon.
    fn leaving(&self) -> usize {
        let draining = self.entries.values().flat_map(|entry| &entry.draining);
        draining.filter(|key| self.is_unused(**key)).count()
    }

    fn is_unused(&self, key: ConnectionKey) -> bool {
        self.connections.get(key.slot()).is_none_or(|found| found.connection.is_unused())
    }

    /// An unused connection, and whether it is on the idle list.
    fn least_lately_used(&self) -> Option<(ConnectionKey, bool)> {
        let unwanted = self.entries.values().filter(|entry| entry.pending.is_empty());
        let listed = unwanted.flat_map(|entry| {
            let idle = entry.idle.iter().map(|key| (*key, true));
            idle.chain(entry.active.iter().map(|key| (*key, false)))
        });
        listed
            .filter(|(key, _)| self.is_unused(*key))
            .min_by_key(|(key, _)| self.connections.get(key.slot()).map(|found| found.last_used))
    }
}

/// Those of the family that the key allows.
fn usable_addresses(
    info: &ConnectionInfo,
    mut addresses: Vec<SocketAddr>,
) -> Result<Vec<SocketAddr>, String> {
    if addresses.is_empty() {
        return Err("the name has no address".into());
    }
    addresses.retain(|address| info.address_family.allows(*address));
    match (addresses.is_empty(), info.address_family) {
        (false, _) => Ok(addresses),
        (true, AddressFamily::V4) => Err("the name has no IPv4 address".into()),
        (true, _) => Err("the name has no IPv6 address".into()),
    }
}
