//! The other kind of connection: one request at a time, and used again. HTTP/1.1 will be one; here it is
//! played by a script, so that the manager's way of treating it is shown on its own.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "it has more than is needed here")]
mod common;

use std::{cell::RefCell, net::SocketAddr, rc::Rc};

use common::{Fixture, error, poll};
use connection_mgr::{
    Aftermath, ConnectionHandle, ConnectionKey, ConnectionSnapshot, Ctx, Dial, Event,
    HttpConnection, HttpConnectionFactory, Target,
};
use http::{HeaderMap, StatusCode, Version};
use http3_session::{StreamKey, VerificationError};
use transaction::{
    Alpn, Closed, ConnectionInfo, HttpTransaction, NetError, PendingResponse, ResponseHead,
};

/// What a test knows of a connection, and does to it.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
struct Played {
    key: Option<ConnectionKey>,
    transaction: Option<Box<HttpTransaction>>,
    handle: Option<ConnectionHandle>,
    connected: bool,
    /// Says that it can take a transaction, and then does not.
    refuses: bool,
    must_not_be_reused: bool,
    ended: bool,
    bytes_read: u64,
    activated: usize,
    closed: usize,
}

#[derive(Clone, Default)]
struct Connections(Rc<RefCell<Vec<Rc<RefCell<Played>>>>>);

struct Connection {
    peer: SocketAddr,
    played: Rc<RefCell<Played>>,
}

impl HttpConnectionFactory for Connections {
    fn connect(
        &self,
        _ctx: &mut Ctx<'_>,
        dial: &Dial<'_>,
    ) -> Result<Box<dyn HttpConnection>, NetError> {
        let played = Rc::new(RefCell::new(Played { key: Some(dial.key), ..Played::default() }));
        self.0.borrow_mut().push(Rc::clone(&played));
        Ok(Box::new(Connection { peer: dial.peer, played }))
    }
}

impl Connection {
    fn end(&self, error: &NetError) {
        let mut played = self.played.borrow_mut();
        if let Some(transaction) = played.transaction.take() {
            transaction.fail(error.clone());
        }
        played.must_not_be_reused = true;
        played.handle = None;
    }
}

impl HttpConnection for Connection {
    fn hold(&mut self, handle: ConnectionHandle) {
        self.played.borrow_mut().handle = Some(handle);
    }

    fn holds_handle(&self) -> bool {
        self.played.borrow().handle.is_some()
    }

    fn can_activate(&self) -> bool {
        let played = self.played.borrow();
        played.connected && played.transaction.is_none() && !played.must_not_be_reused
    }

    fn activate(
        &mut self,
        _ctx: &Ctx<'_>,
        transaction: Box<HttpTransaction>,
    ) -> Result<(), Box<HttpTransaction>> {
        let mut played = self.played.borrow_mut();
        if played.refuses {
            return Err(transaction);
        }
        played.activated += 1;
        played.transaction = Some(transaction);
        Ok(())
    }

