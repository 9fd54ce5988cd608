//! What the engine reports, and what the session does about it (necko's `Http3Session::ProcessEvents`).

use http::{HeaderMap, Version};
use socket_transport::walk::{Step, step};
use streams::{Http3StreamBase, StreamId};
use transaction::{
    CertificateProblem, ErrorCode, NetError, ResponseHead, TimeoutPhase, VerificationError,
    VerificationRequest,
};

use crate::{
    http3_conn::{CloseReason, Http3Event},
    outcome::CloseCause,
    session::{Intake, SessionState, Verification},
    stream_table::Queue,
    turn::Turn,
};

impl Turn<'_, '_> {
    /// Takes all events. Returns early only when the connection is over.
    pub(crate) fn process_events(&mut self) -> Result<(), CloseCause> {
        step(Step::ProcessEvents);
        while let Some(event) = self.engine.next_event() {
            log::trace!(target: "necko::session", "{}: {event:?}", self.core.host);
            self.process_event(event)?;
        }
        // What events asked for (a reset, credit for what was read) leaves soon, not with the next packet.
        let ready = self.core.streams.queue_len(Queue::ReadyForWrite) > 0;
        self.core.resume_send |= ready || self.core.is_drained();
        Ok(())
    }

    fn process_event(&mut self, event: Http3Event) -> Result<(), CloseCause> {
        match event {
            Http3Event::HeaderReady { stream, status, headers, fin } => {
                let head = ResponseHead { status, version: Version::HTTP_3, headers };
                self.header_ready(stream, head, fin);
            }
            Http3Event::MalformedHead { stream, what } => {
                self.end_stream(stream, NetError::MalformedResponse(what));
            }
            Http3Event::Trailers(stream, trailers) => {
                let key = self.core.streams.find(stream);
                if let Some(stream) = key.and_then(|key| self.core.streams.http_mut(key)) {
                    stream.set_trailers(trailers);
                }
            }
            Http3Event::DataReadable(stream) => {
                if let Some(key) = self.core.streams.find(stream) {
                    self.read_stream(key);
                }
            }
            Http3Event::DataWritable(stream) => {
                if let Some(key) = self.core.streams.find(stream) {
                    self.core.streams.enqueue(Queue::ReadyForWrite, key);
                }
            }
            Http3Event::Reset(stream, code) => {
                if !self.web_transport_reset(stream, code) {
                    self.end_stream(stream, NetError::NetInterrupt { code });
                }
            }
            Http3Event::StopSending(stream, code) => self.stop_sending(stream, code),
            Http3Event::RequestsCreatable => {
                self.core.streams.requeue(Queue::QueuedStreams, Queue::ReadyForWrite);
            }
            Http3Event::AuthenticationNeeded => {
                self.authentication_needed(self.core.host.clone());
            }
            Http3Event::EchFallbackAuthenticationNeeded { public_name } => {
                self.ech_fallback_authentication_needed(public_name);
            }
            Http3Event::GoawayReceived => self.goaway_received(),
            Http3Event::ZeroRttRejected => self.zero_rtt_rejected(),
            Http3Event::ResumptionToken(token) => self.keep_token(Some(token)),
            Http3Event::Connected => self.connected(),
            Http3Event::Closing(reason) => return self.closing(reason),
            Http3Event::Closed(reason) => return self.closed(reason),
            Http3Event::WebTransport(event) => self.web_transport_event(event),
        }
        Ok(())
    }

    fn header_ready(&mut self, stream: StreamId, head: ResponseHead, fin: bool) {
        self.core.obscurity.head(size_of_fields(&head.headers));
        let Some(key) = self.core.streams.find(stream) else { return };
        let now = self.now();
        let Some(http3_stream) = self.core.streams.http_mut(key) else { return };
        // Before the consumer sees it.
        http3_stream.transaction().timings().response_start(now);
        match http3_stream.set_response_head(head, fin) {
            Ok(()) => self.read_stream(key),
            Err(error) => self.close_stream(key, Err(error)),
        }
    }

    fn end_stream(&mut self, stream: StreamId, error: NetError) {
        if let Some(key) = self.core.streams.find(stream) {
            self.close_stream(key, Err(error));
        }
    }

    fn stop_sending(&mut self, stream: StreamId, code: ErrorCode) {
        let Some(key) = self.core.streams.find(stream) else { return };
        if self.web_transport_stopped(key, code) {
            return;
        }
        if code == ErrorCode::NO_ERROR {
            if let Some(stream) = self.core.streams.http_mut(key) {
                stream.stop_sending();
                self.core.streams.enqueue(Queue::ReadyForWrite, key);
            }
        } else {
            self.close_stream(key, Err(NetError::NetInterrupt { code }));
        }
    }

