//! Request bodies on their way in.
//!
//! A body is pulled: what is not read stays in the engine, whose flow control then holds the client
//! back. Without a folder for uploads a body is counted and thrown away. With one, workers write it:
//!
//! ```text
//!              Open                        Ready                         Write
//!   (request) ──────▶ Busy(pending) ────────────────▶ Idle(file, pending) ─────▶ Busy(pending)
//!                       │   ▲   │                       │  enough, or the engine
//!                       │   └───┘ Ready, and there are  │  has nothing more
//!                       │         pending bytes: Write  │
//!                       │ Ready, and the body           │ the body has ended
//!                       │ has ended                     │
//!                       ▼                               ▼          Stored
//!                     Ending ◀── Finish ────────────────┘ ───────────────────▶ answered 201, 204
//!
//!   Failed, too long, too short: answered 4xx, 5xx, and the client may keep the rest
//!   Reset, stopped, or the connection gone: dropped
//!   In both cases the temporary file goes: a worker discards it, or finds nobody to hand it to.
//! ```
//!
//! An upload has one job at a time, and collects one chunk for the next meanwhile; then it has no
//! [room](Upload::room), and nothing is read until the worker is done. So it holds two chunks and no
//! more, and only small ones when all uploads together hold plenty.

use std::mem;

use crate::{
    buffer::Buffer,
    counter::Counter,
    priority::Priority,
    requests::Request,
    source::Allowance,
    store::{Destination, Done, Failure, Job, Partial, Place, Store, Stored},
};

/// One request body.
#[derive(Debug)]
pub(crate) struct Upload {
    place: Place,
    received: u64,
    expected: Option<u64>,
    /// Longer bodies are refused.
    max: u64,
    pub(crate) priority: Priority,
    /// The engine has reported bytes that were not all read: it will not report them again.
    pub(crate) readable: bool,
    keeping: Keeping,
}

/// See the picture on top.
#[derive(Debug)]
enum Keeping {
    /// The bytes are counted and thrown away.
    Nothing,
    /// A worker has the file. `ended`: the pending bytes are the last.
    Busy { pending: Buffer, ended: bool },
    /// The file can be written to.
    Idle { partial: Box<Partial>, pending: Buffer },
    /// A worker writes the last bytes, and gives the file its name.
    Ending,
}

/// What the end of a body means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It was counted, and can be answered.
    Counted(u64),
    /// It is being stored; the worker's reply says whether that went well.
    Storing,
}

/// What a worker's reply means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// There may be room again.
    GoOn,
    /// The body can be answered.
    Stored(Stored),
    /// So can it, but not kept.
    Failed(Failure),
}

impl Upload {
    /// A body that is counted and thrown away.
    pub(crate) fn counting(place: Place, request: &Request, max: u64) -> Self {
        Self {
            place,
            received: 0,
            expected: request.content_length,
            max,
            priority: request.priority,
            readable: false,
            keeping: Keeping::Nothing,
        }
    }

    /// A body that is stored at `destination`.
    pub(crate) fn storing(
        place: Place,
        request: &Request,
        max: u64,
        destination: Destination,
        held: &Counter,
        store: &mut impl Store,
    ) -> Self {
        store.submit(place, Job::Open(Box::new(destination)));
        let keeping = Keeping::Busy { pending: Buffer::new(held), ended: false };
        Self { keeping, ..Self::counting(place, request, max) }
    }

    /// Whether it is the server's turn: bytes wait to be read, or the whole body waits for the disk.
    pub(crate) fn waits_for_server(&self) -> bool {
        self.readable
            || matches!(&self.keeping, Keeping::Ending | Keeping::Busy { ended: true, .. })
    }

    /// How many bytes may be read now; with none, a worker's reply makes room.
    pub(crate) fn room(&self, allowance: Allowance) -> usize {
        match &self.keeping {
            Keeping::Nothing => usize::MAX,
            Keeping::Idle { pending, .. } => allowance.chunk.saturating_sub(pending.len()),
            Keeping::Busy { pending, .. } if allowance.ahead => {
                allowance.chunk.saturating_sub(pending.len())
            }
            Keeping::Busy { .. } | Keeping::Ending => 0,
        }
    }

