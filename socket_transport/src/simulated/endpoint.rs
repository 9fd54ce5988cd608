//! Sockets: when they are bound, read, and reported as ready.
//!
//! A socket is reported as mio reports one: when something new happened to it (a datagram or an
//! error arrived, a blocked one can be written again), and then with all that holds at that moment.
//! Whoever does not read until `WouldBlock` hears nothing of what is left until more arrives.

use std::{
    collections::VecDeque,
    error::Error,
    fmt, io, mem,
    net::{IpAddr, SocketAddr},
};

use super::{
    packet::{Inbox, Packet},
    sending::Writing,
    tcp::{Backlog, Connection, ConnectionId, Tcp},
    world::World,
};
use crate::{Ready, UdpOptions, datagrams::RawReceived};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HostId(u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EndpointId(u64);

/// One service on a machine: what it can bind to, and which of its sockets it should hear of.
pub(super) struct Host {
    addresses: Vec<IpAddr>,
    /// Sockets to which something happened, in that order, each once.
    touched: Vec<EndpointId>,
}

/// A bound socket.
pub(super) struct Endpoint {
    pub(super) host: HostId,
    token: usize,
    /// The machine's address, also if the socket was bound to "any address".
    pub(super) local: SocketAddr,
    pub(super) kind: Kind,
    errors: VecDeque<io::Error>,
    /// Among those that its host is to hear of.
    touched: bool,
    pub(super) writing: Writing,
    /// Good for nothing any more.
    broken: bool,
}

/// What a socket is for.
pub(super) enum Kind {
    Datagrams { inbox: Inbox, options: UdpOptions },
    Stream(ConnectionId),
    Listener(Backlog),
}

impl World {
    pub(super) fn add_host(&mut self, addresses: Vec<IpAddr>) -> HostId {
        for &address in &addresses {
            self.machine(address);
        }
        let id = HostId(self.new_id());
        self.hosts.insert(id, Host { addresses, touched: Vec::new() });
        id
    }

    /// Binds a socket; the address is what its user sees as its local one.
    pub(super) fn bind(
        &mut self,
        host: HostId,
        wish: SocketAddr,
        options: &UdpOptions,
        token: usize,
    ) -> io::Result<(EndpointId, SocketAddr)> {
        let ip = self.address_for(host, wish.ip()).ok_or(io::ErrorKind::AddrNotAvailable)?;
        if let Some(kind) = self.machine(ip).failing_binds.pop_front() {
            return Err(kind.into());
        }
        let local = self.free_address(ip, wish.port()).ok_or(io::ErrorKind::AddrInUse)?;
        let inbox = Inbox::new(options.receive_buffer);
        let kind = Kind::Datagrams { inbox, options: *options };
        let id = self.add_endpoint(host, token, local, kind);
        self.bound.insert(local, id);
        Ok((id, SocketAddr::new(wish.ip(), local.port())))
    }

    pub(super) fn add_endpoint(
        &mut self,
        host: HostId,
        token: usize,
        local: SocketAddr,
        kind: Kind,
    ) -> EndpointId {
        let id = EndpointId(self.new_id());
        self.endpoints.insert(
            id,
            Endpoint {
                host,
                token,
                local,
                kind,
                errors: VecDeque::new(),
                touched: false,
                writing: Writing::Possible,
                broken: false,
            },
        );
        id
    }

    pub(super) fn address_for(&self, host: HostId, wish: IpAddr) -> Option<IpAddr> {
        let fits = |address: &&IpAddr| {
            **address == wish || (wish.is_unspecified() && address.is_ipv4() == wish.is_ipv4())
        };
        self.hosts.get(&host)?.addresses.iter().find(fits).copied()
    }

    fn free_address(&mut self, ip: IpAddr, port: u16) -> Option<SocketAddr> {
        let attempts = if port == 0 { u16::MAX } else { 1 };
        for _ in 0..attempts {
            let port = if port == 0 { self.machine(ip).take_port() } else { port };
            let local = SocketAddr::new(ip, port);
            if !self.bound.contains_key(&local) {
                return Some(local);
            }
        }
        None
    }

    pub(super) fn unbind(&mut self, id: EndpointId) {
        let Some(endpoint) = self.endpoints.remove(&id) else { return };
        match endpoint.kind {
            Kind::Datagrams { .. } => {
                self.bound.remove(&endpoint.local);
            }
            Kind::Stream(connection) => self.close_stream(connection),
            Kind::Listener(_) => self.close_listener(id),
        }
    }

    /// The socket, unless it is broken.
    pub(super) fn working(&mut self, id: EndpointId) -> io::Result<&mut Endpoint> {
        let endpoint = self.endpoints.get_mut(&id).filter(|endpoint| !endpoint.broken);
        endpoint.ok_or(io::ErrorKind::NotConnected.into())
    }

    /// Reads errors first, as the operating system does, then datagrams.
    pub(super) fn receive(
        &mut self,
        id: EndpointId,
        buffer: &mut [u8],
    ) -> io::Result<Option<RawReceived>> {
        let merge = self.merges_reads;
        self.take_error(id)?;
        match &mut self.working(id)?.kind {
            Kind::Datagrams { inbox, .. } => Ok(inbox.read(buffer, merge)),
            Kind::Stream(_) | Kind::Listener(_) => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// The next error of a socket that works, as an error.
    pub(super) fn take_error(&mut self, id: EndpointId) -> io::Result<()> {
        self.working(id)?.errors.pop_front().map_or(Ok(()), Err)
    }

    /// Reports the sockets to which something happened since the last report.
    pub(super) fn report(&mut self, host: HostId, out: &mut Vec<(usize, Ready)>) {
        let Self { hosts, endpoints, tcp, .. } = self;
        let Some(host) = hosts.get_mut(&host) else { return };
        for id in mem::take(&mut host.touched) {
            if let Some(endpoint) = endpoints.get_mut(&id) {
                endpoint.touched = false;
                out.extend(endpoint.ready(tcp).map(|ready| (endpoint.token, ready)));
            }
        }
    }

    /// Puts a datagram into a socket. False: its receive buffer is full.
    pub(super) fn put(&mut self, id: EndpointId, packet: Packet) -> bool {
        let taken = self.touch(id, |endpoint| match &mut endpoint.kind {
            Kind::Datagrams { inbox, .. } => inbox.push(packet),
            Kind::Stream(_) | Kind::Listener(_) => false,
        });
        taken.unwrap_or(false)
    }

    pub(super) fn tell_refused(&mut self, sender: SocketAddr, refused_by: SocketAddr) {
        let Some(local) = self.nat.inside(sender) else { return };
        let Some(id) = self.bound_at(local) else { return };
        let asked = self.endpoints.get(&id).is_some_and(|endpoint| match &endpoint.kind {
            Kind::Datagrams { options, .. } => options.report_transport_errors,
            Kind::Stream(_) | Kind::Listener(_) => false,
        });
        if asked {
            let error = io::Error::new(io::ErrorKind::ConnectionRefused, Refused(refused_by));
            self.touch(id, |endpoint| endpoint.errors.push_back(error));
        }
    }

    pub(super) fn fail_receive(&mut self, local: SocketAddr, kind: io::ErrorKind) {
        for id in self.all_at(local) {
            self.touch(id, |endpoint| endpoint.errors.push_back(kind.into()));
        }
    }

    pub(super) fn break_down(&mut self, local: SocketAddr) {
        for id in self.all_at(local) {
            self.touch(id, |endpoint| endpoint.broken = true);
        }
    }

    /// The sockets of all kinds with this address.
    fn all_at(&self, local: SocketAddr) -> Vec<EndpointId> {
        let there = self.endpoints.iter().filter(|(_, endpoint)| endpoint.local == local);
        there.map(|(id, _)| *id).collect()
    }

    /// The UDP socket that is bound there.
    pub(super) fn bound_at(&self, local: SocketAddr) -> Option<EndpointId> {
        self.bound.get(&local).copied()
    }

    /// Does something to a socket that its service is to hear of.
    pub(super) fn touch<T>(
        &mut self,
        id: EndpointId,
        change: impl FnOnce(&mut Endpoint) -> T,
    ) -> Option<T> {
        let endpoint = self.endpoints.get_mut(&id)?;
        let result = change(endpoint);
        if !mem::replace(&mut endpoint.touched, true)
            && let Some(host) = self.hosts.get_mut(&endpoint.host)
        {
            host.touched.push(id);
        }
        Some(result)
    }
}

impl Endpoint {
    /// All that holds now; `None` if what happened was dealt with before anybody asked.
    fn ready(&mut self, tcp: &Tcp) -> Option<Ready> {
        if self.broken {
            return Some(Ready { readable: false, writable: false, error: true });
        }
        let mut error = !self.errors.is_empty();
        let mut writable = self.writing.take_news();
        let readable = match &self.kind {
            Kind::Datagrams { inbox, .. } => !inbox.is_empty(),
            Kind::Listener(backlog) => backlog.is_ready(),
            Kind::Stream(id) => {
                let connection = tcp.connections.get(id);
                error |= connection.is_some_and(Connection::has_failed);
                // Who waits for room must hear that there will never be any.
                writable |= error;
                connection.is_some_and(Connection::is_readable)
            }
        };
        let readable = error || readable;
        (readable || writable).then_some(Ready { readable, writable, error })
    }
}

/// Says in an error which address refused a datagram.
#[derive(Debug)]
struct Refused(SocketAddr);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} refused a datagram: nothing is bound there", self.0)
    }
}

impl Error for Refused {}
