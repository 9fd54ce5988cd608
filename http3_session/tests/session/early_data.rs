//! Early data: what goes before the handshake, and what becomes of it, in every order that an engine can think of.

use http::Method;
use http3_session::{
    CloseCause, CloseReason, Http3Event, ResumptionToken, SessionState, StreamId, scripted::Call,
};
use transaction::{EarlyData, ErrorCode, NetError, TimeoutPhase};

use crate::fixture::{Driver, FIRST, Fixture, MACHINE, SECOND, head};

const THIRD: StreamId = StreamId::new(8);

/// What the session asked of the engine since the last look, without what it read.
fn calls(fixture: &Fixture) -> Vec<Call> {
    let input = |call: &Call| matches!(call, Call::ProcessInput { .. });
    fixture.calls().into_iter().filter(|call| !input(call)).collect()
}

fn fetch(stream: StreamId) -> Call {
    Call::Fetch { path: "/".into(), stream }
}

fn early_data(fixture: &mut Fixture, request: usize) -> EarlyData {
    fixture.poll(request).expect("a head").expect("a response").early_data()
}

#[test]
fn h11_a_post_sends_nothing_before_the_session_is_connected_and_keeps_its_place() {
    let mut fixture = Fixture::zero_rtt();
    assert!(fixture.session().can_reuse());
    for (method, body) in [(Method::POST, "a body"), (Method::GET, ""), (Method::DELETE, "")] {
        assert!(fixture.add(method, body));
    }
    fixture.drive(Driver::SendData);
    assert_eq!(calls(&fixture), [fetch(FIRST), Call::CloseSend(FIRST)]);
    for driver in [Driver::RecvData, Driver::SendData, Driver::Timer] {
        fixture.play([Http3Event::RequestsCreatable, Http3Event::DataWritable(SECOND)]);
        fixture.drive(driver);
        assert_eq!(calls(&fixture), []);
    }
    fixture.play([Http3Event::Connected]);
    let sent = Call::SendData { stream: SECOND, taken: 6 };
    let (post, delete) = (Call::CloseSend(SECOND), Call::CloseSend(THIRD));
    assert_eq!(calls(&fixture), [fetch(SECOND), sent, post, fetch(THIRD), delete]);
    fixture.play([head(FIRST, true), head(SECOND, true), head(THIRD, true)]);
    let told = [0, 1, 2].map(|request| early_data(&mut fixture, request));
    assert_eq!(told, [EarlyData::NotTried, EarlyData::Accepted, EarlyData::NotTried]);
}

#[test]
fn h11_also_after_a_rejection_nothing_is_sent_before_the_session_is_connected() {
    let mut fixture = Fixture::zero_rtt();
    assert!(fixture.add(Method::GET, "") && fixture.add(Method::POST, ""));
    fixture.drive(Driver::SendData);
    fixture.play([Http3Event::ZeroRttRejected]);
    fixture.calls();
    assert!(!fixture.session().can_reuse());
    assert!(fixture.add(Method::GET, ""), "made for it, it would still be taken");
    for driver in [Driver::SendData, Driver::RecvData, Driver::Timer] {
        fixture.drive(driver);
        assert_eq!(calls(&fixture), []);
    }
    fixture.play([Http3Event::Connected]);
    let asked: Vec<_> =
        calls(&fixture).into_iter().filter(|call| matches!(call, Call::Fetch { .. })).collect();
    assert_eq!(asked, [fetch(FIRST), fetch(SECOND), fetch(THIRD)]);
}

#[test]
fn a_session_that_may_not_send_early_data_is_as_any_other_until_it_is_connected() {
    let mut fixture = Fixture::new();
    fixture.script.zero_rtt();
    fixture.session().resume(false);
    assert_eq!(
        (fixture.state(), fixture.session().can_reuse()),
        (SessionState::Initializing, false)
    );
    fixture.get();
    // The engine would have taken it.
    assert_eq!(calls(&fixture), []);
    fixture.play([Http3Event::ZeroRttRejected]);
    assert_eq!(
        (fixture.state(), fixture.snapshot().early_data),
        (SessionState::Initializing, EarlyData::NotTried)
    );
    fixture.play([Http3Event::Connected]);
    assert_eq!(calls(&fixture), [fetch(FIRST), Call::CloseSend(FIRST)]);
    assert!(fixture.snapshot().resumed);
}

