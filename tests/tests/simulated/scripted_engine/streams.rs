//! What happens on streams.

use http3_session::{Http3Event, StreamId, scripted::Call};
use tests::simulated::{Ask, MS, SECOND};
use transaction::{ErrorCode, NetError};

use super::{FIRST, SECOND_STREAM, asked, bench, fetched, head, play, script};

#[test]
fn r1_a_request_is_ended_exactly_once() {
    for (body, sent) in [("", None), ("x", Some(Call::SendData { stream: FIRST, taken: 1 }))] {
        let script = script();
        let mut bench = bench(&script);
        script.event(Http3Event::Connected);
        let fetch = bench.ask(Ask::post("/", body));
        bench.run_for(10 * MS);
        play(&mut bench, &script, [Http3Event::DataWritable(FIRST), Http3Event::Connected]);
        let fetch_call = Call::Fetch { path: "/".to_owned(), stream: FIRST };
        let expected: Vec<_> =
            [fetch_call].into_iter().chain(sent).chain([Call::CloseSend(FIRST)]).collect();
        assert_eq!(script.take_calls(), expected);
        drop(fetch);
    }
}

#[test]
fn events_of_streams_that_nobody_has_are_harmless() {
    let script = script();
    let (mut bench, mut fetch) = asked(&script, Ask::get("/"));
    let nobody = StreamId::new(4000);
    script.data(nobody, b"for nobody", true);
    play(
        &mut bench,
        &script,
        [
            head(nobody, 200, false),
            Http3Event::DataReadable(nobody),
            Http3Event::DataWritable(nobody),
            Http3Event::StopSending(nobody, ErrorCode::NO_ERROR),
            Http3Event::StopSending(nobody, ErrorCode::INTERNAL_ERROR),
            Http3Event::Reset(nobody, ErrorCode::REQUEST_REJECTED),
            Http3Event::MalformedHead { stream: nobody, what: "anything".into() },
        ],
    );
    assert_eq!(script.take_calls(), []);
    play(&mut bench, &script, [head(FIRST, 200, true)]);
    bench.finish([&mut fetch]);
    fetch.expect_pattern(0);
}

#[test]
fn events_of_a_stream_that_has_ended_are_harmless() {
    let script = script();
    let (mut bench, mut fetch) = asked(&script, Ask::get("/"));
    play(&mut bench, &script, [head(FIRST, 200, true)]);
    bench.finish([&mut fetch]);
    script.data(FIRST, b"more", true);
    play(
        &mut bench,
        &script,
        [
            head(FIRST, 500, false),
            Http3Event::DataWritable(FIRST),
            Http3Event::StopSending(FIRST, ErrorCode::INTERNAL_ERROR),
            Http3Event::Reset(FIRST, ErrorCode::INTERNAL_ERROR),
        ],
    );
    fetch.expect_pattern(0);
    assert_eq!(script.take_calls(), [], "nothing is cancelled twice");
}

#[test]
fn a_reset_that_follows_the_last_byte_changes_nothing() {
    let script = script();
    let (mut bench, mut fetch) = asked(&script, Ask::get("/"));
    script.event(head(FIRST, 200, false));
    script.data(FIRST, b"all", true);
    play(&mut bench, &script, [Http3Event::Reset(FIRST, ErrorCode::INTERNAL_ERROR)]);
    bench.finish([&mut fetch]);
    assert_eq!((fetch.result(), fetch.body()), (Ok(()), &b"all"[..]));
    assert!(!script.take_calls().iter().any(|call| matches!(call, Call::CancelFetch(..))));
}

/// <https://github.com/cloudflare/quiche/pull/1796>
#[test]
fn d2_22_a_reset_that_overtakes_unread_bytes_ends_the_response_there() {
    let script = script();
    let (mut bench, mut fetch) = asked(&script, Ask::get("/"));
    script.event(head(FIRST, 200, false));
    script.data(FIRST, &vec![7; 200_000], true);
    bench.run_for(10 * MS);
    assert!(script.unread(FIRST) > 0, "the pipe is full");
    play(&mut bench, &script, [Http3Event::Reset(FIRST, ErrorCode::INTERNAL_ERROR)]);
    bench.finish([&mut fetch]);
    let NetError::PartialTransfer { received, .. } = fetch.error() else {
        panic!("{:?}", fetch.error())
    };
    assert_eq!(
        *received,
        fetch.body().len() as u64,
        "what was in the pipe was read before the end"
    );
}

#[test]
fn a_request_that_is_dropped_as_it_is_rejected_is_not_sent_again() {
    let script = script();
    let (mut bench, fetch) = asked(&script, Ask::get("/"));
    drop(fetch);
    play(&mut bench, &script, [Http3Event::Reset(FIRST, ErrorCode::REQUEST_REJECTED)]);
    assert_eq!((fetched(&script), bench.transactions()), (0, 0));

    let mut fetch = bench.get("/");
    bench.run_for(10 * MS);
    assert_eq!(fetched(&script), 1);
    // Now the other way round: it waits to be sent again when its application goes.
    script.allow_streams(2);
    play(&mut bench, &script, [Http3Event::Reset(SECOND_STREAM, ErrorCode::REQUEST_REJECTED)]);
    assert!(!fetch.poll());
    drop(fetch);
    script.allow_streams(3);
    play(&mut bench, &script, [Http3Event::RequestsCreatable]);
    assert_eq!((fetched(&script), bench.transactions()), (0, 0));
}

