//! The choice of the network, and the two networks behind one interface.

use std::{io, net::SocketAddr, time::Duration};

use crate::{
    Clock, Ready, TcpOptions, UdpOptions, Workers,
    os::{OsPoller, OsSocket, OsTcpListener, OsTcpStream, OsUdpSocket},
    simulated::SimulatedHost,
    socket::{EitherNetwork, UdpSocket},
    tcp::{TcpListener, TcpStream},
};

/// What a [`SocketTransportService`](crate::SocketTransportService) runs on.
#[derive(Debug)]
pub struct Network(Choice);

#[derive(Debug)]
enum Choice {
    OperatingSystem,
    Simulated(SimulatedHost),
}

impl Network {
    /// The real network, polled with mio; real time, real threads.
    pub fn operating_system() -> Self {
        Self(Choice::OperatingSystem)
    }

    /// A machine in a simulated network; see [`SimulatedNetwork::host`].
    ///
    /// [`SimulatedNetwork::host`]: crate::simulated::SimulatedNetwork::host
    pub(crate) fn simulated(host: SimulatedHost) -> Self {
        Self(Choice::Simulated(host))
    }

    pub(crate) fn into_poller(self) -> io::Result<Poller> {
        Ok(match self.0 {
            Choice::OperatingSystem => Poller::OperatingSystem(OsPoller::new()?),
            Choice::Simulated(host) => Poller::Simulated(host),
        })
    }
}

/// Makes sockets, and says which of them are ready. A socket's token is its index in the service.
pub(crate) enum Poller {
    OperatingSystem(OsPoller),
    Simulated(SimulatedHost),
}

impl Poller {
    pub(crate) fn clock(&self) -> Clock {
        match self {
            Self::OperatingSystem(_) => Clock::system(),
            Self::Simulated(host) => host.clock(),
        }
    }

    pub(crate) fn workers(&self) -> Workers {
        match self {
            Self::OperatingSystem(_) => Workers::threads(Workers::DEFAULT_THREADS),
            Self::Simulated(host) => host.workers(),
        }
    }

    /// What ends a poll from another thread; a simulated poll does not block.
    pub(crate) fn alarm(&self) -> io::Result<Option<mio::Waker>> {
        match self {
            Self::OperatingSystem(poller) => poller.alarm().map(Some),
            Self::Simulated(_) => Ok(None),
        }
    }

    /// Opens and binds a socket. It is not polled before [`register`](Self::register).
    pub(crate) fn bind_udp(
        &mut self,
        local: SocketAddr,
        options: UdpOptions,
        token: usize,
    ) -> io::Result<UdpSocket> {
        match self {
            Self::OperatingSystem(_) => {
                OsUdpSocket::bind(local, options).map(UdpSocket::OperatingSystem)
            }
            Self::Simulated(host) => {
                host.bind_udp(local, &options, token).map(UdpSocket::Simulated)
            }
        }
    }

    /// Opens a stream and begins to connect it. It is not polled before [`register`](Self::register).
    pub(crate) fn connect_tcp(
        &mut self,
        peer: SocketAddr,
        options: TcpOptions,
        token: usize,
    ) -> io::Result<TcpStream> {
        match self {
            Self::OperatingSystem(_) => {
                OsTcpStream::connect(peer, options).map(TcpStream::OperatingSystem)
            }
            Self::Simulated(host) => host.connect_tcp(peer, token).map(TcpStream::Simulated),
        }
    }

    /// Opens a socket that listens. It is not polled before [`register`](Self::register).
    pub(crate) fn listen_tcp(
        &mut self,
        local: SocketAddr,
        token: usize,
    ) -> io::Result<TcpListener> {
        match self {
            Self::OperatingSystem(_) => {
                OsTcpListener::bind(local).map(TcpListener::OperatingSystem)
            }
            Self::Simulated(host) => host.listen_tcp(local, token).map(TcpListener::Simulated),
        }
    }

    /// Polls the socket for reading from now on, and for writing if it is to.
    pub(crate) fn register<O: OsSocket, S>(
        &self,
        socket: &mut EitherNetwork<O, S>,
        token: usize,
        writes: bool,
    ) -> io::Result<()> {
        match (self, socket) {
            (Self::OperatingSystem(poller), EitherNetwork::OperatingSystem(socket)) => {
                poller.register(socket, token, writes)
            }
            // A simulated network reports a socket from its bind on.
            _ => Ok(()),
        }
    }

    /// Polls the socket for writing as well, or no longer (U5).
    pub(crate) fn set_write_interest<O: OsSocket, S>(
        &self,
        socket: &mut EitherNetwork<O, S>,
        token: usize,
        on: bool,
    ) -> io::Result<()> {
        match (self, socket) {
            (Self::OperatingSystem(poller), EitherNetwork::OperatingSystem(socket)) => {
                poller.set_write_interest(socket, token, on)
            }
            // A simulated socket reports the return of space by itself.
            _ => Ok(()),
        }
    }

    /// Stops polling the socket and closes its descriptor.
    pub(crate) fn close<O: OsSocket, S>(&self, socket: EitherNetwork<O, S>) {
        match (self, socket) {
            (Self::OperatingSystem(poller), EitherNetwork::OperatingSystem(socket)) => {
                poller.close(socket);
            }
            (_, socket) => drop(socket),
        }
    }

    /// Waits for readiness, at most `timeout` (None: without limit), and adds what is ready.
    pub(crate) fn poll(
        &mut self,
        timeout: Option<Duration>,
        ready: &mut Vec<(usize, Ready)>,
    ) -> io::Result<()> {
        match self {
            Self::OperatingSystem(poller) => poller.poll(timeout, ready),
            Self::Simulated(host) => {
                host.ready(ready);
                Ok(())
            }
        }
    }
}
