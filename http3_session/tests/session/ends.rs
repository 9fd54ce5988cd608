//! What the streams of a session are told when it ends, and what is left of it then.

use std::io::ErrorKind;

use http::Method;
use http3_session::{CloseCause, Http3Event, SessionState, scripted::Call};
use transaction::{ErrorCode, NetError, TimeoutPhase};

use crate::fixture::{Driver, FIRST, Fixture, MACHINE, head};

/// How far a request had come when its connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reached {
    /// The handshake was not done.
    NotConnected,
    /// It waited for the peer to allow more streams.
    NoId,
    /// It was sent, and can be sent twice.
    SentSafe,
    /// It was sent, and can't.
    SentUnsafe,
    /// It has a response head.
    Head,
}

const ALL: [Reached; 5] =
    [Reached::NotConnected, Reached::NoId, Reached::SentSafe, Reached::SentUnsafe, Reached::Head];

fn fixture(reached: Reached) -> Fixture {
    let mut fixture =
        if reached == Reached::NotConnected { Fixture::new() } else { Fixture::connected() };
    if reached == Reached::NoId {
        fixture.script.allow_streams(0);
    }
    let method = if reached == Reached::SentUnsafe { Method::POST } else { Method::GET };
    assert!(fixture.add(method, "body"));
    fixture.drive(Driver::SendData);
    if reached == Reached::Head {
        fixture.play([head(FIRST, false)]);
    }
    fixture
}

/// What became of the request.
#[derive(Debug, PartialEq)]
enum End {
    /// It goes again.
    Again,
    Failed(NetError),
    /// The consumer has the head, and its body fails like this.
    Body(NetError),
}

fn end(fixture: &mut Fixture) -> End {
    if let Some(transaction) = fixture.restarts.pop() {
        assert!(fixture.poll(0).is_none(), "it knows nothing of it");
        drop(transaction);
        return End::Again;
    }
    match fixture.poll(0).expect("it has ended") {
        Ok(response) => End::Body(response.into_body().wait_chunk().expect_err("it failed")),
        Err(error) => End::Failed(error),
    }
}

/// The table on the page of `http3_session/src/close.rs`.
///
/// (Necko has `ABORT` for what is neither a protocol error nor a reset; here it is the error itself.)
#[test]
fn h21_each_end_of_a_session_means_something_for_each_of_its_streams() {
    let socket = NetError::Socket { operation: "sending", kind: ErrorKind::PermissionDenied };
    let reset = NetError::NetReset { reason: "gone".into() };
    let timeout = NetError::NetTimeout(TimeoutPhase::Idle);
    let code = ErrorCode::INTERNAL_ERROR;
    let protocol = NetError::Http3Protocol { code, by_peer: true, reason: String::new() };
    for error in [socket, reset, timeout, protocol, NetError::Aborted, NetError::ShuttingDown] {
        let local = matches!(error, NetError::Aborted | NetError::ShuttingDown);
        for reached in ALL {
            let mut fixture = fixture(reached);
            fixture.session().close(CloseCause::Failed(error.clone()));
            let restarts = fixture.session().take_restarts();
            fixture.restarts.extend(restarts);
            let is_reset = matches!(error, NetError::NetReset { .. });
            let expected = match reached {
                _ if local && reached == Reached::Head => End::Body(error.clone()),
                _ if local => End::Failed(error.clone()),
                Reached::NoId => End::Again,
                Reached::NotConnected if error.is_about_the_address() => End::Again,
                Reached::SentSafe if is_reset => End::Again,
                Reached::Head => End::Body(NetError::PartialTransfer {
                    received: 0,
                    expected: None,
                    reason: error.to_string(),
                }),
                _ => End::Failed(error.clone()),
            };
            assert_eq!(end(&mut fixture), expected, "{reached:?}, {error:?}");
            // h21: without a socket there is no closing period.
            let socket_failed = matches!(error, NetError::Socket { .. });
            assert_eq!(fixture.state() == SessionState::Closed, socket_failed, "{error:?}");
        }
    }
}

