//! The bench: a client and its peers in one simulated network.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use connection_mgr::{Event, Snapshot};
use http::Method;
use neqo_transport::{ConnectionParameters, StreamType};
use socket_transport::{
    simulated::{SimulatedNetwork, Simulation, SimulationError},
    walk::Step,
};

use transaction::{HttpTransaction, RequestBody};

use super::{
    Act, Ask, BabblingPeer, Endpoint, Fetch, Http3ServerPeer, Names, Peer, RawPeer, ScriptServer,
    Setup, SilentPeer,
    bench_nodes::{Client, Nodes, is_empty, snapshot},
    budget::Budget,
    pipes::Pipes,
    setup::Witnesses,
};
use crate::loopback::tls;

/// The client's machine.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
/// Its other address.
pub const CLIENT_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
/// The usual server's machine.
pub const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
/// Another server's machine.
pub const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 3));
/// A server's machine with an address of the other family.
pub const SERVER_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2));
/// The port of servers.
pub const PORT: u16 = 443;
/// The name of [`SERVER`]; the peers' certificate is for it and for every name below it.
pub const HOST: &str = "necko.test";
/// A millisecond.
pub const MS: Duration = Duration::from_millis(1);
/// A second.
pub const SECOND: Duration = Duration::from_secs(1);
/// A minute.
pub const MINUTE: Duration = Duration::from_mins(1);

/// A client, its peers, and the network between them.
///
/// # The end of a test
///
/// When it is dropped, and the test has not failed already, the bench
///
/// 1. has every connection closed that is open still, and waits until the client's snapshot is empty
///    *while its service runs on* (not for scripted engines, which close only when their script says so);
/// 2. shuts the client down, and looks again;
/// 3. asks witnesses that share no code with the snapshot: engines are counted by their own drop,
///    transactions by something in their request heads, pipes by their reference counts, parts and jobs by
///    their `Arc`s, sockets by the network, timers by the time of the next one.
///
/// So a test drops what it holds of responses and request bodies before its bench. Each turn of the client
/// has a budget, and each millisecond of virtual time has one of turns: whoever exceeds it fails the test.
pub struct Bench {
    pub(super) nodes: Nodes,
    pub(super) witnesses: Witnesses,
    pub(super) transactions: Arc<()>,
    pub(super) responses: Pipes,
    request_bodies: Pipes,
    pub(super) next_id: u64,
    /// What WebTransport sessions and their streams share with applications.
    pub(super) web_transport: Pipes,
    pub(super) ended: bool,
    pub(super) simulation: Simulation,
}

/// Making one.
impl Bench {
    /// The usual client: see [`Setup::new`].
    pub fn new(seed: u64) -> Self {
        Setup::new(seed).build()
    }

    /// The usual client and the usual server, which is [`HOST`].
    pub fn with_server(seed: u64) -> (Self, Peer<Http3ServerPeer>) {
        let mut bench = Self::new(seed);
        let server = bench.http3_server(SERVER, |parameters| parameters);
        (bench, server)
    }

    /// The usual client and the usual server with WebTransport, which is [`HOST`].
    pub fn with_web_transport(seed: u64) -> (Self, Peer<Http3ServerPeer>) {
        let mut bench = Self::new(seed);
        let server = bench.web_transport_server(SERVER);
        (bench, server)
    }

    /// Puts the usual server with WebTransport on a machine.
    pub fn web_transport_server(&mut self, machine: IpAddr) -> Peer<Http3ServerPeer> {
        self.http3_server(machine, |parameters| {
            parameters
                .datagram_size(65_535)
                .outgoing_datagram_queue(1000)
                .incoming_datagram_queue(1000)
                .max_streams(StreamType::BiDi, 100)
                .max_streams(StreamType::UniDi, 100)
        })
    }

    /// The usual client and a raw server, which is [`HOST`].
    pub fn with_raw(seed: u64) -> (Self, Peer<RawPeer>) {
        let mut bench = Self::new(seed);
        let server = bench.raw_server(SERVER, |parameters| parameters);
        (bench, server)
    }

    pub(super) fn of(simulation: Simulation, client: Client, witnesses: Witnesses) -> Self {
        let budget = Budget::new(witnesses.limits.clone());
        let bench = Self {
            nodes: Nodes { client, peers: Vec::new(), steps: None, budget },
            witnesses,
            transactions: Arc::new(()),
            responses: Pipes::default(),
            request_bodies: Pipes::default(),
            next_id: 1,
            web_transport: Pipes::default(),
            ended: false,
            simulation,
        };
        bench.name(HOST, [SERVER]);
        bench
    }

