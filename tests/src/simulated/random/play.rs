//! Plays a program on real neqo, against peers on neqo.

use std::{net::IpAddr, time::Duration};

use connection_mgr::Event;
use http::Method;
use http3_session::SessionState;
use transaction::{Priority, RequestBody};

use super::{
    Tally, invariants,
    peers::{BARE, BARE_AND_SILENT, Machine},
    program::{Kind, Program},
    request::{Request, Writer, promise},
    sessions::{SessionStep, Sessions},
    step::{Name, NetStep, Path, PeerStep, Step, Weather, What},
    troubles::Troubles,
};
use crate::{
    loopback::pattern,
    simulated::{Ask, Bench, CLIENT, HOST, MINUTE, MS, Setup},
};

/// The hosts: one for each peer, and one that no certificate is for.
const HOSTS: [&str; 4] = [HOST, "two.necko.test", "three.necko.test", "stranger.example"];

/// How long requests may take to end, once all faults have: several attempts at several addresses, each for
/// an idle timeout and the silence before it.
const PATIENCE: Duration = Duration::from_mins(20);

/// How long connections may take to close then: three probe timeouts, and not more than the connection allows.
const CLOSING: Duration = Duration::from_secs(20);

/// A program being played.
pub(super) struct Play {
    requests: Vec<Request>,
    sessions: Sessions,
    max_sockets: usize,
    machines: Vec<Machine>,
    troubles: Troubles,
    bench: Bench,
}

impl Play {
    pub(super) fn new(program: &Program) -> Self {
        let conditions = &program.conditions;
        let mut bench = Setup::new(program.seed)
            .settings(|settings| {
                settings.ml_kem = conditions.ml_kem;
                settings.idle_timeout = conditions.idle_timeout;
                settings.initial_max_stream_data = conditions.first_window;
            })
            .limits(|limits| {
                limits.max_sockets = conditions.max_sockets;
                limits.datagrams_per_turn = conditions.datagrams_per_turn;
            })
            .build();
        bench.network().job_delay(conditions.job_delay);
        bench.bare_machine(BARE);
        bench.bare_machine(BARE_AND_SILENT);
        bench.network().silent(BARE_AND_SILENT, true);
        let machines: Vec<_> = (0..conditions.peers.len())
            .map(|place| Machine::new(&mut bench, place, conditions))
            .collect();
        let troubles = Troubles::new(conditions);
        let (sessions, max_sockets) = (Sessions::default(), conditions.max_sockets);
        let play = Self { requests: Vec::new(), sessions, max_sockets, machines, troubles, bench };
        for host in 0..HOSTS.len() {
            play.name(host, Name::Known);
        }
        play
    }

    /// Does a step, and checks what must hold then. Answers whether the program goes on.
    pub(super) fn step(&mut self, step: &Step) -> bool {
        self.troubles.note(step);
        match step {
            Step::Ask { host, what, times } => (0..*times).for_each(|_| self.ask(*host, what)),
            Step::Upload { host, length, announced } => self.upload(*host, *length, *announced),
            Step::Pass(time) => self.pass(*time),
            Step::Peer { peer, does } => {
                let count = self.machines.len();
                self.machines[peer % count].does(&mut self.bench, *does);
            }
            Step::Net(step) => self.net(*step),
            Step::Name { host, becomes } => self.name(*host, *becomes),
            Step::Session(step) => self.session_step(step),
            Step::ClosePersistent => self.bench.close_persistent_connections(),
            Step::Snapshot => self.bench.submit(Event::Snapshot(Box::new(|_| ()))),
            Step::Shutdown => {
                self.bench.shutdown();
                // Workers end what they have begun, though nobody waits for it.
                self.bench.run_for(MINUTE);
            }
            step => self.request_step(step),
        }
        self.look();
        !matches!(step, Step::Shutdown)
    }

    fn session_step(&mut self, step: &SessionStep) {
        match step {
            SessionStep::Connect { host, path, pooled } => {
                self.sessions.connect(&mut self.bench, HOSTS[*host], path, *pooled);
            }
            SessionStep::Server { peer, does } => {
                let count = self.machines.len();
                self.machines[peer % count].does_in_a_session(does);
            }
            step => self.sessions.does(step),
        }
    }

