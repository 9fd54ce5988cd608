//! The addresses of one destination, and what is known of them (RFC 8305, "Happy Eyeballs").

use std::{
    collections::{BTreeSet, VecDeque},
    net::SocketAddr,
    time::Instant,
};

use transaction::{ConnectTimings, ConnectionInfo, NetError};

/// More than that many addresses of one name are not tried.
const MAX_ADDRESSES: usize = 32;

/// How many destinations' families are remembered.
const MAX_REMEMBERED: usize = 512;

/// One of the two Internets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) fn of(address: SocketAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// What a look-up brought, in the order of trying, and what became of the tries.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    untried: VecDeque<SocketAddr>,
    failed: Vec<(SocketAddr, NetError)>,
    /// Where the next connection goes at once: the address that answered, or the only one there is.
    proven: Option<SocketAddr>,
    /// One has answered since the look-up.
    answered: bool,
    /// When a connection has to be there, whatever is tried for it.
    deadline: Option<Instant>,
    /// What was done for the connection that is being made, and when.
    timings: ConnectTimings,
}

impl Addresses {
    /// Takes the addresses of a new look-up; what was known of the last one's is forgotten. Both families
    /// take turns, beginning with the resolver's first, but `slow` comes last.
    pub(crate) fn set(&mut self, addresses: Vec<SocketAddr>, slow: Option<Family>) {
        let untried = take_turns(addresses, slow);
        let proven = if untried.len() == 1 { untried.front().copied() } else { None };
        let (deadline, timings) = (self.deadline, self.timings);
        *self = Self { untried, proven, deadline, timings, ..Self::default() };
    }

    /// The name is being looked up.
    pub(crate) fn look_up_begins(&mut self, now: Instant) {
        self.timings =
            ConnectTimings { domain_lookup_start: Some(now), ..ConnectTimings::default() };
    }

    /// There is an answer.
    pub(crate) fn look_up_ended(&mut self, now: Instant) {
        self.timings.domain_lookup_end = Some(now);
    }

    /// An attempt begins; answers what was done before it for the same connection.
    pub(crate) fn attempt_begins(&mut self, now: Instant) -> ConnectTimings {
        self.timings.connect_start.get_or_insert(now);
        self.timings
    }

    /// Says when a connection has to be there.
    pub(crate) fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The next to be tried.
    pub(crate) fn next(&mut self) -> Option<SocketAddr> {
        self.untried.pop_front().or(self.proven)
    }

    /// Whether there is none to be tried: the name has to be looked up.
    pub(crate) fn is_empty(&self) -> bool {
        self.untried.is_empty() && self.proven.is_none()
    }

    /// Whether there is another one beside those that are being tried.
    pub(crate) fn has_untried(&self) -> bool {
        !self.untried.is_empty()
    }

    /// Whether one is known to be the right one, so that any number of connections may be made to it.
    pub(crate) fn is_proven(&self) -> bool {
        self.proven.is_some()
    }

    pub(crate) fn untried(&self) -> impl Iterator<Item = SocketAddr> {
        self.untried.iter().copied()
    }

    /// One has answered: the others are not needed.
    pub(crate) fn note_success(&mut self, peer: SocketAddr) {
        self.untried.clear();
        self.failed.clear();
        self.proven = Some(peer);
        self.answered = true;
        self.deadline = None;
        self.timings = ConnectTimings::default();
    }

    /// One has failed. Answers whether a new look-up may help: the address had answered before.
    pub(crate) fn note_failure(&mut self, peer: SocketAddr, error: NetError) -> bool {
        self.failed.retain(|(failed, _)| *failed != peer);
        if self.failed.len() < MAX_ADDRESSES {
            self.failed.push((peer, error));
        }
        self.proven.take_if(|proven| *proven == peer).is_some() && self.answered
    }

    /// Whether one of this family failed.
    pub(crate) fn failed(&self, family: Family) -> bool {
        self.failed.iter().any(|(peer, _)| Family::of(*peer) == family)
    }

    /// Why none of them could be reached, if any was tried.
    pub(crate) fn take_error(&mut self, info: &ConnectionInfo) -> Option<NetError> {
        let mut failed = std::mem::take(&mut self.failed);
        match failed.len() {
            0 | 1 => failed.pop().map(|(_, error)| error),
            _ => Some(NetError::NoAddressAnswered {
                host: info.endpoint().0.to_owned(),
                attempts: failed,
            }),
        }
    }