    fn on_packet_received(&mut self, _ctx: &mut Ctx<'_>) {}
    fn on_timer(&mut self, _ctx: &mut Ctx<'_>) {}
    fn recv_data(&mut self, _ctx: &mut Ctx<'_>) {}
    fn send_data(&mut self, _ctx: &mut Ctx<'_>) {}
    fn stream_wishes(&mut self, _stream: StreamKey) {}
    fn authenticated(&mut self, _verdict: Result<(), VerificationError>) {}

    fn on_stop_listening(&mut self, _ctx: &mut Ctx<'_>, error: NetError) {
        self.end(&error);
    }

    fn dont_reuse(&mut self) {
        self.played.borrow_mut().must_not_be_reused = true;
    }

    fn close_transaction(&mut self, _ctx: &mut Ctx<'_>, error: NetError) {
        self.end(&error);
    }

    fn shutdown(&mut self, _ctx: &mut Ctx<'_>, error: NetError) {
        self.end(&error);
        self.played.borrow_mut().closed += 1;
    }

    fn close(&mut self, _ctx: &mut Ctx<'_>) {
        self.played.borrow_mut().closed += 1;
    }

    fn aftermath(&mut self) -> Aftermath {
        let played = self.played.borrow();
        let ended = played.ended && played.handle.is_none();
        Aftermath { connected: played.connected, ended, ..Aftermath::default() }
    }

    fn may_be_used_again(&self) -> bool {
        let played = self.played.borrow();
        !played.must_not_be_reused && !played.ended
    }

    fn is_unused(&self) -> bool {
        self.played.borrow().transaction.is_none()
    }

    fn peer(&self) -> SocketAddr {
        self.peer
    }

    fn bytes_read(&self) -> u64 {
        self.played.borrow().bytes_read
    }

    fn snapshot(&self) -> ConnectionSnapshot {
        let peer = self.peer.to_string();
        ConnectionSnapshot { peer, active: false, idle: false, session: None, http1: None }
    }
}

struct Http11 {
    fixture: Fixture,
    connections: Connections,
}

impl Http11 {
    fn new() -> Self {
        Self::with_room_for(900)
    }

    fn with_room_for(max_connections: usize) -> Self {
        let connections = Connections::default();
        let others = Box::new(connections.clone());
        let fixture = Fixture::with(0, |parts| {
            parts.limits.max_connections_per_host = 2;
            parts.limits.max_connections = max_connections;
            parts.others = Some(others);
        });
        Self { fixture, connections }
    }

    fn fetch(&mut self) -> PendingResponse {
        self.fetch_from("one.example")
    }

    fn fetch_from(&mut self, host: &str) -> PendingResponse {
        let response = self.fixture.fetch_over(key(host));
        self.fixture.settle();
        response
    }

    fn made(&self) -> usize {
        self.connections.0.borrow().len()
    }

    fn played<R>(&self, n: usize, look: impl FnOnce(&mut Played) -> R) -> R {
        look(&mut self.connections.0.borrow()[n].borrow_mut())
    }

    /// A response of so many bytes comes, whole: the handle goes.
    fn answer(&mut self, n: usize, bytes: u64) {
        drop(self.answer_but_hold(n, bytes));
        self.fixture.settle();
    }

    /// As [`answer`](Self::answer), but the handle has yet to go.
    fn answer_but_hold(&mut self, n: usize, bytes: u64) -> Option<ConnectionHandle> {
        let (mut transaction, handle) = self.played(n, |played| {
            played.connected = true;
            played.bytes_read += bytes;
            (played.transaction.take().expect("a request"), played.handle.take())
        });
        let head = ResponseHead {
            status: StatusCode::NO_CONTENT,
            version: Version::HTTP_11,
            headers: HeaderMap::new(),
        };
        transaction.set_response_head(head).expect("valid");
        assert!(matches!(transaction.close(Ok(())), Closed::Finished));
        handle
    }

    /// Whatever drives a connection: the manager asks what came of it.
    fn drive(&mut self, n: usize) {
        let key = self.played(n, |played| played.key.expect("made"));
        self.fixture.stack.poster().waker(Target::ForceRecv(key)).wake();
        self.fixture.settle();
    }

    /// Connections on the lists: active, idle, draining.
    fn lists(&mut self) -> [usize; 3] {
        let snapshot = self.fixture.snapshot();
        let connections = || snapshot.entries.iter().flat_map(|entry| &entry.connections);
        let count = |active, idle| {
            connections().filter(|one| (one.active, one.idle) == (active, idle)).count()
        };
        [count(true, false), count(false, true), count(false, false)]
    }
}

fn key(host: &str) -> ConnectionInfo {
    let mut info = ConnectionInfo::new(host, 443);
    info.alpn = Alpn::Http11;
    info
}

#[track_caller]
fn assert_answered(response: &mut PendingResponse) {
    assert_eq!(poll(response).expect("an end").expect("a response").status(), 204);
}

#[test]
fn m3_m5_a_connection_that_may_be_used_again_goes_to_the_idle_list_and_is_the_next_ones() {
    let mut http = Http11::new();
    let mut first = http.fetch();
    assert_eq!((http.lists(), http.fixture.snapshot().handles), ([1, 0, 0], 1));
    http.answer(0, 10);
    assert_answered(&mut first);
    assert_eq!((http.lists(), http.fixture.snapshot().handles), ([0, 1, 0], 0));
    assert_eq!(http.fixture.snapshot().lifetime.reclaimed, 1);
    let mut second = http.fetch();
    assert_eq!((http.made(), http.lists(), http.fixture.snapshot().handles), (1, [1, 0, 0], 1));
    http.answer(0, 10);
    assert_answered(&mut second);
    assert_eq!(http.fixture.snapshot().lifetime.reclaimed, 2, "a handle for each request");
    assert_eq!(http.played(0, |played| played.closed), 0);
}

#[test]
fn m3_m5_a_connection_that_may_not_is_removed_and_closed() {
    let mut http = Http11::new();
    let mut response = http.fetch();
    http.played(0, |played| played.must_not_be_reused = true);
    http.answer(0, 10);
    assert_answered(&mut response);
    assert_eq!((http.lists(), http.played(0, |played| played.closed)), ([0, 0, 0], 1));
    assert!(http.fixture.snapshot().entries.is_empty());
}

#[test]
fn m5_of_idle_connections_the_one_with_the_most_bytes_is_used_first() {
    let mut http = Http11::new();
    let mut responses = [http.fetch(), http.fetch()];
    http.answer(0, 10);
    http.answer(1, 1000);
    responses.iter_mut().for_each(assert_answered);
    let _next = http.fetch();
    assert_eq!(http.played(1, |played| played.activated), 2);
    let _after = http.fetch();
    assert_eq!(http.played(0, |played| played.activated), 2);
    assert_eq!(http.made(), 2);
}

#[test]
fn requests_beyond_the_limit_of_a_host_wait_for_a_connection_that_is_reclaimed() {
    let mut http = Http11::new();
    let mut responses: Vec<_> = (0..5).map(|_| http.fetch()).collect();
    assert_eq!((http.made(), http.fixture.snapshot().entries[0].pending), (2, 3));
    for n in [0, 1, 0, 1, 0] {
        http.answer(n, 1);
    }
    responses.iter_mut().for_each(assert_answered);
    assert_eq!((http.made(), http.lists()), (2, [0, 2, 0]));
}

#[test]
fn m9_a_connection_that_takes_no_request_after_all_is_removed_without_a_reclaim() {
    let mut http = Http11::new();
    let mut first = http.fetch();
    http.answer(0, 1);
    assert_answered(&mut first);
    http.played(0, |played| played.refuses = true);
    let mut second = http.fetch();
    assert_eq!(http.fixture.snapshot().lifetime.reclaimed, 1, "the first request's alone");
    assert_eq!(http.played(0, |played| (played.closed, played.handle.is_some())), (1, false));
    assert_eq!((http.made(), http.lists()), (2, [1, 0, 0]), "it went to another one");
    http.answer(1, 1);
    assert_answered(&mut second);
}

#[test]
fn an_idle_connection_that_no_longer_works_is_passed_over_and_closed() {
    let mut http = Http11::new();
    let mut first = http.fetch();
    http.answer(0, 1);
    assert_answered(&mut first);
    http.played(0, |played| played.connected = false);
    let mut second = http.fetch();
    assert_eq!((http.made(), http.played(0, |played| played.closed)), (2, 1));
    http.answer(1, 1);
    assert_answered(&mut second);
}

#[test]
fn an_idle_connection_that_ends_by_itself_is_removed() {
    let mut http = Http11::new();
    let mut first = http.fetch();
    http.answer(0, 1);
    assert_answered(&mut first);
    http.played(0, |played| played.ended = true);
    http.drive(0);
    assert_eq!((http.lists(), http.played(0, |played| played.closed)), ([0, 0, 0], 1));
}

#[test]
fn m23_idle_connections_close_at_once_and_those_in_use_after_it() {
    for event in [Event::ClosePersistentConnections, Event::NetworkChanged] {
        let mut http = Http11::new();
        let mut responses = [http.fetch(), http.fetch()];
        http.answer(0, 1);
        http.played(1, |played| played.connected = true);
        http.drive(1);
        assert!(http.fixture.stack.poster().submit(event).is_ok());
        http.fixture.settle();
        assert_eq!(http.played(0, |played| played.closed), 1);
        assert_eq!(http.played(1, |played| played.closed), 0);
        http.answer(1, 1);
        responses.iter_mut().for_each(assert_answered);
        assert_eq!((http.lists(), http.played(1, |played| played.closed)), ([0, 0, 0], 1));
    }
}

#[test]
fn m20_m26_everything_ends_at_once_when_it_must() {
    let mut http = Http11::new();
    let mut responses: Vec<_> = (0..4).map(|_| http.fetch()).collect();
    http.answer(0, 1);
    assert_answered(&mut responses.remove(0));
    assert!(http.fixture.stack.poster().submit(Event::AbortAllConnections).is_ok());
    http.fixture.settle();
    for response in &mut responses {
        assert_eq!(error(response), NetError::Aborted);
    }
    assert_eq!((http.lists(), http.fixture.snapshot().handles), ([0, 0, 0], 0));
    let mut last = http.fetch();
    http.fixture.stack.service().shutdown();
    http.fixture.settle();
    assert_eq!(error(&mut last), NetError::ShuttingDown);
}

#[test]
fn a_key_of_another_protocol_without_a_factory_fails_with_a_clear_error() {
    let mut fixture = Fixture::new(0);
    let mut response = fixture.fetch_over(key("one.example"));
    fixture.settle();
    assert!(matches!(error(&mut response), NetError::InvalidRequest(_)));
}

/// The reclaim of its last request is on its way when it is dispatched anew.
#[test]
fn m3_a_reclaim_that_comes_after_the_next_dispatch_leaves_the_connection_alone() {
    let mut http = Http11::new();
    let mut first = http.fetch();
    let handle = http.answer_but_hold(0, 10);
    let mut second = http.fixture.fetch_over(key("one.example"));
    drop(handle);
    http.fixture.settle();
    assert_answered(&mut first);
    assert_eq!((http.lists(), http.fixture.snapshot().handles), ([1, 0, 0], 1));
    let third = http.fetch();
    assert_eq!((http.made(), http.played(0, |played| played.closed)), (2, 0));
    http.answer(0, 10);
    assert_answered(&mut second);
    assert_eq!(http.lists(), [1, 1, 0]);
    drop(third);
}

#[test]
fn s6_an_idle_connection_makes_room_at_once() {
    let mut http = Http11::with_room_for(2);
    let mut responses = [http.fetch(), http.fetch()];
    http.answer(1, 1);
    http.answer(0, 1);
    responses.iter_mut().for_each(assert_answered);
    let mut other = http.fetch_from("two.example");
    let closed = [0, 1].map(|n| http.played(n, |played| played.closed));
    assert_eq!(closed, [1, 0], "the one that was used least lately");
    assert_eq!((http.made(), http.lists(), http.fixture.snapshot().starved), (3, [1, 1, 0], 0));
    http.answer(2, 1);
    assert_answered(&mut other);
}

#[test]
fn m18_one_connection_is_made_ahead_of_time_however_many_there_may_be() {
    let mut http = Http11::new();
    let ahead = || Event::SpeculativeConnect(key("two.example"));
    assert!(http.fixture.stack.poster().submit(ahead()).is_ok());
    http.fixture.settle();
    assert_eq!((http.made(), http.lists()), (1, [1, 0, 0]));
    http.played(0, |played| played.connected = true);
    http.drive(0);
    let mut response = http.fetch_from("two.example");
    assert_eq!((http.made(), http.played(0, |played| played.activated)), (1, 1));
    http.answer(0, 1);
    assert_answered(&mut response);
    assert!(http.fixture.stack.poster().submit(ahead()).is_ok());
    http.fixture.settle();
    assert_eq!(http.made(), 1, "an idle one is there");
}

#[test]
fn m9_one_that_has_a_handle_yet_is_left_to_its_reclaim() {
    let mut http = Http11::new();
    let mut first = http.fetch();
    let handle = http.answer_but_hold(0, 10);
    http.played(0, |played| played.handle = handle);
    assert_answered(&mut first);
    http.played(0, |played| played.refuses = true);
    let second = http.fetch();
    assert_eq!((http.made(), http.lists()), (2, [2, 0, 0]), "it went to another one");
    assert_eq!(http.played(0, |played| played.closed), 0);
    drop(http.played(0, |played| played.handle.take()));
    http.fixture.settle();
    assert_eq!((http.lists(), http.fixture.snapshot().lifetime.reclaimed), ([1, 1, 0], 1));
    drop(second);
}
