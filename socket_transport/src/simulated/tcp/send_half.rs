//! The sending half of a connection.
//!
//! ```text
//!   sequence    0     1                                        
//!             ┌─────┬──────────────┬─────────────┬───────────┬─────┐
//!             │ SYN │ acknowledged │ on its way  │ unsent    │ FIN │
//!             └─────┴──────────────┴─────────────┴───────────┴─────┘
//!                                  ▲ acked       ▲ next   ▲ edge: so far the peer has room
//!                                  └────── buffer ───────────┘
//! ```

use std::collections::VecDeque;

use super::{distance, length};

/// Acknowledgements that do not move, after which something is taken for lost.
const MANY: u32 = 3;

pub(super) struct SendHalf {
    capacity: usize,
    /// What was written and not acknowledged.
    buffer: VecDeque<u8>,
    acked: u64,
    next: u64,
    /// `next` at its highest: a repetition takes it back.
    highest: u64,
    /// The FIN's sequence number.
    fin: Option<u64>,
    edge: u64,
    /// Bytes that may be on their way.
    allowance: usize,
    still: u32,
    /// What is lost before this was noticed already.
    noticed: u64,
    /// The first segment is to be sent again.
    again: bool,
}

/// A piece to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) seq: u64,
    pub(super) payload: Vec<u8>,
    pub(super) fin: bool,
}

