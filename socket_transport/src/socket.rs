//! Sockets of either network, behind one interface: the layers above need no type parameter.

use std::{io, net::SocketAddr};

use crate::{
    os::OsUdpSocket,
    receive::{Filled, SLOT_SIZE},
    simulated::SimulatedSocket,
    slots::Key,
};

/// Names a socket of [`Context::open_udp`](crate::Context::open_udp) and its siblings. Stale keys do
/// nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketKey(pub(crate) Key);

/// How a UDP socket is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpOptions {
    /// Size of the system's receive buffer in bytes. Firefox: 1 MiB. A refusal is only logged.
    pub receive_buffer: usize,
    /// Whether ICMP errors, a refused port for one, are returned by
    /// [`SocketIo::recv`](crate::SocketIo::recv). A socket that serves many peers says no: an
    /// unreachable peer must not disturb the others.
    pub report_transport_errors: bool,
    /// Whether the network must not divide a datagram, so that the engine can probe for the path's
    /// MTU. The operating system's sockets always have it where the system can; only in a simulated
    /// network it can be left out.
    pub dont_fragment: bool,
}

impl Default for UdpOptions {
    fn default() -> Self {
        Self { receive_buffer: 1024 * 1024, report_transport_errors: true, dont_fragment: true }
    }
}

impl UdpOptions {
    /// For the socket of a server.
    pub fn server() -> Self {
        Self { report_transport_errors: false, ..Self::default() }
    }
}

/// A socket of either network.
#[derive(Debug)]
pub(crate) enum EitherNetwork<O, S> {
    OperatingSystem(O),
    Simulated(S),
}

pub(crate) type UdpSocket = EitherNetwork<OsUdpSocket, SimulatedSocket>;

impl UdpSocket {
    pub(crate) fn local_addr(&self) -> SocketAddr {
        match self {
            Self::OperatingSystem(socket) => socket.local_addr(),
            Self::Simulated(socket) => socket.local_addr(),
        }
    }

    /// Fills the first slots, at most `limit`. None of them: there is nothing to read.
    pub(crate) fn receive(&mut self, storage: &mut [u8], limit: usize) -> io::Result<Filled> {
        match self {
            Self::OperatingSystem(socket) => socket.receive(storage, limit),
            Self::Simulated(socket) => {
                let first = socket.recv(storage.get_mut(..SLOT_SIZE).unwrap_or_default())?;
                Ok(std::array::from_fn(|slot| first.filter(|_| slot == 0)))
            }
        }
    }
}
