//! A peer on neqo's HTTP/3 server, which answers by [path](super::responses).
//!
//! neqo's server is good enough for one test at a time: it forgets no connection's memory, has no
//! `GOAWAY`, and takes request bodies as fast as they come. For the rest there is [`super::RawPeer`].

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use neqo_common::{Datagram, Header};
use neqo_crypto::AntiReplay;
use neqo_http3::{
    Http3OrWebTransportStream, Http3Parameters, Http3Server, Http3ServerEvent, Http3State, Priority,
};
use neqo_transport::{
    ConnectionParameters, Output, RandomConnectionIdGenerator, server::ConnectionRef,
};

use super::{
    EchKeys, Endpoint, WebTransportServer,
    ech::CONFIG_ID,
    nss_db,
    responses::{Answer, End, Plan, UPLOAD, misdirected, plan, received, too_early},
};
use crate::loopback::pattern::{self, Check};

/// A request as the server saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// `:method`.
    pub method: String,
    /// `:path`.
    pub path: String,
    /// All fields.
    pub headers: Vec<Header>,
    /// Bytes of its body so far.
    pub body: u64,
    /// Whether it has ended.
    pub fin: bool,
    /// `RESET_STREAM` of the client.
    pub reset: Option<u64>,
    /// `STOP_SENDING` of the client.
    pub stopped: Option<u64>,
}

/// See the module page.
pub struct Http3ServerPeer {
    server: Http3Server,
    /// In the order in which they came.
    pub requests: Vec<Seen>,
    /// What `PRIORITY_UPDATE`s said.
    pub priorities: Vec<Priority>,
    /// How connections closed, in that order.
    pub closed: Vec<Http3State>,
    /// So many of the next requests are answered with 421: they were not meant for this server.
    pub misdirected: usize,
    /// So many of the next requests are answered with 425: they are to come after the handshake.
    pub too_early: usize,
    /// Sessions of WebTransport, and their streams.
    pub web_transport: WebTransportServer,
    connections: Vec<ConnectionRef>,
    exchanges: Vec<Exchange>,
}

struct Exchange {
    stream: Http3OrWebTransportStream,
    /// Its place in `requests`.
    request: usize,
    plan: Plan,
    /// The request's body, where it must be the pattern.
    check: Option<Check>,
    sent: u64,
    /// When a drip falls.
    due: Option<Instant>,
    done: bool,
}

impl Http3ServerPeer {
    /// A server with these transport parameters.
    pub(super) fn new(parameters: ConnectionParameters, now: Instant) -> Self {
        nss_db::init();
        // As neqo's parameters have it, datagrams are for nothing else.
        let web_transport = parameters.get_datagram_size() > 0;
        let parameters = Http3Parameters::default()
            .connection_parameters(parameters.pmtud_iface_mtu(false))
            .max_table_size_encoder(4096)
            .max_table_size_decoder(4096)
            .max_blocked_streams(10)
            .webtransport(web_transport)
            .http3_datagram(web_transport);
        let replay = AntiReplay::new(now, Duration::from_secs(10), 7, 14).expect("anti-replay");
        let ids = Rc::new(RefCell::new(RandomConnectionIdGenerator::new(5)));
        let keys = [nss_db::SERVER_KEY];
        let server =
            Http3Server::new(now, &keys, &["h3"], replay, ids, parameters, None).expect("a server");
        Self {
            server,
            requests: Vec::new(),
            priorities: Vec::new(),
            closed: Vec::new(),
            misdirected: 0,
            too_early: 0,
            web_transport: WebTransportServer::default(),
            connections: Vec::new(),
            exchanges: Vec::new(),
        }
    }

    /// Decrypts hellos with these keys, from the next connection on.
    pub fn enable_ech(&mut self, keys: &EchKeys) {
        let EchKeys { public_name, private, public } = keys;
        self.server.enable_ech(CONFIG_ID, public_name, private, public).expect("keys");
    }

