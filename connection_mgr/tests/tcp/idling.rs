//! Between two requests: who gets the connection next, and what ends it before.

use connection_mgr::{Event, TcpState};

use crate::{
    fixture::{Fixture, OK, SECOND, poll, whole},
    server::Script as _,
    toy_tls::{Kind, data, record},
};

const LAST: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
const EVIL: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";

#[test]
fn m3_m5_when_its_handle_goes_a_connection_is_idle_or_closed_and_never_both() {
    let mut http = Fixture::new();
    let mut first = http.get();
    http.settle();
    assert_eq!((http.lists(), http.snapshot().handles), ([1, 0, 0], 1));
    http.server.say(0, OK);
    http.settle();
    assert_eq!(whole(&mut first), "ok");
    assert_eq!((http.lists(), http.snapshot().handles), ([0, 1, 0], 0));
    assert_eq!(http.snapshot().lifetime.reclaimed, 1);

    let mut second = http.get();
    http.settle();
    assert_eq!((http.lists(), http.snapshot().handles), ([1, 0, 0], 1), "it is used again");
    assert!(http.server.take_heard(0).contains("GET /2 "));
    http.server.say(0, LAST);
    http.settle();
    assert_eq!(whole(&mut second), "ok");
    assert!(http.server.line(0).farewell && http.server.line(0).ended);
    assert_eq!((http.server.made(), http.verified()), (1, 1));
    http.assert_nothing_left();
}

#[test]
fn an_idle_connection_is_kept_as_long_as_both_ends_want_it() {
    let patience =
        [("X: y", 115), ("Keep-Alive: timeout=5, max=100", 5), ("Keep-Alive: timeout=600", 115)];
    for (field, seconds) in patience {
        let mut http = Fixture::new();
        let mut response = http.get();
        http.settle();
        http.server.say(0, format!("HTTP/1.1 200 OK\r\n{field}\r\nContent-Length: 2\r\n\r\nok"));
        http.pass(SECOND * (seconds - 1));
        assert_eq!((whole(&mut response).as_str(), http.lists()), ("ok", [0, 1, 0]), "{field}");
        assert!(!http.server.line(0).farewell);
        http.pass(2 * SECOND);
        assert!(http.server.line(0).farewell && http.server.line(0).ended, "{field}");
        http.assert_nothing_left();
    }
}

#[test]
fn what_is_used_is_not_idle_and_each_use_begins_the_time_anew() {
    let mut http = Fixture::new();
    for _ in 0..3 {
        http.answered(0);
        http.pass(100 * SECOND);
    }
    let mut slow = http.get();
    http.pass(300 * SECOND);
    assert_eq!((http.lists(), poll(&mut slow).is_none()), ([1, 0, 0], true), "as long as it takes");
    http.server.say(0, OK);
    http.settle();
    assert_eq!((whole(&mut slow).as_str(), http.server.made()), ("ok", 1));
    assert_eq!(http.connection().exchanges, 4);
}

/// <https://github.com/lexiforest/curl_cffi/issues/797>
#[test]
fn d2_02_a_request_after_the_server_let_go_of_an_idle_connection_gets_a_new_one() {
    type End = fn(&mut Fixture, usize);
    let ends: [End; 6] = [
        |http, line| http.server.end(line, true),
        |http, line| http.server.end(line, false),
        |http, line| http.server.reset(line),
        |http, line| http.server.say(line, EVIL),
        |http, line| http.server.say_raw(line, &record(Kind::CloseNotify, b"")),
        |http, line| http.server.say_raw(line, &record(Kind::Alert, &[80])),
    ];
    let mut http = Fixture::new();
    for (line, end) in ends.into_iter().enumerate() {
        http.answered(line);
        assert_eq!(http.lists(), [0, 1, 0]);
        end(&mut http, line);
        http.settle();
        http.assert_nothing_left();
        assert_eq!(http.server.made(), line + 1);
    }
}

