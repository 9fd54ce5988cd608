//! The usual fixture with a resolver whose names can be set, and a verifier that counts.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    ops::{Deref, DerefMut},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use connection_mgr::{ConnectionInfo, EntrySnapshot, Event, Parts, Resolve};
use http::{HeaderMap, Method};
use http3_session::{
    CertificateVerifier, VerificationError, VerificationRequest,
    scripted::{Call, Script},
};
use transaction::{
    CertificateProblem, HttpTransaction, NetError, PendingResponse, RequestBody, RequestHead,
    TransactionId,
};

use crate::common::{Fixture, head, poll};

/// Names and the last bytes of their addresses.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<BTreeMap<String, Vec<u8>>>>);

impl Resolve for Names {
    fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        let names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let addresses = names.get(host).ok_or("no such name")?;
        Ok(addresses.iter().map(|last| address(*last, port)).collect())
    }
}

/// 192.0.2.n, and from 100 on an address of IPv6.
pub(crate) fn address(last: u8, port: u16) -> SocketAddr {
    if last < 100 {
        return ([192, 0, 2, last], port).into();
    }
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(last)], port).into()
}

/// Accepts a certificate that has the host's name in it.
#[derive(Clone, Default)]
struct Verifier(Arc<AtomicUsize>);

impl CertificateVerifier for Verifier {
    fn verify(&self, request: &VerificationRequest) -> Result<(), VerificationError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        if String::from_utf8_lossy(&request.chain[0]).contains(&request.host) {
            return Ok(());
        }
        let problem = CertificateProblem::WrongHost;
        Err(VerificationError { problem, detail: "it names others".into() })
    }
}

/// A manager whose hosts are `a.example`, `b.example` and so on.
pub(crate) struct Machine {
    fixture: Fixture,
    names: Names,
    verifier: Verifier,
}

impl Deref for Machine {
    type Target = Fixture;

    fn deref(&self) -> &Fixture {
        &self.fixture
    }
}

impl DerefMut for Machine {
    fn deref_mut(&mut self) -> &mut Fixture {
        &mut self.fixture
    }
}

impl Machine {
    /// One that can make so many connections.
    pub(crate) fn new(connections: usize) -> Self {
        Self::with(connections, |_| {})
    }

    /// With other parts than usual.
    pub(crate) fn with(connections: usize, change: impl FnOnce(&mut Parts)) -> Self {
        let (names, verifier) = (Names::default(), Verifier::default());
        let fixture = Fixture::with(connections, |parts| {
            parts.resolver = Arc::new(names.clone());
            parts.verifier = Arc::new(verifier.clone());
            change(parts);
        });
        let machine = Self { fixture, names, verifier };
        machine.name("a.example", &[1]);
        machine.name("b.example", &[1]);
        machine.name("two.example", &[1, 2]);
        machine
    }

    /// Gives a name other addresses: see [`address`].
    pub(crate) fn name(&self, host: &str, addresses: &[u8]) {
        let mut names = self.names.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.insert(host.to_owned(), addresses.to_vec());
    }

    /// Lets time pass.
    pub(crate) fn run_for(&mut self, span: Duration) {
        let Fixture { simulation, stack, .. } = &mut self.fixture;
        simulation.run_for(stack, span).expect("no spin");
    }

    /// How long workers take from now on.
    pub(crate) fn job_delay(&self, delay: Duration) {
        self.simulation.network().job_delay(delay);
    }

    /// Certificates looked at, for whatever reason.
    pub(crate) fn verifications(&self) -> usize {
        self.verifier.0.load(Ordering::Relaxed)
    }

    /// A request, and what happens within a second.
    pub(crate) fn get(&mut self, host: &str) -> PendingResponse {
        let response = self.fetch(host);
        self.settle();
        response
    }

    /// As [`get`](Self::get), with a key that is not the host's usual one.
    pub(crate) fn get_over(&mut self, info: ConnectionInfo) -> PendingResponse {
        let response = self.fetch_over(info);
        self.settle();
        response
    }

    /// An upload, as the only request of a test.
    pub(crate) fn post(&mut self, host: &str, body: RequestBody) -> PendingResponse {
        let head = RequestHead::new(Method::POST, "https", host, "/", &HeaderMap::new());
        let (info, head) = (ConnectionInfo::new(host, 443), head.expect("valid"));
        let (transaction, response) = HttpTransaction::new(TransactionId(1), info, head, body);
        self.submit(Event::NewTransaction(transaction));
        response
    }

    /// A connection to `a.example` that is connected, with a certificate for these names.
    pub(crate) fn connect_a(&mut self, names: &str) -> PendingResponse {
        let response = self.get("a.example");
        self.scripts[0].chain(vec![names.as_bytes().to_vec()]);
        self.connected(0);
        response
    }

    pub(crate) fn submit(&mut self, event: Event) {
        assert!(self.stack.poster().submit(event).is_ok());
        self.settle();
    }

    pub(crate) fn entry(&mut self, host: &str) -> Option<EntrySnapshot> {
        let entries = self.snapshot().entries;
        entries.into_iter().find(|entry| entry.info.starts_with(host))
    }

    /// Connections that were begun.
    pub(crate) fn begun(&mut self) -> u64 {
        self.snapshot().lifetime.connections
    }

    /// Answers with a head alone.
    pub(crate) fn answer(&mut self, script: usize, stream: u64) {
        self.play(script, [head(stream, 204, true)]);
    }
}

/// How many requests an engine was given.
pub(crate) fn fetches(script: &Script) -> usize {
    script.take_calls().iter().filter(|call| matches!(call, Call::Fetch { .. })).count()
}

#[track_caller]
pub(crate) fn assert_answered(response: &mut PendingResponse) {
    assert_eq!(poll(response).expect("an end").expect("a response").status(), 204);
}

#[track_caller]
pub(crate) fn assert_error(response: &mut PendingResponse, expected: &NetError) {
    assert_eq!(&poll(response).expect("an end").expect_err("a failure"), expected);
}
