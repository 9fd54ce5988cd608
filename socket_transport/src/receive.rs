//! The receive buffer: one for all sockets, filled by one system call, handed out slot by slot.
//!
//! ```text
//!        slot 0 (64 KiB)      slot 1          slot 2          slot 3
//!   ┌───────────────────┬───────────────┬───────────────┬───────────────┐
//!   │ d d d d d d d d d │ d             │ d d           │    (unused)   │   d = datagram
//!   └───────────────────┴───────────────┴───────────────┴───────────────┘
//!      handed out          next
//! ```
//!
//! One buffer instead of one per socket: a thousand sockets share 256 KiB.

use std::mem;

use crate::{ReceivedDatagrams, datagrams::RawReceived, slots::Key};

/// Space for one coalesced buffer: the largest that the system makes.
pub(crate) const SLOT_SIZE: usize = 64 * 1024;
/// Slots that one system call may fill.
pub(crate) const SLOTS: usize = 4;

/// What a network has put into the slots, in order.
pub(crate) type Filled = [Option<RawReceived>; SLOTS];

/// Received datagrams of one socket that were not handed out yet, and the room for them.
pub(crate) struct ReceiveBuffer {
    storage: Box<[u8]>,
    filled: Filled,
    /// The socket to which the filled slots belong.
    owner: Option<Key>,
}

impl ReceiveBuffer {
    pub(crate) fn new() -> Self {
        let storage = vec![0; SLOTS * SLOT_SIZE].into_boxed_slice();
        Self { storage, filled: [None; SLOTS], owner: None }
    }

    /// The room that a network may fill, in slots of [`SLOT_SIZE`].
    pub(crate) fn storage(&mut self) -> &mut [u8] {
        &mut self.storage
    }

    /// Notes what a network has put into the slots.
    pub(crate) fn set_filled(&mut self, owner: Key, filled: &Filled) {
        (self.owner, self.filled) = (Some(owner), *filled);
    }

    /// Whether filled slots of this socket wait.
    pub(crate) fn holds_for(&self, socket: Key) -> bool {
        self.owner == Some(socket) && self.filled.iter().any(Option::is_some)
    }

    /// Forgets what waits, whosever it is; returns how many datagrams that were.
    pub(crate) fn discard(&mut self) -> usize {
        let filled = mem::take(&mut self.filled);
        filled.iter().flatten().map(RawReceived::datagrams).sum()
    }

    /// Hands out the next filled slot.
    pub(crate) fn take(&mut self) -> Option<ReceivedDatagrams<'_>> {
        let mut slots = self.filled.iter_mut().zip(self.storage.chunks_exact_mut(SLOT_SIZE));
        let (raw, slot) = slots.find_map(|(filled, slot)| Some((filled.take()?, slot)))?;
        slot.get_mut(..raw.len).map(|contents| ReceivedDatagrams::new(raw, contents))
    }
}
