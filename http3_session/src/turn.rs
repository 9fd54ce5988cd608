//! One drive of the engine. A [`Turn`] exists only inside the session's three entry methods, and only a
//! `Turn` holds the engine.

use std::{
    io,
    time::{Duration, Instant},
};

use socket_transport::{
    SendOutcome, SocketIo,
    walk::{Step, step},
};
use streams::{Http3StreamBase, Received, Sent};
use transaction::{Closed, ErrorCode, HttpTransaction, NetError};

use crate::{
    engine_io::EngineIo,
    http3_conn::{EngineOutput, Http3Conn},
    outcome::CloseCause,
    session::{Command, Core, SessionState},
    stream_table::{Queue, StreamKey},
};

/// How many batches of datagrams one turn may send before other sockets have theirs.
const BATCHES_PER_TURN: usize = 64;

/// The silence that slow consumers cause is broken after half of what the engine would bear, and not more
/// often than this.
const SHORTEST_SILENCE: Duration = Duration::from_secs(1);

/// The engine, its session and its socket, borrowed together for one drive.
pub(crate) struct Turn<'t, 'io> {
    pub(crate) engine: &'t mut dyn Http3Conn,
    pub(crate) core: &'t mut Core,
    pub(crate) io: &'t mut SocketIo<'io>,
}

impl<'t, 'io> Turn<'t, 'io> {
    pub(crate) fn new(
        engine: &'t mut dyn Http3Conn,
        core: &'t mut Core,
        io: &'t mut SocketIo<'io>,
    ) -> Self {
        Self { engine, core, io }
    }

    pub(crate) fn recv_data(&mut self) -> Result<(), CloseCause> {
        step(Step::RecvData);
        self.process_slow_consumers();
        self.process_input()?;
        self.process_events()?;
        self.retry_unidirectional();
        self.check_obscurity()?;
        self.send_data()
    }

    pub(crate) fn send_data(&mut self) -> Result<(), CloseCause> {
        step(Step::SendData);
        self.apply_commands();
        self.write_ready_streams();
        self.process_output_and_events()
    }

    pub(crate) fn process_output_and_events(&mut self) -> Result<(), CloseCause> {
        self.break_silence();
        self.process_output()?;
        self.process_events()
    }

    /// Streams whose consumers made space read on. All of them: each is bounded by its pipe.
    fn process_slow_consumers(&mut self) {
        step(Step::ProcessSlowConsumers);
        for _ in 0..self.core.streams.queue_len(Queue::SlowConsumersReadyForRead) {
            if let Some(key) = self.core.streams.dequeue(Queue::SlowConsumersReadyForRead) {
                self.read_stream(key);
            }
        }
    }

    /// Takes what the socket has, within the turn's budget.
    fn process_input(&mut self) -> Result<(), CloseCause> {
        step(Step::ProcessInput);
        let now = self.io.now();
        loop {
            match self.io.recv() {
                Ok(Some(mut received)) => {
                    let (bytes, datagrams) = (received.bytes(), received.len());
                    // What anybody can send must not look like the peer's doing.
                    let suspected = self.core.obscurity.is_suspicious();
                    let before = suspected.then(|| self.engine.packets_accepted());
                    self.engine.process_input(&mut received, now);
                    if before.is_none_or(|before| self.engine.packets_accepted() > before) {
                        self.core.obscurity.received(bytes, datagrams, now);
                    }
                    self.core.keep_alive = None;
                }
                Ok(None) => return Ok(()),
                Err(error) => self.socket_error("receiving from the network", &error)?,
            }
        }
    }

    /// A head without end fills the engine's memory and never becomes an event.
    fn check_obscurity(&self) -> Result<(), CloseCause> {
        let obscurity = &self.core.obscurity;
        if self.core.state == SessionState::Closing || obscurity.is_little() {
            return Ok(());
        }
        let with_head = self.core.streams.iter().filter(|stream| stream.has_head()).count();
        let without = self.core.streams.len().saturating_sub(with_head);
        if !obscurity.is_too_much(obscurity.windows.hold(without, with_head)) {
            return Ok(());
        }
        let reason = "too much that comes to nothing, as a response head without end".into();
        let code = ErrorCode::EXCESSIVE_LOAD;
        Err(NetError::Http3Protocol { code, by_peer: false, reason }.into())
    }

    /// An ICMP error proves nothing, because anybody can send one; it is only believed while nothing was
    /// heard from the peer itself. Anything else ends the session.
    fn socket_error(&self, operation: &'static str, error: &io::Error) -> Result<(), CloseCause> {
        use io::ErrorKind as Kind;
        let kind = error.kind();
        let from_the_path = matches!(
            kind,
            Kind::ConnectionRefused
                | Kind::ConnectionReset
                | Kind::HostUnreachable
                | Kind::NetworkUnreachable
                | Kind::NetworkDown
        );
        match (from_the_path, self.core.state) {
            (true, SessionState::Initializing | SessionState::ZeroRtt) => {
                Err(NetError::ConnectionRefused { peer: self.core.peer }.into())
            }
            (true, _) => Ok(()),
            (false, _) => Err(NetError::Socket { operation, kind }.into()),
        }
    }