    /// Whatever was not tried is not needed.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The first of one family, the first of the other, the second of the one …
fn take_turns(mut addresses: Vec<SocketAddr>, slow: Option<Family>) -> VecDeque<SocketAddr> {
    let mut known = BTreeSet::new();
    addresses.retain(|address| known.insert(*address));
    let Some(first) = addresses.first().map(|first| Family::of(*first)) else {
        return VecDeque::new();
    };
    let (one, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| Family::of(*address) == first);
    let (one, other) =
        if slow == Some(first) && !other.is_empty() { (other, one) } else { (one, other) };
    if slow.is_some() {
        return one.into_iter().chain(other).take(MAX_ADDRESSES).collect();
    }
    let (mut one, mut other) = (one.into_iter(), other.into_iter());
    let mut turns = VecDeque::new();
    loop {
        let pair = [one.next(), other.next()];
        if pair == [None, None] || turns.len() >= MAX_ADDRESSES {
            return turns;
        }
        turns.extend(pair.into_iter().flatten());
    }
}

/// Which family did not answer where the other one did. Until the network changes it is tried last there.
#[derive(Debug, Default)]
pub(crate) struct SlowFamilies(VecDeque<(ConnectionInfo, Family)>);

impl SlowFamilies {
    pub(crate) fn get(&self, info: &ConnectionInfo) -> Option<Family> {
        self.0.iter().find(|(known, _)| known == info).map(|(_, family)| *family)
    }

    /// `family` lost against the other one, or answered itself.
    pub(crate) fn note(&mut self, info: &ConnectionInfo, slow: Option<Family>) {
        self.0.retain(|(known, _)| known != info);
        if let Some(family) = slow {
            if self.0.len() >= MAX_REMEMBERED {
                self.0.pop_front();
            }
            self.0.push_back((info.clone(), family));
        }
    }

    /// The network is another one.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    const MIXED: [&str; 5] = ["[::1]:1", "[::2]:1", "[::3]:1", "10.0.0.1:1", "10.0.0.2:1"];

    #[test]
    fn both_families_take_turns() {
        let turns: Vec<_> = take_turns(addresses(&MIXED), None).into();
        let expected = addresses(&["[::1]:1", "10.0.0.1:1", "[::2]:1", "10.0.0.2:1", "[::3]:1"]);
        assert_eq!(turns, expected);
        assert!(take_turns(Vec::new(), Some(Family::V4)).is_empty());
    }

    #[test]
    fn h23_a_family_that_was_slow_comes_last() {
        let turns: Vec<_> = take_turns(addresses(&MIXED), Some(Family::V6)).into();
        let expected = addresses(&["10.0.0.1:1", "10.0.0.2:1", "[::1]:1", "[::2]:1", "[::3]:1"]);
        assert_eq!(turns, expected);
        let alone = addresses(&["[::1]:1", "[::2]:1"]);
        assert_eq!(Vec::from(take_turns(alone.clone(), Some(Family::V6))), alone);
        let alone: Vec<_> = take_turns(alone, Some(Family::V4)).into();
        assert_eq!(alone, addresses(&["[::1]:1", "[::2]:1"]));
    }

    #[test]
    fn a_name_with_very_many_addresses_is_bounded() {
        let many = (0..1000).map(|n| SocketAddr::from(([10, 0, 0, 1], n))).collect();
        assert_eq!(take_turns(many, None).len(), MAX_ADDRESSES);
    }

    #[test]
    fn what_is_remembered_of_families_is_bounded() {
        let mut memory = SlowFamilies::default();
        for port in 0..2000 {
            memory.note(&ConnectionInfo::new("necko.test", port), Some(Family::V6));
        }
        assert_eq!(memory.0.len(), MAX_REMEMBERED);
        let last = ConnectionInfo::new("necko.test", 1999);
        assert_eq!(memory.get(&last), Some(Family::V6));
        memory.note(&last, None);
        assert_eq!(memory.get(&last), None);
    }

    #[test]
    fn the_error_names_each_address_once() {
        let info = ConnectionInfo::new("necko.test", 443);
        let [first, second] = addresses(&["[::1]:1", "10.0.0.1:1"])[..] else { unreachable!() };
        let mut tried = Addresses::default();
        assert_eq!(tried.take_error(&info), None);
        let refused = |peer| NetError::ConnectionRefused { peer };
        assert!(!tried.note_failure(first, refused(first)));
        assert_eq!(tried.take_error(&info), Some(refused(first)));
        for peer in [first, first, second] {
            tried.note_failure(peer, refused(peer));
        }
        let attempts = vec![(first, refused(first)), (second, refused(second))];
        let host = "necko.test".to_owned();
        assert_eq!(tried.take_error(&info), Some(NetError::NoAddressAnswered { host, attempts }));
    }
}
