//! A connection ends under a request, or a request ends on a connection.

use connection_mgr::Event;
use http::Method;
use transaction::{NetError, RequestBody};

use crate::{
    fixture::{Fixture, OK, SECOND, body, error, poll, read, whole},
    server::Script as _,
};

type End = fn(&mut Fixture, usize);

const ENDS: [End; 3] = [
    |http, line| http.server.end(line, true),
    |http, line| http.server.end(line, false),
    |http, line| http.server.reset(line),
];

#[test]
fn t5_a_request_that_met_the_end_of_a_connection_that_had_served_goes_again_unnoticed() {
    for end in ENDS {
        let mut http = Fixture::new();
        http.answered(0);
        let mut response = http.get();
        http.settle();
        assert!(http.server.heard(0).starts_with("GET /2 "));
        end(&mut http, 0);
        http.settle();
        assert!(http.server.heard(1).starts_with("GET /2 "), "on a new one");
        http.server.say(1, OK);
        http.settle();
        assert_eq!((whole(&mut response).as_str(), http.lists()), ("ok", [0, 1, 0]));
    }
}

#[test]
fn t5_a_post_on_a_new_connection_does_not_go_twice() {
    for end in ENDS {
        let mut http = Fixture::new();
        let mut response = http.send(Method::POST, &[], RequestBody::from("a body"));
        http.settle();
        assert!(http.server.heard(0).ends_with("\r\n\r\na body"));
        end(&mut http, 0);
        http.pass(60 * SECOND);
        let told = error(&mut response);
        assert!(matches!(told, NetError::NetReset { .. }), "{told:?}");
        assert_eq!(http.server.made(), 1);
        http.assert_nothing_left();
    }
}

/// Whoever began to answer has the request.
#[test]
fn t4_nothing_goes_again_from_the_first_byte_of_an_answer_on() {
    for begun in ["H", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n", "\r\n"] {
        for end in ENDS {
            let mut http = Fixture::new();
            http.answered(0);
            let mut response = http.get();
            http.settle();
            http.server.say(0, begun);
            http.settle();
            end(&mut http, 0);
            http.pass(60 * SECOND);
            let told = error(&mut response);
            assert!(
                matches!(
                    told,
                    NetError::PartialTransfer { received: 0, .. } | NetError::NetReset { .. }
                ),
                "{begun:?}: {told:?}"
            );
            assert_eq!(http.server.made(), 1, "{begun:?}");
            http.assert_nothing_left();
        }
    }
}

#[test]
fn r6_a_body_is_whole_only_where_it_says_so_itself_or_the_server_does_at_its_end() {
    let cases: [(&str, &str, [bool; 3]); 4] = [
        ("Content-Length: 9", "all of it", [true, true, true]),
        ("Content-Length: 10", "all of it", [false, false, false]),
        ("Transfer-Encoding: chunked", "9\r\nall of it\r\n", [false, false, false]),
        ("X: until the end", "all of it", [true, false, false]),
    ];
    for (field, text, whole) in cases {
        for (end, whole) in ENDS.into_iter().zip(whole) {
            let mut http = Fixture::new();
            let mut response = http.get();
            http.settle();
            http.server.say(0, format!("HTTP/1.1 200 OK\r\n{field}\r\n\r\n{text}"));
            http.settle();
            end(&mut http, 0);
            http.settle();
            let (bytes, told) = read(&mut body(&mut response));
            assert_eq!(bytes, b"all of it", "what came can be read");
            match told {
                Some(Ok(())) => assert!(whole, "{field}"),
                Some(Err(NetError::PartialTransfer { received: 9, .. })) => {
                    assert!(!whole, "{field}");
                }
                other => panic!("{field}: {other:?}"),
            }
            http.assert_nothing_left();
        }
    }
}

