//! A TCP connection with TLS and HTTP/1.1 on it, which carries one request after the other. Necko's class is
//! `nsHttpConnection`.
//!
//! ```text
//!  Connecting ──► Handshaking ──► Verifying ──► Ready ⟲ one exchange at a time, each under a handle
//!      │               │   (resumed) └────────▲   │
//!      │               │                          ▼ an exchange that leaves nothing to build on, an end that
//!      └───────────────┴────────────────────► Closed  nobody expected, too long without a request
//! ```
//!
//! When an exchange is over its handle is dropped, which is reclaimed: a connection that may be used again goes
//! to the idle list, where it is still read, so that bytes nobody asked for, or its end, take it off there
//! (necko's `BeginIdleMonitoring`); any other is removed.
//!
//! How bytes move is in [`driving`].

mod driving;

use std::{
    net::SocketAddr,
    task::Waker,
    time::{Duration, Instant},
};

use bytes::BytesMut;
use http1_session::{Http1Session, TlsConn, TlsConnFactory, TlsParameters};
use http3_session::StreamKey;
use socket_transport::{
    SocketKey, TcpOptions, TimerKey,
    walk::{Step, step},
};
use transaction::{
    Closed, ConnectTimings, ConnectionInfo, HttpTransaction, NetError, Restarts, TimeoutPhase,
    VerificationError, VerificationRequest,
};

use crate::{
    connection::{Aftermath, Ctx, Dial, HttpConnection, HttpConnectionFactory},
    handle::ConnectionHandle,
    snapshot::{ConnectionSnapshot, Http1Snapshot},
    target::{ConnectionKey, Target},
};

/// How long an unused connection is kept (necko's `network.http.keep-alive.timeout`).
const IDLE_TIMEOUT: Duration = Duration::from_secs(115);

/// How far a connection got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TcpState {
    /// No answer from the address yet.
    Connecting,
    /// TLS.
    Handshaking,
    /// The server's certificate is being verified.
    Verifying,
    /// A request is on it, or might be.
    Ready,
    /// It ended, or is to be closed.
    Closed,
}

/// Owns a socket's key, a timer, TLS, and the HTTP on top of it. Registered with the manager under its
/// [`ConnectionKey`].
pub struct HttpConnectionTcp {
    key: ConnectionKey,
    info: ConnectionInfo,
    peer: SocketAddr,
    socket: SocketKey,
    timer: TimerKey,
    armed: Option<Instant>,
    connect_by: Instant,
    /// When it is closed, should nobody use it.
    idle_until: Option<Instant>,
    state: TcpState,
    tls: Box<dyn TlsConn>,
    /// Bytes of the network that TLS has no room for.
    sealed: BytesMut,
    /// Bytes of HTTP that the session has no room for.
    plain: BytesMut,
    session: Http1Session,
    /// The request that it is made for, until it is connected.
    first: Option<Box<HttpTransaction>>,
    handle: Option<ConnectionHandle>,
    resume_send: Waker,
    timings: ConnectTimings,
    /// Its own end, once it is connected.
    local: Option<SocketAddr>,
    /// What it failed with.
    error: Option<NetError>,
    report: Report,
    must_not_be_reused: bool,
    /// Timer and socket were let go.
    closed: bool,
}

/// What the manager has not been told.
#[derive(Default)]
struct Report {
    connected: bool,
    was_connected: bool,
    draining: bool,
    restarts: Restarts,
    verification: Option<VerificationRequest>,
}

/// Makes connections that speak HTTP/1.1 over TLS.
pub struct Http11ConnectionFactory {
    tls: Box<dyn TlsConnFactory>,
}

impl Http11ConnectionFactory {
    /// With this TLS.
    pub fn new(tls: Box<dyn TlsConnFactory>) -> Self {
        Self { tls }
    }
}

impl HttpConnectionFactory for Http11ConnectionFactory {
    fn connect(
        &self,
        ctx: &mut Ctx<'_>,
        dial: &Dial<'_>,
    ) -> Result<Box<dyn HttpConnection>, NetError> {
        Ok(Box::new(HttpConnectionTcp::init(ctx, self.tls.as_ref(), dial)?))
    }
}