    /// How many handshakes were completed.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// How many requests came for `path`.
    pub fn count(&self, path: &str) -> usize {
        self.requests.iter().filter(|request| request.path == path).count()
    }

    /// The first request for `path`.
    #[track_caller]
    pub fn seen(&self, path: &str) -> &Seen {
        let found = self.requests.iter().find(|request| request.path == path);
        found.unwrap_or_else(|| panic!("{path} was not asked for"))
    }

    /// Resets the answer to the request for `path`.
    #[track_caller]
    pub fn reset(&mut self, path: &str, code: u64) {
        let exchange = self.exchanges.iter_mut().find(|exchange| {
            self.requests.get(exchange.request).is_some_and(|request| request.path == path)
        });
        let exchange = exchange.expect("a request");
        exchange.stream.stream_reset_send(code).expect("an open stream");
        exchange.done = true;
    }

    /// Resets the answer to one of all requests, if that is possible.
    pub fn try_reset(&mut self, request: usize, code: u64) {
        let count = self.exchanges.len().max(1);
        if let Some(exchange) = self.exchanges.get_mut(request % count) {
            let _ = exchange.stream.stream_reset_send(code);
            exchange.done = true;
        }
    }

    /// Wants no more of the body of one of all requests, if that is possible.
    pub fn try_stop_sending(&mut self, request: usize, code: u64) {
        let count = self.exchanges.len().max(1);
        if let Some(exchange) = self.exchanges.get_mut(request % count) {
            let _ = exchange.stream.stream_stop_sending(code);
        }
    }

    /// Closes every connection.
    pub fn close(&mut self, code: u64, now: Instant) {
        for connection in &self.connections {
            connection.borrow_mut().close(now, code, "the test says so");
        }
    }

    fn take_events(&mut self, now: Instant) {
        while let Some(event) = self.server.next_event() {
            match event {
                Http3ServerEvent::Headers { stream, headers, fin } => {
                    self.request(stream, headers, fin);
                }
                Http3ServerEvent::Data { stream, data, fin } => {
                    if self.web_transport.on_data(&stream, &data, fin) {
                        continue;
                    }
                    self.on(&stream, |exchange, request| {
                        request.body += data.len() as u64;
                        request.fin |= fin;
                        if let Some(check) = &mut exchange.check {
                            check.take(&data);
                        }
                        if fin && exchange.plan == Plan::AfterBody {
                            exchange.plan = Plan::Now(received(request.body));
                            exchange.begin();
                        }
                    });
                }
                Http3ServerEvent::StreamReset { stream, error } => {
                    if self.web_transport.on_reset(&stream, error) {
                        continue;
                    }
                    self.on(&stream, |exchange, request| {
                        request.reset = Some(error);
                        exchange.done |= exchange.plan == Plan::AfterBody;
                    });
                }
                Http3ServerEvent::StreamStopSending { stream, error } => {
                    if self.web_transport.on_stop(&stream, error) {
                        continue;
                    }
                    self.on(&stream, |exchange, request| {
                        request.stopped = Some(error);
                        exchange.done = true;
                    });
                }
                Http3ServerEvent::StateChange { conn, state } => match state {
                    Http3State::Connected => self.connections.push(conn),
                    Http3State::Closing(_) | Http3State::Closed(_) => {
                        // neqo wants no word about a stream from then on.
                        self.web_transport.connection_closed(&conn);
                        let gone = |exchange: &&mut Exchange| exchange.stream.conn == conn;
                        self.exchanges.iter_mut().filter(gone).for_each(|one| one.done = true);
                        self.closed.push(state);
                    }
                    _ => {}
                },
                Http3ServerEvent::PriorityUpdate { priority, .. } => {
                    self.priorities.push(priority);
                }
                Http3ServerEvent::WebTransport(event) => self.web_transport.on_event(event, now),
                Http3ServerEvent::DataWritable { .. } => {}
            }
        }
    }

