//! How the connection came about, for the first request that it carries.

use std::{net::SocketAddr, time::Instant};

use streams::Http3StreamBase;
use transaction::{ConnectTimings, HttpTransaction};

use crate::stream_table::{StreamKey, StreamTable};

/// The connection's own timings (necko's `mBootstrappedTimings`).
///
/// ```text
///  Kept ──► Given ──► connected (0-RTT: the request was sent before), or the request is gone
/// ```
#[derive(Debug, Default)]
pub(crate) struct Bootstrap {
    timings: ConnectTimings,
    local: Option<SocketAddr>,
    /// Whose request was the first.
    given_to: Option<StreamKey>,
}

impl Bootstrap {
    /// Connecting begins: with QUIC, TLS does so with it.
    pub(crate) fn begin(&mut self, timings: ConnectTimings, local: SocketAddr, now: Instant) {
        self.timings = ConnectTimings {
            connect_start: timings.connect_start.or(Some(now)),
            secure_connection_start: Some(now),
            ..timings
        };
        self.local = Some(local);
    }

    /// The handshake is done. A request that was sent before is told.
    pub(crate) fn connected(&mut self, streams: &StreamTable, now: Instant) {
        self.timings.connect_end = Some(now);
        let first = self.given_to.and_then(|key| streams.get(key));
        if let Some(transaction) = first.and_then(Http3StreamBase::transaction) {
            transaction.timings().connection(self.timings);
        }
    }

    /// A request has its stream: it leaves now. The first one gets the connection's timings.
    pub(crate) fn request_starts(
        &mut self,
        key: StreamKey,
        transaction: &HttpTransaction,
        peer: SocketAddr,
        now: Instant,
    ) {
        let timings = transaction.timings();
        if self.given_to.is_none() {
            self.given_to = Some(key);
            timings.connection(self.timings);
        }
        if let Some(local) = self.local {
            timings.carried_by(local, peer);
        }
        timings.request_start(now);
    }
}
