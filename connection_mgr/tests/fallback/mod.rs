//! Requests that a server wants over HTTP/1.1 move to the key of that protocol, with all that they are.

use http::Method;
use http3_session::Http3Event;
use transaction::{
    ClassOfService, ErrorCode, Priority, RequestBody, RequestHead, TabId, TransactionId,
};

use super::*;

const FALLBACK: ErrorCode = ErrorCode::VERSION_FALLBACK;

/// A manager with one HTTP/3 connection to `one.example`, which is connected.
struct Falling {
    http: Http11,
    next_id: u64,
    next_stream: u64,
}

impl Falling {
    fn new() -> Self {
        let mut falling = Self { http: Http11::with(1, 900), next_id: 100, next_stream: 0 };
        let mut first = falling.send(Method::GET, 3, ClassOfService::default());
        falling.http.fixture.connected(0);
        falling.http.fixture.play(0, [common::head(0, 204, true)]);
        assert_answered(&mut first);
        falling.next_stream = 4;
        falling
    }

    fn send(&mut self, method: Method, urgency: u8, class: ClassOfService) -> PendingResponse {
        self.next_id += 1;
        let path = format!("/{}", self.next_id);
        let fields = HeaderMap::new();
        let mut head =
            RequestHead::new(method, "https", "one.example", &path, &fields).expect("valid");
        head.priority = Priority::new(urgency, false);
        let info = ConnectionInfo::new("one.example", 443);
        let body = RequestBody::from("a body");
        let (mut transaction, response) =
            HttpTransaction::new(TransactionId(self.next_id), info, head, body);
        transaction.set_class_of_service(class);
        let event = Event::NewTransaction(transaction);
        assert!(self.http.fixture.stack.poster().submit(event).is_ok());
        self.http.fixture.settle();
        response
    }

    /// A request that the server wants over HTTP/1.1.
    fn refused(&mut self, method: Method, urgency: u8, class: ClassOfService) -> PendingResponse {
        let response = self.send(method, urgency, class);
        let stream = http3_session::StreamId::new(self.next_stream);
        self.next_stream += 4;
        self.http.fixture.play(0, [Http3Event::Reset(stream, FALLBACK)]);
        response
    }

    fn plain(&mut self) -> PendingResponse {
        self.refused(Method::GET, 3, ClassOfService::default())
    }

    /// What is on a connection of HTTP/1.1.
    fn path_on(&self, n: usize) -> String {
        self.http.played(n, |played| {
            let transaction = played.transaction.as_ref().expect("a request");
            assert_eq!(transaction.connection_info().alpn, Alpn::Http11);
            transaction.request().path().to_owned()
        })
    }

    fn pending(&mut self) -> usize {
        self.http.fixture.snapshot().entries.iter().map(|entry| entry.pending).sum()
    }
}

#[test]
fn h3_version_fallback_sends_a_request_over_http_1_1_and_leaves_the_connection_to_others() {
    for method in [Method::GET, Method::POST] {
        let mut falling = Falling::new();
        let mut response = falling.refused(method, 3, ClassOfService::default());
        assert_eq!((falling.http.made(), falling.path_on(0)), (1, "/102".into()));
        falling.http.answer(0, 1);
        assert_answered(&mut response);
        let mut other = falling.send(Method::GET, 3, ClassOfService::default());
        falling.http.fixture.play(0, [common::head(8, 204, true)]);
        assert_answered(&mut other);
    }
}

#[test]
fn without_a_connection_of_that_kind_the_server_s_wish_is_the_error() {
    let mut fixture = Fixture::new(1);
    let mut response = fixture.fetch("one.example");
    fixture.connected(0);
    let stream = http3_session::StreamId::new(0);
    fixture.play(0, [Http3Event::Reset(stream, FALLBACK)]);
    assert_eq!(error(&mut response), NetError::NetInterrupt { code: FALLBACK });
    let snapshot = fixture.snapshot();
    assert_eq!(
        (snapshot.entries.len(), snapshot.lifetime.connections),
        (1, 1),
        "nothing was tried"
    );
}

#[test]
fn m15_a_request_that_is_cancelled_where_it_was_moved_to_leaves_nothing_behind() {
    let mut falling = Falling::new();
    let mut busy = [falling.plain(), falling.plain()];
    let waiting = falling.plain();
    assert_eq!((falling.http.made(), falling.pending()), (2, 1));
    drop(waiting);
    falling.http.fixture.settle();
    assert_eq!(falling.pending(), 0);
    falling.http.answer(0, 1);
    falling.http.answer(1, 1);
    busy.iter_mut().for_each(assert_answered);
    assert_eq!(falling.http.played(0, |played| played.activated), 1);
}

#[test]
fn a_request_keeps_its_urgency_and_its_class_where_it_was_moved_to() {
    let mut falling = Falling::new();
    let mut responses = vec![falling.plain(), falling.plain()];
    let plain = falling.plain();
    let urgent = falling.refused(Method::GET, 1, ClassOfService::default());
    let start = ClassOfService { urgent_start: true, tab: TabId(0) };
    let start = falling.refused(Method::GET, 5, start);
    // Said while it waits there.
    let told = falling.refused(Method::GET, 5, ClassOfService::default());
    told.set_priority(Priority::new(0, false));
    falling.http.fixture.settle();
    responses.extend([start, told, urgent, plain]);
    for expected in ["/106", "/107", "/105", "/104"] {
        falling.http.answer(0, 1);
        assert_eq!(falling.path_on(0), expected);
    }
    falling.http.answer(0, 1);
    falling.http.answer(1, 1);
    responses.iter_mut().for_each(assert_answered);
}

/// A close says it of all that ran, and of what waited for a stream.
#[test]
fn h3_version_fallback_of_the_connection_moves_all_that_was_on_it() {
    let mut falling = Falling::new();
    let mut responses = [
        falling.send(Method::POST, 3, ClassOfService::default()),
        falling.send(Method::GET, 3, ClassOfService::default()),
    ];
    falling.http.fixture.scripts[0].allow_streams(3);
    let waits = falling.send(Method::GET, 3, ClassOfService::default());
    let reason = http3_session::CloseReason::Application {
        code: FALLBACK,
        by_peer: true,
        reason: String::new(),
    };
    falling.http.fixture.play(0, [Http3Event::Closing(reason.clone()), Http3Event::Closed(reason)]);
    assert_eq!((falling.http.made(), falling.pending()), (2, 1));
    falling.http.answer(0, 1);
    falling.http.answer(1, 1);
    falling.http.answer(0, 1);
    responses.iter_mut().for_each(assert_answered);
    drop(waits);
}