    /// What the application and the manager wanted since the last turn.
    fn apply_commands(&mut self) {
        while let Some(command) = self.core.commands.pop_front() {
            match command {
                Command::Cancel(key) => self.abort_stream(key),
                Command::StopReceiving(key) => self.stop_receiving(key),
                Command::Serve(key) => self.serve(key),
                Command::Priority(key, priority) => {
                    let stream = self.core.streams.get(key).and_then(Http3StreamBase::id);
                    if let Some(stream) = stream {
                        self.engine.priority_update(stream, priority);
                    }
                }
                Command::Authenticated(verdict) => {
                    self.engine.authenticated(verdict, self.io.now());
                }
                Command::Close => self.close_engine(),
            }
        }
    }

    fn close_engine(&mut self) {
        step(Step::CloseEngine);
        let code = match &self.core.error {
            Some(NetError::Internal(_)) => ErrorCode::INTERNAL_ERROR,
            Some(NetError::Http3Protocol { code, by_peer: false, .. }) => *code,
            _ => ErrorCode::NO_ERROR,
        };
        // A short connection may end before the engine tells of its token by itself.
        let token = self.engine.take_resumption_token(self.io.now());
        self.keep_token(token);
        self.engine.close(code, "", self.io.now());
    }

    /// Streams that have something to send.
    fn write_ready_streams(&mut self) {
        step(Step::ReadyForWrite);
        for _ in 0..self.core.streams.queue_len(Queue::ReadyForWrite) {
            if let Some(key) = self.core.streams.dequeue(Queue::ReadyForWrite) {
                self.write_stream(key);
            }
        }
    }

    fn write_stream(&mut self, key: StreamKey) {
        let now = self.io.now();
        let early = self.core.state == SessionState::ZeroRtt;
        let Some(stream) = self.core.streams.get_mut(key) else { return };
        let had_id = stream.id().is_some();
        let too_early = match self.core.state {
            // The engine would take it, and may not.
            SessionState::Initializing => self.engine.is_zero_rtt(),
            SessionState::ZeroRtt => {
                !had_id && !stream.transaction().is_some_and(HttpTransaction::may_go_early)
            }
            _ => false,
        };
        if too_early {
            self.core.streams.enqueue(Queue::WaitingForConnection, key);
            return;
        }
        let mut io = EngineIo::new(self.engine, now);
        let sent = stream.read_segments(&mut io);
        self.core.obscurity.sent(io.body_taken);
        if io.body_taken > 0
            && let Some(transaction) = stream.transaction()
        {
            transaction.timings().active(now);
        }
        self.core.body_reads.extend(stream.take_body_read());
        if !had_id && stream.id().is_some() {
            if let Some(transaction) = stream.transaction() {
                self.core.bootstrap.request_starts(key, transaction, self.core.peer, now);
            }
            if let (true, Http3StreamBase::Http(stream)) = (early, stream) {
                stream.sent_early();
            }
            self.core.streams.note_id(key);
            self.retry_unidirectional();
        }
        self.written(key, sent);
    }

    fn written(&mut self, key: StreamKey, sent: Result<Sent, NetError>) {
        let streams = &mut self.core.streams;
        match sent {
            Ok(Sent::All | Sent::WaitsForBody) => self.after_writing(key),
            Ok(Sent::Blocked) => {
                if streams.session_mut(key).is_some() {
                    streams.enqueue(Queue::WaitingForDatagramRoom, key);
                }
                self.after_writing(key);
            }
            Ok(Sent::Again) => {
                streams.enqueue(Queue::ReadyForWrite, key);
                self.core.resume_send = true;
            }
            Ok(Sent::StreamLimit) => streams.wait_for_limit(key),
            Ok(Sent::NotConnected) => self.not_connected(key),
            Ok(Sent::Over) => self.session_is_over(key),
            Err(error) => self.close_stream(key, Err(error)),
        }
    }

    /// Moves a stream's bytes to its consumer (necko's `ProcessTransactionRead`).
    pub(crate) fn read_stream(&mut self, key: StreamKey) {
        let now = self.io.now();
        let Some(stream) = self.core.streams.get_mut(key) else { return };
        let before = stream.bytes_read();
        let received = stream.write_segments(&mut EngineIo::new(self.engine, now));
        let read = stream.bytes_read().saturating_sub(before);
        if read > 0
            && let Some(transaction) = stream.transaction()
        {
            transaction.timings().active(now);
        }
        let is_http = matches!(stream, Http3StreamBase::Http(_));
        self.core.obscurity.read(read);
        self.core.streams.set_paused(key, received == Ok(Received::PipeFull));
        match received {
            Ok(Received::WouldBlock) => {
                if let Some(id) = self.core.streams.take_widening(key) {
                    self.engine.widen_window(id);
                }
            }
            Ok(Received::PipeFull) => {}
            Ok(Received::End) if is_http => self.close_stream(key, Ok(())),
            Ok(Received::End) => self.forget_if_done(key),
            Err(error) => self.close_stream(key, Err(error)),
        }
    }

