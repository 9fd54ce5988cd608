//! An engine that plays what a test tells it to, in any order, without a peer and without cryptography.
//!
//! The test keeps the [`Script`] and gives [`Script::engine`] to a session:
//!
//! ```
//! use http3_session::{Http3Event, Http3Session, StreamId, scripted::Script};
//!
//! let script = Script::default();
//! let peer = "192.0.2.1:443".parse().unwrap();
//! let session: Http3Session<()> = Http3Session::new(script.engine(), "example.org", peer);
//! script.event(Http3Event::Connected);
//! script.event(Http3Event::DataReadable(StreamId::new(0)));
//! ```

mod web_transport;

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    rc::Rc,
    time::{Duration, Instant},
};

use socket_transport::{Ecn, ReceivedDatagrams, SendBatch};
use streams::StreamId;
use transaction::{Ech, ErrorCode, NetError, Priority, RequestHead};

use crate::http3_conn::{
    CertificateVerdict, ConnStats, ConnectParameters, EngineOutput, FetchError, Http3Conn,
    Http3ConnFactory, Http3Event, StreamGone,
};
use crate::ssl_tokens_cache::ResumptionToken;

/// What the session asked of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    missing_docs,
    reason = "each is the method of that name, with what matters of its arguments"
)]
pub enum Call {
    ProcessInput { datagrams: usize },
    Fetch { path: String, stream: StreamId },
    SendData { stream: StreamId, taken: usize },
    CloseSend(StreamId),
    WidenWindow(StreamId),
    CancelFetch(StreamId, ErrorCode),
    PriorityUpdate(StreamId, Priority),
    KeepAlive(StreamId),
    Authenticated(CertificateVerdict),
    Close(ErrorCode),
    CreateSession { path: String, session: StreamId },
    CloseSession { session: StreamId, code: u32, reason: String },
    CreateStream { session: StreamId, stream: StreamId },
    ResetStream(StreamId, ErrorCode),
    StopSending(StreamId, ErrorCode),
    SetSendOrder(StreamId, Option<i64>),
    SendDatagram { session: StreamId, datagram: Vec<u8> },
}

#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches")]
struct State {
    events: VecDeque<Http3Event>,
    calls: Vec<Call>,
    next_stream: u64,
    connected: bool,
    zero_rtt: bool,
    resumed: bool,
    /// What is given out before the end.
    token: Option<ResumptionToken>,
    parameters: Option<ConnectParameters>,
    streams_allowed: u64,
    /// Why no request is taken.
    rejection: Option<FetchError>,
    /// Credit for request bodies; what a stream isn't mentioned with is unlimited.
    credit: BTreeMap<StreamId, usize>,
    readable: BTreeMap<StreamId, (VecDeque<u8>, bool)>,
    datagrams: VecDeque<Vec<u8>>,
    accepted: u64,
    ech: Ech,
    ech_accepted: bool,
    chain: Vec<Vec<u8>>,
    callback: Option<Duration>,
    round_trip: Duration,
    remote: SocketAddr,
    web_transport: web_transport::State,
}

impl State {
    fn open_stream(&mut self) -> Result<StreamId, FetchError> {
        if self.next_stream >= self.streams_allowed {
            return Err(FetchError::StreamLimit);
        }
        let stream = StreamId::new(self.next_stream * 4);
        self.next_stream += 1;
        Ok(stream)
    }
}

/// The hand that moves a scripted engine. Clones move the same one.
#[derive(Debug, Clone)]
pub struct Script(Rc<RefCell<State>>);

impl Default for Script {
    fn default() -> Self {
        Self(Rc::new(RefCell::new(State {
            events: VecDeque::new(),
            calls: Vec::new(),
            next_stream: 0,
            connected: false,
            zero_rtt: false,
            resumed: false,
            token: None,
            parameters: None,
            streams_allowed: u64::MAX,
            rejection: None,
            credit: BTreeMap::new(),
            readable: BTreeMap::new(),
            datagrams: VecDeque::new(),
            accepted: 0,
            ech: Ech::default(),
            ech_accepted: false,
            chain: vec![b"a certificate".to_vec()],
            callback: Some(Duration::from_secs(30)),
            round_trip: Duration::ZERO,
            remote: SocketAddr::from(([192, 0, 2, 1], 443)),
            web_transport: web_transport::State::default(),
        })))
    }
}

impl Script {
    /// The engine that this script moves.
    pub fn engine(&self) -> Box<dyn Http3Conn> {
        Box::new(ScriptedConn(Rc::clone(&self.0)))
    }

