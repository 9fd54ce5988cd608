//! From a datagram to a connection: found by its id in constant time, admitted, or answered without
//! keeping anything.
//!
//! ```text
//!   datagram ── id known ─────────────────────────────────────────────▶ Known(connection)
//!      │
//!      ├── short header, not an Initial, too small, nonsense ─────────▶ dropped
//!      ├── other version of QUIC ─────────────────────────────────────▶ Version Negotiation
//!      ├── token wanted and not there ────────────────────────────────▶ Retry
//!      ├── too many connections, or shutting down ────────────────────▶ CONNECTION_REFUSED
//!      └── else ──────────────────────────────────────────────────────▶ New(engine)
//! ```
//!
//! Answers without a connection are never longer than what they answer, and few in a turn.

use std::{collections::HashMap, net::SocketAddr, time::Instant};

use boring::rand::rand_bytes;
use quiche::{ConnectionId, Header, RetryConnectionIds};

use crate::{
    Config, Error,
    connection::Connection,
    keyed::Key,
    retry::RetryTokens,
    transport::{ID_LENGTH, Transport},
};

/// A client's first packet fills at least so much (RFC 9000, 14.1).
const MIN_INITIAL: usize = 1200;
/// ... and names an id of at least so many bytes (RFC 9000, 7.2).
const MIN_CLIENT_ID: usize = 8;
/// With more unfinished handshakes than this every client has to prove its address.
const RETRY_ABOVE: usize = 1000;
/// Answers that may wait for the end of the receiving part of a turn; more are dropped.
const MAX_REPLIES: usize = 64;
/// `CONNECTION_REFUSED` (RFC 9000, 20.1).
const CONNECTION_REFUSED: u64 = 0x2;

/// Where a datagram goes.
pub(crate) enum Routed {
    /// To a connection that exists.
    Known(Key<Connection>),
    /// To a connection that is to be made of this, which then has these ids.
    New(Box<quiche::Connection>, Vec<Box<[u8]>>),
    /// Nowhere.
    Dropped,
}

/// A datagram of the server's that belongs to no connection.
pub(crate) struct Reply {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) datagram: Vec<u8>,
}

/// Whether a new client may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Admission {
    /// There is room, and the server is not shutting down.
    pub(crate) open: bool,
    /// Unfinished handshakes.
    pub(crate) handshaking: usize,
}

/// Addresses of a datagram, and when it came.
#[derive(Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) now: Instant,
}

/// Knows all ids, and makes connections.
pub(crate) struct Listener {
    pub(crate) transport: Transport,
    ids: HashMap<Box<[u8]>, Key<Connection>>,
    tokens: RetryTokens,
    always_retry: bool,
    replies: Vec<Reply>,
    /// Datagrams that led nowhere.
    pub(crate) dropped: u64,
}

impl Listener {
    pub(crate) fn new(config: &Config, transport: Transport, now: Instant) -> Result<Self, Error> {
        let tokens = RetryTokens::new(now).map_err(|error| Error::Engine(error.to_string()))?;
        Ok(Self {
            transport,
            ids: HashMap::new(),
            tokens,
            always_retry: config.retry,
            replies: Vec::new(),
            dropped: 0,
        })
    }

    /// Finds out whose a datagram is.
    pub(crate) fn route(
        &mut self,
        datagram: &mut [u8],
        arrival: Arrival,
        admission: Admission,
    ) -> Routed {
        if let Some(id) = short_header_id(datagram)
            && let Some(key) = self.ids.get(id)
        {
            return Routed::Known(*key);
        }
        let routed = self.route_long(datagram, arrival, admission).unwrap_or(Routed::Dropped);
        self.dropped += u64::from(matches!(routed, Routed::Dropped));
        routed
    }

    fn route_long(
        &mut self,
        datagram: &mut [u8],
        arrival: Arrival,
        admission: Admission,
    ) -> Option<Routed> {
        if datagram.first()? & 0x80 == 0 {
            return None;
        }
        let header = Header::from_slice(datagram, ID_LENGTH).ok()?;
        if let Some(key) = self.ids.get(header.dcid.as_ref()) {
            return Some(Routed::Known(*key));
        }
        if datagram.len() < MIN_INITIAL {
            return None;
        }
        if header.version != 0 && !quiche::version_is_supported(header.version) {
            self.reply(arrival, |out| {
                quiche::negotiate_version(&header.scid, &header.dcid, out).ok()
            });
            return None;
        }
        if header.ty != quiche::Type::Initial || header.dcid.len() < MIN_CLIENT_ID {
            return None;
        }
        let token = header.token.as_deref().unwrap_or_default();
        let Arrival { from, now, .. } = arrival;
        let original = self.tokens.check(token, from, &header.dcid, now).map(<[u8]>::to_vec);
        if original.is_none()
            && admission.open
            && (self.always_retry || admission.handshaking > RETRY_ABOVE)
        {
            self.retry(&header, arrival);
            return None;
        }
        let (mut quic, id) = self.accept(&header, original, arrival)?;
        if !admission.open {
            self.refuse(&mut quic, datagram, arrival);
            return None;
        }
        // Until the client has learned the new id it goes on with the one that it made up.
        Some(Routed::New(Box::new(quic), vec![id, header.dcid.as_ref().into()]))
    }

