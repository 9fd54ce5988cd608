//! UDP on loopback: batches, marks, addresses, errors.

use std::{
    cell::RefCell,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
};

use socket_transport::{Ecn, Route, SendOutcome, SocketKey, Traffic, Turn, UdpOptions, Written};

use crate::app::{
    App, Call, Ctx, Outside, Service, loopback, open, open_with, read_all, send, service, turn,
    turn_until,
};

/// A port on which nobody listens.
fn dead_port() -> SocketAddr {
    UdpSocket::bind(loopback()).unwrap().local_addr().unwrap()
}

fn traffic(service: &Service) -> Traffic {
    service.snapshot().traffic
}

/// Opens a socket of IPv6 loopback. A machine without IPv6 has nothing to test.
fn open_ipv6(service: &mut Service, target: u32) -> Option<(SocketKey, SocketAddr)> {
    service.with_context(|ctx| {
        let local = SocketAddr::from((Ipv6Addr::LOCALHOST, 0));
        let key = ctx.open_udp(target, local, UdpOptions::default()).ok()?;
        Some((key, ctx.local_addr(key)?))
    })
}

/// Sends datagrams in as few batches as they fit in; returns how many one batch takes.
fn send_all(ctx: &mut Ctx<'_>, from: SocketKey, to: SocketAddr, datagrams: &[Vec<u8>]) -> usize {
    let mut io = ctx.socket_io(from).unwrap();
    for datagram in datagrams {
        if !io.batch().push(to, None, Ecn::Ect0, datagram) {
            assert_eq!(io.send_batch().unwrap(), SendOutcome::Sent);
            assert!(io.batch().push(to, None, Ecn::Ect0, datagram));
        }
    }
    assert_eq!(io.send_batch().unwrap(), SendOutcome::Sent);
    assert!(io.batch().is_empty());
    io.max_datagrams()
}

#[test]
fn a_batch_arrives_whole_and_in_order_with_its_mark() {
    let mut service = service();
    let (sender, from) = open(&mut service, 1);
    let (reader, to) = open(&mut service, 2);
    let sent: Vec<_> = (0..11_u8).map(|n| vec![n; if n < 10 { 1200 } else { 700 }]).collect();
    let one_batch_takes = service.with_context(|ctx| send_all(ctx, sender, to, &sent));

    let arrived = RefCell::new(Vec::new());
    let mut app = App::new(|ctx, call| {
        if *call == Call::Ready(2) {
            let mut io = ctx.socket_io(reader).unwrap();
            while let Some(mut received) = io.recv().unwrap() {
                assert_eq!((received.source(), received.destination()), (from, to));
                assert_eq!(received.ecn(), Ecn::Ect0);
                let datagrams: Vec<_> = received.datagrams().map(|bytes| bytes.to_vec()).collect();
                assert_eq!(datagrams.len(), received.len());
                arrived.borrow_mut().extend(datagrams);
            }
        }
    });
    turn_until(&mut service, &mut app, |_| arrived.borrow().len() == sent.len());
    assert_eq!(*arrived.borrow(), sent);
    let Traffic { gso_sends, datagrams_sent, datagrams_received, .. } = traffic(&service);
    assert_eq!((datagrams_sent, datagrams_received), (11, 11));
    if one_batch_takes >= 11 {
        assert_eq!(gso_sends, 1);
    }
}

#[test]
fn a_datagram_written_in_place_goes_where_its_writer_says() {
    let (mut service, first, second) = (service(), Outside::new(), Outside::new());
    let (key, _) = open(&mut service, 1);
    service.with_context(|ctx| {
        let mut io = ctx.socket_io(key).unwrap();
        let write = |text: &'static [u8], to: &Outside| {
            let route = Route { destination: to.addr(), source: None, ecn: Ecn::NotEct };
            move |buffer: &mut [u8]| {
                buffer[..text.len()].copy_from_slice(text);
                Some((text.len(), route))
            }
        };
        assert_eq!(io.batch().write(1350, write(b"one", &first)), Written::Added);
        assert_eq!(io.batch().write(1350, write(b"another", &second)), Written::Full);
        assert_eq!(io.send_batch().unwrap(), SendOutcome::Sent);
    });
    assert_eq!((first.recv(), second.recv()), (b"one".to_vec(), b"another".to_vec()));
}

