//! Who is served when: S8, S9, the receive budget, timers.

use std::{cell::RefCell, time::Duration};

use socket_transport::{Limits, SocketKey, Turn};

use crate::app::{App, Call, Outside, open, read_all, service, service_with, turn, turn_until};

#[test]
fn s8_an_event_that_reposts_itself_does_not_starve_a_socket() {
    let (mut service, outside) = (service(), Outside::new());
    let (_, addr) = open(&mut service, 7);
    let mut app = App::new(|ctx, call| {
        if let Call::Event(count) = call {
            if *count == 1 {
                outside.send(addr, b"served?");
            }
            ctx.poster().post(count + 1);
        }
    });
    service.poster().post(0);
    for _ in 0..3 {
        assert_eq!(turn(&mut service, &mut app), Turn::Worked);
    }
    assert_eq!(app.calls, [Call::Event(0), Call::Event(1), Call::Ready(7), Call::Event(2)]);
}

#[test]
fn s8_slow_events_are_interrupted_by_the_sockets() {
    let limits = Limits { time_for_events: Duration::ZERO, ..Limits::default() };
    let (mut service, outside) = (service_with(limits), Outside::new());
    let (key, addr) = open(&mut service, 7);
    let mut app = App::new(|ctx, call| match call {
        Call::Event(_) => outside.send(addr, b"?"),
        Call::Ready(_) => drop(read_all(&mut ctx.socket_io(key).unwrap())),
        _ => {}
    });
    let poster = service.poster();
    for event in 0..3 {
        poster.post(event);
    }
    let _ = turn(&mut service, &mut app);
    assert_eq!(service.snapshot().posted_events, 2);
    assert!(service.has_work());
    poster.request_shutdown();
    turn_until(&mut service, &mut app, |app| app.calls.contains(&Call::Shutdown));
    let expected = [
        Call::Event(0),
        Call::Ready(7),
        Call::Event(1),
        Call::Ready(7),
        Call::Event(2),
        Call::Shutdown,
    ];
    assert_eq!(app.calls, expected);
}

#[test]
fn s9_what_a_socket_callback_posts_runs_after_it_and_never_nested() {
    let (mut service, outside) = (service(), Outside::new());
    let (_, addr) = open(&mut service, 7);
    let log = RefCell::new(Vec::new());
    let waker = service.poster().waker(2);
    let mut app = App::new(|ctx, call| {
        log.borrow_mut().push(format!("begin {call:?}"));
        if *call == Call::Ready(7) {
            ctx.poster().post(1);
            waker.wake_by_ref();
            let timer = ctx.create_timer(3);
            ctx.set_timer(timer, Some(ctx.now()));
        }
        log.borrow_mut().push(format!("end {call:?}"));
    });
    outside.send(addr, b"?");
    let _ = turn(&mut service, &mut app);
    let expected = ["Ready(7)", "Event(1)", "Wakeup(2)", "Timer(3)"];
    let expected: Vec<_> =
        expected.iter().flat_map(|call| [format!("begin {call}"), format!("end {call}")]).collect();
    assert_eq!(*log.borrow(), expected);
}

/// <https://github.com/curl/curl/pull/19186>, <https://github.com/curl/curl/pull/21869>
#[test]
fn d2_46_receive_budget_counts_every_datagram() {
    let limits = Limits { datagrams_per_turn: 3, ..Limits::default() };
    let (mut service, outside) = (service_with(limits), Outside::new());
    let (key, addr) = open(&mut service, 7);
    let read = RefCell::new(Vec::new());
    let mut app = App::new(|ctx, call| {
        if *call == Call::Ready(7) {
            let mut io = ctx.socket_io(key).unwrap();
            let datagrams = read_all(&mut io);
            read.borrow_mut().push((datagrams.len(), io.budget_exhausted()));
        }
    });
    // Empty ones and foreign ones count like all others.
    for datagram in [&b"1"[..], b"", b"2", b"", b"", b"", b"3"] {
        outside.send(addr, datagram);
    }
    for _ in 0..3 {
        assert_eq!(turn(&mut service, &mut app), Turn::Worked);
    }
    assert_eq!(*read.borrow(), [(3, true), (3, true), (1, false)]);
    assert_eq!(turn(&mut service, &mut app), Turn::Idle);
    assert_eq!(service.snapshot().traffic.datagrams_received, 7);
}

#[test]
fn the_budget_holds_for_the_turn_and_not_for_each_drive() {
    let limits = Limits { datagrams_per_turn: 2, ..Limits::default() };
    let (mut service, outside) = (service_with(limits), Outside::new());
    let (key, addr) = open(&mut service, 7);
    let mut read = Vec::new();
    let mut app = App::new(|ctx, call| {
        if matches!(call, Call::Ready(7) | Call::Event(_)) {
            read.push(read_all(&mut ctx.socket_io(key).unwrap()).len());
        }
    });
    for _ in 0..5 {
        outside.send(addr, b"?");
    }
    service.poster().post(0);
    let _ = turn(&mut service, &mut app);
    let _ = turn(&mut service, &mut app);
    drop(app);
    assert_eq!(read, [2, 0, 2]);
}