/// An error of the socket is found by the driver that uses it, and the session is closed in that turn.
#[test]
fn h21_an_error_of_the_socket_closes_the_session_in_the_same_turn() {
    for (kind, sending) in [(ErrorKind::PermissionDenied, true), (ErrorKind::NotConnected, false)] {
        let mut fixture = fixture(Reached::SentSafe);
        if sending {
            fixture.script.datagram(b"x");
            fixture.network.fail_next_send(MACHINE, kind);
            fixture.drive(Driver::SendData);
        } else {
            fixture.network.fail_next_receive((MACHINE, 49152).into(), kind);
            fixture.drive(Driver::RecvData);
        }
        assert_eq!((fixture.state(), fixture.handles_dropped()), (SessionState::Closed, 1));
        let operation =
            if sending { "sending to the network" } else { "receiving from the network" };
        assert_eq!(end(&mut fixture), End::Failed(NetError::Socket { operation, kind }));
        assert!(!fixture.calls().iter().any(|call| matches!(call, Call::Close(_))));
    }
}

/// What failed to connect is no reason to fail a request, if another address may do better.
#[test]
fn h22_before_it_is_connected_a_request_goes_on_to_the_next_address() {
    let timeout = NetError::NetTimeout(TimeoutPhase::Connect);
    let alert = NetError::Tls { alert: 40, by_peer: true };
    for (error, restarts) in [(timeout, 1), (alert, 0)] {
        let mut fixture = fixture(Reached::NotConnected);
        fixture.session().close(CloseCause::Failed(error));
        assert_eq!(fixture.session().take_restarts().len(), restarts);
    }
}

/// Improved: necko's clean shutdown lets the peer find out for itself.
#[test]
fn h20_a_close_is_followed_by_a_last_flight_unless_the_socket_is_gone() {
    let mut fixture = Fixture::connected();
    fixture.calls();
    fixture.session().close(CloseCause::Failed(NetError::Aborted));
    assert!(fixture.calls().is_empty(), "closing alone doesn't touch the engine");
    fixture.drive(Driver::SendData);
    assert_eq!(fixture.calls(), [Call::Close(ErrorCode::NO_ERROR)]);

    let mut fixture = Fixture::connected();
    fixture.calls();
    fixture.session().shutdown(NetError::ShuttingDown);
    fixture.script.datagram(b"never sent");
    fixture.drive(Driver::SendData);
    assert!(fixture.calls().is_empty());
    assert_eq!(fixture.network.total_counts().sent, 0);
}

/// A session that is dropped as it is: its streams end, its engine and its handle go.
#[test]
fn h29_a_session_may_be_dropped_in_any_state() {
    type Prepare = fn(&mut Fixture);
    let states: [(SessionState, Prepare); 5] = [
        (SessionState::Initializing, |_| ()),
        (SessionState::Initializing, |fixture| fixture.get()),
        (SessionState::Connected, |fixture| {
            fixture.play([Http3Event::Connected]);
            fixture.get();
            fixture.play([head(FIRST, false)]);
            fixture.get();
        }),
        (SessionState::Closing, |fixture| {
            fixture.get();
            fixture.session().close(CloseCause::Failed(NetError::Aborted));
        }),
        (SessionState::Closed, |fixture| {
            fixture.get();
            fixture.session().shutdown(NetError::ShuttingDown);
            fixture.session().shutdown(NetError::Aborted);
        }),
    ];
    for (state, prepare) in states {
        let mut fixture = Fixture::new();
        prepare(&mut fixture);
        assert_eq!(fixture.state(), state);
        fixture.session = None;
        assert_eq!((fixture.handles_dropped(), fixture.script.holders()), (1, 1), "{state:?}");
        for request in 0..fixture.requests.len() {
            match fixture.poll(request).expect("it has ended") {
                Ok(response) => assert!(response.into_body().wait_chunk().is_err()),
                Err(error) => assert!(matches!(error, NetError::ShuttingDown | NetError::Aborted)),
            }
        }
    }
}