    /// A step that is about one request.
    fn request_step(&mut self, step: &Step) {
        let (Step::Feed { request, .. }
        | Step::FinishBody { request }
        | Step::DropWriter { request }
        | Step::Pause { request }
        | Step::GoOn { request }
        | Step::Read { request, .. }
        | Step::Drop { request }
        | Step::Priority { request, .. }) = step
        else {
            return;
        };
        let count = self.requests.len().max(1);
        // Those about uploads find one.
        let is_meant = |one: &Request| match step {
            Step::Feed { .. } | Step::FinishBody { .. } | Step::DropWriter { .. } => {
                one.writer.is_some()
            }
            _ => one.fetch.is_some(),
        };
        let (early, late) = self.requests.split_at_mut(request % count);
        let Some(request) = late.iter_mut().chain(early).find(|request| is_meant(request)) else {
            return;
        };
        if matches!(step, Step::Drop { .. } | Step::DropWriter { .. } | Step::FinishBody { .. })
            && !may_be_given_up(&mut self.bench, &self.machines, request)
        {
            return;
        }
        match step {
            Step::Feed { bytes, .. } => request.feed(*bytes),
            Step::FinishBody { .. } => request.finish_body(),
            Step::DropWriter { .. } => request.drop_writer(),
            Step::Pause { .. } => request.reading = false,
            Step::GoOn { .. } => request.reading = true,
            Step::Read { bytes, .. } => {
                if let Some(fetch) = &mut request.fetch {
                    fetch.read_at_most(*bytes);
                }
            }
            Step::Drop { .. } => request.fetch = None,
            Step::Priority { urgency, incremental, .. } => {
                if let Some(fetch) = &request.fetch {
                    fetch.set_priority(Priority::new(*urgency, *incremental));
                }
            }
            _ => {}
        }
    }

    fn ask(&mut self, host: usize, what: &What) {
        let path = what.path.of(self.requests.len());
        let body = match what.path {
            Path::Post(length) => pattern::body(length),
            _ => Vec::new(),
        };
        let sent = Some(body.len() as u64);
        let ask = Ask::new(what.method.clone(), &path).body(body).host(HOSTS[host]).checked();
        let fetch = self.bench.ask(ask);
        self.add(host, what, path, fetch, None, sent);
    }

    fn upload(&mut self, host: usize, length: u64, announced: bool) {
        let what = What { method: Method::POST, path: Path::Post(length) };
        let path = what.path.of(self.requests.len());
        let (body, pipe) = RequestBody::pipe(announced.then_some(length));
        let ask = Ask::new(Method::POST, &path).host(HOSTS[host]).checked();
        let fetch = self.bench.ask_with(ask, Some(pipe));
        // What was not announced may end anywhere.
        let writer = Writer { body, written: 0, length, announced };
        self.add(host, &what, path, fetch, Some(writer), None);
    }

    fn add(
        &mut self,
        host: usize,
        what: &What,
        path: String,
        fetch: crate::simulated::Fetch,
        writer: Option<Writer>,
        sent: Option<u64>,
    ) {
        let kind = self.machine(host).kind;
        let (complete, own) = promise(kind, what, host == 3);
        let method = what.method.clone();
        let fetch = Some(fetch);
        let request =
            Request { method, host, path, fetch, writer, reading: true, own, complete, sent };
        self.requests.push(request);
    }

    fn machine(&self, host: usize) -> &Machine {
        &self.machines[host % self.machines.len()]
    }

    fn name(&self, host: usize, becomes: Name) {
        let real = self.machine(host).ip;
        let machines = match becomes {
            Name::Unknown => return self.bench.names().forget(HOSTS[host]),
            Name::Known => vec![real],
            Name::Empty => vec![],
            Name::BadFirst { silent: true } => vec![BARE_AND_SILENT, real],
            Name::BadFirst { silent: false } => vec![BARE, real],
            Name::OnlyBad => vec![BARE_AND_SILENT, BARE],
        };
        self.bench.name(HOSTS[host], machines);
    }

