//! The session's states, whatever happens to it in whatever order.

use http::Method;
use http3_session::{
    CloseCause, CloseReason, Http3Event, SessionState, StreamId, VerificationError, scripted::Call,
};
use proptest::prelude::*;
use transaction::{CertificateProblem, ErrorCode, NetError, TimeoutPhase};

use crate::fixture::{Driver, Fixture, MS, head};

/// What happens. Numbers name a request, or the stream that it may have.
#[derive(Debug, Clone)]
enum Step {
    Add(Method),
    Event(Http3Event),
    Data(u64, usize, bool),
    Drive(Driver),
    Wishes(usize),
    Drop(usize),
    Allow(u64),
    DontReuse,
    Verdict(bool),
    Close(CloseCause),
    Shutdown,
    Pass,
}

fn event() -> impl Strategy<Value = Http3Event> {
    let stream = || (0..6_u64).prop_map(|n| StreamId::new(n * 4));
    let code = || prop::sample::select(vec![0x100, 0x10b, 0x10c]).prop_map(ErrorCode::new);
    let application = |by_peer| CloseReason::Application {
        code: ErrorCode::INTERNAL_ERROR,
        by_peer,
        reason: String::new(),
    };
    let reason = prop::sample::select(vec![
        CloseReason::NoError { by_peer: true },
        CloseReason::NoError { by_peer: false },
        CloseReason::IdleTimeout,
        CloseReason::StatelessReset,
        application(true),
        application(false),
    ]);
    prop_oneof![
        4 => Just(Http3Event::Connected),
        2 => Just(Http3Event::AuthenticationNeeded),
        1 => Just(Http3Event::ZeroRttRejected),
        1 => Just(Http3Event::GoawayReceived),
        1 => Just(Http3Event::RequestsCreatable),
        2 => (stream(), any::<bool>()).prop_map(|(stream, fin)| head(stream, fin)),
        1 => stream().prop_map(Http3Event::DataWritable),
        1 => (stream(), code()).prop_map(|(stream, code)| Http3Event::Reset(stream, code)),
        1 => (stream(), code()).prop_map(|(stream, code)| Http3Event::StopSending(stream, code)),
        1 => reason.clone().prop_map(Http3Event::Closing),
        1 => reason.prop_map(Http3Event::Closed),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let method = prop::sample::select(vec![Method::GET, Method::POST]);
    let driver = prop::sample::select(vec![Driver::RecvData, Driver::SendData, Driver::Timer]);
    let error = prop::sample::select(vec![
        NetError::Aborted,
        NetError::ShuttingDown,
        NetError::NetTimeout(TimeoutPhase::Idle),
        NetError::Socket { operation: "testing", kind: std::io::ErrorKind::Other },
    ]);
    let cause = prop_oneof![
        2 => error.prop_map(CloseCause::Failed),
        1 => Just(CloseCause::Ended),
    ];
    let step = prop_oneof![
        6 => method.prop_map(Step::Add),
        12 => event().prop_map(Step::Event),
        3 => (0..6_u64, 0..200_000_usize, any::<bool>())
            .prop_map(|(stream, bytes, fin)| Step::Data(stream * 4, bytes, fin)),
        8 => driver.prop_map(Step::Drive),
        2 => (0..6_usize).prop_map(Step::Wishes),
        2 => (0..6_usize).prop_map(Step::Drop),
        1 => (0..6_u64).prop_map(Step::Allow),
        1 => Just(Step::DontReuse),
        1 => any::<bool>().prop_map(Step::Verdict),
        1 => cause.prop_map(Step::Close),
        1 => Just(Step::Shutdown),
        1 => Just(Step::Pass),
    ];
    prop::collection::vec(step, 1..50)
}

struct Play {
    fixture: Fixture,
    /// Where the session stood before the last step.
    before: SessionState,
    closes: usize,
    /// What ended with the session and was not given back.
    added: usize,
}

impl Play {
    fn step(&mut self, step: Step) {
        let fixture = &mut self.fixture;
        match step {
            Step::Add(method) => {
                let added = fixture.add(method, "a body");
                let open = fixture.state() < SessionState::Closing;
                assert!(open || !added, "h3: a closing session takes nothing");
                self.added += usize::from(added);
            }
            Step::Event(event) => fixture.script.event(event),
            Step::Data(stream, bytes, fin) => {
                fixture.script.data(StreamId::new(stream), &vec![7; bytes], fin);
            }
            Step::Drive(driver) => fixture.drive(driver),
            Step::Wishes(n) => {
                if let Some(key) = fixture.requests.get(n).map(|request| request.key) {
                    let _ = fixture.session().wishes(key);
                }
            }
            Step::Drop(n) => {
                if let Some(request) = fixture.requests.get_mut(n) {
                    request.response = None;
                    let key = request.key;
                    let _ = fixture.session().wishes(key);
                }
            }
            Step::Allow(streams) => fixture.script.allow_streams(streams),
            Step::DontReuse => fixture.session().dont_reuse(),
            Step::Verdict(good) => {
                let problem = CertificateProblem::UnknownIssuer;
                let bad = VerificationError { problem, detail: "bad".into() };
                fixture.session().authenticated(if good { Ok(()) } else { Err(bad) });
            }
            Step::Close(cause) => {
                fixture.session().close(cause);
            }
            Step::Shutdown => fixture.session().shutdown(NetError::ShuttingDown),
            Step::Pass => fixture.network.advance(100 * MS),
        }
        self.check();
    }

    fn check(&mut self) {
        let restarts = self.fixture.session().take_restarts();
        self.fixture.restarts.extend(restarts);
        let snapshot = self.fixture.snapshot();
        let state = snapshot.state;
        // h1, c7: forward only. (The order of the states is that of their declaration.)
        let rejected = (self.before, state) == (SessionState::ZeroRtt, SessionState::Initializing);
        assert!(self.before <= state || rejected, "from {:?} to {state:?}", self.before);
        let handle = state < SessionState::Closed;
        assert_eq!(snapshot.handle, handle, "h2, m1: exactly as long as it is not closed");
        assert_eq!(self.fixture.handles_dropped(), usize::from(!handle));
        if state >= SessionState::Closing {
            assert_eq!(snapshot.streams, 0, "h2");
            let queues = (snapshot.ready_for_write, snapshot.queued_streams);
            assert_eq!((queues, snapshot.slow_consumers_ready_for_read), ((0, 0), 0), "h2");
            assert!(snapshot.buffered == 0 && !self.fixture.session().can_reuse());
        }
        if state == SessionState::Closed {
            assert_eq!((snapshot.timer, snapshot.commands), (false, 0), "h2, h15");
            assert!(!self.fixture.session().take_resume_send());
        }
        let calls = self.fixture.calls();
        self.closes += calls.iter().filter(|call| matches!(call, Call::Close(_))).count();
        assert!(self.closes <= 1, "the engine is closed once");
        if self.before == SessionState::Closed {
            assert!(calls.is_empty(), "h15, c2: the engine is not touched any more: {calls:?}");
        }
        self.before = state;
    }

    /// However it got there: it can be closed, and everything has ended.
    fn end(&mut self) {
        self.step(Step::Shutdown);
        self.step(Step::Drive(Driver::Timer));
        assert_eq!(self.fixture.state(), SessionState::Closed);
        let fixture = &mut self.fixture;
        let again: Vec<_> = fixture.restarts.drain(..).map(|one| one.id().0).collect();
        for n in 0..self.added {
            if fixture.requests[n].response.is_some() {
                // h3: closed or given back, and not both. (What was given back is dropped by now.)
                let ended = fixture.poll(n).is_some();
                assert!(ended, "request {n} is nowhere; given back: {again:?}");
            }
        }
        fixture.session = None;
        assert_eq!((fixture.handles_dropped(), fixture.script.holders()), (1, 1));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]
    #[test]
    fn h1_h2_h3_h15_c7_hold_whatever_happens_in_whatever_order(
        steps in steps(),
        zero_rtt in any::<bool>(),
    ) {
        let fixture = if zero_rtt { Fixture::zero_rtt() } else { Fixture::new() };
        let before = fixture.state();
        let mut play = Play { fixture, before, closes: 0, added: 0 };
        for step in steps {
            play.step(step);
        }
        play.end();
    }
}

/// The states in their order, each with what leads there.
#[test]
fn h1_the_usual_life_goes_through_all_four_states() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.state(), SessionState::Initializing);
    fixture.play([Http3Event::Connected]);
    assert_eq!(fixture.state(), SessionState::Connected);
    let reason = CloseReason::NoError { by_peer: true };
    fixture.play([Http3Event::Closing(reason.clone())]);
    assert_eq!(fixture.state(), SessionState::Closing);
    fixture.play([Http3Event::Closed(reason)]);
    assert_eq!(fixture.state(), SessionState::Closed);
}
