//! One connection: quiche's transport and HTTP/3 halves, its requests, and when it ends.
//!
//! ```text
//!                established              go_away                     nothing is open
//!   Handshaking ─────────────▶ Serving ───────────▶ GoingAway ───────────────────────▶ Closing
//!        │                        │                     │                                 ▲
//!        └── too slow, go_away ───┴── error, close by the client, idle timeout, close ────┘
//!
//!   Closing: nothing is served any more; the engine says when the connection may be forgotten
//!            (at once after an idle timeout, three probe timeouts after a CONNECTION_CLOSE).
//! ```
//!
//! A connection is *visited* when something concerns it: datagrams, its timer, a worker's reply. A
//! visit takes requests, pulls request bodies, and pushes responses, each within a budget; what is
//! left makes it stand in line again, behind the other connections. How requests are handled is in
//! [`exchange`](crate::exchange).

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    time::{Duration, Instant},
};

use quiche::h3;
use socket_transport::TimerKey;

use crate::{
    engine::{H3_NO_ERROR, Quiche},
    exchange::{Exchange, Limits},
    keyed::Key,
    origin::Origin,
};

/// How long a client may take for its handshake.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// `CONNECTION_REFUSED` (RFC 9000, 20.1).
const CONNECTION_REFUSED: u64 = 0x2;

/// A client's connection.
pub(crate) struct Connection {
    pub(crate) key: Key<Self>,
    pub(crate) quic: quiche::Connection,
    phase: Phase,
    /// What is going on, on which streams.
    pub(crate) exchange: Exchange,
    /// The engine has more to send than the last visit allowed: it is given nothing new before it has
    /// sent that, so that memory holds what the network has room for, and not what the window allows.
    pub(crate) full: bool,
    /// Stands in line for a visit.
    pub(crate) in_line: bool,
    pub(crate) timer: Option<TimerKey>,
    /// The ids under which the connection is found.
    pub(crate) ids: BTreeSet<Box<[u8]>>,
    /// Is among those that the server counts as unfinished handshakes.
    pub(crate) counts_as_handshaking: bool,
    pings: Pings,
}

/// See the picture on top.
enum Phase {
    Handshaking { deadline: Instant },
    Serving { http: Box<h3::Connection> },
    GoingAway { http: Box<h3::Connection>, announced: bool },
    Closing,
}

/// Keeps a connection with pending work alive while the client is silent: one that reads slowly
/// answers pings, one that is gone does not.
struct Pings {
    last_received: Instant,
    sent: bool,
    after: Duration,
}

impl Pings {
    /// The idle timeout is the smaller of both sides'.
    fn heed_peer(&mut self, peer: Option<&quiche::TransportParams>) {
        match peer.map(|peer| peer.max_idle_timeout) {
            None | Some(0) => {}
            Some(timeout) => self.after = self.after.min(Duration::from_millis(timeout) / 2),
        }
    }
}

impl Connection {
    pub(crate) fn new(
        key: Key<Self>,
        quic: quiche::Connection,
        idle_timeout: Duration,
        limits: Limits,
        now: Instant,
    ) -> Self {
        Self {
            key,
            quic,
            phase: Phase::Handshaking { deadline: now + HANDSHAKE_TIME },
            exchange: Exchange::new(key, limits, now),
            full: false,
            in_line: false,
            timer: None,
            ids: BTreeSet::new(),
            counts_as_handshaking: true,
            pings: Pings { last_received: now, sent: false, after: idle_timeout / 2 },
        }
    }

    /// A datagram has come.
    pub(crate) fn receive(
        &mut self,
        datagram: &mut [u8],
        from: SocketAddr,
        to: SocketAddr,
        now: Instant,
    ) {
        self.pings.last_received = now;
        self.pings.sent = false;
        match self.quic.recv(datagram, quiche::RecvInfo { from, to }) {
            Ok(_) | Err(quiche::Error::Done) => {}
            // The engine has closed the connection and says so to the client.
            Err(error) => log::debug!("connection {:?} from {from}: {error}", self.key),
        }
    }

    pub(crate) fn is_handshaking(&self) -> bool {
        matches!(self.phase, Phase::Handshaking { .. })
    }

    /// The last packet was sent; the connection only lingers, for the client's late packets.
    pub(crate) fn is_over(&self) -> bool {
        self.quic.is_closed() || self.quic.is_draining()
    }

    /// Takes requests, pulls request bodies, pushes responses.
    pub(crate) fn visit(&mut self, origin: &mut Origin, http_config: &h3::Config, now: Instant) {
        // Migrations need nothing from us; the events must not pile up.
        while let Some(event) = self.quic.path_event_next() {
            log::debug!("connection {:?}: {event:?}", self.key);
        }
        if self.is_handshaking() && self.quic.is_established() {
            self.begin_serving(http_config);
        }
        let is_alive = self.quic.local_error().is_none() && !self.is_over();
        if is_alive && let Some(engine) = engine(&mut self.phase, &mut self.quic) {
            self.exchange.run(engine, origin, self.full, now);
            self.leave_if_done(origin);
        }
        if self.quic.local_error().is_some() || self.is_over() {
            self.phase = Phase::Closing;
            self.exchange.abandon(origin);
        }
    }

