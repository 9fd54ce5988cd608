//! Address translation: a socket that is seen from elsewhere under another address.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

/// Both directions of every mapping. A socket without one is seen under its own address.
#[derive(Default)]
pub(super) struct Nat {
    outside: BTreeMap<SocketAddr, SocketAddr>,
    inside: BTreeMap<SocketAddr, SocketAddr>,
}

impl Nat {
    /// From now on `inside` is seen as `outside`; under what it was seen before, it can no longer
    /// be reached. False if somebody else is already seen as `outside`.
    pub(super) fn map(&mut self, inside: SocketAddr, outside: SocketAddr) -> bool {
        if self.inside.get(&outside).is_some_and(|&other| other != inside) {
            return false;
        }
        if let Some(old) = self.outside.remove(&inside) {
            self.inside.remove(&old);
        }
        if inside != outside {
            self.outside.insert(inside, outside);
            self.inside.insert(outside, inside);
        }
        true
    }

    /// The address that others see of `inside`.
    pub(super) fn outside(&self, inside: SocketAddr) -> SocketAddr {
        self.outside.get(&inside).copied().unwrap_or(inside)
    }

    /// The socket address that `outside` leads to; `None` for one that a mapping took over from.
    pub(super) fn inside(&self, outside: SocketAddr) -> Option<SocketAddr> {
        match self.inside.get(&outside) {
            Some(&inside) => Some(inside),
            None if self.outside.contains_key(&outside) => None,
            None => Some(outside),
        }
    }

    /// The machine that packets to `outside` travel to.
    pub(super) fn machine(&self, outside: SocketAddr) -> IpAddr {
        self.inside(outside).unwrap_or(outside).ip()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_follow_each_other_and_end() {
        let port = |port| SocketAddr::from(([10, 0, 0, 1], port));
        let mut nat = Nat::default();
        assert_eq!((nat.outside(port(1)), nat.inside(port(1))), (port(1), Some(port(1))));

        assert!(nat.map(port(1), port(2)));
        assert_eq!(nat.outside(port(1)), port(2));
        assert_eq!((nat.inside(port(1)), nat.inside(port(2))), (None, Some(port(1))));
        assert!(!nat.map(port(7), port(2)), "taken");

        assert!(nat.map(port(1), port(3)));
        assert_eq!((nat.inside(port(2)), nat.inside(port(3))), (Some(port(2)), Some(port(1))));

        assert!(nat.map(port(1), port(1)));
        assert_eq!((nat.outside(port(1)), nat.inside(port(1))), (port(1), Some(port(1))));
    }
}
