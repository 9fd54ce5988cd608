//! How exchanges end, for the socket thread and for the consumer.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::{
    future::Future,
    io::Write as _,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use http::{HeaderMap, Method, StatusCode, Version};
use transaction::{
    Closed, ConnectionInfo, EarlyData, ErrorCode, HttpTransaction, NetError, PendingResponse,
    RequestBody, RequestHead, ResponseHead, TransactionId, Writing,
};

/// A waker that is counted: how often it was woken, and, by its `Arc`, how many hold it.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Count {
    fn waker(self: &Arc<Self>) -> Waker {
        Arc::clone(self).into()
    }

    /// How many hold the waker beside the test.
    fn holders(self: &Arc<Self>) -> usize {
        Arc::strong_count(self) - 1
    }
}

fn poll<F: Future>(future: F, count: &Arc<Count>) -> Poll<F::Output> {
    pin!(future).poll(&mut Context::from_waker(&count.waker()))
}

fn exchange() -> (Box<HttpTransaction>, PendingResponse) {
    let head = RequestHead::new(Method::GET, "https", "necko.test", "/", &HeaderMap::new());
    let info = ConnectionInfo::new("necko.test", 443);
    HttpTransaction::new(TransactionId(1), info, head.unwrap(), RequestBody::Empty)
}

fn head(status: u16) -> ResponseHead {
    ResponseHead {
        status: StatusCode::from_u16(status).unwrap(),
        version: Version::HTTP_3,
        headers: HeaderMap::new(),
    }
}

/// With a head and three bytes of a body.
fn begun() -> (Box<HttpTransaction>, PendingResponse) {
    let (mut transaction, response) = exchange();
    transaction.head_sent();
    transaction.set_response_head(head(200)).unwrap();
    let read = |buffer: &mut [u8]| {
        buffer.iter_mut().zip(b"abc").for_each(|(to, from)| *to = *from);
        Ok(Writing::Bytes(3))
    };
    assert_eq!(transaction.write_segments(read), Ok(Ok(Writing::Bytes(3))));
    (transaction, response)
}

fn reset(code: ErrorCode) -> Result<(), NetError> {
    Err(NetError::NetInterrupt { code })
}

#[test]
fn t1_the_consumer_sees_the_first_end_and_only_that() {
    let (transaction, response) = begun();
    assert!(matches!(transaction.close(reset(ErrorCode::INTERNAL_ERROR)), Closed::Finished));
    // Closing took the transaction, and its drop is no second end.
    let mut body = response.wait().unwrap().into_body();
    assert_eq!(body.wait_chunk().unwrap().unwrap(), "abc");
    let first = body.wait_chunk().unwrap_err();
    assert!(matches!(first, NetError::PartialTransfer { received: 3, .. }), "{first:?}");
    assert_eq!(body.wait_chunk(), Err(first), "it stays the same");
}

#[test]
fn t1_a_transaction_that_is_dropped_ends_its_exchange_once() {
    let (transaction, response) = begun();
    drop(transaction);
    let mut body = response.wait().unwrap().into_body();
    assert_eq!(body.wait_chunk().unwrap().unwrap(), "abc");
    assert_eq!(body.wait_chunk(), Err(NetError::ShuttingDown));

    let (transaction, response) = exchange();
    drop(transaction);
    assert_eq!(response.wait().unwrap_err(), NetError::ShuttingDown);
}

#[test]
fn t2_a_closed_transaction_lets_go_of_its_owner() {
    for failing in [true, false] {
        let (transaction, response) = begun();
        let owner = Arc::new(Count::default());
        transaction.set_owner(owner.waker());
        assert_eq!(owner.holders(), 1);
        if failing {
            transaction.fail(NetError::Aborted);
        } else {
            assert!(matches!(transaction.close(Ok(())), Closed::Finished));
        }
        assert_eq!(owner.holders(), 0);
        drop(response);
        assert_eq!(owner.0.load(Ordering::Relaxed), 0, "and wakes it no more");
    }
}

#[test]
fn t2_a_restarted_transaction_lets_go_of_its_owner() {
    let (mut transaction, _response) = exchange();
    let owner = Arc::new(Count::default());
    transaction.set_owner(owner.waker());
    transaction.head_sent();
    let closed = transaction.close(reset(ErrorCode::REQUEST_REJECTED));
    assert!(matches!(closed, Closed::Restart(_)));
    assert_eq!(owner.holders(), 0);
}

