//! What is alive, all of it at one moment of the socket thread.

use http3_session::{SessionSnapshot, SessionState};
use serde::Serialize;
use socket_transport::ServiceSnapshot;

use crate::http_connection_tcp::TcpState;

/// What is alive on a socket thread.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Snapshot {
    /// Sockets, timers, posted events.
    pub service: ServiceSnapshot,
    /// Destinations, in the order of their keys.
    pub entries: Vec<EntrySnapshot>,
    /// Connection handles alive, counted by their own constructor and drop.
    pub handles: usize,
    /// Connections that other hosts might join.
    pub coalescable: usize,
    /// Entries that wait for room for a connection.
    pub starved: usize,
    /// What earlier connections left for later ones to begin with.
    pub resumption_tokens: usize,
    /// What was, over the whole life of the manager.
    pub lifetime: Lifetime,
}

impl Snapshot {
    /// Connections on any list of any entry.
    pub fn connections(&self) -> usize {
        self.entries.iter().map(|entry| entry.connections.len()).sum()
    }

    /// Sessions that stand there.
    pub fn sessions(&self, state: SessionState) -> usize {
        self.all_sessions().filter(|session| session.state == state).count()
    }

    /// Bytes in the pipes of requests that run, in both directions.
    pub fn buffered(&self) -> usize {
        let over_http1 = self.all_http1().map(|http1| http1.buffered).sum::<usize>();
        over_http1 + self.all_sessions().map(|session| session.buffered).sum::<usize>()
    }

    fn all_sessions(&self) -> impl Iterator<Item = &SessionSnapshot> {
        let connections = self.entries.iter().flat_map(|entry| &entry.connections);
        connections.filter_map(|connection| connection.session.as_ref())
    }

    fn all_http1(&self) -> impl Iterator<Item = &Http1Snapshot> {
        let connections = self.entries.iter().flat_map(|entry| &entry.connections);
        connections.filter_map(|connection| connection.http1.as_ref())
    }

    /// Requests that run or wait.
    pub fn transactions(&self) -> usize {
        let waiting = self.entries.iter().map(|entry| entry.pending).sum::<usize>();
        let over_http1 = self.all_http1().map(|http1| http1.requests).sum::<usize>();
        waiting + over_http1 + self.all_sessions().map(|session| session.streams).sum::<usize>()
    }

    /// Nothing is alive: what a test ends with.
    ///
    /// # Errors
    /// What is, in words.
    pub fn expect_empty(&self) -> Result<(), String> {
        let mut left = Vec::new();
        let mut check = |what: &str, count: usize| {
            if count > 0 {
                left.push(format!("{count} {what}"));
            }
        };
        check("sockets", self.service.sockets);
        check("timers", self.service.timers);
        check("posted events", self.service.posted_events);
        check("wake-ups", self.service.wakers);
        check("jobs in flight", self.service.jobs_in_flight);
        check("connection entries", self.entries.len());
        check("entries that wait for room", self.starved);
        check("connections that can be joined", self.coalescable);
        check("connection handles", self.handles);
        if left.is_empty() { Ok(()) } else { Err(format!("still alive: {}", left.join(", "))) }
    }
}

/// What an entry does to get a connection, beside what its connections do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum HalfOpenState {
    /// Nothing.
    Idle,
    /// Its name is being looked up.
    Resolving,
    /// A certificate is being verified, to join another host's connection.
    Joining,
    /// A connection is being made, and soon one to another address will be as well.
    Racing,
}

/// One destination.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EntrySnapshot {
    /// Its key, in necko's notation.
    pub info: String,
    /// Requests that wait for a connection.
    pub pending: usize,
    /// What it does to get a connection.
    pub half_open: HalfOpenState,
    /// How many of its connections are being made: more than one, and they race.
    pub connecting: usize,
    /// It has joined another host's connection.
    pub coalesced: bool,
    /// Its connections: the active ones, the idle ones, the draining ones.
    pub connections: Vec<ConnectionSnapshot>,
}

/// One connection.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConnectionSnapshot {
    /// The peer's address.
    pub peer: String,
    /// On the active list.
    pub active: bool,
    /// On the idle list (if neither: draining).
    pub idle: bool,
    /// Its session, until it is closed, if it speaks HTTP/3.
    pub session: Option<SessionSnapshot>,
    /// What it does, if it speaks HTTP/1.1.
    pub http1: Option<Http1Snapshot>,
}

/// What an HTTP/1.1 connection does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Http1Snapshot {
    /// How far it got.
    pub state: TcpState,
    /// Requests that it was given so far.
    pub exchanges: u64,
    /// Requests on it: one at most.
    pub requests: usize,
    /// Bytes in the pipes of its request.
    pub buffered: usize,
    /// Bytes that it has read and nobody has room for.
    pub unread: usize,
    /// Whether it holds a handle.
    pub handle: bool,
    /// Whether it resumed an earlier TLS session.
    pub resumed: bool,
}

/// Counters that only grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Lifetime {
    /// Requests taken, restarts included.
    pub transactions: u64,
    /// Connections that were begun.
    pub connections: u64,
    /// Connections that were reclaimed.
    pub reclaimed: u64,
    /// Requests that were dispatched to a connection.
    pub dispatched: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Snapshot {
        Snapshot {
            service: ServiceSnapshot::default(),
            entries: Vec::new(),
            handles: 0,
            coalescable: 0,
            starved: 0,
            resumption_tokens: 0,
            lifetime: Lifetime::default(),
        }
    }

    fn entry() -> EntrySnapshot {
        EntrySnapshot {
            info: String::new(),
            pending: 2,
            half_open: HalfOpenState::Idle,
            connecting: 0,
            coalesced: false,
            connections: Vec::new(),
        }
    }

    #[test]
    fn m20_whatever_is_alive_is_told() {
        type Make = fn(&mut Snapshot);
        assert_eq!(empty().expect_empty(), Ok(()));
        let alive: [(&str, Make); 9] = [
            ("3 sockets", |snapshot| snapshot.service.sockets = 3),
            ("3 timers", |snapshot| snapshot.service.timers = 3),
            ("3 posted events", |snapshot| snapshot.service.posted_events = 3),
            ("3 wake-ups", |snapshot| snapshot.service.wakers = 3),
            ("3 jobs in flight", |snapshot| snapshot.service.jobs_in_flight = 3),
            ("1 connection entries", |snapshot| snapshot.entries.push(entry())),
            ("3 entries that wait for room", |snapshot| snapshot.starved = 3),
            ("3 connections that can be joined", |snapshot| snapshot.coalescable = 3),
            ("3 connection handles", |snapshot| snapshot.handles = 3),
        ];
        for (words, make) in alive {
            let mut snapshot = empty();
            make(&mut snapshot);
            assert_eq!(snapshot.expect_empty(), Err(format!("still alive: {words}")));
        }
    }

    #[test]
    fn m6_what_waits_and_what_runs_is_added_up() {
        let mut snapshot = empty();
        snapshot.entries = vec![entry(), entry()];
        let connection = ConnectionSnapshot {
            peer: String::new(),
            active: true,
            idle: false,
            session: None,
            http1: None,
        };
        for entry in &mut snapshot.entries {
            entry.connections = vec![connection.clone(), connection.clone()];
        }
        assert_eq!((snapshot.connections(), snapshot.transactions()), (4, 4));
    }
}
