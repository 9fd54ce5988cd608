//! The session as its connection and the manager see it. Necko's class is `Http3Session`.
//!
//! ```text
//!  Initializing ──────► Connected ──► Closing ──► Closed
//!    ▲      │            ▲                ▲           ▲
//!    │      │            │ accepted       │           │
//!  ZeroRtt ─┼────────────┘                │           │
//!    │      │                             │           │
//!    └──────┴─────────────────────────────┴───────────┘  error, timeout, shutdown
//! ```
//!
//! A session that has something left from an earlier connection may begin in `ZeroRtt`: requests that are
//! [allowed to](HttpTransaction::may_go_early) leave before anything was heard of the server. When that refuses
//! them, the session is back in `Initializing`, and they go again when it is connected.
//!
//! In `Closing` no stream is left, but the socket is still needed: the engine sends `CONNECTION_CLOSE`
//! again when the peer keeps talking. `Closed` is reached when the engine says so, when the socket is gone,
//! or at shutdown, and then the session lets go of its connection's handle.

use std::{collections::VecDeque, net::SocketAddr, task::Waker, time::Instant};

use serde::Serialize;
use socket_transport::{
    SocketIo,
    walk::{Step, step},
};
use streams::{Http3StreamBase, StreamId};
use transaction::{
    BodyRead, ConnectTimings, EarlyData, HttpTransaction, NetError, Priority, Restarts,
    VerificationError, VerificationRequest, WebTransportUse, Wishes,
};

use crate::{
    bootstrap::Bootstrap,
    close::{Failure, failure_for, is_about_resuming},
    ech::SessionEch,
    http3_conn::{CertificateVerdict, ConnStats, Http3Conn, Http3Settings},
    obscurity::{Obscurity, Windows},
    outcome::{CloseCause, Outcome},
    ssl_tokens_cache::ResumptionToken,
    stream_table::{Queue, StreamKey, StreamTable},
    turn::Turn,
};

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum SessionState {
    /// The handshake runs.
    Initializing,
    /// The handshake runs, and requests that may be early data can be sent.
    ZeroRtt,
    /// Requests can be sent.
    Connected,
    /// No more streams; `CONNECTION_CLOSE` is on its way.
    Closing,
    /// Nothing is left but the object.
    Closed,
}

/// Whether a session takes streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Intake {
    Open,
    /// No new streams; closes after the last (necko's `mShouldClose`).
    ShouldClose,
    /// The peer said that it takes no more; closes after the last.
    Goaway,
}

/// The verification of the peer's certificate; asked for once.
#[derive(Debug)]
pub(crate) enum Verification {
    NotAskedFor,
    /// To be given to a worker.
    Wanted(VerificationRequest),
    AskedFor,
}

impl Verification {
    fn take(&mut self) -> Option<VerificationRequest> {
        if let Self::NotAskedFor = self {
            return None;
        }
        match std::mem::replace(self, Self::AskedFor) {
            Self::Wanted(request) => Some(request),
            Self::NotAskedFor | Self::AskedFor => None,
        }
    }
}

/// What waits for the next `send_data`: the engine is touched nowhere else.
#[derive(Debug)]
pub(crate) enum Command {
    Cancel(StreamKey),
    /// The application wants no more of what comes on a WebTransport stream.
    StopReceiving(StreamKey),
    /// The application said or asked something about a WebTransport stream.
    Serve(StreamKey),
    Priority(StreamKey, Priority),
    Authenticated(CertificateVerdict),
    Close,
}

/// Everything of a session that is not the engine.
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(crate) struct Core {
    pub(crate) host: String,
    pub(crate) state: SessionState,
    /// It is or was connected.
    pub(crate) was_connected: bool,
    pub(crate) streams: StreamTable,
    pub(crate) commands: VecDeque<Command>,
    /// What the session failed with; decides what its streams are told (necko's `mError`).
    pub(crate) error: Option<NetError>,
    pub(crate) intake: Intake,
    /// When the engine wants to be called.
    pub(crate) deadline: Option<Instant>,
    /// What the peer sends without anything coming of it.
    pub(crate) obscurity: Obscurity,
    /// When the silence has to be broken for the sake of slow consumers.
    pub(crate) keep_alive: Option<Instant>,
    /// `send_data` is wanted (necko's `ResumeSend`).
    pub(crate) resume_send: bool,
    pub(crate) verification: Verification,
    /// What became of early data.
    pub(crate) early_data: EarlyData,
    /// It went on from an earlier connection.
    pub(crate) resumed: bool,
    /// A token was given to the engine to begin with.
    pub(crate) tried_to_resume: bool,
    /// Tokens for later connections that nobody has taken.
    pub(crate) tokens: Vec<ResumptionToken>,
    pub(crate) ech: SessionEch,
    pub(crate) restarts: Restarts,
    /// Reads for request bodies, at most one for each stream.
    pub(crate) body_reads: Vec<BodyRead>,
    pub(crate) peer: SocketAddr,
    pub(crate) bootstrap: Bootstrap,
    /// Makes what the application's wishes wake, for each stream.
    pub(crate) owners: Box<dyn Fn(StreamKey) -> Waker>,
    /// Whether the peer takes WebTransport sessions, since it said so.
    pub(crate) web_transport: Option<bool>,
    /// WebTransport sessions whose close is on its way, and until when it may be sent again: until then the
    /// connection stays.
    pub(crate) lingering: VecDeque<(Instant, StreamId)>,
}

