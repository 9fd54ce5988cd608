//! One connection of a [`RawPeer`](super::RawPeer): QUIC by neqo, HTTP/3 by hand.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use neqo_common::{Encoder, event::Provider as _};
use neqo_transport::{
    CloseReason, Connection, ConnectionEvent, ConnectionParameters, Output,
    RandomConnectionIdGenerator, State, StreamId, StreamType,
};

use super::{
    RawRequest, header_block, nss_db,
    raw_request::{DATA, HEADERS},
};

const SETTINGS: u64 = 0x4;
const GOAWAY: u64 = 0x7;

/// A connection. Requests are numbered in the order in which they came.
pub struct RawConnection {
    pub(super) client: SocketAddr,
    pub(super) quic: Connection,
    /// The requests.
    pub requests: Vec<RawRequest>,
    /// Whether streams are read. If not, the client gets no more credit.
    pub reads: bool,
    /// Its SETTINGS say that it takes WebTransport sessions.
    pub(super) web_transport: bool,
    /// It never sends its SETTINGS.
    pub(super) speechless: bool,
    /// Requests whose heads were completed and that nobody looked at.
    pub(super) arrived: VecDeque<usize>,
    control: Option<StreamId>,
    outgoing: BTreeMap<StreamId, Outgoing>,
    /// What is left of the time until then, and the code.
    closing: Option<(Duration, u64)>,
    last_output: Option<Instant>,
    /// Of [`goaway_now`](Self::goaway_now): requests from this stream on are not answered.
    first_refused: Option<u64>,
}

#[derive(Default)]
struct Outgoing {
    bytes: VecDeque<u8>,
    fin: bool,
}

impl RawConnection {
    pub(super) fn new(client: SocketAddr, alpn: &str, parameters: ConnectionParameters) -> Self {
        nss_db::init();
        let ids = Rc::new(RefCell::new(RandomConnectionIdGenerator::new(5)));
        let keys = [nss_db::SERVER_KEY];
        let quic = Connection::new_server(&keys, &[alpn], ids, parameters).expect("a connection");
        Self {
            client,
            quic,
            requests: Vec::new(),
            reads: true,
            web_transport: false,
            speechless: false,
            arrived: VecDeque::new(),
            control: None,
            outgoing: BTreeMap::new(),
            closing: None,
            last_output: None,
            first_refused: None,
        }
    }

    /// How it ended, or is about to.
    pub fn closed(&self) -> Option<&CloseReason> {
        match self.quic.state() {
            State::Closing { error, .. } | State::Draining { error, .. } | State::Closed(error) => {
                Some(error)
            }
            _ => None,
        }
    }

    /// Sends these bytes on the stream of a request, whatever they are.
    pub fn send(&mut self, request: usize, bytes: &[u8]) {
        self.write(self.requests[request].stream, bytes);
    }

    /// Sends a `HEADERS` frame with these fields, whatever they are.
    pub fn head(&mut self, request: usize, fields: &[(&str, &str)]) {
        let fields = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        self.send(request, &frame(HEADERS, &header_block(fields)));
    }

    /// Sends a `DATA` frame.
    pub fn data(&mut self, request: usize, bytes: &[u8]) {
        self.send(request, &frame(DATA, bytes));
    }

    /// Answers with 200, a body, and the end.
    pub fn answer(&mut self, request: usize, body: &[u8]) {
        self.head(request, &[(":status", "200")]);
        self.data(request, body);
        self.finish(request);
    }

    /// Ends the response.
    pub fn finish(&mut self, request: usize) {
        let stream = self.requests[request].stream;
        self.outgoing.entry(stream).or_default().fin = true;
        self.flush();
    }

    /// `RESET_STREAM`. What was not sent yet is not sent any more.
    pub fn reset(&mut self, request: usize, code: u64) {
        let stream = self.requests[request].stream;
        self.outgoing.remove(&stream);
        self.quic.stream_reset_send(stream, code).expect("an open stream");
    }

    /// The same, if the stream is open.
    pub fn try_reset(&mut self, request: usize, code: u64) {
        let stream = self.requests[request].stream;
        self.outgoing.remove(&stream);
        let _ = self.quic.stream_reset_send(stream, code);
    }

