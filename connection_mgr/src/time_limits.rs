//! Who has time limits, and when the next of them passes: one timer for all.
//!
//! ```text
//!  NewTransaction ─► add ─► (when, who) ◄─ timer ─► look: too late? the exchange ends, as if cancelled
//!                                       ◄─ the transaction has ended: its guard's drop wakes forget_ended
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    task::Waker,
    time::Instant,
};

use socket_transport::TimerKey;
use transaction::{HttpTransaction, TransactionId, Watch};

use crate::{connection::Ctx, target::Target};

/// The watches of all transactions with limits that have not ended. Socket thread.
#[derive(Default)]
pub(crate) struct Watches {
    kept: BTreeMap<TransactionId, (Instant, Watch)>,
    due: BTreeSet<(Instant, TransactionId)>,
    timer: Option<TimerKey>,
    /// Those that have ended since the last look; no more than there are watches.
    ended: Arc<Mutex<Vec<TransactionId>>>,
}

/// Kept by a transaction until its exchange has ended.
struct Guard {
    id: TransactionId,
    ended: Arc<Mutex<Vec<TransactionId>>>,
    waker: Waker,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).push(self.id);
        self.waker.wake_by_ref();
    }
}

impl Watches {
    /// Watches a transaction, if it has limits.
    pub(crate) fn add(&mut self, ctx: &mut Ctx<'_>, transaction: &mut HttpTransaction) {
        let Some(watch) = transaction.watch() else { return };
        let id = transaction.id();
        let waker = ctx.poster().waker(Target::TimeLimits);
        let ended = Arc::clone(&self.ended);
        transaction.set_watched(Box::new(Guard { id, ended, waker }));
        self.put(ctx.now(), id, watch);
        self.arm(ctx);
    }

    /// The timer ran out: some may be too late.
    pub(crate) fn look(&mut self, ctx: &mut Ctx<'_>) {
        let now = ctx.now();
        let later = self.due.split_off(&(now, TransactionId(u64::MAX)));
        for (_, id) in std::mem::replace(&mut self.due, later) {
            if let Some((_, watch)) = self.kept.remove(&id) {
                self.put(now, id, watch);
            }
        }
        self.arm(ctx);
    }

    /// Some have ended.
    pub(crate) fn forget_ended(&mut self, ctx: &mut Ctx<'_>) {
        let ended = std::mem::take(&mut *self.ended.lock().unwrap_or_else(PoisonError::into_inner));
        for id in ended {
            if let Some((due, _)) = self.kept.remove(&id) {
                self.due.remove(&(due, id));
            }
        }
        self.arm(ctx);
    }

    /// Keeps a watch until its next limit, unless it has ended.
    fn put(&mut self, now: Instant, id: TransactionId, watch: Watch) {
        if let Some(due) = watch.look(now) {
            self.due.insert((due, id));
            self.kept.insert(id, (due, watch));
        }
    }

    /// With nobody to watch there is no timer.
    fn arm(&mut self, ctx: &mut Ctx<'_>) {
        match (self.due.first(), self.timer) {
            (Some(&(due, _)), timer) => {
                let timer = timer.unwrap_or_else(|| ctx.create_timer(Target::TimeLimits));
                self.timer = Some(timer);
                ctx.set_timer(timer, Some(due));
            }
            (None, Some(timer)) => {
                ctx.remove_timer(timer);
                self.timer = None;
            }
            (None, None) => {}
        }
    }
}
