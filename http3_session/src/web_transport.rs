//! WebTransport in the session: what its events mean, and how sessions and their streams end.
//!
//! ```text
//!  Negotiated ─► sessions that waited: ReadyForWrite, or ended as unsupported
//!  Session ────► the session is there, and its application told; or it was refused, and ends
//!  NewStream ──► a stream of the server's, in the table and with the application
//!  SessionClosed ─► the session ends, and its streams with it; the connection too, if it was made for the session
//! ```

use std::time::Duration;

use bytes::Bytes;
use streams::{Http3StreamBase, Http3WebTransportSession, Http3WebTransportStream, StreamId};
use transaction::{Closed, ErrorCode, NetError, ResponseHead, web_transport::CloseInfo};

use crate::{
    engine_io::EngineIo,
    session::SessionState,
    stream_table::{Queue, StreamKey},
    turn::Turn,
    web_transport_conn::WebTransportEvent,
};

/// How often the close of a session can be lost and sent again before its connection goes, about.
const PROBES: u32 = 3;

/// How long that takes at most. A round trip may look like ten seconds when the network was away for so long.
const LONGEST_LINGER: Duration = Duration::from_secs(5);

/// What a peer waits with an acknowledgement (RFC 9000 §18.2).
const MAX_ACK_DELAY: Duration = Duration::from_millis(25);

impl Turn<'_, '_> {
    pub(crate) fn web_transport_event(&mut self, event: WebTransportEvent) {
        match event {
            WebTransportEvent::Negotiated(enabled) => self.negotiated(enabled),
            WebTransportEvent::Session { session, head } => self.session_answered(session, head),
            WebTransportEvent::SessionClosed { session, end } => {
                let end = end.map_err(|code| NetError::NetInterrupt { code });
                if let Some(key) = self.core.streams.find(session) {
                    self.end_session(key, end);
                }
            }
            WebTransportEvent::NewStream { stream, session } => self.new_stream(stream, session),
            WebTransportEvent::Datagram { session, datagram } => self.datagram(session, datagram),
        }
    }

    /// Necko's `WebTransportNegotiationDone` (H28).
    fn negotiated(&mut self, enabled: bool) {
        log::debug!(target: "necko::session", "{}: WebTransport: {enabled}", self.core.host);
        self.core.web_transport = Some(enabled);
        if enabled {
            self.core.streams.requeue(Queue::WaitingForConnection, Queue::ReadyForWrite);
            return;
        }
        for key in self.core.streams.sessions() {
            self.close_stream(key, Err(NetError::WebTransportUnsupported));
        }
    }

    /// A stream has to wait for the connection; a session also for what the server says of sessions.
    pub(crate) fn not_connected(&mut self, key: StreamKey) {
        let is_session = self.core.streams.session_mut(key).is_some();
        if is_session && self.core.web_transport == Some(false) {
            self.close_stream(key, Err(NetError::WebTransportUnsupported));
            return;
        }
        if self.core.state == SessionState::Connected
            && let Some(transaction) =
                self.core.streams.get(key).and_then(Http3StreamBase::transaction)
        {
            // The server's SETTINGS are awaited: its time has begun.
            transaction.timings().active(self.io.now());
        }
        self.core.streams.enqueue(Queue::WaitingForConnection, key);
    }

    fn session_answered(&mut self, id: StreamId, head: ResponseHead) {
        let now = self.now();
        let Some(key) = self.core.streams.find(id) else { return };
        let Some(session) = self.core.streams.session_mut(key) else { return };
        if let Some(transaction) = session.transaction() {
            transaction.timings().response_start(now);
        }
        let status = head.status;
        match session.set_response_head(head, &mut EngineIo::new(self.engine, now)) {
            Ok(true) => {}
            Ok(false) => {
                log::debug!(target: "necko::session", "{}: no session: {status}", self.core.host);
                // What the engine has of it is over, but the server may still be waiting.
                self.engine.reset_stream(id, ErrorCode::REQUEST_CANCELLED);
                self.engine.stop_sending(id, ErrorCode::REQUEST_CANCELLED);
                self.close_stream(key, Ok(()));
            }
            Err(error) => self.close_stream(key, Err(error)),
        }
    }

