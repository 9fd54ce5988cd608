//! Sockets come and go: S1–S6, S10, S11, U1–U3. (S7 is in `tests/simulated/inactivity.rs`.)

use std::{
    cell::Cell,
    io,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use socket_transport::{Detached, Limits, Refused, Turn, UdpOptions};

use crate::app::{
    App, Call, Ctx, Outside, loopback, open, read_all, service, service_with, turn, turn_until,
};

#[test]
fn s1_a_new_socket_is_idle_and_polled_in_the_next_turn_at_the_earliest() {
    let (mut service, outside) = (service(), Outside::new());
    let mut app = App::new(|ctx, call| {
        if let Call::Event(_) = call {
            let key = ctx.open_udp(7, loopback(), UdpOptions::default()).unwrap();
            outside.send(ctx.local_addr(key).unwrap(), b"early");
        }
    });
    service.poster().post(0);
    assert_eq!(turn(&mut service, &mut app), Turn::Worked);
    let held = service.snapshot();
    assert_eq!((held.sockets, held.idle_sockets), (1, 1));
    assert_eq!(app.take_calls(), [Call::Event(0)]);

    assert!(service.has_work());
    let _ = turn(&mut service, &mut app);
    assert_eq!(app.take_calls(), [Call::Ready(7)]);
    assert_eq!(service.snapshot().idle_sockets, 0);
}

#[test]
fn s2_after_a_removal_from_the_middle_the_others_are_still_served_as_themselves() {
    let (mut service, outside) = (service(), Outside::new());
    let sockets: Vec<_> = (0..4).map(|target| open(&mut service, target)).collect();
    let keys: Vec<_> = sockets.iter().map(|(key, _)| *key).collect();
    let mut app = App::quiet(&keys);
    let _ = turn(&mut service, &mut app);

    service.with_context(|ctx| ctx.close_socket(keys[1]));
    let (newcomer, its_addr) = open(&mut service, 9);
    assert_ne!(newcomer, keys[1]);
    let _ = turn(&mut service, &mut app);
    assert_eq!(app.take_calls(), [Call::Detached(1, Detached::Closed)]);

    for (_, addr) in sockets.iter().rev() {
        outside.send(*addr, b"?");
    }
    outside.send(its_addr, b"?");
    turn_until(&mut service, &mut app, |app| app.calls.len() == 4);
    assert_eq!(app.calls, [Call::Ready(0), Call::Ready(2), Call::Ready(3), Call::Ready(9)]);
}

#[test]
fn s3_closed_in_its_own_callback_it_is_detached_in_the_same_turn() {
    let (mut service, outside) = (service(), Outside::new());
    let (key, addr) = open(&mut service, 7);
    let mut app = App::new(|ctx, call| {
        if *call == Call::Ready(7) {
            ctx.close_socket(key);
            ctx.close_socket(key);
            assert!(ctx.socket_io(key).is_none());
            assert_eq!(ctx.snapshot().sockets, 1);
        }
    });
    outside.send(addr, b"?");
    let _ = turn(&mut service, &mut app);
    assert_eq!(app.take_calls(), [Call::Ready(7), Call::Detached(7, Detached::Closed)]);
    let _ = turn(&mut service, &mut app);
    assert_eq!(app.take_calls(), []);
}

#[test]
fn s3_u3_closed_by_an_event_it_is_detached_in_the_next_turn_before_the_poll() {
    let (mut service, outside) = (service(), Outside::new());
    let (key, addr) = open(&mut service, 7);
    let mut app = App::new(|ctx, call| match call {
        Call::Event(_) => {
            ctx.close_socket(key);
            outside.send(addr, b"would make it ready");
        }
        Call::Detached(..) => assert_eq!(ctx.snapshot().sockets, 0),
        _ => {}
    });
    let _ = turn(&mut service, &mut app);
    service.poster().post(1);
    let _ = turn(&mut service, &mut app);
    assert_eq!(app.take_calls(), [Call::Event(1)]);
    assert_eq!(service.snapshot().sockets, 1);
    let _ = turn(&mut service, &mut app);
    assert_eq!(app.take_calls(), [Call::Detached(7, Detached::Closed)]);
}

/// What necko calls `BINDING_ABORTED`: closing an attached socket sets its condition, after which it neither
/// sends nor receives; its descriptor is closed in the next turn, and its handler is told why.
#[test]
fn u3_an_attached_socket_that_is_closed_is_useless_at_once_and_gone_in_the_next_turn() {
    let mut service = service();
    let (key, addr) = open(&mut service, 7);
    let mut app = App::new(|_, call| {
        if let Call::Detached(..) = call {
            UdpSocket::bind(addr).expect("the port is free again");
        }
    });
    let _ = turn(&mut service, &mut app);
    service.with_context(|ctx| {
        ctx.close_socket(key);
        assert!(ctx.socket_io(key).is_none());
        assert_eq!(ctx.snapshot().sockets, 1, "the descriptor is open still");
        ctx.stay_ready(key);
    });
    assert!(UdpSocket::bind(addr).is_err());
    let _ = turn(&mut service, &mut app);
    assert_eq!(app.calls, [Call::Detached(7, Detached::Closed)]);
    assert_eq!(service.snapshot().sockets, 0);
}

#[test]
fn s3_one_closed_by_another_sockets_callback_is_not_served_any_more() {
    let (mut service, outside) = (service(), Outside::new());
    let (_, first) = open(&mut service, 1);
    let (key, second) = open(&mut service, 2);
    let mut app = App::new(|ctx, call| {
        if *call == Call::Ready(1) {
            ctx.close_socket(key);
        }
    });
    outside.send(first, b"?");
    outside.send(second, b"?");
    let _ = turn(&mut service, &mut app);
    assert_eq!(app.calls, [Call::Ready(1), Call::Detached(2, Detached::Closed)]);
}

/// In necko a handler takes itself off the poll by clearing its flags. Here it is polled for as long as it is
/// attached: what a handler leaves unread is not reported again before something new comes, and it can ask.
#[test]
fn s4_a_socket_that_is_not_read_is_idle_until_something_comes_or_its_handler_asks() {
    let (mut service, outside) = (service(), Outside::new());
    let (key, addr) = open(&mut service, 7);
    let mut app = App::new(|_, _| ());
    outside.send(addr, b"unread");
    let _ = turn(&mut service, &mut app);
    assert_eq!(app.take_calls(), [Call::Ready(7)]);
    for _ in 0..3 {
        assert_eq!(turn(&mut service, &mut app), Turn::Idle);
    }
    assert_eq!(app.take_calls(), []);

    service.with_context(|ctx| ctx.stay_ready(key));
    assert_eq!(service.snapshot().ready_sockets, 1);
    let _ = turn(&mut service, &mut app);
    outside.send(addr, b"more");
    turn_until(&mut service, &mut app, |app| app.calls.len() == 2);
    assert_eq!(app.calls, [Call::Ready(7), Call::Ready(7)]);
    assert_eq!(turn(&mut service, &mut app), Turn::Idle);
}

#[test]
fn s5_after_detaching_nothing_is_held_and_its_bytes_are_in_the_totals() {
    let (mut service, outside) = (service(), Outside::new());
    let (key, addr) = open(&mut service, 7);
    let mut app = App::new(|ctx, call| {
        if *call == Call::Ready(7) {
            read_all(&mut ctx.socket_io(key).unwrap());
            crate::app::send(ctx, key, outside.addr(), b"pong!");
            ctx.close_socket(key);
        }
    });
    outside.send(addr, b"ping");
    let _ = turn(&mut service, &mut app);
    let held = service.snapshot();
    assert_eq!((held.sockets, held.idle_sockets, held.ready_sockets), (0, 0, 0));
    assert_eq!((held.traffic.bytes_received, held.traffic.bytes_sent), (4, 5));
    assert_eq!((held.traffic.datagrams_received, held.traffic.datagrams_sent), (1, 1));
    assert_eq!(outside.recv(), b"pong!");
    assert!(
        service.with_context(|ctx| ctx.traffic(key).is_none() && ctx.local_addr(key).is_none())
    );
}

#[test]
fn s6_at_the_limit_a_socket_is_refused_and_nothing_has_changed() {
    let mut service = service_with(Limits { max_sockets: 2, ..Limits::default() });
    let (first, _) = open(&mut service, 0);
    open(&mut service, 1);
    let before = service.snapshot();
    let refused = service.with_context(|ctx| {
        assert!(!ctx.can_attach_socket());
        ctx.open_udp(2, loopback(), UdpOptions::default()).unwrap_err()
    });
    assert_eq!(refused.kind(), io::ErrorKind::QuotaExceeded);
    assert_eq!(service.snapshot(), before);

    let mut app = App::new(|_, _| ());
    service.with_context(|ctx| ctx.close_socket(first));
    let _ = turn(&mut service, &mut app);
    open(&mut service, 2);
}

#[test]
fn s10_going_offline_detaches_all_but_local_sockets_which_go_on_working() {
    let (mut service, outside) = (service(), Outside::new());
    let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let try_open = |ctx: &mut Ctx<'_>| ctx.open_udp(2, any, UdpOptions::default());
    let (local, addr) = open(&mut service, 1);
    service.with_context(|ctx| try_open(ctx).unwrap());
    let mut app = App::new(move |ctx, call| match call {
        Call::Ready(_) => drop(read_all(&mut ctx.socket_io(local).unwrap())),
        Call::Detached(..) => {
            assert!(ctx.is_offline());
            assert_eq!(try_open(ctx).unwrap_err().kind(), io::ErrorKind::NetworkDown);
        }
        _ => {}
    });

    service.poster().set_offline(true);
    turn_until(&mut service, &mut app, |app| !app.calls.is_empty());
    assert_eq!(app.take_calls(), [Call::Detached(2, Detached::Offline)]);
    outside.send(addr, b"still there?");
    turn_until(&mut service, &mut app, |app| app.calls == [Call::Ready(1)]);

    service.poster().set_offline(false);
    let _ = turn(&mut service, &mut app);
    service.with_context(|ctx| try_open(ctx).unwrap());
    assert_eq!(service.snapshot().sockets, 2);
}

#[test]
fn s11_at_the_end_everything_is_detached_dropped_and_refused() {
    let mut service = service();
    open(&mut service, 1);
    open(&mut service, 2);
    let poster = service.poster();
    let (waker, workers) = (poster.waker(3), service.with_context(|ctx| ctx.workers().clone()));
    workers.run(Box::new(|| ()));
    let timer = service.with_context(|ctx| ctx.create_timer(4));
    let mut app = App::new(|ctx, call| match call {
        Call::Shutdown => {
            ctx.set_timer(timer, Some(ctx.now()));
            ctx.poster().post(5);
            ctx.stop();
        }
        Call::Detached(..) => {
            let refused = ctx.open_udp(9, loopback(), UdpOptions::default()).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::NetworkDown);
        }
        _ => {}
    });
    poster.request_shutdown();
    poster.request_shutdown();
    service.run(&mut app).unwrap();

    let gone = Detached::Shutdown;
    assert_eq!(app.calls, [Call::Shutdown, Call::Detached(1, gone), Call::Detached(2, gone)]);
    assert_eq!(poster.submit(6), Err(Refused::ShutDown(6)));
    assert!(poster.is_shut_down());
    poster.post(7);
    waker.wake_by_ref();
    assert_eq!(turn(&mut service, &mut app), Turn::Stopped);
    assert_eq!(app.calls.len(), 3);

    assert!(workers.wait_for_end(Duration::from_secs(20)), "a thread is left");
    let held = service.snapshot();
    assert_eq!((held.sockets, held.timers, held.posted_events, held.wakers), (0, 0, 0, 1));
    drop(waker);
    assert_eq!(service.snapshot().wakers, 0);
}

