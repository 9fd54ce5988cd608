//! The table of pending transfers: responses on their way out.
//!
//! A transfer is found in constant time by its key (which workers' replies carry) or by connection
//! and stream (which the engine's events name).
//!
//! ```text
//!             insert_opening           opened, insert            head taken
//!   (request) ──────────────▶ Opening ───────────────▶ Head ────────────────────▶ Body ─┐
//!                                │                      │ blocked: stays            │    │ partial send,
//!                                │                      │                           │◀───┘ blocked, or
//!                                │                      │ no body                   │      source waits:
//!                                │                      ▼                           ▼      stays
//!                                │                   ┌─────────────────────────────────┐
//!                                └────── gone ──────▶│ removed at once, file closed    │
//!                                                    │ done, gone, or source failed    │
//!                                                    └─────────────────────────────────┘
//! ```
//!
//! - The end of the stream goes out with the last byte, or with the head of a response without a
//!   body. A source that fails resets the stream instead.
//! - Memory is bounded for each transfer ([`CHUNK`] twice) and shrinks when there are many
//!   ([`PLENTY`]).

use std::{collections::HashMap, mem};

use crate::{
    connection::Connection,
    engine::{H3_INTERNAL_ERROR, Stop, TransferEngine},
    keyed::{Key, Keyed},
    priority::Priority,
    response::{Head, Response},
    source::{Allowance, Piece, ReadDone, ReadJob, Source},
};

/// What is read from a file at once.
pub(crate) const CHUNK: usize = 256 * 1024;
/// The same when all transfers together hold more than [`PLENTY`].
pub(crate) const SMALL_CHUNK: usize = 32 * 1024;
/// Beyond this, chunks are small and nothing is read ahead.
pub(crate) const PLENTY: usize = 32 * 1024 * 1024;

/// Names a transfer.
pub(crate) type TransferKey = Key<Transfer>;
/// Names the connection that a transfer belongs to.
type Owner = Key<Connection>;

/// Takes reads to where the disk may be waited for.
pub(crate) trait Disk {
    /// The result comes back through [`Transfers::read_done`].
    fn read(&mut self, transfer: TransferKey, job: ReadJob);
}

/// One pending transfer.
pub(crate) struct Transfer {
    owner: Owner,
    stream: u64,
    state: State,
    /// A worker does something for it.
    has_job: bool,
}

/// See the picture on top.
enum State {
    /// A worker looks for the file.
    Opening,
    /// The head has to go out first.
    Head(Response),
    /// The body goes out piece by piece.
    Body(Source),
}

/// How an attempt to go on ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// A worker has to deliver first; its reply continues the transfer.
    Waiting,
    /// The engine has no room; the writable event of the stream continues the transfer.
    Blocked,
    /// The budget is used up, and more would go: whoever called has to call again.
    Budget,
    /// Everything was handed to the engine, and the transfer is gone from the table.
    Done,
    /// The client wants no more, and the transfer is gone from the table.
    Ended,
    /// The source failed, and the transfer is gone from the table.
    Failed,
    /// There is no such transfer: a late event.
    Unknown,
}

/// What became of all transfers so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransferTotals {
    /// Responses that were handed to the engine to the last byte.
    pub completed: u64,
    /// Responses that the client stopped, or whose connection ended.
    pub cancelled: u64,
    /// Responses that were reset because their source failed.
    pub failed: u64,
    /// Bytes of bodies that the engine took.
    pub body_bytes: u64,
}

/// All pending transfers of all connections.
pub(crate) struct Transfers {
    table: Keyed<Transfer>,
    by_stream: HashMap<(Owner, u64), TransferKey>,
    /// Jobs whose transfer is gone, until they are done; and how many of them are whose.
    abandoned: HashMap<TransferKey, Owner>,
    abandoned_by: HashMap<Owner, usize>,
    /// Memory held by all sources together.
    held: usize,
    totals: TransferTotals,
}

impl Transfers {
    pub(crate) fn new() -> Self {
        Self {
            table: Keyed::new(),
            by_stream: HashMap::new(),
            abandoned: HashMap::new(),
            abandoned_by: HashMap::new(),
            held: 0,
            totals: TransferTotals::default(),
        }
    }

