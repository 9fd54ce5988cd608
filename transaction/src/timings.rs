//! When what happened to a request, and between whom. Necko's struct is `TimingStruct`.
//!
//! ```text
//!  queued ─► domain lookup ─► connect ──────────► request ─► response ─► response
//!            start    end     start  (TLS)   end  start      start       end
//!            └─ absent where a connection was ready ─┘
//! ```
//!
//! The socket thread records; the application looks whenever it likes, also at a request that failed.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use parking_lot::Mutex;

/// How a connection came about. It belongs to the connection, which hands it to the first request that it
/// carries; the others find it ready.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnectTimings {
    /// The look-up of the name began.
    pub domain_lookup_start: Option<Instant>,
    /// It had an answer.
    pub domain_lookup_end: Option<Instant>,
    /// The first attempt to connect began.
    pub connect_start: Option<Instant>,
    /// TCP is connected; absent with QUIC.
    pub tcp_connect_end: Option<Instant>,
    /// The TLS handshake began: with QUIC, together with connecting.
    pub secure_connection_start: Option<Instant>,
    /// Requests can be sent.
    pub connect_end: Option<Instant>,
}

/// When what happened to a request. What has not happened is absent; so is what happened to an attempt
/// before the last one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// The socket thread took it.
    pub queued: Option<Instant>,
    /// Of the connection that was made for it; all absent if it went over one that was there.
    pub connect: ConnectTimings,
    /// Its head was sent.
    pub request_start: Option<Instant>,
    /// The first head of the response came, be it an interim one.
    pub response_start: Option<Instant>,
    /// It ended on its stream, well or not. (What is left of it in the pipe is the consumer's affair.)
    pub response_end: Option<Instant>,
    /// It was sent before the handshake was completed (0-RTT).
    pub early_data: bool,
    /// This end of the connection. The address is the unspecified one where the system chooses it for each
    /// packet.
    pub local: Option<SocketAddr>,
    /// The server's end of it.
    pub remote: Option<SocketAddr>,
}

impl Timings {
    /// Whether it went over a connection that was there.
    pub fn connection_was_reused(&self) -> bool {
        self.request_start.is_some() && self.connect.connect_start.is_none()
    }
}

/// The timings of one request, shared by those who record and those who look. Any thread.
///
/// Every moment but the last piece's is recorded once; later calls change nothing.
#[derive(Debug, Clone, Default)]
pub struct SharedTimings(Arc<Mutex<Recorded>>);

#[derive(Debug, Default)]
struct Recorded {
    timings: Timings,
    /// When either side was last heard of, after the request began.
    active: Option<Instant>,
}

impl SharedTimings {
    /// What was recorded so far.
    pub fn get(&self) -> Timings {
        self.0.lock().timings
    }

    /// The socket thread has it.
    pub fn queued(&self, now: Instant) {
        self.0.lock().timings.queued.get_or_insert(now);
    }

    /// How the connection came about that was made for it. Also when more of that is known.
    pub fn connection(&self, connect: ConnectTimings) {
        self.0.lock().timings.connect = connect;
    }

    /// Between whom it goes.
    pub fn carried_by(&self, local: SocketAddr, remote: SocketAddr) {
        let timings = &mut self.0.lock().timings;
        (timings.local, timings.remote) = (Some(local), Some(remote));
    }

    /// It is sent before the handshake is completed.
    pub fn early_data(&self, early: bool) {
        self.0.lock().timings.early_data = early;
    }

    /// Its head leaves.
    pub fn request_start(&self, now: Instant) {
        let mut recorded = self.0.lock();
        recorded.timings.request_start.get_or_insert(now);
        recorded.active = Some(now);
    }

    /// A head of the response came.
    pub fn response_start(&self, now: Instant) {
        let mut recorded = self.0.lock();
        recorded.timings.response_start.get_or_insert(now);
        recorded.active = Some(now);
    }

    /// A piece of a body was sent or received.
    pub fn active(&self, now: Instant) {
        self.0.lock().active = Some(now);
    }

    /// It ended on its stream.
    pub fn response_end(&self, now: Instant) {
        self.0.lock().timings.response_end.get_or_insert(now);
    }

    /// Since when nothing was heard of either side; none before the request began.
    pub(crate) fn quiet_since(&self) -> Option<Instant> {
        self.0.lock().active
    }

    /// It begins anew.
    pub(crate) fn restart(&self) {
        let mut recorded = self.0.lock();
        let queued = recorded.timings.queued;
        *recorded = Recorded { timings: Timings { queued, ..Timings::default() }, active: None };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use socket_transport::Clock;

    use super::*;

    #[test]
    fn each_moment_is_recorded_once_and_a_restart_forgets_the_attempt() {
        let start = Clock::system().now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let shared = SharedTimings::default();
        assert_eq!((shared.get(), shared.quiet_since()), (Timings::default(), None));
        shared.queued(at(0));
        shared.connection(ConnectTimings { connect_start: Some(at(1)), ..Default::default() });
        shared.request_start(at(2));
        assert!(!shared.get().connection_was_reused());
        shared.response_start(at(3));
        shared.response_start(at(4));
        shared.active(at(5));
        shared.response_end(at(6));
        let timings = shared.get();
        assert_eq!((timings.response_start, timings.response_end), (Some(at(3)), Some(at(6))));
        assert_eq!(shared.quiet_since(), Some(at(5)));
        shared.restart();
        assert_eq!(shared.get(), Timings { queued: Some(at(0)), ..Timings::default() });
        shared.request_start(at(7));
        assert!(shared.get().connection_was_reused());
    }
}
