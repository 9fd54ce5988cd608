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

use std::{
    net::SocketAddr,
    task::Waker,
    time::{Duration, Instant},
};

use http3_session::{
    CloseCause, Http3Session, Outcome, SessionState, StreamKey, VerificationError,
};
use socket_transport::{
    SocketKey, TimerKey, UdpOptions,
    walk::{Step, step},
};
use transaction::{HttpTransaction, NetError, TimeoutPhase};

use crate::{
    connection::{Aftermath, Ctx, Dial, HttpConnection},
    handle::ConnectionHandle,
    mgr::Parts,
    snapshot::ConnectionSnapshot,
    target::{ConnectionKey, Target},
};

/// How long a connection may be closing, at most. An engine keeps it for three probe timeouts, to say
/// `CONNECTION_CLOSE` again to whoever still talks; but one acknowledgement that came late is enough to make
/// that minutes.
const LONGEST_CLOSING: Duration = Duration::from_secs(15);

/// Owns a socket's key, a timer and a session. Registered with the manager under its [`ConnectionKey`].
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct HttpConnectionUdp {
    peer: SocketAddr,
    socket: SocketKey,
    timer: TimerKey,
    /// What the timer was last set to, so that a packet that changes nothing costs nothing.
    armed: Option<Instant>,
    /// When it has to be connected.
    connect_by: Instant,
    /// When it has to be gone, once it is closing.
    gone_by: Option<Instant>,
    session: Option<Http3Session<ConnectionHandle>>,
    resume_send: Waker,
    force_recv: Waker,
    was_connected: bool,
    /// The manager was told that requests may go early.
    told_early: bool,
    /// The manager was told that it takes no more requests.
    told_draining: bool,
    /// Timer and socket were let go.
    closed: bool,
}

impl HttpConnectionUdp {
    /// Makes socket, engine and session (necko's `Init`).
    ///
    /// # Errors
    /// The system gives no socket, or the engine can't be made. Nothing is left behind.
    pub(crate) fn init(
        ctx: &mut Ctx<'_>,
        parts: &Parts,
        dial: &Dial<'_>,
    ) -> Result<Self, NetError> {
        let Dial { key, peer, .. } = *dial;
        if peer.ip().is_unspecified() {
            return Err(NetError::ConnectionRefused { peer });
        }
        let socket = open_socket(ctx, key, peer)?;
        let local = ctx.local_addr(socket).unwrap_or(peer);
        let engine = match parts.connect(dial, local, ctx.now()) {
            Ok(engine) => engine,
            Err(error) => {
                ctx.close_socket(socket);
                return Err(error);
            }
        };
        let mut session = Http3Session::new(engine, dial.info.host(), peer);
        session.set_receive_windows(&parts.settings);
        if dial.resumption_token.is_some() {
            session.resume(parts.settings.early_data);
        }
        let poster = ctx.poster().clone();
        session.set_owners(move |stream| poster.waker(Target::Stream(key, stream)));
        session.begin_timings(dial.timings, local, ctx.now());
        session.set_ech_retry(dial.ech.is_retry);
        let connection = Self {
            peer,
            socket,
            timer: ctx.create_timer(Target::Connection(key)),
            armed: None,
            connect_by: ctx.now() + dial.connect_timeout,
            gone_by: None,
            session: Some(session),
            resume_send: ctx.poster().waker(Target::ResumeSend(key)),
            force_recv: ctx.poster().waker(Target::ForceRecv(key)),
            was_connected: false,
            told_early: false,
            told_draining: false,
            closed: false,
        };
        // The first flight leaves also when it is made for nobody yet.
        connection.resume_send();
        Ok(connection)
    }

    /// Posts `send_data`. Any number of calls before it runs are one.
    fn resume_send(&self) {
        self.resume_send.wake_by_ref();
    }

    /// Posts `recv_data`. Any number of calls before it runs are one.
    fn force_recv(&self) {
        self.force_recv.wake_by_ref();
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
            self.close_session(ctx, cause);
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
        let deadline = self.session.as_ref().and_then(|session| {
            let limit = match session.state() {
                SessionState::Initializing | SessionState::ZeroRtt => Some(self.connect_by),
                SessionState::Connected => None,
                SessionState::Closing => {
                    Some(*self.gone_by.get_or_insert_with(|| ctx.now() + LONGEST_CLOSING))
                }
                SessionState::Closed => return None,
            };
            session.deadline().into_iter().chain(limit).min()
        });
        if deadline != self.armed {
            ctx.set_timer(self.timer, deadline);
            self.armed = deadline;
        }
    }

    /// The engine's timer ran out.
    fn on_quic_timeout_expired(&mut self, ctx: &mut Ctx<'_>) {
        step(Step::OnQuicTimeoutExpired);
        self.drive(ctx, Http3Session::process_output_and_events);
    }

    fn close_session(&mut self, ctx: &mut Ctx<'_>, cause: CloseCause) {
        step(Step::CloseTransaction);
        let Some(session) = &mut self.session else { return };
        log::debug!(target: "necko::connection", "{}: close_transaction: {cause:?}", self.peer);
        if session.close(cause) == SessionState::Closed {
            self.close(ctx);
        } else {
            self.resume_send();
        }
    }
}

impl HttpConnection for HttpConnectionUdp {
    fn hold(&mut self, handle: ConnectionHandle) {
        if let Some(session) = &mut self.session {
            session.hold(handle);
        }
    }

