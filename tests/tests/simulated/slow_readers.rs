//! Many consumers that hardly read, and some that stop for a while.

use std::time::{Duration, Instant};

use http3_session::{Http3Settings, SessionSnapshot};
use neqo_transport::{ConnectionParameters, StreamType};
use socket_transport::simulated::LinkConfig;
use tests::simulated::{Ask, Bench, CLIENT, Fetch, Http3ServerPeer, Peer, SECOND, SERVER, Setup};
use transaction::pipe::CAPACITY;

const SLOW: usize = 50;
/// What a slow reader takes in a second.
const SIP: usize = 1000;
/// More than a stream's window, however large it is chosen: the server never gets rid of it.
const ENDLESS: u64 = 13 * 1024 * 1024;
const SHORT: u64 = 400_000;
const FAST: u64 = 16 * 1024 * 1024;

fn many_streams(parameters: ConnectionParameters) -> ConnectionParameters {
    parameters.max_streams(StreamType::BiDi, 100)
}

/// A link that a fast reader fills.
fn bench() -> (Bench, Peer<Http3ServerPeer>) {
    let mut bench = Bench::new(1);
    let server = bench.http3_server(SERVER, many_streams);
    let link = LinkConfig::new().rate_bits_per_second(50_000_000);
    bench.network().both(CLIENT.into(), SERVER, link);
    (bench, server)
}

fn session(bench: &mut Bench) -> SessionSnapshot {
    let snapshot = bench.snapshot();
    snapshot.entries[0].connections[0].session.clone().expect("a session")
}

/// Slow readers, who read once in a second of virtual time.
#[derive(Default)]
struct Slow {
    fetches: Vec<Fetch>,
    due: Option<Instant>,
}

impl Slow {
    fn begin(bench: &mut Bench) -> Self {
        let paths = [ENDLESS, SHORT].map(|length| format!("/{length}"));
        let fetches = (0..SLOW).map(|n| bench.ask(Ask::get(&paths[n % 2]).checked())).collect();
        Self { fetches, due: None }
    }

    fn read(&mut self, now: Instant) {
        if self.due.is_some_and(|due| now < due) {
            return;
        }
        self.due = Some(now + SECOND);
        for fetch in &mut self.fetches {
            fetch.read_at_most(SIP);
        }
    }

    /// Reads so many times.
    fn read_for(&mut self, bench: &mut Bench, seconds: usize) {
        for _ in 0..seconds {
            for fetch in &mut self.fetches {
                fetch.read_at_most(SIP);
            }
            bench.run_for(SECOND);
        }
    }
}

/// How long the fast reader needs while the slow ones read on.
fn fast(bench: &mut Bench, slow: &mut Slow) -> Duration {
    let then = bench.elapsed();
    let mut fetch = bench.ask(Ask::get(&format!("/{FAST}")).checked());
    bench.run_until("the fast one has all", |client| {
        slow.read(client.call(|_, ctx| ctx.now()));
        fetch.poll()
    });
    fetch.expect_pattern(FAST);
    bench.since(then)
}

#[test]
fn fifty_slow_readers_beside_a_fast_one_neither_slow_it_down_nor_fill_memory() {
    let max_data = Http3Settings::default().max_data;
    let alone = {
        let (mut bench, _server) = bench();
        bench.fetch("/1").expect_pattern(1);
        fast(&mut bench, &mut Slow::default())
    };

    let (mut bench, server) = bench();
    let mut slow = Slow::begin(&mut bench);
    slow.read_for(&mut bench, 20);
    let beside = fast(&mut bench, &mut slow);
    assert!(beside < alone * 11 / 10, "{beside:?} beside the slow ones, {alone:?} alone");

    // Nothing grows: a minute brings what is read in a minute, and no more.
    let before = bench.snapshot();
    slow.read_for(&mut bench, 60);
    let after = bench.snapshot();
    let received = |traffic: &connection_mgr::Snapshot| traffic.service.traffic.bytes_received;
    let came = received(&after) - received(&before);
    let read = (SLOW * SIP * 60) as u64;
    // A pipe is refilled when it is half empty: nobody asked for more than another half.
    let most = read * 11 / 10 + (SLOW * CAPACITY / 2) as u64;
    assert!(came < most, "{came} bytes came while {read} were read");
    let buffered = session(&mut bench).buffered;
    assert!(buffered <= SLOW * CAPACITY, "{buffered} bytes in the pipes");
    let window = max_data + (SLOW * CAPACITY) as u64;
    let read: u64 = slow.fetches.iter().map(Fetch::received).sum();
    let held = received(&after) - FAST - read;
    assert!(held < window, "{held} bytes are held by the client");

    // Half of them go, the others take the rest at once.
    let short = slow.fetches.into_iter().enumerate().filter(|(n, _)| n % 2 == 1);
    let mut short: Vec<_> = short.map(|(_, fetch)| fetch).collect();
    bench.finish(&mut short);
    for fetch in &short {
        fetch.expect_pattern(SHORT);
    }
    bench.run_for(SECOND);
    let snapshot = bench.snapshot();
    assert_eq!((snapshot.transactions(), bench.transactions()), (0, 0));
    assert_eq!((snapshot.lifetime.connections, session(&mut bench).buffered), (1, 0));
    let stopped = server.look(|server| {
        server.requests.iter().filter(|request| request.stopped == Some(0x10c)).count()
    });
    assert_eq!(stopped, SLOW / 2);
    bench.fetch("/1").expect_pattern(1);
}

/// One who reads a part and nothing more for so long, and then the rest.
fn paused(length: u64, pause: Duration) {
    let mut bench =
        Setup::new(2).settings(|settings| settings.initial_max_stream_data = 500_000).build();
    let server = bench.http3_server(SERVER, |parameters| parameters);
    let mut fetch = bench.get(&format!("/{length}"));
    bench.run_until("a piece of it", |_| fetch.read_once().is_some());
    bench.run_for(pause);
    let turns = bench.snapshot().service.turns;
    assert!(turns < 3000, "{turns} turns");
    bench.finish([&mut fetch]);
    fetch.expect_pattern(length);
    assert_eq!(bench.snapshot().lifetime.connections, 1);
    assert_eq!(server.look(|server| server.requests.len()), 1);
}

#[test]
fn a_pause_longer_than_the_idle_timeout_with_data_at_the_server() {
    paused(2_000_000, 100 * SECOND);
}

#[test]
fn a_pause_longer_than_the_idle_timeout_with_everything_received() {
    paused(300_000, 100 * SECOND);
}
