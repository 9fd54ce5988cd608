//! Received datagrams on their way into neqo, which decrypts them where they lie.

use std::net::SocketAddr;

use neqo_common::{Datagram, IpTos, IpTosEcn};
use socket_transport::Ecn;

/// Between which addresses neqo believes its packets to travel.
///
/// A path of neqo's is a pair of addresses that must be equal in every bit to those of its construction;
/// a datagram of another pair counts as one of a peer that has moved.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PathKey {
    pub(crate) local: SocketAddr,
    pub(crate) remote: SocketAddr,
}

impl PathKey {
    /// A received datagram as neqo takes it, without a copy.
    ///
    /// The destination is the key's, not the one in the packet: the socket may be bound to no particular
    /// address, and it has only one connection.
    pub(crate) fn datagram<'a>(
        &self,
        source: SocketAddr,
        ecn: Ecn,
        bytes: &'a mut [u8],
    ) -> Datagram<&'a mut [u8]> {
        Datagram::from_slice(self.source(source), self.local, tos(ecn), bytes)
    }

    /// The peer's address as neqo knows it, where it is the same one in another spelling: IPv6 addresses
    /// may come with a scope, and IPv4 addresses in IPv6's clothes.
    fn source(&self, source: SocketAddr) -> SocketAddr {
        let same = source.port() == self.remote.port()
            && source.ip().to_canonical() == self.remote.ip().to_canonical();
        if same { self.remote } else { source }
    }
}

fn tos(ecn: Ecn) -> IpTos {
    IpTos::from(match ecn {
        Ecn::NotEct => IpTosEcn::NotEct,
        Ecn::Ect1 => IpTosEcn::Ect1,
        Ecn::Ect0 => IpTosEcn::Ect0,
        Ecn::Ce => IpTosEcn::Ce,
    })
}

/// The mark that neqo wants on a datagram.
pub(crate) fn ecn(tos: IpTos) -> Ecn {
    match IpTosEcn::from(tos) {
        IpTosEcn::NotEct => Ecn::NotEct,
        IpTosEcn::Ect1 => Ecn::Ect1,
        IpTosEcn::Ect0 => Ecn::Ect0,
        IpTosEcn::Ce => Ecn::Ce,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv6Addr, SocketAddrV6};

    use super::*;

    #[test]
    fn ecn_marks_survive_both_conversions() {
        for mark in [Ecn::NotEct, Ecn::Ect1, Ecn::Ect0, Ecn::Ce] {
            assert_eq!(ecn(tos(mark)), mark);
        }
    }

    #[test]
    fn the_peer_is_known_in_any_spelling() {
        let local = "0.0.0.0:5000".parse().unwrap();
        let remote: SocketAddr = "192.0.2.1:443".parse().unwrap();
        let key = PathKey { local, remote };
        assert_eq!(key.source("[::ffff:192.0.2.1]:443".parse().unwrap()), remote);
        let other: SocketAddr = "192.0.2.1:444".parse().unwrap();
        assert_eq!(key.source(other), other);

        let address = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
        let remote = SocketAddr::V6(SocketAddrV6::new(address, 443, 0, 0));
        let scoped = SocketAddr::V6(SocketAddrV6::new(address, 443, 0, 2));
        assert_eq!(PathKey { local, remote }.source(scoped), remote);
    }

    #[test]
    fn the_destination_is_the_address_of_the_construction() {
        let key = PathKey {
            local: "0.0.0.0:5000".parse().unwrap(),
            remote: "192.0.2.1:443".parse().unwrap(),
        };
        let mut bytes = [1, 2, 3];
        let datagram = key.datagram(key.remote, Ecn::Ce, &mut bytes);
        assert_eq!((datagram.destination(), datagram.source()), (key.local, key.remote));
        assert_eq!(ecn(datagram.tos()), Ecn::Ce);
    }
}