    /// Has the engine report `event`, at the session's next look.
    pub fn event(&self, event: Http3Event) {
        let mut state = self.0.borrow_mut();
        match event {
            Http3Event::Connected => state.connected = true,
            Http3Event::ZeroRttRejected => {
                state.zero_rtt = false;
                state.next_stream = 0;
                state.readable.clear();
                state.credit.clear();
            }
            _ => {}
        }
        state.events.push_back(event);
    }

    /// Lets requests be sent before the connection is made; says that it is resumed when it is.
    pub fn zero_rtt(&self) {
        let mut state = self.0.borrow_mut();
        (state.zero_rtt, state.resumed) = (true, true);
    }

    /// Has the engine keep a token for [`Http3Conn::take_resumption_token`].
    pub fn token(&self, token: ResumptionToken) {
        self.0.borrow_mut().token = Some(token);
    }

    /// What the engine was made with, if a [`ScriptedFactory`] made it.
    pub fn parameters(&self) -> Option<ConnectParameters> {
        self.0.borrow().parameters.clone()
    }

    /// Makes response bytes readable on a stream; `fin` says that nothing follows.
    pub fn data(&self, stream: StreamId, bytes: &[u8], fin: bool) {
        let mut state = self.0.borrow_mut();
        let (data, end) = state.readable.entry(stream).or_default();
        data.extend(bytes);
        *end |= fin;
        state.events.push_back(Http3Event::DataReadable(stream));
    }

    /// Lets a stream take so many more body bytes. A stream without credit set takes any number.
    pub fn credit(&self, stream: StreamId, bytes: usize) {
        *self.0.borrow_mut().credit.entry(stream).or_default() += bytes;
    }

    /// Lets the peer allow so many streams in all.
    pub fn allow_streams(&self, streams: u64) {
        self.0.borrow_mut().streams_allowed = streams;
    }

    /// Has the engine refuse requests like this from now on, or take them again.
    pub fn refuse(&self, rejection: Option<FetchError>) {
        self.0.borrow_mut().rejection = rejection;
    }

    /// Has the engine send a datagram with its next output.
    pub fn datagram(&self, bytes: &[u8]) {
        self.0.borrow_mut().datagrams.push_back(bytes.to_vec());
    }

    /// What the engine asks to be called back after; `None` for never.
    pub fn callback(&self, delay: Option<Duration>) {
        self.0.borrow_mut().callback = delay;
    }

    /// How long the engine believes a round trip to take.
    pub fn round_trip(&self, time: Duration) {
        self.0.borrow_mut().round_trip = time;
    }

    /// What the peer shows as its certificates.
    pub fn chain(&self, chain: Vec<Vec<u8>>) {
        self.0.borrow_mut().chain = chain;
    }

    /// Lets the engine say that the peer took the encrypted hello.
    pub fn accept_ech(&self) {
        self.0.borrow_mut().ech_accepted = true;
    }

    /// What the engine was told about ECH when it was made.
    pub fn ech(&self) -> Ech {
        self.0.borrow().ech.clone()
    }

    /// What the session asked of the engine since the last look.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.0.borrow_mut().calls)
    }

    /// Response bytes that the session has not read.
    pub fn unread(&self, stream: StreamId) -> usize {
        self.0.borrow().readable.get(&stream).map_or(0, |(data, _)| data.len())
    }

    /// How many hold the engine: the script's clones, and the session while it lives.
    pub fn holders(&self) -> usize {
        Rc::strong_count(&self.0)
    }
}

/// Makes one engine for each script, in order.
#[derive(Debug, Default)]
pub struct ScriptedFactory {
    scripts: RefCell<VecDeque<Script>>,
}

impl ScriptedFactory {
    /// A factory that has these engines to give.
    pub fn new(scripts: impl IntoIterator<Item = Script>) -> Self {
        Self { scripts: RefCell::new(scripts.into_iter().collect()) }
    }
}

impl Http3ConnFactory for ScriptedFactory {
    fn connect(
        &self,
        parameters: &ConnectParameters,
        _now: Instant,
    ) -> Result<Box<dyn Http3Conn>, NetError> {
        let script = self.scripts.borrow_mut().pop_front();
        let script = script.ok_or(NetError::Internal("the script has no more connections"))?;
        let mut state = script.0.borrow_mut();
        state.remote = parameters.remote;
        state.parameters = Some(parameters.clone());
        state.ech = parameters.ech.clone();
        drop(state);
        Ok(script.engine())
    }
}

