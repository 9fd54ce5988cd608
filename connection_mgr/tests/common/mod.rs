//! The fixture: a manager on a simulated machine, with a scripted engine for each connection that it makes.

use std::{
    net::{Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use connection_mgr::{
    ConnectionInfo, ConnectionLimits, ConnectionMgr, Event, Parts, Resolve, Snapshot,
};
use http::{HeaderMap, Method, StatusCode};
use http3_session::{
    CertificateVerifier, CloseReason, Http3Event, Http3Settings, StreamId, VerificationError,
    VerificationRequest,
    scripted::{Call, Script, ScriptedFactory},
};
use socket_transport::{
    Limits,
    simulated::{Simulation, Stack},
};
use transaction::{
    CertificateProblem, HttpTransaction, NetError, PendingResponse, RequestBody, RequestHead,
    Response, TransactionId,
};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Knows `one.example` (one address), `two.example` (two), and nothing else.
struct Hosts;

impl Resolve for Hosts {
    fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        let at = |last| SocketAddr::from(([192, 0, 2, last], port));
        match host {
            "one.example" => Ok(vec![at(1)]),
            "two.example" => Ok(vec![at(1), at(2)]),
            _ => Err("no such name".into()),
        }
    }
}

/// Accepts the chains that begin with "good".
struct Verifier;

impl CertificateVerifier for Verifier {
    fn verify(&self, request: &VerificationRequest) -> Result<(), VerificationError> {
        if request.chain[0].starts_with(b"good") {
            return Ok(());
        }
        Err(VerificationError { problem: CertificateProblem::UnknownIssuer, detail: "bad".into() })
    }
}

/// A manager on a simulated machine, and the scripts of the connections that it will make.
pub(crate) struct Fixture {
    pub(crate) simulation: Simulation,
    pub(crate) stack: Stack<ConnectionMgr>,
    pub(crate) scripts: Vec<Script>,
    next_id: u64,
}

impl Fixture {
    pub(crate) fn new(connections: usize) -> Self {
        Self::with(connections, |_| {})
    }

    /// With other parts than usual.
    pub(crate) fn with(connections: usize, change: impl FnOnce(&mut Parts)) -> Self {
        let simulation = Simulation::new(1);
        let (v4, v6) =
            ([198, 51, 100, 1].into(), Ipv6Addr::from([0x2001, 0xdb8, 0, 0, 0, 0, 1, 1]));
        let network = simulation.network().dual_stack_host(v4, v6);
        let scripts: Vec<_> = (0..connections).map(|_| Script::default()).collect();
        let mut parts = Parts {
            engines: Box::new(ScriptedFactory::new(scripts.clone())),
            verifier: Arc::new(Verifier),
            resolver: Arc::new(Hosts),
            settings: Http3Settings::default(),
            // Time passes in steps of half a minute here.
            limits: ConnectionLimits {
                connect_timeout: 3600 * SECOND,
                attempt_timeout: 3600 * SECOND,
                // One address after the other, but for the tests of the race.
                attempt_delay: 3600 * SECOND,
                ..ConnectionLimits::default()
            },
            others: None,
        };
        change(&mut parts);
        let mgr = ConnectionMgr::new(parts);
        let stack = Stack::new(network, Limits::default(), mgr).expect("a simulated service");
        Self { simulation, stack, scripts, next_id: 0 }
    }

    pub(crate) fn fetch(&mut self, host: &str) -> PendingResponse {
        self.fetch_over(ConnectionInfo::new(host, 443))
    }

    pub(crate) fn fetch_over(&mut self, info: ConnectionInfo) -> PendingResponse {
        self.next_id += 1;
        let path = format!("/{}", self.next_id);
        let head = RequestHead::new(Method::GET, "https", info.host(), &path, &HeaderMap::new());
        let (transaction, response) = HttpTransaction::new(
            TransactionId(self.next_id),
            info,
            head.expect("valid"),
            RequestBody::Empty,
        );
        let event = Event::NewTransaction(transaction);
        assert!(self.stack.poster().submit(event).is_ok());
        response
    }

    /// Lets everything happen that happens within a second.
    pub(crate) fn settle(&mut self) {
        self.simulation.run_for(&mut self.stack, SECOND).expect("no spin");
    }

    /// Has a connection's engine look at its script: as if a packet had come.
    pub(crate) fn play(&mut self, script: usize, events: impl IntoIterator<Item = Http3Event>) {
        for event in events {
            self.scripts[script].event(event);
        }
        self.nudge();
    }

    /// The engine's timers are 30 s away; have them fire.
    pub(crate) fn nudge(&mut self) {
        self.simulation.run_for(&mut self.stack, 31 * SECOND).expect("no spin");
    }

    pub(crate) fn connected(&mut self, script: usize) {
        self.play(script, [Http3Event::Connected]);
    }

    pub(crate) fn end_connection(&mut self, script: usize) {
        let reason = CloseReason::NoError { by_peer: true };
        self.play(script, [Http3Event::Closing(reason.clone()), Http3Event::Closed(reason)]);
    }

    pub(crate) fn snapshot(&mut self) -> Snapshot {
        self.stack.call(|mgr, ctx| mgr.snapshot(ctx))
    }

    pub(crate) fn calls(&self, script: usize) -> Vec<Call> {
        self.scripts[script].take_calls()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        if !self.stack.is_stopped() {
            self.stack.service().shutdown();
            self.settle();
        }
        assert!(self.stack.is_stopped(), "the service ended");
        self.snapshot().expect_empty().expect("nothing is left");
        for script in &self.scripts {
            script.take_calls();
            assert!(
                script.holders() <= 2,
                "the fixture and the factory: no session holds an engine"
            );
        }
    }
}

pub(crate) fn poll(response: &mut PendingResponse) -> Option<Result<Response, NetError>> {
    match Pin::new(response).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}

pub(crate) fn head(stream: u64, status: u16, fin: bool) -> Http3Event {
    Http3Event::HeaderReady {
        stream: StreamId::new(stream),
        status: StatusCode::from_u16(status).expect("valid"),
        headers: HeaderMap::new(),
        fin,
    }
}

pub(crate) fn error(response: &mut PendingResponse) -> NetError {
    poll(response).expect("ended").expect_err("failed")
}
