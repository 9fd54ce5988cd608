//! A client connection and a server in one thread, on a clock that the test moves.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use http::{HeaderMap, Method};
use http3_session::{ConnectParameters, EngineOutput, Http3Conn as _, Http3Event, Http3Settings};
use neqo_common::{Datagram, IpTos, IpTosEcn};
use neqo_http3::Output;
use socket_transport::Ecn;
use transaction::{Ech, RequestHead};

use super::{nss_db, peers::Peer};
use crate::NeqoHttp3Conn;

/// How long a datagram travels.
const DELAY: Duration = Duration::from_millis(5);

/// A client with whatever peer.
pub(crate) struct Pair<P> {
    pub(crate) client: NeqoHttp3Conn,
    pub(crate) peer: P,
    pub(crate) now: Instant,
    /// Datagrams that `process_output` may put into one batch.
    pub(crate) batch: usize,
    /// What the client sent, as it was seen on the wire.
    pub(crate) sent: Vec<Vec<u8>>,
    /// Events that were not looked at.
    pub(crate) events: Vec<Http3Event>,
    /// Whether the certificate is accepted when the connection asks.
    pub(crate) trusting: bool,
    /// Whether events are left with the client.
    pub(crate) deaf: bool,
}

pub(crate) fn client_address() -> SocketAddr {
    "127.0.0.1:50000".parse().unwrap()
}

pub(crate) fn server_address() -> SocketAddr {
    "127.0.0.1:443".parse().unwrap()
}

/// Some moment; only differences count.
#[expect(clippy::disallowed_methods, reason = "an `Instant` comes from nowhere else")]
pub(crate) fn start() -> Instant {
    Instant::now()
}

pub(crate) fn parameters(settings: Http3Settings) -> ConnectParameters {
    ConnectParameters {
        host: "localhost".to_owned(),
        // A socket that isn't bound to an address: what the packets say differs from it.
        local: "0.0.0.0:50000".parse().unwrap(),
        remote: server_address(),
        resumption_token: None,
        is_retry: false,
        ech: Ech::default(),
        web_transport: false,
        settings,
    }
}

pub(crate) fn get(path: &str) -> RequestHead {
    RequestHead::new(Method::GET, "https", "localhost:4433", path, &HeaderMap::new()).unwrap()
}

impl<P: Peer> Pair<P> {
    pub(crate) fn new(settings: Http3Settings, peer: impl FnOnce(Instant) -> P) -> Self {
        Self::of(&parameters(settings), peer)
    }

    pub(crate) fn of(parameters: &ConnectParameters, peer: impl FnOnce(Instant) -> P) -> Self {
        nss_db::init();
        let now = start();
        let client = NeqoHttp3Conn::new(parameters, now).unwrap();
        Self {
            client,
            peer: peer(now),
            now,
            batch: 16,
            sent: Vec::new(),
            events: Vec::new(),
            trusting: true,
            deaf: false,
        }
    }

    /// Runs the handshake; the events up to `Connected` are gone afterwards.
    pub(crate) fn connected(settings: Http3Settings, peer: impl FnOnce(Instant) -> P) -> Self {
        let mut pair = Self::new(settings, peer);
        pair.run(Duration::from_millis(200));
        assert!(pair.take(|event| matches!(event, Http3Event::Connected)), "{:?}", pair.events);
        pair.take(|event| matches!(event, Http3Event::RequestsCreatable));
        pair
    }

    /// Lets so much time pass: datagrams arrive, timers run, events are collected.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let (quiet, next) = self.turn();
            if quiet {
                self.now = next.unwrap_or(end).clamp(self.now, end.max(self.now));
            }
        }
    }

    /// One flight in each direction. Whether nothing was sent, and when the next timer is due.
    pub(crate) fn turn(&mut self) -> (bool, Option<Instant>) {
        let (datagrams, client_timer) = self.client_flight();
        self.now += DELAY;
        let tos = IpTos::from(IpTosEcn::Ect0);
        let mut quiet = datagrams.is_empty();
        for bytes in datagrams {
            let datagram = Datagram::new(client_address(), server_address(), tos, bytes);
            self.peer.input(datagram, self.now);
        }
        let (mut datagrams, peer_timer) = self.peer_flight();
        self.now += DELAY;
        quiet &= datagrams.is_empty();
        let datagrams = datagrams.iter_mut().map(Vec::as_mut_slice);
        self.client.input(server_address(), Ecn::NotEct, datagrams, self.now);
        self.collect();
        (quiet, client_timer.into_iter().chain(peer_timer).min())
    }

    /// Takes the first event that fits; says whether there was one.
    pub(crate) fn take(&mut self, fits: impl Fn(&Http3Event) -> bool) -> bool {
        let found = self.events.iter().position(fits);
        if let Some(found) = found {
            self.events.remove(found);
        }
        found.is_some()
    }

    /// Moves the client's events to `events` and answers a question about the certificate.
    pub(crate) fn collect(&mut self) {
        while !self.deaf
            && let Some(event) = self.client.next_event()
        {
            if self.trusting && matches!(event, Http3Event::AuthenticationNeeded) {
                self.client.authenticated(Ok(()), self.now);
            } else {
                self.events.push(event);
            }
        }
    }

    /// All that the client wants to send now, and when its timer is due.
    pub(crate) fn client_flight(&mut self) -> (Vec<Vec<u8>>, Option<Instant>) {
        let mut flight = Vec::new();
        loop {
            let (datagrams, output) = self.client_batch();
            flight.extend(datagrams);
            match output {
                EngineOutput::BatchFull => {}
                EngineOutput::Callback(delay) => {
                    assert!(delay >= Duration::from_millis(1), "the timer would spin");
                    return (flight, Some(self.now + delay));
                }
                EngineOutput::None => return (flight, None),
            }
        }
    }

    /// One batch of the client's output.
    pub(crate) fn client_batch(&mut self) -> (Vec<Vec<u8>>, EngineOutput) {
        let mut batch = Vec::new();
        let most = self.batch;
        let push = |destination: SocketAddr, _: Ecn, bytes: &[u8]| {
            assert_eq!(destination, server_address());
            let fits = batch.len() < most;
            if fits {
                batch.push(bytes.to_vec());
            }
            fits
        };
        let output = self.client.output(push, self.now);
        self.sent.extend(batch.iter().cloned());
        (batch, output)
    }

    /// All that the peer wants to send now, and when its timer is due.
    fn peer_flight(&mut self) -> (Vec<Vec<u8>>, Option<Instant>) {
        let mut flight = Vec::new();
        loop {
            match self.peer.output(self.now) {
                Output::Datagram(datagram) => flight.push(datagram.to_vec()),
                Output::Callback(delay) => return (flight, Some(self.now + delay)),
                Output::None => return (flight, None),
            }
        }
    }
}
