//! Requests: what the server gets to see, and what the commands refuse.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http3_session::{
    CloseReason, FetchError, Http3Conn as _, Http3Event, Http3Settings, StreamGone, StreamId,
};
use neqo_http3::{Header, Http3ServerEvent};
use neqo_transport::{ConnectionParameters, StreamType};
use transaction::{ErrorCode, Priority, RequestHead};

use super::{raw_server, server, server_events};
use crate::testing::{
    pair::{Pair, get},
    peers::{headers_frame, http3_server},
};

const SHORT: Duration = Duration::from_millis(100);

#[test]
fn the_server_sees_port_query_priority_and_fields() {
    let mut pair = server();
    let mut headers = HeaderMap::new();
    headers.append("accept", HeaderValue::from_static("*/*"));
    let target = ("https", "localhost:4433", "/a/b?c=d&e");
    let mut head = RequestHead::new(Method::PUT, target.0, target.1, target.2, &headers).unwrap();
    head.priority = Priority::new(1, true);
    let stream = pair.client.fetch(&head, pair.now).unwrap();
    pair.client.close_send(stream).unwrap();
    pair.run(SHORT);
    let seen = server_events(&pair).into_iter().find_map(|event| match event {
        Http3ServerEvent::Headers { headers, .. } => Some(headers),
        _ => None,
    });
    let expected = [
        (":method", "PUT"),
        (":scheme", target.0),
        (":authority", target.1),
        (":path", target.2),
        ("accept", "*/*"),
        ("priority", "u=1,i"),
    ];
    assert_eq!(seen.unwrap(), expected.map(|(name, value)| Header::new(name, value)));
}

#[test]
fn a_priority_of_the_application_is_not_doubled() {
    let mut pair = server();
    let mut head = get("/");
    head.priority = Priority::new(1, true);
    let name = HeaderName::from_static("priority");
    head.set_default(name, HeaderValue::from_static("u=5"));
    pair.client.fetch(&head, pair.now).unwrap();
    pair.run(SHORT);
    let priorities: Vec<_> = server_events(&pair)
        .into_iter()
        .filter_map(|event| match event {
            Http3ServerEvent::Headers { headers, .. } => Some(headers),
            _ => None,
        })
        .flatten()
        .filter(|header| header.name() == "priority")
        .collect();
    assert_eq!(priorities, [Header::new("priority", "u=5")]);
}

#[test]
fn a_value_that_is_no_text_is_rejected_before_a_stream_is_opened() {
    let mut pair = server();
    let mut head = get("/");
    head.set_default(HeaderName::from_static("x"), HeaderValue::from_bytes(b"\xff").unwrap());
    let rejected = pair.client.fetch(&head, pair.now);
    assert!(matches!(rejected, Err(FetchError::Rejected(_))));
    assert_eq!(pair.client.fetch(&get("/"), pair.now), Ok(StreamId::new(0)));
}

#[test]
fn the_limit_of_streams_is_told_and_its_end_as_well() {
    let limit = ConnectionParameters::default().max_streams(StreamType::BiDi, 2);
    let mut pair = Pair::connected(Http3Settings::default(), http3_server(limit));
    for _ in 0..2 {
        let stream = pair.client.fetch(&get("/"), pair.now).unwrap();
        pair.client.close_send(stream).unwrap();
    }
    assert_eq!(pair.client.fetch(&get("/"), pair.now), Err(FetchError::StreamLimit));
    pair.run(SHORT);
    assert!(!pair.take(|event| matches!(event, Http3Event::RequestsCreatable)));
    for event in server_events(&pair) {
        if let Http3ServerEvent::Headers { stream, .. } = event {
            stream.send_headers(&[Header::new(":status", "204")]).unwrap();
            stream.stream_close_send().unwrap();
        }
    }
    pair.run(SHORT);
    assert!(pair.take(|event| matches!(event, Http3Event::RequestsCreatable)), "{:?}", pair.events);
    // A response without a body may end with its head.
    let ended = |event: &Http3Event| match event {
        Http3Event::HeaderReady { fin, .. } => *fin,
        Http3Event::DataReadable(_) => true,
        _ => false,
    };
    assert!(pair.take(ended), "{:?}", pair.events);
    assert!(pair.client.fetch(&get("/"), pair.now).is_ok());
}

#[test]
fn a_cancelled_request_is_given_up_in_both_directions() {
    let mut pair = server();
    let stream = pair.client.fetch(&get("/"), pair.now).unwrap();
    pair.run(SHORT);
    pair.client.cancel_fetch(stream, ErrorCode::REQUEST_CANCELLED);
    pair.events.clear();
    pair.run(SHORT);
    let events = server_events(&pair);
    let code = ErrorCode::REQUEST_CANCELLED.value();
    let reset = |event: &Http3ServerEvent| matches!(event, Http3ServerEvent::StreamReset { error, .. } if *error == code);
    let stopped = |event: &Http3ServerEvent| matches!(event, Http3ServerEvent::StreamStopSending { error, .. } if *error == code);
    assert!(events.iter().any(reset) && events.iter().any(stopped), "{events:?}");
    pair.take(|event| matches!(event, Http3Event::RequestsCreatable));
    assert!(pair.events.is_empty(), "{:?}", pair.events);
    assert_eq!(pair.client.read_data(stream, &mut [0; 8], pair.now), Err(StreamGone));
}

