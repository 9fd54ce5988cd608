use std::io::Read as _;

use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use transaction::{ConnectionInfo, PendingResponse, RequestBody, RequestHead, TransactionId};

use super::*;

/// An engine of one stream.
#[derive(Default)]
struct Fake {
    refuse: Option<ActivateError>,
    credit: usize,
    sent: Vec<u8>,
    closed: u32,
    readable: Vec<u8>,
    fin: bool,
    cancelled: Option<ErrorCode>,
}

impl SessionIo for Fake {
    fn try_activate(&mut self, _head: &RequestHead) -> Result<StreamId, ActivateError> {
        self.refuse.clone().map_or(Ok(StreamId::new(4)), Err)
    }

    fn send_request_body(&mut self, _stream: StreamId, data: &[u8]) -> Result<usize, NetError> {
        let taken = data.len().min(self.credit);
        self.credit -= taken;
        self.sent.extend(&data[..taken]);
        Ok(taken)
    }

    fn close_send(&mut self, _stream: StreamId) {
        self.closed += 1;
    }

    fn read_response_data(&mut self, _: StreamId, buffer: &mut [u8]) -> Result<Writing, NetError> {
        let count = buffer.len().min(self.readable.len());
        buffer[..count].copy_from_slice(&self.readable[..count]);
        self.readable.drain(..count);
        Ok(match (count, self.readable.is_empty() && self.fin) {
            (count, true) => Writing::End(count),
            (0, false) => Writing::WouldBlock,
            (count, false) => Writing::Bytes(count),
        })
    }

    fn cancel_fetch(&mut self, _stream: StreamId, code: ErrorCode) {
        self.cancelled = Some(code);
    }
}

fn stream(method: Method, body: impl Into<RequestBody>) -> (Http3Stream, PendingResponse) {
    let head =
        RequestHead::new(method, "https", "example.org", "/", &HeaderMap::new()).expect("valid");
    let info = ConnectionInfo::new("example.org", 443);
    let (transaction, response) = HttpTransaction::new(TransactionId(1), info, head, body.into());
    (Http3Stream::new(transaction), response)
}

fn head(status: u16, length: Option<u64>) -> ResponseHead {
    let mut headers = HeaderMap::new();
    if let Some(length) = length {
        headers.insert("content-length", HeaderValue::from(length));
    }
    ResponseHead {
        status: StatusCode::from_u16(status).expect("valid"),
        version: Version::HTTP_3,
        headers,
    }
}

#[test]
fn r1_a_request_without_body_ends_once_and_with_its_head() {
    let (mut stream, _response) = stream(Method::GET, "");
    let mut io = Fake::default();
    assert_eq!(stream.read_segments(&mut io), Ok(Sent::All));
    assert_eq!(stream.read_segments(&mut io), Ok(Sent::All));
    assert_eq!((io.closed, stream.id()), (1, Some(StreamId::new(4))));
}

#[test]
fn r2_a_blocked_body_goes_on_where_it_stopped_and_ends_after_its_last_byte() {
    let (mut stream, _response) = stream(Method::POST, "0123456789");
    let mut io = Fake { credit: 4, ..Fake::default() };
    assert_eq!(stream.read_segments(&mut io), Ok(Sent::Blocked));
    assert_eq!(io.closed, 0);
    io.credit = 100;
    assert_eq!(stream.read_segments(&mut io), Ok(Sent::All));
    assert_eq!((io.sent.as_slice(), io.closed), (b"0123456789".as_slice(), 1));
}

#[test]
fn r4_an_early_response_drops_the_rest_of_the_body_and_is_delivered_whole() {
    let (mut stream, response) = stream(Method::POST, "0123456789");
    let mut io = Fake { credit: 4, ..Fake::default() };
    assert_eq!(stream.read_segments(&mut io), Ok(Sent::Blocked));
    stream.stop_sending();
    io.credit = 100;
    assert_eq!(stream.read_segments(&mut io), Ok(Sent::All));
    assert_eq!((io.sent.len(), io.closed), (4, 1));
    stream.set_response_head(head(200, Some(2)), false).unwrap();
    io.readable = b"ok".to_vec();
    io.fin = true;
    assert_eq!(stream.write_segments(&mut io), Ok(Received::End));
    assert!(matches!(stream.close(&mut io, Ok(())), Closed::Finished));
    let mut text = String::new();
    response.wait().unwrap().into_body().read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), io.cancelled), ("ok", None));
}

#[test]
fn a_stream_that_got_no_id_waits_for_what_it_lacks() {
    let (mut stream, _response) = stream(Method::GET, "");
    let mut io = Fake { refuse: Some(ActivateError::StreamLimit), ..Fake::default() };
    assert_eq!(stream.read_segments(&mut io), Ok(Sent::StreamLimit));
    io.refuse = Some(ActivateError::NotConnected);
    assert_eq!(stream.read_segments(&mut io), Ok(Sent::NotConnected));
    io.refuse = Some(ActivateError::Failed(NetError::Internal("no")));
    assert!(stream.read_segments(&mut io).is_err(), "h31: an activation error ends the stream");
    assert_eq!(stream.id(), None);
}

