//! A socket as the service keeps it: its condition, and what waits to be sent or read.
//!
//! ```text
//!            open_…               next turn           close_socket, failure, offline, shutdown
//!   (none) ───────────▶ idle ──────────────▶ active ───────────────┐
//!                         │                                        ▼
//!                         └──────────────────────────────▶ condition set ──▶ detached
//!                                  the same                                  (closed, then
//!                                                                            on_socket_detached)
//! ```
//!
//! What all kinds have is in [`Common`]; each kind owns the rest.

use std::{io, net::SocketAddr};

use crate::{
    Detached, Ready, ServiceSnapshot, SocketKey, Traffic, datagram_state::Datagrams,
    network::Poller, os::OsSocket, socket::EitherNetwork, stream_state::Stream, tcp::TcpListener,
};

/// A socket and whom it belongs to (necko: `SocketContext`).
pub(crate) struct Attached<T> {
    pub(crate) target: T,
    pub(crate) socket: Socket,
}

/// A socket and its state: what necko keeps in `nsASocketHandler`.
pub(crate) struct Socket {
    pub(crate) common: Common,
    pub(crate) kind: Kind,
}

/// What every socket has.
#[derive(Default)]
pub(crate) struct Common {
    /// Set: the socket is as good as gone, and detached at the next opportunity.
    pub(crate) condition: Option<Detached>,
    /// No longer idle.
    polled: bool,
    /// In the sticky ready-set.
    pub(crate) stays_ready: bool,
    /// Datagrams or bytes received, or connections accepted, in the turn `budget_turn`.
    pub(crate) used_in_turn: usize,
    budget_turn: u64,
    pub(crate) traffic: Traffic,
}

/// The kinds of socket.
pub(crate) enum Kind {
    Datagrams(Datagrams),
    Stream(Stream),
    Listener(TcpListener),
}

impl Socket {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { common: Common::default(), kind }
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        match &self.kind {
            Kind::Datagrams(datagrams) => datagrams.udp.local_addr(),
            Kind::Stream(stream) => stream.local_addr(),
            Kind::Listener(listener) => listener.local_addr(),
        }
    }

    /// Bound to loopback, or a stream to there: survives offline.
    pub(crate) fn is_local(&self) -> bool {
        let address = match &self.kind {
            Kind::Stream(stream) => stream.peer_addr(),
            Kind::Datagrams(_) | Kind::Listener(_) => self.local_addr(),
        };
        address.ip().is_loopback()
    }

    /// Polls the socket from now on.
    pub(crate) fn register(&mut self, poller: &Poller, token: usize) -> io::Result<()> {
        self.common.polled = true;
        match &mut self.kind {
            Kind::Datagrams(datagrams) => {
                poller.register(&mut datagrams.udp, token, datagrams.blocked.is_some())
            }
            Kind::Stream(stream) => {
                let writes = stream.has_write_interest();
                poller.register(&mut stream.tcp, token, writes)
            }
            Kind::Listener(listener) => poller.register(listener, token, false),
        }
    }

    /// What its handler is to be called for when the network reports `ready`.
    ///
    /// # Errors
    /// The socket can't be polled any more.
    pub(crate) fn settle(
        &mut self,
        ready: Ready,
        token: usize,
        poller: &Poller,
    ) -> io::Result<Ready> {
        let Self { common, kind } = self;
        match kind {
            Kind::Datagrams(datagrams) => datagrams.settle(common, ready, token, poller),
            Kind::Stream(stream) => stream.settle(common, ready, token, poller),
            Kind::Listener(_) => Ok(ready),
        }
    }

    /// Adds the socket to what the service holds.
    pub(crate) fn describe(&self, snapshot: &mut ServiceSnapshot) {
        snapshot.traffic.add(&self.common.traffic);
        let blocked = match &self.kind {
            Kind::Datagrams(datagrams) => datagrams.blocked.is_some(),
            Kind::Stream(stream) => {
                snapshot.stream_sockets += 1;
                snapshot.connecting_sockets += usize::from(stream.is_connecting());
                stream.is_blocked()
            }
            Kind::Listener(_) => {
                snapshot.stream_sockets += 1;
                false
            }
        };
        snapshot.blocked_sockets += usize::from(blocked);
    }

    /// Stops polling the socket and closes its descriptor.
    pub(crate) fn close(self, poller: &Poller) {
        match self.kind {
            Kind::Datagrams(datagrams) => poller.close(datagrams.udp),
            Kind::Stream(stream) => poller.close(stream.tcp),
            Kind::Listener(listener) => poller.close(listener),
        }
    }
}

impl Common {
    /// Begins a new budget with each turn.
    pub(crate) fn enter_turn(&mut self, turn: u64) {
        if self.budget_turn != turn {
            (self.budget_turn, self.used_in_turn) = (turn, 0);
        }
    }

    /// Puts the socket into the ready-set, once.
    pub(crate) fn stay_ready(&mut self, key: SocketKey, ready_set: &mut Vec<SocketKey>) {
        if !self.stays_ready {
            self.stays_ready = true;
            ready_set.push(key);
        }
    }

    /// Polls the socket for writing as well, or no longer (U5). A socket that is idle still is polled
    /// for what holds when it is registered.
    pub(crate) fn set_write_interest<O: OsSocket, S>(
        &self,
        poller: &Poller,
        socket: &mut EitherNetwork<O, S>,
        token: usize,
        on: bool,
    ) -> io::Result<()> {
        if self.polled { poller.set_write_interest(socket, token, on) } else { Ok(()) }
    }
}