#[test]
fn the_address_to_which_a_peer_sent_is_the_one_to_answer_from() {
    let (mut service, outside) = (service(), Outside::new());
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let (key, port) = service.with_context(|ctx| {
        let key = ctx.open_udp(1, any, UdpOptions::server()).unwrap();
        (key, ctx.local_addr(key).unwrap().port())
    });
    let asked = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut app = App::new(|ctx, _| {
        let mut io = ctx.socket_io(key).unwrap();
        let received = io.recv().unwrap().unwrap();
        assert_eq!(received.destination(), asked);
        let (to, from) = (received.source(), received.destination().ip());
        assert!(io.batch().push(to, Some(from), Ecn::NotEct, b"here"));
        assert_eq!(io.send_batch().unwrap(), SendOutcome::Sent);
    });
    outside.send(asked, b"?");
    turn_until(&mut service, &mut app, |app| app.calls.len() == 1);
    assert_eq!(outside.recv(), b"here");
}

#[cfg(target_os = "linux")]
#[test]
fn a_refused_port_is_an_error_for_the_reader() {
    let mut service = service();
    let (key, _) = open(&mut service, 7);
    let errors = RefCell::new(Vec::new());
    let mut app = App::new(|ctx, call| {
        if *call == Call::Ready(7) {
            let mut io = ctx.socket_io(key).unwrap();
            errors.borrow_mut().push(io.recv().unwrap_err());
            // Reading goes on.
            assert!(io.recv().unwrap().is_none());
        }
    });
    let _ = turn(&mut service, &mut app);
    service.with_context(|ctx| send(ctx, key, dead_port(), b"anybody?"));
    turn_until(&mut service, &mut app, |_| !errors.borrow().is_empty());
    let error = &errors.borrow()[0];
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    assert!(error.to_string().ends_with("says 127.0.0.1"), "{error}");
    assert_eq!(traffic(&service).network_errors, 1);
}

#[cfg(target_os = "linux")]
#[test]
fn a_refusal_neither_swallows_the_next_datagram_nor_gets_lost() {
    let (mut service, outside) = (service(), Outside::new());
    let (key, _) = open(&mut service, 7);
    let mut app = App::new(|ctx, call| {
        if *call == Call::Ready(7) {
            let error = ctx.socket_io(key).unwrap().recv().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        }
    });
    let _ = turn(&mut service, &mut app);
    service.with_context(|ctx| {
        send(ctx, key, dead_port(), b"anybody?");
        send(ctx, key, outside.addr(), b"you!");
    });
    assert_eq!(outside.recv(), b"you!");
    turn_until(&mut service, &mut app, |app| app.calls == [Call::Ready(7)]);
}

/// <https://github.com/mozilla/neqo/pull/3895>
#[test]
fn d2_48_an_unreachable_peer_does_not_disturb_a_servers_socket() {
    let (mut service, outside) = (service(), Outside::new());
    let (key, addr) = open_with(&mut service, 7, UdpOptions::server());
    let mut read = Vec::new();
    let mut app = App::new(|ctx, call| {
        if *call == Call::Ready(7) {
            read.extend(read_all(&mut ctx.socket_io(key).unwrap()));
            ctx.poster().post(1);
        }
    });
    let _ = turn(&mut service, &mut app);
    service.with_context(|ctx| {
        for _ in 0..3 {
            send(ctx, key, dead_port(), b"gone?");
        }
        send(ctx, key, outside.addr(), b"answer");
    });
    assert_eq!(outside.recv(), b"answer");
    outside.send(addr, b"still serving?");
    turn_until(&mut service, &mut app, |app| app.calls.contains(&Call::Event(1)));
    drop(app);
    assert_eq!(read, [b"still serving?"]);
}

/// IPv4 refuses it before the path is known; IPv6 also keeps a word about it in its error queue.
#[test]
fn a_datagram_that_is_too_large_for_the_path_is_lost_and_no_error() {
    for ipv6 in [false, true] {
        let mut service = service();
        let opened = if ipv6 { open_ipv6(&mut service, 7) } else { Some(open(&mut service, 7)) };
        let Some((key, addr)) = opened else { continue };
        service.with_context(|ctx| {
            // No kernel takes more than UDP's length can say. (65,508 bytes, one too many for IPv4,
            // some do.)
            send(ctx, key, addr, &vec![0; 70_000]);
            send(ctx, key, addr, b"the next one");
        });
        let Traffic { dropped_sends, datagrams_sent, .. } = traffic(&service);
        assert_eq!((dropped_sends, datagrams_sent), (1, 1));

        let mut read = Vec::new();
        let mut app = App::new(|ctx, _| read.extend(read_all(&mut ctx.socket_io(key).unwrap())));
        turn_until(&mut service, &mut app, |app| app.calls == [Call::Ready(7)]);
        let _ = turn(&mut service, &mut app);
        drop(app);
        assert_eq!(read, [b"the next one"]);
        assert_eq!(traffic(&service).network_errors, 0);
    }
}

