//! What a socket does with a send: refuse it, block, or pass its datagrams on one by one.

use std::{io, net::SocketAddr};

use super::{
    endpoint::{Endpoint, EndpointId, Kind},
    packet::Packet,
    world::{Event, World},
};
use crate::datagrams::RawTransmit;

/// The largest datagram that UDP has room for.
const MAX_DATAGRAM: usize = 65_507;

/// Whether a socket can be written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Writing {
    Possible,
    /// A send said `WouldBlock`, as was ordered.
    Blocked,
    /// A stream has no room, or is not connected.
    Full,
    /// It is possible again, and the service has not heard of it.
    PossibleAgain,
}

impl Writing {
    /// Whether it is possible again, if the service has not heard of that.
    pub(super) fn take_news(&mut self) -> bool {
        let news = *self == Self::PossibleAgain;
        if news {
            *self = Self::Possible;
        }
        news
    }
}

impl World {
    /// Sends one datagram, or several of one size.
    pub(super) fn send(&mut self, id: EndpointId, transmit: &RawTransmit<'_>) -> io::Result<()> {
        let Endpoint { local, kind: Kind::Datagrams { options, .. }, .. } = self.working(id)?
        else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let (local, divisible) = (*local, !options.dont_fragment);
        let size = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
        if size > MAX_DATAGRAM || !can_send(local, transmit) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        self.allow_send(id)?;
        let mut send = |payload: &[u8]| {
            let packet = Packet {
                source: local,
                destination: transmit.destination,
                ecn: transmit.ecn,
                divisible,
                payload: payload.to_vec(),
            };
            self.dispatch(local, packet);
        };
        if transmit.contents.is_empty() {
            send(&[]);
        }
        transmit.contents.chunks(size).for_each(send);
        Ok(())
    }

    /// The faults that were ordered for sends.
    pub(super) fn allow_send(&mut self, id: EndpointId) -> io::Result<()> {
        let Self { endpoints, machines, .. } = self;
        let endpoint = endpoints.get_mut(&id).ok_or(io::ErrorKind::NotConnected)?;
        let machine = machines.entry(endpoint.local.ip()).or_default();
        if let Some(kind) = machine.failing_sends.pop_front() {
            return Err(kind.into());
        }
        if endpoint.writing != Writing::Blocked {
            if machine.blocking_sends == 0 {
                return Ok(());
            }
            machine.blocking_sends -= 1;
            endpoint.writing = Writing::Blocked;
            self.plan_after(self.write_delay, Event::Writable(id));
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    pub(super) fn set_writing(&mut self, id: EndpointId, writing: Writing) {
        if let Some(endpoint) = self.endpoints.get_mut(&id) {
            endpoint.writing = writing;
        }
    }

    pub(super) fn unblock(&mut self, id: EndpointId) {
        self.touch(id, |endpoint| endpoint.writing = Writing::PossibleAgain);
    }
}

/// Whether the operating system would send from `local` what is asked for.
fn can_send(local: SocketAddr, transmit: &RawTransmit<'_>) -> bool {
    let RawTransmit { destination, source, .. } = transmit;
    local.is_ipv4() == destination.is_ipv4()
        && destination.port() != 0
        && !destination.ip().is_unspecified()
        && source.is_none_or(|source| source == local.ip() || source.is_unspecified())
}
