//! An engine that says anything in any order: every request ends, and nothing is left.

use http3_session::{CloseReason, Http3Event, StreamId, scripted::Script};
use proptest::prelude::*;
use tests::simulated::{Ask, Bench, Fetch, MS};
use transaction::ErrorCode;

use super::{bench, head, script};

/// What happens. Numbers name a request, or the stream that it may have.
#[derive(Debug, Clone, Copy)]
enum Step {
    Get,
    Post(usize),
    Read(usize),
    Drop(usize),
    Allow(u64),
    Credit(usize, usize),
    Head(usize, u16, bool),
    Data(usize, usize, bool),
    Writable(usize),
    Reset(usize, u64),
    Stop(usize, u64),
    Malformed(usize),
    Creatable,
    Goaway,
    Pass,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let request = || 0..12_usize;
    let code = || prop::sample::select(vec![0x100_u64, 0x102, 0x10b, 0x10c, 0x110]);
    let step = prop_oneof![
        6 => Just(Step::Get),
        3 => (0..200_000_usize).prop_map(Step::Post),
        4 => request().prop_map(Step::Read),
        2 => request().prop_map(Step::Drop),
        1 => (0..12_u64).prop_map(Step::Allow),
        2 => (request(), 0..100_000_usize).prop_map(|(n, bytes)| Step::Credit(n, bytes)),
        4 => (request(), prop::sample::select(vec![103, 200, 204]), any::<bool>())
            .prop_map(|(n, status, fin)| Step::Head(n, status, fin)),
        4 => (request(), 0..200_000_usize, any::<bool>())
            .prop_map(|(n, bytes, fin)| Step::Data(n, bytes, fin)),
        2 => request().prop_map(Step::Writable),
        2 => (request(), code()).prop_map(|(n, code)| Step::Reset(n, code)),
        2 => (request(), code()).prop_map(|(n, code)| Step::Stop(n, code)),
        1 => request().prop_map(Step::Malformed),
        1 => Just(Step::Creatable),
        1 => prop::option::weighted(0.1, Just(())).prop_map(|goaway| match goaway {
            Some(()) => Step::Goaway,
            None => Step::Pass,
        }),
        6 => Just(Step::Pass),
    ];
    prop::collection::vec(step, 1..60)
}

struct Play {
    bench: Bench,
    script: Script,
    fetches: Vec<Option<Fetch>>,
}

fn stream(n: usize) -> StreamId {
    StreamId::new(n as u64 * 4)
}

impl Play {
    fn step(&mut self, step: Step) {
        let event = match step {
            Step::Get => return self.ask(Ask::get("/")),
            Step::Post(length) => return self.ask(Ask::post("/", vec![b'x'; length])),
            Step::Read(n) => {
                if let Some(Some(fetch)) = self.fetches.get_mut(n) {
                    fetch.read_once();
                }
                return;
            }
            Step::Drop(n) => {
                if let Some(fetch) = self.fetches.get_mut(n) {
                    *fetch = None;
                }
                return;
            }
            Step::Allow(streams) => return self.script.allow_streams(streams),
            Step::Credit(n, bytes) => return self.script.credit(stream(n), bytes),
            Step::Data(n, bytes, fin) => return self.script.data(stream(n), &vec![7; bytes], fin),
            Step::Pass => return self.bench.run_for(2 * MS),
            Step::Head(n, status, fin) => head(stream(n), status, fin),
            Step::Writable(n) => Http3Event::DataWritable(stream(n)),
            Step::Reset(n, code) => Http3Event::Reset(stream(n), ErrorCode::new(code)),
            Step::Stop(n, code) => Http3Event::StopSending(stream(n), ErrorCode::new(code)),
            Step::Malformed(n) => {
                Http3Event::MalformedHead { stream: stream(n), what: "anything".into() }
            }
            Step::Creatable => Http3Event::RequestsCreatable,
            Step::Goaway => Http3Event::GoawayReceived,
        };
        self.script.event(event);
    }

    fn ask(&mut self, ask: Ask) {
        let fetch = self.bench.ask(ask);
        self.fetches.push(Some(fetch));
    }

    /// No queue holds more than there is, and no request is nowhere.
    fn check(&mut self) {
        self.bench.run_for(2 * MS);
        let snapshot = self.bench.snapshot();
        let sessions = snapshot.entries.iter().flat_map(|entry| &entry.connections);
        for session in sessions.filter_map(|connection| connection.session.as_ref()) {
            assert!(session.queued_streams <= session.streams, "{session:?}");
            assert_eq!((session.ready_for_write, session.commands), (0, 0), "{session:?}");
            assert_eq!(session.slow_consumers_ready_for_read, 0, "{session:?}");
        }
        assert_eq!(self.bench.transactions(), snapshot.transactions(), "{snapshot:?}");
    }
}

fn play(steps: Vec<Step>) {
    let script = script();
    let mut play = Play { bench: bench(&script), script: script.clone(), fetches: Vec::new() };
    script.event(Http3Event::Connected);
    play.ask(Ask::get("/"));
    play.bench.run_for(2 * MS);
    for step in steps {
        play.step(step);
    }
    play.check();
    // What may be asked again goes nowhere: there is no second engine.
    script.event(Http3Event::Closed(CloseReason::NoError { by_peer: true }));
    play.bench.run_for(10 * MS);
    for fetch in play.fetches.iter_mut().flatten() {
        assert!(fetch.poll(), "it never ends: {fetch:?}");
    }
    assert_eq!((play.bench.transactions(), play.bench.engines()), (0, 0));
    assert_eq!(play.bench.snapshot().expect_empty(), Ok(()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn h3_h7_every_request_ends_with_its_session_whatever_the_engine_says(steps in steps()) {
        play(steps);
    }
}