    fn new_stream(&mut self, id: StreamId, session: StreamId) {
        let found = self.core.streams.find(session);
        let Some(session_key) = found.filter(|key| self.core.streams.session_mut(*key).is_some())
        else {
            self.engine.reset_stream(id, ErrorCode::REQUEST_CANCELLED);
            self.engine.stop_sending(id, ErrorCode::REQUEST_CANCELLED);
            return;
        };
        let (stream, kind, pair) = Http3WebTransportStream::incoming(session, id);
        let key = self.insert(stream);
        self.core.streams.note_id(key);
        let Some(session) = self.core.streams.session_mut(session_key) else { return };
        if let Err(code) = session.deliver_stream(kind, pair)
            && let Some(Http3StreamBase::WebTransport(stream)) = self.core.streams.remove(key)
        {
            self.core.obscurity.cut_short(true);
            stream.cancel(&mut EngineIo::new(self.engine, self.io.now()), code);
        }
    }

    fn insert(&mut self, stream: Http3WebTransportStream) -> StreamKey {
        let key = self.core.streams.insert(Http3StreamBase::WebTransport(stream));
        if let Some(Http3StreamBase::WebTransport(stream)) = self.core.streams.get(key) {
            stream.set_owner((self.core.owners)(key));
        }
        key
    }

    fn datagram(&mut self, session: StreamId, datagram: Bytes) {
        self.core.obscurity.read(datagram.len() as u64);
        let key = self.core.streams.find(session);
        if let Some(session) = key.and_then(|key| self.core.streams.session_mut(key)) {
            session.deliver_datagram(datagram);
        }
    }

    /// The peer gave up what it was sending on a WebTransport stream; its other direction goes on. Answers whether
    /// it is one.
    pub(crate) fn web_transport_reset(&mut self, id: StreamId, code: ErrorCode) -> bool {
        let Some(key) = self.core.streams.find(id) else { return false };
        let Some(Http3StreamBase::WebTransport(stream)) = self.core.streams.get_mut(key) else {
            return false;
        };
        stream.reset_received(code);
        self.core.obscurity.cut_short(true);
        self.core.streams.set_paused(key, false);
        self.forget_if_done(key);
        true
    }

    /// The peer wants no more of what it is sent on a WebTransport stream. Answers whether it is one.
    pub(crate) fn web_transport_stopped(&mut self, key: StreamKey, code: ErrorCode) -> bool {
        let Some(Http3StreamBase::WebTransport(stream)) = self.core.streams.get_mut(key) else {
            return false;
        };
        stream.stop_sending_received(code);
        self.forget_if_done(key);
        true
    }

    /// The application wants no more of what comes on a stream.
    pub(crate) fn stop_receiving(&mut self, key: StreamKey) {
        let now = self.now();
        let Some(Http3StreamBase::WebTransport(stream)) = self.core.streams.get_mut(key) else {
            return;
        };
        if stream.is_receiving() {
            self.core.obscurity.cut_short(true);
        }
        stream.stop_receiving(&mut EngineIo::new(self.engine, now));
        self.core.streams.set_paused(key, false);
        self.forget_if_done(key);
    }

    /// The application said or asked something about a stream.
    pub(crate) fn serve(&mut self, key: StreamKey) {
        let now = self.now();
        if let Some(Http3StreamBase::WebTransport(stream)) = self.core.streams.get_mut(key) {
            stream.serve(&mut EngineIo::new(self.engine, now));
        }
    }

    /// A stream has sent what it had. A session may have been asked for streams; a stream may be done.
    pub(crate) fn after_writing(&mut self, key: StreamKey) {
        let Some(session) = self.core.streams.session_mut(key) else {
            return self.forget_if_done(key);
        };
        let Some(id) = session.id() else { return };
        while let Some(session) = self.core.streams.session_mut(key)
            && let Some(request) = session.next_request()
        {
            let key = self.insert(Http3WebTransportStream::outgoing(id, request));
            self.core.streams.enqueue(Queue::ReadyForWrite, key);
            self.core.resume_send = true;
        }
    }