    /// `STOP_SENDING`.
    pub fn stop_sending(&mut self, request: usize, code: u64) {
        let stream = self.requests[request].stream;
        // neqo refuses it where the stream has ended already.
        let _ = self.quic.stream_stop_sending(stream, code);
    }

    /// `GOAWAY`: requests on this stream and above are not served.
    pub fn goaway(&mut self, first_refused: u64) {
        let mut id = Encoder::default();
        id.encode_varint(first_refused);
        self.control(&frame(GOAWAY, id.as_ref()));
    }

    /// `GOAWAY`: requests that have not come are not served. Nothing before the client is connected.
    pub fn goaway_now(&mut self) {
        let seen = self.requests.iter().map(|request| request.stream.as_u64());
        let first = seen.max().map_or(0, |last| last + 4);
        if self.control.is_some() && self.first_refused.is_none() {
            self.first_refused = Some(first);
            self.goaway(first);
        }
    }

    /// Requests that were looked at: all that `GOAWAY` did not refuse.
    pub fn served(&self) -> impl Iterator<Item = &RawRequest> {
        let end = self.first_refused.unwrap_or(u64::MAX);
        self.requests.iter().filter(move |request| request.stream.as_u64() < end)
    }

    /// Sends these bytes on the control stream, behind its settings.
    pub fn control(&mut self, bytes: &[u8]) {
        let stream = self.control.expect("a connected client");
        self.write(stream, bytes);
    }

    /// Opens a unidirectional stream with these bytes, its type first.
    pub fn open_unidirectional(&mut self, bytes: &[u8]) -> StreamId {
        let stream = self.quic.stream_create(StreamType::UniDi).expect("a stream");
        self.write(stream, bytes);
        stream
    }

    /// The same, if the client allows one more.
    pub fn try_open_unidirectional(&mut self, bytes: &[u8]) -> Option<StreamId> {
        let stream = self.quic.stream_create(StreamType::UniDi).ok()?;
        self.write(stream, bytes);
        Some(stream)
    }

    /// Opens a bidirectional stream with these bytes, as no server may.
    pub fn open_bidirectional(&mut self, bytes: &[u8]) {
        let stream = self.quic.stream_create(StreamType::BiDi).expect("a stream");
        self.write(stream, bytes);
    }

    /// Ends any stream.
    pub fn end(&mut self, stream: StreamId) {
        self.outgoing.entry(stream).or_default().fin = true;
        self.flush();
    }

    /// Ends the control stream, as no peer may.
    pub fn end_control(&mut self) {
        let stream = self.control.expect("a connected client");
        self.end(stream);
    }

    /// `CONNECTION_CLOSE` with a code of HTTP/3.
    pub fn close(&mut self, code: u64) {
        self.close_after(Duration::ZERO, code);
    }

    /// The same, later.
    pub fn close_after(&mut self, delay: Duration, code: u64) {
        self.closing = Some((delay, code));
    }

    /// Reads from now on, also what was not read so far.
    pub fn read_everything(&mut self) {
        self.reads = true;
        let streams: Vec<_> = self.requests.iter().map(|request| request.stream).collect();
        for stream in streams {
            self.read(stream);
        }
    }

    /// Lets the client send so many bytes in all of a request that nobody reads.
    pub fn raise(&mut self, request: usize, credit: u64) {
        let stream = self.requests[request].stream;
        self.quic.set_stream_max_data(stream, credit).expect("a stream that has not ended");
    }

    /// Sends these bytes in a datagram, whatever they are.
    pub fn datagram(&mut self, bytes: &[u8]) {
        // neqo drops the oldest where there are too many.
        let _ = self.quic.send_datagram(bytes.to_vec(), None);
    }

    /// Accepts a WebTransport session.
    pub fn accept(&mut self, request: usize) {
        self.head(request, &[(":status", "200")]);
    }

    /// Sends a capsule (RFC 9297 §3.2) to a session, whatever it is.
    pub fn capsule(&mut self, request: usize, kind: u64, content: &[u8]) {
        self.data(request, &frame(kind, content));
    }

