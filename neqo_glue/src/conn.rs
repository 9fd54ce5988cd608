//! [`NeqoHttp3Conn`]: neqo's client behind the session's trait.

use std::{fmt, net::SocketAddr, time::Instant};

use http3_session::{
    CertificateVerdict, ConnStats, EngineOutput, FetchError, Http3Conn, Http3Event,
    ResumptionToken, StreamGone, StreamId,
};
use neqo_common::event::Provider as _;
use neqo_http3::{Error, Http3Client, Http3State};
use socket_transport::{Ecn, ReceivedDatagrams, SendBatch};
use transaction::{ErrorCode, Priority, RequestHead};

use crate::{
    certificate,
    events::{self, Events},
    headers,
    input::PathKey,
    output::Outlet,
    tls_names, web_transport,
};

/// A longer reason phrase would be cut by neqo, perhaps inside a character.
const MAX_REASON: usize = 200;

/// One client connection on Mozilla's neqo.
///
/// Not `Send`, and more than that: neqo keeps objects in thread-local storage, so a connection is made,
/// used and dropped on one thread.
pub struct NeqoHttp3Conn {
    pub(crate) client: Http3Client,
    path: PathKey,
    outlet: Outlet,
    events: Events,
    /// Of a stream whose consumer keeps up.
    stream_window: u64,
    pub(crate) web_transport: web_transport::State,
}

impl fmt::Debug for NeqoHttp3Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { client, path, events, .. } = self;
        f.debug_struct("NeqoHttp3Conn")
            .field("id", client.connection_id())
            .field("state", &client.state())
            .field("path", path)
            .field("events", events)
            .finish_non_exhaustive()
    }
}

impl NeqoHttp3Conn {
    pub(crate) fn from_client(
        client: Http3Client,
        path: PathKey,
        outlet: Outlet,
        stream_window: u64,
    ) -> Self {
        let web_transport = web_transport::State::default();
        Self { client, path, outlet, events: Events::new(), stream_window, web_transport }
    }

    /// Logs to whatever can be written to.
    #[cfg(test)]
    pub(crate) fn log_to(
        &mut self,
        file: impl std::io::Write + Send + Sync + 'static,
        now: Instant,
    ) {
        self.client.set_qlog(crate::qlog::start(file, "test".into(), now));
    }

    /// neqo's client itself.
    #[cfg(test)]
    pub(crate) fn neqo(&mut self) -> &mut Http3Client {
        &mut self.client
    }

    /// Gives neqo datagrams of one source, to be decrypted where they lie.
    pub(crate) fn input<'a>(
        &mut self,
        source: SocketAddr,
        ecn: Ecn,
        datagrams: impl Iterator<Item = &'a mut [u8]>,
        now: Instant,
    ) {
        let path = self.path;
        let datagrams = datagrams.map(|bytes| path.datagram(source, ecn, bytes));
        self.client.process_multiple_input(datagrams, now);
    }

    /// Moves neqo's datagrams to `push` until it refuses one, which waits for the next call.
    pub(crate) fn output(
        &mut self,
        push: impl FnMut(SocketAddr, Ecn, &[u8]) -> bool,
        now: Instant,
    ) -> EngineOutput {
        self.outlet.fill(&mut self.client, push, now)
    }

    /// Whether streams can be worked with. neqo asserts that for some calls, and answers others for
    /// streams whose transport is gone already.
    pub(crate) fn is_active(&self) -> bool {
        self.client.state().active()
    }
}

impl Http3Conn for NeqoHttp3Conn {
    fn process_input(&mut self, received: &mut ReceivedDatagrams<'_>, now: Instant) {
        let (source, ecn) = (received.source(), received.ecn());
        self.input(source, ecn, received.datagrams(), now);
    }

    fn process_output(&mut self, batch: &mut SendBatch, now: Instant) -> EngineOutput {
        // The source address is left to the socket, which is bound to the one that we mean.
        self.output(|destination, ecn, bytes| batch.push(destination, None, ecn, bytes), now)
    }

    fn next_event(&mut self) -> Option<Http3Event> {
        if let Some(event) = self.events.take_second() {
            return Some(event);
        }
        while let Some(event) = self.client.next_event() {
            let event = self.events.translate(event);
            if let Some(Http3Event::WebTransport(event)) = &event {
                self.web_transport.note(event);
            }
            if event.is_some() {
                return event;
            }
        }
        None
    }

    fn fetch(&mut self, head: &RequestHead, now: Instant) -> Result<StreamId, FetchError> {
        let headers = headers::request(head)?;
        let priority = headers::priority(head.priority);
        // Not a URL: neqo takes only its host and its path, and so loses the port and the query.
        let target = (head.scheme(), head.authority(), head.path());
        self.client
            .fetch(now, head.method().as_str(), &target, &headers, priority)
            .map(|id| StreamId::new(id.as_u64()))
            .map_err(|error| match error {
                Error::StreamLimitError => FetchError::StreamLimit,
                Error::Unavailable => FetchError::NotConnected,
                Error::AlreadyClosed => FetchError::Closing,
                other => FetchError::Rejected(other.to_string()),
            })
    }

