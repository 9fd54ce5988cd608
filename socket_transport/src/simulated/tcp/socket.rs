//! What the service holds of TCP.

use std::{cell::RefCell, fmt, io, net::SocketAddr, rc::Rc};

use crate::{
    StreamRead,
    simulated::{endpoint::EndpointId, world::World},
};

/// One end of a connection in a simulated network; dropping it closes it.
pub(crate) struct SimulatedStream {
    world: Rc<RefCell<World>>,
    id: EndpointId,
    local: SocketAddr,
}

impl SimulatedStream {
    pub(in crate::simulated) fn new(
        world: Rc<RefCell<World>>,
        id: EndpointId,
        local: SocketAddr,
    ) -> Self {
        Self { world, id, local }
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    pub(crate) fn poll_connect(&mut self) -> io::Result<bool> {
        self.world.borrow_mut().stream_connected(self.id)
    }

    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<StreamRead> {
        self.world.borrow_mut().stream_read(self.id, buffer)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        self.world.borrow_mut().stream_write(self.id, bytes)
    }

    pub(crate) fn shutdown_write(&mut self) -> io::Result<()> {
        self.world.borrow_mut().stream_shutdown(self.id)
    }

    pub(crate) fn reset_when_closed(&mut self) -> io::Result<()> {
        self.world.borrow_mut().stream_resets_when_closed(self.id)
    }
}

impl Drop for SimulatedStream {
    fn drop(&mut self) {
        self.world.borrow_mut().unbind(self.id);
    }
}

impl fmt::Debug for SimulatedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedStream").field("local", &self.local).finish_non_exhaustive()
    }
}

/// A socket in a simulated network that listens; dropping it frees its port.
pub(crate) struct SimulatedListener {
    world: Rc<RefCell<World>>,
    id: EndpointId,
    local: SocketAddr,
}

impl SimulatedListener {
    pub(in crate::simulated) fn new(
        world: Rc<RefCell<World>>,
        id: EndpointId,
        local: SocketAddr,
    ) -> Self {
        Self { world, id, local }
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The next connection, which is reported under `token`, and its peer.
    pub(crate) fn accept(
        &mut self,
        token: usize,
    ) -> io::Result<Option<(SimulatedStream, SocketAddr)>> {
        let accepted = self.world.borrow_mut().accept(self.id, token)?;
        Ok(accepted.map(|(id, (local, peer))| {
            (SimulatedStream::new(Rc::clone(&self.world), id, local), peer)
        }))
    }
}

impl Drop for SimulatedListener {
    fn drop(&mut self) {
        self.world.borrow_mut().unbind(self.id);
    }
}

impl fmt::Debug for SimulatedListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedListener").field("local", &self.local).finish_non_exhaustive()
    }
}
