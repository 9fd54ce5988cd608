//! The engine's timer, of which a session has one.

use std::time::Duration;

use http3_session::{CloseReason, Http3Event, SessionState};

use crate::fixture::{Driver, Fixture, MACHINE, MS};

#[test]
fn h15_there_is_one_timer_and_none_after_the_end() {
    let mut fixture = Fixture::connected();
    for delay in [30, 10, 20].map(Duration::from_secs) {
        fixture.script.callback(Some(delay));
        fixture.drive(Driver::SendData);
        let deadline = fixture.now() + delay;
        assert_eq!(fixture.session().deadline(), Some(deadline), "the last one counts");
    }
    fixture.script.callback(None);
    fixture.drive(Driver::SendData);
    assert_eq!(fixture.session().deadline(), None, "the engine wants none");

    fixture.script.callback(Some(MS));
    fixture.play([Http3Event::Closing(CloseReason::StatelessReset)]);
    fixture.drive(Driver::SendData);
    assert!(fixture.session().deadline().is_some(), "the closing period has one");
    fixture.play([Http3Event::Closed(CloseReason::StatelessReset)]);
    assert_eq!(fixture.state(), SessionState::Closed);
    fixture.calls();
    fixture.script.event(Http3Event::Connected);
    fixture.drive(Driver::Timer);
    assert_eq!((fixture.session().deadline(), fixture.calls().len()), (None, 0));
    assert_eq!(fixture.state(), SessionState::Closed);
}

/// A timer that is armed while datagrams wait for room would drive an engine that can't send.
#[test]
fn u8_a_blocked_round_leaves_the_timer_as_it_is() {
    let mut fixture = Fixture::connected();
    let first = fixture.session().deadline();
    assert!(first.is_some());
    fixture.network.would_block_next(MACHINE, 1);
    fixture.network.write_delay(Duration::from_mins(1));
    fixture.script.datagram(b"blocked");
    for delay in [MS, 2 * MS, 3 * MS] {
        fixture.script.callback(Some(delay));
        fixture.drive(Driver::SendData);
        assert_eq!(fixture.session().deadline(), first);
        fixture.network.advance(MS);
    }
    assert_eq!(fixture.network.total_counts().sent, 0);
}