#[test]
fn r4_a_stop_that_comes_twice_ends_the_request_once() {
    let script = script();
    script.credit(FIRST, 10);
    let (mut bench, mut fetch) = asked(&script, Ask::post("/", vec![b'x'; 100]));
    let stop = || Http3Event::StopSending(FIRST, ErrorCode::NO_ERROR);
    play(&mut bench, &script, [stop(), stop()]);
    play(&mut bench, &script, [stop(), Http3Event::DataWritable(FIRST)]);
    assert_eq!(script.take_calls(), [Call::CloseSend(FIRST)]);
    play(&mut bench, &script, [head(FIRST, 200, true)]);
    bench.finish([&mut fetch]);
    fetch.expect_pattern(0);
}

/// <https://github.com/mozilla/neqo/pull/1564>
#[test]
fn d2_30_a_stop_after_the_whole_request_was_sent_changes_nothing() {
    let script = script();
    let (mut bench, mut fetch) = asked(&script, Ask::post("/", vec![b'x'; 100]));
    play(&mut bench, &script, [Http3Event::StopSending(FIRST, ErrorCode::NO_ERROR)]);
    play(&mut bench, &script, [Http3Event::DataWritable(FIRST)]);
    assert_eq!(script.take_calls(), []);
    play(&mut bench, &script, [head(FIRST, 200, true)]);
    bench.finish([&mut fetch]);
    fetch.expect_pattern(0);
}

#[test]
fn h6_a_stream_that_is_writable_three_times_is_written_once() {
    let script = script();
    script.credit(FIRST, 10);
    let (mut bench, fetch) = asked(&script, Ask::post("/", vec![b'x'; 100]));
    script.credit(FIRST, 20);
    let writable = || Http3Event::DataWritable(FIRST);
    play(&mut bench, &script, [writable(), writable(), writable()]);
    let blocked = Call::SendData { stream: FIRST, taken: 0 };
    assert_eq!(script.take_calls(), [Call::SendData { stream: FIRST, taken: 20 }, blocked]);
    drop(fetch);
}

/// <https://github.com/cloudflare/quiche/commit/54cefab4>
/// <https://github.com/cloudflare/quiche/commit/c73ceef2>
#[test]
fn d2_44_readable_and_writable_events_for_nothing_do_not_spin() {
    let script = script();
    let (mut bench, fetch) = asked(&script, Ask::get("/"));
    script.event(head(FIRST, 200, false));
    script.callback(Some(10 * SECOND));
    bench.run_for(SECOND / 10);
    let turns = bench.snapshot().service.turns;
    let spurious = [Http3Event::DataReadable(FIRST), Http3Event::DataWritable(FIRST)];
    spurious.iter().cycle().take(100).for_each(|event| script.event(event.clone()));
    bench.run_for(30 * SECOND);
    let turns = bench.snapshot().service.turns - turns;
    assert!(turns < 40, "{turns} turns");
    drop(fetch);
}

#[test]
fn h8_all_consumers_that_made_space_are_served_and_each_is_queued_once() {
    const READERS: usize = 20;
    let script = script();
    let mut bench = bench(&script);
    script.event(Http3Event::Connected);
    let mut fetches: Vec<_> = (0..READERS).map(|_| bench.get("/")).collect();
    bench.run_for(10 * MS);
    let streams = (0..READERS as u64).map(|n| StreamId::new(4 * n));
    for stream in streams.clone() {
        script.event(head(stream, 200, false));
        script.data(stream, &vec![7; 300_000], true);
    }
    // Only what consumers do moves anything from now on.
    script.callback(None);
    bench.run_for(10 * MS);
    let unread = || streams.clone().map(|stream| script.unread(stream)).collect::<Vec<_>>();
    let before = unread();
    assert!(before.iter().all(|&left| left > 0), "their pipes are full: {before:?}");
    let turns = bench.snapshot().service.turns;
    for fetch in &mut fetches {
        while fetch.read_once().is_some() {}
        assert!(!fetch.is_done());
    }
    bench.run_for(10 * MS);
    let after = unread();
    assert!(before.iter().zip(&after).all(|(before, after)| after < before), "{after:?}");
    let turns = bench.snapshot().service.turns - turns;
    assert!(turns < 10, "{turns} turns for {READERS} consumers");
    bench.finish(&mut fetches);
    assert!(fetches.iter().all(|fetch| fetch.received() == 300_000));
}

#[test]
fn a_second_final_head_is_an_error_that_the_server_is_told() {
    let script = script();
    let (mut bench, mut fetch) = asked(&script, Ask::get("/"));
    play(&mut bench, &script, [head(FIRST, 200, false), head(FIRST, 200, false)]);
    bench.finish([&mut fetch]);
    assert!(matches!(fetch.error(), NetError::MalformedResponse(_)), "{:?}", fetch.error());
    let told = Call::CancelFetch(FIRST, ErrorCode::MESSAGE_ERROR);
    assert!(script.take_calls().contains(&told));
}

#[test]
fn a_response_that_ends_with_an_interim_head_is_malformed() {
    let script = script();
    let (mut bench, mut fetch) = asked(&script, Ask::get("/"));
    play(&mut bench, &script, [head(FIRST, 103, false), head(FIRST, 103, true)]);
    bench.finish([&mut fetch]);
    assert!(matches!(fetch.error(), NetError::MalformedResponse(_)), "{:?}", fetch.error());
}
