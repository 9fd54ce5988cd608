//! What a session says when it ends: to its streams, to its peer, and to who asks it.

use http3_session::{CloseCause, CloseReason, Http3Event, SessionState, scripted::Call};
use transaction::{ErrorCode, NetError, TimeoutPhase};

use crate::fixture::{Driver, Fixture};

#[test]
fn h24_an_idle_timeout_is_one_of_connecting_before_the_handshake_is_done_and_of_idling_after_it() {
    for (connected, phase) in [(false, TimeoutPhase::Connect), (true, TimeoutPhase::Idle)] {
        for last in [Http3Event::Closing, Http3Event::Closed] {
            let mut fixture = if connected { Fixture::connected() } else { Fixture::new() };
            fixture.get();
            fixture.play([last(CloseReason::IdleTimeout)]);
            assert_eq!(fixture.session().error(), Some(&NetError::NetTimeout(phase)));
            if connected {
                let error = fixture.poll(0).expect("ended").expect_err("failed");
                assert_eq!(error, NetError::NetTimeout(phase));
            } else {
                assert_eq!(fixture.restarts.len(), 1, "another address may answer");
            }
            assert_eq!(fixture.session().was_connected(), connected);
        }
    }
}

#[test]
fn h16_h20_a_session_that_was_drained_has_not_failed_whatever_the_engine_says_in_the_end() {
    let mut fixture = Fixture::connected();
    assert!(fixture.session().is_unused() && fixture.session().can_reuse());
    fixture.session().dont_reuse();
    fixture.drive(Driver::SendData);
    assert_eq!(fixture.state(), SessionState::Closing);
    assert!(fixture.calls().contains(&Call::Close(ErrorCode::NO_ERROR)));
    fixture.play([Http3Event::Closed(CloseReason::IdleTimeout)]);
    assert_eq!(fixture.state(), SessionState::Closed);
    assert_eq!(fixture.session().error(), None);
}

#[test]
fn h17_a_session_that_closes_already_needs_no_turn_for_being_told_so() {
    let mut fixture = Fixture::connected();
    fixture.session().close(CloseCause::Failed(NetError::Aborted));
    assert!(fixture.session().take_resume_send());
    fixture.session().dont_reuse();
    assert!(!fixture.session().take_resume_send());
}

#[test]
fn h20_the_peer_is_told_why() {
    let code = ErrorCode::EXCESSIVE_LOAD;
    let protocol = |by_peer| NetError::Http3Protocol { code, by_peer, reason: String::new() };
    let told = [
        (NetError::Aborted, ErrorCode::NO_ERROR),
        (NetError::Internal("a test"), ErrorCode::INTERNAL_ERROR),
        (protocol(false), code),
        (protocol(true), ErrorCode::NO_ERROR),
        (NetError::NetTimeout(TimeoutPhase::Idle), ErrorCode::NO_ERROR),
    ];
    for (error, expected) in told {
        let mut fixture = Fixture::connected();
        fixture.calls();
        fixture.session().close(CloseCause::Failed(error.clone()));
        fixture.drive(Driver::SendData);
        assert_eq!(fixture.calls(), [Call::Close(expected)], "{error:?}");
    }
}

#[test]
fn what_a_session_is_asked_about_itself() {
    let mut fixture = Fixture::new();
    let chain = vec![b"first".to_vec(), b"second".to_vec()];
    fixture.script.chain(chain.clone());
    assert_eq!(fixture.session().peer_certificates(), chain);
    assert!(fixture.session().is_unused() && fixture.session().holds_handle());
    assert!(!fixture.session().was_connected() && !fixture.session().can_reuse());
    fixture.get();
    assert!(!fixture.session().is_unused());
    fixture.play([Http3Event::Connected]);
    assert!(fixture.session().was_connected() && fixture.session().can_reuse());
    fixture.session().shutdown(NetError::ShuttingDown);
    assert!(fixture.session().was_connected() && !fixture.session().can_reuse());
    assert!(fixture.session().is_unused() && !fixture.session().holds_handle());
}
