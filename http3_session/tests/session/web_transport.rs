//! WebTransport on a scripted engine: what the session does with each event and each wish, call by call.

use std::{
    future::Future as _,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version};
use http3_session::{
    CloseCause, Http3Event, SessionState, StreamId, StreamKey, WebTransportEvent, scripted::Call,
};
use transaction::{
    ConnectionInfo, ErrorCode, HttpTransaction, NetError, RequestBody, RequestHead, ResponseHead,
    TransactionId, WebTransportUse,
    web_transport::{CloseInfo, DatagramOutcome, PendingSession, WebTransportSession, to_http3},
};

use crate::fixture::{Driver, FIRST, Fixture, SECOND};

type Woken = Arc<Mutex<Vec<StreamKey>>>;

struct Owner(StreamKey, Woken);

impl Wake for Owner {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push(self.0);
    }
}

struct Play {
    fixture: Fixture,
    woken: Woken,
    next_id: u64,
}

type Answer = Result<WebTransportSession, NetError>;

fn poll(pending: &mut PendingSession) -> Option<Answer> {
    match Pin::new(pending).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer.map(|(session, _)| session)),
        Poll::Pending => None,
    }
}

fn now<T>(future: impl Future<Output = T> + Unpin) -> Option<T> {
    let mut future = future;
    match Pin::new(&mut future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

fn answer(session: StreamId, status: u16) -> Http3Event {
    let head = ResponseHead {
        status: StatusCode::from_u16(status).unwrap(),
        version: Version::HTTP_3,
        headers: HeaderMap::new(),
    };
    Http3Event::WebTransport(WebTransportEvent::Session { session, head })
}

fn new_stream(stream: u64, session: StreamId) -> Http3Event {
    let stream = StreamId::new(stream);
    Http3Event::WebTransport(WebTransportEvent::NewStream { stream, session })
}

fn datagram(session: StreamId, content: &str) -> Http3Event {
    let datagram = Bytes::copy_from_slice(content.as_bytes());
    Http3Event::WebTransport(WebTransportEvent::Datagram { session, datagram })
}

fn closed(session: StreamId, end: Result<CloseInfo, ErrorCode>) -> Http3Event {
    Http3Event::WebTransport(WebTransportEvent::SessionClosed { session, end })
}

fn done() -> CloseInfo {
    CloseInfo { code: 7, reason: "done".into(), by_peer: true }
}

impl Play {
    fn new() -> Self {
        let (mut fixture, woken) = (Fixture::new(), Woken::default());
        let shared = Arc::clone(&woken);
        fixture.session().set_owners(move |key| Arc::new(Owner(key, Arc::clone(&shared))).into());
        Self { fixture, woken, next_id: 0 }
    }

    /// Connected, to a server that takes sessions.
    fn connected() -> Self {
        let mut play = Self::new();
        play.fixture.script.negotiated(true);
        play.fixture.play([Http3Event::Connected]);
        play
    }

    /// Asks for a session.
    fn ask(&mut self, which: WebTransportUse) -> PendingSession {
        self.try_ask(which).expect("it takes another")
    }

    fn try_ask(&mut self, which: WebTransportUse) -> Option<PendingSession> {
        self.next_id += 1;
        let mut info = ConnectionInfo::new("example.org", 443);
        info.web_transport = which;
        let head = RequestHead::web_transport("example.org", "/wt", &HeaderMap::new()).unwrap();
        let id = TransactionId(self.next_id);
        let (mut transaction, response) = HttpTransaction::new(id, info, head, RequestBody::Empty);
        let pending = PendingSession::new(&mut transaction, response);
        self.fixture.session().add_stream(transaction).ok()?;
        self.drive();
        Some(pending)
    }

    /// A session that is there.
    fn open(which: WebTransportUse) -> (Self, WebTransportSession) {
        let mut play = Self::connected();
        let mut pending = play.ask(which);
        play.fixture.play([answer(FIRST, 200)]);
        let session = poll(&mut pending).expect("an answer").expect("a session");
        play.fixture.calls();
        (play, session)
    }

    /// What the application wished reaches the session, and the session sends.
    fn drive(&mut self) {
        loop {
            let woken = std::mem::take(&mut *self.woken.lock().unwrap());
            if woken.is_empty() {
                break;
            }
            for key in woken {
                self.fixture.session().wishes(key);
            }
        }
        for _ in 0..3 {
            self.fixture.drive(Driver::SendData);
        }
    }

    fn calls(&mut self) -> Vec<Call> {
        self.drive();
        self.fixture.calls()
    }

    fn play(&mut self, events: impl IntoIterator<Item = Http3Event>) {
        self.fixture.play(events);
        self.drive();
    }
}

#[test]
fn h28_whoever_waits_for_the_negotiation_goes_on_when_it_is_done() {
    let mut play = Play::new();
    let mut pending: Vec<_> = (0..3).map(|_| play.ask(WebTransportUse::Pooled)).collect();
    play.play([Http3Event::Connected]);
    assert!(play.fixture.calls().iter().all(|call| !matches!(call, Call::CreateSession { .. })));
    assert!(pending.iter_mut().all(|pending| poll(pending).is_none()));
    play.fixture.script.negotiated(true);
    play.play([]);
    let created = |call: &Call| matches!(call, Call::CreateSession { path, .. } if path == "/wt");
    assert_eq!(play.calls().iter().filter(|call| created(call)).count(), 3);
    assert_eq!(play.fixture.snapshot().waiting_for_connection, 0);
}

/// In necko they wait until the idle timeout.
#[test]
fn a_server_without_web_transport_is_told_of_at_once() {
    let mut play = Play::new();
    let mut waited = play.ask(WebTransportUse::Pooled);
    play.fixture.script.negotiated(false);
    play.play([Http3Event::Connected]);
    assert_eq!(poll(&mut waited).unwrap().unwrap_err(), NetError::WebTransportUnsupported);
    let mut late = play.ask(WebTransportUse::Pooled);
    assert_eq!(poll(&mut late).unwrap().unwrap_err(), NetError::WebTransportUnsupported);
    assert_eq!(play.fixture.snapshot().streams, 0);
}

#[test]
fn w1_a_session_of_its_own_has_its_connection_to_itself() {
    let (mut play, _session) = Play::open(WebTransportUse::Dedicated(1));
    assert!(!play.fixture.session().can_reuse());
    assert!(play.try_ask(WebTransportUse::Dedicated(1)).is_none());
    let (mut play, _session) = Play::open(WebTransportUse::Pooled);
    assert!(play.try_ask(WebTransportUse::Pooled).is_some());
}

#[test]
fn a_refusal_is_an_error_with_the_status() {
    for which in [WebTransportUse::Pooled, WebTransportUse::Dedicated(1)] {
        let mut play = Play::connected();
        let mut pending = play.ask(which);
        play.play([answer(FIRST, 404)]);
        let error = poll(&mut pending).unwrap().unwrap_err();
        assert_eq!(error, NetError::WebTransportRefused { status: 404, location: None });
        assert!(play.fixture.snapshot().nothing_of_web_transport());
        let own = which != WebTransportUse::Pooled;
        assert_eq!(play.fixture.state() == SessionState::Closing, own, "W2");
    }
}

#[test]
fn w2_w8_the_end_by_the_server_ends_everything_of_the_session_and_its_connection() {
    let (mut play, session) = Play::open(WebTransportUse::Dedicated(1));
    let mut opening = session.open_bi().unwrap();
    play.drive();
    let (mut send, mut receive) = now(&mut opening).unwrap().unwrap();
    send.try_send(&mut Bytes::from_static(b"abc")).unwrap();
    play.play([new_stream(3, FIRST), datagram(FIRST, "last")]);
    let mut incoming = session.try_accept_uni().unwrap();
    let witnesses = [session.witness(), send.witness(), incoming.witness()];
    play.play([closed(FIRST, Ok(done()))]);
    assert_eq!(session.try_closed(), Some(Ok(done())));
    let error = done().into_error();
    assert_eq!(receive.try_chunk(), Some(Err(error.clone())));
    assert_eq!(incoming.try_chunk(), Some(Err(error.clone())));
    assert_eq!(send.try_send(&mut Bytes::from_static(b"x")), Err(error.clone()));
    assert_eq!(session.open_uni().unwrap_err(), error);
    assert_eq!(session.try_recv_datagram().as_deref(), Some(&b"last"[..]), "it came before");
    assert!(play.fixture.snapshot().nothing_of_web_transport());
    assert_eq!(play.fixture.state(), SessionState::Closing);
    drop((session, send, receive, incoming));
    assert!(witnesses.iter().all(|witness| !witness.is_alive()));
}

#[test]
fn w2_w3_a_close_by_the_application_is_told_and_nothing_comes_after_it() {
    let (mut play, session) = Play::open(WebTransportUse::Dedicated(1));
    play.play([new_stream(3, FIRST), datagram(FIRST, "unread")]);
    session.close(42, "bye");
    session.close(43, "again");
    let own = CloseInfo { code: 42, reason: "bye".into(), by_peer: false };
    assert_eq!(session.try_closed(), Some(Ok(own.clone())));
    let expected = Call::CloseSession { session: FIRST, code: 42, reason: "bye".into() };
    let calls = play.calls();
    assert_eq!(calls.iter().filter(|call| **call == expected).count(), 1, "{calls:?}");
    // What the server does now is nobody's business.
    play.play([datagram(FIRST, "x"), new_stream(7, FIRST), closed(FIRST, Ok(done()))]);
    assert_eq!(session.try_closed(), Some(Ok(own)));
    assert!(session.try_accept_uni().is_none() && session.try_recv_datagram().is_none());
    assert!(play.fixture.snapshot().nothing_of_web_transport());
}

#[test]
fn the_client_s_side_of_a_session_ends_as_the_server_s_did() {
    let ends = [
        (Ok(done()), Call::CloseSend(FIRST)),
        (Err(ErrorCode::REQUEST_CANCELLED), Call::ResetStream(FIRST, ErrorCode::SESSION_GONE)),
    ];
    for (end, expected) in ends {
        let (mut play, session) = Play::open(WebTransportUse::Pooled);
        play.play([closed(FIRST, end)]);
        let calls = play.calls();
        assert!(calls.contains(&expected), "{calls:?}");
        assert!(session.try_closed().is_some());
    }
}

#[test]
fn a_task_that_gives_up_waiting_leaves_nothing_in_the_session() {
    struct Task;
    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }
    fn poll_and_drop(task: &Arc<Task>, future: impl Future) {
        let waker = Waker::from(Arc::clone(task));
        let mut future = std::pin::pin!(future);
        assert!(future.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        assert!(future.poll(&mut Context::from_waker(&waker)).is_pending());
        assert_eq!(Arc::strong_count(task), 3, "this test, its waker, and the session's");
    }
    let (_play, session) = Play::open(WebTransportUse::Pooled);
    let task = Arc::new(Task);
    poll_and_drop(&task, session.accept_bi());
    poll_and_drop(&task, session.accept_uni());
    poll_and_drop(&task, session.recv_datagram());
    poll_and_drop(&task, session.draining());
    poll_and_drop(&task, session.closed());
    assert_eq!(Arc::strong_count(&task), 1);
}

#[test]
fn the_connection_stays_until_a_close_has_had_time_to_arrive_and_no_longer() {
    for (trip, expected) in [(0, 75), (20, 195), (600, 3_675), (10_000, 5_000)] {
        let (mut play, session) = Play::open(WebTransportUse::Dedicated(1));
        play.fixture.script.round_trip(Duration::from_millis(trip));
        session.close(0, "");
        play.drive();
        assert_eq!(play.fixture.state(), SessionState::Connected);
        let due = play.fixture.session().deadline().unwrap();
        let wait = due - play.fixture.now();
        assert_eq!(wait, Duration::from_millis(expected), "with round trips of {trip} ms");
        play.fixture.network.advance(wait);
        play.fixture.drive(Driver::Timer);
        assert_eq!(play.fixture.state(), SessionState::Closing);
    }
}

#[test]
fn dropping_the_last_handle_closes_the_session() {
    let (mut play, session) = Play::open(WebTransportUse::Pooled);
    drop(session.clone());
    assert!(play.calls().is_empty());
    drop(session);
    let calls = play.calls();
    let expected = Call::CloseSession { session: FIRST, code: 0, reason: String::new() };
    assert!(calls.contains(&expected), "{calls:?}");
    assert_eq!(play.fixture.state(), SessionState::Connected, "others may use it");
}

#[test]
fn a_session_that_nobody_waits_for_any_more_is_given_up() {
    let mut play = Play::connected();
    let pending = play.ask(WebTransportUse::Pooled);
    play.fixture.calls();
    drop(pending);
    let calls = play.calls();
    assert!(calls.contains(&Call::ResetStream(FIRST, ErrorCode::REQUEST_CANCELLED)), "{calls:?}");
    // And one that was answered before anybody looked.
    let pending = play.ask(WebTransportUse::Pooled);
    play.play([answer(SECOND, 200)]);
    drop(pending);
    let calls = play.calls();
    let expected = Call::CloseSession { session: SECOND, code: 0, reason: String::new() };
    assert!(calls.contains(&expected), "{calls:?}");
    assert!(play.fixture.snapshot().nothing_of_web_transport());
}

#[test]
fn w4_whoever_asks_for_a_stream_is_answered_once_whatever_happens() {
    let (mut play, session) = Play::open(WebTransportUse::Pooled);
    play.fixture.script.allow_streams(2);
    play.fixture.script.allow_unidirectional(1);
    let mut opening: Vec<_> = (0..3).map(|_| session.open_bi().unwrap()).collect();
    let mut one_way: Vec<_> = (0..3).map(|_| session.open_uni().unwrap()).collect();
    play.drive();
    let there: Vec<_> = opening.iter_mut().map(|pending| now(pending).is_some()).collect();
    assert_eq!(there, [true, false, false], "one is the session's own");
    assert_eq!(now(&mut one_way[0]).map(|stream| stream.is_ok()), Some(true));
    assert!(now(&mut one_way[1]).is_none());
    // The server allows one more of each; of those on which it receives alone no event tells.
    play.fixture.script.allow_streams(3);
    play.fixture.script.allow_unidirectional(2);
    play.play([Http3Event::RequestsCreatable]);
    play.fixture.drive(Driver::RecvData);
    play.drive();
    assert_eq!(now(&mut opening[1]).map(|stream| stream.is_ok()), Some(true));
    assert_eq!(now(&mut one_way[1]).map(|stream| stream.is_ok()), Some(true));
    // The session ends: the rest gets an error (in necko nothing).
    play.play([closed(FIRST, Ok(done()))]);
    assert_eq!(now(&mut opening[2]).unwrap().unwrap_err(), done().into_error());
    assert_eq!(now(&mut one_way[2]).unwrap().unwrap_err(), done().into_error());
    assert!(play.fixture.snapshot().nothing_of_web_transport());
}

#[test]
fn a_stream_that_is_given_up_before_it_was_opened_is_not_opened() {
    let (mut play, session) = Play::open(WebTransportUse::Pooled);
    play.fixture.script.allow_unidirectional(0);
    let given_up = session.open_uni().unwrap();
    let mut kept = session.open_uni().unwrap();
    play.drive();
    drop(given_up);
    play.fixture.script.allow_unidirectional(9);
    for _ in 0..3 {
        play.fixture.drive(Driver::RecvData);
        play.drive();
    }
    let stream = now(&mut kept).expect("an answer").expect("a stream");
    let opened = |call: &Call| matches!(call, Call::CreateStream { .. });
    assert_eq!(play.calls().iter().filter(|call| opened(call)).count(), 1);
    drop((stream, session));
    play.drive();
    assert!(play.fixture.snapshot().nothing_of_web_transport());
}

#[test]
fn streams_of_one_direction_wait_for_the_server_s_leave_of_which_no_event_tells() {
    let (mut play, session) = Play::open(WebTransportUse::Pooled);
    play.fixture.script.allow_unidirectional(0);
    let mut opening: Vec<_> = (0..3).map(|_| session.open_uni().unwrap()).collect();
    play.drive();
    assert!(opening.iter_mut().all(|pending| now(pending).is_none()));
    // Whatever the server sends may have brought it; then as many go as it allows.
    play.fixture.script.allow_unidirectional(2);
    play.fixture.drive(Driver::RecvData);
    play.drive();
    let there: Vec<_> = opening.iter_mut().map(|pending| now(pending).is_some()).collect();
    assert_eq!(there, [true, true, false]);
}

#[test]
fn w5_a_reset_follows_what_was_written_before_it() {
    let (mut play, session) = Play::open(WebTransportUse::Pooled);
    let mut opening = session.open_uni().unwrap();
    play.drive();
    let mut send = now(&mut opening).unwrap().unwrap();
    play.fixture.calls();
    send.try_send(&mut Bytes::from_static(b"last words")).unwrap();
    send.reset(42);
    let stream = StreamId::new(6);
    let calls = play.calls();
    assert_eq!(
        calls,
        [Call::SendData { stream, taken: 10 }, Call::ResetStream(stream, to_http3(42))]
    );
    assert_eq!(play.fixture.snapshot().web_transport_streams, 0, "nothing is left to do");
}

#[test]
fn w5_a_reset_does_not_wait_for_a_server_that_takes_nothing() {
    let (mut play, session) = Play::open(WebTransportUse::Pooled);
    let stream = StreamId::new(6);
    play.fixture.script.credit(stream, 4);
    let mut opening = session.open_uni().unwrap();
    play.drive();
    let mut send = now(&mut opening).unwrap().unwrap();
    play.fixture.calls();
    send.try_send(&mut Bytes::from_static(b"last words")).unwrap();
    play.drive();
    send.reset(1);
    let calls = play.calls();
    assert_eq!(calls.last(), Some(&Call::ResetStream(stream, to_http3(1))), "{calls:?}");
}

#[test]
fn a_stream_that_is_dropped_is_reset_and_one_that_is_finished_is_not() {
    let (mut play, session) = Play::open(WebTransportUse::Pooled);
    let mut opening = session.open_bi().unwrap();
    play.drive();
    let (send, receive) = now(&mut opening).unwrap().unwrap();
    play.fixture.calls();
    send.finish();
    assert_eq!(play.calls(), [Call::CloseSend(SECOND)]);
    drop(receive);
    assert_eq!(play.calls(), [Call::StopSending(SECOND, to_http3(0))]);
    assert_eq!(play.fixture.snapshot().web_transport_streams, 0);
    let mut opening = session.open_bi().unwrap();
    play.drive();
    let (send, receive) = now(&mut opening).unwrap().unwrap();
    play.fixture.calls();
    let third = StreamId::new(8);
    receive.stop(9);
    assert_eq!(play.calls(), [Call::StopSending(third, to_http3(9))]);
    drop(send);
    assert_eq!(play.calls(), [Call::ResetStream(third, to_http3(0))]);
    assert_eq!(play.fixture.snapshot().web_transport_streams, 0);
}

/// In necko the first ends both.
#[test]
fn w6_the_server_ends_one_direction_and_the_other_goes_on() {
    let (mut play, session) = Play::open(WebTransportUse::Pooled);
    let mut opening = session.open_bi().unwrap();
    play.drive();
    let (mut send, mut receive) = now(&mut opening).unwrap().unwrap();
    play.play([Http3Event::Reset(SECOND, to_http3(5))]);
    assert_eq!(receive.try_chunk(), Some(Err(NetError::StreamReset { code: 5 })));
    play.fixture.calls();
    send.try_send(&mut Bytes::from_static(b"on")).unwrap();
    assert_eq!(play.calls(), [Call::SendData { stream: SECOND, taken: 2 }]);
    play.play([Http3Event::StopSending(SECOND, ErrorCode::REQUEST_CANCELLED)]);
    let stopped = send.try_send(&mut Bytes::from_static(b"x"));
    assert_eq!(stopped, Err(NetError::StreamStopped { code: 0 }), "no application's code");
    assert_eq!(play.fixture.snapshot().web_transport_streams, 0);
    // The other way round.
    play.play([new_stream(1, FIRST)]);
    let (mut send, mut receive) = session.try_accept_bi().unwrap();
    play.play([Http3Event::StopSending(StreamId::new(1), to_http3(255))]);
    let stopped = send.try_send(&mut Bytes::from_static(b"x"));
    assert_eq!(stopped, Err(NetError::StreamStopped { code: 255 }));
    play.fixture.script.data(StreamId::new(1), b"still", true);
    play.fixture.drive(Driver::RecvData);
    assert_eq!(receive.try_chunk(), Some(Ok(Some(Bytes::from_static(b"still")))));
    assert_eq!(receive.try_chunk(), Some(Ok(None)));
    assert_eq!(play.fixture.snapshot().web_transport_streams, 0);
}

#[test]
fn w7_a_datagram_that_is_too_long_is_told_of_and_the_session_lives() {
    let (mut play, session) = Play::open(WebTransportUse::Pooled);
    let max = session.max_datagram_size();
    let size = max + 1;
    let refused = session.send_datagram(vec![0; size]).unwrap_err();
    assert_eq!(refused, NetError::DatagramTooLarge { size, max });
    let sent = session.track_datagram(vec![0; max]).unwrap();
    play.drive();
    assert_eq!(sent.get(), Some(DatagramOutcome::Sent));
    // The way becomes narrower while one waits.
    play.fixture.script.datagrams(max, 0);
    let waits = session.track_datagram(vec![0; max]).unwrap();
    play.drive();
    assert_eq!(waits.get(), None);
    play.fixture.script.datagrams(max - 1, 5);
    play.drive();
    play.drive();
    assert_eq!(waits.get(), Some(DatagramOutcome::TooLarge));
    assert!(session.try_closed().is_none());
    assert_eq!(session.stats().datagrams_sent, 1);
}

#[test]
fn datagrams_wait_for_room_and_the_oldest_make_it() {
    let (mut play, session) = Play::open(WebTransportUse::Pooled);
    play.fixture.script.datagrams(1200, 2);
    let mut outcomes: Vec<_> =
        (0..200_u8).map(|n| session.track_datagram(vec![n]).unwrap()).collect();
    play.drive();
    let sent = |calls: &[Call]| {
        let sent = calls.iter().filter_map(|call| match call {
            Call::SendDatagram { datagram, .. } => datagram.first().copied(),
            _ => None,
        });
        sent.collect::<Vec<_>>()
    };
    assert_eq!(sent(&play.fixture.calls()), [72, 73], "128 are kept, the newest");
    assert_eq!(outcomes[71].get(), Some(DatagramOutcome::Displaced));
    assert_eq!(outcomes[72].get(), Some(DatagramOutcome::Sent));
    play.fixture.script.datagrams(1200, 1);
    play.drive();
    assert_eq!(sent(&play.fixture.calls()), [74]);
    drop(session);
    play.drive();
    assert_eq!(outcomes.pop().unwrap().get(), Some(DatagramOutcome::SessionClosed));
}

#[test]
fn datagrams_that_nobody_takes_do_not_fill_memory() {
    let (mut play, session) = Play::open(WebTransportUse::Pooled);
    play.play((0..1000).map(|n| datagram(FIRST, &n.to_string())));
    let kept: Vec<_> = std::iter::from_fn(|| session.try_recv_datagram()).collect();
    assert_eq!((kept.len(), &kept[127][..]), (128, &b"999"[..]), "the newest");
    assert_eq!(session.stats().datagrams_displaced, 872);
}

#[test]
fn w9_what_comes_before_the_answer_is_there_after_it_in_order() {
    let mut play = Play::connected();
    let mut pending = play.ask(WebTransportUse::Pooled);
    play.play([new_stream(3, FIRST), new_stream(1, FIRST), new_stream(7, FIRST)]);
    play.fixture.script.data(StreamId::new(3), b"first", true);
    play.fixture.script.data(StreamId::new(7), b"second", true);
    play.play([]);
    assert!(poll(&mut pending).is_none());
    play.play([answer(FIRST, 200), datagram(FIRST, "third")]);
    let session = poll(&mut pending).unwrap().unwrap();
    for expected in [&b"first"[..], b"second"] {
        let mut stream = session.try_accept_uni().unwrap();
        assert_eq!(stream.try_chunk().unwrap().unwrap().as_deref(), Some(expected));
    }
    assert!(session.try_accept_bi().is_some() && session.try_accept_uni().is_none());
    assert_eq!(session.try_recv_datagram().as_deref(), Some(&b"third"[..]));
}

#[test]
fn streams_that_come_before_the_answer_are_kept_up_to_a_limit() {
    let mut play = Play::connected();
    let mut pending = play.ask(WebTransportUse::Pooled);
    play.fixture.calls();
    play.play((0..20).map(|n| new_stream(n * 4 + 3, FIRST)));
    let rejected = ErrorCode::BUFFERED_STREAM_REJECTED;
    let expected: Vec<_> =
        (16..20).map(|n| Call::StopSending(StreamId::new(n * 4 + 3), rejected)).collect();
    assert_eq!(play.fixture.calls(), expected);
    play.play([answer(FIRST, 200)]);
    let session = poll(&mut pending).unwrap().unwrap();
    assert_eq!(std::iter::from_fn(|| session.try_accept_uni()).count(), 16);
}

#[test]
fn a_stream_of_no_session_is_refused() {
    let (mut play, _session) = Play::open(WebTransportUse::Pooled);
    play.play([new_stream(1, StreamId::new(400)), datagram(StreamId::new(400), "x")]);
    let stream = StreamId::new(1);
    let code = ErrorCode::REQUEST_CANCELLED;
    assert_eq!(
        play.fixture.calls(),
        [Call::ResetStream(stream, code), Call::StopSending(stream, code)]
    );
    assert_eq!(play.fixture.snapshot().web_transport_streams, 0);
}

#[test]
fn an_application_that_does_not_read_holds_the_server_back() {
    let (mut play, session) = Play::open(WebTransportUse::Pooled);
    play.play([new_stream(3, FIRST)]);
    let stream = StreamId::new(3);
    play.fixture.script.data(stream, &vec![7; 300_000], true);
    play.play([]);
    let mut receive = session.try_accept_uni().unwrap();
    let unread = play.fixture.script.unread(stream);
    assert!(unread > 150_000, "{unread}");
    let mut read = 0;
    while let Some(Ok(Some(piece))) = {
        let piece = receive.try_chunk();
        let woken = std::mem::take(&mut *play.woken.lock().unwrap());
        let wanted = woken.into_iter().any(|key| play.fixture.session().wishes(key).receive);
        if wanted {
            play.fixture.drive(Driver::RecvData);
        }
        piece
    } {
        read += piece.len();
    }
    assert_eq!(read, 300_000);
}

#[test]
fn a_place_in_line_and_figures_come_from_the_engine() {
    let (mut play, session) = Play::open(WebTransportUse::Pooled);
    let mut opening = session.open_uni().unwrap();
    play.drive();
    let send = now(&mut opening).unwrap().unwrap();
    play.fixture.calls();
    send.set_send_order(Some(3));
    assert_eq!(play.calls(), [Call::SetSendOrder(StreamId::new(6), Some(3))]);
    let mut asked = Box::pin(send.stats());
    assert!(now(asked.as_mut()).is_none());
    play.drive();
    assert_eq!(now(asked.as_mut()).unwrap().bytes_written, 1);
}

#[test]
fn the_connection_s_end_is_the_session_s_and_its_streams_too() {
    let (mut play, session) = Play::open(WebTransportUse::Pooled);
    let mut opening = session.open_bi().unwrap();
    play.drive();
    let (_send, mut receive) = now(&mut opening).unwrap().unwrap();
    let mut waits = play.ask(WebTransportUse::Pooled);
    let error = NetError::NetTimeout(transaction::TimeoutPhase::Idle);
    play.fixture.session().close(CloseCause::Failed(error.clone()));
    assert_eq!(session.try_closed(), Some(Err(error.clone())));
    assert_eq!(receive.try_chunk(), Some(Err(error.clone())));
    assert_eq!(poll(&mut waits).unwrap().unwrap_err(), error, "it was sent, and is not restarted");
    assert!(play.fixture.snapshot().nothing_of_web_transport());
    assert!(play.fixture.restarts.is_empty());
}

#[test]
fn goaway_drains_the_sessions_and_they_go_on() {
    let (mut play, session) = Play::open(WebTransportUse::Pooled);
    assert!(!session.is_draining());
    play.play([Http3Event::GoawayReceived]);
    assert!(session.is_draining() && session.try_closed().is_none());
    let mut opening = session.open_bi().unwrap();
    play.drive();
    assert!(now(&mut opening).unwrap().is_ok());
    assert_eq!(play.fixture.state(), SessionState::Connected);
    play.play([closed(FIRST, Ok(done()))]);
    assert_eq!(play.fixture.state(), SessionState::Closing, "after its last session");
}