#[test]
fn a_priority_update_reaches_the_server() {
    let mut pair = server();
    let stream = pair.client.fetch(&get("/"), pair.now).unwrap();
    pair.run(SHORT);
    pair.client.priority_update(stream, Priority::new(7, true));
    pair.run(SHORT);
    let updated = server_events(&pair).into_iter().any(|event| {
        matches!(event, Http3ServerEvent::PriorityUpdate { stream_id, priority }
            if stream_id.as_u64() == stream.value()
                && priority == neqo_http3::Priority::new(7, true))
    });
    assert!(updated);
}

#[test]
fn resets_of_the_peer_come_with_their_codes() {
    let mut pair = server();
    let reset = pair.client.fetch(&get("/"), pair.now).unwrap();
    let stopped = pair.client.fetch(&get("/"), pair.now).unwrap();
    pair.run(SHORT);
    for event in server_events(&pair) {
        if let Http3ServerEvent::Headers { stream, .. } = event {
            if stream.stream_id().as_u64() == reset.value() {
                stream.stream_reset_send(0x10b).unwrap();
            } else {
                stream.stream_stop_sending(0x100).unwrap();
            }
        }
    }
    pair.run(SHORT);
    assert!(pair.take(|event| matches!(event,
        Http3Event::Reset(stream, code) if *stream == reset && *code == ErrorCode::REQUEST_REJECTED)));
    assert!(pair.take(|event| matches!(event,
        Http3Event::StopSending(stream, code) if *stream == stopped && *code == ErrorCode::NO_ERROR)));
    assert_eq!(pair.client.send_data(stopped, b"x"), Err(StreamGone));
    assert_eq!(pair.client.close_send(stopped), Err(StreamGone));
}

/// Streams at or above the id in GOAWAY are rejected, the others go on, and nothing new is taken.
#[test]
fn goaway_rejects_what_the_server_will_not_serve() {
    let mut pair = raw_server();
    let kept = pair.client.fetch(&get("/kept"), pair.now).unwrap();
    let refused = pair.client.fetch(&get("/refused"), pair.now).unwrap();
    pair.client.close_send(kept).unwrap();
    pair.run(SHORT);
    pair.events.clear();
    pair.peer.send_control(&[0x07, 0x01, u8::try_from(refused.value()).unwrap()]);
    pair.run(SHORT);
    let goaway = pair.events.iter().position(|event| matches!(event, Http3Event::GoawayReceived));
    let reset = pair.events.iter().position(|event| {
        matches!(event, Http3Event::Reset(stream, code)
            if *stream == refused && *code == ErrorCode::REQUEST_REJECTED)
    });
    assert!(reset.is_some() && reset < goaway, "{:?}", pair.events);
    assert_eq!(pair.client.fetch(&get("/late"), pair.now), Err(FetchError::Closing));

    pair.events.clear();
    pair.peer.answer(0, &headers_frame(&[(b":status", b"200")]));
    pair.run(SHORT);
    assert!(pair.take(|event| matches!(event,
        Http3Event::HeaderReady { stream, .. } if *stream == kept)));
}

/// No command panics or answers anything but "gone", whatever the state.
#[test]
fn commands_on_unknown_streams_and_ended_connections_are_harmless() {
    let mut pair = server();
    let stream = pair.client.fetch(&get("/"), pair.now).unwrap();
    pair.run(SHORT);
    let unknown = [StreamId::new(4), StreamId::new(2), StreamId::new(3), StreamId::new(u64::MAX)];
    for stream in unknown {
        poke(&mut pair.client, stream, pair.now);
    }
    pair.client.close(ErrorCode::NO_ERROR, "", pair.now);
    for stream in unknown.into_iter().chain([stream]) {
        poke(&mut pair.client, stream, pair.now);
    }
    assert_eq!(pair.client.fetch(&get("/"), pair.now), Err(FetchError::Closing));
    pair.events.clear();
    pair.run(Duration::from_secs(5));
    assert!(
        matches!(
            pair.events[..],
            [
                Http3Event::Closing(CloseReason::NoError { by_peer: false }),
                Http3Event::Closed(CloseReason::NoError { by_peer: false }),
            ]
        ),
        "{:?}",
        pair.events
    );
    poke(&mut pair.client, stream, pair.now);
    pair.client.close(ErrorCode::INTERNAL_ERROR, "again", pair.now);
    assert!(pair.client.next_event().is_none());
    assert_eq!(pair.client.fetch(&get("/"), pair.now), Err(FetchError::Closing));
    assert!(pair.client_flight().1.is_none());
}

/// The same for the peer's close, after which neqo keeps its streams although their transport is gone.
#[test]
fn commands_after_the_peers_close_are_harmless() {
    let mut pair = raw_server();
    let stream = pair.client.fetch(&get("/"), pair.now).unwrap();
    pair.run(SHORT);
    pair.peer.connection.close(pair.now, 0x100, "");
    pair.run(SHORT);
    poke(&mut pair.client, stream, pair.now);
    pair.run(Duration::from_secs(5));
    poke(&mut pair.client, stream, pair.now);
}

fn poke(client: &mut crate::NeqoHttp3Conn, stream: StreamId, now: std::time::Instant) {
    assert_eq!(client.send_data(stream, b"body"), Err(StreamGone));
    assert_eq!(client.close_send(stream), Err(StreamGone));
    client.priority_update(stream, Priority::new(0, false));
    client.cancel_fetch(stream, ErrorCode::REQUEST_CANCELLED);
    assert_eq!(client.read_data(stream, &mut [0; 8], now), Err(StreamGone));
    client.authenticated(Ok(()), now);
    client.stats();
    client.peer_certificates();
    assert!(!format!("{client:?}").is_empty());
}