/// <https://github.com/quinn-rs/quinn/pull/2541>
#[test]
fn d2_24_a_consumer_that_goes_leaves_no_waker_behind() {
    let (transaction, mut response) = exchange();
    let consumer = Arc::new(Count::default());
    assert!(poll(&mut response, &consumer).is_pending());
    assert_eq!(consumer.holders(), 1);
    drop(response);
    assert_eq!(consumer.holders(), 0);
    transaction.fail(NetError::Aborted);

    let (transaction, response) = begun();
    let mut body = response.wait().unwrap().into_body();
    assert!(poll(body.chunk(), &consumer).is_ready());
    assert!(poll(body.chunk(), &consumer).is_pending());
    assert_eq!(consumer.holders(), 1);
    drop(body);
    assert_eq!(consumer.holders(), 0);
    drop(transaction);
}

#[test]
fn p2_a_consumer_that_goes_wakes_the_owner_once_and_the_rest_is_dropped() {
    let (mut transaction, response) = begun();
    let owner = Arc::new(Count::default());
    transaction.set_owner(owner.waker());
    drop(response);
    assert_eq!(owner.0.load(Ordering::Relaxed), 1);
    assert!(transaction.take_wishes().cancel);
    assert_eq!(transaction.buffered(), 0, "nobody will read it");
    let late = transaction.write_segments(|_| Ok(Writing::Bytes(100)));
    assert_eq!(late, Ok(Ok(Writing::Bytes(100))));
    assert_eq!(transaction.buffered(), 0);
    transaction.fail(NetError::Aborted);
    assert_eq!(owner.0.load(Ordering::Relaxed), 1);
}

#[test]
fn p3_all_that_was_written_is_read_before_the_end() {
    let (transaction, response) = begun();
    assert!(matches!(transaction.close(Ok(())), Closed::Finished));
    let mut body = response.wait().unwrap().into_body();
    assert_eq!(body.wait_chunk().unwrap().unwrap(), "abc");
    assert_eq!(body.wait_chunk(), Ok(None));
    assert_eq!(body.wait_chunk(), Ok(None));
}

#[test]
fn r7_a_reset_is_an_interrupt_a_partial_transfer_or_a_reason_to_begin_anew() {
    const REJECTED: ErrorCode = ErrorCode::REQUEST_REJECTED;
    const ELSEWHERE: [ErrorCode; 2] = [REJECTED, ErrorCode::VERSION_FALLBACK];
    const OTHERS: [ErrorCode; 2] = [ErrorCode::INTERNAL_ERROR, ErrorCode::REQUEST_CANCELLED];

    // Before anything.
    for code in OTHERS {
        let (transaction, response) = exchange();
        assert!(matches!(transaction.close(reset(code)), Closed::Finished));
        assert_eq!(response.wait().unwrap_err(), NetError::NetInterrupt { code });
    }
    for code in ELSEWHERE {
        let (transaction, _response) = exchange();
        assert!(matches!(transaction.close(reset(code)), Closed::Restart(_)));
    }

    // After a head or a byte.
    for code in OTHERS.into_iter().chain(ELSEWHERE) {
        let (mut transaction, response) = exchange();
        transaction.set_response_head(head(200)).unwrap();
        assert!(matches!(transaction.close(reset(code)), Closed::Finished));
        assert_partial(response, 0);
        let (transaction, response) = begun();
        assert!(matches!(transaction.close(reset(code)), Closed::Finished));
        assert_partial(response, 3);
    }

    // An interim head is part of an answer: the server has looked at the request.
    let (mut transaction, response) = exchange();
    transaction.set_response_head(head(103)).unwrap();
    assert!(matches!(transaction.close(reset(REJECTED)), Closed::Finished));
    assert_eq!(response.wait().unwrap_err(), NetError::NetInterrupt { code: REJECTED });
}

#[track_caller]
fn assert_partial(response: PendingResponse, bytes: u64) {
    let mut body = response.wait().unwrap().into_body();
    let error = loop {
        match body.wait_chunk() {
            Ok(Some(_)) => {}
            Ok(None) => panic!("that looks like an end"),
            Err(error) => break error,
        }
    };
    let NetError::PartialTransfer { received, expected: None, .. } = error else {
        panic!("{error:?}")
    };
    assert_eq!(received, bytes);
}

