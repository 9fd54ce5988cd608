//! A session that is driven by hand, as its connection would do it.

use std::{
    cell::Cell,
    net::{IpAddr, Ipv4Addr},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use http::{HeaderMap, Method, StatusCode};
use http3_session::{
    Http3Event, Http3Session, Outcome, SessionSnapshot, SessionState, StreamId, StreamKey,
    scripted::{Call, Script},
};
use socket_transport::{
    Limits, SocketIo, SocketKey, SocketTransportService, UdpOptions, simulated::SimulatedNetwork,
};
use transaction::{
    ConnectionInfo, HttpTransaction, NetError, PendingResponse, RequestHead, Response, Restarts,
    TransactionId,
};

pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const MACHINE: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
pub(crate) const FIRST: StreamId = StreamId::new(0);
pub(crate) const SECOND: StreamId = StreamId::new(4);

/// Stands for the connection's handle; its drop would post the reclaim.
pub(crate) struct Handle(Rc<Cell<usize>>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

/// The three drivers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Driver {
    RecvData,
    SendData,
    Timer,
}

/// A request and what its consumer has.
pub(crate) struct Request {
    pub(crate) key: StreamKey,
    pub(crate) response: Option<PendingResponse>,
}

pub(crate) struct Fixture {
    pub(crate) network: SimulatedNetwork,
    service: SocketTransportService<u8, u8>,
    socket: SocketKey,
    pub(crate) script: Script,
    pub(crate) session: Option<Http3Session<Handle>>,
    dropped: Rc<Cell<usize>>,
    pub(crate) requests: Vec<Request>,
    pub(crate) restarts: Restarts,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let network = SimulatedNetwork::new(1);
        let host = network.host(MACHINE);
        let mut service = SocketTransportService::new(host, Limits::default()).expect("a service");
        let any = (Ipv4Addr::UNSPECIFIED, 0).into();
        let socket = service
            .with_context(|ctx| ctx.open_udp(0, any, UdpOptions::default()))
            .expect("a free port");
        let (script, dropped) = (Script::default(), Rc::default());
        let peer = ([192, 0, 2, 1], 443).into();
        let mut session = Http3Session::new(script.engine(), "example.org", peer);
        session.hold(Handle(Rc::clone(&dropped)));
        Self {
            network,
            service,
            socket,
            script,
            session: Some(session),
            dropped,
            requests: Vec::new(),
            restarts: Vec::new(),
        }
    }

    /// One that goes on from an earlier connection, and can send early data.
    pub(crate) fn zero_rtt() -> Self {
        let mut fixture = Self::new();
        fixture.script.zero_rtt();
        fixture.session().resume(true);
        assert_eq!(fixture.state(), SessionState::ZeroRtt);
        fixture
    }

    /// One whose handshake is done.
    pub(crate) fn connected() -> Self {
        let mut fixture = Self::new();
        fixture.play([Http3Event::Connected]);
        assert_eq!(fixture.state(), SessionState::Connected);
        fixture
    }

    pub(crate) fn session(&mut self) -> &mut Http3Session<Handle> {
        self.session.as_mut().expect("a session")
    }

    pub(crate) fn state(&self) -> SessionState {
        self.snapshot().state
    }

    pub(crate) fn snapshot(&self) -> SessionSnapshot {
        self.session.as_ref().expect("a session").snapshot()
    }

    pub(crate) fn handles_dropped(&self) -> usize {
        self.dropped.get()
    }

    pub(crate) fn now(&self) -> Instant {
        self.network.clock().now()
    }

    /// Drives the session once, and closes it if it says so: that is all that its connection does.
    pub(crate) fn drive(&mut self, driver: Driver) {
        let (socket, session) = (self.socket, self.session.as_mut().expect("a session"));
        let outcome = self.service.with_context(|ctx| {
            let mut io: SocketIo<'_> = ctx.socket_io(socket).expect("a socket");
            match driver {
                Driver::RecvData => session.recv_data(&mut io),
                Driver::SendData => session.send_data(&mut io),
                Driver::Timer => session.process_output_and_events(&mut io),
            }
        });
        if let Outcome::Close(cause) = outcome {
            session.close(cause);
        }
        session.take_resume_send();
        drop(session.take_verification());
        drop(session.take_body_reads());
        self.restarts.extend(session.take_restarts());
    }

    /// Has the engine report these in one turn.
    pub(crate) fn play(&mut self, events: impl IntoIterator<Item = Http3Event>) {
        events.into_iter().for_each(|event| self.script.event(event));
        self.drive(Driver::RecvData);
    }

    /// Adds a request; answers whether the session took it.
    pub(crate) fn add(&mut self, method: Method, body: &'static str) -> bool {
        let id = TransactionId(self.requests.len() as u64);
        let head = RequestHead::new(method, "https", "example.org", "/", &HeaderMap::new());
        let info = ConnectionInfo::new("example.org", 443);
        let (transaction, response) =
            HttpTransaction::new(id, info, head.expect("valid"), body.into());
        let key = Rc::new(Cell::new(None));
        let told = Rc::clone(&key);
        self.session().set_owners(move |stream| {
            told.set(Some(stream));
            Waker::noop().clone()
        });
        let added = self.session().add_stream(transaction);
        if let (Ok(()), Some(key)) = (added, key.get()) {
            self.requests.push(Request { key, response: Some(response) });
        }
        key.get().is_some()
    }

    /// Adds a `GET` and sends what can be sent.
    pub(crate) fn get(&mut self) {
        assert!(self.add(Method::GET, ""));
        self.drive(Driver::SendData);
    }

    /// What the consumer of a request has by now.
    pub(crate) fn poll(&mut self, request: usize) -> Option<Result<Response, NetError>> {
        let response = self.requests[request].response.as_mut().expect("not dropped");
        match Pin::new(response).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(result) => Some(result),
            Poll::Pending => None,
        }
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.script.take_calls()
    }
}

pub(crate) fn head(stream: StreamId, fin: bool) -> Http3Event {
    Http3Event::HeaderReady { stream, status: StatusCode::OK, headers: HeaderMap::new(), fin }
}