    fn write(&mut self, stream: StreamId, bytes: &[u8]) {
        self.outgoing.entry(stream).or_default().bytes.extend(bytes);
        self.flush();
    }

    /// Does what was wanted and takes time.
    pub(super) fn process_output(&mut self, now: Instant) -> Output {
        self.flush();
        let passed = now.saturating_duration_since(self.last_output.replace(now).unwrap_or(now));
        match &mut self.closing {
            Some((delay, _)) if *delay > passed => *delay -= passed,
            Some((_, code)) => {
                self.quic.close(now, *code, "the test says so");
                self.closing = None;
            }
            None => {}
        }
        match (self.quic.process_output(now), &self.closing) {
            (Output::Callback(callback), Some((delay, _))) => {
                Output::Callback(callback.min(*delay))
            }
            (output, _) => output,
        }
    }

    /// Gives QUIC what it takes.
    fn flush(&mut self) {
        let Self { outgoing, quic, .. } = self;
        outgoing.retain(|&stream, Outgoing { bytes, fin }| {
            while !bytes.is_empty() {
                let (front, _) = bytes.as_slices();
                match quic.stream_send(stream, front) {
                    Ok(0) => return true,
                    Ok(taken) => drop(bytes.drain(..taken)),
                    // The client gave it up.
                    Err(_) => return false,
                }
            }
            if *fin {
                let _ = quic.stream_close_send(stream);
            }
            false
        });
    }

    pub(super) fn take_events(&mut self) {
        while let Some(event) = self.quic.next_event() {
            match event {
                ConnectionEvent::StateChange(State::Connected) if self.speechless => {}
                ConnectionEvent::StateChange(State::Connected) => {
                    let settings = if self.web_transport { web_transport() } else { Vec::new() };
                    let settings = [&[0x0][..], &frame(SETTINGS, &settings)].concat();
                    self.control = Some(self.open_unidirectional(&settings));
                }
                ConnectionEvent::NewStream { stream_id } if stream_id.is_bidi() => {
                    self.requests.push(RawRequest::new(stream_id));
                }
                ConnectionEvent::RecvStreamReset { stream_id, app_error } => {
                    self.on(stream_id, |request| request.reset = Some(app_error));
                }
                ConnectionEvent::SendStreamStopSending { stream_id, app_error } => {
                    self.on(stream_id, |request| request.stopped = Some(app_error));
                }
                ConnectionEvent::RecvStreamReadable { stream_id } if self.reads => {
                    self.read(stream_id);
                }
                _ => {}
            }
        }
    }

    fn on(&mut self, stream: StreamId, change: impl FnOnce(&mut RawRequest)) {
        if let Some(request) = self.requests.iter_mut().find(|request| request.stream == stream) {
            change(request);
        }
    }

    fn read(&mut self, stream: StreamId) {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok((count, fin)) = self.quic.stream_recv(stream, &mut buffer)
            && (count > 0 || fin)
        {
            let place = self.requests.iter().position(|request| request.stream == stream);
            let Some(place) = place else { continue };
            let request = &mut self.requests[place];
            let had_head = !request.headers.is_empty();
            request.take(&buffer[..count]);
            request.fin |= fin;
            let refused = self.first_refused.is_some_and(|first| stream.as_u64() >= first);
            if !had_head && !request.headers.is_empty() && !refused {
                self.arrived.push_back(place);
            }
            if fin {
                break;
            }
        }
    }
}

/// What SETTINGS say of WebTransport, as of draft 02: extended `CONNECT`, datagrams, and sessions.
fn web_transport() -> Vec<u8> {
    let mut settings = Encoder::default();
    for setting in [0x8_u64, 0xff_d277, 0x33, 0x2b60_3742] {
        settings.encode_varint(setting);
        settings.encode_varint(1_u64);
    }
    settings.into()
}

/// An HTTP/3 frame.
fn frame(kind: u64, content: &[u8]) -> Vec<u8> {
    let mut frame = Encoder::default();
    frame.encode_varint(kind);
    frame.encode_vvec(content);
    frame.into()
}