struct ScriptedConn(Rc<RefCell<State>>);

impl Http3Conn for ScriptedConn {
    fn process_input(&mut self, received: &mut ReceivedDatagrams<'_>, _now: Instant) {
        let datagrams = received.len();
        let mut state = self.0.borrow_mut();
        state.accepted += datagrams as u64;
        state.calls.push(Call::ProcessInput { datagrams });
    }

    fn process_output(&mut self, batch: &mut SendBatch, _now: Instant) -> EngineOutput {
        let mut state = self.0.borrow_mut();
        let remote = state.remote;
        while let Some(datagram) = state.datagrams.pop_front() {
            if !batch.push(remote, None, Ecn::NotEct, &datagram) {
                state.datagrams.push_front(datagram);
                return EngineOutput::BatchFull;
            }
        }
        state.callback.map_or(EngineOutput::None, EngineOutput::Callback)
    }

    fn next_event(&mut self) -> Option<Http3Event> {
        self.0.borrow_mut().events.pop_front()
    }

    fn fetch(&mut self, head: &RequestHead, _now: Instant) -> Result<StreamId, FetchError> {
        let mut state = self.0.borrow_mut();
        if !state.connected && !state.zero_rtt {
            return Err(FetchError::NotConnected);
        }
        if let Some(rejection) = &state.rejection {
            return Err(rejection.clone());
        }
        let stream = state.open_stream()?;
        state.calls.push(Call::Fetch { path: head.path().to_owned(), stream });
        Ok(stream)
    }

    fn send_data(&mut self, stream: StreamId, data: &[u8]) -> Result<usize, StreamGone> {
        let mut state = self.0.borrow_mut();
        let taken = match state.credit.get_mut(&stream) {
            Some(credit) => {
                let taken = data.len().min(*credit);
                *credit -= taken;
                taken
            }
            None => data.len(),
        };
        state.calls.push(Call::SendData { stream, taken });
        Ok(taken)
    }

    fn close_send(&mut self, stream: StreamId) -> Result<(), StreamGone> {
        self.0.borrow_mut().calls.push(Call::CloseSend(stream));
        Ok(())
    }

    fn read_data(
        &mut self,
        stream: StreamId,
        buffer: &mut [u8],
        _now: Instant,
    ) -> Result<(usize, bool), StreamGone> {
        let mut state = self.0.borrow_mut();
        let Some((data, fin)) = state.readable.get_mut(&stream) else { return Ok((0, false)) };
        let count = buffer.len().min(data.len());
        for (to, from) in buffer.iter_mut().zip(data.drain(..count)) {
            *to = from;
        }
        Ok((count, *fin && data.is_empty()))
    }

    fn widen_window(&mut self, stream: StreamId) {
        self.0.borrow_mut().calls.push(Call::WidenWindow(stream));
    }

    fn cancel_fetch(&mut self, stream: StreamId, code: ErrorCode) {
        self.0.borrow_mut().calls.push(Call::CancelFetch(stream, code));
    }

    fn priority_update(&mut self, stream: StreamId, priority: Priority) {
        self.0.borrow_mut().calls.push(Call::PriorityUpdate(stream, priority));
    }

    fn keep_alive(&mut self, stream: StreamId, _priority: Priority) {
        self.0.borrow_mut().calls.push(Call::KeepAlive(stream));
    }

    fn is_zero_rtt(&self) -> bool {
        let state = self.0.borrow();
        state.zero_rtt && !state.connected
    }

    fn take_resumption_token(&mut self, _now: Instant) -> Option<ResumptionToken> {
        self.0.borrow_mut().token.take()
    }

    fn peer_certificates(&self) -> Vec<Vec<u8>> {
        self.0.borrow().chain.clone()
    }

    fn authenticated(&mut self, verdict: CertificateVerdict, _now: Instant) {
        self.0.borrow_mut().calls.push(Call::Authenticated(verdict));
    }

    fn close(&mut self, code: ErrorCode, _reason: &str, _now: Instant) {
        self.0.borrow_mut().calls.push(Call::Close(code));
    }

    fn packets_accepted(&self) -> u64 {
        self.0.borrow().accepted
    }

    fn stats(&self) -> ConnStats {
        let state = self.0.borrow();
        let (resumed, ech_accepted) = (state.resumed, state.ech_accepted);
        ConnStats {
            resumed,
            ech_accepted,
            round_trip_time: state.round_trip,
            ..ConnStats::default()
        }
    }
}
