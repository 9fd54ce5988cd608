//! WebTransport: sessions, their streams, datagrams, and what neqo doesn't tell by itself.

use std::time::Duration;

use http::HeaderMap;
use http3_session::{
    ConnectParameters, DatagramRefused, FetchError, Http3Conn as _, Http3Event, Http3Settings,
    StreamId, WebTransportConn as _, WebTransportEngine as _, WebTransportEvent,
};
use neqo_http3::{
    Http3OrWebTransportStream, Http3Server, Http3ServerEvent, WebTransportRequest,
    WebTransportServerEvent, WebTransportSessionAcceptAction as Action,
};
use neqo_transport::{ConnectionParameters, StreamType};
use transaction::{
    ErrorCode, RequestHead,
    web_transport::{CloseInfo, StreamKind},
};

use crate::testing::{
    pair::{Pair, parameters},
    peers::{http3_server, web_transport_server},
};

const SHORT: Duration = Duration::from_millis(100);

fn connect() -> RequestHead {
    RequestHead::web_transport("localhost:4433", "/wt", &HeaderMap::new()).unwrap()
}

fn with_datagrams(size: u64) -> ConnectionParameters {
    // The server is slow: it has to keep what comes.
    ConnectionParameters::default().datagram_size(size).incoming_datagram_queue(100)
}

fn pair_with(parameters: ConnectionParameters) -> Pair<Http3Server> {
    let client =
        ConnectParameters { web_transport: true, ..self::parameters(Http3Settings::default()) };
    let mut pair = Pair::of(&client, web_transport_server(parameters));
    pair.run(SHORT);
    pair
}

fn negotiated(pair: &mut Pair<Http3Server>, wanted: bool) -> bool {
    pair.take(|event| {
        matches!(event, Http3Event::WebTransport(WebTransportEvent::Negotiated(enabled))
            if *enabled == wanted)
    })
}

/// What the server was told since the last look.
fn told(pair: &mut Pair<Http3Server>) -> Vec<WebTransportServerEvent> {
    let events = pair.peer.events().filter_map(|event| match event {
        Http3ServerEvent::WebTransport(event) => Some(event),
        _ => None,
    });
    events.collect()
}

/// A session that was asked for, and the server's end of it, which has not been answered.
fn asked(pair: &mut Pair<Http3Server>) -> (StreamId, WebTransportRequest) {
    let id = pair.client.create_session(&connect(), pair.now).unwrap();
    pair.run(SHORT);
    let told = told(pair);
    let [WebTransportServerEvent::NewSession { session, headers }] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert!(
        headers.iter().any(|field| field.name() == ":protocol" && field.value() == "webtransport")
    );
    (id, session.clone())
}

fn session(parameters: ConnectionParameters) -> (Pair<Http3Server>, StreamId, WebTransportRequest) {
    let mut pair = pair_with(parameters);
    let (id, server) = asked(&mut pair);
    server.response(&Action::Accept).unwrap();
    pair.run(SHORT);
    assert_eq!(status(&mut pair, id), Some(200));
    (pair, id, server)
}

/// The status of the answer to a request for a session, if it has come.
fn status(pair: &mut Pair<Http3Server>, id: StreamId) -> Option<u16> {
    let mut found = None;
    pair.events.retain(|event| match event {
        Http3Event::WebTransport(WebTransportEvent::Session { session, head })
            if *session == id =>
        {
            found = Some(head.status.as_u16());
            false
        }
        _ => true,
    });
    found
}

fn read(pair: &mut Pair<Http3Server>, stream: StreamId) -> (Vec<u8>, bool) {
    let mut buffer = [0; 4096];
    let (count, fin) = pair.client.read_data(stream, &mut buffer, pair.now).unwrap();
    (buffer[..count].to_vec(), fin)
}

fn new_stream(pair: &mut Pair<Http3Server>) -> Option<(StreamId, StreamId)> {
    let mut found = None;
    pair.events.retain(|event| match event {
        Http3Event::WebTransport(WebTransportEvent::NewStream { stream, session })
            if found.is_none() =>
        {
            found = Some((*stream, *session));
            false
        }
        _ => true,
    });
    found
}

fn send(stream: &Http3OrWebTransportStream, bytes: &[u8]) {
    assert_eq!(stream.send_data(bytes).unwrap(), bytes.len());
}

