//! The WebTransport side of [`Http3ServerPeer`](super::Http3ServerPeer): what it does in a session depends on the
//! session's path.
//!
//! | path | |
//! |---|---|
//! | `/echo` | what comes on a bidirectional stream goes back on it; a unidirectional one is answered by another with the same bytes; datagrams go back |
//! | `/reject/STATUS`, `/redirect` | no session |
//! | `/hold` | no answer, until the test says so |
//! | `/close/CODE/WORDS`, `/closeafter/MILLISECONDS` | accepts, and closes |
//! | `/reset/CODE`, `/stop/CODE` | gives up its direction, or the client's, after the first byte of each of the client's streams |
//! | `/empty` | accepts, and opens a stream of each kind with nothing on it |
//! | `/uni/CONTENT`, `/bi/CONTENT` | accepts, and opens a stream with that |
//! | `/large/BYTES` | accepts, and opens a bidirectional stream with so many bytes of the pattern |
//! | `/early/NUMBER` | opens so many streams as soon as it has accepted, each with its number |
//! | `/datagrams/NUMBER` | accepts, and sends so many datagrams, each with its number |
//! | any other | accepts, takes everything, answers nothing |

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use neqo_common::Header;
use neqo_http3::{
    Http3OrWebTransportStream, WebTransportRequest, WebTransportServerEvent,
    WebTransportSessionAcceptAction as Action,
};
use neqo_transport::{StreamType, server::ConnectionRef};

use crate::loopback::pattern;

/// A session as the server has it.
pub struct ServerSession {
    request: WebTransportRequest,
    /// `:path`.
    pub path: String,
    /// All fields of the request.
    pub headers: Vec<Header>,
    /// It was accepted.
    pub accepted: bool,
    /// How the client ended it.
    pub closed: Option<String>,
    /// Datagrams of the client.
    pub datagrams: Vec<Vec<u8>>,
    /// When it is to be closed, and with what.
    close_at: Option<(Instant, u32, String)>,
}

/// A stream as the server has it.
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct ServerStream {
    stream: Http3OrWebTransportStream,
    /// Which of the server's sessions it is of.
    pub session: usize,
    /// Bytes that came.
    pub received: u64,
    /// The first few of them.
    pub first: Vec<u8>,
    /// The client has ended it.
    pub fin: bool,
    /// `RESET_STREAM` of the client.
    pub reset: Option<u64>,
    /// `STOP_SENDING` of the client.
    pub stopped: Option<u64>,
    /// To be sent back on another stream, when all of it has come.
    returned: Option<Vec<u8>>,
    outgoing: VecDeque<u8>,
    /// How much of the pattern is still to be sent, and from where.
    pattern: (u64, u64),
    finish: bool,
    open: bool,
    /// The server gave its direction up: neqo tells of that as if the client had.
    given_up: bool,
}

/// What the server has of WebTransport.
#[derive(Default)]
pub struct WebTransportServer {
    /// In the order in which they came.
    pub sessions: Vec<ServerSession>,
    /// Likewise, its own included.
    pub streams: Vec<ServerStream>,
}

impl WebTransportServer {
    pub(super) fn on_event(&mut self, event: WebTransportServerEvent, now: Instant) {
        match event {
            WebTransportServerEvent::NewSession { session, headers } => {
                self.new_session(session, headers, now);
            }
            WebTransportServerEvent::SessionClosed { session, reason, .. } => {
                if let Some(session) = self.find(&session) {
                    self.sessions[session].closed = Some(format!("{reason:?}"));
                    self.forget(session);
                }
            }
            WebTransportServerEvent::NewStream(stream) => self.new_stream(stream),
            WebTransportServerEvent::Datagram { session, datagram } => {
                let Some(found) = self.find(&session) else { return };
                let seen = &mut self.sessions[found];
                if seen.path == "/echo" && seen.closed.is_none() {
                    let _ = session.send_datagram(&datagram, None::<u64>);
                }
                seen.datagrams.push(datagram);
            }
        }
    }

    fn find(&self, request: &WebTransportRequest) -> Option<usize> {
        let same = |session: &ServerSession| {
            session.request.conn == request.conn
                && session.request.stream_id() == request.stream_id()
        };
        self.sessions.iter().position(same)
    }