    fn holds_handle(&self) -> bool {
        self.session.as_ref().is_some_and(Http3Session::holds_handle)
    }

    fn can_activate(&self) -> bool {
        self.session.as_ref().is_some_and(Http3Session::can_reuse)
    }

    fn activate(
        &mut self,
        _ctx: &Ctx<'_>,
        transaction: Box<HttpTransaction>,
    ) -> Result<(), Box<HttpTransaction>> {
        step(Step::Activate);
        let Some(session) = &mut self.session else { return Err(transaction) };
        session.add_stream(transaction)?;
        self.resume_send();
        Ok(())
    }

    fn on_packet_received(&mut self, ctx: &mut Ctx<'_>) {
        step(Step::OnPacketReceived);
        self.recv_data(ctx);
    }

    fn on_timer(&mut self, ctx: &mut Ctx<'_>) {
        self.armed = None;
        let Some(session) = &mut self.session else { return };
        let now = ctx.now();
        if session.state() < SessionState::Connected && self.connect_by <= now {
            self.close_transaction(ctx, NetError::NetTimeout(TimeoutPhase::Connect));
            self.arm_timer(ctx);
        } else if self.gone_by.is_some_and(|gone_by| gone_by <= now) {
            session.shutdown(NetError::Aborted);
            self.close(ctx);
        } else {
            self.on_quic_timeout_expired(ctx);
        }
    }

    fn recv_data(&mut self, ctx: &mut Ctx<'_>) {
        self.drive(ctx, Http3Session::recv_data);
    }

    fn send_data(&mut self, ctx: &mut Ctx<'_>) {
        self.drive(ctx, Http3Session::send_data);
    }

    fn on_stop_listening(&mut self, ctx: &mut Ctx<'_>, error: NetError) {
        step(Step::OnStopListening);
        if let Some(session) = &mut self.session {
            session.shutdown(error);
            self.close(ctx);
        }
    }

    fn stream_wishes(&mut self, stream: StreamKey) {
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

    fn authenticated(&mut self, verdict: Result<(), VerificationError>) {
        let Some(session) = &mut self.session else { return };
        session.authenticated(verdict);
        self.resume_send_if_wanted();
    }

    fn dont_reuse(&mut self) {
        if let Some(session) = &mut self.session {
            session.dont_reuse();
            self.resume_send_if_wanted();
        }
    }

    /// It stays registered, with its socket, for the closing period; when the session is closed at once,
    /// everything but the object goes.
    fn close_transaction(&mut self, ctx: &mut Ctx<'_>, error: NetError) {
        self.close_session(ctx, CloseCause::Failed(error));
    }

    /// A last `CONNECTION_CLOSE` leaves, then nothing is left.
    fn shutdown(&mut self, ctx: &mut Ctx<'_>, error: NetError) {
        self.close_transaction(ctx, error.clone());
        self.send_data(ctx);
        if let Some(session) = &mut self.session {
            session.shutdown(error);
            self.close(ctx);
        }
    }

    /// The session stays for [`aftermath`](HttpConnection::aftermath), which drops it.
    fn close(&mut self, ctx: &mut Ctx<'_>) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        step(Step::ConnectionClose);
        ctx.remove_timer(self.timer);
        ctx.close_socket(self.socket);
        self.armed = None;
    }

    fn aftermath(&mut self) -> Aftermath {
        let Some(session) = &mut self.session else { return Aftermath::default() };
        let state = session.state();
        let connected = state == SessionState::Connected && !self.was_connected;
        // Also when it was connected for less than a turn: then it has not failed to connect.
        self.was_connected = session.was_connected();
        let failed = state >= SessionState::Closing && !self.was_connected;
        let early = state == SessionState::ZeroRtt && !self.told_early;
        self.told_early |= early;
        let draining = self.was_connected && !session.can_reuse() || failed;
        // A connection with a WebTransport session is so for all of its life.
        let newly_draining = draining && !std::mem::replace(&mut self.told_draining, draining);
        let aftermath = Aftermath {
            early,
            connected,
            draining: newly_draining,
            // Another try that begins anew may do better at the same address.
            failed_to_connect: session
                .error()
                .filter(|_| failed && !session.failed_to_resume())
                .cloned(),
            // Its handle says when nothing is left.
            ended: false,
            restarts: session.take_restarts(),
            verification: session.take_verification(),
            tokens: session.take_tokens(),
        };
        if state == SessionState::Closed {
            self.session = None;
        }
        aftermath
    }

    /// Never: a QUIC connection that has ended has ended.
    fn may_be_used_again(&self) -> bool {
        false
    }

    fn is_unused(&self) -> bool {
        self.session.as_ref().is_none_or(Http3Session::is_unused)
    }

    fn is_connecting(&self) -> bool {
        let state = self.session.as_ref().map(Http3Session::state);
        state == Some(SessionState::Initializing)
    }

    fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn certificates(&self) -> Vec<Vec<u8>> {
        self.session.as_ref().map(Http3Session::peer_certificates).unwrap_or_default()
    }

    fn snapshot(&self) -> ConnectionSnapshot {
        ConnectionSnapshot {
            peer: self.peer.to_string(),
            active: false,
            idle: false,
            session: self.session.as_ref().map(Http3Session::snapshot),
            http1: None,
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
