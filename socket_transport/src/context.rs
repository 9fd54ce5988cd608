//! What a handler may do with the service.

use std::{io, net::SocketAddr, time::Instant};

use crate::{
    Clock, Detached, Limits, Poster, ServiceSnapshot, SocketIo, SocketKey, StreamIo, TcpOptions,
    TimerKey, Traffic, UdpOptions, Workers, core::Core,
};

/// The service as a handler sees it, for the length of one call.
///
/// Thread: the socket thread. No method calls the handler back: what follows from a call happens
/// later, from the outermost frame. A stale key does nothing and returns nothing.
pub struct Context<'a, T, E> {
    core: &'a mut Core<T, E>,
}

impl<'a, T: Copy, E> Context<'a, T, E> {
    pub(crate) fn new(core: &'a mut Core<T, E>) -> Self {
        Self { core }
    }

    /// The time now.
    pub fn now(&self) -> Instant {
        self.core.clock.now()
    }

    /// The service's clock.
    pub fn clock(&self) -> &Clock {
        &self.core.clock
    }

    /// Jobs off the socket thread.
    pub fn workers(&self) -> &Workers {
        &self.core.workers
    }

    /// Posts events and makes wakers.
    pub fn poster(&self) -> &Poster<T, E> {
        &self.core.poster
    }

    /// The service's limits.
    pub fn limits(&self) -> &Limits {
        &self.core.limits
    }

    /// What the service holds now.
    pub fn snapshot(&self) -> ServiceSnapshot {
        self.core.snapshot()
    }

    /// Ends the service after this turn: every socket is detached, whatever is posted is dropped.
    pub fn stop(&mut self) {
        self.core.stopping = true;
    }
}

/// Sockets.
impl<T: Copy, E> Context<'_, T, E> {
    /// Opens a UDP socket, binds it and attaches it. It is never connected. The next turn polls it at
    /// the earliest (S1). Necko: `nsUDPSocket::InitWithAddress`, `AttachSocket`.
    ///
    /// # Errors
    /// `QuotaExceeded` at [`Limits::max_sockets`], nothing having changed (S6): try again when a
    /// socket was detached. `NetworkDown` while offline, if `local` is not loopback, and at the end
    /// of the service. Otherwise what the system says. On an error
    /// [`on_socket_detached`](crate::SocketHandler::on_socket_detached) is not called.
    ///
    /// # One listener
    /// Whom a socket belongs to is said here, once: there is no call that gives it a second listener, as
    /// necko's `SyncListen` has to refuse one (U4).
    ///
    /// ```compile_fail,E0599
    /// fn listen_again(ctx: &mut socket_transport::Context<'_, u8, ()>, key: socket_transport::SocketKey) {
    ///     ctx.sync_listen(key, 2);
    /// }
    /// ```
    ///
    /// # Inactivity
    /// There is no timeout for each socket as necko's `mPollTimeout`: who wants one has a
    /// [timer](Self::create_timer), set anew with every packet, which is served once (S7).
    pub fn open_udp(
        &mut self,
        target: T,
        local: SocketAddr,
        options: UdpOptions,
    ) -> io::Result<SocketKey> {
        self.core.open_udp(target, local, options)
    }

    /// Whether the socket limit allows one more. Necko: `CanAttachSocket`.
    pub fn can_attach_socket(&self) -> bool {
        self.core.can_attach()
    }

    /// Whether the service is offline: see [`Poster::set_offline`].
    pub fn is_offline(&self) -> bool {
        self.core.seen.offline
    }

    /// The address that the socket is bound to; the IP address may be "any", and that of a stream is
    /// certain when it has connected.
    pub fn local_addr(&self, socket: SocketKey) -> Option<SocketAddr> {
        Some(self.core.sockets.get(socket)?.local_addr())
    }

    /// What went through the socket. Necko: `ByteCountSent`, `ByteCountReceived`.
    pub fn traffic(&self, socket: SocketKey) -> Option<Traffic> {
        Some(self.core.sockets.get(socket)?.common.traffic)
    }

    /// Sets the socket's condition. From now on it is not served; the service closes it and calls
    /// [`on_socket_detached`](crate::SocketHandler::on_socket_detached): in this turn if the call
    /// comes from `on_socket_ready`, before the next poll otherwise (S3). A second call does nothing.
    pub fn close_socket(&mut self, socket: SocketKey) {
        self.core.sockets.condemn(socket, Detached::Closed);
    }

    /// The UDP socket for reading and writing, together with the service's shared buffers. None if it
    /// is gone, or about to be detached.
    pub fn socket_io(&mut self, socket: SocketKey) -> Option<SocketIo<'_>> {
        self.core.socket_io(socket)
    }

    /// Serves the socket in the next turn as readable, without a new edge: for a handler that did not
    /// read until the end.
    pub fn stay_ready(&mut self, socket: SocketKey) {
        self.core.sockets.stay_ready(socket);
    }
}