    /// Calls neqo until it takes nothing more: only a call that finds no room makes it watch for room.
    /// (A first call may well leave one or two bytes of room, too few for a frame, and after that
    /// nothing would ever report more.)
    fn send_data(&mut self, stream: StreamId, data: &[u8]) -> Result<usize, StreamGone> {
        if !self.is_active() {
            return Err(StreamGone);
        }
        let mut rest = data;
        // neqo doesn't take empty slices: it would send the head of an empty frame and then fail.
        while !rest.is_empty() {
            let taken = self.client.send_data(neqo_id(stream), rest).map_err(|_| StreamGone)?;
            let Some(remaining) = rest.get(taken..).filter(|_| taken > 0) else { break };
            rest = remaining;
        }
        Ok(data.len() - rest.len())
    }

    fn close_send(&mut self, stream: StreamId) -> Result<(), StreamGone> {
        if !self.is_active() {
            return Err(StreamGone);
        }
        self.client.stream_close_send(neqo_id(stream)).map_err(|_| StreamGone)
    }

    /// Reads on until the buffer is full or nothing is there: neqo reports data only when there was none
    /// before, so an answer below the buffer's length says that it will report again.
    ///
    /// When the connection closes, neqo's transport forgets the streams and what was not read of them,
    /// while the layer above would go on to wait for more. Only an end that it knew already is still
    /// told then.
    fn read_data(
        &mut self,
        stream: StreamId,
        buffer: &mut [u8],
        now: Instant,
    ) -> Result<(usize, bool), StreamGone> {
        match self.client.read_data(now, neqo_id(stream), buffer) {
            Ok((0, false)) if !self.is_active() => Err(StreamGone),
            result => result.map_err(|_| StreamGone),
        }
    }

    fn widen_window(&mut self, stream: StreamId) {
        // The only error is an unknown stream.
        let _ = self.client.set_stream_max_data(neqo_id(stream), self.stream_window);
    }

    fn cancel_fetch(&mut self, stream: StreamId, code: ErrorCode) {
        if self.is_active() {
            // The only error is an unknown stream.
            let _ = self.client.cancel_fetch(neqo_id(stream), code.value());
        }
    }

    fn priority_update(&mut self, stream: StreamId, priority: Priority) {
        if self.is_active() {
            // The only error is an unknown stream.
            let _ = self.client.priority_update(neqo_id(stream), headers::priority(priority));
        }
    }

    /// neqo pings for streams whose end it has not received, and offers nothing else that makes a peer answer
    /// but a frame that changes nothing of importance: a `PRIORITY_UPDATE` that turns the incremental flag
    /// around. (It sends none that changes nothing at all.)
    fn keep_alive(&mut self, stream: StreamId, priority: Priority) {
        if !self.is_active() {
            return;
        }
        let turned = Priority::new(priority.urgency(), !priority.incremental());
        let id = neqo_id(stream);
        if let Ok(false) = self.client.priority_update(id, headers::priority(turned)) {
            let _ = self.client.priority_update(id, headers::priority(priority));
        }
    }

    fn is_zero_rtt(&self) -> bool {
        self.client.state() == Http3State::ZeroRtt
    }

    /// neqo waits for `NEW_TOKEN`, or three probe timeouts, before it tells of a ticket.
    fn take_resumption_token(&mut self, now: Instant) -> Option<ResumptionToken> {
        self.client.take_resumption_token(now).as_ref().map(events::token)
    }

    fn peer_certificates(&self) -> Vec<Vec<u8>> {
        self.client
            .peer_certificate()
            .map(|chain| chain.iter().map(<[u8]>::to_vec).collect())
            .unwrap_or_default()
    }

    /// neqo asserts that the handshake waits for this answer, and one that comes after the connection
    /// began to close would bring its handshake back to life.
    fn authenticated(&mut self, verdict: CertificateVerdict, now: Instant) {
        let waits = self.events.take_authentication();
        let connecting = [Http3State::Initializing, Http3State::ZeroRtt];
        if waits && connecting.contains(&self.client.state()) {
            self.client.authenticated(certificate::authentication_status(verdict), now);
        }
    }

    fn close(&mut self, code: ErrorCode, reason: &str, now: Instant) {
        if matches!(self.client.state(), Http3State::Closing(_) | Http3State::Closed(_)) {
            return;
        }
        let reason = reason.get(..reason.floor_char_boundary(MAX_REASON)).unwrap_or_default();
        self.events.closing_with(reason);
        self.client.close(now, code.value(), reason);
    }

    fn packets_accepted(&self) -> u64 {
        let stats = self.client.transport_stats();
        count(stats.packets_rx.saturating_sub(stats.dropped_rx).saturating_sub(stats.dups_rx))
    }

    fn stats(&self) -> ConnStats {
        let stats = self.client.transport_stats();
        let tls = self.client.tls_info();
        ConnStats {
            packets_received: count(stats.packets_rx),
            packets_sent: count(stats.packets_tx),
            packets_lost: count(stats.lost),
            round_trip_time: stats.rtt,
            key_exchange: tls.map(|info| tls_names::group(info.key_exchange())).unwrap_or_default(),
            ech_accepted: tls.is_some_and(neqo_crypto::SecretAgentInfo::ech_accepted),
            cipher: tls.map(|info| tls_names::cipher(info.cipher_suite())).unwrap_or_default(),
            resumed: stats.resumed,
        }
    }
}

pub(crate) fn neqo_id(stream: StreamId) -> neqo_http3::StreamId {
    neqo_http3::StreamId::new(stream.value())
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
