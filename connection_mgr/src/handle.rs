//! The token that a connection is in use. Necko's class is `ConnectionHandle`.

use std::{cell::Cell, marker::PhantomData, rc::Rc, task::Waker};

use socket_transport::walk::{Step, step};

use crate::mgr::ConnectionMgr;

/// Held by a connection's session. Dropping it posts `reclaim_connection`, which is the only way out of the
/// manager for a connection that was dispatched: an HTTP/3 connection is removed then.
///
/// There are two ways around it. A connection that could not be made has no handle yet. At shutdown the
/// manager drops its connections itself, and the reclaim that follows finds a stale key.
#[derive(Debug)]
pub struct ConnectionHandle {
    reclaim: Waker,
    alive: Rc<Cell<usize>>,
    /// A handle never leaves the socket thread.
    not_send: PhantomData<*const ()>,
}

impl ConnectionHandle {
    /// `reclaim` is the reserved wake-up; `alive` counts handles, as a witness for snapshots.
    pub(crate) fn new(reclaim: Waker, alive: &Rc<Cell<usize>>) -> Self {
        alive.set(alive.get() + 1);
        Self { reclaim, alive: Rc::clone(alive), not_send: PhantomData }
    }
}

impl ConnectionMgr {
    /// A handle of no connection, which is counted like all others: for tests of that count.
    #[doc(hidden)]
    pub fn spare_handle(&self) -> ConnectionHandle {
        ConnectionHandle::new(Waker::noop().clone(), &self.handles)
    }
}

impl Drop for ConnectionHandle {
    fn drop(&mut self) {
        self.alive.set(self.alive.get().saturating_sub(1));
        step(Step::HandleDropped);
        self.reclaim.wake_by_ref();
    }
}