impl HttpConnectionTcp {
    /// Makes socket and TLS, and begins to connect.
    ///
    /// # Errors
    /// The system gives no socket, or there is no TLS for this host. Nothing is left behind.
    fn init(
        ctx: &mut Ctx<'_>,
        tls: &dyn TlsConnFactory,
        dial: &Dial<'_>,
    ) -> Result<Self, NetError> {
        let Dial { key, peer, info, .. } = *dial;
        if peer.ip().is_unspecified() {
            return Err(NetError::ConnectionRefused { peer });
        }
        let tls = tls.connect(&TlsParameters { info: info.clone() })?;
        let socket = ctx
            .open_tcp(Target::Connection(key), peer, TcpOptions::default())
            .map_err(|error| driving::connect_error(peer, "opening a TCP socket", &error))?;
        let mut timings = dial.timings;
        timings.connect_start.get_or_insert(ctx.now());
        let mut connection = Self {
            key,
            info: info.clone(),
            peer,
            socket,
            timer: ctx.create_timer(Target::Connection(key)),
            armed: None,
            connect_by: ctx.now() + dial.connect_timeout,
            idle_until: None,
            state: TcpState::Connecting,
            tls,
            sealed: BytesMut::new(),
            plain: BytesMut::new(),
            session: Http1Session::new(),
            first: None,
            handle: None,
            resume_send: ctx.poster().waker(Target::ResumeSend(key)),
            timings,
            local: None,
            error: None,
            report: Report::default(),
            must_not_be_reused: false,
            closed: false,
        };
        connection.arm_timer(ctx);
        Ok(connection)
    }

    /// Posts `send_data`. Any number of calls before it runs are one.
    fn resume_send(&self) {
        self.resume_send.wake_by_ref();
    }

    fn arm_timer(&mut self, ctx: &mut Ctx<'_>) {
        let deadline = match self.state {
            TcpState::Connecting | TcpState::Handshaking | TcpState::Verifying => {
                Some(self.connect_by)
            }
            TcpState::Ready if self.is_unused() => {
                let kept = self.session.keep_alive().timeout.unwrap_or(IDLE_TIMEOUT);
                let until = ctx.now() + kept.min(IDLE_TIMEOUT);
                Some(*self.idle_until.get_or_insert(until))
            }
            TcpState::Ready => self.session.deadline(),
            TcpState::Closed => None,
        };
        if deadline != self.armed && !self.closed {
            ctx.set_timer(self.timer, deadline);
            self.armed = deadline;
        }
    }

    /// The handshake is done and the certificate is good: the first request leaves.
    fn connected(&mut self, ctx: &Ctx<'_>) {
        step(Step::SessionConnected);
        self.state = TcpState::Ready;
        self.timings.connect_end = Some(ctx.now());
        self.report.connected = true;
        self.report.was_connected = true;
        if let Some(first) = self.first.take() {
            self.begin_exchange(first);
        }
    }

    fn begin_exchange(&mut self, transaction: Box<HttpTransaction>) {
        self.idle_until = None;
        let reused = self.session.exchanges() > 0;
        if !reused {
            transaction.timings().connection(self.timings);
        }
        if let Some(local) = self.local {
            transaction.timings().carried_by(local, self.peer);
        }
        self.session.activate(transaction, reused);
    }

    /// Whatever is on it ends with `error`, or goes elsewhere; it takes nothing more.
    fn fail(&mut self, error: NetError) {
        if self.state == TcpState::Closed {
            return;
        }
        step(Step::CloseTransaction);
        log::debug!(target: "necko::connection", "{}: close_transaction: {error}", self.peer);
        if let Some(first) = self.first.take() {
            self.end_first(first, &error);
        }
        if is_our_own(&error) {
            self.session.abort(error.clone());
        } else {
            self.session.fail(error.clone());
        }
        if let Some(finished) = self.session.take_finished() {
            self.report.restarts.extend(finished.restart);
        }
        self.report.draining = true;
        self.error.get_or_insert(error);
        self.become_closed();
    }

    /// Not connected: whether there is another address is the manager's to know.
    fn end_first(&mut self, first: Box<HttpTransaction>, error: &NetError) {
        if is_our_own(error) {
            first.fail(error.clone());
            return;
        }
        let reason = if error.is_about_the_address() {
            NetError::NetReset { reason: error.to_string() }
        } else {
            error.clone()
        };
        if let Closed::Restart(transaction) = first.close(Err(reason)) {
            self.report.restarts.push(transaction);
        }
    }

    fn become_closed(&mut self) {
        step(Step::SessionClosed);
        self.state = TcpState::Closed;
        self.sealed.clear();
        self.plain.clear();
        self.handle = None;
    }

    /// The exchange is over: its handle goes, and with it its place among those in use.
    fn take_finished(&mut self) {
        let Some(finished) = self.session.take_finished() else { return };
        self.report.restarts.extend(finished.restart);
        if self.must_not_be_reused || !self.session.may_be_reused() {
            self.report.draining = true;
            self.become_closed();
        }
        self.handle = None;
    }
}

/// The application or the handler decided so: nothing goes again.
fn is_our_own(error: &NetError) -> bool {
    matches!(error, NetError::Aborted | NetError::ShuttingDown)
}

impl HttpConnection for HttpConnectionTcp {
    fn hold(&mut self, handle: ConnectionHandle) {
        self.handle = Some(handle);
    }

    fn holds_handle(&self) -> bool {
        self.handle.is_some()
    }

