//! A link: the way from one machine to another, in one direction.
//!
//! ```text
//!            blackhole?   too large?   lost?     queue full?
//!  packet ──────┬────────────┬──────────┬────────────┬──────▶ [ queue ] ──▶ rate ──▶ delay ──▶ arrives
//!               ▼            ▼          ▼            ▼                              + jitter
//!                             dropped                                               (+ held back)
//! ```

use std::{collections::VecDeque, time::Duration};

use super::{Chance, Counts, Fate, LinkConfig, chance::Dice};

/// What a link needs to know about a packet.
#[derive(Clone, Copy)]
pub(super) struct Size {
    /// Of the IP packet.
    pub(super) bytes: usize,
    /// Whether it may be cut into fragments.
    pub(super) divisible: bool,
}

/// A link at work.
pub(super) struct Link {
    pub(super) config: LinkConfig,
    pub(super) blackhole: bool,
    /// How many packets from now on are lost, whatever chance says.
    pub(super) losing: u64,
    pub(super) counts: Counts,
    /// Packets so far: the next one's ordinal.
    packets: u64,
    /// When each waiting packet has left the queue, and its size.
    queue: VecDeque<(Duration, usize)>,
    queued_bytes: usize,
    /// No packet that keeps its place arrives earlier than this.
    last_arrival: Duration,
}

impl Link {
    pub(super) fn new(config: LinkConfig) -> Self {
        Self {
            config,
            blackhole: false,
            losing: 0,
            counts: Counts::default(),
            packets: 0,
            queue: VecDeque::new(),
            queued_bytes: 0,
            last_arrival: Duration::ZERO,
        }
    }

    /// Changes the link. Packets sent from now on may overtake those on the way.
    pub(super) fn reconfigure(&mut self, config: LinkConfig) {
        self.config = config;
        self.last_arrival = Duration::ZERO;
    }

    pub(super) fn next_ordinal(&mut self) -> u64 {
        let ordinal = self.packets;
        self.packets += 1;
        ordinal
    }

    /// Decides about the packet with this ordinal.
    pub(super) fn throw(&mut self, dice: Dice, ordinal: u64) -> Chance {
        let chance = dice.throw(&self.config, ordinal);
        let ordered = self.losing > 0;
        self.losing = self.losing.saturating_sub(1);
        Chance { lost: chance.lost || ordered, ..chance }
    }

    /// Sends a packet, and says what becomes of it.
    pub(super) fn pass(&mut self, now: Duration, size: Size, chance: &Chance) -> Fate {
        self.advance(now);
        match self.refuses(size, chance) {
            Some(fate) => fate,
            None => self.carry(now, size.bytes, chance),
        }
    }

    /// Takes a packet that is known to arrive, whatever the link would say today.
    pub(super) fn carry(&mut self, now: Duration, bytes: usize, chance: &Chance) -> Fate {
        self.advance(now);
        let start = self.queue.back().map_or(now, |&(departure, _)| departure);
        let departure = start.saturating_add(self.config.transmission(bytes));
        if departure > now {
            self.queue.push_back((departure, bytes));
            self.queued_bytes += bytes;
        }
        let arrival = departure.saturating_add(self.config.delay).saturating_add(chance.jitter);
        Fate::Arrives(self.in_order(arrival, chance))
    }

    /// A packet held back does not hold back those behind it: that is what reorders them.
    fn in_order(&mut self, arrival: Duration, chance: &Chance) -> Duration {
        let arrival = arrival.max(self.last_arrival);
        if chance.reordered {
            arrival.saturating_add(self.config.reorder_delay)
        } else {
            self.last_arrival = arrival;
            arrival
        }
    }

    fn refuses(&self, size: Size, chance: &Chance) -> Option<Fate> {
        if self.blackhole {
            Some(Fate::Blackholed)
        } else if size.bytes > self.config.mtu && !size.divisible {
            Some(Fate::TooLarge)
        } else if chance.lost {
            Some(Fate::Lost)
        } else if self.config.rate.is_some()
            && self.queued_bytes.saturating_add(size.bytes) > self.config.queue_bytes
        {
            Some(Fate::QueueFull)
        } else {
            None
        }
    }

    /// Forgets what has left the queue by now.
    fn advance(&mut self, now: Duration) {
        while let Some(&(departure, bytes)) = self.queue.front()
            && departure <= now
        {
            self.queue.pop_front();
            self.queued_bytes = self.queued_bytes.saturating_sub(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const KILOBYTE: Size = Size { bytes: 1000, divisible: false };

    #[test]
    fn delay_and_rate_are_exact() {
        // A megabyte a second: a kilobyte a millisecond.
        let mut link = Link::new(LinkConfig::new().delay(7 * MS).rate_bits_per_second(8_000_000));
        let mut pass = |now| link.pass(now, KILOBYTE, &Chance::default());
        assert_eq!(pass(Duration::ZERO), Fate::Arrives(8 * MS));
        assert_eq!(pass(Duration::ZERO), Fate::Arrives(9 * MS));
        assert_eq!(pass(MS / 2), Fate::Arrives(10 * MS));
        // Idle for a while: the sender does not save up.
        assert_eq!(pass(100 * MS), Fate::Arrives(108 * MS));
    }

    #[test]
    fn a_full_queue_drops_until_a_packet_has_left() {
        let config = LinkConfig::new().rate_bits_per_second(8_000_000).queue_bytes(2500);
        let mut link = Link::new(config);
        let mut pass = |now| link.pass(now, KILOBYTE, &Chance::default());
        assert_eq!(pass(Duration::ZERO), Fate::Arrives(11 * MS));
        assert_eq!(pass(Duration::ZERO), Fate::Arrives(12 * MS));
        assert_eq!(pass(Duration::ZERO), Fate::QueueFull);
        assert_eq!(pass(MS), Fate::Arrives(13 * MS));
    }

    #[test]
    fn jitter_keeps_the_order_and_reordering_breaks_it() {
        let mut link = Link::new(LinkConfig::new().reorder(0.5, 5 * MS));
        let slow = Chance { jitter: 4 * MS, ..Chance::default() };
        let held = Chance { reordered: true, ..Chance::default() };
        assert_eq!(link.pass(Duration::ZERO, KILOBYTE, &slow), Fate::Arrives(14 * MS));
        assert_eq!(link.pass(MS, KILOBYTE, &Chance::default()), Fate::Arrives(14 * MS));
        assert_eq!(link.pass(2 * MS, KILOBYTE, &held), Fate::Arrives(19 * MS));
        assert_eq!(link.pass(5 * MS, KILOBYTE, &Chance::default()), Fate::Arrives(15 * MS));
    }

    #[test]
    fn the_mtu_stops_only_what_may_not_be_cut() {
        let mut link = Link::new(LinkConfig::new().mtu(999));
        assert_eq!(link.pass(MS, KILOBYTE, &Chance::default()), Fate::TooLarge);
        let divisible = Size { divisible: true, ..KILOBYTE };
        assert_eq!(link.pass(MS, divisible, &Chance::default()), Fate::Arrives(11 * MS));
        link.blackhole = true;
        assert_eq!(link.pass(MS, divisible, &Chance::default()), Fate::Blackholed);
    }
}
