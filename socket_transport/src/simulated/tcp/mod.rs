//! TCP in the simulated network: reliable bytes over the links.
//!
//! ```text
//!   open_tcp              SYN ────────────▶ a socket listens: waits to be accepted
//!   connected   ◀──────── SYN, ACK          nobody listens:   RST, the opener is refused
//!                         ACK ────────────▶
//!   write ─▶ [send buffer] ── segments ───▶ [reassembly] ─▶ [receive buffer] ─▶ read
//!                 ▲                                               │
//!                 └── acknowledged ◀── ACK, how far one may send ─┘
//!   shutdown_write        FIN ────────────▶ End, behind what was written
//! ```
//!
//! Each segment, each acknowledgement and each retransmission is a packet on its link, with an ordinal,
//! a fate and a line in the trace, as a datagram is: it can be lost, delayed, doubled, overtaken, or
//! swallowed. A corrupted one fails its checksum and is thrown away where it arrives. Segments are cut
//! to the link's MTU.
//!
//! It is a plain TCP and no study of one: what is lost is sent again after three acknowledgements that
//! did not move, or after 200 ms beyond the time at which the link owed the answer, doubling; there is no
//! slow start, a loss halves what may be on its way. An attempt to connect is repeated after 1, 2, 4 … s,
//! six times; a connection whose peer does not answer ten repetitions has timed out. Reading makes room,
//! which is told to the peer when half of the buffer is free, and asked for by a peer that waits.
//!
//! | file | what |
//! |---|---|
//! | `send_half`, `receive_half` | the two directions of a connection, each by itself |
//! | `connection` | one end: what a segment does to it, which segment it sends next |
//! | `arrival` | segments travel and arrive, timers expire |
//! | `calls`, `opening` | what sockets ask for |
//! | `socket` | what the service holds |

mod arrival;
mod calls;
mod connection;
mod opening;
mod receive_half;
mod send_half;
mod socket;

use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

pub(super) use self::connection::Connection;
pub(crate) use self::socket::{SimulatedListener, SimulatedStream};
use super::endpoint::EndpointId;

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConnectionId(u64);

/// The address of this end, and under which this end sees the other.
pub(super) type Pair = (SocketAddr, SocketAddr);

/// Connections that one listening socket keeps for its user.
const BACKLOG: usize = 128;
/// How much of a written, or received, stream a machine keeps.
const BUFFER: usize = 64 * 1024;
/// How long a connection that both sides have ended is remembered, for a FIN that comes again.
const MEMORY: Duration = Duration::from_mins(1);

/// All that a world knows of TCP.
pub(super) struct Tcp {
    pub(super) connections: BTreeMap<ConnectionId, Connection>,
    /// The living ones.
    pub(super) pairs: BTreeMap<Pair, ConnectionId>,
    pub(super) listeners: BTreeMap<SocketAddr, EndpointId>,
    /// Connections that both sides have ended: which, and until when that matters.
    ended: BTreeMap<Pair, (u64, Duration)>,
    pub(super) send_buffer: usize,
    pub(super) receive_buffer: usize,
    /// Bytes that one call reads or writes at most.
    pub(super) call_limit: usize,
}

impl Default for Tcp {
    fn default() -> Self {
        Self {
            connections: BTreeMap::new(),
            pairs: BTreeMap::new(),
            listeners: BTreeMap::new(),
            ended: BTreeMap::new(),
            send_buffer: BUFFER,
            receive_buffer: BUFFER,
            call_limit: usize::MAX,
        }
    }
}

/// The connections of a listening socket that nobody has accepted.
#[derive(Default)]
pub(super) struct Backlog {
    /// All of them, also those that are not connected yet.
    pending: usize,
    /// Those that are.
    ready: VecDeque<ConnectionId>,
}

impl Backlog {
    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }
}

/// What a segment says beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flag {
    None,
    /// The beginning.
    Syn,
    /// The end, behind its bytes.
    Fin,
    /// Nothing is as the other believes.
    Reset,
}

/// A segment on its way.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// The number of the connection that it belongs to, the same at both ends: in place of sequence
    /// numbers that begin anywhere.
    origin: u64,
    /// Where it seems to come from.
    from: SocketAddr,
    to: SocketAddr,
    flag: Flag,
    seq: u64,
    ack: Option<u64>,
    /// Up to which sequence number the sender of this one has room.
    edge: u64,
    payload: Vec<u8>,
    /// Its checksum is wrong.
    corrupted: bool,
}

impl Segment {
    /// The size of the IP packet.
    fn bytes(&self) -> usize {
        self.payload.len().saturating_add(headers(self.to))
    }

    /// The sequence number behind its bytes.
    fn end(&self) -> u64 {
        self.seq.saturating_add(length(self.payload.len()))
    }

    /// Whether it has something that is acknowledged.
    fn counts(&self) -> bool {
        matches!(self.flag, Flag::Syn | Flag::Fin) || !self.payload.is_empty()
    }

    /// A reset for whoever sent this.
    fn refusal(&self) -> Self {
        Self {
            from: self.to,
            to: self.from,
            flag: Flag::Reset,
            seq: self.ack.unwrap_or(0),
            ack: Some(self.end()),
            edge: 0,
            payload: Vec::new(),
            ..*self
        }
    }

    /// What acknowledges a FIN that came again.
    fn acknowledgement(&self) -> Self {
        Self { flag: Flag::None, ack: Some(self.end().saturating_add(1)), ..self.refusal() }
    }
}

/// IP and TCP headers.
fn headers(to: SocketAddr) -> usize {
    match to.ip() {
        IpAddr::V4(_) => 20 + 20,
        IpAddr::V6(_) => 40 + 20,
    }
}

/// A length in sequence numbers.
fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// A distance between sequence numbers of one buffer.
fn distance(from: u64, to: u64) -> usize {
    usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX)
}
