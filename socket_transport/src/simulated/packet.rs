//! A datagram on its way, and the ones that wait in a socket to be read.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
};

use crate::datagrams::{Ecn, RawReceived};

/// How many datagrams one read hands over at most: what Linux merges.
const MAX_MERGED: usize = 64;

/// A datagram on its way.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    /// Where it seems to come from: behind a NAT not the sender's own address.
    pub(super) source: SocketAddr,
    /// Where it was sent to: the NAT's address if the receiver is behind one.
    pub(super) destination: SocketAddr,
    pub(super) ecn: Ecn,
    /// Whether it may be cut into fragments on the way.
    pub(super) divisible: bool,
    pub(super) payload: Vec<u8>,
}

impl Packet {
    /// The size of the IP packet.
    pub(super) fn bytes(&self) -> usize {
        let headers = match self.destination.ip() {
            IpAddr::V4(_) => 20 + 8,
            IpAddr::V6(_) => 40 + 8,
        };
        self.payload.len() + headers
    }

    fn may_merge_with(&self, next: &Self) -> bool {
        let same = |packet: &Self| (packet.source, packet.destination, packet.ecn);
        same(self) == same(next)
    }
}

/// The datagrams that a socket has received and nobody has read.
#[derive(Debug)]
pub(super) struct Inbox {
    packets: VecDeque<Packet>,
    bytes: usize,
    capacity: usize,
}

impl Inbox {
    pub(super) fn new(capacity: usize) -> Self {
        Self { packets: VecDeque::new(), bytes: 0, capacity }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// False if the receive buffer is too full: the datagram is gone. An empty buffer takes any.
    pub(super) fn push(&mut self, packet: Packet) -> bool {
        let bytes = self.bytes.saturating_add(packet.bytes());
        if bytes > self.capacity && !self.packets.is_empty() {
            return false;
        }
        self.bytes = bytes;
        self.packets.push_back(packet);
        true
    }

    /// Reads the next datagram, and with `merge` those behind it that could have been one
    /// transmission: equally long ones of one sender, the last of which may be shorter.
    ///
    /// As with the operating system, what does not fit in `buffer` is cut off and lost.
    pub(super) fn read(&mut self, buffer: &mut [u8], merge: bool) -> Option<RawReceived> {
        let first = self.pop()?;
        let stride = first.payload.len().min(buffer.len());
        let mut len = append(buffer, 0, &first.payload);
        let mut last = stride;
        let most = if merge && stride > 0 { MAX_MERGED } else { 1 };
        for _ in 1..most {
            let fits = |next: &Packet| {
                last == stride
                    && (1..=stride).contains(&next.payload.len())
                    && len + next.payload.len() <= buffer.len()
                    && first.may_merge_with(next)
            };
            if !self.packets.front().is_some_and(fits) {
                break;
            }
            let Some(next) = self.pop() else { break };
            len = append(buffer, len, &next.payload);
            last = next.payload.len();
        }
        let Packet { source, destination, ecn, .. } = first;
        Some(RawReceived { len, stride, source, destination, ecn })
    }

    fn pop(&mut self) -> Option<Packet> {
        let packet = self.packets.pop_front()?;
        self.bytes = self.bytes.saturating_sub(packet.bytes());
        Some(packet)
    }
}

/// Copies what fits behind the first `at` bytes, and says how many bytes there are then.
fn append(buffer: &mut [u8], at: usize, payload: &[u8]) -> usize {
    let room = buffer.get_mut(at..).unwrap_or_default();
    let length = room.len().min(payload.len());
    for (to, from) in room.iter_mut().zip(payload) {
        *to = *from;
    }
    at + length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(port: u16, length: usize) -> Packet {
        Packet {
            source: SocketAddr::from(([10, 0, 0, 1], port)),
            destination: SocketAddr::from(([10, 0, 0, 2], 443)),
            ecn: Ecn::NotEct,
            divisible: false,
            payload: vec![u8::try_from(length).unwrap(); length],
        }
    }

    fn reads(packets: &[(u16, usize)], buffer: usize, merge: bool) -> Vec<(usize, usize)> {
        let mut inbox = Inbox::new(usize::MAX);
        assert!(packets.iter().all(|&(port, length)| inbox.push(packet(port, length))));
        let mut buffer = vec![0; buffer];
        std::iter::from_fn(|| inbox.read(&mut buffer, merge))
            .map(|read| (read.len, read.stride))
            .collect()
    }

    #[test]
    fn equal_neighbours_are_read_together() {
        let packets = [(1, 9), (1, 9), (1, 5), (1, 5), (2, 5), (2, 9), (1, 9)];
        let merged = [(23, 9), (5, 5), (5, 5), (9, 9), (9, 9)];
        assert_eq!(reads(&packets, 100, true), merged);
        assert_eq!(reads(&packets, 100, false).len(), packets.len());
    }

    #[test]
    fn the_buffer_and_the_number_bound_a_read() {
        assert_eq!(reads(&[(1, 9); 3], 20, true), [(18, 9), (9, 9)]);
        assert_eq!(reads(&[(1, 9); 1], 5, true), [(5, 5)]);
        assert_eq!(reads(&[(1, 1); 65], 100, true), [(64, 1), (1, 1)]);
    }

    #[test]
    fn an_empty_datagram_is_read_alone() {
        assert_eq!(reads(&[(1, 0), (1, 0), (1, 3), (1, 0)], 100, true).len(), 4);
    }

    #[test]
    fn a_full_receive_buffer_takes_no_more() {
        let mut inbox = Inbox::new(100);
        assert!(inbox.push(packet(1, 60)));
        assert!(!inbox.push(packet(1, 60)));
        assert_eq!(inbox.read(&mut [0; 60], true).unwrap().len, 60);
        assert!(inbox.push(packet(1, 200)), "an empty one takes any");
        assert!(inbox.read(&mut [0; 200], true).is_some());
        assert!(inbox.is_empty());
    }
}