    fn begin_serving(&mut self, http_config: &h3::Config) {
        match h3::Connection::with_transport(&mut self.quic, http_config) {
            Ok(http) => {
                log::debug!("connection {:?} is established", self.key);
                self.phase = Phase::Serving { http: Box::new(http) };
                self.pings.heed_peer(self.quic.peer_transport_params());
            }
            // The engine has closed the connection.
            Err(error) => log::debug!("connection {:?}: no HTTP/3: {error}", self.key),
        }
    }

    /// Graceful shutdown (RFC 9114, 5.2): new requests are rejected, those that are here finish.
    pub(crate) fn go_away(&mut self) {
        self.phase = match std::mem::replace(&mut self.phase, Phase::Closing) {
            Phase::Serving { http } => {
                self.exchange.reject_new_requests();
                Phase::GoingAway { http, announced: false }
            }
            // Nothing was promised yet.
            Phase::Handshaking { .. } => {
                let _ = self.quic.close(false, CONNECTION_REFUSED, b"the server is shutting down");
                Phase::Closing
            }
            other => other,
        };
    }

    /// Sends GOAWAY if that is owed, and `CONNECTION_CLOSE` when nothing is open any more.
    fn leave_if_done(&mut self, origin: &mut Origin) {
        let Phase::GoingAway { http, announced } = &mut self.phase else { return };
        let mut engine = Quiche { quic: &mut self.quic, http };
        if !*announced {
            // Blocked: the next visit tries again.
            *announced = engine.go_away(self.exchange.first_rejected());
        }
        self.exchange.forget_collected(&mut engine, origin);
        if *announced && self.exchange.is_empty() {
            self.close();
        }
    }

    /// Ends the connection with a frame that says that this is no error.
    pub(crate) fn close(&mut self) {
        // `Done`: it is closed already.
        let _ = self.quic.close(true, H3_NO_ERROR, b"the server is shutting down");
    }

    /// When the connection wants to be woken.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let handshake = match self.phase {
            Phase::Handshaking { deadline } => Some(deadline),
            _ => None,
        };
        let ping = (!self.pings.sent && !self.exchange.is_empty() && !self.is_over())
            .then(|| self.pings.last_received + self.pings.after);
        let round = self.exchange.next_round().filter(|_| !self.is_over());
        [self.quic.timeout_instant(), handshake, ping, round].into_iter().flatten().min()
    }

    /// The deadline may have come.
    pub(crate) fn on_timer(&mut self, now: Instant, origin: &mut Origin) {
        self.quic.on_timeout();
        if let Phase::Handshaking { deadline } = self.phase
            && deadline <= now
        {
            let _ = self.quic.close(false, CONNECTION_REFUSED, b"the handshake took too long");
        }
        if !self.pings.sent && self.pings.last_received + self.pings.after <= now {
            // Once, until something is heard again.
            self.pings.sent = true;
            if self.has_work(origin) {
                let _ = self.quic.send_ack_eliciting();
            }
        }
    }

    /// Whether anything is on its way, in either direction. A connection without is left to its idle
    /// timeout.
    fn has_work(&mut self, origin: &mut Origin) -> bool {
        if let Some(mut engine) = engine(&mut self.phase, &mut self.quic) {
            self.exchange.forget_collected(&mut engine, origin);
        }
        !self.exchange.is_empty()
    }

    /// Why it ended, for the log.
    pub(crate) fn epitaph(&self) -> String {
        if self.quic.is_timed_out() {
            "idle timeout".to_owned()
        } else if let Some(error) = self.quic.peer_error() {
            describe("closed by the client", error)
        } else if let Some(error) = self.quic.local_error() {
            describe("closed by the server", error)
        } else {
            "lost".to_owned()
        }
    }
}

/// Both halves of the engine, once there are two.
fn engine<'a>(phase: &'a mut Phase, quic: &'a mut quiche::Connection) -> Option<Quiche<'a>> {
    match phase {
        Phase::Serving { http } | Phase::GoingAway { http, .. } => Some(Quiche { quic, http }),
        Phase::Handshaking { .. } | Phase::Closing => None,
    }
}

fn describe(who: &str, error: &quiche::ConnectionError) -> String {
    let kind = if error.is_app { "HTTP/3" } else { "QUIC" };
    let reason = String::from_utf8_lossy(&error.reason);
    format!("{who}: {kind} code {:#x} {reason:?}", error.error_code)
}
