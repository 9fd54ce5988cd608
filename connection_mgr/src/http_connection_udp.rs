//! A QUIC connection as the manager and the socket know it. Necko's class is `HttpConnectionUDP`.
//!
//! ```text
//!  on_packet_received ─┐
//!  ForceRecv ──────────┴─► recv_data ──────────────┐
//!  ResumeSend ───────────► send_data ──────────────┼─► session ─► Outcome ─► close_transaction
//!  timer ────────────────► on_quic_timeout_expired ┘                              │
//!                                                        session closed ─► close ◄┘
//! ```
//!
//! The three drivers are the only way into the session's engine, and each turns a failure into
//! `close_transaction`. All three do nothing without a session, so a late timer, wake-up or packet is
//! harmless.

use std::{net::SocketAddr, task::Waker, time::Instant};

use http3_session::{
    CloseCause, Http3Session, Outcome, SessionState, StreamKey, VerificationError,
    VerificationRequest,
};
use socket_transport::{
    Context, SocketKey, TimerKey, UdpOptions,
    walk::{Step, step},
};
use transaction::{HttpTransaction, NetError, Restarts};

use crate::{
    handle::ConnectionHandle,
    mgr::Parts,
    snapshot::ConnectionSnapshot,
    target::{ConnectionKey, Event, Target},
};

/// The context of this manager's socket service.
pub(crate) type Ctx<'a> = Context<'a, Target, Event>;

/// Owns a socket's key, a timer and a session. Registered with the manager under its [`ConnectionKey`].
pub struct HttpConnectionUdp {
    key: ConnectionKey,
    peer: SocketAddr,
    socket: SocketKey,
    timer: TimerKey,
    /// What the timer was last set to, so that a packet that changes nothing costs nothing.
    armed: Option<Instant>,
    session: Option<Http3Session<ConnectionHandle>>,
    resume_send: Waker,
    force_recv: Waker,
    was_connected: bool,
    /// Timer and socket were let go.
    closed: bool,
}

/// What the manager has to do after a connection was driven.
#[derive(Debug, Default)]
#[must_use]
pub(crate) struct Aftermath {
    /// The handshake was completed in this turn.
    pub(crate) connected: bool,
    /// It takes no more requests.
    pub(crate) draining: bool,
    /// It failed before it was connected, with this.
    pub(crate) failed_to_connect: Option<NetError>,
    pub(crate) restarts: Restarts,
    pub(crate) verification: Option<VerificationRequest>,
}

impl HttpConnectionUdp {
    /// Makes socket, engine and session for a connection to `peer` (necko's `Init`).
    ///
    /// # Errors
    /// The system gives no socket, or the engine can't be made. Nothing is left behind.
    pub(crate) fn init(
        ctx: &mut Ctx<'_>,
        parts: &Parts,
        key: ConnectionKey,
        host: &str,
        peer: SocketAddr,
    ) -> Result<Self, NetError> {
        if peer.ip().is_unspecified() {
            return Err(NetError::ConnectionRefused { peer });
        }
        let socket = open_socket(ctx, key, peer)?;
        let local = ctx.local_addr(socket).unwrap_or(peer);
        let engine = match parts.connect(host, local, peer, ctx.now()) {
            Ok(engine) => engine,
            Err(error) => {
                ctx.close_socket(socket);
                return Err(error);
            }
        };
        let mut session = Http3Session::new(engine, host, peer);
        session.set_receive_windows(&parts.settings);
        Ok(Self {
            key,
            peer,
            socket,
            timer: ctx.create_timer(Target::Connection(key)),
            armed: None,
            session: Some(session),
            resume_send: ctx.poster().waker(Target::ResumeSend(key)),
            force_recv: ctx.poster().waker(Target::ForceRecv(key)),
            was_connected: false,
            closed: false,
        })
    }

    /// Registered: the session keeps the handle from now on. `retry_elsewhere` says that there is another
    /// address, should this one not answer.
    pub(crate) fn hold(&mut self, handle: ConnectionHandle, retry_elsewhere: bool) {
        if let Some(session) = &mut self.session {
            session.hold(handle);
            session.set_retry_elsewhere(retry_elsewhere);
        }
    }

    /// Whether a transaction can be activated on it now (necko's `CanDirectlyActivate`).
    pub(crate) fn can_reuse(&self) -> bool {
        self.session.as_ref().is_some_and(Http3Session::can_reuse)
    }

    /// Gives a transaction to the session.
    ///
    /// # Errors
    /// The transaction, when there is no session or it takes no more.
    pub(crate) fn activate(
        &mut self,
        ctx: &Ctx<'_>,
        transaction: Box<HttpTransaction>,
    ) -> Result<(), Box<HttpTransaction>> {
        step(Step::Activate);
        let Some(session) = &mut self.session else { return Err(transaction) };
        let (poster, key) = (ctx.poster(), self.key);
        session.add_stream(transaction, |stream| poster.waker(Target::Stream(key, stream)))?;
        self.resume_send();
        Ok(())
    }

    /// Posts `send_data`. Any number of calls before it runs are one.
    pub(crate) fn resume_send(&self) {
        self.resume_send.wake_by_ref();
    }

    /// Posts `recv_data`. Any number of calls before it runs are one.
    pub(crate) fn force_recv(&self) {
        self.force_recv.wake_by_ref();
    }

    /// The socket is readable, or writable again.
    pub(crate) fn on_packet_received(&mut self, ctx: &mut Ctx<'_>) {
        step(Step::OnPacketReceived);
        self.recv_data(ctx);
    }

    pub(crate) fn recv_data(&mut self, ctx: &mut Ctx<'_>) {
        self.drive(ctx, Http3Session::recv_data);
    }