impl Core {
    /// Takes no more streams and has none: time to close.
    pub(crate) fn is_drained(&self) -> bool {
        self.state < SessionState::Closing
            && self.intake != Intake::Open
            && self.streams.is_empty()
            && self.lingering.is_empty()
    }
}

/// A session over one QUIC connection. Lives on the socket thread, owned by its `HttpConnectionUdp`.
///
/// `H` is the handle of that connection: a token whose `Drop` has the connection reclaimed. The session
/// only holds it, until it is closed.
///
/// Its methods are of four kinds. **Entry methods** drive the engine: [`recv_data`](Self::recv_data),
/// [`send_data`](Self::send_data), [`process_output_and_events`](Self::process_output_and_events).
/// **Commands** are kept for the next `send_data`: [`wishes`](Self::wishes),
/// [`authenticated`](Self::authenticated), [`dont_reuse`](Self::dont_reuse). **Results** are taken after an
/// entry method: [`take_restarts`](Self::take_restarts), [`take_verification`](Self::take_verification),
/// [`take_resume_send`](Self::take_resume_send), [`deadline`](Self::deadline). **Closing** is
/// [`close`](Self::close) and [`shutdown`](Self::shutdown).
pub struct Http3Session<H> {
    engine: Box<dyn Http3Conn>,
    core: Core,
    /// Held while the session lives; dropping it posts the reclaim.
    handle: Option<H>,
}

impl<H> Http3Session<H> {
    /// A session over a fresh engine, whose connection goes to `peer` and must prove to be `host`.
    pub fn new(engine: Box<dyn Http3Conn>, host: &str, peer: SocketAddr) -> Self {
        let core = Core {
            host: host.to_owned(),
            state: SessionState::Initializing,
            was_connected: false,
            streams: StreamTable::default(),
            commands: VecDeque::new(),
            error: None,
            intake: Intake::Open,
            deadline: None,
            obscurity: Obscurity::new(Windows {
                connection: u64::MAX,
                before_head: u64::MAX,
                after_head: u64::MAX,
            }),
            keep_alive: None,
            resume_send: true,
            verification: Verification::NotAskedFor,
            early_data: EarlyData::NotTried,
            resumed: false,
            tried_to_resume: false,
            tokens: Vec::new(),
            ech: SessionEch::default(),
            restarts: Vec::new(),
            body_reads: Vec::new(),
            peer,
            bootstrap: Bootstrap::default(),
            owners: Box::new(|_| Waker::noop().clone()),
            web_transport: None,
            lingering: VecDeque::new(),
        };
        Self { engine, core, handle: None }
    }

    /// Takes the connection's handle into keeping (necko takes it from the first transaction).
    pub fn hold(&mut self, handle: H) {
        self.handle = Some(handle);
    }

    /// Says how large the engine's receive windows are: a peer that sends much more than they hold without
    /// anything coming of it is closed with `H3_EXCESSIVE_LOAD`.
    pub fn set_receive_windows(&mut self, settings: &Http3Settings) {
        self.core.obscurity = Obscurity::new(Windows {
            connection: settings.max_data,
            before_head: settings.initial_max_stream_data,
            after_head: settings.max_stream_data.max(settings.initial_max_stream_data),
        });
    }

    /// Says that the engine was given a token of an earlier connection. With `early_data`, and if the token
    /// allows it, the session is in [`SessionState::ZeroRtt`] from now on.
    pub fn resume(&mut self, early_data: bool) {
        self.core.tried_to_resume = true;
        if early_data && self.core.state == SessionState::Initializing && self.engine.is_zero_rtt()
        {
            self.core.state = SessionState::ZeroRtt;
            self.core.early_data = EarlyData::Sent;
        }
    }