    fn new_session(&mut self, request: WebTransportRequest, headers: Vec<Header>, now: Instant) {
        let path = headers.iter().find(|field| field.name() == ":path");
        let path = path.map(|field| field.value().to_owned()).unwrap_or_default();
        self.sessions.push(ServerSession {
            request,
            path: path.clone(),
            headers,
            accepted: false,
            closed: None,
            datagrams: Vec::new(),
            close_at: None,
        });
        let session = self.sessions.len() - 1;
        let mut parts = path.trim_start_matches('/').split('/');
        let (what, first) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let number = || first.parse::<u64>().expect("a number in the path");
        match what {
            "reject" => self.refuse(session, first, None),
            "redirect" => self.refuse(session, "302", Some("/elsewhere")),
            "hold" => {}
            _ => self.accept(session),
        }
        match what {
            "close" => {
                let code = u32::try_from(number()).expect("a code");
                let words = parts.next().unwrap_or_default().to_owned();
                self.sessions[session].close_at = Some((now, code, words));
            }
            "closeafter" => {
                let at = now + Duration::from_millis(number());
                self.sessions[session].close_at = Some((at, 0, String::new()));
            }
            "empty" => {
                self.open(session, StreamType::UniDi, b"", true);
                self.open(session, StreamType::BiDi, b"", true);
            }
            "uni" => self.open(session, StreamType::UniDi, first.as_bytes(), true),
            "bi" => self.open(session, StreamType::BiDi, first.as_bytes(), true),
            "large" => {
                self.open(session, StreamType::BiDi, b"", false);
                let stream = self.streams.last_mut().expect("a stream");
                (stream.pattern, stream.finish) = ((0, number()), true);
            }
            "early" => {
                for n in 0..number() {
                    self.open(session, StreamType::UniDi, n.to_string().as_bytes(), true);
                }
            }
            "datagrams" => {
                for n in 0..number() {
                    self.send_datagram(session, n.to_string().as_bytes());
                }
            }
            _ => {}
        }
    }

    /// Accepts a session, if it can still be.
    pub fn accept(&mut self, session: usize) {
        let session = &mut self.sessions[session];
        session.accepted = session.request.response(&Action::Accept).is_ok();
    }

    /// Accepts one that was held back, if it can still be.
    pub fn accept_late(&mut self, session: usize) {
        let seen = &self.sessions[session];
        if !seen.accepted && seen.closed.is_none() {
            self.accept(session);
        }
    }

    fn refuse(&mut self, session: usize, status: &str, location: Option<&str>) {
        let mut fields = vec![Header::new(":status", status)];
        fields.extend(location.map(|location| Header::new("location", location)));
        let session = &mut self.sessions[session];
        let _ = session.request.response(&Action::Reject(fields));
        session.closed = Some("refused".to_owned());
    }

    /// Closes a session, if it is open.
    pub fn close(&mut self, session: usize, code: u32, words: &str) {
        let seen = &mut self.sessions[session];
        if seen.accepted && seen.closed.is_none() {
            let _ = seen.request.close_session(code, words);
            seen.closed = Some("by the server".to_owned());
            self.forget(session);
        }
    }

    fn forget(&mut self, session: usize) {
        let of_it = self.streams.iter_mut().filter(|stream| stream.session == session);
        of_it.for_each(|stream| stream.open = false);
    }

    /// A connection is gone, and everything on it.
    pub(super) fn connection_closed(&mut self, conn: &ConnectionRef) {
        for session in 0..self.sessions.len() {
            if self.sessions[session].request.conn == *conn {
                self.sessions[session].closed.get_or_insert_with(|| "with its connection".into());
                self.forget(session);
            }
        }
    }

    /// Sends a datagram in a session, if it is open.
    pub fn send_datagram(&mut self, session: usize, content: &[u8]) {
        let seen = &self.sessions[session];
        if seen.accepted && seen.closed.is_none() {
            let _ = seen.request.send_datagram(content, None::<u64>);
        }
    }

    /// Opens a stream with this content, and its end perhaps, if the client allows one.
    pub fn open(&mut self, session: usize, kind: StreamType, content: &[u8], finish: bool) {
        let seen = &self.sessions[session];
        if seen.accepted
            && seen.closed.is_none()
            && let Ok(stream) = seen.request.create_stream(kind)
        {
            self.add(stream, session, content, finish);
        }
    }

    fn add(
        &mut self,
        stream: Http3OrWebTransportStream,
        session: usize,
        content: &[u8],
        fin: bool,
    ) {
        self.streams.push(ServerStream {
            stream,
            session,
            received: 0,
            first: Vec::new(),
            fin: false,
            reset: None,
            stopped: None,
            returned: None,
            outgoing: content.iter().copied().collect(),
            pattern: (0, 0),
            finish: fin,
            open: true,
            given_up: false,
        });
        self.streams.last_mut().expect("a stream").send();
    }

