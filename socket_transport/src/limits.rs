//! The service's limits and counters, each in one named struct.

use std::time::Duration;

/// How much of anything the service takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Open sockets of all kinds; [`Context::open_udp`](crate::Context::open_udp) refuses beyond. Necko: 1000.
    pub max_sockets: usize,
    /// Events that wait after [`Poster::submit`](crate::Poster::submit); refused beyond.
    pub max_submissions: usize,
    /// Datagrams that one socket receives in one turn before the others have theirs. What a single
    /// system call returned is not divided, so that a turn may exceed it by one receive buffer.
    pub datagrams_per_turn: usize,
    /// Bytes that one stream reads in one turn before the others have theirs.
    pub stream_bytes_per_turn: usize,
    /// Connections that one listening socket hands out in one turn.
    pub accepts_per_turn: usize,
    /// How long posted events run before the sockets are polled again. Necko: 100 ms.
    pub time_for_events: Duration,
    /// How long the application may take from `on_shutdown` to [`Context::stop`](crate::Context::stop).
    pub shutdown_deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_sockets: 1000,
            max_submissions: 1024,
            datagrams_per_turn: 256,
            stream_bytes_per_turn: 256 * 1024,
            accepts_per_turn: 64,
            time_for_events: Duration::from_millis(100),
            shutdown_deadline: Duration::from_secs(5),
        }
    }
}

/// What went through a socket, or through all of them. Plain integers, counted on the socket thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize)]
pub struct Traffic {
    /// Payload received, in bytes.
    pub bytes_received: u64,
    /// Payload handed to the network, in bytes.
    pub bytes_sent: u64,
    /// Datagrams received, also empty and foreign ones.
    pub datagrams_received: u64,
    /// Datagrams handed to the network.
    pub datagrams_sent: u64,
    /// Sends that carried more than one datagram.
    pub gso_sends: u64,
    /// Sends that found no space and wait.
    pub would_blocks: u64,
    /// Datagrams that were dropped instead of sent: no buffer space, too large for the path, or
    /// pushed while another batch was blocked. The engine takes them for lost and retransmits.
    pub dropped_sends: u64,
    /// Datagrams received and never handed out: from port 0, or left unread by the handler.
    pub discarded_receives: u64,
    /// Errors that the network reported (ICMP), whether passed on or ignored.
    pub network_errors: u64,
}

impl Traffic {
    /// Adds the counters of `other`.
    pub(crate) fn add(&mut self, other: &Self) {
        self.bytes_received += other.bytes_received;
        self.bytes_sent += other.bytes_sent;
        self.datagrams_received += other.datagrams_received;
        self.datagrams_sent += other.datagrams_sent;
        self.gso_sends += other.gso_sends;
        self.would_blocks += other.would_blocks;
        self.dropped_sends += other.dropped_sends;
        self.discarded_receives += other.discarded_receives;
        self.network_errors += other.network_errors;
    }
}

/// What the service holds at a moment: for `about:networking`, and for tests that nothing is left.
#[derive(Clone, Debug, PartialEq, Eq, Default, serde::Serialize)]
pub struct ServiceSnapshot {
    /// Turns made so far.
    pub turns: u64,
    /// Attached sockets, polled or not.
    pub sockets: usize,
    /// Of these, not polled yet (necko's idle list).
    pub idle_sockets: usize,
    /// Of the attached ones, in the sticky ready-set.
    pub ready_sockets: usize,
    /// Of the attached ones, streams, connected or not, and sockets that listen for them.
    pub stream_sockets: usize,
    /// Of these, not connected yet.
    pub connecting_sockets: usize,
    /// Sockets that keep a batch that did not go out, or have refused bytes since they last had room.
    pub blocked_sockets: usize,
    /// Timers in existence.
    pub timers: usize,
    /// Of these, with a deadline.
    pub armed_timers: usize,
    /// Posted events and wake-ups that were not delivered yet.
    pub posted_events: usize,
    /// Wakers in existence, clones counted once.
    pub wakers: usize,
    /// Jobs that workers have not finished.
    pub jobs_in_flight: usize,
    /// Totals over all sockets, also those that are gone.
    pub traffic: Traffic,
}