    fn net(&mut self, step: NetStep) {
        let network = self.bench.network().clone();
        let client = IpAddr::from(CLIENT);
        let sockets = self.bench.sockets();
        let socket = |number: usize| sockets.get(number % sockets.len().max(1)).copied();
        match step {
            NetStep::Rebind { socket: number, port } => {
                if let Some(socket) = socket(number).filter(|_| self.is_settled()) {
                    // Refused where another socket has it.
                    let _ = network.rebind(socket, (CLIENT, port).into());
                }
            }
            NetStep::WouldBlock(sends) => network.would_block_next(client, sends),
            NetStep::WriteDelay(delay) => network.write_delay(delay),
            NetStep::PeerWouldBlock { peer, sends } => {
                let peer = &self.machines[peer % self.machines.len()];
                network.would_block_next(peer.ip, sends);
            }
            NetStep::FailSend(kind) => network.fail_next_send(client, kind),
            NetStep::FailBind(kind) => network.fail_next_bind(client, kind),
            NetStep::FailReceive { socket: number, kind } => {
                if let Some(socket) = socket(number) {
                    network.fail_next_receive(socket, kind);
                }
            }
            NetStep::BreakSocket { socket: number } => {
                if let Some(socket) = socket(number) {
                    network.break_socket(socket);
                }
            }
            NetStep::MergeReads(on) => network.merge_reads(on),
            NetStep::JobDelay(delay) => network.job_delay(delay),
            NetStep::Offline(on) => self.bench.client().poster().set_offline(on),
        }
    }

    /// Whether no handshake is under way at either end. Debug builds of neqo (0.13.4) don't bear it that a
    /// client's address changes before its handshake is confirmed: packets in flight are counted on two paths.
    fn is_settled(&mut self) -> bool {
        if self.troubles.lossy {
            return false;
        }
        self.pass(50 * MS);
        let snapshot = self.bench.snapshot();
        let connections = snapshot.entries.iter().flat_map(|entry| &entry.connections);
        let sessions: Vec<_> = connections.filter_map(|one| one.session.as_ref()).collect();
        let settled = sessions.iter().all(|session| session.state == SessionState::Connected);
        self.pass(50 * MS);
        settled
    }

    /// Lets time pass; who reads, reads.
    fn pass(&mut self, time: Duration) {
        let Self { bench, requests, machines, sessions, .. } = self;
        let end = bench.elapsed() + time;
        bench.poll_until(time, || {
            machines.iter().for_each(Machine::tick);
            requests.iter_mut().for_each(Request::poll);
            sessions.poll();
            false
        });
        bench.run_for(end.saturating_sub(bench.elapsed()));
    }

    /// Checks everything that must hold now.
    fn look(&mut self) {
        self.pass(Duration::ZERO);
        let responses = self.requests.iter().filter(|one| one.holds_a_response()).count();
        let writers = self.requests.iter().filter(|one| one.writer.is_some()).count();
        invariants::check(&mut self.bench, responses, writers);
        self.requests.iter().for_each(|request| request.check_end(&self.troubles));
    }

    /// The end of the program: all faults end, all that was begun ends, and nothing is left.
    pub(super) fn end(mut self, tally: &mut Tally) {
        if !self.bench.client().is_stopped() {
            self.mend_everything();
            self.finish_everything();
        }
        let ends = self.end_sessions();
        self.requests.iter_mut().for_each(|request| request.reading = true);
        self.look();
        for request in &self.requests {
            let snapshot = self.bench.snapshot();
            let path = &request.path;
            let servers: Vec<_> = self.machines.iter().map(|one| one.describe(path)).collect();
            assert!(request.is_done(), "{path} never ends: {servers:?}; {snapshot:#?}");
        }
        self.check_deliveries();
        tally.add(&self.requests, ends);
        self.requests.clear();
        if !self.bench.client().is_stopped() {
            self.bench.close_persistent_connections();
            let bench = &mut self.bench;
            bench.wait_until_empty(CLOSING);
        }
        assert_eq!(self.bench.end(), Ok(()));
    }

