//! A stream's figures, which only the engine knows.

/// What a stream has carried; all zero after it has ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StreamStats {
    /// Bytes that the application wrote and the engine took.
    pub bytes_written: u64,
    /// Bytes of them that were sent at least once.
    pub bytes_sent: u64,
    /// Bytes of them that the server has acknowledged, without gaps. (Necko: always 0.)
    pub bytes_acknowledged: u64,
    /// Bytes that came from the server, without gaps.
    pub bytes_received: u64,
    /// Bytes of them that were passed to the application's pipe.
    pub bytes_read: u64,
}