    /// Connecting begins now, on this socket. What came before is in `timings`.
    pub fn begin_timings(&mut self, timings: ConnectTimings, local: SocketAddr, now: Instant) {
        self.core.bootstrap.begin(timings, local, now);
    }

    /// Says that this connection is made because the server refused ECH and gave another configuration, or
    /// none: if it refuses again, that is the end of it.
    pub fn set_ech_retry(&mut self, retry: bool) {
        self.core.ech.is_retry = retry;
    }

    /// Where the session stands.
    pub fn state(&self) -> SessionState {
        self.core.state
    }

    /// Whether the handshake was completed, though it may be closed by now.
    pub fn was_connected(&self) -> bool {
        self.core.was_connected
    }

    /// Whether it takes another transaction (necko's `CanReuse`). Some of those that it takes in
    /// [`SessionState::ZeroRtt`] may have to wait for the handshake in it.
    pub fn can_reuse(&self) -> bool {
        matches!(self.core.state, SessionState::ZeroRtt | SessionState::Connected)
            && self.core.intake == Intake::Open
    }

    /// Says what is woken when the application wishes something of a stream.
    pub fn set_owners(&mut self, owners: impl Fn(StreamKey) -> Waker + 'static) {
        self.core.owners = Box::new(owners);
    }

    /// Takes a transaction over.
    ///
    /// A session that is closing answers the transaction back: it has to be dispatched anew.
    ///
    /// # Errors
    /// The transaction, when the session takes no more.
    pub fn add_stream(
        &mut self,
        transaction: Box<HttpTransaction>,
    ) -> Result<(), Box<HttpTransaction>> {
        if self.core.state >= SessionState::Closing || self.core.intake != Intake::Open {
            return Err(transaction);
        }
        if let WebTransportUse::Dedicated(_) = transaction.connection_info().web_transport {
            // W1: nothing else will ever be on it.
            self.core.intake = Intake::ShouldClose;
        }
        let key = self.core.streams.insert(Http3StreamBase::new(transaction));
        self.core.streams.enqueue(Queue::ReadyForWrite, key);
        self.core.resume_send = true;
        let owner = (self.core.owners)(key);
        match self.core.streams.get(key) {
            Some(Http3StreamBase::Http(stream)) => stream.set_owner(owner),
            Some(Http3StreamBase::Session(session)) => session.set_owner(&owner),
            Some(Http3StreamBase::WebTransport(_)) | None => {}
        }
        Ok(())
    }

    // Entry methods.

    /// Packets arrived, or a consumer made space: reads, handles events, writes.
    pub fn recv_data(&mut self, io: &mut SocketIo<'_>) -> Outcome {
        self.turn(io).map_or(Outcome::Open, |mut turn| turn.recv_data().into())
    }

    /// Streams, commands or the socket are ready to send: writes, handles events.
    pub fn send_data(&mut self, io: &mut SocketIo<'_>) -> Outcome {
        self.turn(io).map_or(Outcome::Open, |mut turn| turn.send_data().into())
    }

    /// The engine's timer ran out.
    pub fn process_output_and_events(&mut self, io: &mut SocketIo<'_>) -> Outcome {
        self.core.deadline = None;
        self.turn(io).map_or(Outcome::Open, |mut turn| turn.process_output_and_events().into())
    }

    /// The only place where a [`Turn`] comes from.
    fn turn<'t, 'io>(&'t mut self, io: &'t mut SocketIo<'io>) -> Option<Turn<'t, 'io>> {
        if self.core.state == SessionState::Closed {
            return None;
        }
        Some(Turn::new(self.engine.as_mut(), &mut self.core, io))
    }

    // Commands.