    /// Takes the next bytes: not more than there is [room](Self::room) for.
    pub(crate) fn take(
        &mut self,
        bytes: &[u8],
        allowance: Allowance,
        store: &mut impl Store,
    ) -> Result<(), Failure> {
        self.received = self.received.saturating_add(bytes.len() as u64);
        if self.expected.is_some_and(|expected| self.received > expected) {
            let text = "the body is longer than content-length says";
            return Err(Failure { status: 400, text });
        }
        if self.received > self.max {
            return Err(Failure::too_large());
        }
        match &mut self.keeping {
            Keeping::Nothing | Keeping::Ending => {}
            Keeping::Busy { pending, .. } => pending.push(bytes, allowance.chunk),
            Keeping::Idle { pending, .. } => {
                pending.push(bytes, allowance.chunk);
                if pending.len() >= allowance.chunk {
                    self.write(None, store);
                }
            }
        }
        Ok(())
    }

    /// The engine has nothing more at the moment.
    pub(crate) fn drained(&mut self, store: &mut impl Store) {
        self.readable = false;
        if matches!(&self.keeping, Keeping::Idle { pending, .. } if !pending.is_empty()) {
            self.write(None, store);
        }
    }

    /// The end has come.
    pub(crate) fn end(&mut self, store: &mut impl Store) -> Result<End, Failure> {
        if self.expected.is_some_and(|expected| self.received < expected) {
            let text = "the body is shorter than content-length says";
            return Err(Failure { status: 400, text });
        }
        match &mut self.keeping {
            Keeping::Nothing => return Ok(End::Counted(self.received)),
            Keeping::Busy { ended, .. } => *ended = true,
            Keeping::Idle { .. } | Keeping::Ending => self.finish(store),
        }
        Ok(End::Storing)
    }

    /// A worker's reply.
    pub(crate) fn on_done(
        &mut self,
        done: Done,
        allowance: Allowance,
        store: &mut impl Store,
    ) -> Next {
        match done {
            Done::Ready { partial, spare } => {
                self.on_ready(partial, spare, allowance, store);
                Next::GoOn
            }
            Done::Stored(stored) => Next::Stored(stored),
            Done::Failed(failure) => Next::Failed(failure),
            Done::Discarded => Next::GoOn,
        }
    }

    fn on_ready(
        &mut self,
        partial: Box<Partial>,
        spare: Option<Buffer>,
        allowance: Allowance,
        store: &mut impl Store,
    ) {
        match mem::replace(&mut self.keeping, Keeping::Ending) {
            Keeping::Busy { pending, ended } => {
                let is_empty = pending.is_empty();
                self.keeping = Keeping::Idle { partial, pending };
                if ended {
                    self.finish(store);
                } else if !is_empty {
                    // The memory of the last chunk serves again while chunks follow closely.
                    let next = spare.filter(|_| self.readable && allowance.ahead);
                    self.write(next, store);
                }
            }
            other => {
                // Nobody has asked.
                self.keeping = other;
                store.submit(self.place, Job::Discard(partial));
            }
        }
    }

    /// Nobody waits for this body any more.
    pub(crate) fn abandon(self, store: &mut impl Store) {
        if let Keeping::Idle { partial, .. } = self.keeping {
            store.submit(self.place, Job::Discard(partial));
        }
    }

    fn write(&mut self, next: Option<Buffer>, store: &mut impl Store) {
        self.keeping = match mem::replace(&mut self.keeping, Keeping::Ending) {
            Keeping::Idle { partial, pending } => {
                let next = next.unwrap_or_else(|| pending.another());
                store.submit(self.place, Job::Write { partial, bytes: pending });
                Keeping::Busy { pending: next, ended: false }
            }
            other => other,
        };
    }

    fn finish(&mut self, store: &mut impl Store) {
        if let Keeping::Idle { partial, pending } = mem::replace(&mut self.keeping, Keeping::Ending)
        {
            store.submit(self.place, Job::Finish { partial, bytes: pending });
        }
    }
}

#[cfg(test)]
#[path = "uploads_tests.rs"]
mod tests;