    fn can_activate(&self) -> bool {
        self.state == TcpState::Ready
            && !self.must_not_be_reused
            && self.is_unused()
            && self.session.can_activate()
    }

    fn activate(
        &mut self,
        ctx: &Ctx<'_>,
        transaction: Box<HttpTransaction>,
    ) -> Result<(), Box<HttpTransaction>> {
        step(Step::Activate);
        if self.state == TcpState::Closed || !self.is_unused() {
            return Err(transaction);
        }
        transaction.set_owner(ctx.poster().waker(Target::ResumeSend(self.key)));
        if self.state == TcpState::Ready {
            if !self.session.can_activate() {
                return Err(transaction);
            }
            self.begin_exchange(transaction);
        } else {
            self.first = Some(transaction);
        }
        self.resume_send();
        Ok(())
    }

    fn on_packet_received(&mut self, ctx: &mut Ctx<'_>) {
        step(Step::OnPacketReceived);
        self.drive(ctx);
    }

    fn on_timer(&mut self, ctx: &mut Ctx<'_>) {
        self.armed = None;
        let now = ctx.now();
        if self.state < TcpState::Ready && self.connect_by <= now {
            self.fail(NetError::NetTimeout(TimeoutPhase::Connect));
        } else if self.is_unused() && self.idle_until.is_some_and(|until| until <= now) {
            self.become_closed();
        } else {
            self.session.on_deadline(now);
        }
        self.drive(ctx);
    }

    fn recv_data(&mut self, ctx: &mut Ctx<'_>) {
        self.drive(ctx);
    }

    fn send_data(&mut self, ctx: &mut Ctx<'_>) {
        step(Step::SendData);
        self.hear_wishes();
        self.drive(ctx);
    }

    fn on_stop_listening(&mut self, ctx: &mut Ctx<'_>, error: NetError) {
        step(Step::OnStopListening);
        self.fail(error);
        self.close(ctx);
    }

    /// There is one request at most, whose wishes are heard in [`send_data`](HttpConnection::send_data).
    fn stream_wishes(&mut self, _stream: StreamKey) {}

    fn authenticated(&mut self, verdict: Result<(), VerificationError>) {
        if self.state != TcpState::Verifying {
            return;
        }
        self.tls.authenticated(verdict.as_ref().copied().map_err(|error| error.problem));
        if let Err(error) = verdict {
            self.fail(error.into_net_error(self.info.host()));
        }
        self.resume_send();
    }

    fn dont_reuse(&mut self) {
        self.must_not_be_reused = true;
        if self.is_unused() {
            self.report.draining = true;
            self.become_closed();
        }
    }

    fn close_transaction(&mut self, ctx: &mut Ctx<'_>, error: NetError) {
        self.fail(error);
        self.flush_last_words(ctx);
    }

    fn shutdown(&mut self, ctx: &mut Ctx<'_>, error: NetError) {
        self.fail(error);
        self.close(ctx);
    }

    fn close(&mut self, ctx: &mut Ctx<'_>) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        self.flush_last_words(ctx);
        step(Step::ConnectionClose);
        self.become_closed();
        ctx.remove_timer(self.timer);
        ctx.close_socket(self.socket);
    }

    fn aftermath(&mut self) -> Aftermath {
        let report = std::mem::take(&mut self.report);
        self.report.was_connected = report.was_connected;
        let failed = self.state == TcpState::Closed && !report.was_connected;
        Aftermath {
            connected: report.connected && self.state == TcpState::Ready,
            draining: report.draining,
            failed_to_connect: if failed && report.draining { self.error.clone() } else { None },
            // Without a handle there will be no reclaim.
            ended: self.state == TcpState::Closed && self.handle.is_none(),
            restarts: report.restarts,
            verification: report.verification,
            ..Aftermath::default()
        }
    }

    fn may_be_used_again(&self) -> bool {
        self.can_activate()
    }

    fn is_unused(&self) -> bool {
        self.first.is_none() && self.session.transaction().is_none()
    }

    fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn certificates(&self) -> Vec<Vec<u8>> {
        self.tls.peer_certificates()
    }

    fn bytes_read(&self) -> u64 {
        self.session.bytes_read()
    }

    fn snapshot(&self) -> ConnectionSnapshot {
        let transaction = self.first.as_deref().or_else(|| self.session.transaction());
        ConnectionSnapshot {
            peer: self.peer.to_string(),
            active: false,
            idle: false,
            session: None,
            http1: Some(Http1Snapshot {
                state: self.state,
                exchanges: self.session.exchanges(),
                requests: usize::from(transaction.is_some()),
                buffered: transaction.map_or(0, HttpTransaction::buffered),
                unread: self.sealed.len() + self.plain.len(),
                handle: self.handle.is_some(),
                resumed: self.tls.is_resumed(),
            }),
        }
    }
}
