//! What became of data that was sent before the handshake was complete.

use std::fmt;

use serde::Serialize;

/// What became of early data (0-RTT), of a connection or of one request on it.
///
/// Early data is as secret as any, but whoever records it can send it once more: so only safe requests go early,
/// and a server may refuse all of it, or single requests (RFC 8470).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub enum EarlyData {
    /// None was sent.
    #[default]
    NotTried,
    /// It was sent, and the server has not said yet whether it takes it.
    Sent,
    /// The server took it: a round trip was saved.
    Accepted,
    /// The server threw it away, and it was sent again when the handshake was complete.
    Rejected,
    /// The server took it and answered 425 (Too Early) to this request, which was sent again.
    TooEarly,
}

impl fmt::Display for EarlyData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotTried => "not tried",
            Self::Sent => "sent",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::TooEarly => "too early for the server",
        })
    }
}
