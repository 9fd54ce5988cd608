//! When a request goes again, and when it must not.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod random_attempts;

use std::io::Write as _;

use http::{HeaderMap, Method, StatusCode, Version};
use transaction::{
    Alpn, BodyWriter, Closed, ConnectionInfo, ErrorCode, HttpTransaction, Isolation, NetError,
    PendingResponse, RequestBody, RequestHead, ResponseHead, TransactionId,
};

fn exchange(method: Method, body: RequestBody) -> (Box<HttpTransaction>, PendingResponse) {
    let head = RequestHead::new(method, "https", "necko.test", "/", &HeaderMap::new());
    let mut info = ConnectionInfo::new("necko.test", 443);
    info.isolation = Isolation { partition: "a.example".into(), ..Isolation::default() };
    HttpTransaction::new(TransactionId(1), info, head.unwrap(), body)
}

/// One whose head was sent.
fn sent(method: Method) -> (Box<HttpTransaction>, PendingResponse) {
    let (mut transaction, response) = exchange(method, "a body".into());
    transaction.head_sent();
    (transaction, response)
}

/// A `POST` of which a byte has left that can't be had again.
fn spent() -> (Box<HttpTransaction>, PendingResponse, BodyWriter) {
    let (mut writer, body) = RequestBody::pipe(None);
    let (mut transaction, response) = exchange(Method::POST, body);
    writer.write_all(b"once").unwrap();
    transaction.head_sent();
    let mut taken = 0;
    let first =
        |bytes: &[u8]| Ok(if std::mem::take(&mut taken) == 0 { bytes.len().min(1) } else { 0 });
    transaction.read_segments(first).unwrap();
    (transaction, response, writer)
}

fn head(status: u16, version: Version) -> ResponseHead {
    let status = StatusCode::from_u16(status).unwrap();
    ResponseHead { status, version, headers: HeaderMap::new() }
}

fn reset() -> NetError {
    NetError::NetReset { reason: "gone".into() }
}

fn interrupt(code: ErrorCode) -> NetError {
    NetError::NetInterrupt { code }
}

fn closed_by_peer(code: ErrorCode) -> NetError {
    NetError::Http3Protocol { code, by_peer: true, reason: String::new() }
}

#[track_caller]
fn restarted(closed: Closed) -> Box<HttpTransaction> {
    match closed {
        Closed::Restart(transaction) => transaction,
        Closed::Finished => panic!("it should go again"),
    }
}

#[track_caller]
fn delivered(closed: Closed, response: PendingResponse) -> NetError {
    assert!(matches!(closed, Closed::Finished), "it must not go again");
    response.wait().unwrap_err()
}

#[test]
fn t5_a_post_that_met_a_closing_connection_goes_again_only_if_that_had_served_before() {
    let (transaction, response) = sent(Method::POST);
    assert_eq!(delivered(transaction.close(Err(reset())), response), reset());

    let (mut transaction, response) = sent(Method::POST);
    transaction.set_reused_connection(true);
    let mut transaction = restarted(transaction.close(Err(reset())));
    // The next connection is another one until it says otherwise.
    transaction.head_sent();
    assert_eq!(delivered(transaction.close(Err(reset())), response), reset());
}

#[test]
fn t4_nothing_goes_again_when_the_connection_had_served_before_but_an_answer_has_begun() {
    for status in [103, 200] {
        let (mut transaction, response) = sent(Method::GET);
        transaction.set_reused_connection(true);
        transaction.set_response_head(head(status, Version::HTTP_11)).unwrap();
        assert!(matches!(transaction.close(Err(reset())), Closed::Finished));
        drop(response);
    }
}

#[test]
fn t3_a_request_that_can_not_go_again_for_its_body_alone_says_so() {
    let rejected = || interrupt(ErrorCode::REQUEST_REJECTED);
    let fallback = || interrupt(ErrorCode::VERSION_FALLBACK);
    for error in [rejected(), fallback()] {
        let (transaction, response, _writer) = spent();
        let told = delivered(transaction.close(Err(error.clone())), response);
        assert_eq!(told, NetError::BodyNotRewindable(Box::new(error)));
        assert!(told.to_string().contains("second time"), "{told}");
    }
    // It would not have gone again with any body.
    let (transaction, response, _writer) = spent();
    assert_eq!(delivered(transaction.close(Err(reset())), response), reset());
    // Nothing of the body has left.
    let (_writer, body) = RequestBody::pipe(None);
    let (transaction, _response) = exchange(Method::POST, body);
    restarted(transaction.close(Err(rejected())));
}

#[test]
fn h3_version_fallback_goes_over_http_1_1_once_whatever_the_method() {
    let errors =
        [interrupt(ErrorCode::VERSION_FALLBACK), closed_by_peer(ErrorCode::VERSION_FALLBACK)];
    for error in errors {
        let (transaction, response) = sent(Method::POST);
        let before = transaction.connection_info().clone();
        let transaction = restarted(transaction.close(Err(error.clone())));
        let mut after = transaction.connection_info().clone();
        assert_eq!(std::mem::take(&mut after.alpn), Alpn::Http11);
        assert_eq!(after, before, "nothing else changes");
        assert_eq!(delivered(transaction.close(Err(error.clone())), response), error);
    }
    // Ours is no wish of the server's.
    let ours = NetError::Http3Protocol {
        code: ErrorCode::VERSION_FALLBACK,
        by_peer: false,
        reason: String::new(),
    };
    let (transaction, response) = sent(Method::GET);
    assert_eq!(delivered(transaction.close(Err(ours.clone())), response), ours);
}

#[test]
fn a_408_goes_again_once_and_a_second_one_is_the_answer() {
    for (version, reused) in [(Version::HTTP_3, false), (Version::HTTP_11, true)] {
        let (mut transaction, response) = sent(Method::POST);
        transaction.set_reused_connection(reused);
        let error = transaction.set_response_head(head(408, version)).unwrap_err();
        assert_eq!(error, NetError::RequestTimeout);
        let mut transaction = restarted(transaction.close(Err(error)));
        transaction.set_reused_connection(reused);
        transaction.set_response_head(head(408, version)).unwrap();
        assert!(matches!(transaction.close(Ok(())), Closed::Finished));
        assert_eq!(response.wait().unwrap().status(), 408);
    }
}

#[test]
fn a_408_is_the_answer_on_a_new_http_1_1_connection_and_for_a_body_that_is_gone() {
    let (mut transaction, response) = sent(Method::GET);
    transaction.set_response_head(head(408, Version::HTTP_11)).unwrap();
    drop(transaction);
    assert_eq!(response.wait().unwrap().status(), 408);

    let (mut transaction, response, _writer) = spent();
    transaction.set_response_head(head(408, Version::HTTP_3)).unwrap();
    drop(transaction);
    assert_eq!(response.wait().unwrap().status(), 408);
}

#[test]
fn what_no_handshake_was_made_for_goes_again_whatever_its_method() {
    let (transaction, _response) = exchange(Method::POST, "a body".into());
    restarted(transaction.close(Err(NetError::EchRetry(None))));
    let rejected = NetError::EchRejected { host: "necko.test".into(), reason: "" };
    let (transaction, response) = exchange(Method::GET, RequestBody::Empty);
    assert_eq!(delivered(transaction.close(Err(rejected.clone())), response), rejected);
}