#[test]
fn what_tls_says_to_itself_does_not_end_an_idle_connection() {
    let mut http = Fixture::new();
    http.answered(0);
    for _ in 0..3 {
        http.server.say_raw(0, &record(Kind::Ticket, b"another"));
        http.settle();
    }
    assert_eq!((http.lists(), http.connection().state), ([0, 1, 0], TcpState::Ready));
    http.answered(0);
}

/// Response splitting: what stands behind a response is nobody's answer, however it comes.
#[test]
fn bytes_behind_a_response_are_never_the_next_one() {
    type Say = fn(&mut Fixture);
    let ways: [Say; 4] = [
        |http| http.server.say(0, format!("{OK}{EVIL}")),
        |http| http.server.say_raw(0, &[data(OK.as_bytes()), data(EVIL.as_bytes())].concat()),
        |http| {
            http.server.say(0, OK);
            http.pass(SECOND / 200);
            http.server.say(0, EVIL);
        },
        // One byte is enough.
        |http| http.server.say(0, format!("{OK}\n")),
    ];
    for say in ways {
        let mut http = Fixture::new();
        let mut first = http.get();
        // It waits for the first one's connection, or gets its own.
        http.settle();
        say(&mut http);
        http.settle();
        assert_eq!(whole(&mut first), "ok");
        http.assert_nothing_left();
        http.answered(1);
    }
}

/// While the next request is on its way to the connection, there is a moment from which on nobody can tell whose
/// answer the bytes are: that at which its head leaves. Not one earlier.
#[test]
fn unasked_bytes_that_come_before_a_head_has_left_are_never_its_answer() {
    let mut taken = 0;
    for step in 0..80 {
        let mut http = Fixture::new();
        http.answered(0);
        http.server.say(0, EVIL);
        http.pass(SECOND * step / 4000);
        let mut response = http.get();
        http.settle();
        if http.server.heard(0).is_empty() {
            assert!(poll(&mut response).is_none(), "{step}: it went elsewhere");
            http.server.say(1, OK);
            http.settle();
            assert_eq!(whole(&mut response), "ok");
        } else {
            taken += 1;
            assert_eq!(whole(&mut response), "evil");
        }
    }
    // The bytes need 10 ms, and 20 ms were played.
    assert!((35..=45).contains(&taken), "{taken}");
}

/// <https://github.com/mozilla/neqo/issues/674>
#[test]
fn d2_49_two_thousand_requests_wait_for_six_connections() {
    let mut http = Fixture::answering(|_| OK.into());
    let mut answered = 0;
    for _ in 0..4 {
        let mut responses: Vec<_> = (0..500).map(|_| http.get()).collect();
        http.pass(20 * SECOND);
        answered += responses.iter_mut().map(whole).filter(|body| body == "ok").count();
    }
    assert_eq!((answered, http.server.made(), http.lists()), (2000, 6, [0, 6, 0]));
    assert_eq!((http.snapshot().handles, http.snapshot().lifetime.dispatched), (0, 2000));
}

#[test]
fn m23_idle_connections_end_at_once_and_those_in_use_after_their_response() {
    for event in [Event::ClosePersistentConnections, Event::NetworkChanged] {
        let mut http = Fixture::new();
        let (mut first, mut second) = (http.get(), http.get());
        http.settle();
        http.server.say(0, OK);
        http.settle();
        assert_eq!(http.lists(), [1, 1, 0]);
        http.post(event);
        http.settle();
        assert!(http.server.line(0).farewell && http.server.line(0).ended);
        assert!(!http.server.line(1).ended);
        http.server.say(1, OK);
        http.settle();
        assert!(http.server.line(1).farewell && http.server.line(1).ended);
        let mut bodies = [whole(&mut first), whole(&mut second)];
        bodies.sort();
        assert_eq!(bodies, ["ok", "ok"]);
        http.assert_nothing_left();
    }
}
