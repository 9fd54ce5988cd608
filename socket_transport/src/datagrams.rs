//! Datagrams on their way in, and the plain values in which the two networks exchange them.

use std::net::{IpAddr, SocketAddr};

/// The two ECN bits of the IP header (RFC 3168, RFC 9331).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Ecn {
    /// Not ECN-capable transport.
    #[default]
    NotEct,
    /// ECN-capable, ECT(1): low latency.
    Ect1,
    /// ECN-capable, ECT(0).
    Ect0,
    /// Congestion experienced.
    Ce,
}

/// Datagrams that arrived together: all from one address to one address, in the receive buffer.
///
/// All but the last are of one length (what the system coalesced, GRO), and an empty datagram counts
/// as one. The bytes may be changed: an engine decrypts in place.
#[derive(Debug)]
pub struct ReceivedDatagrams<'a> {
    raw: RawReceived,
    contents: &'a mut [u8],
}

impl<'a> ReceivedDatagrams<'a> {
    pub(crate) fn new(raw: RawReceived, contents: &'a mut [u8]) -> Self {
        Self { raw, contents }
    }

    /// Where they come from. Never port 0.
    pub fn source(&self) -> SocketAddr {
        self.raw.source
    }

    /// The local address to which they were sent: the peer expects answers from it.
    pub fn destination(&self) -> SocketAddr {
        self.raw.destination
    }

    /// The ECN mark of all of them.
    pub fn ecn(&self) -> Ecn {
        self.raw.ecn
    }

    /// How many there are; at least one.
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.raw.datagrams()
    }

    /// The length of all datagrams together.
    pub fn bytes(&self) -> usize {
        self.contents.len()
    }

    /// The datagrams in order of arrival.
    pub fn datagrams(&mut self) -> impl Iterator<Item = &mut [u8]> {
        let empty = self.contents.is_empty().then_some(&mut [][..]);
        self.contents.chunks_mut(self.raw.stride.max(1)).chain(empty)
    }
}

/// Describes a filled receive buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawReceived {
    /// Bytes in the buffer.
    pub(crate) len: usize,
    /// Length of each datagram but the last, which may be shorter.
    pub(crate) stride: usize,
    pub(crate) source: SocketAddr,
    /// The local address to which the datagrams were sent.
    pub(crate) destination: SocketAddr,
    pub(crate) ecn: Ecn,
}

impl RawReceived {
    /// The number of datagrams; an empty one counts as well.
    pub(crate) fn datagrams(&self) -> usize {
        self.len.div_ceil(self.stride.max(1)).max(1)
    }
}

/// One send: a datagram, or several that the system divides (GSO).
#[derive(Clone, Copy, Debug)]
pub(crate) struct RawTransmit<'a> {
    pub(crate) destination: SocketAddr,
    /// The local address to send from; None leaves it to the routing table.
    pub(crate) source: Option<IpAddr>,
    pub(crate) ecn: Ecn,
    pub(crate) contents: &'a [u8],
    /// Length of each datagram but the last; None for a single one.
    pub(crate) segment_size: Option<usize>,
}

impl RawTransmit<'_> {
    /// The number of datagrams.
    pub(crate) fn datagrams(&self) -> usize {
        self.segment_size.map_or(1, |size| self.contents.len().div_ceil(size.max(1)).max(1))
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn received(contents: &mut [u8], stride: usize) -> ReceivedDatagrams<'_> {
        let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let len = contents.len();
        let raw = RawReceived { len, stride, source: here, destination: here, ecn: Ecn::NotEct };
        ReceivedDatagrams::new(raw, contents)
    }

    #[test]
    fn a_coalesced_buffer_is_divided_by_its_stride() {
        let mut contents = *b"aaabbbc";
        let mut datagrams = received(&mut contents, 3);
        assert_eq!(datagrams.len(), 3);
        assert_eq!(datagrams.datagrams().collect::<Vec<_>>(), [&b"aaa"[..], b"bbb", b"c"]);
    }

    #[test]
    fn an_empty_datagram_is_one_datagram() {
        let mut datagrams = received(&mut [], 0);
        assert_eq!((datagrams.len(), datagrams.bytes()), (1, 0));
        assert_eq!(datagrams.datagrams().collect::<Vec<_>>(), [&b""[..]]);
    }
}
