//! Plays a program on scripted engines.

use std::time::Duration;

use http::Method;
use transaction::{NetError, Priority, RequestBody};

use super::{
    Tally,
    engines::Engine,
    invariants,
    request::{Request, Writer},
    script_program::{Body, EngineStep, ScriptProgram, ScriptStep},
    step::NetStep,
    troubles::Own,
};
use crate::{
    loopback::pattern,
    simulated::{Ask, Bench, CLIENT, HOST, MS, SECOND, SERVER, Setup},
};

const HOSTS: [&str; 2] = [HOST, "two.necko.test"];

/// How many connections a program may open: enough for every attempt of a few requests.
const ENGINES: usize = 24;

/// What the factory says when there are no more.
const NO_MORE: NetError = NetError::Internal("the script has no more connections");

/// A program being played.
pub(super) struct ScriptPlay {
    requests: Vec<Request>,
    engines: Vec<Engine>,
    /// The peer said that it had not looked at something.
    rejects: bool,
    socket_troubles: bool,
    shut_down: bool,
    bench: Bench,
}

impl ScriptPlay {
    pub(super) fn new(program: &ScriptProgram) -> Self {
        let engines: Vec<_> = (0..ENGINES).map(|_| Engine::new()).collect();
        let bench = Setup::new(program.seed)
            .scripts(engines.iter().map(Engine::script))
            .limits(|limits| limits.max_sockets = program.max_sockets)
            .build();
        bench.bare_machine(SERVER);
        bench.name(HOSTS[1], [SERVER]);
        let (requests, socket_troubles) = (Vec::new(), program.max_sockets < 1000);
        // The scripts that the factory holds are no sessions' yet.
        Self { requests, engines, rejects: false, socket_troubles, shut_down: false, bench }
    }

    /// Does a step, and checks what must hold then. Answers whether the program goes on.
    pub(super) fn step(&mut self, step: &ScriptStep) -> bool {
        match step {
            ScriptStep::Ask { host, body } => self.ask(*host, *body),
            ScriptStep::Pass(time) => self.pass(*time),
            ScriptStep::Engine { engine, does } => self.engine(*engine, does),
            ScriptStep::Net(step) => self.net(*step),
            ScriptStep::ClosePersistent => self.bench.close_persistent_connections(),
            ScriptStep::Shutdown => {
                self.shut_down = true;
                self.bench.shutdown();
                self.bench.run_for(SECOND);
            }
            step => self.request_step(step),
        }
        self.look();
        !self.shut_down
    }

    /// A step that is about one request.
    fn request_step(&mut self, step: &ScriptStep) {
        let (ScriptStep::Feed { request, .. }
        | ScriptStep::FinishBody { request }
        | ScriptStep::DropWriter { request }
        | ScriptStep::Pause { request }
        | ScriptStep::GoOn { request }
        | ScriptStep::Read { request, .. }
        | ScriptStep::Drop { request }
        | ScriptStep::Priority { request, .. }) = step
        else {
            return;
        };
        let count = self.requests.len().max(1);
        let Some(request) = self.requests.get_mut(request % count) else { return };
        match step {
            ScriptStep::Feed { bytes, .. } => request.feed(*bytes),
            ScriptStep::FinishBody { .. } => request.finish_body(),
            ScriptStep::DropWriter { .. } => request.drop_writer(),
            ScriptStep::Pause { .. } => request.reading = false,
            ScriptStep::GoOn { .. } => request.reading = true,
            ScriptStep::Read { bytes, .. } => {
                if let Some(fetch) = &mut request.fetch {
                    fetch.read_at_most(*bytes);
                }
            }
            ScriptStep::Drop { .. } => request.fetch = None,
            ScriptStep::Priority { urgency, .. } => {
                if let Some(fetch) = &request.fetch {
                    fetch.set_priority(Priority::new(*urgency, false));
                }
            }
            _ => {}
        }
    }

    fn ask(&mut self, host: usize, body: Body) {
        let path = format!("/{}", self.requests.len());
        let mut writer = None;
        let (method, body) = match body {
            Body::None => (Method::GET, None),
            Body::Bytes(length) => (Method::POST, Some(pattern::body(length).into())),
            Body::Pipe { length, announced } => {
                let (body, pipe) = RequestBody::pipe(announced.then_some(length));
                writer = Some(Writer { body, written: 0, length, announced });
                (Method::POST, Some(pipe))
            }
        };
        let ask = Ask::new(method.clone(), &path).host(HOSTS[host]).checked();
        let fetch = Some(self.bench.ask_with(ask, body));
        let (own, complete, sent) = (Own::default(), None, None);
        let request =
            Request { method, host, path, fetch, writer, reading: true, own, complete, sent };
        self.requests.push(request);
    }

    /// The engine that sessions have, counted from the last one.
    fn engine(&mut self, number: usize, step: &EngineStep) {
        self.rejects |= matches!(
            step,
            EngineStep::Goaway
                | EngineStep::Reset { code: 0x10b, .. }
                | EngineStep::Stop { code: 0x10b, .. }
        );
        let made = self.bench.snapshot().lifetime.connections;
        let made = usize::try_from(made).unwrap_or_default();
        let place = made.checked_sub(1 + number % made.max(1));
        if let Some(engine) = place.and_then(|place| self.engines.get_mut(place)) {
            engine.does(step);
        }
    }