#[test]
fn r3_a_full_pipe_leaves_the_rest_in_the_engine() {
    let (mut stream, response) = stream(Method::GET, "");
    let mut io = Fake { readable: vec![7; 300_000], fin: true, ..Fake::default() };
    stream.read_segments(&mut io).unwrap();
    stream.set_response_head(head(200, None), false).unwrap();
    assert_eq!(stream.write_segments(&mut io), Ok(Received::PipeFull));
    assert!(io.readable.len() >= 300_000 - transaction::pipe::CAPACITY);
    let mut body = response.wait().unwrap().into_body();
    let mut got = 0;
    loop {
        match body.try_chunk() {
            Some(Ok(Some(chunk))) => got += chunk.len(),
            Some(Ok(None)) => break,
            Some(Err(error)) => panic!("{error}"),
            None => match stream.write_segments(&mut io).unwrap() {
                Received::End => break,
                Received::PipeFull | Received::WouldBlock => {}
            },
        }
    }
    assert!(matches!(stream.close(&mut io, Ok(())), Closed::Finished));
    while let Some(chunk) = body.wait_chunk().unwrap() {
        got += chunk.len();
    }
    assert_eq!(got, 300_000);
}

#[test]
fn r5_interim_heads_do_not_reach_the_consumer() {
    let (mut stream, response) = stream(Method::GET, "");
    let mut io = Fake::default();
    stream.read_segments(&mut io).unwrap();
    stream.set_response_head(head(103, None), false).unwrap();
    assert_eq!(stream.write_segments(&mut io), Ok(Received::WouldBlock));
    stream.set_response_head(head(204, None), true).unwrap();
    assert_eq!(stream.write_segments(&mut io), Ok(Received::End));
    let _ = stream.close(&mut io, Ok(()));
    assert_eq!(response.wait().unwrap().status(), 204);
}

/// <https://github.com/cloudflare/quiche/issues/2277>
#[test]
fn d2_28_a_body_shorter_than_announced_is_an_error_and_what_arrived_stays_readable() {
    let (mut stream, response) = stream(Method::GET, "");
    let mut io = Fake { readable: b"abc".to_vec(), fin: true, ..Fake::default() };
    stream.read_segments(&mut io).unwrap();
    stream.set_response_head(head(200, Some(10)), false).unwrap();
    assert_eq!(stream.write_segments(&mut io), Ok(Received::End));
    let _ = stream.close(&mut io, Ok(()));
    let mut body = response.wait().unwrap().into_body();
    assert_eq!(body.wait_chunk().unwrap().unwrap(), "abc");
    let error = body.wait_chunk().unwrap_err();
    assert!(matches!(error, NetError::PartialTransfer { received: 3, expected: Some(10), .. }));
}

#[test]
fn r6_a_body_longer_than_announced_is_an_error() {
    let (mut stream, _response) = stream(Method::GET, "");
    let mut io = Fake { readable: b"abcdef".to_vec(), ..Fake::default() };
    stream.read_segments(&mut io).unwrap();
    stream.set_response_head(head(200, Some(3)), false).unwrap();
    let error = stream.write_segments(&mut io).unwrap_err();
    assert!(matches!(error, NetError::MalformedResponse(_)));
    let _ = stream.close(&mut io, Err(error));
    assert_eq!(io.cancelled, Some(ErrorCode::MESSAGE_ERROR));
}

/// <https://github.com/saorsa-labs/ant-quic/issues/244>
/// <https://github.com/dfinity/ic/pull/1346>
#[test]
fn d2_31_an_unfinished_upload_that_is_dropped_is_reset_and_never_ended() {
    let (mut stream, response) = stream(Method::POST, "0123456789");
    let mut io = Fake { credit: 4, ..Fake::default() };
    stream.read_segments(&mut io).unwrap();
    drop(response);
    assert!(stream.take_wishes().cancel);
    stream.abort(&mut io, NetError::Aborted);
    assert_eq!((io.closed, io.cancelled), (0, Some(ErrorCode::REQUEST_CANCELLED)));
}

#[test]
fn t5_a_post_that_was_sent_is_not_restarted_and_a_get_is() {
    let reset = || NetError::NetReset { reason: "gone".into() };
    for (method, restarts) in [(Method::POST, false), (Method::GET, true)] {
        let (mut stream, _response) = stream(method, "");
        stream.read_segments(&mut Fake::default()).unwrap();
        let closed = stream.close_without_engine(Err(reset()));
        assert_eq!(matches!(closed, Closed::Restart(_)), restarts);
    }
    let (stream, _response) = stream(Method::POST, "");
    assert!(matches!(stream.close_without_engine(Err(reset())), Closed::Restart(_)), "unsent");
}

#[test]
fn t3_and_t4_restarts_are_counted_and_none_follows_a_response_byte() {
    let reset = || NetError::NetReset { reason: "gone".into() };
    let (mut first, response) = stream(Method::GET, "");
    let mut attempts = 1;
    loop {
        first.read_segments(&mut Fake::default()).unwrap();
        match first.close_without_engine(Err(reset())) {
            Closed::Restart(transaction) => first = Http3Stream::new(transaction),
            Closed::Finished => break,
        }
        attempts += 1;
    }
    assert_eq!(attempts, 6);
    assert_eq!(response.wait().unwrap_err(), reset());

    let (mut answered, _response) = stream(Method::GET, "");
    answered.read_segments(&mut Fake::default()).unwrap();
    answered.set_response_head(head(200, None), false).unwrap();
    assert!(matches!(answered.close_without_engine(Err(reset())), Closed::Finished));
}
