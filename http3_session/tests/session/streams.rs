//! Where a stream is found, and where no longer.

use http3_session::{FetchError, Http3Event, StreamId, scripted::Call};
use transaction::{ErrorCode, NetError};

use crate::fixture::{Driver, FIRST, Fixture, SECOND, head};

/// Everything that an engine can say about a stream.
fn all_about(stream: StreamId) -> [Http3Event; 8] {
    [
        head(stream, false),
        Http3Event::DataReadable(stream),
        Http3Event::DataWritable(stream),
        Http3Event::StopSending(stream, ErrorCode::NO_ERROR),
        Http3Event::StopSending(stream, ErrorCode::REQUEST_CANCELLED),
        Http3Event::MalformedHead { stream, what: "anything".into() },
        Http3Event::Reset(stream, ErrorCode::REQUEST_REJECTED),
        head(stream, true),
    ]
}

#[test]
fn h4_a_stream_is_found_by_its_id_from_its_activation_to_its_end() {
    let mut fixture = Fixture::connected();
    fixture.script.allow_streams(1);
    fixture.get();
    fixture.get();
    assert_eq!(fixture.snapshot().queued_streams, 1, "the second one has no id");
    fixture.calls();
    // Nobody has that id yet.
    fixture.play(all_about(SECOND));
    assert_eq!((fixture.snapshot().streams, fixture.calls().len()), (2, 0));

    fixture.script.allow_streams(2);
    fixture.play([Http3Event::RequestsCreatable, head(FIRST, true)]);
    assert_eq!(fixture.snapshot().streams, 1);
    assert!(fixture.poll(0).expect("ended").is_ok());
    fixture.calls();
    // And that id belongs to nobody any more.
    fixture.play(all_about(FIRST));
    assert_eq!((fixture.snapshot().streams, fixture.calls().len()), (1, 0));

    fixture.play([head(SECOND, true)]);
    assert!(fixture.poll(1).expect("ended").is_ok());
    assert_eq!(fixture.snapshot().streams, 0);
}

/// In every queue at once, and gone from all of them with its end. What still is to come finds nothing.
#[test]
fn h7_a_stream_that_ends_is_in_no_queue_any_more() {
    let mut fixture = Fixture::connected();
    fixture.get();
    let key = fixture.requests[0].key;
    fixture.script.data(FIRST, &vec![7; 500_000], false);
    fixture.play([head(FIRST, false)]);
    let mut body = fixture.poll(0).expect("a head").expect("a response").into_body();
    while body.try_chunk().is_some() {}
    assert!(fixture.session().wishes(key).receive, "its consumer made space");
    assert_eq!(fixture.snapshot().slow_consumers_ready_for_read, 1);
    fixture.calls();

    // The slow consumer is served first; then it is writable, and in the same turn it ends.
    fixture.play([
        Http3Event::DataWritable(FIRST),
        Http3Event::Reset(FIRST, ErrorCode::REQUEST_CANCELLED),
        Http3Event::DataWritable(FIRST),
        Http3Event::DataReadable(FIRST),
    ]);
    let snapshot = fixture.snapshot();
    assert_eq!((snapshot.streams, snapshot.ready_for_write), (0, 0));
    assert_eq!((snapshot.queued_streams, snapshot.slow_consumers_ready_for_read), (0, 0));
    fixture.calls();
    let _ = fixture.session().wishes(key);
    fixture.drive(Driver::RecvData);
    assert!(fixture.calls().iter().all(|call| matches!(call, Call::ProcessInput { .. })));
}

/// Improved: necko's stream gets no id, and hangs until its connection ends.
#[test]
fn h31_a_request_that_the_engine_refuses_ends_with_that_error_at_once() {
    let mut fixture = Fixture::connected();
    let what = || "it has a field that can't be sent".to_owned();
    fixture.script.refuse(Some(FetchError::Rejected(what())));
    fixture.get();
    let error = fixture.poll(0).expect("ended").expect_err("failed");
    assert_eq!(error, NetError::InvalidRequest(what()));
    assert_eq!((fixture.snapshot().streams, fixture.restarts.len()), (0, 0));

    // One that comes too late goes again, elsewhere.
    fixture.script.refuse(Some(FetchError::Closing));
    fixture.get();
    assert!(fixture.poll(1).is_none());
    assert_eq!((fixture.snapshot().streams, fixture.restarts.len()), (0, 1));

    fixture.script.refuse(None);
    fixture.get();
    fixture.play([head(FIRST, true)]);
    assert!(fixture.poll(2).expect("ended").is_ok(), "the connection is as good as before");
}