    fn request(&mut self, stream: Http3OrWebTransportStream, headers: Vec<Header>, fin: bool) {
        let field = |name| {
            let found = headers.iter().find(|header| header.name() == name);
            found.map(|header| header.value().to_owned()).unwrap_or_default()
        };
        let (method, path) = (field(":method"), field(":path"));
        let plan = match plan(&method, &path) {
            _ if self.misdirected > 0 => {
                self.misdirected -= 1;
                Plan::Now(misdirected())
            }
            _ if self.too_early > 0 => {
                self.too_early -= 1;
                Plan::Now(too_early())
            }
            Plan::AfterBody if fin => Plan::Now(received(0)),
            plan => plan,
        };
        let check = path.starts_with(UPLOAD).then(Check::new);
        let request = self.requests.len();
        let (reset, stopped) = (None, None);
        self.requests.push(Seen { method, path, headers, body: 0, fin, reset, stopped });
        let mut exchange =
            Exchange { stream, request, plan, check, sent: 0, due: None, done: false };
        exchange.begin();
        self.exchanges.push(exchange);
    }

    /// An exchange is found by its stream object: a stream's number belongs to every connection.
    fn on(
        &mut self,
        stream: &Http3OrWebTransportStream,
        change: impl FnOnce(&mut Exchange, &mut Seen),
    ) {
        if let Some(exchange) = self.exchanges.iter_mut().find(|other| other.stream == *stream) {
            change(exchange, &mut self.requests[exchange.request]);
        }
    }

    /// Sends what can be sent; when the next drip falls.
    fn send_bodies(&mut self, now: Instant) -> Option<Instant> {
        for exchange in &mut self.exchanges {
            exchange.send(now);
        }
        self.exchanges.iter().filter(|exchange| !exchange.done).filter_map(|one| one.due).min()
    }
}

impl Exchange {
    /// Everything before the body.
    fn begin(&mut self) {
        let Plan::Now(answer) = &self.plan else { return };
        if let Some(code) = answer.stop_sending {
            // Refused where the client has ended its side already.
            let _ = self.stream.stream_stop_sending(code);
        }
        if let End::Reset(code) = answer.end {
            let _ = self.stream.stream_reset_send(code);
            self.done = true;
            return;
        }
        for head in answer.interim.iter().chain([&answer.head]) {
            // Refused where the client gave the stream up before it was looked at.
            self.done |= self.stream.send_headers(head).is_err();
        }
    }

    fn send(&mut self, now: Instant) {
        let Plan::Now(Answer { body, drip, end, .. }) = self.plan else { return };
        if self.done || self.due.is_some_and(|due| due > now) {
            return;
        }
        let until = drip.map_or(body, |(piece, _)| body.min(self.sent + piece));
        // Until nothing is taken: only then does neqo watch for room.
        while self.sent < until {
            match self.stream.send_data(pattern::piece(self.sent, until - self.sent)) {
                Ok(0) => return,
                Ok(taken) => self.sent += taken as u64,
                Err(_) => {
                    self.done = true;
                    return;
                }
            }
        }
        if self.sent == body {
            self.due = None;
            if end == End::Fin {
                // An error says that the client gave the stream up meanwhile.
                let _ = self.stream.stream_close_send();
                self.done = true;
            }
        } else {
            self.due = drip.map(|(_, pause)| now + pause);
        }
    }
}

impl Endpoint for Http3ServerPeer {
    fn input(&mut self, datagram: Datagram, now: Instant) -> Option<Datagram> {
        let output = self.server.process(Some(datagram), now);
        self.take_events(now);
        output.dgram()
    }

    fn output(&mut self, now: Instant) -> Output {
        let due = self.send_bodies(now).into_iter().chain(self.web_transport.send(now)).min();
        let drip = due.map(|due| due.saturating_duration_since(now));
        let output = self.server.process_output(now);
        self.take_events(now);
        match (output, drip) {
            (Output::Callback(delay), Some(drip)) => Output::Callback(delay.min(drip)),
            (Output::None, Some(drip)) => Output::Callback(drip),
            (output, _) => output,
        }
    }
}