#[test]
fn sockets_are_served_in_index_order_and_those_that_stayed_ready_after_them() {
    let limits = Limits { datagrams_per_turn: 1, ..Limits::default() };
    let (mut service, outside) = (service_with(limits), Outside::new());
    let sockets: Vec<_> = (0..3).map(|target| open(&mut service, target)).collect();
    let mut app = App::new(|ctx, call| match call {
        Call::Ready(target) => {
            let (key, _) = sockets[*target as usize];
            read_all(&mut ctx.socket_io(key).unwrap());
        }
        // Between the turns: the last socket gets something.
        Call::Event(_) => outside.send(sockets[2].1, b"?"),
        _ => {}
    });
    outside.send(sockets[1].1, b"?");
    for _ in 0..3 {
        outside.send(sockets[0].1, b"?");
    }
    service.poster().post(0);
    let _ = turn(&mut service, &mut app);
    assert_eq!(app.take_calls(), [Call::Ready(0), Call::Ready(1), Call::Event(0)]);
    assert_eq!(service.snapshot().ready_sockets, 2);
    let _ = turn(&mut service, &mut app);
    assert_eq!(app.take_calls(), [Call::Ready(2), Call::Ready(0), Call::Ready(1)]);
}

#[test]
fn a_socket_with_an_edge_that_also_stayed_ready_is_served_once() {
    let (mut service, outside) = (service(), Outside::new());
    let (key, addr) = open(&mut service, 7);
    let mut app = App::new(|ctx, call| {
        if *call == Call::Event(0) {
            ctx.stay_ready(key);
            ctx.stay_ready(key);
            outside.send(addr, b"?");
        }
    });
    service.poster().post(0);
    let _ = turn(&mut service, &mut app);
    let _ = turn(&mut service, &mut app);
    assert_eq!(app.calls, [Call::Event(0), Call::Ready(7)]);
    assert_eq!(turn(&mut service, &mut app), Turn::Idle);
}

#[test]
fn a_flood_of_datagrams_does_not_keep_an_event_from_running() {
    let limits = Limits { datagrams_per_turn: 4, ..Limits::default() };
    let mut service = service_with(limits);
    let (key, addr) = open(&mut service, 7);
    // Whoever reads gets two datagrams more for each.
    let outside = Outside::new();
    let mut app = App::new(|ctx, call| match call {
        Call::Ready(_) => {
            for _ in read_all(&mut ctx.socket_io(key).unwrap()) {
                outside.send(addr, b"?");
                outside.send(addr, b"?");
            }
        }
        Call::Event(count) if *count < 3 => ctx.poster().post(count + 1),
        _ => {}
    });
    outside.send(addr, b"?");
    service.poster().post(0);
    for _ in 0..4 {
        let _ = turn(&mut service, &mut app);
    }
    assert_eq!(app.count(&Call::Event(3)), 1);
}

/// <https://github.com/mozilla/neqo/issues/177>, <https://github.com/mozilla/neqo/issues/1490>
#[test]
fn d2_43_a_deadline_in_the_past_is_served_once_per_turn() {
    let mut service = service();
    let timer = service.with_context(|ctx| ctx.create_timer(7));
    let mut app = App::new(|ctx, call| {
        if *call == Call::Timer(7) {
            let past = ctx.now().checked_sub(Duration::from_secs(1)).unwrap();
            ctx.set_timer(timer, Some(past));
        }
    });
    service.with_context(|ctx| ctx.set_timer(timer, Some(ctx.now())));
    for turns in 1..=3 {
        assert_eq!(turn(&mut service, &mut app), Turn::Worked);
        assert_eq!(app.calls.len(), turns);
    }
    service.with_context(|ctx| ctx.set_timer(timer, None));
    assert_eq!(turn(&mut service, &mut app), Turn::Idle);
}

#[test]
fn a_deadline_bounds_the_poll_and_is_not_early() {
    let mut service = service();
    let start = service.clock().now();
    let deadline = start + Duration::from_millis(3);
    service.with_context(|ctx| {
        let timer = ctx.create_timer(7);
        ctx.set_timer(timer, Some(deadline));
    });
    assert_eq!(service.next_deadline(), Some(deadline));
    let mut app = App::new(|ctx, _| assert!(ctx.now() >= deadline));
    turn_until(&mut service, &mut app, |app| app.calls == [Call::Timer(7)]);
}

#[test]
fn a_due_timer_comes_after_what_was_posted_and_can_be_called_off_until_then() {
    let mut service = service();
    let [kept, moved, removed] =
        service.with_context(|ctx| [1, 2, 3].map(|target| ctx.create_timer(target)));
    let mut app = App::new(|ctx, call| {
        if *call == Call::Event(0) {
            ctx.set_timer(moved, Some(ctx.now() + Duration::from_mins(1)));
            ctx.remove_timer(removed);
        }
    });
    service.with_context(|ctx| {
        for timer in [kept, moved, removed] {
            ctx.set_timer(timer, Some(ctx.now()));
        }
        ctx.poster().post(0);
    });
    let _ = turn(&mut service, &mut app);
    assert_eq!(app.calls, [Call::Event(0), Call::Timer(1)]);
    let held = service.snapshot();
    assert_eq!((held.timers, held.armed_timers), (2, 1));
}

#[test]
fn stale_keys_do_nothing() {
    let mut service = service();
    let (old, _) = open(&mut service, 1);
    let mut app = App::new(|_, _| ());
    service.with_context(|ctx| ctx.close_socket(old));
    let _ = turn(&mut service, &mut app);
    let (new, addr) = open(&mut service, 2);
    service.with_context(|ctx| {
        let poke = |ctx: &mut crate::app::Ctx<'_>, key: SocketKey| {
            ctx.close_socket(key);
            ctx.stay_ready(key);
            ctx.socket_io(key).is_some()
        };
        assert!(!poke(ctx, old));
        assert_eq!(ctx.local_addr(new), Some(addr));
    });
    app.take_calls();
    let _ = turn(&mut service, &mut app);
    assert_eq!(app.calls, []);
}