    pub(crate) fn send_data(&mut self, ctx: &mut Ctx<'_>) {
        self.drive(ctx, Http3Session::send_data);
    }

    pub(crate) fn on_quic_timeout_expired(&mut self, ctx: &mut Ctx<'_>) {
        step(Step::OnQuicTimeoutExpired);
        self.armed = None;
        self.drive(ctx, Http3Session::process_output_and_events);
    }

    fn drive(
        &mut self,
        ctx: &mut Ctx<'_>,
        entry: impl FnOnce(
            &mut Http3Session<ConnectionHandle>,
            &mut socket_transport::SocketIo<'_>,
        ) -> Outcome,
    ) {
        let Some(session) = &mut self.session else { return };
        let Some(mut io) = ctx.socket_io(self.socket) else { return };
        let outcome = entry(session, &mut io);
        drop(io);
        for read in session.take_body_reads() {
            ctx.workers().run(Box::new(move || read.run()));
        }
        if let Outcome::Close(cause) = outcome {
            self.close_transaction(ctx, cause);
        }
        self.arm_timer(ctx);
        self.resume_send_if_wanted();
    }

    fn resume_send_if_wanted(&mut self) {
        if self.session.as_mut().is_some_and(Http3Session::take_resume_send) {
            self.resume_send();
        }
    }

    fn arm_timer(&mut self, ctx: &mut Ctx<'_>) {
        let deadline = self.session.as_ref().and_then(Http3Session::deadline);
        if deadline != self.armed {
            ctx.set_timer(self.timer, deadline);
            self.armed = deadline;
        }
    }

    /// Ends what runs on the connection. It stays registered, with its socket, for the closing period; when
    /// the session is closed at once, everything but the object goes.
    pub(crate) fn close_transaction(&mut self, ctx: &mut Ctx<'_>, cause: CloseCause) {
        step(Step::CloseTransaction);
        let Some(session) = &mut self.session else { return };
        log::debug!(target: "necko::connection", "{}: close_transaction: {cause:?}", self.peer);
        if session.close(cause) == SessionState::Closed {
            self.close(ctx);
        } else {
            self.resume_send();
        }
    }

    /// The socket is gone: no farewell is possible.
    pub(crate) fn on_stop_listening(&mut self, ctx: &mut Ctx<'_>, error: NetError) {
        step(Step::OnStopListening);
        if let Some(session) = &mut self.session {
            session.shutdown(error);
            self.close(ctx);
        }
    }

    /// The handler ends: a last `CONNECTION_CLOSE` leaves, then nothing is left.
    pub(crate) fn shutdown(&mut self, ctx: &mut Ctx<'_>) {
        self.close_transaction(ctx, CloseCause::Failed(NetError::ShuttingDown));
        self.send_data(ctx);
        if let Some(session) = &mut self.session {
            session.shutdown(NetError::ShuttingDown);
            self.close(ctx);
        }
    }

    /// Lets go of timer and socket. Idempotent. The session stays for [`aftermath`](Self::aftermath), which
    /// drops it.
    pub(crate) fn close(&mut self, ctx: &mut Ctx<'_>) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        step(Step::ConnectionClose);
        ctx.remove_timer(self.timer);
        ctx.close_socket(self.socket);
        self.armed = None;
    }

    /// No new requests; closes when the last one is done.
    pub(crate) fn dont_reuse(&mut self) {
        if let Some(session) = &mut self.session {
            session.dont_reuse();
            self.resume_send_if_wanted();
        }
    }

    /// The application wishes something of a stream.
    pub(crate) fn stream_wishes(&mut self, stream: StreamKey) {
        let Some(session) = &mut self.session else { return };
        let wishes = session.wishes(stream);
        if wishes.send {
            step(Step::TransactionHasDataToWrite);
        }
        if wishes.receive {
            step(Step::TransactionHasDataToRecv);
            self.force_recv();
        }
        self.resume_send_if_wanted();
    }

    /// The verdict on the server's certificate.
    pub(crate) fn authenticated(&mut self, verdict: Result<(), VerificationError>) {
        let Some(session) = &mut self.session else { return };
        session.authenticated(verdict);
        self.resume_send_if_wanted();
    }

    /// What the manager has to do now; to be asked after everything that may change the session.
    pub(crate) fn aftermath(&mut self) -> Aftermath {
        let Some(session) = &mut self.session else { return Aftermath::default() };
        let state = session.state();
        let connected = state == SessionState::Connected && !self.was_connected;
        self.was_connected |= connected;
        let failed = state >= SessionState::Closing && !self.was_connected;
        let aftermath = Aftermath {
            connected,
            draining: self.was_connected && !session.can_reuse() || failed,
            failed_to_connect: if failed { session.error().cloned() } else { None },
            restarts: session.take_restarts(),
            verification: session.take_verification(),
        };
        if state == SessionState::Closed {
            self.session = None;
        }
        aftermath
    }

    /// What is alive of it.
    pub(crate) fn snapshot(&self, active: bool) -> ConnectionSnapshot {
        ConnectionSnapshot {
            peer: self.peer.to_string(),
            active,
            session: self.session.as_ref().map(Http3Session::snapshot),
        }
    }
}

/// A socket of the peer's address family on any port, as necko binds it.
fn open_socket(
    ctx: &mut Ctx<'_>,
    key: ConnectionKey,
    peer: SocketAddr,
) -> Result<SocketKey, NetError> {
    let any: SocketAddr = if peer.is_ipv4() {
        (std::net::Ipv4Addr::UNSPECIFIED, 0).into()
    } else {
        (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
    };
    ctx.open_udp(Target::Connection(key), any, UdpOptions::default())
        .map_err(|error| NetError::Socket { operation: "opening a UDP socket", kind: error.kind() })
}