    /// Puts neqo's HTTP/3 server on a machine.
    pub fn http3_server(
        &mut self,
        machine: IpAddr,
        change: impl FnOnce(ConnectionParameters) -> ConnectionParameters,
    ) -> Peer<Http3ServerPeer> {
        let now = self.network().clock().now();
        self.peer(machine, Http3ServerPeer::new(change(ConnectionParameters::default()), now))
    }

    /// Puts a raw server on a machine.
    pub fn raw_server(
        &mut self,
        machine: IpAddr,
        change: impl FnOnce(ConnectionParameters) -> ConnectionParameters,
    ) -> Peer<RawPeer> {
        self.peer(machine, RawPeer::new("h3", change(ConnectionParameters::default())))
    }

    /// Puts a server on a machine that speaks another protocol over QUIC than HTTP/3.
    pub fn foreign_server(&mut self, machine: IpAddr) -> Peer<RawPeer> {
        self.peer(machine, RawPeer::new("hq-interop", ConnectionParameters::default()))
    }

    /// Puts a server on a machine that never answers.
    pub fn silent_server(&mut self, machine: IpAddr) -> Peer<SilentPeer> {
        self.peer(machine, SilentPeer::default())
    }

    /// Puts a server on a machine that sends what the test says.
    pub fn babbling_server(&mut self, machine: IpAddr) -> Peer<BabblingPeer> {
        self.peer(machine, BabblingPeer::new(machine))
    }

    /// Puts a server with HTTP/1.1 over TLS and TCP on a machine, whose connection with the number *n* does
    /// what `script(n)` says. The bench must [speak it](Setup::http1).
    pub fn http1_server(
        &mut self,
        machine: IpAddr,
        script: impl Fn(usize) -> Vec<Act> + 'static,
    ) -> ScriptServer {
        let authority = self.witnesses.authority.as_ref().expect("a bench with HTTP/1.1");
        let tls = tls(authority.issue(&[HOST, "*.necko.test"]), &[b"http/1.1"]);
        let local = SocketAddr::new(machine, PORT);
        let server = ScriptServer::new(self.network(), local, Some(tls), script);
        self.nodes.peers.push(Box::new(server.clone()));
        server
    }

    /// Puts a machine into the network on which nothing is bound: it refuses.
    pub fn bare_machine(&self, machine: IpAddr) {
        drop(self.network().host(machine));
    }

    fn peer<E: Endpoint + 'static>(&mut self, machine: IpAddr, endpoint: E) -> Peer<E> {
        let peer = Peer::new(self.network(), SocketAddr::new(machine, PORT), endpoint);
        self.nodes.peers.push(Box::new(peer.clone()));
        peer
    }

    /// Gives a host these machines, the first one preferred.
    pub fn name(&self, host: &str, machines: impl IntoIterator<Item = IpAddr>) {
        let addresses = machines.into_iter().map(|machine| SocketAddr::new(machine, PORT));
        self.witnesses.names.set(host, PORT, addresses);
    }
}

/// Requests, and time.
impl Bench {
    /// Sends a request.
    pub fn ask(&mut self, ask: Ask) -> Fetch {
        self.ask_with(ask, None)
    }

    /// Sends a request with a body that is not in memory.
    pub fn upload(&mut self, path: &str, body: RequestBody) -> Fetch {
        self.ask_with(Ask::new(Method::POST, path), Some(body))
    }

    /// Sends a request, with such a body if there is one.
    pub fn ask_with(&mut self, ask: Ask, body: Option<RequestBody>) -> Fetch {
        let (transaction, fetch) = self.transaction(ask, body);
        self.submit(Event::NewTransaction(transaction));
        fetch
    }

    /// A transaction that is not submitted yet; all witnesses know it.
    pub fn transaction(
        &mut self,
        ask: Ask,
        body: Option<RequestBody>,
    ) -> (Box<HttpTransaction>, Fetch) {
        self.request_bodies.add(body.as_ref().and_then(RequestBody::witness));
        let made = ask.into_transaction(self.next_id, &self.transactions, body);
        self.next_id += 1;
        self.responses.add(made.1.witness());
        made
    }

    /// Sends a `GET` to [`HOST`].
    pub fn get(&mut self, path: &str) -> Fetch {
        self.ask(Ask::get(path))
    }

    /// Sends a `GET` to [`HOST`], and waits for its end.
    #[track_caller]
    pub fn fetch(&mut self, path: &str) -> Fetch {
        let mut fetch = self.get(path);
        self.finish([&mut fetch]);
        fetch
    }