    fn new_stream(&mut self, stream: Http3OrWebTransportStream) {
        let of = |session: &ServerSession| {
            session.request.conn == stream.conn
                && Some(session.request.stream_id()) == stream.stream_info.session_id()
        };
        let Some(session) = self.sessions.iter().position(of) else { return };
        let echoed = self.sessions[session].path == "/echo";
        let one_way = stream.stream_id().is_uni();
        self.add(stream, session, b"", false);
        let added = self.streams.last_mut().expect("a stream");
        added.returned = (echoed && one_way).then(Vec::new);
    }

    /// Bytes came. Answers whether the stream is one of these.
    pub(super) fn on_data(
        &mut self,
        stream: &Http3OrWebTransportStream,
        data: &[u8],
        fin: bool,
    ) -> bool {
        let Some(place) = self.streams.iter().position(|other| other.stream == *stream) else {
            return false;
        };
        let path = self.sessions[self.streams[place].session].path.clone();
        let seen = &mut self.streams[place];
        let is_first = seen.received == 0 && !data.is_empty();
        seen.received += data.len() as u64;
        if seen.first.len() < 100 {
            seen.first.extend(data.iter().take(100));
        }
        seen.fin |= fin;
        if let Some(returned) = &mut seen.returned {
            returned.extend(data);
        } else if path == "/echo" {
            seen.outgoing.extend(data);
            seen.finish |= fin;
            seen.send();
        }
        let code = |prefix| path.strip_prefix(prefix).and_then(|code: &str| code.parse().ok());
        if is_first && let Some(code) = code("/reset/") {
            let _ = seen.stream.stream_reset_send(code);
            (seen.open, seen.given_up) = (false, true);
        }
        if is_first && let Some(code) = code("/stop/") {
            let _ = seen.stream.stream_stop_sending(code);
        }
        if fin && let Some(content) = seen.returned.take() {
            let session = seen.session;
            self.open(session, StreamType::UniDi, &content, true);
        }
        true
    }

    /// Answers whether the stream is one of these.
    pub(super) fn on_reset(&mut self, stream: &Http3OrWebTransportStream, code: u64) -> bool {
        self.on(stream, |seen| seen.reset = Some(code))
    }

    /// Answers whether the stream is one of these.
    pub(super) fn on_stop(&mut self, stream: &Http3OrWebTransportStream, code: u64) -> bool {
        self.on(stream, |seen| {
            if !seen.given_up {
                seen.stopped = Some(code);
                seen.open = false;
            }
        })
    }

    fn on(
        &mut self,
        stream: &Http3OrWebTransportStream,
        change: impl FnOnce(&mut ServerStream),
    ) -> bool {
        let found = self.streams.iter_mut().find(|other| other.stream == *stream);
        found.map(change).is_some()
    }

    /// `RESET_STREAM` and `STOP_SENDING` on a stream, where they can be.
    pub fn give_up(&mut self, stream: usize, reset: Option<u64>, stop: Option<u64>) {
        let Some(seen) = self.streams.get_mut(stream) else { return };
        if seen.session_is_over(&self.sessions) {
            return;
        }
        if let Some(code) = reset {
            let _ = seen.stream.stream_reset_send(code);
            (seen.open, seen.given_up) = (false, true);
        }
        if let Some(code) = stop {
            let _ = seen.stream.stream_stop_sending(code);
        }
    }

    /// Does what is due; when the next is.
    pub(super) fn send(&mut self, now: Instant) -> Option<Instant> {
        for session in 0..self.sessions.len() {
            let due = self.sessions[session].close_at.take_if(|(at, ..)| *at <= now);
            if let Some((_, code, words)) = due {
                self.close(session, code, &words);
            }
        }
        self.streams.iter_mut().for_each(ServerStream::send);
        self.sessions.iter().filter_map(|session| Some(session.close_at.as_ref()?.0)).min()
    }
}

impl ServerStream {
    fn session_is_over(&self, sessions: &[ServerSession]) -> bool {
        sessions[self.session].closed.is_some()
    }

    /// Gives neqo what it takes, until that is nothing: only then does it watch for room.
    fn send(&mut self) {
        while self.open {
            let (from, until) = self.pattern;
            let (front, _) = self.outgoing.as_slices();
            let piece = if front.is_empty() && from < until {
                pattern::piece(from, until - from)
            } else {
                front
            };
            if piece.is_empty() {
                break;
            }
            match self.stream.send_data(piece) {
                Ok(0) => return,
                Ok(taken) if front.is_empty() => self.pattern.0 += taken as u64,
                Ok(taken) => drop(self.outgoing.drain(..taken)),
                Err(_) => self.open = false,
            }
        }
        if self.open && self.finish {
            let _ = self.stream.stream_close_send();
            self.open = false;
        }
    }
}
