//! The receiving half of a connection.
//!
//! ```text
//!   ┌───────────────┬──────────┬─────────┬──────────┐
//!   │ to be read    │ (missing)│ ahead   │ free     │
//!   └───────────────┴──────────┴─────────┴──────────┘
//!                   ▲ next                          ▲ edge
//! ```

use std::collections::{BTreeMap, VecDeque};

use super::{distance, length};

pub(super) struct ReceiveHalf {
    capacity: usize,
    buffer: VecDeque<u8>,
    next: u64,
    /// What came before what is before it. All of it lies before the edge.
    ahead: BTreeMap<u64, Vec<u8>>,
    /// The FIN's sequence number.
    fin: Option<u64>,
    /// The edge that the peer was told.
    told: u64,
}

impl ReceiveHalf {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            buffer: VecDeque::new(),
            next: 1,
            ahead: BTreeMap::new(),
            fin: None,
            told: 0,
        }
    }

    /// What is expected next: the acknowledgement.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Whether there is something to read; the end is not.
    pub(super) fn is_empty(&self) -> bool {
        self.buffer.is_empty()
    }

    /// Whether all was received.
    pub(super) fn is_finished(&self) -> bool {
        self.fin.is_some_and(|fin| self.next > fin)
    }

    /// How far the peer may send: it is told now.
    pub(super) fn announce(&mut self) -> u64 {
        self.told = self.edge();
        self.told
    }

    /// Whether it should be told without being asked.
    pub(super) fn has_much_news(&self) -> bool {
        !self.is_finished() && distance(self.told, self.edge()) >= self.capacity.div_ceil(2)
    }

    fn edge(&self) -> u64 {
        self.next.saturating_add(length(self.capacity.saturating_sub(self.buffer.len())))
    }

    /// Takes what a segment brought; true if there is more to read now, or the end.
    pub(super) fn take(&mut self, seq: u64, payload: &[u8], fin: bool) -> bool {
        let before = self.next;
        if fin {
            self.fin = Some(seq.saturating_add(length(payload.len())));
        }
        self.keep(seq, payload);
        while let Some(entry) = self.ahead.first_entry().filter(|entry| *entry.key() <= self.next) {
            let (seq, payload) = entry.remove_entry();
            let news = payload.get(distance(seq, self.next)..).unwrap_or_default();
            self.buffer.extend(news);
            self.next += length(news.len());
        }
        if self.fin == Some(self.next) {
            self.next += 1;
        }
        self.next > before
    }

    /// Keeps what is before the edge.
    fn keep(&mut self, seq: u64, payload: &[u8]) {
        let payload =
            payload.get(..distance(seq, self.edge()).min(payload.len())).unwrap_or_default();
        let known = self.ahead.get(&seq).map_or(0, Vec::len);
        if payload.len() > known && seq.saturating_add(length(payload.len())) > self.next {
            self.ahead.insert(seq, payload.to_vec());
        }
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> usize {
        let count = buffer.len().min(self.buffer.len());
        for (to, from) in buffer.iter_mut().zip(self.buffer.drain(..count)) {
            *to = from;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_out_of_order_twice_and_overlapping_is_read_in_order_and_once() {
        let mut half = ReceiveHalf::new(100);
        assert!(!half.take(6, b"fghij", true));
        assert!(!half.take(6, b"fgh", false));
        assert!(half.take(1, b"abc", false));
        assert!(!half.take(1, b"abc", false));
        assert!(half.take(2, b"bcdef", false));
        let mut buffer = [0; 20];
        assert_eq!((half.read(&mut buffer), &buffer[..10]), (10, &b"abcdefghij"[..]));
        assert!(half.is_finished());
        assert_eq!(half.next(), 12);
    }

    #[test]
    fn a_full_buffer_takes_no_more_and_says_when_it_has_room() {
        let mut half = ReceiveHalf::new(4);
        assert_eq!(half.announce(), 5);
        assert!(half.take(1, b"abcdef", true));
        assert_eq!((half.next(), half.announce()), (5, 5));
        assert!(!half.take(5, b"ef", true));
        assert!(!half.is_finished() && !half.has_much_news());
        assert_eq!(half.read(&mut [0]), 1);
        assert!(!half.has_much_news());
        assert_eq!(half.read(&mut [0]), 1);
        assert!(half.has_much_news());
        assert!(half.take(5, b"ef", true) && half.is_finished());
    }
}
