//! Bodies in both directions: what neqo reports only once must not be lost.

use std::{collections::BTreeSet, time::Duration};

use http::{HeaderMap, Method};
use http3_session::{Http3Conn as _, Http3Event, Http3Settings, StreamId};
use neqo_http3::{Header, Http3OrWebTransportStream, Http3Server, Http3ServerEvent};
use neqo_transport::{ConnectionParameters, StreamType};
use transaction::RequestHead;

use super::server;
use crate::testing::{
    pair::{Pair, get},
    peers::http3_server,
};

const SHORT: Duration = Duration::from_millis(100);

fn post() -> RequestHead {
    RequestHead::new(Method::POST, "https", "localhost", "/", &HeaderMap::new()).unwrap()
}

/// Uploads `body` as a session would: on, until less than all is taken, and then only after
/// `DataWritable`. Answers what the server received.
fn upload(pair: &mut Pair<Http3Server>, body: &[u8], slice: usize) -> Vec<u8> {
    let stream = pair.client.fetch(&post(), pair.now).unwrap();
    // A stream begins with a `DataWritable` or two, which must not be the ones that help later.
    pair.turn();
    pair.events.clear();
    let (mut rest, mut received) = (body, Vec::new());
    let (mut writable, mut ended) = (true, false);
    for _ in 0..20_000 {
        while writable && !rest.is_empty() {
            let offered = &rest[..slice.min(rest.len())];
            let taken = pair.client.send_data(stream, offered).unwrap();
            writable = taken == offered.len();
            rest = &rest[taken..];
        }
        if rest.is_empty() && !ended {
            pair.client.close_send(stream).unwrap();
            ended = true;
        }
        pair.turn();
        writable |= pair.take(|event| matches!(event, Http3Event::DataWritable(_)));
        let mut fin = false;
        for event in pair.peer.events() {
            if let Http3ServerEvent::Data { data, fin: last, .. } = event {
                received.extend(data);
                fin |= last;
            }
        }
        if fin {
            return received;
        }
    }
    panic!("stuck with {} bytes left", rest.len());
}

/// Every small window, so that each number of bytes that may be left over is met.
#[test]
fn an_upload_through_a_small_window_never_gets_stuck() {
    let body: Vec<u8> = (0..700_u16).map(|n| n.to_le_bytes()[0]).collect();
    for window in (60..130).chain([200, 300]) {
        let small = ConnectionParameters::default()
            .max_stream_data(StreamType::BiDi, true, window)
            .max_data(window.max(90));
        let mut pair = Pair::connected(Http3Settings::default(), http3_server(small));
        assert_eq!(upload(&mut pair, &body, usize::MAX), body, "window {window}");
    }
}

/// The largest frame with a short head is 16,386 bytes. A window of two more, behind the request's head,
/// leaves two bytes: too few for a frame, but enough that neqo reports no others, unless asked once more.
#[test]
fn an_upload_does_not_get_stuck_on_two_bytes() {
    let body: Vec<u8> = (0..20_000_u16).map(|n| n.to_le_bytes()[0]).collect();
    for window in 16_388..16_460 {
        let small = ConnectionParameters::default().max_stream_data(StreamType::BiDi, true, window);
        let mut pair = Pair::connected(Http3Settings::default(), http3_server(small));
        assert!(upload(&mut pair, &body, usize::MAX) == body, "window {window}");
    }
}

#[test]
fn a_large_upload_arrives_whatever_the_pieces() {
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    for slice in [usize::MAX, 4096] {
        let mut pair = server();
        assert!(upload(&mut pair, &body, slice) == body, "pieces of {slice}");
    }
}

#[test]
fn an_empty_piece_is_no_frame() {
    let mut pair = server();
    let stream = pair.client.fetch(&post(), pair.now).unwrap();
    assert_eq!(pair.client.send_data(stream, b""), Ok(0));
    assert_eq!(pair.client.send_data(stream, b"abc"), Ok(3));
    assert_eq!(pair.client.send_data(stream, b""), Ok(0));
    pair.client.close_send(stream).unwrap();
    pair.run(SHORT);
    let body: Vec<u8> = pair
        .peer
        .events()
        .filter_map(|event| match event {
            Http3ServerEvent::Data { data, .. } => Some(data),
            _ => None,
        })
        .flatten()
        .collect();
    assert_eq!(body, b"abc");
}

