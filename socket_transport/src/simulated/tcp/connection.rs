//! One end of a connection: what a segment does to it, and which one it sends next.
//!
//! ```text
//!   open ──▶ SynSent ────────────┐ SYN, ACK
//!                                ├──────────▶ Established ──── reset, timed out ──▶ Dead
//!   SYN ───▶ SynReceived ────────┘ ACK
//! ```
//!
//! How far its two directions are ended is their own affair.

use std::{io, mem, net::SocketAddr, time::Duration};

use super::{
    Flag, Segment,
    receive_half::ReceiveHalf,
    send_half::{Piece, SendHalf},
};
use crate::simulated::{endpoint::EndpointId, schedule};

/// How long the answer to a SYN, and to another segment, may be overdue at first.
const SYN_PATIENCE: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_millis(200);
const MOST_PATIENCE: Duration = Duration::from_secs(64);
/// How long the end of one that its user has closed may be overdue.
const LINGER: Duration = Duration::from_secs(30);
/// How often a SYN, and another segment, is repeated to somebody who says nothing.
const SYN_REPETITIONS: u32 = 6;
const REPETITIONS: u32 = 10;

/// Whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulated) enum Owner {
    /// A socket's.
    User(EndpointId),
    /// A listening socket's, which has not handed it out.
    Backlog(EndpointId),
    /// Nobody's any more; it delivers what is left.
    Nobody,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulated) enum Stage {
    SynSent,
    SynReceived,
    Established,
    /// It has failed; with the error that its user has not heard of.
    Dead(Option<io::ErrorKind>),
}

/// What is to be done about a segment that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The connection goes on.
    GoesOn {
        /// It is connected since this segment.
        connected: bool,
        /// There is something to read.
        readable: bool,
    },
    /// The peer has ended it.
    Dies(io::ErrorKind),
    /// There is nobody to read this: it is reset.
    Unwanted,
}

pub(in crate::simulated) struct Connection {
    /// The same at both ends.
    pub(super) origin: u64,
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
    pub(super) owner: Owner,
    pub(super) stage: Stage,
    pub(super) send: SendHalf,
    pub(super) receive: ReceiveHalf,
    /// Closing it resets it.
    pub(super) resets_when_closed: bool,
    /// An acknowledgement is owed.
    pub(super) owes: bool,
    /// An acknowledgement is asked for.
    probes: bool,
    pub(super) timer: Option<schedule::Key>,
    /// When the last answer is due.
    pub(super) due: Duration,
    repetitions: u32,
    /// Repetitions since the peer was last heard.
    unheard: u32,
}

/// What its timer is for when it expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expired {
    /// Something is sent again.
    Repeats,
    /// There is no use in it.
    GivesUp,
    /// It waited for an end that nobody wants to hear of.
    Forgotten,
}

impl Connection {
    pub(super) fn new(
        origin: u64,
        (local, peer): super::Pair,
        owner: Owner,
        stage: Stage,
        (send, receive): (usize, usize),
    ) -> Self {
        Self {
            origin,
            local,
            peer,
            owner,
            stage,
            send: SendHalf::new(send),
            receive: ReceiveHalf::new(receive),
            resets_when_closed: false,
            owes: false,
            probes: false,
            timer: None,
            due: Duration::ZERO,
            repetitions: 0,
            unheard: 0,
        }
    }

