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
    host: HostId,
    token: usize,
    /// The machine's address, also if the socket was bound to "any address".
    pub(super) local: SocketAddr,
    inbox: Inbox,
    errors: VecDeque<io::Error>,
    pub(super) options: UdpOptions,
    /// Among those that its host is to hear of.
    touched: bool,
    pub(super) writing: Writing,
    /// Good for nothing any more.
    broken: bool,
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
        let id = EndpointId(self.new_id());
        self.bound.insert(local, id);
        self.endpoints.insert(
            id,
            Endpoint {
                host,
                token,
                local,
                inbox: Inbox::new(options.receive_buffer),
                errors: VecDeque::new(),
                options: *options,
                touched: false,
                writing: Writing::Possible,
                broken: false,
            },
        );
        Ok((id, SocketAddr::new(wish.ip(), local.port())))
    }

    fn address_for(&self, host: HostId, wish: IpAddr) -> Option<IpAddr> {
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
        if let Some(endpoint) = self.endpoints.remove(&id) {
            self.bound.remove(&endpoint.local);
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
        let endpoint = self.working(id)?;
        match endpoint.errors.pop_front() {
            Some(error) => Err(error),
            None => Ok(endpoint.inbox.read(buffer, merge)),
        }
    }

    /// Reports the sockets to which something happened since the last report.
    pub(super) fn report(&mut self, host: HostId, out: &mut Vec<(usize, Ready)>) {
        let Some(host) = self.hosts.get_mut(&host) else { return };
        for id in mem::take(&mut host.touched) {
            if let Some(endpoint) = self.endpoints.get_mut(&id) {
                endpoint.touched = false;
                out.extend(endpoint.ready().map(|ready| (endpoint.token, ready)));
            }
        }
    }

    /// Puts a datagram into a socket. False: its receive buffer is full.
    pub(super) fn put(&mut self, id: EndpointId, packet: Packet) -> bool {
        self.touch(id, |endpoint| endpoint.inbox.push(packet)).unwrap_or(false)
    }

    pub(super) fn tell_refused(&mut self, sender: SocketAddr, refused_by: SocketAddr) {
        let Some(local) = self.nat.inside(sender) else { return };
        let asked = |endpoint: &Endpoint| endpoint.options.report_transport_errors;
        if self.at(local).and_then(|id| self.endpoints.get(&id)).is_some_and(asked) {
            let error = Refused(refused_by);
            self.fail_receive(local, io::Error::new(io::ErrorKind::ConnectionRefused, error));
        }
    }

    pub(super) fn fail_receive(&mut self, local: SocketAddr, error: io::Error) {
        if let Some(id) = self.at(local) {
            self.touch(id, |endpoint| endpoint.errors.push_back(error));
        }
    }

    pub(super) fn break_down(&mut self, local: SocketAddr) {
        if let Some(id) = self.at(local) {
            self.touch(id, |endpoint| endpoint.broken = true);
        }
    }

    /// The socket that is bound there.
    pub(super) fn at(&self, local: SocketAddr) -> Option<EndpointId> {
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
    fn ready(&mut self) -> Option<Ready> {
        if self.broken {
            return Some(Ready { readable: false, writable: false, error: true });
        }
        let error = !self.errors.is_empty();
        let readable = error || !self.inbox.is_empty();
        let writable = self.writing.take_news();
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
