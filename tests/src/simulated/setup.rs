//! What a bench is made of.

use std::{
    cell::Cell,
    fs,
    path::PathBuf,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use connection_mgr::{
    ConnectionLimits, ConnectionMgr, Http11ConnectionFactory, HttpConnectionFactory, Parts,
};
use http3_session::{
    CertificateVerifier, Http3ConnFactory, Http3Settings, VerificationError, VerificationRequest,
    scripted::{Script, ScriptedFactory},
};
use necko::{AcceptAnyCertificate, RootVerifier};
use neqo_glue::NeqoHttp3ConnFactory;
use rustls_glue::RustlsConnFactory;
use socket_transport::{
    Limits,
    simulated::{SimulatedNetwork, Simulation, Stack},
};

use super::{
    Bench, CLIENT, CLIENT_V6, Names, budget::ROUNDS_PER_MILLISECOND,
    counted_engine::CountedFactory, nss_db,
};
use crate::loopback::TestCa;

/// Whose certificates the client believes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trust {
    /// Those of the authority that signed the peers' certificate.
    PeersCa,
    /// Those of another authority.
    AnotherCa,
    /// All.
    Anything,
}

/// The choices for a [`Bench`].
#[derive(Debug)]
#[must_use]
pub struct Setup {
    seed: u64,
    settings: Http3Settings,
    trust: Trust,
    limits: Limits,
    connections: ConnectionLimits,
    scripts: Option<Vec<Script>>,
    authority: Option<TestCa>,
}

impl Setup {
    /// neqo with necko's settings, which verifies the peers' certificate.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            settings: Http3Settings::default(),
            trust: Trust::PeersCa,
            limits: Limits::default(),
            connections: ConnectionLimits::default(),
            scripts: None,
            authority: None,
        }
    }

    /// Changes the engine's settings.
    pub fn settings(mut self, change: impl FnOnce(&mut Http3Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Whom the client believes.
    pub fn trust(self, trust: Trust) -> Self {
        Self { trust, ..self }
    }

    /// Changes the service's limits.
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// Changes the manager's limits.
    pub fn connections(mut self, change: impl FnOnce(&mut ConnectionLimits)) -> Self {
        change(&mut self.connections);
        self
    }

    /// Instead of neqo: an engine for each of these scripts, in order. Any certificate is believed.
    pub fn scripts(self, scripts: impl IntoIterator<Item = Script>) -> Self {
        Self { scripts: Some(scripts.into_iter().collect()), trust: Trust::Anything, ..self }
    }

    /// A client that speaks HTTP/1.1 as well, and believes what [`Bench::http1_server`] shows.
    pub fn http1(self) -> Self {
        Self { authority: Some(TestCa::new()), ..self }
    }

    /// The bench.
    pub fn build(self) -> Bench {
        let scripted = self.scripts.is_some();
        let factory: Box<dyn Http3ConnFactory> = if let Some(scripts) = self.scripts {
            Box::new(ScriptedFactory::new(scripts))
        } else {
            nss_db::init();
            Box::new(NeqoHttp3ConnFactory)
        };
        let engines = Rc::new(Cell::new(0));
        let names = Arc::new(Names::default());
        let verifier = Arc::new(CountedVerifier::new(self.trust, self.authority.as_ref()));
        let mgr = ConnectionMgr::new(Parts {
            engines: Box::new(CountedFactory::new(factory, &engines)),
            verifier: Arc::clone(&verifier) as Arc<dyn CertificateVerifier>,
            resolver: Arc::clone(&names) as Arc<dyn necko::Resolve>,
            settings: self.settings,
            limits: self.connections,
            others: self.authority.as_ref().map(|_| http1()),
        });
        let limits = self.limits.clone();
        let network = SimulatedNetwork::new(self.seed);
        let machine = network.dual_stack_host(CLIENT, CLIENT_V6);
        let client = Stack::new(machine, self.limits, mgr).expect("a service");
        let simulation = Simulation::of(network).max_rounds(ROUNDS_PER_MILLISECOND);
        let authority = self.authority;
        let witnesses = Witnesses { engines, names, verifier, scripted, limits, authority };
        Bench::of(simulation, client, witnesses)
    }
}

/// What the bench keeps of a client's parts.
pub(super) struct Witnesses {
    /// Engines alive.
    pub(super) engines: Rc<Cell<usize>>,
    pub(super) names: Arc<Names>,
    pub(super) verifier: Arc<CountedVerifier>,
    pub(super) scripted: bool,
    pub(super) limits: Limits,
    /// Who signs the certificates of servers on TCP.
    pub(super) authority: Option<TestCa>,
}

/// Connections over TCP.
fn http1() -> Box<dyn HttpConnectionFactory> {
    let tls = RustlsConnFactory::new(String::new()).expect("TLS");
    Box::new(Http11ConnectionFactory::new(Box::new(tls)))
}

/// The file with the peers' authority, and with that of servers on TCP.
fn authorities(other: Option<&TestCa>) -> PathBuf {
    let peers = nss_db::folder().join("ca.pem");
    let Some(other) = other.map(TestCa::file) else { return peers };
    let both = [&peers, &other].map(|file| fs::read(file).expect("a file with roots")).concat();
    let file = other.with_file_name("both.pem");
    fs::write(&file, both).expect("a file can be written");
    file
}

/// A verifier whose calls are counted.
pub(super) struct CountedVerifier {
    inner: Box<dyn CertificateVerifier>,
    calls: AtomicUsize,
}

impl CountedVerifier {
    fn new(trust: Trust, authority: Option<&TestCa>) -> Self {
        let roots = |file| RootVerifier::from_pem_file(file).expect("a file with roots");
        let inner: Box<dyn CertificateVerifier> = match trust {
            Trust::PeersCa => Box::new(roots(&authorities(authority))),
            Trust::AnotherCa => Box::new(roots(&TestCa::new().file())),
            Trust::Anything => Box::new(AcceptAnyCertificate),
        };
        Self { inner, calls: AtomicUsize::new(0) }
    }

    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

impl CertificateVerifier for CountedVerifier {
    fn verify(&self, request: &VerificationRequest) -> Result<(), VerificationError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.inner.verify(request)
    }
}
