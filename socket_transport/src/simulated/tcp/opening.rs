//! Streams and listening sockets are opened, connections accepted.

use std::{io, net::SocketAddr};

use super::{
    Backlog, Connection, ConnectionId, Pair,
    connection::{Owner, Stage},
};
use crate::simulated::{
    endpoint::{EndpointId, HostId, Kind},
    sending::Writing,
    world::World,
};

impl World {
    /// Opens a stream to `peer`, and sends the first SYN; answers its local address as well.
    pub(in crate::simulated) fn connect(
        &mut self,
        host: HostId,
        peer: SocketAddr,
        token: usize,
    ) -> io::Result<(EndpointId, SocketAddr)> {
        if peer.port() == 0 || peer.ip().is_unspecified() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let any: SocketAddr =
            if peer.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
        let ip = self.address_for(host, any.ip()).ok_or(io::ErrorKind::NetworkUnreachable)?;
        if let Some(kind) = self.machine(ip).failing_binds.pop_front() {
            return Err(kind.into());
        }
        let local = self.free_stream_address(ip, 0).ok_or(io::ErrorKind::AddrNotAvailable)?;
        let origin = self.new_id();
        let connection = self.add_connection(origin, (local, peer), Owner::Nobody, Stage::SynSent);
        let id = self.add_endpoint(host, token, local, Kind::Stream(connection));
        self.set_owner(connection, Owner::User(id));
        self.set_writing(id, Writing::Full);
        self.transmit(connection);
        Ok((id, local))
    }

    /// Opens a socket that listens.
    pub(in crate::simulated) fn listen(
        &mut self,
        host: HostId,
        wish: SocketAddr,
        token: usize,
    ) -> io::Result<(EndpointId, SocketAddr)> {
        let ip = self.address_for(host, wish.ip()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        if let Some(kind) = self.machine(ip).failing_binds.pop_front() {
            return Err(kind.into());
        }
        let local = self.free_stream_address(ip, wish.port()).ok_or(io::ErrorKind::AddrInUse)?;
        let id = self.add_endpoint(host, token, local, Kind::Listener(Backlog::default()));
        self.tcp.listeners.insert(local, id);
        Ok((id, SocketAddr::new(wish.ip(), local.port())))
    }

    /// Hands a connection out, if one waits, with its two addresses.
    pub(in crate::simulated) fn accept(
        &mut self,
        listener: EndpointId,
        token: usize,
    ) -> io::Result<Option<(EndpointId, Pair)>> {
        let host = self.working(listener)?.host;
        let Some(backlog) = self.backlog(listener) else { return Ok(None) };
        let Some(id) = backlog.ready.pop_front() else { return Ok(None) };
        backlog.pending = backlog.pending.saturating_sub(1);
        let Some(Connection { local, peer, .. }) = self.tcp.connections.get(&id) else {
            return Ok(None);
        };
        let (local, peer) = (*local, *peer);
        let socket = self.add_endpoint(host, token, local, Kind::Stream(id));
        self.set_owner(id, Owner::User(socket));
        // What has arrived already is news for the new socket.
        self.touch(socket, |_| ());
        Ok(Some((socket, (local, peer))))
    }

    pub(super) fn add_connection(
        &mut self,
        origin: u64,
        pair: Pair,
        owner: Owner,
        stage: Stage,
    ) -> ConnectionId {
        let id = ConnectionId(self.new_id());
        let buffers = (self.tcp.send_buffer, self.tcp.receive_buffer);
        self.tcp.pairs.insert(pair, id);
        self.tcp.ended.remove(&pair);
        self.tcp.connections.insert(id, Connection::new(origin, pair, owner, stage, buffers));
        id
    }

    pub(super) fn set_owner(&mut self, id: ConnectionId, owner: Owner) {
        if let Some(connection) = self.tcp.connections.get_mut(&id) {
            connection.owner = owner;
        }
    }

    /// A port that no listening socket has; one that was not wished for has no connection either.
    fn free_stream_address(&mut self, ip: std::net::IpAddr, port: u16) -> Option<SocketAddr> {
        let attempts = if port == 0 { u16::MAX } else { 1 };
        for _ in 0..attempts {
            let local =
                SocketAddr::new(ip, if port == 0 { self.machine(ip).take_port() } else { port });
            let listens = self.tcp.listeners.contains_key(&local);
            if !listens && (port != 0 || !self.is_connected(local)) {
                return Some(local);
            }
        }
        None
    }

    fn is_connected(&self, local: SocketAddr) -> bool {
        let first = SocketAddr::from(([0; 4], 0));
        let mut pairs = self.tcp.pairs.range((local, first)..);
        pairs.next().is_some_and(|((of, _), _)| *of == local)
    }
}