#[test]
fn s11_an_application_that_never_stops_is_stopped() {
    let limits = Limits { shutdown_deadline: Duration::from_millis(5), ..Limits::default() };
    let mut service = service_with(limits);
    open(&mut service, 1);
    service.shutdown();
    let mut app = App::new(|_, _| ());
    service.run(&mut app).unwrap();
    assert_eq!(app.calls, [Call::Shutdown, Call::Detached(1, Detached::Shutdown)]);
}

#[test]
fn a_service_that_is_dropped_refuses_what_is_posted() {
    let service = service();
    let poster = service.poster();
    poster.submit(1).unwrap();
    drop(service);
    assert_eq!(poster.submit(2), Err(Refused::ShutDown(2)));
}

#[test]
fn u1_whatever_the_end_it_is_told_once_after_the_descriptor_was_closed() {
    type End = fn(&mut Ctx<'_>, socket_transport::SocketKey);
    let ends: [(End, Detached); 3] = [
        (|ctx, key| ctx.close_socket(key), Detached::Closed),
        (|ctx, _| ctx.poster().set_offline(true), Detached::Offline),
        (|ctx, _| ctx.stop(), Detached::Shutdown),
    ];
    for (end, reason) in ends {
        let mut service = service();
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let (key, port) = service.with_context(|ctx| {
            let key = ctx.open_udp(7, any, UdpOptions::default()).unwrap();
            (key, ctx.local_addr(key).unwrap().port())
        });
        let again = Cell::new(0);
        let mut app = App::new(|ctx, call| match call {
            Call::Event(_) => end(ctx, key),
            Call::Detached(..) => {
                UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).expect("the port is free again");
                again.set(again.get() + 1);
            }
            _ => {}
        });
        service.poster().post(0);
        for _ in 0..4 {
            let _ = turn(&mut service, &mut app);
        }
        assert_eq!(app.calls, [Call::Event(0), Call::Detached(7, reason)]);
        assert_eq!(again.get(), 1);
    }
}

#[test]
fn u2_closed_before_it_was_polled_it_never_is() {
    let (mut service, outside) = (service(), Outside::new());
    let (key, addr) = open(&mut service, 7);
    outside.send(addr, b"unread");
    service.with_context(|ctx| ctx.close_socket(key));
    let mut app = App::new(|_, _| ());
    let _ = turn(&mut service, &mut app);
    let _ = turn(&mut service, &mut app);
    assert_eq!(app.calls, [Call::Detached(7, Detached::Closed)]);
}
