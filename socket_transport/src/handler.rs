//! What the application of the socket thread implements.

use std::{fmt, io};

use crate::Context;

/// The application that a [`SocketTransportService`](crate::SocketTransportService) calls: necko's
/// `nsASocketHandler`, once for all sockets instead of once for each.
///
/// Thread: all methods are called on the socket thread, one at a time, never nested, never from
/// inside a [`Context`] method. They must not block. A method that has something to say to another
/// part of the application posts an event, and does not call it.
///
/// None of them returns an error: a handler that can't go on closes its socket
/// ([`Context::close_socket`]) and learns of the end in
/// [`on_socket_detached`](Self::on_socket_detached).
pub trait SocketHandler {
    /// Names what a socket, a timer or a wake-up belongs to: the application's own small key.
    type Target: Copy + fmt::Debug + Send + Sync + 'static;
    /// What other threads, and the application itself, post to the socket thread.
    type Event: Send + 'static;

    /// Something can be read, or send space has returned.
    ///
    /// Readiness comes as an edge: read with [`SocketIo::recv`](crate::SocketIo::recv) until it
    /// returns `Ok(None)`, or ask for another turn with [`Context::stay_ready`]. For a stream, the
    /// [page of streams](crate::streams) says the same in its terms.
    /// Source: `nsASocketHandler::OnSocketReady`.
    fn on_socket_ready(
        &mut self,
        ctx: &mut Context<'_, Self::Target, Self::Event>,
        target: Self::Target,
        ready: Ready,
    );

    /// The socket is gone: exactly once for each that was opened, after its descriptor was closed.
    /// Source: `nsASocketHandler::OnSocketDetached`.
    fn on_socket_detached(
        &mut self,
        ctx: &mut Context<'_, Self::Target, Self::Event>,
        target: Self::Target,
        reason: Detached,
    );

    /// A timer's deadline has passed; it is disarmed now.
    fn on_timer(&mut self, ctx: &mut Context<'_, Self::Target, Self::Event>, target: Self::Target);

    /// A [waker](crate::Poster::waker) of `target` was woken, once or several times.
    fn on_wakeup(&mut self, ctx: &mut Context<'_, Self::Target, Self::Event>, target: Self::Target);

    /// A posted event.
    fn on_event(&mut self, ctx: &mut Context<'_, Self::Target, Self::Event>, event: Self::Event);

    /// Shutdown was asked for: finish up, then call [`Context::stop`]. Called once. Without a call of
    /// `stop` the service ends by itself after [`Limits::shutdown_deadline`](crate::Limits).
    fn on_shutdown(&mut self, ctx: &mut Context<'_, Self::Target, Self::Event>);
}

/// Why a socket is handed to its handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Ready {
    /// There is something to read: data, an error, the end of a stream, or a connection to accept.
    pub readable: bool,
    /// The socket takes output again: a blocked batch went out, a stream that had refused bytes has
    /// room, or it has [connected](crate::StreamIo::connect_result) or failed to.
    pub writable: bool,
    /// The system reported an error, which the next read returns.
    pub error: bool,
}

impl Ready {
    /// Ready for reading and nothing else.
    pub(crate) const READABLE: Self = Self { readable: true, writable: false, error: false };
    /// What a network reports for a descriptor that is good for nothing any more (necko: HUP, NVAL).
    pub(crate) const BROKEN: Self = Self { readable: false, writable: false, error: true };

    /// True for [`BROKEN`](Self::BROKEN). An error that can be *read* comes with `readable`.
    pub(crate) fn is_broken(self) -> bool {
        self == Self::BROKEN
    }

    /// Both.
    pub(crate) fn merge(self, other: Self) -> Self {
        Self {
            readable: self.readable || other.readable,
            writable: self.writable || other.writable,
            error: self.error || other.error,
        }
    }
}

/// Why a socket was detached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detached {
    /// The application asked for it with [`Context::close_socket`] (necko: `BINDING_ABORTED`).
    Closed,
    /// The descriptor failed (necko: `UNEXPECTED`), or could not be polled.
    Failed(io::ErrorKind),
    /// The service went offline, and the socket was neither bound nor connected to loopback.
    Offline,
    /// The service ended (necko: `ABORT`).
    Shutdown,
}

impl fmt::Display for Detached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed"),
            Self::Failed(kind) => write!(f, "failed: {kind}"),
            Self::Offline => f.write_str("offline"),
            Self::Shutdown => f.write_str("shutdown"),
        }
    }
}