    fn net(&mut self, step: NetStep) {
        let network = self.bench.network().clone();
        let sockets = self.bench.sockets();
        let socket = |number: usize| sockets.get(number % sockets.len().max(1)).copied();
        self.socket_troubles = true;
        match step {
            NetStep::WouldBlock(sends) => network.would_block_next(CLIENT.into(), sends),
            NetStep::WriteDelay(delay) => network.write_delay(delay),
            NetStep::FailSend(kind) => network.fail_next_send(CLIENT.into(), kind),
            NetStep::FailBind(kind) => network.fail_next_bind(CLIENT.into(), kind),
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
            NetStep::JobDelay(delay) => network.job_delay(delay),
            NetStep::Offline(on) => self.bench.client().poster().set_offline(on),
            _ => {}
        }
    }

    fn pass(&mut self, time: Duration) {
        let Self { bench, requests, .. } = self;
        let end = bench.elapsed() + time;
        bench.poll_until(time, || {
            requests.iter_mut().for_each(Request::poll);
            false
        });
        bench.run_for(end.saturating_sub(bench.elapsed()));
    }

    /// Checks everything that must hold now.
    fn look(&mut self) {
        self.pass(Duration::ZERO);
        self.engines.iter_mut().for_each(Engine::listen);
        let responses = self.requests.iter().filter(|one| one.holds_a_response()).count();
        let writers = self.requests.iter().filter(|one| one.writer.is_some()).count();
        invariants::check(&mut self.bench, responses, writers);
        self.requests.iter().for_each(|request| self.check_end(request));
    }

    /// A response that is complete is all that its stream was given; an error is one that may come of this.
    fn check_end(&self, request: &Request) {
        let Some(fetch) = request.fetch.as_ref().filter(|fetch| fetch.is_done()) else { return };
        let path = &request.path;
        match fetch.result() {
            Ok(()) => {
                // The last attempt has the highest number.
                let fed = self.engines.iter().rev().find_map(|engine| engine.fed(path));
                let fed = fed.unwrap_or_else(|| panic!("{path} was answered and never asked for"));
                assert!(fed.fin || fed.head_fin, "{path} ended without an end");
                assert!(fetch.received() <= fed.bytes, "{path}: {fed:?}");
                assert!(fed.head_fin || fetch.received() == fed.bytes, "{path}: {fed:?}");
            }
            Err(NetError::PartialTransfer { received, .. }) => {
                assert_eq!(*received, fetch.received(), "{path}");
            }
            Err(NetError::ShuttingDown) => assert!(self.shut_down, "{path}"),
            Err(NetError::Socket { .. }) => assert!(self.socket_troubles, "{path}"),
            Err(NetError::RequestBody(_)) => assert!(request.own.given_up, "{path}"),
            Err(
                NetError::ConnectionRefused { .. }
                | NetError::NetReset { .. }
                | NetError::NetInterrupt { .. }
                | NetError::NetTimeout(_)
                | NetError::MalformedResponse(_)
                | NetError::Http3Protocol { .. }
                | NetError::BodyNotRewindable(_)
                | NetError::QuicTransport { .. }
                | NetError::Tls { .. }
                | NetError::Certificate { .. },
            ) => {}
            Err(error) => assert_eq!(*error, NO_MORE, "{path}: nothing explains it"),
        }
    }

    /// The end of the program: all faults end, every engine says that it is closed, and nothing is left.
    pub(super) fn end(mut self, tally: &mut Tally) {
        self.requests.iter_mut().for_each(|request| request.reading = true);
        if !self.shut_down {
            self.close_everything();
        }
        self.look();
        for request in &self.requests {
            assert!(request.is_done(), "{} never ends", request.path);
        }
        self.check_deliveries();
        tally.add(&self.requests, Vec::new());
        self.requests.clear();
        assert_eq!(self.bench.expect_nothing(), Ok(()));
        assert_eq!(self.bench.end(), Ok(()));
    }

    fn close_everything(&mut self) {
        let network = self.bench.network().clone();
        network.forgive(CLIENT.into());
        network.write_delay(MS);
        network.job_delay(MS);
        self.bench.client().poster().set_offline(false);
        // What goes again opens another connection, and that has to close as well.
        for _ in 0..=ENGINES {
            self.pass(20 * MS);
            let snapshot = self.bench.snapshot();
            if snapshot.expect_empty().is_ok() {
                return;
            }
            let made = usize::try_from(snapshot.lifetime.connections).unwrap_or_default();
            self.engines.iter_mut().take(made).for_each(Engine::close);
        }
    }

    /// No engine is asked for an unsafe request that another one may have delivered.
    fn check_deliveries(&self) {
        for request in self.requests.iter().filter(|request| !request.method.is_safe()) {
            let path = &request.path;
            let asked: usize = self.engines.iter().map(|engine| engine.count(path)).sum();
            assert!(asked <= 1 || self.rejects, "{path} was sent {asked} times");
        }
    }
}
