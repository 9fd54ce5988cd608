//! neqo's WebTransport behind the session's trait.
//!
//! neqo maps no codes, keeps up to ten outgoing datagrams and silently drops the oldest for the eleventh, says
//! nothing when a datagram is too long for a packet, and in debug builds doesn't bear datagrams for sessions that
//! are not active: hence the guards here.

use std::time::Instant;

use http3_session::{
    DatagramRefused, FetchError, StreamId, WebTransportConn, WebTransportEngine, WebTransportEvent,
};
use neqo_common::Encoder;
use neqo_http3::{Error, Http3Client};
use neqo_transport::StreamType;
use transaction::{
    ErrorCode, RequestHead,
    web_transport::{StreamKind, StreamStats},
};

use crate::{NeqoHttp3Conn, conn::neqo_id, headers};

/// How many outgoing datagrams neqo is told to keep.
pub(crate) const OUTGOING_DATAGRAMS: usize = 32;

/// How many of those that came neqo keeps until its events are taken, which is after each batch of packets.
pub(crate) const INCOMING_DATAGRAMS: usize = 256;

/// The longest frame of a datagram that may come: as long as any can be (RFC 9221 §3).
pub(crate) const DATAGRAM_SIZE: u64 = 65_535;

/// What is known of sessions and datagrams beside what neqo tells.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Sessions that were accepted and have not ended.
    active: Vec<StreamId>,
    /// Datagrams given to neqo.
    given: usize,
}

impl State {
    /// Follows what becomes of sessions.
    pub(crate) fn note(&mut self, event: &WebTransportEvent) {
        match event {
            WebTransportEvent::Session { session, head } if head.status.is_success() => {
                self.active.push(*session);
            }
            WebTransportEvent::SessionClosed { session, .. } => self.ends(*session),
            _ => {}
        }
    }

    fn ends(&mut self, session: StreamId) {
        self.active.retain(|active| *active != session);
    }

    fn is_active(&self, session: StreamId) -> bool {
        self.active.contains(&session)
    }
}

/// How many datagrams wait in neqo: those that were given to it, without those that it sent or dropped.
fn waiting(client: &Http3Client, given: usize) -> usize {
    let stats = client.transport_stats();
    let dropped = stats.datagram_tx.dropped_too_big + stats.datagram_tx.dropped_queue_full;
    given.saturating_sub(stats.frame_tx.datagram).saturating_sub(dropped)
}

fn fetch_error(error: &Error) -> FetchError {
    match error {
        Error::StreamLimitError => FetchError::StreamLimit,
        Error::Unavailable => FetchError::NotConnected,
        Error::AlreadyClosed | Error::InvalidStreamId => FetchError::Closing,
        other => FetchError::Rejected(other.to_string()),
    }
}

impl WebTransportConn for NeqoHttp3Conn {
    fn create_session(&mut self, head: &RequestHead, now: Instant) -> Result<StreamId, FetchError> {
        let headers = headers::request(head)?;
        let target = (head.scheme(), head.authority(), head.path());
        self.client
            .webtransport_create_session(now, &target, &headers)
            .map(|id| StreamId::new(id.as_u64()))
            .map_err(|error| fetch_error(&error))
    }

    fn close_session(&mut self, session: StreamId, code: u32, reason: &str) {
        self.web_transport.ends(session);
        if self.is_active() {
            // The only error is an unknown stream.
            let _ = self.client.webtransport_close_session(neqo_id(session), code, reason);
        }
    }

    fn create_stream(
        &mut self,
        session: StreamId,
        kind: StreamKind,
    ) -> Result<StreamId, FetchError> {
        if !self.is_active() {
            return Err(FetchError::Closing);
        }
        let kind = match kind {
            StreamKind::Bidirectional => StreamType::BiDi,
            StreamKind::Unidirectional => StreamType::UniDi,
        };
        self.client
            .webtransport_create_stream(neqo_id(session), kind)
            .map(|id| StreamId::new(id.as_u64()))
            .map_err(|error| fetch_error(&error))
    }
}

impl WebTransportEngine for NeqoHttp3Conn {
    fn reset_stream(&mut self, stream: StreamId, code: ErrorCode) {
        if self.is_active() {
            // An ended or unknown stream.
            let _ = self.client.stream_reset_send(neqo_id(stream), code.value());
        }
    }

    fn stop_sending(&mut self, stream: StreamId, code: ErrorCode) {
        if self.is_active() {
            // An ended or unknown stream.
            let _ = self.client.stream_stop_sending(neqo_id(stream), code.value());
        }
    }

    fn set_send_order(&mut self, stream: StreamId, order: Option<i64>) {
        if self.is_active() {
            // An ended or unknown stream.
            let _ = self.client.webtransport_set_sendorder(neqo_id(stream), order);
        }
    }

    fn stream_stats(&mut self, stream: StreamId) -> StreamStats {
        let id = neqo_id(stream);
        let mut figures = StreamStats::default();
        if let Ok(stats) = self.client.webtransport_send_stream_stats(id) {
            figures.bytes_written = stats.bytes_written();
            figures.bytes_sent = stats.bytes_sent();
            figures.bytes_acknowledged = stats.bytes_acked();
        }
        if let Ok(stats) = self.client.webtransport_recv_stream_stats(id) {
            figures.bytes_received = stats.bytes_received();
            figures.bytes_read = stats.bytes_read();
        }
        figures
    }

    /// neqo subtracts the length of a larger number than is sent, from what may be less: its answer for the
    /// smallest number, of one byte, is what there is to start from.
    fn max_datagram_size(&self, session: StreamId) -> usize {
        let Ok(size) = self.client.webtransport_max_datagram_size(neqo_id(StreamId::new(0))) else {
            return 0;
        };
        let number = Encoder::varint_len(session.value() / 4);
        usize::try_from(size).unwrap_or(usize::MAX).saturating_add(1).saturating_sub(number)
    }

    fn datagram_room(&self) -> usize {
        OUTGOING_DATAGRAMS.saturating_sub(waiting(&self.client, self.web_transport.given))
    }

    fn send_datagram(&mut self, session: StreamId, datagram: &[u8]) -> Result<(), DatagramRefused> {
        if !self.is_active() || !self.web_transport.is_active(session) {
            return Err(DatagramRefused::SessionGone);
        }
        if datagram.len() > self.max_datagram_size(session) {
            return Err(DatagramRefused::TooLarge);
        }
        let id = neqo_id(session);
        match self.client.webtransport_send_datagram(id, datagram, None::<u64>) {
            Ok(()) => {
                self.web_transport.given = self.web_transport.given.saturating_add(1);
                Ok(())
            }
            Err(Error::TransportError(neqo_transport::Error::TooMuchData)) => {
                Err(DatagramRefused::TooLarge)
            }
            Err(_) => Err(DatagramRefused::SessionGone),
        }
    }
}
