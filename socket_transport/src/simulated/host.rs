//! What a service sees of the simulated network: its machine, and the sockets that it bound there.

use std::{cell::RefCell, fmt, io, net::SocketAddr, rc::Rc};

use super::{
    SimulatedListener, SimulatedStream,
    endpoint::{EndpointId, HostId},
    network::SimulatedNetwork,
    world::World,
};
use crate::{
    Clock, Ready, UdpOptions, Workers,
    datagrams::{RawReceived, RawTransmit},
};

/// One service's place in a simulated network.
pub(crate) struct SimulatedHost {
    network: SimulatedNetwork,
    id: HostId,
}

impl SimulatedHost {
    pub(super) fn new(network: SimulatedNetwork, id: HostId) -> Self {
        Self { network, id }
    }

    pub(crate) fn clock(&self) -> Clock {
        self.network.clock()
    }

    pub(crate) fn workers(&self) -> Workers {
        self.network.workers()
    }

    /// Binds a socket, which [`ready`](Self::ready) reports under `token`.
    pub(crate) fn bind_udp(
        &mut self,
        local: SocketAddr,
        options: &UdpOptions,
        token: usize,
    ) -> io::Result<SimulatedSocket> {
        let world = Rc::clone(self.network.world());
        let (id, local) = world.borrow_mut().bind(self.id, local, options, token)?;
        Ok(SimulatedSocket { world, id, local })
    }

    /// Opens a stream and begins to connect it; [`ready`](Self::ready) reports it under `token`.
    pub(crate) fn connect_tcp(
        &mut self,
        peer: SocketAddr,
        token: usize,
    ) -> io::Result<SimulatedStream> {
        let world = Rc::clone(self.network.world());
        let (id, local) = world.borrow_mut().connect(self.id, peer, token)?;
        Ok(SimulatedStream::new(world, id, local))
    }

    /// Opens a socket that listens for streams.
    pub(crate) fn listen_tcp(
        &mut self,
        local: SocketAddr,
        token: usize,
    ) -> io::Result<SimulatedListener> {
        let world = Rc::clone(self.network.world());
        let (id, local) = world.borrow_mut().listen(self.id, local, token)?;
        Ok(SimulatedListener::new(world, id, local))
    }

    /// Adds the sockets to which something happened since the last call. It takes no time: whoever
    /// wants something to happen moves the network's clock.
    pub(crate) fn ready(&mut self, out: &mut Vec<(usize, Ready)>) {
        self.network.world().borrow_mut().report(self.id, out);
    }
}

impl fmt::Debug for SimulatedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedHost").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A socket in a simulated network; dropping it frees its port.
pub(crate) struct SimulatedSocket {
    world: Rc<RefCell<World>>,
    id: EndpointId,
    local: SocketAddr,
}

impl SimulatedSocket {
    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// Reads the next datagrams into `buffer`; `None` when there are none.
    pub(crate) fn recv(&mut self, buffer: &mut [u8]) -> io::Result<Option<RawReceived>> {
        self.world.borrow_mut().receive(self.id, buffer)
    }

    /// Sends one datagram or several of one size: all of them, or, with an error, none.
    pub(crate) fn send(&mut self, transmit: &RawTransmit<'_>) -> io::Result<()> {
        self.world.borrow_mut().send(self.id, transmit)
    }
}

impl Drop for SimulatedSocket {
    fn drop(&mut self) {
        self.world.borrow_mut().unbind(self.id);
    }
}

impl fmt::Debug for SimulatedSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedSocket").field("local", &self.local).finish_non_exhaustive()
    }
}