#[test]
fn m16_a_cancelled_request_ends_its_own_connection_and_no_other() {
    let said = ["", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nsome"];
    for (said, as_body) in [(said[0], false), (said[1], false), (said[1], true)] {
        let mut http = Fixture::new();
        let (mut cancelled, mut other) = (http.get(), http.get());
        http.settle();
        // Which line is whose is told by the heads.
        let line = usize::from(!http.server.heard(0).starts_with("GET /1 "));
        http.server.say(line, said);
        http.settle();
        if as_body {
            drop(body(&mut cancelled));
        } else {
            drop(cancelled);
        }
        http.settle();
        assert!(http.server.line(line).ended && !http.server.line(1 - line).ended);
        assert_eq!((http.lists(), http.snapshot().handles), ([1, 0, 0], 1));
        http.server.say(1 - line, OK);
        http.settle();
        assert_eq!((whole(&mut other).as_str(), http.lists()), ("ok", [0, 1, 0]));
    }
}

#[test]
fn m20_m26_everything_ends_at_once_when_it_must_and_says_goodbye() {
    type Stop = fn(&mut Fixture);
    let ways: [(Stop, NetError); 2] = [
        (|http| http.post(Event::AbortAllConnections), NetError::Aborted),
        (|http| http.stack.service().shutdown(), NetError::ShuttingDown),
    ];
    for (stop, expected) in ways {
        let mut http = Fixture::with(|limits| limits.max_connections_per_host = 2);
        let (mut idle, mut runs) = (http.get(), http.get());
        http.settle();
        http.server.say(0, OK);
        http.settle();
        let mut responses = [http.get(), http.get(), http.get()];
        http.settle();
        stop(&mut http);
        http.settle();
        let ended: Vec<_> = responses.iter_mut().map(error).collect();
        assert!(ended.iter().all(|told| *told == expected), "{ended:?}");
        let first = [&mut idle, &mut runs].map(|response| poll(response).expect("an end"));
        assert_eq!(first.iter().filter(|end| end.is_ok()).count(), 1);
        assert!((0..2).all(|line| http.server.line(line).farewell && http.server.line(line).ended));
        http.assert_nothing_left();
    }
}

#[test]
fn m21_a_response_goes_on_over_the_old_network_and_the_next_request_over_the_new() {
    let mut http = Fixture::new();
    let mut old = http.get();
    http.settle();
    http.post(Event::NetworkChanged);
    let mut new = http.get();
    http.settle();
    assert_eq!((http.server.made(), http.lists()), (2, [1, 0, 1]));
    http.server.say(1, OK);
    http.server.say(0, OK);
    http.settle();
    assert_eq!((whole(&mut old), whole(&mut new)), ("ok".into(), "ok".into()));
    assert_eq!(http.lists(), [0, 1, 0]);
    assert!(http.server.line(0).farewell);
}

/// A 408 on a connection that was idle is no answer to the request that met it.
#[test]
fn t5_a_408_goes_again_where_the_connection_had_served_and_is_an_answer_elsewhere() {
    const TIMED_OUT: &str =
        "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
    let mut http = Fixture::new();
    http.answered(0);
    let mut response = http.get();
    http.settle();
    http.server.say(0, TIMED_OUT);
    http.settle();
    assert_eq!((http.server.made(), poll(&mut response).is_none()), (2, true));
    http.server.say(1, TIMED_OUT);
    http.settle();
    assert_eq!(poll(&mut response).expect("an end").expect("an answer").status(), 408);
    http.assert_nothing_left();
}

#[test]
fn u_offline_ends_what_runs_and_leaves_nothing() {
    let mut http = Fixture::new();
    http.answered(0);
    let mut response = http.get();
    http.settle();
    http.stack.poster().set_offline(true);
    http.settle();
    let told = error(&mut response);
    assert!(matches!(told, NetError::Socket { .. }), "{told:?}");
    http.assert_nothing_left();
    http.stack.poster().set_offline(false);
    http.answered(1);
}
