//! Orders of events that real engines rarely produce, played into the whole stack by a scripted engine.

mod any_order;
mod connections;
mod streams;

use http::{HeaderMap, StatusCode};
use http3_session::{
    CloseReason, Http3Event, StreamId,
    scripted::{Call, Script},
};
use tests::simulated::{Ask, Bench, Fetch, MS, Setup};

/// The first request's stream.
const FIRST: StreamId = StreamId::new(0);
const SECOND_STREAM: StreamId = StreamId::new(4);
const BY_PEER: CloseReason = CloseReason::NoError { by_peer: true };

/// An engine whose events are looked at every millisecond.
fn script() -> Script {
    let script = Script::default();
    script.callback(Some(MS));
    script
}

/// A client on this engine alone.
fn bench(script: &Script) -> Bench {
    Setup::new(1).scripts([script.clone()]).build()
}

/// A client with a request on [`FIRST`].
fn asked(script: &Script, ask: Ask) -> (Bench, Fetch) {
    let mut bench = bench(script);
    script.event(Http3Event::Connected);
    let fetch = bench.ask(ask);
    bench.run_for(10 * MS);
    assert!(fetched(script) == 1, "the request is on its stream");
    (bench, fetch)
}

/// How many requests were made since the last look at the calls, which are forgotten.
fn fetched(script: &Script) -> usize {
    script.take_calls().iter().filter(|call| matches!(call, Call::Fetch { .. })).count()
}

fn head(stream: StreamId, status: u16, fin: bool) -> Http3Event {
    let status = StatusCode::from_u16(status).unwrap();
    Http3Event::HeaderReady { stream, status, headers: HeaderMap::new(), fin }
}

/// Plays these events in one turn, and lets a few pass.
fn play(bench: &mut Bench, script: &Script, events: impl IntoIterator<Item = Http3Event>) {
    events.into_iter().for_each(|event| script.event(event));
    bench.run_for(10 * MS);
}

/// The connection is gone, and was reclaimed once; the engine is held by the test alone.
#[track_caller]
fn assert_gone(bench: &mut Bench, script: &Script) {
    let snapshot = bench.snapshot();
    assert_eq!(snapshot.expect_empty(), Ok(()));
    assert_eq!(snapshot.lifetime.connections, snapshot.lifetime.reclaimed);
    assert_eq!((script.holders(), bench.engines()), (1, 0));
}