    /// Takes a segment of this connection; `segment` is the size of its own.
    pub(super) fn input(&mut self, arrived: &Segment, segment: usize) -> Verdict {
        self.unheard = 0;
        if arrived.flag == Flag::Reset {
            let connecting = self.stage == Stage::SynSent;
            return Verdict::Dies(if connecting {
                io::ErrorKind::ConnectionRefused
            } else {
                io::ErrorKind::ConnectionReset
            });
        }
        let nothing = Verdict::GoesOn { connected: false, readable: false };
        let connected = match self.stage {
            Stage::SynSent if arrived.flag == Flag::Syn && arrived.ack == Some(1) => true,
            Stage::SynReceived if arrived.flag == Flag::Syn => {
                self.send.go_back(segment);
                return nothing;
            }
            Stage::SynReceived if arrived.ack.is_some_and(|ack| ack > 0) => true,
            Stage::Established => false,
            Stage::SynSent | Stage::SynReceived | Stage::Dead(_) => return nothing,
        };
        self.stage = Stage::Established;
        if let Some(ack) = arrived.ack
            && self.send.acknowledge(ack, arrived.edge, !arrived.counts(), segment)
        {
            self.repetitions = 0;
        }
        self.owes |= arrived.counts() || arrived.seq < self.receive.next();
        if arrived.flag == Flag::Syn {
            return Verdict::GoesOn { connected, readable: false };
        }
        if self.owner == Owner::Nobody
            && arrived.end() > self.receive.next()
            && !arrived.payload.is_empty()
        {
            return Verdict::Unwanted;
        }
        let readable = self.receive.take(arrived.seq, &arrived.payload, arrived.flag == Flag::Fin);
        Verdict::GoesOn { connected, readable }
    }

    /// The next segment that can be sent now, with at most `most` bytes.
    pub(super) fn next_segment(&mut self, most: usize) -> Option<Segment> {
        match self.stage {
            Stage::SynSent | Stage::SynReceived => {
                self.send.take_syn().then(|| Segment { flag: Flag::Syn, ..self.segment(0) })
            }
            Stage::Established => {
                if let Some(Piece { seq, payload, fin }) = self.send.take_piece(most) {
                    let flag = if fin { Flag::Fin } else { Flag::None };
                    Some(Segment { flag, payload, ..self.segment(seq) })
                } else if mem::take(&mut self.probes) {
                    Some(self.segment(self.send.probing_seq()))
                } else {
                    self.owes.then(|| self.segment(self.send.quiet_seq()))
                }
            }
            Stage::Dead(_) => None,
        }
    }

    /// What resets it.
    pub(super) fn reset(&mut self) -> Segment {
        Segment { flag: Flag::Reset, ..self.segment(self.send.quiet_seq()) }
    }

    /// A segment that acknowledges and says nothing.
    fn segment(&mut self, seq: u64) -> Segment {
        self.owes = false;
        let ack = (self.stage != Stage::SynSent).then(|| self.receive.next());
        Segment {
            origin: self.origin,
            from: self.local,
            to: self.peer,
            flag: Flag::None,
            seq,
            ack,
            edge: self.receive.announce(),
            payload: Vec::new(),
            corrupted: false,
        }
    }

    /// Whether nothing is left to be done about it.
    pub(super) fn is_over(&self) -> bool {
        self.owner == Owner::Nobody && self.send.is_finished() && self.receive.is_finished()
    }

    /// How long an answer may be overdue; None: nothing is waited for.
    pub(super) fn patience(&self) -> Option<Duration> {
        let doubled =
            |once: Duration| once.saturating_mul(1 << self.repetitions.min(16)).min(MOST_PATIENCE);
        match self.stage {
            Stage::SynSent | Stage::SynReceived => Some(doubled(SYN_PATIENCE)),
            Stage::Established if self.send.is_in_flight() || self.send.has_unsent() => {
                Some(doubled(PATIENCE))
            }
            Stage::Established if self.owner == Owner::Nobody => Some(LINGER),
            Stage::Established | Stage::Dead(_) => None,
        }
    }

    /// Its timer has expired.
    pub(super) fn expire(&mut self, segment: usize) -> Expired {
        let most = match self.stage {
            Stage::SynSent | Stage::SynReceived => SYN_REPETITIONS,
            Stage::Established | Stage::Dead(_) => REPETITIONS,
        };
        if !self.send.is_in_flight() && !self.send.has_unsent() {
            return Expired::Forgotten;
        }
        if self.unheard >= most {
            return Expired::GivesUp;
        }
        self.unheard += 1;
        self.repetitions += 1;
        if self.send.is_in_flight() {
            self.send.go_back(segment);
        } else {
            self.probes = true;
        }
        Expired::Repeats
    }
}