#[test]
fn h9_whichever_way_the_session_leaves_zero_rtt_all_its_streams_go_on() {
    for rejected in [false, true] {
        let mut fixture = Fixture::zero_rtt();
        fixture.script.allow_streams(2);
        // Two that are early, one that finds no stream, one that may not be early.
        for method in [Method::GET, Method::GET, Method::HEAD, Method::POST] {
            assert!(fixture.add(method, "a body"));
        }
        fixture.drive(Driver::SendData);
        assert_eq!(fixture.snapshot().queued_streams, 1);
        fixture.calls();
        fixture.script.allow_streams(10);
        let end = if rejected { vec![Http3Event::ZeroRttRejected] } else { Vec::new() };
        fixture.play(end.into_iter().chain([Http3Event::Connected]));
        let snapshot = fixture.snapshot();
        assert_eq!((snapshot.ready_for_write, snapshot.queued_streams), (0, 0));
        assert_eq!(snapshot.state, SessionState::Connected);
        let made = calls(&fixture).iter().filter(|call| matches!(call, Call::Fetch { .. })).count();
        assert_eq!(made, if rejected { 4 } else { 2 });
        for n in 0..4_u64 {
            fixture.play([head(StreamId::new(n * 4), true)]);
        }
        assert!((0..4).all(|request| matches!(fixture.poll(request), Some(Ok(_)))));
        assert!(fixture.session().is_unused());
    }
}

#[test]
fn h10_a_rejected_body_goes_again_from_byte_0_wherever_it_was() {
    for credit in [0, 3, 6] {
        let mut fixture = Fixture::zero_rtt();
        fixture.script.credit(FIRST, credit);
        assert!(fixture.add(Method::GET, "a body"));
        fixture.drive(Driver::SendData);
        // Also if a hint came for the stream that is void now.
        fixture.play([Http3Event::DataWritable(FIRST), Http3Event::ZeroRttRejected]);
        fixture.calls();
        fixture.play([Http3Event::DataWritable(FIRST)]);
        assert_eq!(calls(&fixture), [], "{credit}");
        fixture.play([Http3Event::Connected]);
        let sent = Call::SendData { stream: FIRST, taken: 6 };
        assert_eq!(calls(&fixture), [fetch(FIRST), sent, Call::CloseSend(FIRST)], "{credit}");
        assert!(fixture.restarts.is_empty() && fixture.poll(0).is_none(), "nobody noticed");
        fixture.play([head(FIRST, true)]);
        assert_eq!(early_data(&mut fixture, 0), EarlyData::Rejected);
    }
}

#[test]
fn h10_a_void_stream_is_not_cancelled_in_the_engine_and_its_id_is_the_next_ones() {
    let mut fixture = Fixture::zero_rtt();
    for _ in 0..2 {
        assert!(fixture.add(Method::GET, ""));
    }
    fixture.drive(Driver::SendData);
    fixture.play([Http3Event::ZeroRttRejected]);
    // The first is cancelled while it has no id.
    fixture.requests[0].response = None;
    let key = fixture.requests[0].key;
    assert!(fixture.session().wishes(key).cancel);
    fixture.calls();
    fixture.drive(Driver::SendData);
    fixture.play([Http3Event::Connected]);
    assert_eq!(calls(&fixture), [fetch(FIRST), Call::CloseSend(FIRST)]);
    // What comes on that id is the second's.
    fixture.play([head(FIRST, true)]);
    assert_eq!(early_data(&mut fixture, 1), EarlyData::Rejected);
}

