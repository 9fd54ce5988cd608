//! Sessions that may be resumed.
//!
//! Each belongs to one key: whom it was made with, under which isolation, and what was demanded of the
//! certificate. A resumed connection is not asked for its certificate again, so a session is kept only when
//! that of the connection that it came from was accepted. Until then it waits with that connection.

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

/// How many keys have sessions; who was asked for least lately goes first.
const MAX_KEYS: usize = 256;

/// How many tickets of TLS 1.3 a key has, each for one connection.
const MAX_TICKETS: usize = 8;

/// The sessions of all connections.
#[derive(Default)]
pub(crate) struct Sessions(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    keys: BTreeMap<String, OfKey>,
    /// Who was asked for most lately comes last.
    order: VecDeque<String>,
}

#[derive(Default)]
struct OfKey {
    tickets: VecDeque<Tls13ClientSessionValue>,
    tls12: Option<Tls12ClientSessionValue>,
}

impl Kept {
    fn of(&mut self, key: &str) -> &mut OfKey {
        self.order.retain(|known| known != key);
        self.order.push_back(key.to_owned());
        if self.order.len() > MAX_KEYS
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
        }
        self.keys.entry(key.to_owned()).or_default()
    }
}

impl OfKey {
    fn insert(&mut self, session: Session) {
        match session {
            Session::Tls12(session) => self.tls12 = Some(session),
            Session::Tls13(ticket) => {
                if self.tickets.len() >= MAX_TICKETS {
                    self.tickets.pop_front();
                }
                self.tickets.push_back(ticket);
            }
        }
    }
}

enum Session {
    Tls12(Tls12ClientSessionValue),
    Tls13(Tls13ClientSessionValue),
}

/// The sessions as one connection sees them.
pub(crate) struct SessionsOfConnection {
    all: Arc<Sessions>,
    key: String,
    state: Mutex<Waiting>,
}

/// What came before the verdict.
enum Waiting {
    ForVerdict(Vec<Session>),
    Accepted,
    Refused,
}

impl SessionsOfConnection {
    pub(crate) fn new(all: &Arc<Sessions>, key: String) -> Self {
        Self { all: Arc::clone(all), key, state: Mutex::new(Waiting::ForVerdict(Vec::new())) }
    }

    /// The verdict on the connection's certificate.
    pub(crate) fn verdict(&self, accepted: bool) {
        let next = if accepted { Waiting::Accepted } else { Waiting::Refused };
        let waited = mem::replace(&mut *self.state.lock(), next);
        if accepted && let Waiting::ForVerdict(sessions) = waited {
            let mut kept = self.all.0.lock();
            sessions.into_iter().for_each(|session| kept.of(&self.key).insert(session));
        }
    }

    fn keep(&self, session: Session) {
        match &mut *self.state.lock() {
            Waiting::ForVerdict(waiting) if waiting.len() < MAX_TICKETS => waiting.push(session),
            Waiting::Accepted => self.all.0.lock().of(&self.key).insert(session),
            Waiting::ForVerdict(_) | Waiting::Refused => {}
        }
    }
}

impl fmt::Debug for SessionsOfConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionsOfConnection").field("key", &self.key).finish_non_exhaustive()
    }
}

/// The names are all the connection's own: its key says more than they do.
impl ClientSessionStore for SessionsOfConnection {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.keep(Session::Tls12(session));
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.all.0.lock().keys.get(&self.key)?.tls12.clone()
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        if let Some(of_key) = self.all.0.lock().keys.get_mut(&self.key) {
            of_key.tls12 = None;
        }
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.keep(Session::Tls13(ticket));
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        // The freshest lives longest.
        self.all.0.lock().keys.get_mut(&self.key)?.tickets.pop_back()
    }
}