    /// Adds a transfer whose file a worker looks for.
    pub(crate) fn insert_opening(&mut self, owner: Owner, stream: u64) -> TransferKey {
        self.add(owner, stream, State::Opening)
    }

    /// Adds a transfer that is ready to go out.
    pub(crate) fn insert(&mut self, owner: Owner, stream: u64, response: Response) -> TransferKey {
        self.held += response.body.held();
        self.add(owner, stream, State::Head(response))
    }

    fn add(&mut self, owner: Owner, stream: u64, state: State) -> TransferKey {
        let has_job = matches!(state, State::Opening);
        let key = self.table.insert(Transfer { owner, stream, state, has_job });
        if let Some(old) = self.by_stream.insert((owner, stream), key) {
            // One request on one stream: it can't happen, and must not leave anything if it does.
            self.discard(old);
        }
        key
    }

    /// The worker has found the response. Returns whose it is; None if the transfer is gone.
    pub(crate) fn opened(&mut self, key: TransferKey, response: Response) -> Option<(Owner, u64)> {
        let transfer = self.job_done(key)?;
        if matches!(transfer.state, State::Opening) {
            let held = response.body.held();
            transfer.state = State::Head(response);
            let place = (transfer.owner, transfer.stream);
            self.held += held;
            return Some(place);
        }
        Some((transfer.owner, transfer.stream))
    }

    /// Notes the end of a job. None if it was done for nothing.
    fn job_done(&mut self, key: TransferKey) -> Option<&mut Transfer> {
        if let Some(owner) = self.abandoned.remove(&key)
            && let Some(count) = self.abandoned_by.get_mut(&owner)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.abandoned_by.remove(&owner);
            }
        }
        let transfer = self.table.get_mut(key)?;
        transfer.has_job = false;
        Some(transfer)
    }

    /// A worker has read. Returns whose it is; None if the transfer is gone, and the file with it.
    pub(crate) fn read_done(&mut self, key: TransferKey, done: ReadDone) -> Option<(Owner, u64)> {
        let transfer = self.job_done(key)?;
        let (mut before, mut after) = (0, 0);
        if let State::Body(source) = &mut transfer.state {
            before = source.held();
            source.finish_read(done);
            after = source.held();
        }
        let place = (transfer.owner, transfer.stream);
        self.held = self.held + after - before;
        Some(place)
    }

    /// Sends as much of a stream's response as engine, source and budget allow.
    pub(crate) fn advance(
        &mut self,
        owner: Owner,
        stream: u64,
        engine: &mut impl TransferEngine,
        disk: &mut impl Disk,
        budget: &mut usize,
    ) -> Progress {
        let Some(key) = self.by_stream.get(&(owner, stream)).copied() else {
            return Progress::Unknown;
        };
        let allowance = self.allowance();
        let Some(transfer) = self.table.get_mut(key) else { return Progress::Unknown };
        let before = transfer.held();
        let (progress, sent) = transfer.advance(engine, budget, allowance, &mut |job| {
            disk.read(key, job);
        });
        self.held = self.held + transfer.held() - before;
        self.totals.body_bytes += sent;
        match progress {
            Progress::Done => self.totals.completed += 1,
            Progress::Failed => self.totals.failed += 1,
            Progress::Ended => self.totals.cancelled += 1,
            _ => return progress,
        }
        self.discard(key);
        progress
    }

    /// Removes a stream's transfer, if it has one. True if it had.
    pub(crate) fn cancel(&mut self, owner: Owner, stream: u64) -> bool {
        let Some(key) = self.by_stream.get(&(owner, stream)).copied() else { return false };
        self.totals.cancelled += 1;
        self.discard(key);
        true
    }

    /// The client has changed its mind about the priority of a response whose head is still here.
    pub(crate) fn set_priority(&mut self, owner: Owner, stream: u64, priority: Priority) {
        let key = self.by_stream.get(&(owner, stream)).copied();
        if let Some(Transfer { state: State::Head(response), .. }) =
            key.and_then(|key| self.table.get_mut(key))
        {
            response.head.priority = priority;
        }
    }

    /// Whether a stream's response is pending.
    pub(crate) fn contains(&self, owner: Owner, stream: u64) -> bool {
        self.by_stream.contains_key(&(owner, stream))
    }

    /// Whether a worker does something for a stream's response.
    pub(crate) fn has_job(&self, owner: Owner, stream: u64) -> bool {
        let key = self.by_stream.get(&(owner, stream));
        key.and_then(|key| self.table.get(*key)).is_some_and(|transfer| transfer.has_job)
    }

    /// How many workers' jobs go on for a connection's transfers that are gone.
    pub(crate) fn abandoned_jobs(&self, owner: Owner) -> usize {
        self.abandoned_by.get(&owner).copied().unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Memory that all sources hold.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    pub(crate) fn totals(&self) -> TransferTotals {
        self.totals
    }

    fn allowance(&self) -> Allowance {
        let plenty = self.held > PLENTY;
        Allowance { chunk: if plenty { SMALL_CHUNK } else { CHUNK }, ahead: !plenty }
    }

    fn discard(&mut self, key: TransferKey) {
        let Some(transfer) = self.table.remove(key) else { return };
        self.held -= transfer.held();
        if transfer.has_job {
            self.abandoned.insert(key, transfer.owner);
            *self.abandoned_by.entry(transfer.owner).or_default() += 1;
        }
        let place = (transfer.owner, transfer.stream);
        if self.by_stream.get(&place) == Some(&key) {
            self.by_stream.remove(&place);
        }
    }
}