/// Serves `body` for one request, in pieces of `piece` bytes, each in a turn of its own if `slowly`.
/// Reads with buffers of `buffer` bytes, by the trait's rules alone: on, until `(0, false)`, and then
/// only after `DataReadable`.
fn download(body: &[u8], piece: usize, buffer: usize, slowly: bool) -> Vec<u8> {
    let mut pair = server();
    let stream = pair.client.fetch(&get("/"), pair.now).unwrap();
    pair.client.close_send(stream).unwrap();
    let mut response: Option<Http3OrWebTransportStream> = None;
    let (mut rest, mut received, mut readable, mut closed) = (body, Vec::new(), false, false);
    for _ in 0..20_000 {
        pair.turn();
        for event in pair.peer.events() {
            if let Http3ServerEvent::Headers { stream, .. } = event {
                stream.send_headers(&[Header::new(":status", "200")]).unwrap();
                response = Some(stream);
            }
        }
        if let Some(response) = &response {
            while !rest.is_empty() {
                let sent = response.send_data(&rest[..piece.min(rest.len())]).unwrap();
                rest = &rest[sent..];
                if sent == 0 || slowly {
                    break;
                }
            }
            if rest.is_empty() && !closed {
                response.stream_close_send().unwrap();
                closed = true;
            }
        }
        if pair.take(|event| matches!(event, Http3Event::HeaderReady { fin: true, .. })) {
            return received;
        }
        readable |= pair.take(|event| matches!(event, Http3Event::DataReadable(_)));
        while readable {
            let mut space = vec![0; buffer];
            let (count, fin) = pair.client.read_data(stream, &mut space, pair.now).unwrap();
            received.extend_from_slice(&space[..count]);
            if fin {
                return received;
            }
            readable = count > 0;
        }
    }
    panic!("stuck after {} of {} bytes", received.len(), body.len());
}

#[test]
fn a_download_never_gets_stuck_whatever_the_pieces_and_buffers() {
    let body: Vec<u8> = (0..5000_u16).map(|n| n.to_le_bytes()[0]).collect();
    for piece in [1, 7, 64, 1000, 5000] {
        let body = &body[..body.len().min(piece * 200)];
        for buffer in [1, 2, 63, 64, 65, 4096] {
            for slowly in [true, false] {
                let received = download(body, piece, buffer, slowly);
                assert_eq!(received, body, "pieces of {piece}, buffers of {buffer}");
            }
        }
    }
}

#[test]
fn a_response_without_a_body_ends() {
    assert_eq!(download(b"", 1, 16, false), b"");
}

/// The end comes with the last bytes, if it is known then.
#[test]
fn the_end_is_told_with_the_last_bytes() {
    let mut pair = server();
    let stream = pair.client.fetch(&get("/"), pair.now).unwrap();
    pair.run(SHORT);
    for event in pair.peer.events() {
        if let Http3ServerEvent::Headers { stream, .. } = event {
            stream.send_headers(&[Header::new(":status", "200")]).unwrap();
            stream.send_data(b"0123456789").unwrap();
            stream.stream_close_send().unwrap();
        }
    }
    pair.run(SHORT);
    let mut buffer = [0; 10];
    assert_eq!(pair.client.read_data(stream, &mut buffer[..4], pair.now), Ok((4, false)));
    assert_eq!(pair.client.read_data(stream, &mut buffer[4..], pair.now), Ok((6, true)));
    assert!(pair.client.read_data(stream, &mut buffer, pair.now).is_err());
}

/// Who doesn't read holds the server to the stream's window, and gets the rest later.
#[test]
fn not_reading_holds_the_server_back() {
    let settings = Http3Settings { initial_max_stream_data: 100_000, ..Http3Settings::default() };
    let server = http3_server(ConnectionParameters::default());
    let mut pair = Pair::connected(settings, server);
    let streams: BTreeSet<StreamId> = [pair.client.fetch(&get("/"), pair.now).unwrap()].into();
    pair.run(SHORT);
    let mut taken = 0;
    for event in pair.peer.events() {
        if let Http3ServerEvent::Headers { stream, .. } = event {
            stream.send_headers(&[Header::new(":status", "200")]).unwrap();
            taken = stream.send_data(&vec![0; 1_000_000]).unwrap();
        }
    }
    assert!((90_000..100_000).contains(&taken), "{taken}");
    pair.run(5 * SHORT);
    let mut buffer = vec![0; 200_000];
    for stream in streams {
        assert_eq!(pair.client.read_data(stream, &mut buffer, pair.now), Ok((taken, false)));
        assert_eq!(pair.client.read_data(stream, &mut buffer, pair.now), Ok((0, false)));
    }
}