impl SendHalf {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            buffer: VecDeque::new(),
            acked: 0,
            next: 0,
            highest: 0,
            fin: None,
            edge: 0,
            allowance: capacity,
            still: 0,
            noticed: 0,
            again: false,
        }
    }

    /// Whether the SYN is to be sent; it is then.
    pub(super) fn take_syn(&mut self) -> bool {
        let unsent = self.next == 0;
        self.next = self.next.max(1);
        self.highest = self.highest.max(1);
        unsent
    }

    pub(super) fn room(&self) -> usize {
        self.capacity.saturating_sub(self.buffer.len())
    }

    /// Whether there is enough room to wake a writer for.
    pub(super) fn has_much_room(&self) -> bool {
        self.room() >= self.capacity.div_ceil(3)
    }

    /// Takes as much as there is room for.
    pub(super) fn write(&mut self, bytes: &[u8]) -> usize {
        let count = bytes.len().min(self.room());
        self.buffer.extend(bytes.iter().take(count));
        count
    }

    /// Nothing is written any more.
    pub(super) fn finish(&mut self) {
        let end = self.end_of_data();
        self.fin.get_or_insert(end);
    }

    pub(super) fn is_finishing(&self) -> bool {
        self.fin.is_some()
    }

    /// Whether the peer has all, the FIN included.
    pub(super) fn is_finished(&self) -> bool {
        self.fin.is_some_and(|fin| self.acked > fin)
    }

    pub(super) fn is_in_flight(&self) -> bool {
        self.acked < self.next
    }

    pub(super) fn has_unsent(&self) -> bool {
        self.next < self.end_of_data() || self.fin.is_some_and(|fin| self.next <= fin)
    }

    /// The sequence number of a segment that says nothing.
    pub(super) fn quiet_seq(&self) -> u64 {
        self.highest
    }

    /// That of a segment that asks for an acknowledgement.
    pub(super) fn probing_seq(&self) -> u64 {
        self.acked.saturating_sub(1)
    }

    /// The next piece of at most `most` bytes that may be sent now.
    pub(super) fn take_piece(&mut self, most: usize) -> Option<Piece> {
        if std::mem::take(&mut self.again) && self.is_in_flight() {
            let end = self.highest.min(self.end_of_data());
            return self.piece(self.acked.max(1), end, most);
        }
        let allowed = self.acked.saturating_add(length(self.allowance)).min(self.edge);
        let piece = self.piece(self.next, self.end_of_data().min(allowed), most)?;
        self.next = piece.seq + length(piece.payload.len()) + u64::from(piece.fin);
        self.highest = self.highest.max(self.next);
        Some(piece)
    }

    /// What is from `seq` on, and before `end`. Behind the last byte there is the FIN.
    fn piece(&self, seq: u64, end: u64, most: usize) -> Option<Piece> {
        let start = distance(self.start_of_data(), seq);
        let count = distance(seq, end).min(most);
        let payload: Vec<u8> = self.buffer.iter().skip(start).take(count).copied().collect();
        let fin = self.fin == Some(seq.saturating_add(length(payload.len())));
        (fin || !payload.is_empty()).then_some(Piece { seq, payload, fin })
    }

    /// The peer has all before `ack`, and room up to `edge`. True if that is news. `quiet`: it said
    /// nothing else.
    pub(super) fn acknowledge(&mut self, ack: u64, edge: u64, quiet: bool, segment: usize) -> bool {
        let same_room = edge <= self.edge;
        self.edge = self.edge.max(edge);
        if ack > self.highest || ack < self.acked {
            return false;
        }
        if ack > self.acked {
            self.advance(ack);
            return true;
        }
        if quiet && same_room && self.is_in_flight() {
            self.still += 1;
            if self.still == MANY && self.acked >= self.noticed {
                self.noticed = self.highest;
                self.allowance = (self.allowance / 2).max(2 * segment);
                self.again = true;
            }
        }
        !same_room
    }

    fn advance(&mut self, ack: u64) {
        let before = self.start_of_data();
        let bytes = distance(before, ack.min(self.end_of_data()));
        self.buffer.drain(..bytes.min(self.buffer.len()));
        self.acked = ack;
        self.next = self.next.max(ack);
        self.still = 0;
        self.allowance = self.allowance.saturating_add(bytes / 2).min(self.capacity);
        // More than one was lost: the next one is known to be missing.
        self.again = ack < self.noticed;
    }

    /// Everything that was not acknowledged is sent again.
    pub(super) fn go_back(&mut self, segment: usize) {
        self.next = self.acked;
        self.noticed = self.highest;
        self.still = 0;
        self.again = false;
        self.allowance = (2 * segment).min(self.capacity);
    }

    fn start_of_data(&self) -> u64 {
        self.acked.max(1)
    }

    fn end_of_data(&self) -> u64 {
        match self.fin {
            Some(fin) => fin,
            None => self.start_of_data().saturating_add(length(self.buffer.len())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connected(capacity: usize, edge: u64) -> SendHalf {
        let mut half = SendHalf::new(capacity);
        assert!(half.take_syn() && !half.take_syn());
        assert!(half.acknowledge(1, edge, false, 10));
        half
    }

    fn pieces(half: &mut SendHalf) -> Vec<(u64, usize, bool)> {
        let pieces = std::iter::from_fn(|| half.take_piece(10));
        pieces.map(|piece| (piece.seq, piece.payload.len(), piece.fin)).collect()
    }

    #[test]
    fn what_is_written_leaves_in_segments_and_the_fin_with_the_last() {
        let mut half = connected(100, 1000);
        assert_eq!(half.write(&[1; 25]), 25);
        assert_eq!(pieces(&mut half), [(1, 10, false), (11, 10, false), (21, 5, false)]);
        half.finish();
        assert_eq!(pieces(&mut half), [(26, 0, true)]);
        assert!(half.acknowledge(26, 1000, true, 10) && !half.is_finished());
        assert!(half.acknowledge(27, 1000, true, 10) && half.is_finished());
        assert_eq!((pieces(&mut half), half.room()), (vec![], 100));
    }

    #[test]
    fn buffer_and_window_hold_the_writer_back() {
        let mut half = connected(30, 16);
        assert_eq!((half.write(&[1; 99]), half.write(&[1])), (30, 0));
        assert_eq!(pieces(&mut half), [(1, 10, false), (11, 5, false)]);
        assert!(half.has_unsent());
        assert!(half.acknowledge(16, 16, true, 10));
        assert!(half.has_unsent() && !half.is_in_flight());
        assert!(half.acknowledge(16, 99, true, 10), "more room is news");
        assert_eq!(pieces(&mut half), [(16, 10, false), (26, 5, false)]);
    }

    #[test]
    fn three_still_acknowledgements_repeat_the_first_segment_once() {
        let mut half = connected(100, 1000);
        half.write(&[1; 50]);
        assert_eq!(pieces(&mut half).len(), 5);
        for _ in 0..9 {
            half.acknowledge(1, 1000, true, 10);
        }
        assert_eq!(pieces(&mut half), [(1, 10, false)]);
        // A part of it arrived: the next gap is repeated at once.
        half.acknowledge(21, 1000, true, 10);
        assert_eq!(pieces(&mut half), [(21, 10, false)]);
        half.acknowledge(51, 1000, true, 10);
        assert_eq!((pieces(&mut half), half.is_in_flight()), (vec![], false));
    }

    #[test]
    fn a_timeout_repeats_everything_little_by_little() {
        let mut half = connected(100, 1000);
        half.write(&[1; 50]);
        half.finish();
        assert_eq!(pieces(&mut half).last(), Some(&(41, 10, true)));
        half.go_back(10);
        assert_eq!(pieces(&mut half), [(1, 10, false), (11, 10, false)]);
        half.acknowledge(52, 1000, true, 10);
        assert!(half.is_finished(), "the others had arrived");
    }
}