    /// Streams that have an id and were not refused finish here. Those that wait for the peer to allow more
    /// would wait for ever: they go elsewhere.
    fn goaway_received(&mut self) {
        self.core.intake = Intake::Goaway;
        self.drain_sessions();
        for _ in 0..self.core.streams.queue_len(Queue::QueuedStreams) {
            if let Some(key) = self.core.streams.dequeue(Queue::QueuedStreams) {
                if let Some(Http3StreamBase::WebTransport(_)) = self.core.streams.get(key) {
                    // It belongs to a session that goes on.
                    self.core.streams.enqueue(Queue::QueuedStreams, key);
                    continue;
                }
                let reason = "the server takes no more requests on this connection".into();
                self.close_stream(key, Err(NetError::NetReset { reason }));
            }
        }
    }

    fn ech_fallback_authentication_needed(&mut self, public_name: String) {
        if matches!(self.core.verification, Verification::NotAskedFor) {
            log::debug!(
                target: "necko::session",
                "{}: ECH was refused; the server has to prove to be {public_name}", self.core.host
            );
            self.core.ech.claimed(&public_name);
            self.authentication_needed(public_name);
        }
    }

    fn authentication_needed(&mut self, host: String) {
        if !matches!(self.core.verification, Verification::NotAskedFor) {
            return;
        }
        let chain = self.engine.peer_certificates();
        if chain.is_empty() {
            let problem = CertificateProblem::Missing;
            let missing = VerificationError { problem, detail: "no certificate".into() };
            self.core.error = Some(missing.into_net_error(&host));
            let now = self.now();
            self.engine.authenticated(Err(problem), now);
            self.core.verification = Verification::AskedFor;
            self.core.resume_send = true;
        } else {
            self.core.verification = Verification::Wanted(VerificationRequest { host, chain });
        }
    }

    fn connected(&mut self) {
        if self.core.state >= SessionState::Connected {
            return;
        }
        self.early_data_accepted();
        let stats = self.engine.stats();
        (self.core.resumed, self.core.ech.accepted) = (stats.resumed, stats.ech_accepted);
        log::debug!(
            target: "necko::session",
            "{}: connected{}, early data {} ({}, {}, {})",
            self.core.host,
            if stats.resumed { ", resumed" } else { "" },
            self.core.early_data,
            stats.key_exchange,
            stats.cipher,
            if stats.ech_accepted { "ECH accepted" } else { "no ECH" },
        );
        step(Step::SessionConnected);
        self.core.state = SessionState::Connected;
        self.core.was_connected = true;
        let now = self.now();
        self.core.bootstrap.connected(&self.core.streams, now);
        // The server may allow more streams than it was remembered to.
        for queue in [Queue::QueuedStreams, Queue::WaitingForConnection] {
            self.core.streams.requeue(queue, Queue::ReadyForWrite);
        }
    }

    /// The engine is closing: our own doing, or the peer's. It still has packets to send.
    fn closing(&mut self, reason: CloseReason) -> Result<(), CloseCause> {
        if self.core.state >= SessionState::Closing {
            return Ok(());
        }
        log::debug!(target: "necko::session", "{}: closing: {reason:?}", self.core.host);
        Err(self.error_for(reason).into())
    }

    fn closed(&mut self, reason: CloseReason) -> Result<(), CloseCause> {
        log::debug!(target: "necko::session", "{}: closed: {reason:?}", self.core.host);
        if self.core.state < SessionState::Closing {
            let error = self.error_for(reason);
            self.core.error.get_or_insert(error);
        }
        Err(CloseCause::Ended)
    }

    fn error_for(&self, reason: CloseReason) -> NetError {
        if let Some(error) = &self.core.error {
            return error.clone();
        }
        match reason {
            CloseReason::NoError { by_peer: true } => {
                NetError::NetReset { reason: "the server closed the connection".into() }
            }
            CloseReason::NoError { by_peer: false } => {
                NetError::NetReset { reason: "this side closed the connection".into() }
            }
            CloseReason::StatelessReset => NetError::NetReset {
                reason: "the server no longer knows the connection (stateless reset)".into(),
            },
            CloseReason::IdleTimeout if self.core.state < SessionState::Connected => {
                NetError::NetTimeout(TimeoutPhase::Connect)
            }
            CloseReason::IdleTimeout => NetError::NetTimeout(TimeoutPhase::Idle),
            CloseReason::Application { code, by_peer, reason } => {
                NetError::Http3Protocol { code, by_peer, reason }
            }
            CloseReason::Transport { name, by_peer } => NetError::QuicTransport { name, by_peer },
            CloseReason::TlsAlert { alert, by_peer } => NetError::Tls { alert, by_peer },
            CloseReason::EchRetry { config } => self.core.ech.retry(&self.core.host, config),
        }
    }
}

/// As RFC 9114 §4.2.2 counts: 32 for each field beside its text.
fn size_of_fields(headers: &HeaderMap) -> u64 {
    let size = |name: &str, value: &[u8]| (name.len() + value.len() + 32) as u64;
    headers.iter().map(|(name, value)| size(name.as_str(), value.as_bytes())).sum()
}
