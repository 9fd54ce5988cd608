//! What a handler may do with the service.

use std::{io, net::SocketAddr, time::Instant};

use crate::{
    Clock, Detached, Limits, Poster, ServiceSnapshot, SocketIo, SocketKey, TimerKey, Traffic,
    UdpOptions, Workers, core::Core,
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

    /// The address that the socket is bound to; the IP address may be "any".
    pub fn local_addr(&self, socket: SocketKey) -> Option<SocketAddr> {
        Some(self.core.sockets.get(socket)?.udp.local_addr())
    }

    /// What went through the socket. Necko: `ByteCountSent`, `ByteCountReceived`.
    pub fn traffic(&self, socket: SocketKey) -> Option<Traffic> {
        Some(self.core.sockets.get(socket)?.traffic)
    }

    /// Sets the socket's condition. From now on it is not served; the service closes it and calls
    /// [`on_socket_detached`](crate::SocketHandler::on_socket_detached): in this turn if the call
    /// comes from `on_socket_ready`, before the next poll otherwise (S3). A second call does nothing.
    pub fn close_socket(&mut self, socket: SocketKey) {
        self.core.sockets.condemn(socket, Detached::Closed);
    }

    /// The socket for reading and writing, together with the service's shared buffers. None if it is
    /// gone, or about to be detached.
    pub fn socket_io(&mut self, socket: SocketKey) -> Option<SocketIo<'_>> {
        self.core.socket_io(socket)
    }

    /// Serves the socket in the next turn as readable, without a new edge: for a handler that did not
    /// read until the end.
    pub fn stay_ready(&mut self, socket: SocketKey) {
        self.core.sockets.stay_ready(socket);
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