#[test]
fn t11_a_misdirected_request_goes_again_once_and_a_second_421_is_delivered() {
    let (mut transaction, response) = exchange();
    let error = transaction.set_response_head(head(421)).unwrap_err();
    assert_eq!(error, NetError::MisdirectedRequest);
    let Closed::Restart(mut transaction) = transaction.close(Err(error)) else {
        panic!("nobody saw anything of it: it may go again")
    };
    assert!(transaction.was_misdirected());
    transaction.set_response_head(head(421)).unwrap();
    assert!(matches!(transaction.close(Ok(())), Closed::Finished));
    assert_eq!(response.wait().unwrap().status(), 421);
}

#[test]
fn a_425_to_early_data_goes_again_once_and_never_early() {
    let (mut transaction, response) = exchange();
    assert!(transaction.may_go_early() && !transaction.is_retry());
    transaction.sent_early();
    transaction.early_data_accepted();
    let error = transaction.set_response_head(head(425)).unwrap_err();
    assert_eq!(error, NetError::TooEarly);
    let Closed::Restart(mut transaction) = transaction.close(Err(error)) else {
        panic!("nobody saw anything of it: it may go again")
    };
    assert!(!transaction.may_go_early() && transaction.is_retry());
    transaction.set_response_head(head(425)).unwrap();
    assert!(matches!(transaction.close(Ok(())), Closed::Finished));
    let response = response.wait().unwrap();
    assert_eq!((response.status().as_u16(), response.early_data()), (425, EarlyData::TooEarly));
}

#[test]
fn a_425_to_what_was_not_early_data_is_an_answer() {
    for rejected in [false, true] {
        let (mut transaction, response) = exchange();
        if rejected {
            transaction.sent_early();
            transaction.early_data_rejected().unwrap();
        }
        transaction.set_response_head(head(425)).unwrap();
        assert!(matches!(transaction.close(Ok(())), Closed::Finished));
        assert_eq!(response.wait().unwrap().status(), 425);
    }
}

#[test]
fn t7_whatever_restarts_a_request_keeps_it_from_going_early() {
    let rejected = NetError::NetInterrupt { code: ErrorCode::REQUEST_REJECTED };
    let reset = NetError::NetReset { reason: String::new() };
    for error in [rejected, reset, NetError::MisdirectedRequest] {
        let (transaction, _response) = exchange();
        let Closed::Restart(transaction) = transaction.close(Err(error)) else {
            panic!("it may go again")
        };
        assert!(!transaction.may_go_early() && transaction.is_retry());
    }
}

#[test]
fn h11_only_what_is_safe_and_can_be_sent_twice_may_go_early() {
    let early = |method: Method, body: RequestBody| {
        let head = RequestHead::new(method, "https", "necko.test", "/", &HeaderMap::new());
        let info = ConnectionInfo::new("necko.test", 443);
        HttpTransaction::new(TransactionId(1), info, head.unwrap(), body).0.may_go_early()
    };
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        assert!(early(method, RequestBody::Empty));
    }
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        assert!(!early(method, RequestBody::Empty));
    }
    assert!(early(Method::GET, "a body".into()));
    assert!(!early(Method::GET, RequestBody::pipe(None).1));
}

/// The server wanted no more of the body and then refused to look at the request: there is nothing left of the
/// body to send, and the request must not go without it.
#[test]
fn a_body_that_was_let_go_of_is_not_sent_again_as_an_empty_one() {
    let request = RequestHead::new(Method::PUT, "https", "necko.test", "/", &HeaderMap::new());
    let info = ConnectionInfo::new("necko.test", 443);
    let (mut transaction, response) =
        HttpTransaction::new(TransactionId(1), info, request.unwrap(), "a body".into());
    transaction.head_sent();
    transaction.discard_body();
    let error = NetError::NetInterrupt { code: ErrorCode::REQUEST_REJECTED };
    assert!(matches!(transaction.close(Err(error)), Closed::Finished));
    let error = response.wait().unwrap_err();
    assert!(matches!(error, NetError::BodyNotRewindable(_)), "{error:?}");
}

#[test]
fn t11_a_421_is_delivered_when_the_body_can_not_be_sent_again() {
    let request = RequestHead::new(Method::POST, "https", "necko.test", "/", &HeaderMap::new());
    let (mut writer, body) = RequestBody::pipe(None);
    let info = ConnectionInfo::new("necko.test", 443);
    let (mut transaction, response) =
        HttpTransaction::new(TransactionId(1), info, request.unwrap(), body);
    writer.write_all(b"once").unwrap();
    transaction.read_segments(|bytes| Ok(bytes.len())).unwrap();
    transaction.set_response_head(head(421)).unwrap();
    drop(transaction);
    assert_eq!(response.wait().unwrap().status(), 421);
}