#[test]
fn h10_what_was_cancelled_early_is_cancelled_in_the_engine_and_does_not_come_back() {
    let mut fixture = Fixture::zero_rtt();
    fixture.get();
    fixture.requests[0].response = None;
    let key = fixture.requests[0].key;
    assert!(fixture.session().wishes(key).cancel);
    fixture.drive(Driver::SendData);
    assert!(calls(&fixture).contains(&Call::CancelFetch(FIRST, ErrorCode::REQUEST_CANCELLED)));
    fixture.play([Http3Event::ZeroRttRejected, Http3Event::Connected]);
    assert_eq!((calls(&fixture), fixture.snapshot().streams), (vec![], 0));
}

/// No server can answer what it then says that it never read; an engine that says so is not believed.
#[test]
fn a_rejection_of_what_was_answered_ends_the_request_and_no_other() {
    let mut fixture = Fixture::zero_rtt();
    for _ in 0..2 {
        assert!(fixture.add(Method::GET, ""));
    }
    fixture.drive(Driver::SendData);
    fixture.play([head(FIRST, false), Http3Event::ZeroRttRejected]);
    let response = fixture.poll(0).expect("a head").expect("a response");
    let error = response.into_body().wait_chunk().expect_err("it broke off");
    assert!(matches!(error, NetError::PartialTransfer { .. }), "{error:?}");
    // Nor what the server wanted no more of, which is gone.
    let mut stopped = Fixture::zero_rtt();
    stopped.script.credit(FIRST, 3);
    assert!(stopped.add(Method::GET, "a body"));
    stopped.drive(Driver::SendData);
    let stop = Http3Event::StopSending(FIRST, ErrorCode::NO_ERROR);
    stopped.play([stop, Http3Event::ZeroRttRejected]);
    let error = stopped.poll(0).expect("ended").expect_err("its body is gone");
    assert!(matches!(error, NetError::BodyNotRewindable(_)), "{error:?}");
    fixture.calls();
    fixture.play([Http3Event::Connected]);
    assert_eq!(calls(&fixture), [fetch(FIRST), Call::CloseSend(FIRST)]);
}

#[test]
fn a_second_rejection_or_one_that_comes_too_late_changes_nothing() {
    let mut fixture = Fixture::zero_rtt();
    fixture.get();
    fixture.play([Http3Event::ZeroRttRejected, Http3Event::ZeroRttRejected, Http3Event::Connected]);
    fixture.play([Http3Event::ZeroRttRejected]);
    assert_eq!(fixture.state(), SessionState::Connected);
    fixture.play([head(FIRST, true)]);
    assert_eq!(early_data(&mut fixture, 0), EarlyData::Rejected);
}

#[test]
fn the_verdict_on_a_certificate_counts_before_the_rejection_is_told() {
    // neqo asks for it in the state that it will leave only when it has the answer.
    let mut fixture = Fixture::zero_rtt();
    fixture.get();
    fixture.play([Http3Event::AuthenticationNeeded]);
    fixture.session().authenticated(Ok(()));
    fixture.drive(Driver::SendData);
    assert!(calls(&fixture).contains(&Call::Authenticated(Ok(()))));
    fixture.play([Http3Event::ZeroRttRejected, Http3Event::Connected]);
    fixture.play([head(FIRST, true)]);
    assert_eq!(early_data(&mut fixture, 0), EarlyData::Rejected);
}

/// What a session that ends in `ZeroRtt` means for a request that was sent early and one that waits.
#[test]
fn a_session_that_ends_in_zero_rtt_is_one_that_was_never_connected() {
    let alert = NetError::Tls { alert: 40, by_peer: true };
    let quic = NetError::QuicTransport { name: "PROTOCOL_VIOLATION".into(), by_peer: true };
    let refused = NetError::ConnectionRefused { peer: (MACHINE, 443).into() };
    let timeout = NetError::NetTimeout(TimeoutPhase::Connect);
    let problem = transaction::CertificateProblem::Expired;
    let certificate = NetError::Certificate { host: String::new(), problem, detail: String::new() };
    let again = [alert, quic, refused, timeout];
    let last = [certificate, NetError::Aborted, NetError::ShuttingDown];
    for error in again.iter().chain(&last) {
        let mut fixture = Fixture::zero_rtt();
        assert!(fixture.add(Method::GET, "") && fixture.add(Method::POST, "a body"));
        fixture.drive(Driver::SendData);
        fixture.session().close(CloseCause::Failed(error.clone()));
        let restarts = fixture.session().take_restarts();
        let expected = if again.contains(error) { 2 } else { 0 };
        assert_eq!(restarts.len(), expected, "{error:?}");
        assert!(restarts.iter().all(|one| !one.may_go_early() && one.is_retry()));
        assert!(!fixture.session().was_connected());
        if expected == 0 {
            assert!([0, 1].map(|n| fixture.poll(n)).iter().all(|end| matches!(end, Some(Err(_)))));
        }
    }
}

