//! Hosts join the connections of others (RFC 9114 §3.3), and leave them.

use std::{collections::BTreeSet, sync::Arc};

use http3_session::VerificationRequest;
use transaction::{Alpn, ConnectionInfo, WebTransportUse};

use super::ConnectionMgr;
use crate::{
    coalescing::CoalescingKey,
    connection::Ctx,
    half_open::HalfOpen,
    target::{ConnectionKey, Event},
};

/// How many hosts may share one connection, and how many are remembered that may not.
const MAX_GUESTS: usize = 64;

impl ConnectionMgr {
    /// Looks for a connection to one of the entry's addresses, and has its certificate verified for this
    /// host; answers whether it found one.
    pub(super) fn begin_to_join(&mut self, ctx: &mut Ctx<'_>, info: &ConnectionInfo) -> bool {
        let Some(key) = self.find_coalescable_connection(info) else { return false };
        let Some(registered) = self.connections.get(key.slot()) else { return false };
        let chain = registered.connection.certificates();
        let request = VerificationRequest { host: info.host().to_owned(), chain };
        let attempt = self.new_attempt(ctx, self.parts.limits.attempt_timeout);
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
        // W1: a connection for WebTransport is nobody else's, and a session on one of others would be.
        if info.alpn != Alpn::Http3 || info.web_transport != WebTransportUse::None {
            return None;
        }
        let keys = entry.addresses.untried().map(|address| CoalescingKey::new(info, address.ip()));
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
        // Others may have joined while the certificate was verified.
        if let Some(registered) = self.connections.get_mut(key.slot())
            && registered.guests.len() < MAX_GUESTS
            && let Some(entry) = self.entries.get_mut(info)
        {
            log::debug!(target: "necko::mgr", "{info}: joins the connection of {}", registered.info);
            registered.guests.insert(info.clone());
            entry.coalesced = Some(key);
            entry.speculative = false;
            entry.addresses.clear();
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
}