#[test]
fn no_session_is_asked_for_before_the_server_said_whether_it_takes_any() {
    let client = ConnectParameters { web_transport: true, ..parameters(Http3Settings::default()) };
    let mut pair = Pair::of(&client, web_transport_server(with_datagrams(1500)));
    assert_eq!(pair.client.create_session(&connect(), pair.now), Err(FetchError::NotConnected));
    pair.run(SHORT);
    assert!(negotiated(&mut pair, true), "{:?}", pair.events);
    assert!(pair.client.create_session(&connect(), pair.now).is_ok());

    let mut pair = Pair::of(&client, http3_server(ConnectionParameters::default()));
    pair.run(SHORT);
    assert!(negotiated(&mut pair, false), "{:?}", pair.events);
    assert_eq!(pair.client.create_session(&connect(), pair.now), Err(FetchError::NotConnected));
}

#[test]
fn a_refusal_is_the_response_that_it_is() {
    let mut pair = pair_with(with_datagrams(1500));
    let (id, server) = asked(&mut pair);
    let fields = [(":status", "302"), ("location", "/")];
    let headers = fields.map(|(name, value)| neqo_http3::Header::new(name, value));
    server.response(&Action::Reject(headers.to_vec())).unwrap();
    pair.run(SHORT);
    assert_eq!(status(&mut pair, id), Some(302));
    assert_eq!(pair.client.send_datagram(id, b"x"), Err(DatagramRefused::SessionGone));
    // And what is called on what is over does nothing.
    pair.client.reset_stream(id, ErrorCode::REQUEST_CANCELLED);
    pair.client.stop_sending(id, ErrorCode::REQUEST_CANCELLED);
    pair.client.close_session(id, 1, "x");
    pair.run(SHORT);
}

#[test]
fn streams_go_in_all_directions() {
    let (mut pair, id, server) = session(with_datagrams(1500));
    for kind in [StreamKind::Bidirectional, StreamKind::Unidirectional] {
        let stream = pair.client.create_stream(id, kind).unwrap();
        assert_eq!(stream.is_bidirectional(), kind == StreamKind::Bidirectional);
        assert_eq!(pair.client.send_data(stream, b"hello"), Ok(5));
        pair.run(SHORT);
        let stats = pair.client.stream_stats(stream);
        // The type and the number of the session are not counted.
        assert_eq!((stats.bytes_written, stats.bytes_sent, stats.bytes_acknowledged), (5, 5, 5));
        pair.client.close_send(stream).unwrap();
        pair.run(SHORT);
        let mut seen = None;
        for event in pair.peer.events() {
            if let Http3ServerEvent::Data { stream, data, fin } = event {
                let (_, so_far, _) = seen.take().unwrap_or_default();
                seen = Some((stream.stream_id().as_u64(), [so_far, data].concat(), fin));
            }
        }
        assert_eq!(seen, Some((stream.value(), b"hello".to_vec(), true)));
    }
    for kind in [StreamType::BiDi, StreamType::UniDi] {
        let theirs = server.create_stream(kind).unwrap();
        send(&theirs, b"qwerty");
        theirs.stream_close_send().unwrap();
        pair.run(SHORT);
        let (stream, of) = new_stream(&mut pair).unwrap();
        assert_eq!((of, stream.is_bidirectional()), (id, kind == StreamType::BiDi));
        assert_eq!(read(&mut pair, stream), (b"qwerty".to_vec(), true));
    }
}

/// The server may open streams as soon as it has accepted, and what it sends may be overtaken.
#[test]
fn w9_a_stream_that_overtakes_the_response_is_told_of() {
    let mut pair = pair_with(with_datagrams(1500));
    let (id, server) = asked(&mut pair);
    // The packet with the response gets lost, and the stream's does not.
    server.response(&Action::Accept).unwrap();
    let lost = pair.peer.process_output(pair.now).dgram();
    assert!(lost.is_some());
    send(&server.create_stream(StreamType::UniDi).unwrap(), b"early");
    let sent = pair.peer.process_output(pair.now).dgram().expect("a datagram").to_vec();
    let mut sent = [sent];
    let datagrams = sent.iter_mut().map(Vec::as_mut_slice);
    let (server_address, ecn) =
        (crate::testing::pair::server_address(), socket_transport::Ecn::NotEct);
    pair.client.input(server_address, ecn, datagrams, pair.now);
    pair.collect();
    assert_eq!(status(&mut pair, id), None);
    let (stream, of) = new_stream(&mut pair).expect("it is told of at once");
    assert_eq!((of, read(&mut pair, stream)), (id, (b"early".to_vec(), false)));
    pair.run(Duration::from_secs(2));
    assert_eq!(status(&mut pair, id), Some(200), "it was sent again");
}

