//! A manager on one simulated machine, and a server on another. Each test ends with the check that nothing is
//! left alive.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use connection_mgr::{
    ConnectionInfo, ConnectionLimits, ConnectionMgr, Event, Http1Snapshot, Http11ConnectionFactory,
    Parts, Resolve, Snapshot,
};
use http::{HeaderMap, Method};
use http3_session::{
    CertificateVerifier, Http3Settings, VerificationError, VerificationRequest,
    scripted::ScriptedFactory,
};
use socket_transport::{
    Limits,
    simulated::{SimulatedNetwork, Simulation, Stack},
};
use transaction::{
    Alpn, CertificateProblem, HttpTransaction, NetError, PendingResponse, RequestBody, RequestHead,
    Response, ResponseBody, TransactionId,
};

use crate::{
    server::{Script as _, Server},
    toy_tls::ToyFactory,
};

pub(crate) const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));
pub(crate) const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

pub(crate) fn address() -> SocketAddr {
    (SERVER, 443).into()
}

/// Every name is the server's.
struct Hosts;

impl Resolve for Hosts {
    fn resolve(&self, _host: &str, _port: u16) -> Result<Vec<SocketAddr>, String> {
        Ok(vec![address()])
    }
}

/// Accepts the chains that begin with "good", and counts what it is asked.
#[derive(Default)]
struct Verifier(AtomicUsize);

impl CertificateVerifier for Verifier {
    fn verify(&self, request: &VerificationRequest) -> Result<(), VerificationError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        if request.chain[0].starts_with(b"good") {
            return Ok(());
        }
        Err(VerificationError { problem: CertificateProblem::UnknownIssuer, detail: "bad".into() })
    }
}

pub(crate) struct Fixture {
    pub(crate) simulation: Simulation,
    pub(crate) stack: Stack<ConnectionMgr>,
    pub(crate) server: Stack<Server>,
    tls: ToyFactory,
    verifier: Arc<Verifier>,
    next_id: u64,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// With other limits than usual.
    pub(crate) fn with(change: impl FnOnce(&mut ConnectionLimits)) -> Self {
        let simulation = Simulation::new(1);
        let network = simulation.network();
        let (tls, verifier) = (ToyFactory::default(), Arc::new(Verifier::default()));
        let mut limits = ConnectionLimits::default();
        change(&mut limits);
        let mgr = ConnectionMgr::new(Parts {
            engines: Box::new(ScriptedFactory::new(Vec::new())),
            verifier: Arc::clone(&verifier) as _,
            resolver: Arc::new(Hosts),
            settings: Http3Settings::default(),
            limits,
            others: Some(Box::new(Http11ConnectionFactory::new(Box::new(tls.clone())))),
        });
        let stack = Stack::new(network.host(CLIENT), Limits::default(), mgr);
        let server = Stack::new(network.host(SERVER), Limits::default(), Server::new());
        let (stack, mut server) = (stack.expect("a service"), server.expect("a service"));
        server.listen(address());
        Self { simulation, stack, server, tls, verifier, next_id: 0 }
    }

    pub(crate) fn network(&self) -> &SimulatedNetwork {
        self.simulation.network()
    }

    /// One whose server answers each request by itself.
    pub(crate) fn answering(answer: crate::server::Answer) -> Self {
        let mut fixture = Self::new();
        fixture.server.app_mut().answer = Some(answer);
        fixture
    }

    pub(crate) fn get(&mut self) -> PendingResponse {
        self.send(Method::GET, &[], RequestBody::Empty)
    }

    pub(crate) fn send(
        &mut self,
        method: Method,
        fields: &[(&'static str, &str)],
        body: RequestBody,
    ) -> PendingResponse {
        self.next_id += 1;
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, value.parse().expect("a value"));
        }
        let mut info = ConnectionInfo::new("one.example", 443);
        info.alpn = Alpn::Http11;
        let path = format!("/{}", self.next_id);
        let head = RequestHead::new(method, "https", "one.example", &path, &headers);
        let id = TransactionId(self.next_id);
        let (transaction, response) = HttpTransaction::new(id, info, head.expect("valid"), body);
        self.post(Event::NewTransaction(transaction));
        response
    }

