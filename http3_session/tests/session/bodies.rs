//! Bytes of bodies, both ways, turn by turn.

use std::time::Duration;

use http::Method;
use http3_session::{Http3Event, StreamId, scripted::Call};
use transaction::{ErrorCode, NetError, ResponseBody};

use crate::fixture::{Driver, FIRST, Fixture, SECOND, head};

const SECONDS: Duration = Duration::from_secs(1);

/// A body that is longer than a pipe: its consumer is slow.
fn slow_consumer(fixture: &mut Fixture, request: usize, stream: StreamId) -> ResponseBody {
    fixture.play([head(stream, false)]);
    fixture.script.data(stream, &vec![7; 500_000], false);
    fixture.drive(Driver::RecvData);
    assert!(fixture.script.unread(stream) > 0, "the pipe is full");
    fixture.poll(request).expect("a head").expect("a response").into_body()
}

fn drain(body: &mut ResponseBody) -> usize {
    let mut read = 0;
    while let Some(chunk) = body.try_chunk() {
        read += chunk.expect("no error").map_or(0, |chunk| chunk.len());
    }
    read
}

fn kept_alive(fixture: &Fixture) -> Vec<StreamId> {
    let alive = |call| if let Call::KeepAlive(stream) = call { Some(stream) } else { None };
    fixture.calls().into_iter().filter_map(alive).collect()
}

#[test]
fn r1_a_body_goes_to_the_engine_once_and_ends_once() {
    let mut fixture = Fixture::connected();
    assert!(fixture.add(Method::POST, "a body"));
    fixture.drive(Driver::SendData);
    let calls: Vec<_> = fixture.calls().into_iter().skip_while(is_input).collect();
    let fetch = Call::Fetch { path: "/".into(), stream: FIRST };
    let sent = Call::SendData { stream: FIRST, taken: 6 };
    assert_eq!(calls, [fetch, sent, Call::CloseSend(FIRST)]);
    fixture.play([Http3Event::DataWritable(FIRST)]);
    fixture.drive(Driver::SendData);
    assert!(fixture.calls().iter().all(is_input), "nothing is left to be sent");
}

fn is_input(call: &Call) -> bool {
    matches!(call, Call::ProcessInput { .. })
}

#[test]
fn r2_a_blocked_body_goes_on_where_it_was_when_the_engine_says_so_and_not_before() {
    let mut fixture = Fixture::connected();
    fixture.script.credit(FIRST, 4);
    assert!(fixture.add(Method::POST, "a body"));
    fixture.drive(Driver::SendData);
    fixture.calls();
    fixture.drive(Driver::SendData);
    assert!(fixture.calls().is_empty());
    fixture.script.credit(FIRST, 100);
    fixture.play([Http3Event::DataWritable(FIRST)]);
    let calls = fixture.calls();
    assert!(calls.contains(&Call::SendData { stream: FIRST, taken: 2 }), "{calls:?}");
    assert!(calls.contains(&Call::CloseSend(FIRST)));
}

#[test]
fn r4_after_an_early_response_the_rest_of_the_body_is_not_sent_and_the_response_is_delivered() {
    let mut fixture = Fixture::connected();
    fixture.script.credit(FIRST, 4);
    assert!(fixture.add(Method::POST, "a body"));
    fixture.drive(Driver::SendData);
    fixture.calls();
    fixture.script.credit(FIRST, 100);
    fixture.play([Http3Event::StopSending(FIRST, ErrorCode::NO_ERROR)]);
    fixture.drive(Driver::SendData);
    let sent = fixture.calls().into_iter().any(|call| matches!(call, Call::SendData { .. }));
    assert!(!sent, "credit or not");
    assert_eq!(fixture.snapshot().streams, 1);
    fixture.play([head(FIRST, true)]);
    assert!(fixture.poll(0).expect("ended").is_ok());
}

#[test]
fn r4_with_another_code_it_is_the_request_that_ends() {
    let mut fixture = Fixture::connected();
    fixture.script.credit(FIRST, 4);
    assert!(fixture.add(Method::POST, "a body"));
    fixture.drive(Driver::SendData);
    let code = ErrorCode::REQUEST_CANCELLED;
    fixture.play([Http3Event::StopSending(FIRST, code)]);
    let error = fixture.poll(0).expect("ended").expect_err("failed");
    assert_eq!(error, NetError::NetInterrupt { code });
    assert_eq!(fixture.snapshot().streams, 0);
}