#[test]
fn one_direction_ends_without_the_other() {
    let (mut pair, id, _server) = session(with_datagrams(1500));
    let stream = pair.client.create_stream(id, StreamKind::Bidirectional).unwrap();
    pair.client.send_data(stream, b"x").unwrap();
    pair.run(SHORT);
    let mut theirs = None;
    for event in pair.peer.events() {
        if let Http3ServerEvent::Data { stream, .. } = event {
            theirs = Some(stream);
        }
    }
    let theirs = theirs.unwrap();
    pair.client.reset_stream(stream, ErrorCode::new(0x52e4_a40f_a906));
    pair.run(SHORT);
    let reset = pair.peer.events().find_map(|event| match event {
        Http3ServerEvent::StreamReset { error, .. } => Some(error),
        _ => None,
    });
    assert_eq!(reset, Some(0x52e4_a40f_a906));
    send(&theirs, b"still here");
    pair.run(SHORT);
    assert_eq!(read(&mut pair, stream), (b"still here".to_vec(), false));
    theirs.stream_reset_send(7).unwrap();
    pair.run(SHORT);
    let reset = |event: &Http3Event| matches!(event, Http3Event::Reset(found, code) if *found == stream && code.value() == 7);
    assert!(pair.take(reset), "{:?}", pair.events);
}

#[test]
fn closing_tells_code_and_words_both_ways() {
    let (mut pair, id, server) = session(with_datagrams(1500));
    server.close_session(7, "done").unwrap();
    pair.run(SHORT);
    let closed = |event: &Http3Event| {
        matches!(event, Http3Event::WebTransport(WebTransportEvent::SessionClosed { session, end: Ok(info) })
            if *session == id && *info == CloseInfo { code: 7, reason: "done".into(), by_peer: true })
    };
    assert!(pair.take(closed), "{:?}", pair.events);
    assert_eq!(pair.client.send_datagram(id, b"x"), Err(DatagramRefused::SessionGone));

    let (mut pair, id, _server) = session(with_datagrams(1500));
    pair.client.close_session(id, 42, "bye");
    assert_eq!(pair.client.send_datagram(id, b"x"), Err(DatagramRefused::SessionGone));
    pair.run(SHORT);
    let told = told(&mut pair);
    assert!(
        told.iter()
            .any(|event| matches!(event, WebTransportServerEvent::SessionClosed { reason, .. }
            if format!("{reason:?}").contains("42") && format!("{reason:?}").contains("bye"))),
        "{told:?}"
    );
}

#[test]
fn w7_a_datagram_of_the_largest_size_arrives_and_a_byte_more_is_refused() {
    let (mut pair, id, server) = session(with_datagrams(65_535));
    let max = pair.client.max_datagram_size(id);
    assert!((1000..1300).contains(&max), "{max}");
    let largest = vec![7; max];
    assert_eq!(pair.client.send_datagram(id, &largest), Ok(()));
    assert_eq!(pair.client.send_datagram(id, &vec![7; max + 1]), Err(DatagramRefused::TooLarge));
    pair.run(SHORT);
    let told = told(&mut pair);
    assert!(
        matches!(told.as_slice(), [WebTransportServerEvent::Datagram { datagram, .. }] if *datagram == largest),
        "{}",
        told.len()
    );
    server.send_datagram(b"back", None::<u64>).unwrap();
    pair.run(SHORT);
    assert!(pair.take(|event| matches!(event,
        Http3Event::WebTransport(WebTransportEvent::Datagram { datagram, .. }) if datagram == "back")));
}

#[test]
fn there_is_as_much_room_for_datagrams_as_neqo_keeps() {
    let (mut pair, id, _server) = session(with_datagrams(1500));
    let room = pair.client.datagram_room();
    for sent in 1..=room {
        assert_eq!(pair.client.send_datagram(id, b"one"), Ok(()));
        assert_eq!(pair.client.datagram_room(), room - sent);
    }
    pair.run(SHORT);
    assert_eq!(pair.client.datagram_room(), room, "all have left");
    assert_eq!(told(&mut pair).len(), room, "and arrived");
}

/// neqo subtracts from what the peer announces without a look.
#[test]
fn a_peer_that_takes_hardly_any_datagram_is_no_danger() {
    for size in [0, 1, 2, 3] {
        let (mut pair, id, _server) = session(with_datagrams(size));
        assert!(pair.client.max_datagram_size(id) <= usize::try_from(size).unwrap());
        let far = StreamId::new(4 * 1_000_000);
        assert_eq!(pair.client.max_datagram_size(far), 0);
        assert!(pair.client.send_datagram(id, b"four").is_err());
        pair.run(SHORT);
    }
}
