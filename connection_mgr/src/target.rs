//! What the socket service's timers, sockets, wake-ups and events mean to the manager.

use std::net::SocketAddr;

use http3_session::{StreamKey, VerificationError};
use socket_transport::slots::SlotKey;
use transaction::{ConnectionInfo, HttpTransaction, TabId, TransactionId};

use crate::snapshot::Snapshot;

/// A connection in the manager's table; stale when that connection is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionKey(SlotKey);

impl ConnectionKey {
    pub(crate) fn new(slot: SlotKey) -> Self {
        Self(slot)
    }

    pub(crate) fn slot(self) -> SlotKey {
        self.0
    }
}

/// What a socket, a timer or a wake-up belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A connection's socket, or its engine's timer.
    Connection(ConnectionKey),
    /// `send_data` is wanted.
    ResumeSend(ConnectionKey),
    /// `recv_data` is wanted though no packet came.
    ForceRecv(ConnectionKey),
    /// The last reference to the connection's handle is gone.
    Reclaim(ConnectionKey),
    /// The application wishes something of a request that runs.
    Stream(ConnectionKey, StreamKey),
    /// A name look-up, or a verdict on joining another host's connection, takes too long.
    HalfOpen(u64),
    /// The application wishes something of a request that waits.
    Pending(TransactionId),
    /// The time limits of requests: the next one passes, or a request with one has ended.
    TimeLimits,
}

/// What is posted to the socket thread.
pub enum Event {
    /// A request.
    NewTransaction(Box<HttpTransaction>),
    /// Somebody will soon want a connection: it may be made now (necko's `SpeculativeConnect`).
    SpeculativeConnect(ConnectionInfo),
    /// The user looks at this tab now: what waits for it goes first.
    CurrentTab(TabId),
    /// A name look-up has ended.
    Resolved {
        /// Whose look-up it was; stale if it was abandoned.
        attempt: u64,
        /// For which entry.
        info: ConnectionInfo,
        /// The addresses, or the resolver's words.
        result: Result<Vec<SocketAddr>, String>,
    },
    /// Another host's certificate was verified for this one, which would join that host's connection.
    JoinVerified {
        /// Whose verification it was; stale if it was abandoned.
        attempt: u64,
        /// For which entry.
        info: ConnectionInfo,
        /// Whether it names this host as well.
        verdict: Result<(), VerificationError>,
    },
    /// A certificate was verified.
    CertificateVerified(ConnectionKey, Result<(), VerificationError>),
    /// No connection is to be used for new requests; each closes when what runs on it is done (necko's
    /// `ClosePersistentConnections`).
    ClosePersistentConnections,
    /// The machine is on another network. What runs goes on where it is; what comes connects anew (necko's
    /// network link observer).
    NetworkChanged,
    /// Every request ends with [`Aborted`](transaction::NetError::Aborted) and every connection closes
    /// (necko's `net:cancel-all-connections`).
    AbortAllConnections,
    /// Somebody wants to know what is alive.
    Snapshot(Box<dyn FnOnce(Snapshot) + Send>),
}