    /// A WebTransport stream of which nothing is left to do leaves.
    pub(crate) fn forget_if_done(&mut self, key: StreamKey) {
        if let Some(Http3StreamBase::WebTransport(stream)) = self.core.streams.get(key)
            && stream.is_done()
        {
            // What came can still be read.
            drop(self.core.streams.remove(key));
        }
    }

    /// The application closed a session, and the engine has been told.
    pub(crate) fn session_is_over(&mut self, key: StreamKey) {
        let trip = self.engine.stats().round_trip_time;
        // A probe timeout is about that (RFC 9002 §6.2.1).
        let linger =
            (trip.saturating_mul(2) + MAX_ACK_DELAY).saturating_mul(PROBES).min(LONGEST_LINGER);
        if let Some(Http3StreamBase::Session(session)) = self.core.streams.remove(key) {
            let until = self.now() + linger;
            self.core.lingering.extend(session.id().map(|id| (until, id)));
            self.end_streams_of(session.id(), &session.end());
        }
    }

    /// The server has had the time to hear of a close. If it has not ended the request's stream on its side, it is
    /// asked to: until then the stream would count as open. (Not before, or that might overtake the close.)
    pub(crate) fn end_lingering(&mut self) {
        let now = self.now();
        while let Some((_, id)) = self.core.lingering.pop_front_if(|(until, _)| *until <= now) {
            self.engine.stop_sending(id, ErrorCode::SESSION_GONE);
        }
    }

    /// The peer ended a session.
    fn end_session(&mut self, key: StreamKey, end: Result<CloseInfo, NetError>) {
        let Some(Http3StreamBase::Session(session)) = self.core.streams.remove(key) else { return };
        let id = session.id();
        if let Some(id) = id
            // The request's stream ends on this side too. An engine may have forgotten it by now.
            && (end.is_err() || self.engine.close_send(id).is_err())
        {
            self.engine.reset_stream(id, ErrorCode::SESSION_GONE);
        }
        let why = end.clone().map_or_else(|error| error, CloseInfo::into_error);
        if let Closed::Restart(transaction) = session.close(end) {
            self.core.restarts.push(transaction);
        }
        self.end_streams_of(id, &why);
    }

    /// As [`end_session`](Self::end_session), for one that is out of the table and that the peer has not been told
    /// of.
    pub(crate) fn close_session(
        &mut self,
        session: Http3WebTransportSession,
        error: NetError,
    ) -> Closed {
        let id = session.id();
        session.cancel(&mut EngineIo::new(self.engine, self.io.now()));
        self.end_streams_of(id, &error);
        session.close(Err(error))
    }

    /// W8: nothing of a session outlives it.
    fn end_streams_of(&mut self, session: Option<StreamId>, why: &NetError) {
        let Some(session) = session else { return };
        for key in self.core.streams.of_session(session) {
            self.close_stream(key, Err(why.clone()));
        }
    }

    /// The server takes no new sessions; those that there are may go on.
    pub(crate) fn drain_sessions(&mut self) {
        for key in self.core.streams.sessions() {
            if let Some(session) = self.core.streams.session_mut(key) {
                session.drain();
            }
        }
    }

    /// No event tells that the peer allows more streams on which it receives alone: something came, so one of them
    /// tries. If it succeeds, so does the next.
    pub(crate) fn retry_unidirectional(&mut self) {
        if let Some(key) = self.core.streams.dequeue(Queue::QueuedUnidirectional) {
            self.core.streams.enqueue(Queue::ReadyForWrite, key);
            self.core.resume_send = true;
        }
    }

    /// Datagrams left the engine: others take their places.
    pub(crate) fn look_for_datagram_room(&mut self) {
        let waiting = self.core.streams.queue_len(Queue::WaitingForDatagramRoom) > 0;
        if waiting && self.engine.datagram_room() > 0 {
            self.core.streams.requeue(Queue::WaitingForDatagramRoom, Queue::ReadyForWrite);
            self.core.resume_send = true;
        }
    }
}