    /// The application wishes something of a stream. Answers what it was, for the connection: `recv_data`
    /// is wanted for `receive`.
    pub fn wishes(&mut self, key: StreamKey) -> Wishes {
        let wishes = match self.core.streams.get_mut(key) {
            Some(Http3StreamBase::Http(stream)) => stream.take_wishes(),
            Some(Http3StreamBase::Session(session)) => {
                let cancel = session.take_wishes();
                Wishes { cancel, send: true, ..Wishes::default() }
            }
            Some(Http3StreamBase::WebTransport(stream)) => {
                let wishes = stream.take_wishes();
                if wishes.cancel {
                    self.command(Command::StopReceiving(key));
                }
                Wishes { cancel: false, receive: wishes.receive && !wishes.cancel, ..wishes }
            }
            None => return Wishes::default(),
        };
        if wishes.cancel {
            self.command(Command::Cancel(key));
            return Wishes { cancel: true, ..Wishes::default() };
        }
        if let Some(priority) = wishes.priority {
            self.command(Command::Priority(key, priority));
        }
        if wishes.service {
            self.command(Command::Serve(key));
        }
        // Without an id it will read its body when it gets one, and keeps its place in a queue.
        let has_id = self.core.streams.get(key).is_some_and(|stream| stream.id().is_some());
        if wishes.send && has_id {
            self.core.streams.enqueue(Queue::ReadyForWrite, key);
            self.core.resume_send = true;
        }
        if wishes.receive {
            self.core.streams.enqueue(Queue::SlowConsumersReadyForRead, key);
        }
        wishes
    }

    /// The verdict on the server's certificate. Ignored once the session is closing.
    pub fn authenticated(&mut self, verdict: Result<(), VerificationError>) {
        if self.core.state >= SessionState::Connected {
            return;
        }
        let answer = verdict.as_ref().copied().map_err(|error| error.problem);
        if let Err(error) = self.core.ech.verified(verdict, &self.core.host) {
            self.core.error = Some(error);
        }
        self.command(Command::Authenticated(answer));
    }

    /// Takes no more streams and closes after the last one; without any, now.
    pub fn dont_reuse(&mut self) {
        if self.core.state < SessionState::Closing && self.core.intake == Intake::Open {
            self.core.intake = Intake::ShouldClose;
            self.core.resume_send = true;
        }
    }

    fn command(&mut self, command: Command) {
        self.core.commands.push_back(command);
        self.core.resume_send = true;
    }

    // Results.

    /// Transactions that ended here without a trace and are to be dispatched again.
    pub fn take_restarts(&mut self) -> Restarts {
        std::mem::take(&mut self.core.restarts)
    }

    /// A certificate chain that has to be verified off the socket thread; comes once.
    pub fn take_verification(&mut self) -> Option<VerificationRequest> {
        self.core.verification.take()
    }

    /// Tokens for later connections to this server.
    pub fn take_tokens(&mut self) -> Vec<ResumptionToken> {
        std::mem::take(&mut self.core.tokens)
    }

    /// Reads for request bodies that a worker has to do.
    pub fn take_body_reads(&mut self) -> Vec<BodyRead> {
        std::mem::take(&mut self.core.body_reads)
    }

    /// Whether `send_data` is to be posted.
    pub fn take_resume_send(&mut self) -> bool {
        std::mem::take(&mut self.core.resume_send)
    }

    /// When [`process_output_and_events`](Self::process_output_and_events) is due.
    pub fn deadline(&self) -> Option<Instant> {
        let lingers = self.core.lingering.front().map(|(until, _)| *until);
        let lingers = lingers.filter(|_| self.core.state < SessionState::Closing);
        self.core.deadline.into_iter().chain(self.core.keep_alive).chain(lingers).min()
    }

    // Closing.

    /// Ends every stream and begins to close; answers the state, which is `Closed` at once when the engine
    /// has ended.
    pub fn close(&mut self, cause: CloseCause) -> SessionState {
        match cause {
            CloseCause::Failed(error) => {
                // Without a socket there is no closing period.
                let socket_failed =
                    matches!(error, NetError::ConnectionRefused { .. } | NetError::Socket { .. });
                self.core.error.get_or_insert(error);
                self.close_internal();
                if socket_failed {
                    self.finish();
                }
            }
            CloseCause::Ended => {
                self.close_internal();
                self.finish();
            }
        }
        self.core.state
    }

    /// Ends the session at once: the socket is gone, or the thread ends. A `CONNECTION_CLOSE` has left if
    /// `send_data` ran after [`close`](Self::close).
    pub fn shutdown(&mut self, error: NetError) {
        self.core.error.get_or_insert(error);
        self.close_internal();
        self.finish();
    }

