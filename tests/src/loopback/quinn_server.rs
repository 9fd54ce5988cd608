//! An HTTP/3 server of other making: h3 on quinn, on a thread of this process.

use std::{
    hash::{BuildHasher as _, Hasher as _, RandomState},
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use quinn::{
    ConnectionId, ConnectionIdGenerator, Endpoint, EndpointConfig, TransportConfig, VarInt,
    crypto::rustls::QuicServerConfig,
};
use tokio::{runtime, sync::oneshot};

use super::{
    certificates::{Identity, TestCa},
    quinn_answers::ChosenAnswer,
    quinn_ranges::Resource,
    quinn_service::{ServerEvent, Service},
    time::DEADLINE,
};

/// How a [`QuinnServer`] differs from the usual one.
#[derive(Debug)]
pub struct QuinnOptions {
    /// Where it listens; at port 0, on any that is free.
    pub address: SocketAddr,
    /// Who it says it is.
    pub identity: Identity,
    /// Requests that a client may have open at once.
    pub max_streams: u32,
    /// It ends connections after so much silence.
    pub idle_timeout: Duration,
    /// Every client must prove its address first (Retry).
    pub retry: bool,
    /// It closes a connection in good order when this request comes on it, and does not answer that.
    pub closes_at_request: Option<usize>,
    /// Its key for stateless resets. Who starts again with the same one can end connections that it knows
    /// nothing of.
    pub endpoint: EndpointConfig,
}

impl QuinnOptions {
    /// On 127.0.0.1, 100 streams at once, 30 seconds of silence.
    pub fn new(identity: Identity) -> Self {
        let mut endpoint = EndpointConfig::default();
        endpoint.cid_generator(|| Box::new(RandomIds));
        Self {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            identity,
            max_streams: 100,
            idle_timeout: Duration::from_secs(30),
            retry: false,
            closes_at_request: None,
            endpoint,
        }
    }
}

/// Connection ids that say nothing. Quinn's own say who made them, and one of another making is silently
/// dropped instead of being answered with a reset.
#[derive(Debug)]
struct RandomIds;

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        // The standard library's way to random bytes.
        ConnectionId::new(&RandomState::new().build_hasher().finish().to_be_bytes())
    }

    fn cid_len(&self) -> usize {
        size_of::<u64>()
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}

/// It is to end without a word.
#[derive(Debug)]
struct Dead;

/// A running server. Its paths are those of `quinn_service::Service`.
#[derive(Debug)]
pub struct QuinnServer {
    address: SocketAddr,
    events: mpsc::Receiver<ServerEvent>,
    service: Arc<Service>,
    /// Dropped, it lets the server say goodbye; used, it does not.
    stop: Option<oneshot::Sender<Dead>>,
    thread: Option<JoinHandle<()>>,
}

impl QuinnServer {
    /// Starts the usual one for localhost.
    #[track_caller]
    pub fn start(ca: &TestCa) -> Self {
        Self::start_with(QuinnOptions::new(ca.localhost()))
    }

    /// Starts one.
    #[track_caller]
    pub fn start_with(options: QuinnOptions) -> Self {
        let (listening, address) = mpsc::channel();
        let (events, received) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let service = Arc::new(Service::new(events, options.closes_at_request));
        let retry = options.retry;
        let serving = Arc::clone(&service);
        let run = async move |options| {
            let endpoint = endpoint(options);
            let address = endpoint.local_addr().expect("a bound socket has an address");
            listening.send(address).expect("it is waited for");
            tokio::select! {
                () = accept(&endpoint, retry, &serving) => {}
                // The runtime ends with this, and so does everything in it, in the middle.
                end = stopped => if end.is_ok() { return },
            }
            endpoint.close(VarInt::from_u32(0x100), b"the test is over");
            // The farewell leaves at once; who doesn't answer isn't waited for.
            let _ = tokio::time::timeout(Duration::from_secs(1), endpoint.wait_idle()).await;
        };
        let work = move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(run(options));
        };
        let thread = thread::Builder::new().name("QuinnServer".into()).spawn(work);
        let thread = Some(thread.expect("a thread"));
        let address = address.recv_timeout(DEADLINE).expect("the server listens");
        Self { address, events: received, service, stop: Some(stop), thread }
    }

    /// Lets one response break off that waits for it.
    pub fn release(&self) {
        self.service.release();
    }

    /// Sends GOAWAY on every connection: after so many more requests it takes none.
    pub fn go_away(&self, more: usize) {
        self.service.go_away(more);
    }

    /// What `/answer` is from now on.
    pub fn choose_answer(&self, answer: ChosenAnswer) {
        self.service.choose_answer(answer);
    }

    /// What `/range/N` is from now on.
    pub fn set_resource(&self, resource: Resource) {
        self.service.set_resource(resource);
    }

    /// Ends as if its machine had: in the middle of everything, without a farewell.
    pub fn die(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(Dead);
        }
        self.join();
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !thread::panicking()
        {
            panic!("the server's thread panicked");
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `https://localhost:PORT` and `path`.
    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    /// Waits for an event of which `wanted` makes something.
    #[track_caller]
    pub fn wait_for<T>(&self, wanted: impl Fn(&ServerEvent) -> Option<T>) -> T {
        let mut others = Vec::new();
        loop {
            let Ok(event) = self.events.recv_timeout(DEADLINE) else {
                panic!("the server did not see that, but {others:?}");
            };
            if let Some(found) = wanted(&event) {
                return found;
            }
            others.push(event);
        }
    }

    /// Waits until a connection ends; the code with which the client closed it, if it did.
    #[track_caller]
    pub fn wait_for_close(&self) -> Option<u64> {
        let closed = |event: &ServerEvent| match event {
            ServerEvent::Closed(code) => Some(code.ok_or(())),
            _ => None,
        };
        self.wait_for(closed).ok()
    }

    /// How often something happened that nobody waited for yet.
    pub fn count(&self, wanted: impl Fn(&ServerEvent) -> bool) -> usize {
        self.events.try_iter().filter(wanted).count()
    }
}

impl Drop for QuinnServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.join();
    }
}

fn endpoint(options: QuinnOptions) -> Endpoint {
    let Identity { chain, key, .. } = options.identity;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring has TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("key and certificate belong together");
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let tls = QuicServerConfig::try_from(tls).expect("TLS 1.3 is QUIC's");
    let mut transport = TransportConfig::default();
    transport.max_concurrent_bidi_streams(VarInt::from_u32(options.max_streams));
    let idle = options.idle_timeout.try_into().expect("less than an age");
    transport.max_idle_timeout(Some(idle));
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(tls));
    config.transport_config(Arc::new(transport));
    let socket = std::net::UdpSocket::bind(options.address).expect("a free port");
    let runtime = Arc::new(quinn::TokioRuntime);
    Endpoint::new(options.endpoint, Some(config), socket, runtime).expect("an endpoint")
}

async fn accept(endpoint: &Endpoint, retry: bool, service: &Arc<Service>) {
    while let Some(incoming) = endpoint.accept().await {
        if retry && !incoming.remote_address_validated() {
            service.tell(ServerEvent::Retried);
            incoming.retry().expect("who is not validated may be asked to");
            continue;
        }
        let service = Arc::clone(service);
        tokio::spawn(async move {
            // A handshake that fails is the client's to report.
            if let Ok(connection) = incoming.await {
                service.serve(connection).await;
            }
        });
    }
}
