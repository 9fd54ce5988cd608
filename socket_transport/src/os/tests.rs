//! What the poll reports about real sockets.

use std::{
    io::{ErrorKind, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, UdpSocket},
    time::Duration,
};

use socket2::SockRef;

use super::*;
use crate::{Ecn, Ready, StreamRead, TcpOptions, UdpOptions, datagrams::RawTransmit};

const TOKEN: usize = 7;
/// Long enough for what must come, and never waited for.
const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));

struct Fixture {
    poller: OsPoller,
    socket: OsUdpSocket,
}

impl Fixture {
    fn new() -> Self {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut socket = OsUdpSocket::bind(local, UdpOptions::default()).unwrap();
        let poller = OsPoller::new().unwrap();
        poller.register(&mut socket, TOKEN, false).unwrap();
        Self { poller, socket }
    }

    fn poll(&mut self, timeout: Option<Duration>) -> Vec<(usize, Ready)> {
        let mut ready = Vec::new();
        self.poller.poll(timeout, &mut ready).unwrap();
        ready
    }

    fn poll_now(&mut self) -> Vec<(usize, Ready)> {
        self.poll(Some(Duration::ZERO))
    }
}

#[test]
fn u5_a_socket_is_polled_for_writing_only_on_demand() {
    let mut fixture = Fixture::new();
    assert_eq!(fixture.poll_now(), []);
    fixture.poller.set_write_interest(&mut fixture.socket, TOKEN, true).unwrap();
    let writable = Ready { readable: false, writable: true, error: false };
    assert_eq!(fixture.poll(PATIENCE), [(TOKEN, writable)]);
    fixture.poller.set_write_interest(&mut fixture.socket, TOKEN, false).unwrap();
    assert_eq!(fixture.poll_now(), []);
}

#[test]
fn readiness_is_an_edge() {
    let mut fixture = Fixture::new();
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for _ in 0..2 {
        sender.send_to(b"unread", fixture.socket.local_addr()).unwrap();
        assert_eq!(fixture.poll(PATIENCE), [(TOKEN, Ready::READABLE)]);
        assert_eq!(fixture.poll_now(), []);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn u6_a_descriptor_that_hung_up_is_broken() {
    let mut fixture = Fixture::new();
    // Linux marks an unconnected socket as hung up, too, although it says that it does not.
    let _ = SockRef::from(&*fixture.socket.source()).shutdown(Shutdown::Both);
    assert_eq!(fixture.poll(PATIENCE), [(TOKEN, Ready::BROKEN)]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_queued_error_is_something_to_read_until_the_queue_is_drained() {
    let mut fixture = Fixture::new();
    let dead = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let transmit = RawTransmit {
        destination: dead,
        source: None,
        ecn: Ecn::NotEct,
        contents: b"anybody?",
        segment_size: None,
    };
    fixture.socket.send(&transmit).unwrap();
    let error = Ready { readable: true, writable: false, error: true };
    assert_eq!(fixture.poll(PATIENCE), [(TOKEN, error)]);

    // Undrained, the next send returns it and sends nothing.
    assert_eq!(fixture.socket.send(&transmit).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    fixture.socket.send(&transmit).unwrap();
    let drained = fixture.socket.drain_errors();
    assert_eq!(drained.about_a_peer.unwrap().kind(), ErrorKind::ConnectionRefused);
    assert!(!fixture.socket.drain_errors().any);
    fixture.socket.send(&transmit).unwrap();
}

#[test]
fn closing_a_socket_that_was_never_polled_is_fine() {
    let Fixture { poller, socket } = Fixture::new();
    let local = socket.local_addr();
    assert!(OsUdpSocket::bind(local, UdpOptions::default()).is_err(), "the port is in use");
    poller.close(socket);
    let unpolled = OsUdpSocket::bind(local, UdpOptions::default()).unwrap();
    poller.close(unpolled);
    OsUdpSocket::bind(local, UdpOptions::default()).unwrap();
}

#[test]
fn a_streams_options_reach_the_system() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let there = listener.local_addr().unwrap();
    for (nodelay, keep_alive) in [(true, None), (false, PATIENCE)] {
        let options = TcpOptions { nodelay, keep_alive };
        let mut stream = OsTcpStream::connect(there, options).unwrap();
        let socket = SockRef::from(&*stream.source());
        assert_eq!(socket.tcp_nodelay().unwrap(), nodelay);
        assert_eq!(socket.keepalive().unwrap(), keep_alive.is_some());
    }
}

#[test]
fn u6_a_stream_that_hung_up_is_readable_and_its_bytes_come_first() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let there = listener.local_addr().unwrap();
    let mut stream = OsTcpStream::connect(there, TcpOptions::default()).unwrap();
    let (mut outside, _) = listener.accept().unwrap();
    outside.write_all(b"last words").unwrap();
    outside.shutdown(Shutdown::Both).unwrap();
    drop(outside);

    let mut poller = OsPoller::new().unwrap();
    poller.register(&mut stream, TOKEN, false).unwrap();
    let mut ready = Vec::new();
    poller.poll(PATIENCE, &mut ready).unwrap();
    let [(TOKEN, ready)] = ready[..] else { panic!("{ready:?}") };
    assert!(ready.readable && !ready.is_broken() && !ready.error, "{ready:?}");
    let mut buffer = [0; 99];
    assert_eq!(stream.read(&mut buffer).unwrap(), StreamRead::Bytes(10));
    assert_eq!(stream.read(&mut buffer).unwrap(), StreamRead::End);
}