    /// Necko's `CloseInternal` and `Shutdown`. Idempotent.
    fn close_internal(&mut self) {
        if self.core.state >= SessionState::Closing {
            return;
        }
        step(Step::SessionClose);
        let connected = self.core.state == SessionState::Connected;
        self.core.state = SessionState::Closing;
        self.core.commands.clear();
        self.command(Command::Close);
        let failed_to_resume = self.failed_to_resume();
        for stream in self.core.streams.take_all() {
            step(Step::CloseStream);
            let failure = if failed_to_resume {
                let reason = "it could not be resumed from an earlier one".into();
                Failure::Close(NetError::NetReset { reason })
            } else {
                failure_for(self.core.error.as_ref(), &stream, connected)
            };
            failure.apply(stream, &mut self.core.restarts);
        }
    }

    /// Last step: no timer, no commands, no handle.
    fn finish(&mut self) {
        step(Step::SessionClosed);
        self.core.state = SessionState::Closed;
        self.core.deadline = None;
        self.core.keep_alive = None;
        self.core.resume_send = false;
        self.core.commands.clear();
        self.core.body_reads.clear();
        self.core.verification = Verification::AskedFor;
        self.handle = None;
    }

    /// The error that it failed with, if it did.
    pub fn error(&self) -> Option<&NetError> {
        self.core.error.as_ref()
    }

    /// Whether it failed before it was connected for a reason that may lie in what it began with: then who
    /// wanted it may try once more, from the beginning.
    pub fn failed_to_resume(&self) -> bool {
        let error = self.core.error.as_ref();
        self.core.tried_to_resume
            && !self.core.was_connected
            && error.is_some_and(is_about_resuming)
    }

    /// Whether it holds its connection's handle.
    pub fn holds_handle(&self) -> bool {
        self.handle.is_some()
    }

    /// Whether no request is on it.
    pub fn is_unused(&self) -> bool {
        self.core.streams.is_empty()
    }

    /// The server's certificates in DER, its own first; none before the handshake.
    pub fn peer_certificates(&self) -> Vec<Vec<u8>> {
        self.engine.peer_certificates()
    }

    // Figures.

    /// What is alive in this session.
    pub fn snapshot(&self) -> SessionSnapshot {
        let streams = &self.core.streams;
        SessionSnapshot {
            state: self.core.state,
            resumed: self.core.resumed,
            early_data: self.core.early_data,
            streams: streams.iter().filter(|stream| stream.transaction().is_some()).count(),
            ready_for_write: streams.queue_len(Queue::ReadyForWrite),
            queued_streams: streams.queue_len(Queue::QueuedStreams)
                + streams.queue_len(Queue::QueuedUnidirectional),
            waiting_for_connection: streams.queue_len(Queue::WaitingForConnection),
            slow_consumers_ready_for_read: streams.queue_len(Queue::SlowConsumersReadyForRead),
            web_transport_sessions: streams.accepted_sessions(),
            web_transport_streams: streams.web_transport_streams(),
            commands: self.core.commands.len(),
            buffered: streams.iter().map(Http3StreamBase::buffered).sum(),
            timer: self.deadline().is_some(),
            handle: self.handle.is_some(),
            ech_accepted: self.core.ech.accepted,
        }
    }

    /// The engine's figures.
    pub fn stats(&self) -> ConnStats {
        self.engine.stats()
    }
}

/// What is alive in a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct SessionSnapshot {
    /// Where it stands.
    pub state: SessionState,
    /// It went on from an earlier connection, whose certificate was verified.
    pub resumed: bool,
    /// What became of early data.
    pub early_data: EarlyData,
    /// Requests on it, those for WebTransport sessions included until they are answered.
    pub streams: usize,
    /// WebTransport sessions that were accepted.
    pub web_transport_sessions: usize,
    /// Streams of those.
    pub web_transport_streams: usize,
    /// Streams that have something to send.
    pub ready_for_write: usize,
    /// Streams that wait for the peer to allow more.
    pub queued_streams: usize,
    /// Streams that wait for the handshake, and sessions that wait for what the server says of sessions.
    pub waiting_for_connection: usize,
    /// Streams whose consumers made space.
    pub slow_consumers_ready_for_read: usize,
    /// Commands that wait for the next `send_data`.
    pub commands: usize,
    /// Bytes in the pipes of its transactions and streams, and what waits in its WebTransport sessions.
    pub buffered: usize,
    /// Whether the engine's timer is wanted.
    pub timer: bool,
    /// Whether it holds its connection's handle.
    pub handle: bool,
    /// Whether the server took the encrypted hello.
    pub ech_accepted: bool,
}

impl SessionSnapshot {
    /// Whether no session of WebTransport and no stream of one is there.
    pub fn nothing_of_web_transport(&self) -> bool {
        (self.web_transport_sessions, self.web_transport_streams) == (0, 0)
    }
}