impl Transfer {
    fn held(&self) -> usize {
        match &self.state {
            State::Opening => 0,
            State::Head(response) => response.body.held(),
            State::Body(source) => source.held(),
        }
    }

    /// Returns how far it came, and how many bytes the engine took.
    fn advance(
        &mut self,
        engine: &mut impl TransferEngine,
        budget: &mut usize,
        allowance: Allowance,
        read: &mut dyn FnMut(ReadJob),
    ) -> (Progress, u64) {
        let stream = self.stream;
        // Taken out, and put back wherever the transfer stays.
        match mem::replace(&mut self.state, State::Opening) {
            State::Opening => return (Progress::Waiting, 0),
            State::Head(response) => {
                match send_head(engine, stream, &response.head, &response.body) {
                    Ok(()) if response.body.is_empty() => return (Progress::Done, 0),
                    Ok(()) => self.state = State::Body(response.body),
                    Err(progress) => {
                        self.state = State::Head(response);
                        return (progress, 0);
                    }
                }
            }
            State::Body(source) => self.state = State::Body(source),
        }
        let State::Body(source) = &mut self.state else { return (Progress::Waiting, 0) };
        let mut sent = 0;
        let progress = loop {
            if let Some(job) = source.start_read(allowance) {
                self.has_job = true;
                read(job);
            }
            match send_piece(engine, stream, &source.piece(), *budget) {
                Ok((count, last)) => {
                    source.consume(count);
                    *budget = budget.saturating_sub(count);
                    sent += count as u64;
                    if last {
                        break Progress::Done;
                    }
                }
                Err(progress) => break progress,
            }
        };
        (progress, sent)
    }
}

fn send_head(
    engine: &mut impl TransferEngine,
    stream: u64,
    head: &Head,
    body: &Source,
) -> Result<(), Progress> {
    engine.send_head(stream, head, body.is_empty()).map_err(Progress::from)
}

/// Returns how many bytes the engine took, and whether the end was among them.
fn send_piece(
    engine: &mut impl TransferEngine,
    stream: u64,
    piece: &Piece<'_>,
    budget: usize,
) -> Result<(usize, bool), Progress> {
    let (data, last) = match piece {
        Piece::Ready { data, last } => (*data, *last),
        Piece::Wait => return Err(Progress::Waiting),
        Piece::Failed => {
            engine.reset(stream, H3_INTERNAL_ERROR);
            return Err(Progress::Failed);
        }
    };
    if budget == 0 {
        return Err(Progress::Budget);
    }
    let (data, last) = match data.get(..budget) {
        Some(part) if part.len() < data.len() => (part, false),
        _ => (data, last),
    };
    match engine.send_body(stream, data, last)?.min(data.len()) {
        // Nothing taken, and no reason given: as good as blocked, and never a reason to go round.
        0 => Err(Progress::Blocked),
        count => Ok((count, last && count == data.len())),
    }
}

impl From<Stop> for Progress {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Blocked => Self::Blocked,
            Stop::Gone => Self::Ended,
        }
    }
}

#[cfg(test)]
#[path = "transfers_tests.rs"]
mod tests;