/// Streams; see the [page of streams](crate::streams).
impl<T: Copy, E> Context<'_, T, E> {
    /// Opens a TCP stream and begins to connect it. When it has connected, or failed to, its handler is
    /// called with `writable`: ask [`StreamIo::connect_result`] then. The next turn polls it at the
    /// earliest (S1). Necko: `nsSocketTransport::InitiateSocket`.
    ///
    /// # Errors
    /// As [`open_udp`](Self::open_udp); offline refuses a `peer` that is not loopback. What the system
    /// knows at once, that there is no route for example, is returned here.
    pub fn open_tcp(
        &mut self,
        target: T,
        peer: SocketAddr,
        options: TcpOptions,
    ) -> io::Result<SocketKey> {
        self.core.open_tcp(target, peer, options)
    }

    /// The stream for reading and writing. None if it is gone, or about to be detached.
    pub fn stream_io(&mut self, socket: SocketKey) -> Option<StreamIo<'_>> {
        self.core.stream_io(socket)
    }

    /// Opens a TCP socket that listens: readable when [`accept_tcp`](Self::accept_tcp) has something.
    ///
    /// # Errors
    /// As [`open_udp`](Self::open_udp).
    pub fn listen_tcp(&mut self, target: T, local: SocketAddr) -> io::Result<SocketKey> {
        self.core.listen_tcp(target, local)
    }

    /// Takes the next connection of a listening socket and attaches it for `target`, with the options
    /// that [`TcpOptions`] has by default; also answers the peer's address. `Ok(None)`: there is none,
    /// or the turn's budget is used, and the listening socket has been put into the sticky ready-set.
    ///
    /// # Errors
    /// `QuotaExceeded` at [`Limits::max_sockets`]: the connection waits, and is there when a socket was
    /// detached; nothing reports it a second time. Otherwise what the system says; `ConnectionAborted`
    /// is about one connection, and the next call may have another.
    pub fn accept_tcp(
        &mut self,
        listener: SocketKey,
        target: T,
    ) -> io::Result<Option<(SocketKey, SocketAddr)>> {
        self.core.accept_tcp(listener, target)
    }
}

/// Timers.
impl<T: Copy, E> Context<'_, T, E> {
    /// A timer for `target`, disarmed.
    pub fn create_timer(&mut self, target: T) -> TimerKey {
        self.core.timers.create(target)
    }

    /// Arms the timer, moves its deadline, or disarms it. One that is due and was not delivered yet is
    /// called off. A deadline that has passed is served in the next turn's batch (this turn's, when
    /// called from a socket callback), once.
    pub fn set_timer(&mut self, timer: TimerKey, deadline: Option<Instant>) {
        self.core.timers.set(timer, deadline);
    }

    /// Removes the timer.
    pub fn remove_timer(&mut self, timer: TimerKey) {
        self.core.timers.remove(timer);
    }
}