    fn accept(
        &mut self,
        header: &Header<'_>,
        original: Option<Vec<u8>>,
        arrival: Arrival,
    ) -> Option<(quiche::Connection, Box<[u8]>)> {
        let id = random_id()?;
        let scid = ConnectionId::from_ref(&id);
        let (from, to, config) = (arrival.from, arrival.to, &mut self.transport.quic);
        let made = match original.map(ConnectionId::from_vec) {
            None => quiche::accept(&scid, None, to, from, config),
            Some(original) => {
                let ids = RetryConnectionIds {
                    original_destination_cid: &original,
                    retry_source_cid: &header.dcid,
                };
                quiche::accept_with_retry(&scid, ids, to, from, config)
            }
        };
        let mut quic = made.inspect_err(|error| log::warn!("no connection: {error}")).ok()?;
        if let Some(file) = &self.transport.key_log {
            match file.try_clone() {
                Ok(file) => quic.set_keylog(Box::new(file)),
                Err(error) => log::warn!("TLS secrets are not written: {error}"),
            }
        }
        Some((quic, Box::from(id)))
    }

    fn retry(&mut self, header: &Header<'_>, arrival: Arrival) {
        let Some(id) = random_id() else { return };
        let Some(token) = self.tokens.make(arrival.from, &header.dcid, &id, arrival.now) else {
            return;
        };
        let new = ConnectionId::from_ref(&id);
        self.reply(arrival, |out| {
            quiche::retry(&header.scid, &header.dcid, &new, &token, header.version, out).ok()
        });
    }

    /// Tells the client at once, instead of letting it wait.
    fn refuse(&mut self, quic: &mut quiche::Connection, datagram: &mut [u8], arrival: Arrival) {
        let info = quiche::RecvInfo { from: arrival.from, to: arrival.to };
        if quic.recv(datagram, info).is_ok() {
            let _ = quic.close(false, CONNECTION_REFUSED, b"the server takes no more connections");
            self.reply(arrival, |out| quic.send(out).ok().map(|(len, _)| len));
        }
    }

    fn reply(&mut self, arrival: Arrival, write: impl FnOnce(&mut [u8]) -> Option<usize>) {
        if self.replies.len() >= MAX_REPLIES {
            return;
        }
        let mut datagram = vec![0; MIN_INITIAL];
        if let Some(len) = write(&mut datagram) {
            datagram.truncate(len);
            self.replies.push(Reply { from: arrival.to, to: arrival.from, datagram });
        }
    }

    pub(crate) fn take_replies(&mut self) -> Vec<Reply> {
        std::mem::take(&mut self.replies)
    }
}

/// Ids of connections.
impl Listener {
    pub(crate) fn ids(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn add_id(&mut self, connection: &mut Connection, id: Box<[u8]>) {
        self.ids.insert(id.clone(), connection.key);
        connection.ids.insert(id);
    }

    /// Gives the client the spare ids that it may have, and forgets those that it gave back.
    pub(crate) fn refresh_ids(&mut self, connection: &mut Connection) {
        while let Some(retired) = connection.quic.retired_scid_next() {
            self.ids.remove(retired.as_ref());
            connection.ids.remove(retired.as_ref());
        }
        if !connection.quic.is_established() || connection.is_over() {
            return;
        }
        while connection.quic.scids_left() > 0 {
            let Some((id, token)) = random_id().zip(random_id()) else { return };
            let scid = ConnectionId::from_ref(&id);
            if connection.quic.new_scid(&scid, u128::from_be_bytes(token), false).is_err() {
                return;
            }
            self.add_id(connection, Box::from(id));
        }
    }

    pub(crate) fn remove_ids(&mut self, connection: &Connection) {
        for id in &connection.ids {
            self.ids.remove(id);
        }
    }
}

/// The id in a packet of an established connection, which is one of ours.
fn short_header_id(datagram: &[u8]) -> Option<&[u8]> {
    let first = datagram.first()?;
    (first & 0x80 == 0).then(|| datagram.get(1..=ID_LENGTH))?
}

fn random_id() -> Option<[u8; ID_LENGTH]> {
    let mut id = [0; ID_LENGTH];
    rand_bytes(&mut id).ok()?;
    Some(id)
}
