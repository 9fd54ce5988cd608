//! How many packets a link carried, and what became of the others.

use std::ops::AddAssign;

use super::{Chance, Fate};

/// How many datagrams were sent over a link, and what became of them.
///
/// Every datagram that was sent is counted as lost, dropped or blackholed, or else, once for each
/// copy that arrived, as delivered or undeliverable, as soon as it has arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Datagrams sent, each segment of a batch for itself.
    pub sent: u64,
    /// Bytes in the datagrams sent.
    pub bytes: u64,
    /// Lost by chance.
    pub lost: u64,
    /// Dropped as the link's queue was full.
    pub queue_full: u64,
    /// Dropped as larger than the MTU.
    pub too_large: u64,
    /// Swallowed by a blackhole.
    pub blackholed: u64,
    /// Travelling twice.
    pub duplicated: u64,
    /// Held back for others to overtake.
    pub reordered: u64,
    /// With a byte flipped.
    pub corrupted: u64,
    /// Put into a socket's receive buffer.
    pub delivered: u64,
    /// Arrived where nothing was bound, and answered with "port unreachable".
    pub refused: u64,
    /// Arrived where nobody is, or at a silent machine's unbound port.
    pub unheard: u64,
    /// Arrived when the socket's receive buffer was full.
    pub overflowed: u64,
}

impl Counts {
    pub(super) fn note(&mut self, length: usize, chance: &Chance, fate: Fate) {
        self.sent += 1;
        self.bytes += u64::try_from(length).unwrap_or(u64::MAX);
        match fate {
            Fate::Lost => self.lost += 1,
            Fate::QueueFull => self.queue_full += 1,
            Fate::TooLarge => self.too_large += 1,
            Fate::Blackholed => self.blackholed += 1,
            Fate::Arrives(_) => {
                self.duplicated += u64::from(chance.duplicated);
                self.reordered += u64::from(chance.reordered);
                self.corrupted += u64::from(chance.corrupted.is_some());
            }
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.sent += other.sent;
        self.bytes += other.bytes;
        self.lost += other.lost;
        self.queue_full += other.queue_full;
        self.too_large += other.too_large;
        self.blackholed += other.blackholed;
        self.duplicated += other.duplicated;
        self.reordered += other.reordered;
        self.corrupted += other.corrupted;
        self.delivered += other.delivered;
        self.refused += other.refused;
        self.unheard += other.unheard;
        self.overflowed += other.overflowed;
    }
}