    /// Ends a stream and its transaction (necko's `CloseStream`).
    pub(crate) fn close_stream(&mut self, key: StreamKey, result: Result<(), NetError>) {
        let now = self.io.now();
        let Some(stream) = self.core.streams.remove(key) else { return };
        step(Step::CloseStream);
        if result.is_err() {
            self.core.obscurity.cut_short(stream.has_head());
        }
        if let Some(transaction) = stream.transaction() {
            transaction.timings().response_end(now);
        }
        let io = &mut EngineIo::new(self.engine, now);
        let closed = match stream {
            Http3StreamBase::Http(stream) => stream.close(io, result),
            Http3StreamBase::Session(session) => {
                self.close_session(session, result.err().unwrap_or(NetError::Aborted))
            }
            Http3StreamBase::WebTransport(stream) => {
                stream.cancel(io, ErrorCode::REQUEST_CANCELLED);
                stream.close(&result.err().unwrap_or(NetError::Aborted));
                Closed::Finished
            }
        };
        if let Closed::Restart(transaction) = closed {
            self.core.restarts.push(transaction);
        }
    }

    fn abort_stream(&mut self, key: StreamKey) {
        let now = self.io.now();
        let Some(stream) = self.core.streams.remove(key) else { return };
        step(Step::CloseStream);
        self.core.obscurity.cut_short(stream.has_head());
        if let Some(transaction) = stream.transaction() {
            transaction.timings().response_end(now);
        }
        let io = &mut EngineIo::new(self.engine, now);
        match stream {
            Http3StreamBase::Http(stream) => stream.abort(io, NetError::Aborted),
            Http3StreamBase::Session(session) => {
                session.cancel(io);
                session.abort(NetError::Aborted);
            }
            Http3StreamBase::WebTransport(stream) => stream.close(&NetError::Aborted),
        }
    }

    /// Sends until the engine has no more, the socket is blocked, or the turn's share is used.
    fn process_output(&mut self) -> Result<(), CloseCause> {
        step(Step::ProcessOutput);
        self.close_if_drained();
        for _ in 0..BATCHES_PER_TURN {
            // While it is blocked, the armed timer stays as it is; the writable event brings us back.
            if self.io.is_send_blocked() {
                return Ok(());
            }
            let now = self.io.now();
            let output = self.engine.process_output(self.io.batch(), now);
            if self.send_batch()? == SendOutcome::Blocked {
                return Ok(());
            }
            match output {
                EngineOutput::BatchFull => {}
                EngineOutput::Callback(delay) => {
                    self.core.deadline = Some(now + delay);
                    self.watch_silence(now, delay);
                    self.look_for_datagram_room();
                    return Ok(());
                }
                EngineOutput::None => {
                    self.core.deadline = None;
                    return Ok(());
                }
            }
        }
        self.core.resume_send = true;
        Ok(())
    }

    /// While a consumer is slow, the engine may have nothing to wait for and let the connection end. `delay`
    /// is how long it bears silence, at most.
    fn watch_silence(&mut self, now: Instant, delay: Duration) {
        if self.core.streams.any_paused().is_none() {
            self.core.keep_alive = None;
        } else {
            // What is set stays: only what the peer sends postpones it.
            self.core.keep_alive.get_or_insert(now + (delay / 2).max(SHORTEST_SILENCE));
        }
    }

    fn break_silence(&mut self) {
        let now = self.io.now();
        if self.core.keep_alive.is_some_and(|at| at <= now) {
            self.core.keep_alive = None;
            if let Some(stream) = self.core.streams.any_paused()
                && let Some(id) = stream.id()
            {
                self.engine.keep_alive(id, stream.transaction().request().priority);
            }
        }
    }

    fn send_batch(&mut self) -> Result<SendOutcome, CloseCause> {
        if self.io.batch().is_empty() {
            return Ok(SendOutcome::Sent);
        }
        match self.io.send_batch() {
            Ok(outcome) => Ok(outcome),
            // What the batch held is lost.
            Err(error) => {
                self.socket_error("sending to the network", &error).map(|()| SendOutcome::Sent)
            }
        }
    }

    /// A session that takes no more streams closes in good order after its last one.
    fn close_if_drained(&mut self) {
        self.end_lingering();
        if self.core.is_drained() {
            log::debug!(target: "necko::session", "{}: drained, closing", self.core.host);
            step(Step::SessionClose);
            self.core.state = SessionState::Closing;
            self.close_engine();
        }
    }

    pub(crate) fn now(&self) -> Instant {
        self.io.now()
    }
}