    /// Sessions are answered or refused; then they are closed, and whoever waits for anything of theirs is told.
    fn end_sessions(&mut self) -> Vec<String> {
        let Self { bench, sessions, .. } = self;
        sessions.give_up_held();
        bench.poll_until(PATIENCE, || {
            sessions.poll();
            // Others may wait for their sockets, or for their streams on a connection that they share.
            sessions.close();
            sessions.are_answered()
        });
        assert!(
            sessions.are_answered(),
            "a session is never answered: {}; {:#?}",
            sessions.describe(),
            bench.snapshot()
        );
        let ends = sessions.ends();
        bench.poll_until(MINUTE, || {
            sessions.poll();
            sessions.are_over()
        });
        assert!(sessions.are_over(), "{}; {:#?}", sessions.describe(), bench.snapshot());
        sessions.clear();
        ends
    }

    /// Whoever waits for a socket waits until sessions end, and those make room for nobody.
    fn has_few_sockets(&self) -> bool {
        self.max_sockets < 1000
    }

    fn mend_everything(&mut self) {
        let network = self.bench.network().clone();
        network.forgive(CLIENT.into());
        network.write_delay(MS);
        network.job_delay(MS);
        self.bench.client().poster().set_offline(false);
        for machine in &mut self.machines {
            network.forgive(machine.ip);
            machine.does(&mut self.bench, PeerStep::Mend);
            machine.does(&mut self.bench, PeerStep::Weather(Weather::Fine));
            machine.does(&mut self.bench, PeerStep::Reads(true));
        }
        for host in 0..HOSTS.len() {
            self.name(host, Name::Known);
        }
    }

    /// Reads and writes everything. What never ends by itself is cancelled.
    fn finish_everything(&mut self) {
        let endless = |path: &str| path.starts_with("/silent") || path.starts_with("/reset_after");
        for request in &mut self.requests {
            request.reading = true;
        }
        self.read_and_write_everything(|path| !endless(path));
        // A request that was complete when it was stopped is one that nobody has to answer.
        let stops = self.troubles.stops;
        let endless = |path: &str| endless(path) || stops && path.starts_with("/upload");
        self.requests.iter_mut().filter(|one| endless(&one.path)).for_each(Request::give_up);
        self.read_and_write_everything(|_| true);
    }

    /// Until all those that are meant have ended.
    fn read_and_write_everything(&mut self, meant: impl Fn(&str) -> bool) {
        let few_sockets = self.has_few_sockets();
        let Self { bench, requests, machines, sessions, .. } = self;
        if few_sockets {
            sessions.give_up_held();
        }
        bench.poll_until(PATIENCE, || {
            machines.iter().for_each(Machine::tick);
            sessions.poll();
            if few_sockets {
                sessions.close();
            }
            requests.iter_mut().fold(true, |done, request| {
                request.feed(u64::MAX);
                if request.writer.as_ref().is_some_and(Writer::is_complete) || request.is_done() {
                    request.finish_body();
                }
                request.poll();
                done & (request.is_done() || !meant(&request.path))
            })
        });
    }

    /// A server sees no unsafe request twice, and each once that was answered.
    fn check_deliveries(&self) {
        for request in self.requests.iter().filter(|request| !request.method.is_safe()) {
            let path = &request.path;
            let seen: usize = self.machines.iter().map(|machine| machine.count(path)).sum();
            assert!(seen <= 1 || self.troubles.rejects(), "{path} came {seen} times");
            let done = request.fetch.as_ref().filter(|fetch| fetch.is_done());
            if done.is_some_and(|fetch| fetch.result().is_ok()) {
                assert!(seen >= 1, "{path} was answered and never came");
            }
        }
    }
}

/// Whether a request may be given up now. neqo's server (0.13.4) does not bear it before it has seen the
/// request: it takes `STOP_SENDING` for news of a stream that is not there yet, and answers on it later. A raw
/// server does.
fn may_be_given_up(bench: &mut Bench, machines: &[Machine], request: &Request) -> bool {
    let machine = &machines[request.host % machines.len()];
    if machine.kind == Kind::Raw || machine.count(&request.path) > 0 {
        return true;
    }
    let snapshot = bench.snapshot();
    let connections = snapshot.entries.iter().flat_map(|entry| &entry.connections);
    let mut sessions = connections.filter_map(|one| one.session.as_ref());
    // In early data it may be on its way.
    let unsent = |state| !matches!(state, SessionState::ZeroRtt | SessionState::Connected);
    sessions.all(|session| unsent(session.state))
}

impl Writer {
    fn is_complete(&self) -> bool {
        self.written == self.length
    }
}
