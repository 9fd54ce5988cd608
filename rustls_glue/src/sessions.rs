//! What is kept of connections so that later ones go on from them.
//!
//! A session may be resumed without its certificate being verified again, so nothing of a connection is
//! kept before its certificate was accepted.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt, mem,
    sync::Arc,
};

use parking_lot::Mutex;
use rustls::{
    NamedGroup,
    client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue},
};
use rustls_pki_types::ServerName;

/// How much may be kept for resumption. A ticket, with the certificates that it stands for, has at most
/// 128 KiB; honest servers' have 2 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// Servers (per partition); the one that was heard of least lately makes room.
    pub servers: usize,
    /// TLS 1.3 tickets of one server, the oldest makes room. (Of TLS 1.2, one session.)
    pub tickets_per_server: usize,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self { servers: 64, tickets_per_server: 4 }
    }
}

/// One thing to keep.
enum Record {
    Group(NamedGroup),
    Tls12(Tls12ClientSessionValue),
    Tls13(Tls13ClientSessionValue),
}

/// What is kept of one server.
#[derive(Default)]
struct Server {
    group: Option<NamedGroup>,
    tls12: Option<Tls12ClientSessionValue>,
    tls13: VecDeque<Tls13ClientSessionValue>,
    /// When it was last heard of, in records.
    heard: u64,
}

/// The sessions of all connections of a factory, by the key of the partitioned server.
pub(crate) struct SessionStore {
    limits: SessionLimits,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    servers: BTreeMap<String, Server>,
    records: u64,
}

impl SessionStore {
    pub(crate) fn new(limits: SessionLimits) -> Self {
        Self { limits, kept: Mutex::default() }
    }

    fn insert(&self, key: &str, record: Record) {
        if self.limits.servers == 0 {
            return;
        }
        let mut kept = self.kept.lock();
        if !kept.servers.contains_key(key) {
            while kept.servers.len() >= self.limits.servers {
                kept.forget_one();
            }
        }
        kept.records = kept.records.wrapping_add(1);
        let heard = kept.records;
        let server = kept.servers.entry(key.to_owned()).or_default();
        server.heard = heard;
        server.insert(record, self.limits.tickets_per_server);
    }

    /// Does something with what is kept of a server, if anything is.
    fn of<T>(&self, key: &str, action: impl FnOnce(&mut Server) -> Option<T>) -> Option<T> {
        self.kept.lock().servers.get_mut(key).and_then(action)
    }

    /// Forgets all.
    pub(crate) fn clear(&self) {
        self.kept.lock().servers.clear();
    }
}

impl Kept {
    fn forget_one(&mut self) {
        let least_lately = self.servers.iter().min_by_key(|(_, server)| server.heard);
        if let Some(key) = least_lately.map(|(key, _)| key.clone()) {
            self.servers.remove(&key);
        }
    }
}

impl Server {
    fn insert(&mut self, record: Record, tickets: usize) {
        match record {
            Record::Group(group) => self.group = Some(group),
            Record::Tls12(session) => self.tls12 = Some(session),
            Record::Tls13(ticket) => {
                self.tls13.push_back(ticket);
                while self.tls13.len() > tickets {
                    self.tls13.pop_front();
                }
            }
        }
    }
}

/// One connection's view of the store: it takes what is kept under its key, and what it brings waits until
/// its certificate was accepted.
pub(crate) struct ConnectionSessions {
    store: Arc<SessionStore>,
    key: String,
    brought: Mutex<Brought>,
}

/// What a connection brought.
enum Brought {
    /// Nobody knows yet whether the server is the right one.
    Waiting(VecDeque<Record>),
    /// It is: what comes is kept at once.
    Accepted,
    /// It is not: nothing is kept.
    Refused,
}

impl ConnectionSessions {
    pub(crate) fn new(store: Arc<SessionStore>, key: String) -> Self {
        Self { store, key, brought: Mutex::new(Brought::Waiting(VecDeque::new())) }
    }

    /// The server is the right one.
    pub(crate) fn accept(&self) {
        let before = mem::replace(&mut *self.brought.lock(), Brought::Accepted);
        if let Brought::Waiting(records) = before {
            for record in records {
                self.store.insert(&self.key, record);
            }
        }
    }

    /// It is not.
    pub(crate) fn refuse(&self) {
        *self.brought.lock() = Brought::Refused;
    }

    fn bring(&self, record: Record) {
        match &mut *self.brought.lock() {
            Brought::Waiting(records) => {
                records.push_back(record);
                // The group and a session of TLS 1.2 beside the tickets.
                while records.len() > self.store.limits.tickets_per_server.saturating_add(2) {
                    records.pop_front();
                }
            }
            Brought::Accepted => self.store.insert(&self.key, record),
            Brought::Refused => {}
        }
    }
}

impl fmt::Debug for ConnectionSessions {
    /// Without the sessions: they are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionSessions").field("key", &self.key).finish_non_exhaustive()
    }
}

/// rustls' key, the server's name, is not looked at: this connection's own says more.
impl ClientSessionStore for ConnectionSessions {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.bring(Record::Group(group));
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.store.of(&self.key, |server| server.group)
    }

    fn set_tls12_session(&self, _: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.bring(Record::Tls12(session));
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.store.of(&self.key, |server| server.tls12.clone())
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.store.of(&self.key, |server| server.tls12.take());
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.bring(Record::Tls13(ticket));
    }

    /// Removes it: who sees the same ticket twice knows that both connections are of one user.
    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.store.of(&self.key, |server| server.tls13.pop_back())
    }
}
