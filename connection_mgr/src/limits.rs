//! How many connections there may be.

use std::time::Duration;

/// Limits of a manager. What is beyond them waits; nothing fails because of them but by time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections of all hosts together. (Necko: 900. The socket service's own limit counts as well.)
    pub max_connections: usize,
    /// Connections of one key, where each carries one request at a time. HTTP/3 needs one and gets one.
    pub max_connections_per_host: usize,
    /// Connections that nobody has asked for yet and that are not made yet; more are not begun.
    pub max_speculative: usize,
    /// How long it may take from a name to a connection, whatever has to be tried for it.
    pub connect_timeout: Duration,
    /// How long a name look-up may take, and how long a connection to one address until its handshake is
    /// complete.
    pub attempt_timeout: Duration,
    /// How long one address is waited for before the next is tried as well. (RFC 8305 §8 recommends a quarter
    /// of a second, which is also necko's for TCP; necko's HTTP/3 has no such race.)
    pub attempt_delay: Duration,
}

/// Longer than anybody waits, and short enough for the clock's arithmetic.
const LONGEST: Duration = Duration::from_hours(365 * 24);

impl ConnectionLimits {
    /// The same with times that the clock can count.
    pub(crate) fn bounded(self) -> Self {
        Self {
            connect_timeout: self.connect_timeout.min(LONGEST),
            attempt_timeout: self.attempt_timeout.min(LONGEST),
            attempt_delay: self.attempt_delay.min(LONGEST),
            ..self
        }
    }
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            max_connections: 900,
            max_connections_per_host: 6,
            max_speculative: 6,
            connect_timeout: Duration::from_secs(90),
            attempt_timeout: Duration::from_secs(30),
            attempt_delay: Duration::from_millis(250),
        }
    }
}
