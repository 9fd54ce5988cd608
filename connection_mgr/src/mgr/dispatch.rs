//! Transactions get connections (necko's `ProcessNewTransaction`, `TryDispatchTransaction`).

use std::sync::Arc;

use transaction::{Alpn, ConnectionInfo, HttpTransaction, NetError, TransactionId};

use super::ConnectionMgr;
use crate::{
    connection::Ctx,
    handle::ConnectionHandle,
    target::{ConnectionKey, Target},
};

impl ConnectionMgr {
    /// A new transaction joins a usable connection, or waits for one.
    pub(super) fn process_new_transaction(
        &mut self,
        ctx: &mut Ctx<'_>,
        mut transaction: Box<HttpTransaction>,
    ) {
        transaction.timings().queued(ctx.now());
        if self.shutting_down {
            transaction.fail(NetError::ShuttingDown);
            return;
        }
        self.watches.add(ctx, &mut transaction);
        let info = transaction.connection_info().clone();
        self.enqueue(ctx, transaction);
        self.process_pending_queue(ctx, &info);
    }

    pub(super) fn enqueue(&mut self, ctx: &Ctx<'_>, transaction: Box<HttpTransaction>) {
        self.lifetime.transactions += 1;
        transaction.set_owner(ctx.poster().waker(Target::Pending(transaction.id())));
        let info = transaction.connection_info().clone();
        self.waiting.insert(transaction.id(), info.clone());
        let entry = self.entries.entry(info).or_default();
        if let Some(verifier) = transaction.verifier() {
            entry.verifier = Some(Arc::clone(verifier));
        }
        entry.pending.push(transaction);
    }

    /// Necko's `ProcessPendingQForEntry`: dispatches what can be, and begins the connections that are wanted.
    pub(super) fn process_pending_queue(&mut self, ctx: &mut Ctx<'_>, info: &ConnectionInfo) {
        while let Some(key) = self.usable_connection(ctx, info)
            && let Some(entry) = self.entries.get_mut(info)
            && let Some(transaction) = entry.pending.pop(self.current_tab)
        {
            if !self.dispatch(ctx, key, transaction) {
                break;
            }
        }
        self.make_new_connection(ctx, info);
        self.forget_if_empty(info);
    }

    /// A connection for what waits: the entry's own, the one that it has joined, or an idle one.
    fn usable_connection(
        &mut self,
        ctx: &mut Ctx<'_>,
        info: &ConnectionInfo,
    ) -> Option<ConnectionKey> {
        let entry = self.entries.get(info).filter(|entry| !entry.pending.is_empty())?;
        let shared = entry.active.iter().copied().chain(entry.coalesced);
        shared.into_iter().find(|key| self.can_activate(*key)).or_else(|| self.take_idle(ctx, info))
    }

    pub(super) fn can_activate(&self, key: ConnectionKey) -> bool {
        self.connections.get(key.slot()).is_some_and(|found| found.connection.can_activate())
    }

    /// Makes the first idle connection that still works an active one; those that don't are removed on the
    /// way (necko's `GetIdleConnection`).
    fn take_idle(&mut self, ctx: &mut Ctx<'_>, info: &ConnectionInfo) -> Option<ConnectionKey> {
        loop {
            let key = *self.entries.get(info)?.idle.first()?;
            if self.can_activate(key) {
                let entry = self.entries.get_mut(info)?;
                entry.idle.retain(|idle| *idle != key);
                entry.active.push(key);
                return Some(key);
            }
            self.remove_connection(ctx, key);
        }
    }

    /// Activates a transaction on a connection; answers whether the connection took it.
    pub(super) fn dispatch(
        &mut self,
        ctx: &mut Ctx<'_>,
        key: ConnectionKey,
        transaction: Box<HttpTransaction>,
    ) -> bool {
        let id = transaction.id();
        let activated = match self.connections.get_mut(key.slot()) {
            Some(registered) => {
                self.lifetime.dispatched += 1;
                registered.last_used = self.lifetime.dispatched;
                registered.connection.activate(ctx, transaction)
            }
            None => Err(transaction),
        };
        match activated {
            Ok(()) => {
                self.waiting.remove(&id);
                self.give_handle(ctx, key);
                true
            }
            Err(transaction) => {
                self.lifetime.dispatched = self.lifetime.dispatched.saturating_sub(1);
                let info = transaction.connection_info().clone();
                self.entries.entry(info).or_default().pending.push_front(transaction);
                self.could_not_activate(ctx, key);
                false
            }
        }
    }

    /// A connection in use has a handle. An HTTP/3 connection got its only one when it was made.
    pub(super) fn give_handle(&mut self, ctx: &Ctx<'_>, key: ConnectionKey) {
        if let Some(registered) = self.connections.get_mut(key.slot())
            && !registered.connection.holds_handle()
        {
            let reclaim = ctx.poster().waker(Target::Reclaim(key));
            registered.connection.hold(ConnectionHandle::new(reclaim, &self.handles));
            registered.in_use = true;
        }
    }

    /// One that takes no transaction though it said that it would: without a handle there will be no
    /// reclaim, so it goes now (M9). HTTP/3 keeps its handle until its session has ended.
    fn could_not_activate(&mut self, ctx: &mut Ctx<'_>, key: ConnectionKey) {
        let Some(registered) = self.connections.get(key.slot()) else { return };
        if registered.info.alpn == Alpn::Http11 && !registered.connection.holds_handle() {
            self.remove_connection(ctx, key);
        }
    }

    pub(super) fn forget_if_empty(&mut self, info: &ConnectionInfo) {
        if let Some(entry) = self.entries.get(info)
            && entry.is_empty()
        {
            if entry.starved {
                self.starved.retain(|starved| starved != info);
            }
            self.entries.remove(info);
        }
    }

    /// The application wishes something of a transaction that waits: a place further in front or back, or
    /// to be forgotten.
    pub(super) fn pending_wishes(&mut self, ctx: &mut Ctx<'_>, id: TransactionId) {
        let Some(info) = self.waiting.get(&id).cloned() else { return };
        let Some(entry) = self.entries.get_mut(&info) else { return };
        let Some(transaction) = entry.pending.get_mut(id) else { return };
        let wishes = transaction.take_wishes();
        if wishes.priority.is_some() {
            entry.pending.reprioritize(id);
        }
        if wishes.cancel
            && let Some(transaction) = entry.pending.remove(id)
        {
            self.waiting.remove(&id);
            transaction.fail(NetError::Aborted);
            let unwanted = entry.pending.is_empty() && !entry.speculative;
            if unwanted && !entry.half_open.is_racing() {
                // Nobody waits for it any more.
                self.abandon_half_open(ctx, &info);
            }
            self.give_up_unwanted_race(ctx, &info);
            self.forget_if_empty(&info);
        }
    }

    /// Ends all that waits in an entry with `error`.
    pub(super) fn fail_pending(&mut self, info: &ConnectionInfo, error: &NetError) {
        let Some(entry) = self.entries.get_mut(info) else { return };
        entry.speculative = false;
        entry.ech_retry = None;
        for transaction in entry.pending.take_all() {
            self.waiting.remove(&transaction.id());
            transaction.fail(error.clone());
        }
    }
}