    pub(crate) fn post(&mut self, event: Event) {
        assert!(self.stack.poster().submit(event).is_ok());
    }

    /// A request that was answered: its connection is idle then.
    pub(crate) fn answered(&mut self, line: usize) {
        let mut response = self.get();
        self.settle();
        self.server.take_heard(line);
        self.server.say(line, OK);
        self.settle();
        assert_eq!(whole(&mut response), "ok");
    }

    /// Lets everything happen that happens within a second.
    pub(crate) fn settle(&mut self) {
        self.pass(SECOND);
    }

    pub(crate) fn pass(&mut self, span: Duration) {
        let both = &mut (&mut self.stack, &mut self.server);
        self.simulation.run_for(both, span).expect("no spin");
    }

    /// The client is busy with something else meanwhile.
    pub(crate) fn pass_without_client(&mut self, span: Duration) {
        self.simulation.run_for(&mut self.server, span).expect("no spin");
    }

    pub(crate) fn snapshot(&mut self) -> Snapshot {
        self.stack.call(|mgr, ctx| mgr.snapshot(ctx))
    }

    /// Connections on the lists: active, idle, draining.
    pub(crate) fn lists(&mut self) -> [usize; 3] {
        let snapshot = self.snapshot();
        let connections = || snapshot.entries.iter().flat_map(|entry| &entry.connections);
        let count = |active, idle| {
            connections().filter(|one| (one.active, one.idle) == (active, idle)).count()
        };
        [count(true, false), count(false, true), count(false, false)]
    }

    /// The only connection.
    pub(crate) fn connection(&mut self) -> Http1Snapshot {
        let snapshot = self.snapshot();
        let connections = snapshot.entries.iter().flat_map(|entry| &entry.connections);
        let found: Vec<_> = connections.filter_map(|one| one.http1.clone()).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        found[0].clone()
    }

    /// How often a certificate was verified.
    pub(crate) fn verified(&self) -> usize {
        self.verifier.0.load(Ordering::Relaxed)
    }

    /// Nothing is left of the client, though it goes on.
    #[track_caller]
    pub(crate) fn assert_nothing_left(&mut self) {
        self.snapshot().expect_empty().expect("nothing is left");
        assert_eq!(self.tls.alive.get(), 0, "no TLS is left");
        assert_eq!(self.network().sockets(CLIENT), [], "no socket is left");
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
        self.assert_nothing_left();
    }
}

pub(crate) fn poll(response: &mut PendingResponse) -> Option<Result<Response, NetError>> {
    match Pin::new(response).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => Some(result),
        Poll::Pending => None,
    }
}

#[track_caller]
pub(crate) fn error(response: &mut PendingResponse) -> NetError {
    poll(response).expect("ended").expect_err("failed")
}

#[track_caller]
pub(crate) fn body(response: &mut PendingResponse) -> ResponseBody {
    poll(response).expect("a head").expect("a response").into_body()
}

/// What is there of a body, and whether that is all of it.
pub(crate) fn read(body: &mut ResponseBody) -> (Vec<u8>, Option<Result<(), NetError>>) {
    let mut bytes = Vec::new();
    loop {
        match body.try_chunk() {
            Some(Ok(Some(piece))) => bytes.extend_from_slice(&piece),
            Some(Ok(None)) => return (bytes, Some(Ok(()))),
            Some(Err(error)) => return (bytes, Some(Err(error))),
            None => return (bytes, None),
        }
    }
}

/// The body of a response that is there whole.
#[track_caller]
pub(crate) fn whole(response: &mut PendingResponse) -> String {
    let (bytes, end) = read(&mut body(response));
    assert_eq!(end, Some(Ok(())), "{bytes:?}");
    String::from_utf8(bytes).expect("text")
}
