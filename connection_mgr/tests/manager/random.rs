//! Whatever happens to a manager in whatever order: the books are right after each callback (a debug build
//! compares them there), and in the end nothing is left and every request has ended.

use connection_mgr::{ConnectionInfo, Event};
use http3_session::{CloseReason, Http3Event, StreamId, scripted::Script};
use proptest::prelude::*;
use transaction::{ErrorCode, PendingResponse};

use crate::{
    common::{SECOND, head, poll},
    machine::Machine,
};

const HOSTS: [&str; 4] = ["a.example", "b.example", "two.example", "none.example"];
/// Every connection is one of these; there are more than can be begun.
const SCRIPTS: usize = 120;

#[derive(Debug, Clone)]
enum Happening {
    Fetch(usize),
    Drop(usize),
    Ahead(usize),
    /// To the connection that was begun so many connections ago.
    Engine(usize, Http3Event),
    Data(usize, u64, bool),
    Name(usize, Vec<u8>),
    JobDelay(u64),
    NoSocket,
    ClosePersistent,
    NetworkChanged,
    AbortAll,
    Offline(bool),
    Pass(u64),
}

fn engine_event() -> impl Strategy<Value = Http3Event> {
    let stream = || (0..4_u64).prop_map(|n| StreamId::new(n * 4));
    let reason = prop::sample::select(vec![
        CloseReason::NoError { by_peer: true },
        CloseReason::NoError { by_peer: false },
        CloseReason::IdleTimeout,
        CloseReason::TlsAlert { alert: 48, by_peer: false },
    ]);
    let status = prop::sample::select(vec![200, 204, 421]);
    prop_oneof![
        6 => Just(Http3Event::Connected),
        3 => (0..4_u64, status, any::<bool>()).prop_map(|(n, status, fin)| head(n * 4, status, fin)),
        1 => stream().prop_map(|stream| Http3Event::Reset(stream, ErrorCode::REQUEST_REJECTED)),
        1 => Just(Http3Event::GoawayReceived),
        1 => Just(Http3Event::AuthenticationNeeded),
        2 => reason.clone().prop_map(Http3Event::Closing),
        2 => reason.prop_map(Http3Event::Closed),
    ]
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let addresses = prop::collection::vec(1..4_u8, 0..3);
    let one = prop_oneof![
        8 => (0..HOSTS.len()).prop_map(Happening::Fetch),
        3 => (0..8_usize).prop_map(Happening::Drop),
        2 => (0..HOSTS.len()).prop_map(Happening::Ahead),
        12 => (0..4_usize, engine_event()).prop_map(|(back, event)| Happening::Engine(back, event)),
        1 => (0..4_usize, 0..4_u64, any::<bool>())
            .prop_map(|(back, n, fin)| Happening::Data(back, n * 4, fin)),
        2 => (0..3_usize, addresses).prop_map(|(host, to)| Happening::Name(host, to)),
        2 => prop::sample::select(vec![0, 1, 40]).prop_map(Happening::JobDelay),
        1 => Just(Happening::NoSocket),
        1 => Just(Happening::ClosePersistent),
        1 => Just(Happening::NetworkChanged),
        1 => Just(Happening::AbortAll),
        1 => any::<bool>().prop_map(Happening::Offline),
        4 => prop::sample::select(vec![0, 1, 31, 100]).prop_map(Happening::Pass),
    ];
    prop::collection::vec(one, 1..60)
}

struct Play {
    machine: Machine,
    responses: Vec<PendingResponse>,
}

impl Play {
    fn new(max_connections: usize) -> Self {
        let machine = Machine::with(SCRIPTS, |parts| {
            parts.limits.max_connections = max_connections;
            parts.limits.attempt_timeout = 60 * SECOND;
        });
        for script in &machine.scripts {
            script.chain(vec![b"a.example b.example two.example".to_vec()]);
        }
        Self { machine, responses: Vec::new() }
    }

    fn step(&mut self, happening: Happening) {
        let machine = &mut self.machine;
        match happening {
            Happening::Fetch(host) => self.responses.push(machine.fetch(HOSTS[host])),
            Happening::Drop(n) => {
                if !self.responses.is_empty() {
                    drop(self.responses.remove(n % self.responses.len()));
                }
            }
            Happening::Ahead(host) => {
                let info = ConnectionInfo::new(HOSTS[host], 443);
                machine.submit(Event::SpeculativeConnect(info));
            }
            Happening::Engine(back, event) => {
                if let Some(script) = self.begun_before(back) {
                    self.machine.scripts[script].event(event);
                }
            }
            Happening::Data(back, stream, fin) => {
                if let Some(script) = self.begun_before(back) {
                    self.machine.scripts[script].data(StreamId::new(stream), b"data", fin);
                }
            }
            Happening::Name(host, addresses) => machine.name(HOSTS[host], &addresses),
            Happening::JobDelay(seconds) => {
                let delay = (SECOND / 100).max(SECOND * u32::try_from(seconds).expect("few"));
                machine.job_delay(delay);
            }
            Happening::NoSocket => {
                let kind = std::io::ErrorKind::AddrNotAvailable;
                machine.simulation.network().fail_next_bind([198, 51, 100, 1].into(), kind);
            }
            Happening::ClosePersistent => machine.submit(Event::ClosePersistentConnections),
            Happening::NetworkChanged => machine.submit(Event::NetworkChanged),
            Happening::AbortAll => machine.submit(Event::AbortAllConnections),
            Happening::Offline(offline) => {
                machine.stack.poster().set_offline(offline);
                machine.settle();
            }
            Happening::Pass(seconds) => {
                let span = SECOND * u32::try_from(seconds).expect("few");
                machine.run_for(span);
            }
        }
    }

    fn begun_before(&mut self, back: usize) -> Option<usize> {
        usize::try_from(self.machine.begun()).expect("few").checked_sub(back + 1)
    }

    /// Has something happen to all that were begun, and then whatever follows from it.
    fn all_engines(&mut self, happens: impl Fn(&Script)) {
        let begun = usize::try_from(self.machine.begun()).expect("few");
        self.machine.scripts[..begun].iter().for_each(happens);
        self.machine.nudge();
    }

    /// Every engine connects, answers and ends, over and over: whatever waits for one gets its turn.
    fn end(mut self) {
        self.machine.stack.poster().set_offline(false);
        self.machine.job_delay(SECOND / 100);
        self.machine.run_for(100 * SECOND);
        for _ in 0..30 {
            if self.machine.snapshot().transactions() == 0 {
                break;
            }
            self.all_engines(|script| script.event(Http3Event::Connected));
            self.all_engines(|script| {
                (0..64).for_each(|stream| script.event(head(stream * 4, 204, true)));
            });
            let reason = CloseReason::NoError { by_peer: false };
            self.all_engines(|script| script.event(Http3Event::Closed(reason.clone())));
        }
        assert_eq!(self.machine.snapshot().transactions(), 0, "a request is stuck");
        for response in &mut self.responses {
            // A response whose body is unread has a head.
            assert!(poll(response).is_some(), "a request was lost");
        }
        // The machine's drop looks whether anything is left after a shutdown.
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn m1_m4_m6_m10_m11_m17_m20_hold_whatever_happens_in_whatever_order(
        happenings in happenings(),
        max_connections in prop::sample::select(vec![1, 2, 900]),
    ) {
        let mut play = Play::new(max_connections);
        for happening in happenings {
            play.step(happening);
        }
        play.end();
    }
}
