//! Each way in which the books can be wrong is planted, and has to be found.

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, task::Waker};

use http::{HeaderMap, Method};
use http3_session::{
    CertificateVerifier, Http3Settings, StreamKey, VerificationError, VerificationRequest,
    scripted::ScriptedFactory,
};
use transaction::{
    HttpTransaction, NetError, PendingResponse, RequestBody, RequestHead, TransactionId,
};

use super::*;
use crate::{
    coalescing::CoalescingKey,
    connection::{Aftermath, Ctx, HttpConnection},
    handle::ConnectionHandle,
    limits::ConnectionLimits,
    mgr::{Parts, Registered},
    resolver::SystemResolver,
    snapshot::ConnectionSnapshot,
    target::ConnectionKey,
};

/// A connection that does nothing but keep its handle.
struct Still(Option<ConnectionHandle>);

impl HttpConnection for Still {
    fn hold(&mut self, handle: ConnectionHandle) {
        self.0 = Some(handle);
    }
    fn holds_handle(&self) -> bool {
        self.0.is_some()
    }
    fn can_activate(&self) -> bool {
        false
    }
    fn activate(
        &mut self,
        _ctx: &Ctx<'_>,
        transaction: Box<HttpTransaction>,
    ) -> Result<(), Box<HttpTransaction>> {
        Err(transaction)
    }
    fn on_packet_received(&mut self, _ctx: &mut Ctx<'_>) {}
    fn on_timer(&mut self, _ctx: &mut Ctx<'_>) {}
    fn recv_data(&mut self, _ctx: &mut Ctx<'_>) {}
    fn send_data(&mut self, _ctx: &mut Ctx<'_>) {}
    fn on_stop_listening(&mut self, _ctx: &mut Ctx<'_>, _error: NetError) {}
    fn stream_wishes(&mut self, _stream: StreamKey) {}
    fn authenticated(&mut self, _verdict: Result<(), VerificationError>) {}
    fn dont_reuse(&mut self) {}
    fn close_transaction(&mut self, _ctx: &mut Ctx<'_>, _error: NetError) {}
    fn shutdown(&mut self, _ctx: &mut Ctx<'_>, _error: NetError) {}
    fn close(&mut self, _ctx: &mut Ctx<'_>) {}
    fn aftermath(&mut self) -> Aftermath {
        Aftermath::default()
    }
    fn may_be_used_again(&self) -> bool {
        false
    }
    fn is_unused(&self) -> bool {
        true
    }
    fn peer(&self) -> SocketAddr {
        ([192, 0, 2, 1], 443).into()
    }
    fn snapshot(&self) -> ConnectionSnapshot {
        ConnectionSnapshot {
            peer: String::new(),
            active: false,
            idle: false,
            session: None,
            http1: None,
        }
    }
}

struct Anyone;

impl CertificateVerifier for Anyone {
    fn verify(&self, _request: &VerificationRequest) -> Result<(), VerificationError> {
        Ok(())
    }
}

fn empty() -> ConnectionMgr {
    ConnectionMgr::new(Parts {
        engines: Box::new(ScriptedFactory::default()),
        verifier: Arc::new(Anyone),
        resolver: Arc::new(SystemResolver),
        settings: Http3Settings::default(),
        limits: ConnectionLimits::default(),
        others: None,
    })
}

fn info(host: &str) -> ConnectionInfo {
    ConnectionInfo::new(host, 443)
}

fn http11(host: &str) -> ConnectionInfo {
    let mut info = info(host);
    info.alpn = Alpn::Http11;
    info
}

/// A connection in the table alone.
fn register(mgr: &mut ConnectionMgr, info: &ConnectionInfo) -> ConnectionKey {
    let handle = ConnectionHandle::new(Waker::noop().clone(), &mgr.handles);
    let connection = Box::new(Still(Some(handle)));
    let (guests, strangers) = (BTreeSet::new(), BTreeSet::new());
    let info = info.clone();
    let registered =
        Registered { info, connection, guests, strangers, last_used: 0, in_use: false };
    ConnectionKey::new(mgr.connections.insert(registered))
}

fn entry<'m>(mgr: &'m mut ConnectionMgr, info: &ConnectionInfo) -> &'m mut ConnectionEntry {
    mgr.entries.entry(info.clone()).or_default()
}

/// A manager with one connection that is used by a guest, and a request that waits.
fn in_order() -> (ConnectionMgr, ConnectionKey, PendingResponse) {
    let mut mgr = empty();
    let (host, guest) = (info("host.example"), info("guest.example"));
    let key = register(&mut mgr, &host);
    entry(&mut mgr, &host).active.push(key);
    mgr.coalescing.insert(CoalescingKey::new(&host, [192, 0, 2, 1].into()), key);
    entry(&mut mgr, &guest).coalesced = Some(key);
    if let Some(registered) = mgr.connections.get_mut(key.slot()) {
        registered.guests.insert(guest.clone());
    }
    let (transaction, response) = waiting(&guest);
    mgr.waiting.insert(transaction.id(), guest.clone());
    entry(&mut mgr, &guest).pending.push(transaction);
    (mgr, key, response)
}

fn waiting(info: &ConnectionInfo) -> (Box<HttpTransaction>, PendingResponse) {
    let head = RequestHead::new(Method::GET, "https", info.host(), "/", &HeaderMap::new());
    let head = head.expect("valid");
    HttpTransaction::new(TransactionId(1), info.clone(), head, RequestBody::Empty)
}

#[track_caller]
fn assert_wrong(mgr: &ConnectionMgr, expected: &str) {
    let wrong = mgr.check_accounts().expect_err("it is found");
    assert!(wrong.contains(expected), "{wrong}");
}

#[test]
fn m6_books_in_order_are_found_to_be_so() {
    assert_eq!(empty().check_accounts(), Ok(()));
    let (mut mgr, ..) = in_order();
    assert_eq!(mgr.check_accounts(), Ok(()));
    let http11 = http11("host.example");
    for n in 0..4 {
        let key = register(&mut mgr, &http11);
        let entry = entry(&mut mgr, &http11);
        if n < 2 { entry.active.push(key) } else { entry.idle.push(key) }
    }
    let drained = register(&mut mgr, &info("host.example"));
    entry(&mut mgr, &info("host.example")).draining.push(drained);
    entry(&mut mgr, &info("guest.example")).starved = true;
    mgr.starved.push_back(info("guest.example"));
    assert_eq!(mgr.check_accounts(), Ok(()));
}

#[test]
fn m3_m6_a_connection_on_no_list_is_found() {
    let (mut mgr, ..) = in_order();
    register(&mut mgr, &info("host.example"));
    assert_wrong(&mgr, "connections on lists and in the table: 1 and 2");
}

#[test]
fn m3_m6_a_listed_connection_that_is_gone_is_found() {
    let (mut mgr, key, _response) = in_order();
    mgr.entries.remove(&info("guest.example"));
    mgr.connections.remove(key.slot());
    assert_wrong(&mgr, "a listed connection is not in the table");
    let (mut mgr, key, _response) = in_order();
    entry(&mut mgr, &info("host.example")).active.clear();
    mgr.entries.remove(&info("host.example"));
    entry(&mut mgr, &info("other.example")).draining.push(key);
    assert_wrong(&mgr, "a listed connection is not in the table");
}

#[test]
fn m6_m7_a_connection_that_is_listed_twice_is_found() {
    let (mut mgr, key, _response) = in_order();
    entry(&mut mgr, &info("host.example")).draining.push(key);
    assert_wrong(&mgr, "a connection is listed twice");
}

#[test]
fn m4_m11_more_than_one_active_http3_connection_and_any_idle_one_is_found() {
    let (mut mgr, ..) = in_order();
    let second = register(&mut mgr, &info("host.example"));
    entry(&mut mgr, &info("host.example")).active.push(second);
    assert_wrong(&mgr, "2 active, 0 of them connecting, 0 idle");
    let (mut mgr, key, _response) = in_order();
    let entry = entry(&mut mgr, &info("host.example"));
    entry.active.clear();
    entry.idle.push(key);
    assert_wrong(&mgr, "0 active, 0 of them connecting, 1 idle");
}

#[test]
fn m10_an_entry_without_anything_in_it_is_found() {
    let (mut mgr, ..) = in_order();
    entry(&mut mgr, &info("other.example"));
    assert_wrong(&mgr, "nothing is in it");
}

#[test]
fn m17_a_request_in_a_queue_or_in_the_table_alone_is_found() {
    let (mut mgr, ..) = in_order();
    mgr.waiting.clear();
    assert_wrong(&mgr, "transactions in queues and in the table: 1 and 0");
    let (mut mgr, ..) = in_order();
    mgr.waiting.insert(TransactionId(2), info("host.example"));
    assert_wrong(&mgr, "transactions in queues and in the table: 1 and 2");
}

#[test]
fn m1_a_handle_too_many_or_too_few_is_found() {
    let (mgr, ..) = in_order();
    mgr.handles.set(2);
    assert_wrong(&mgr, "handles held and handles alive: 1 and 2");
    mgr.handles.set(0);
    assert_wrong(&mgr, "handles held and handles alive: 1 and 0");
    let (mut mgr, key, _response) = in_order();
    if let Some(registered) = mgr.connections.get_mut(key.slot()) {
        registered.connection = Box::new(Still(None));
    }
    assert_eq!(mgr.check_accounts(), Ok(()), "the handle went with it");
}

#[test]
fn m17_an_entry_that_waits_for_room_and_is_not_in_the_line_is_found() {
    let (mut mgr, ..) = in_order();
    entry(&mut mgr, &info("guest.example")).starved = true;
    assert_wrong(&mgr, "entries that starve and their line: 1 and 0");
    let (mut mgr, ..) = in_order();
    mgr.starved.push_back(info("guest.example"));
    assert_wrong(&mgr, "entries that starve and their line: 0 and 1");
}

#[test]
fn m14_a_connection_that_is_gone_and_can_be_joined_is_found() {
    let (mut mgr, key, _response) = in_order();
    mgr.entries.clear();
    mgr.waiting.clear();
    mgr.connections.remove(key.slot());
    assert_wrong(&mgr, "a connection that is gone can be joined");
}

#[test]
fn m13_a_guest_that_its_host_does_not_know_is_found() {
    let (mut mgr, key, _response) = in_order();
    if let Some(registered) = mgr.connections.get_mut(key.slot()) {
        registered.guests.clear();
    }
    assert_wrong(&mgr, "it has joined a connection that doesn't know it");
    let (mut mgr, key, _response) = in_order();
    mgr.entries.remove(&info("host.example"));
    mgr.connections.remove(key.slot());
    mgr.coalescing.clear();
    assert_wrong(&mgr, "guest.example:443");
}

/// What another kind of connection need not know.
#[test]
fn a_connection_without_certificates_and_figures_shows_none() {
    let still: Box<dyn HttpConnection> = Box::new(Still(None));
    assert_eq!((still.certificates().len(), still.bytes_read()), (0, 0));
}
