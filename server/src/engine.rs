//! What a transfer needs of the HTTP/3 engine, and quiche as that engine.

use quiche::h3;

use crate::{priority::Priority, response::Head};

/// `H3_NO_ERROR`, and the other codes of RFC 9114, 8.1, that the server uses.
pub(crate) const H3_NO_ERROR: u64 = 0x100;
/// `H3_INTERNAL_ERROR`.
pub(crate) const H3_INTERNAL_ERROR: u64 = 0x102;
/// `H3_EXCESSIVE_LOAD`.
pub(crate) const H3_EXCESSIVE_LOAD: u64 = 0x107;
/// `H3_REQUEST_REJECTED`: not processed, safe to try again.
pub(crate) const H3_REQUEST_REJECTED: u64 = 0x10b;
/// `H3_REQUEST_INCOMPLETE`.
pub(crate) const H3_REQUEST_INCOMPLETE: u64 = 0x10d;
/// `H3_REQUEST_CANCELLED`.
pub(crate) const H3_REQUEST_CANCELLED: u64 = 0x10c;

/// The sending side of request streams.
///
/// The transfer table knows nothing else of the engine, so that a scripted one can play any order of
/// events into it.
pub(crate) trait TransferEngine {
    /// Sends the head of a response, whole or not at all. With `fin` it is the whole response.
    fn send_head(&mut self, stream: u64, head: &Head, fin: bool) -> Result<(), Stop>;

    /// Sends bytes of the body; returns how many were taken. `fin` counts only if all were.
    fn send_body(&mut self, stream: u64, data: &[u8], fin: bool) -> Result<usize, Stop>;

    /// Ends the stream as a failed one: the client must never take it for complete.
    fn reset(&mut self, stream: u64, code: u64);
}

/// Why nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// No room. The engine reports the stream as writable when there is.
    Blocked,
    /// The stream is no more: stopped by the client, reset, or closed with its connection.
    Gone,
}

/// quiche: one connection's transport and HTTP/3 halves, borrowed for a moment.
pub(crate) struct Quiche<'a> {
    pub(crate) quic: &'a mut quiche::Connection,
    pub(crate) http: &'a mut h3::Connection,
}

/// What transfers do not need.
impl Quiche<'_> {
    /// Sends GOAWAY: requests on streams from `first_rejected` on are not processed. False if there
    /// is no room for it.
    pub(crate) fn go_away(&mut self, first_rejected: u64) -> bool {
        match self.http.send_goaway(self.quic, first_rejected) {
            Err(h3::Error::StreamBlocked | h3::Error::Done) => false,
            Ok(()) => true,
            Err(error) => {
                // Without an announcement the client learns of the end by CONNECTION_CLOSE.
                log::debug!("GOAWAY was not sent: {error}");
                true
            }
        }
    }

    /// Tells the client to keep the rest of its request body. No effect on a body that has ended.
    pub(crate) fn stop_reading(&mut self, stream: u64, code: u64) {
        let _ = self.quic.stream_shutdown(stream, quiche::Shutdown::Read, code);
    }

    /// Changes the order in which the engine sends what it has.
    pub(crate) fn set_priority(&mut self, stream: u64, priority: Priority) {
        let _ =
            self.quic.stream_priority(stream, priority.transport_urgency(), priority.incremental);
    }

    /// Whether the stream's sending half is there and was not stopped. Asking lets the engine collect
    /// one that was, if nothing else is left of it.
    pub(crate) fn takes_more(&mut self, stream: u64) -> bool {
        self.quic.stream_capacity(stream).is_ok()
    }

    /// Whether all of the stream is over, in both directions, and everything was acknowledged.
    pub(crate) fn is_collected(&mut self, stream: u64) -> bool {
        match self.quic.stream_capacity(stream) {
            Err(quiche::Error::InvalidStreamState(_)) => {
                self.release(stream);
                true
            }
            _ => false,
        }
    }

    /// Lets the engine's HTTP/3 half forget a stream that its transport half does not send on any
    /// more: it only notices when it is asked to send. To be called on no other stream.
    pub(crate) fn release(&mut self, stream: u64) {
        if self.takes_more(stream) {
            return;
        }
        let nothing: [(&[u8], &[u8]); 0] = [];
        let _ = self.http.send_response(self.quic, stream, &nothing, true);
        let _ = self.http.send_body(self.quic, stream, &[], true);
    }
}

impl TransferEngine for Quiche<'_> {
    fn send_head(&mut self, stream: u64, head: &Head, fin: bool) -> Result<(), Stop> {
        let priority = head.priority.http();
        self.http
            .send_response_with_priority(self.quic, stream, &head.fields, &priority, fin)
            .map_err(|error| stop(stream, error))
    }

    fn send_body(&mut self, stream: u64, data: &[u8], fin: bool) -> Result<usize, Stop> {
        self.http.send_body(self.quic, stream, data, fin).map_err(|error| stop(stream, error))
    }

    fn reset(&mut self, stream: u64, code: u64) {
        // `Done` says that the stream is gone already.
        let _ = self.quic.stream_shutdown(stream, quiche::Shutdown::Write, code);
    }
}

fn stop(stream: u64, error: h3::Error) -> Stop {
    match error {
        h3::Error::Done | h3::Error::StreamBlocked => Stop::Blocked,
        error => {
            log::debug!("stream {stream} takes nothing more: {error}");
            Stop::Gone
        }
    }
}