#[test]
fn only_what_may_come_of_the_resumption_is_tried_without_it() {
    let alert = || CloseCause::Failed(NetError::Tls { alert: 40, by_peer: true });
    let failed = |mut fixture: Fixture, cause| {
        fixture.session().close(cause);
        fixture.session().failed_to_resume()
    };
    assert!(failed(Fixture::zero_rtt(), alert()));
    let mut without_early_data = Fixture::new();
    without_early_data.session().resume(true);
    assert!(failed(without_early_data, alert()));
    assert!(!failed(Fixture::new(), alert()), "nothing was resumed");
    let timeout = CloseCause::Failed(NetError::NetTimeout(TimeoutPhase::Connect));
    assert!(!failed(Fixture::zero_rtt(), timeout), "that is the address's doing");
    let mut connected = Fixture::zero_rtt();
    connected.play([Http3Event::Connected]);
    assert!(!failed(connected, alert()));
}

#[test]
fn silence_and_icmp_in_zero_rtt_are_those_of_connecting() {
    let mut fixture = Fixture::zero_rtt();
    fixture.get();
    fixture.play([Http3Event::Closed(CloseReason::IdleTimeout)]);
    let timeout = NetError::NetTimeout(TimeoutPhase::Connect);
    assert_eq!(fixture.session().error(), Some(&timeout));

    let mut fixture = Fixture::zero_rtt();
    fixture.script.datagram(b"x");
    fixture.network.fail_next_send(MACHINE, std::io::ErrorKind::ConnectionRefused);
    fixture.drive(Driver::SendData);
    assert!(matches!(fixture.session().error(), Some(NetError::ConnectionRefused { .. })));
}

fn token(fixture: &Fixture, byte: u8) -> ResumptionToken {
    ResumptionToken::new(vec![byte], fixture.now() + std::time::Duration::from_hours(1))
}

#[test]
fn tokens_are_kept_for_who_takes_them_also_those_that_the_engine_would_have_told_later() {
    let mut fixture = Fixture::connected();
    let event = Http3Event::ResumptionToken(token(&fixture, 1));
    fixture.script.token(token(&fixture, 2));
    fixture.play([event]);
    let bytes = |fixture: &mut Fixture| -> Vec<u8> {
        fixture.session().take_tokens().iter().flat_map(|token| token.bytes().to_vec()).collect()
    };
    assert_eq!(bytes(&mut fixture), [1]);
    fixture.session().dont_reuse();
    fixture.drive(Driver::SendData);
    assert_eq!((fixture.state(), bytes(&mut fixture)), (SessionState::Closing, vec![2]));
    // One that comes after the close is as good.
    let late = Http3Event::ResumptionToken(token(&fixture, 3));
    fixture.play([late]);
    assert_eq!(bytes(&mut fixture), [3]);
    fixture.play([Http3Event::Closed(CloseReason::NoError { by_peer: false })]);
    assert_eq!(fixture.state(), SessionState::Closed);
}

#[test]
fn a_server_that_gives_out_tokens_without_end_does_not_fill_memory() {
    let mut fixture = Fixture::connected();
    let events: Vec<_> =
        (0..200).map(|n| Http3Event::ResumptionToken(token(&fixture, n))).collect();
    fixture.play(events);
    assert_eq!(fixture.session().take_tokens().len(), 16);
}
