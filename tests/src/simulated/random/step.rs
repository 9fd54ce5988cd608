//! What a random program consists of. A step names requests and peers by any number, which the player
//! takes modulo how many there are, so that a program is known before it is played.

use std::{io, time::Duration};

use http::Method;

use super::sessions::SessionStep;

/// A step.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Sends some requests at once.
    Ask {
        host: usize,
        what: What,
        times: usize,
    },
    /// A body that is written step by step.
    Upload {
        host: usize,
        length: u64,
        announced: bool,
    },
    Feed {
        request: usize,
        bytes: u64,
    },
    FinishBody {
        request: usize,
    },
    DropWriter {
        request: usize,
    },
    /// Nothing of the response is read until [`GoOn`](Self::GoOn).
    Pause {
        request: usize,
    },
    GoOn {
        request: usize,
    },
    Read {
        request: usize,
        bytes: usize,
    },
    /// Drops the response, before its head or after.
    Drop {
        request: usize,
    },
    Priority {
        request: usize,
        urgency: u8,
        incremental: bool,
    },
    Pass(Duration),
    Peer {
        peer: usize,
        does: PeerStep,
    },
    Net(NetStep),
    Name {
        host: usize,
        becomes: Name,
    },
    /// Something with WebTransport sessions.
    Session(SessionStep),
    ClosePersistent,
    Snapshot,
    /// The end of the program.
    Shutdown,
}

/// A request.
#[derive(Debug, Clone)]
pub(super) struct What {
    pub(super) method: Method,
    pub(super) path: Path,
}

/// The paths of [`responses`](super::super::responses).
#[derive(Debug, Clone, Copy)]
pub(super) enum Path {
    Bytes(u64),
    Drip {
        length: u64,
        piece: u64,
        pause: u64,
    },
    ResetAfter(u64),
    /// A request body of so many bytes.
    Post(u64),
    Silent,
    Named(&'static str),
}

/// What a peer does.
#[derive(Debug, Clone, Copy)]
pub(super) enum PeerStep {
    Goaway,
    Close(u64),
    Reset {
        request: usize,
        code: u64,
    },
    StopSending {
        request: usize,
        code: u64,
    },
    /// Its program ends without a word, on a machine that refuses or is silent from then on.
    Kill {
        silent: bool,
    },
    /// Another program on the same machine and port, which knows nothing.
    Restart,
    /// Loses its connections, and hears from them like from strangers.
    Forget,
    /// Breaks HTTP/3 on a request's stream.
    Nonsense {
        request: usize,
    },
    /// Reads no request bodies, or reads them again.
    Reads(bool),
    Cut {
        to: bool,
        from: bool,
    },
    Mend,
    Weather(Weather),
    LoseNext {
        to: bool,
        packets: u64,
    },
    Silent(bool),
}

/// What a link is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weather {
    Fine,
    Lossy,
    Bursts,
    Doubling,
    Reordering,
    Corrupting,
    Narrow,
    SmallMtu,
    Marking,
    Bleaching,
    Far,
    Storm,
}

/// What happens to the client's machine.
#[derive(Debug, Clone, Copy)]
pub(super) enum NetStep {
    Rebind { socket: usize, port: u16 },
    WouldBlock(u32),
    WriteDelay(Duration),
    PeerWouldBlock { peer: usize, sends: u32 },
    FailSend(io::ErrorKind),
    FailBind(io::ErrorKind),
    FailReceive { socket: usize, kind: io::ErrorKind },
    BreakSocket { socket: usize },
    MergeReads(bool),
    JobDelay(Duration),
    Offline(bool),
}

/// What a look-up answers from now on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Name {
    Known,
    Unknown,
    /// A known name without an address.
    Empty,
    /// An address first where nobody listens.
    BadFirst {
        silent: bool,
    },
    /// Those addresses alone.
    OnlyBad,
}