    /// Waits for the ends of some requests.
    #[track_caller]
    pub fn finish<'f>(&mut self, fetches: impl IntoIterator<Item = &'f mut Fetch>) {
        let mut fetches: Vec<_> = fetches.into_iter().collect();
        self.run_until("the requests have ended", |_| {
            // Every one is polled: a slow one must not keep the others from being read.
            fetches.iter_mut().fold(true, |done, fetch| fetch.poll() & done)
        });
    }

    /// Posts to the client.
    pub fn submit(&self, event: Event) {
        let accepted = self.nodes.client.poster().submit(event);
        assert!(accepted.is_ok(), "the client refuses: {accepted:?}");
    }

    /// Has the client close its connections when they have nothing more to do.
    pub fn close_persistent_connections(&self) {
        self.submit(Event::ClosePersistentConnections);
    }

    /// Lets time pass until something holds, which is asked after every turn; two minutes at most.
    #[track_caller]
    pub fn run_until(&mut self, what: &str, mut until: impl FnMut(&mut Client) -> bool) {
        let until = |nodes: &mut Nodes| until(&mut nodes.client);
        if let Err(error) = self.simulation.run(&mut self.nodes, until, 2 * MINUTE) {
            panic!("until {what}: {error}; {:#?}", self.snapshot());
        }
    }

    /// Lets time pass.
    #[track_caller]
    pub fn run_for(&mut self, time: Duration) {
        let result = self.simulation.run_for(&mut self.nodes, time);
        result.unwrap_or_else(|error| panic!("{error}"));
    }

    /// Lets time pass until it is over or something holds, which is asked after every turn.
    #[track_caller]
    pub(super) fn poll_until(&mut self, limit: Duration, mut until: impl FnMut() -> bool) {
        match self.simulation.run(&mut self.nodes, |_| until(), limit) {
            Ok(()) | Err(SimulationError::TimedOut { .. } | SimulationError::Stalled { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }

    /// Lets time pass until the client holds nothing any more, or this long.
    pub(super) fn wait_until_empty(&mut self, limit: Duration) {
        let empty = |nodes: &mut Nodes| is_empty(&mut nodes.client).is_ok();
        // Whoever looks for what is left says why.
        let _ = self.simulation.run(&mut self.nodes, empty, limit);
    }

    /// Lets time pass until the client holds nothing any more; says how long that took.
    #[track_caller]
    pub fn run_until_empty(&mut self) -> Duration {
        let start = self.elapsed();
        self.run_until("nothing is left", |client| is_empty(client).is_ok());
        self.since(start)
    }

    /// Has the client shut down, and waits for that.
    #[track_caller]
    pub fn shutdown(&mut self) {
        self.nodes.client.poster().request_shutdown();
        self.run_until("the client has shut down", |client| client.is_stopped());
    }
}

/// Looking.
impl Bench {
    /// The network.
    pub fn network(&self) -> &SimulatedNetwork {
        self.simulation.network()
    }

    /// The client.
    pub fn client(&mut self) -> &mut Client {
        &mut self.nodes.client
    }

    /// Names and addresses.
    pub fn names(&self) -> &Names {
        &self.witnesses.names
    }

    /// What is alive in the client.
    pub fn snapshot(&mut self) -> Snapshot {
        snapshot(&mut self.nodes.client)
    }

    /// Virtual time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.network().elapsed()
    }

    /// The client's steps while `run` runs.
    pub fn record(&mut self, run: impl FnOnce(&mut Self)) -> Vec<Step> {
        self.nodes.steps = Some(Vec::new());
        run(self);
        self.nodes.steps.take().unwrap_or_default()
    }

    /// The virtual clock's time.
    pub fn now(&self) -> Instant {
        self.network().clock().now()
    }

    /// Virtual time since then.
    pub fn since(&self, then: Duration) -> Duration {
        self.elapsed().saturating_sub(then)
    }

    /// How many certificates were verified.
    pub fn verifications(&self) -> usize {
        self.witnesses.verifier.calls()
    }

    /// Engines alive: counted by themselves.
    pub fn engines(&self) -> usize {
        self.witnesses.engines.get()
    }

    /// Transactions alive: counted by something that each keeps.
    pub fn transactions(&self) -> usize {
        Arc::strong_count(&self.transactions) - 1
    }

    /// Response pipes that anybody holds, the test included: each is asked itself.
    pub fn responses(&self) -> usize {
        self.responses.alive()
    }

    /// Pipes of request bodies that anybody holds, the test included: each is asked itself.
    pub fn request_bodies(&self) -> usize {
        self.request_bodies.alive()
    }

    /// Sockets that are bound on the client's machine: the network counts them.
    pub fn sockets(&self) -> Vec<SocketAddr> {
        let mut sockets = self.network().sockets(CLIENT.into());
        sockets.extend(self.network().sockets(CLIENT_V6.into()));
        sockets
    }

    /// Cuts the way between the client and a machine, or mends it.
    pub fn cut(&self, machine: IpAddr, on: bool) {
        self.network().blackhole(CLIENT.into(), machine, on);
        self.network().blackhole(machine, CLIENT.into(), on);
    }
}
