//! What the socket service's timers, sockets, wake-ups and events mean to the manager.

use std::net::SocketAddr;

use http3_session::{StreamKey, VerificationError};
use socket_transport::slots::SlotKey;
use transaction::{HttpTransaction, TransactionId};

use crate::{info::ConnectionInfo, snapshot::Snapshot};

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
    /// The application wishes something of a request that waits.
    Pending(TransactionId),
}

/// What is posted to the socket thread.
pub enum Event {
    /// A request, new or to be tried again.
    NewTransaction(ConnectionInfo, Box<HttpTransaction>),
    /// A name look-up has ended.
    Resolved {
        /// Whose look-up it was; stale if it was abandoned.
        attempt: u64,
        /// For which entry.
        info: ConnectionInfo,
        /// The addresses, or the resolver's words.
        result: Result<Vec<SocketAddr>, String>,
    },
    /// A certificate was verified.
    CertificateVerified(ConnectionKey, Result<(), VerificationError>),
    /// No connection is to be used for new requests; each closes when what runs on it is done (necko's
    /// `ClosePersistentConnections`).
    ClosePersistentConnections,
    /// Somebody wants to know what is alive.
    Snapshot(Box<dyn FnOnce(Snapshot) + Send>),
}
