//! Names become connections (necko's `MakeNewConnection`, `DnsAndConnectSocket`).

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};

use transaction::{AddressFamily, Alpn, ConnectionInfo, NetError, TimeoutPhase, WebTransportUse};

use super::{ConnectionMgr, Registered};
use crate::{
    coalescing::CoalescingKey,
    connection::{Ctx, Dial, HttpConnection},
    half_open::{Attempt, HalfOpen},
    http_connection_udp::HttpConnectionUdp,
    target::{ConnectionKey, Event, Target},
};

impl ConnectionMgr {
    /// Begins the connections that an entry wants and may have; what it has to wait for brings it back here.
    pub(super) fn make_new_connection(&mut self, ctx: &mut Ctx<'_>, info: &ConnectionInfo) {
        while let Some(entry) = self.entries.get(info)
            && entry.wants_connection(info, self.parts.limits.max_connections_per_host)
        {
            if entry.addresses.is_empty() {
                self.resolve(ctx, info);
                return;
            }
            if !self.has_room(ctx) {
                self.starve(info);
                return;
            }
            self.dial(ctx, info);
        }
    }

    /// Tries one more address. The first connection of a race takes the transaction that it is made for; those
    /// that join the race find one when they have won.
    pub(super) fn dial(&mut self, ctx: &mut Ctx<'_>, info: &ConnectionInfo) {
        let deadline = ctx.now() + self.parts.limits.connect_timeout;
        let Some(entry) = self.entries.get_mut(info) else { return };
        let first = entry.connecting.is_empty() || entry.addresses.is_proven();
        if first && entry.addresses.deadline().is_none() && !entry.addresses.is_proven() {
            entry.addresses.set_deadline(Some(deadline));
        }
        let Some(peer) = entry.addresses.next() else { return };
        match self.setup_connection(ctx, info, peer, first) {
            Ok(()) => self.race(ctx, info),
            Err(error) => self.attempt_failed(ctx, info, peer, &error),
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

    pub(super) fn new_attempt(&mut self, ctx: &mut Ctx<'_>, limit: Duration) -> Attempt {
        self.attempts += 1;
        let timer = ctx.create_timer(Target::HalfOpen(self.attempts));
        ctx.set_timer(timer, Some(ctx.now() + limit));
        Attempt { number: self.attempts, timer }
    }

    fn resolve(&mut self, ctx: &mut Ctx<'_>, info: &ConnectionInfo) {
        let limits = &self.parts.limits;
        let deadline = ctx.now() + limits.connect_timeout;
        let attempt = self.new_attempt(ctx, limits.attempt_timeout.min(limits.connect_timeout));
        if let Some(entry) = self.entries.get_mut(info) {
            entry.half_open = HalfOpen::Resolving(attempt);
            entry.addresses.set_deadline(Some(deadline));
            entry.addresses.look_up_begins(ctx.now());
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
                let slow = self.slow_families.get(info);
                if let Some(entry) = self.entries.get_mut(info) {
                    entry.addresses.look_up_ended(ctx.now());
                    entry.addresses.set(addresses, slow);
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
    pub(super) fn end_attempt(
        &mut self,
        ctx: &mut Ctx<'_>,
        attempt: u64,
        info: &ConnectionInfo,
    ) -> bool {
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
        let info = info.clone();
        let (resolving, racing) =
            (matches!(entry.half_open, HalfOpen::Resolving(_)), entry.half_open.is_racing());
        self.abandon_half_open(ctx, &info);
        if resolving {
            self.fail_pending(&info, &NetError::NetTimeout(TimeoutPhase::Resolve));
        } else if racing {
            self.join_race(ctx, &info);
        }
        self.process_pending_queue(ctx, &info);
    }

    // Connecting.

    /// Necko's `SetupConn`: a connection, its handle, and the transaction that it is made for, if there is one.
    fn setup_connection(
        &mut self,
        ctx: &mut Ctx<'_>,
        info: &ConnectionInfo,
        peer: SocketAddr,
        with_transaction: bool,
    ) -> Result<(), NetError> {
        let connect_timeout = self.time_for_attempt(ctx, info);
        let ech = self.ech_for(info);
        let resumption_token = self.take_token(ctx, info);
        let is_retry = self.entries.get(info).is_some_and(|entry| entry.pending.has_retry());
        let timings = self
            .entries
            .get_mut(info)
            .map(|entry| entry.addresses.attempt_begins(ctx.now()))
            .unwrap_or_default();
        let parts = &self.parts;
        let slot = self.connections.try_insert_with(|slot| {
            let key = ConnectionKey::new(slot);
            let dial = Dial {
                key,
                info,
                peer,
                connect_timeout,
                resumption_token,
                is_retry,
                timings,
                ech: &ech,
            };
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
            Ok::<_, NetError>(Registered {
                info,
                connection,
                guests,
                strangers,
                last_used: 0,
                in_use: false,
            })
        })?;
        let key = ConnectionKey::new(slot);
        log::debug!(target: "necko::mgr", "{info}: connecting to {peer}");
        self.lifetime.connections += 1;
        let entry = self.entries.entry(info.clone()).or_default();
        entry.active.push(key);
        entry.connecting.push(key);
        let first = if with_transaction { entry.pending.pop(self.current_tab) } else { None };
        entry.speculative &= first.is_none();
        if info.alpn == Alpn::Http3 {
            self.give_handle(ctx, key);
        }
        if let Some(transaction) = first {
            self.dispatch(ctx, key, transaction);
        }
        Ok(())
    }

    /// What an attempt may take, within what there is for all of them.
    fn time_for_attempt(&self, ctx: &Ctx<'_>, info: &ConnectionInfo) -> Duration {
        let limits = &self.parts.limits;
        let deadline = self.entries.get(info).and_then(|entry| entry.addresses.deadline());
        let left = deadline.map_or(limits.connect_timeout, |deadline| {
            deadline.saturating_duration_since(ctx.now())
        });
        limits.attempt_timeout.min(left)
    }

    /// A connection has come about: the other attempts are not needed any more, and other hosts may join it
    /// (necko's `ReportHttp3Connection`).
    pub(super) fn report_connection(
        &mut self,
        ctx: &mut Ctx<'_>,
        key: ConnectionKey,
        info: &ConnectionInfo,
    ) {
        let Some(registered) = self.connections.get(key.slot()) else { return };
        let (peer, usable) = (registered.connection.peer(), registered.connection.can_activate());
        if let Some(entry) = self.entries.get_mut(info)
            && entry.active.contains(&key)
        {
            entry.speculative = false;
            // Who began before it, and has not answered.
            let earlier = entry.connecting.iter().take_while(|connecting| **connecting != key);
            let earlier: Vec<_> = earlier.copied().collect();
            entry.connecting.retain(|connecting| *connecting != key);
            let for_requests = info.web_transport == WebTransportUse::None;
            if info.alpn == Alpn::Http3 && usable && for_requests {
                self.coalescing.insert(CoalescingKey::new(info, peer.ip()), key);
            }
            entry.ech_retry = None;
            self.end_race(ctx, info, peer, &earlier);
        }
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
