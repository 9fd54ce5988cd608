//! What reaches the socket thread besides datagrams.

use crate::{
    Snapshot,
    connection::Connection,
    files::{Opened, Refusal},
    keyed::Key,
    origin::Wanted,
    source::ReadDone,
    store::{Done, Place},
    transfers::TransferKey,
};

/// What sockets, timers and wake-ups belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// The one UDP socket.
    Socket,
    /// A connection's timer.
    Connection(Key<Connection>),
    /// Connections wait for their turn.
    Work,
    /// The time for a graceful shutdown is over.
    Deadline,
}

/// What workers and other threads post.
pub(crate) enum Event {
    /// A worker has looked for a file.
    Opened { transfer: TransferKey, result: Result<Opened, Refusal>, wanted: Wanted },
    /// A worker has read.
    Read { transfer: TransferKey, done: ReadDone },
    /// A worker has done something for an upload.
    Stored { place: Place, done: Done },
    /// Somebody wants to know what is alive.
    Report(Reply),
    /// Somebody wants to know when nothing is.
    ReportWhenEmpty(Reply),
}

/// Takes the answer to where it was asked for.
pub(crate) type Reply = Box<dyn FnOnce(Snapshot) + Send>;
