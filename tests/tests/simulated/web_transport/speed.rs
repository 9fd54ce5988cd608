//! How fast a stream is, beside plain HTTP/3 in the same run.

use std::time::Duration;

use http::Method;
use socket_transport::simulated::LinkConfig;
use tests::{
    loopback::{in_soak, own_processor_time, pattern, tell},
    simulated::{Ask, Bench, CLIENT, Connect, MS, SERVER},
};

const LENGTH: u64 = 32 * 1024 * 1024;

/// A fast link that is not endless.
fn bench() -> Bench {
    let (mut bench, _server) = Bench::with_web_transport(1);
    let link = LinkConfig::new().rate_bits_per_second(200_000_000).delay(5 * MS);
    bench.network().both(CLIENT.into(), SERVER, link);
    bench.fetch("/1").expect_pattern(1);
    bench
}

/// What a step costs, by the clock and by the processor. (The processor's work is that of both sides.)
fn cost(bench: &mut Bench, step: impl FnOnce(&mut Bench)) -> (Duration, Duration) {
    let (then, worked) = (bench.elapsed(), own_processor_time());
    step(bench);
    (bench.since(then), own_processor_time().saturating_sub(worked))
}

fn echo(bench: &mut Bench) -> (Duration, Duration) {
    let session = bench.session(Connect::to("/echo"));
    let mut stream = bench.open_bi(&session);
    stream.send_all(pattern::body(LENGTH));
    let cost = cost(bench, |bench| bench.finish_streams([&mut stream]));
    assert_eq!(stream.received.len() as u64, LENGTH);
    cost
}

fn download(bench: &mut Bench) -> (Duration, Duration) {
    let mut fetch = bench.ask(Ask::get(&format!("/{LENGTH}")).checked());
    let cost = cost(bench, |bench| bench.finish([&mut fetch]));
    fetch.expect_pattern(LENGTH);
    cost
}

fn upload(bench: &mut Bench) -> (Duration, Duration) {
    let mut fetch = bench.ask(Ask::new(Method::POST, "/upload").body(pattern::body(LENGTH)));
    let cost = cost(bench, |bench| bench.finish([&mut fetch]));
    assert_eq!(fetch.result(), Ok(()));
    cost
}

/// Three quarters of it at least, by the clock of a network with a limit. What it costs the processor is told, and
/// held to the same where nothing else runs.
#[test]
fn an_echo_on_one_stream_is_as_fast_as_plain_transfers() {
    let mut bench = bench();
    // The first of each has to open windows.
    let (mut echoed, mut plain) = (echo(&mut bench), download(&mut bench));
    let mut sent = upload(&mut bench);
    for _ in 0..2 {
        for (best, measured) in [
            (&mut echoed, echo(&mut bench)),
            (&mut plain, download(&mut bench)),
            (&mut sent, upload(&mut bench)),
        ] {
            *best = (best.0.min(measured.0), best.1.min(measured.1));
        }
    }
    let there_and_back = plain.1 + sent.1;
    tell(&format!(
        "echo of 32 MiB {:?}, download {:?}, upload {:?}; processor {:?}, {:?}, {:?}",
        echoed.0, plain.0, sent.0, echoed.1, plain.1, sent.1
    ));
    assert!(echoed.0 * 3 <= plain.0 * 4, "{echoed:?} {plain:?}");
    if in_soak() {
        assert!(echoed.1 * 3 <= there_and_back * 4, "{echoed:?} {plain:?} {sent:?}");
    }
}