#[test]
fn nothing_is_sent_to_port_0() {
    let mut service = service();
    let (key, _) = open(&mut service, 7);
    service.with_context(|ctx| {
        let mut io = ctx.socket_io(key).unwrap();
        let (max, nowhere) =
            (io.max_datagrams(), SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0));
        assert!(io.batch().push(nowhere, None, Ecn::Ect0, b"?"));
        assert_eq!(io.send_batch().unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert!(io.batch().is_empty());
        // Nor does the attempt cost the socket its batches.
        assert_eq!(io.max_datagrams(), max);
    });
}

#[test]
fn what_a_handler_leaves_unread_waits_for_its_next_turn() {
    let (mut service, outside) = (service(), Outside::new());
    let (key, addr) = open(&mut service, 7);
    let mut read = Vec::new();
    let mut app = App::new(|ctx, call| {
        if *call == Call::Ready(7) {
            let mut io = ctx.socket_io(key).unwrap();
            let received = io.recv().unwrap();
            read.extend(received.map(|mut received| received.datagrams().next().unwrap().to_vec()));
        }
    });
    outside.send(addr, b"one");
    outside.send(addr, b"two");
    for _ in 0..2 {
        let _ = turn(&mut service, &mut app);
    }
    drop(app);
    assert_eq!(read, [b"one", b"two"]);
    assert_eq!(traffic(&service).discarded_receives, 0);
}

#[test]
fn what_is_left_unread_makes_room_for_another_socket() {
    let (mut service, outside) = (service(), Outside::new());
    let sockets = [1, 2].map(|target| open(&mut service, target));
    let mut read = Vec::new();
    let mut app = App::new(|ctx, call| {
        let mut take_one = |index: usize| {
            let mut io = ctx.socket_io(sockets[index].0).unwrap();
            let received = io.recv().unwrap();
            read.extend(received.map(|mut received| received.datagrams().next().unwrap().to_vec()));
        };
        match call {
            Call::Ready(1) => take_one(0),
            Call::Ready(2) => take_one(1),
            _ => {}
        }
    });
    outside.send(sockets[0].1, b"one");
    outside.send(sockets[0].1, b"lost");
    outside.send(sockets[1].1, b"two");
    for _ in 0..3 {
        let _ = turn(&mut service, &mut app);
    }
    assert_eq!(turn(&mut service, &mut app), Turn::Idle);
    drop(app);
    assert_eq!(read, [b"one", b"two"]);
    let Traffic { datagrams_received, discarded_receives, .. } = traffic(&service);
    assert_eq!((datagrams_received, discarded_receives), (3, 1));
}

#[test]
fn a_batch_that_was_not_sent_does_not_go_out_on_another_socket() {
    let (mut service, outside) = (service(), Outside::new());
    let (first, _) = open(&mut service, 1);
    let (second, _) = open(&mut service, 2);
    service.with_context(|ctx| {
        let forgotten = outside.addr();
        assert!(ctx.socket_io(first).unwrap().batch().push(forgotten, None, Ecn::NotEct, b"x"));
        assert!(ctx.socket_io(second).unwrap().batch().is_empty());
    });
}

#[test]
fn ipv6_loopback_works_alike() {
    let mut service = service();
    let Some((key, addr)) = open_ipv6(&mut service, 1) else { return };
    let mut read = Vec::new();
    let mut app = App::new(|ctx, call| {
        if *call == Call::Ready(1) {
            let mut io = ctx.socket_io(key).unwrap();
            let mut received = io.recv().unwrap().unwrap();
            assert_eq!((received.source(), received.destination()), (addr, addr));
            assert_eq!(received.ecn(), Ecn::Ect0);
            read.extend(received.datagrams().map(|datagram| datagram.to_vec()));
        }
    });
    service.with_context(|ctx| send(ctx, key, addr, b"to myself"));
    turn_until(&mut service, &mut app, |app| app.calls.len() == 1);
    drop(app);
    assert_eq!(read, [b"to myself"]);
}