#[test]
fn r3_h8_a_consumer_that_made_space_is_served_without_an_event() {
    let mut fixture = Fixture::connected();
    fixture.get();
    let mut body = slow_consumer(&mut fixture, 0, FIRST);
    let mut read = 0;
    loop {
        read += drain(&mut body);
        if read == 500_000 {
            break;
        }
        let left = fixture.script.unread(FIRST);
        let key = fixture.requests[0].key;
        assert!(fixture.session().wishes(key).receive, "it made space");
        fixture.drive(Driver::RecvData);
        assert_eq!(fixture.snapshot().slow_consumers_ready_for_read, 0);
        assert!(fixture.script.unread(FIRST) < left);
    }
}

/// What was asked for without a need would cost a turn each time.
#[test]
fn r2_only_who_has_an_id_and_something_to_send_is_ready_for_write() {
    let mut fixture = Fixture::connected();
    fixture.get();
    let key = fixture.requests[0].key;
    fixture.session().take_resume_send();
    let wishes = fixture.session().wishes(key);
    assert!(!wishes.send && !wishes.cancel && !wishes.receive);
    assert_eq!(fixture.snapshot().ready_for_write, 0);
    assert!(!fixture.session().take_resume_send());
    fixture.requests[0].response = None;
    let wishes = fixture.session().wishes(key);
    assert!(wishes.cancel && !wishes.receive);
    assert_eq!(fixture.snapshot().commands, 1);
}

/// A consumer that reads a good part of a body, and leaves little of it, gets a larger window; once.
#[test]
fn a_consumer_that_keeps_up_has_its_window_widened_once_and_a_slow_one_has_not() {
    let mut fixture = Fixture::connected();
    fixture.get();
    fixture.get();
    let slow = slow_consumer(&mut fixture, 0, FIRST);
    fixture.play([head(SECOND, false)]);
    let mut body = fixture.poll(1).expect("a head").expect("a response").into_body();
    let widened = |fixture: &Fixture| {
        let calls = fixture.calls();
        let widened = |call: &&Call| matches!(call, Call::WidenWindow(_));
        assert!(!calls.contains(&Call::WidenWindow(FIRST)));
        calls.iter().filter(widened).count()
    };
    fixture.script.data(SECOND, &[7; 1000], false);
    fixture.drive(Driver::RecvData);
    drain(&mut body);
    assert_eq!(widened(&fixture), 0, "too early to tell");
    let mut count = 0;
    for _ in 0..100 {
        fixture.script.data(SECOND, &[7; 10_000], false);
        fixture.drive(Driver::RecvData);
        drain(&mut body);
        count += widened(&fixture);
    }
    assert_eq!(count, 1);
    drop(slow);
}

/// An engine whose peer is held back by a slow consumer has nothing to wait for, and would let the
/// connection end.
#[test]
fn d1_the_silence_that_a_slow_consumer_causes_is_broken_after_half_of_what_the_engine_bears() {
    let mut fixture = Fixture::connected();
    fixture.script.callback(Some(30 * SECONDS));
    fixture.get();
    fixture.drive(Driver::SendData);
    let deadline = fixture.now() + 30 * SECONDS;
    assert_eq!(fixture.session().deadline(), Some(deadline), "nobody is slow");
    let body = slow_consumer(&mut fixture, 0, FIRST);
    let half = fixture.now() + 15 * SECONDS;
    assert_eq!(fixture.session().deadline(), Some(half));
    fixture.network.advance(14 * SECONDS);
    fixture.drive(Driver::Timer);
    assert_eq!(kept_alive(&fixture), []);
    assert_eq!(fixture.session().deadline(), Some(half), "what this side sends postpones nothing");
    fixture.network.advance(SECONDS);
    fixture.drive(Driver::Timer);
    assert_eq!(kept_alive(&fixture), [FIRST]);
    let next = fixture.now() + 15 * SECONDS;
    assert_eq!(fixture.session().deadline(), Some(next));
    drop(body);
}

#[test]
fn d1_the_silence_is_not_broken_more_often_than_once_a_second_nor_for_who_reads() {
    let mut fixture = Fixture::connected();
    fixture.script.callback(Some(SECONDS / 2));
    fixture.get();
    let mut body = slow_consumer(&mut fixture, 0, FIRST);
    let begun = fixture.now();
    fixture.calls();
    for _ in 0..8 {
        fixture.network.advance(SECONDS / 4);
        fixture.drive(Driver::Timer);
    }
    assert_eq!(fixture.now(), begun + 2 * SECONDS);
    assert_eq!(kept_alive(&fixture), [FIRST, FIRST]);
    while fixture.script.unread(FIRST) > 0 {
        drain(&mut body);
        let key = fixture.requests[0].key;
        let _ = fixture.session().wishes(key);
        fixture.drive(Driver::RecvData);
    }
    fixture.calls();
    fixture.network.advance(10 * SECONDS);
    fixture.drive(Driver::Timer);
    assert_eq!(kept_alive(&fixture), []);
}
