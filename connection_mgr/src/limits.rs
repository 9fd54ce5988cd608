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
    /// How long a name look-up may take, and how long a connection until its handshake is complete.
    pub connect_timeout: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            max_connections: 900,
            max_connections_per_host: 6,
            max_speculative: 6,
            connect_timeout: Duration::from_secs(30),
        }
    }
}
