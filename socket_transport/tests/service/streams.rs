//! TCP streams on loopback, against sockets of the standard library.

use std::{
    cell::{Cell, RefCell},
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    time::Duration,
};

use socket_transport::{Context, Detached, Limits, SocketKey, StreamRead, TcpOptions, Turn};

use crate::app::{
    App, Call, Ctx, Outside, Service, loopback, open, read_all, service, service_with, turn,
    turn_until,
};

/// A stream of the service for target 7, and the other end of it, a socket of the standard library.
struct Pair {
    service: Service,
    key: SocketKey,
    outside: TcpStream,
}

impl Pair {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        let (mut service, listener) =
            (service_with(limits), TcpListener::bind(loopback()).unwrap());
        let key = connect(&mut service, 7, listener.local_addr().unwrap());
        let mut app = App::new(|_, _| ());
        turn_until(&mut service, &mut app, |app| app.calls == [Call::Writable(7)]);
        let (outside, _) = listener.accept().unwrap();
        outside.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { service, key, outside }
    }

    /// Lets something be done with the stream.
    fn io<R>(&mut self, call: impl FnOnce(&mut socket_transport::StreamIo<'_>) -> R) -> R {
        let key = self.key;
        self.service.with_context(|ctx| call(&mut ctx.stream_io(key).unwrap()))
    }

    /// Turns until what the stream brought is enough.
    fn read_until(&mut self, enough: impl FnMut(&Brought) -> bool) -> Brought {
        read_until(&mut self.service, self.key, enough)
    }
}

/// Turns until what the stream for target 7 brought is enough.
fn read_until(
    service: &mut Service,
    key: SocketKey,
    mut enough: impl FnMut(&Brought) -> bool,
) -> Brought {
    let brought = RefCell::new(Brought::default());
    let mut app = App::new(|ctx, call| {
        if *call == Call::Ready(7) {
            brought.borrow_mut().read(ctx, key);
        }
    });
    turn_until(service, &mut app, |_| enough(&brought.borrow()));
    drop(app);
    brought.into_inner()
}

fn connect(service: &mut Service, target: u32, peer: SocketAddr) -> SocketKey {
    service.with_context(|ctx| ctx.open_tcp(target, peer, TcpOptions::default()).unwrap())
}

/// What reading a stream brought.
#[derive(Debug, Default)]
struct Brought {
    bytes: Vec<u8>,
    ended: bool,
    error: Option<io::ErrorKind>,
}

impl Brought {
    /// Reads to the end, or the budget.
    fn read(&mut self, ctx: &mut Ctx<'_>, key: SocketKey) {
        let Some(mut io) = ctx.stream_io(key) else { return };
        let mut buffer = [0; 5000];
        loop {
            match io.read(&mut buffer) {
                Ok(StreamRead::Bytes(count)) => self.bytes.extend(buffer.iter().take(count)),
                Ok(StreamRead::Blocked) => return,
                Ok(StreamRead::End) => {
                    self.ended = true;
                    return;
                }
                Err(error) => {
                    self.error = Some(error.kind());
                    return;
                }
            }
        }
    }
}

/// Writes until the stream refuses; answers how much it took.
fn fill(io: &mut socket_transport::StreamIo<'_>) -> usize {
    std::iter::from_fn(|| Some(io.write(&[1; 16_384]).unwrap()).filter(|&n| n > 0)).sum()
}

/// A port on which nobody listens.
fn dead_port() -> SocketAddr {
    TcpListener::bind(loopback()).unwrap().local_addr().unwrap()
}

#[test]
fn s1_a_stream_is_idle_and_polled_in_the_next_turn_then_it_is_told_once_that_it_has_connected() {
    let (mut service, listener) = (service(), TcpListener::bind(loopback()).unwrap());
    let there = listener.local_addr().unwrap();
    let key = connect(&mut service, 7, there);
    let held = service.snapshot();
    let counted = (held.sockets, held.idle_sockets, held.stream_sockets, held.connecting_sockets);
    assert_eq!(counted, (1, 1, 1, 1));
    service.with_context(|ctx| {
        let mut io = ctx.stream_io(key).unwrap();
        assert!(!io.connect_result().unwrap());
        assert_eq!(io.read(&mut [0; 9]).unwrap(), StreamRead::Blocked);
        assert_eq!(io.write(b"too early").unwrap(), 0);
        assert_eq!(io.shutdown_write().unwrap_err().kind(), io::ErrorKind::NotConnected);
    });
    let mut app = App::new(|_, _| ());
    turn_until(&mut service, &mut app, |app| !app.calls.is_empty());
    for _ in 0..3 {
        assert_eq!(turn(&mut service, &mut app), Turn::Idle);
    }
    assert_eq!(app.calls, [Call::Writable(7)]);
    let held = service.snapshot();
    assert_eq!((held.idle_sockets, held.connecting_sockets, held.blocked_sockets), (0, 0, 0));

    let (outside, from) = listener.accept().unwrap();
    service.with_context(|ctx| {
        assert_eq!(ctx.local_addr(key), Some(from));
        let mut io = ctx.stream_io(key).unwrap();
        assert!(io.connect_result().unwrap());
        assert_eq!((io.local_addr(), io.peer_addr()), (from, there));
    });
    drop(outside);
}

#[test]
fn a_refused_stream_says_so_each_time_it_is_asked_and_stays_until_it_is_closed() {
    let mut service = service();
    let key = connect(&mut service, 7, dead_port());
    let mut app = App::new(|ctx, call| {
        if *call == Call::Writable(7) {
            let mut io = ctx.stream_io(key).unwrap();
            for _ in 0..2 {
                let error = io.connect_result().unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
            }
            assert!(io.read(&mut [0; 9]).is_err() && io.write(b"?").is_err());
            ctx.close_socket(key);
        }
    });
    turn_until(&mut service, &mut app, |app| app.calls.len() > 1);
    assert_eq!(app.calls, [Call::Writable(7), Call::Detached(7, Detached::Closed)]);
}

#[test]
fn bytes_go_both_ways_and_are_counted() {
    let mut pair = Pair::new();
    assert_eq!(pair.io(|io| io.write(b"question").unwrap()), 8);
    let mut question = [0; 8];
    pair.outside.read_exact(&mut question).unwrap();
    assert_eq!(&question, b"question");
    pair.outside.write_all(b"the answer").unwrap();
    let brought = pair.read_until(|brought| brought.bytes.len() == 10);
    assert_eq!(brought.bytes, b"the answer");

    let key = pair.key;
    let of_stream = pair.service.with_context(|ctx| ctx.traffic(key).unwrap());
    assert_eq!((of_stream.bytes_sent, of_stream.bytes_received), (8, 10));
    assert_eq!((of_stream.datagrams_sent, of_stream.datagrams_received), (0, 0));
    assert_eq!(pair.service.snapshot().traffic, of_stream);
    pair.service.with_context(|ctx| ctx.close_socket(key));
    let _ = turn(&mut pair.service, &mut App::new(|_, _| ()));
    let held = pair.service.snapshot();
    assert_eq!((held.sockets, held.stream_sockets, held.traffic), (0, 0, of_stream));
}

#[test]
fn u5_a_stream_is_polled_for_writing_only_after_it_has_refused_bytes_and_until_it_takes_more() {
    let mut pair = Pair::new();
    let mut app = App::new(|_, _| ());
    assert!(pair.io(fill) > 0);
    assert!(pair.io(|io| io.is_write_blocked()));
    let held = pair.service.snapshot();
    assert_eq!((held.blocked_sockets, held.traffic.would_blocks), (1, 1));
    assert_eq!(turn(&mut pair.service, &mut app), Turn::Idle);

    let mut other_end = pair.outside.try_clone().unwrap();
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || io::copy(&mut other_end, &mut io::sink()).unwrap());
        turn_until(&mut pair.service, &mut app, |app| !app.calls.is_empty());
        assert_eq!(app.take_calls(), [Call::Writable(7)]);
        assert_eq!(pair.service.snapshot().blocked_sockets, 0);
        // There is room and more room, and nobody wants to know.
        for _ in 0..10 {
            assert_eq!(turn(&mut pair.service, &mut app), Turn::Idle);
        }
        pair.io(|io| io.shutdown_write().unwrap());
        let sent = pair.service.snapshot().traffic.bytes_sent;
        assert_eq!(reader.join().unwrap(), sent);
    });
    assert_eq!(app.calls, []);
}

#[test]
fn an_accepted_stream_that_refuses_bytes_before_it_is_polled_hears_of_room() {
    let mut service = service();
    let (listener, there) = listen(&mut service, 1);
    let outside = RefCell::new(TcpStream::connect(there).unwrap());
    let stream = Cell::new(None);
    let mut app = App::new(|ctx, call| {
        if *call == Call::Ready(1) {
            let (key, _) = ctx.accept_tcp(listener, 7).unwrap().unwrap();
            fill(&mut ctx.stream_io(key).unwrap());
            stream.set(Some(key));
        }
    });
    turn_until(&mut service, &mut app, |_| stream.get().is_some());
    assert_eq!(service.snapshot().blocked_sockets, 1);
    let mut left = service.snapshot().traffic.bytes_sent;
    while left > 0 {
        left -= outside.borrow_mut().read(&mut [0; 16_384]).unwrap() as u64;
    }
    turn_until(&mut service, &mut app, |app| app.calls.contains(&Call::Writable(7)));
}

#[test]
fn either_side_may_end_first_while_the_other_goes_on() {
    let mut pair = Pair::new();
    pair.io(|io| {
        assert_eq!(io.write(b"that is all").unwrap(), 11);
        io.shutdown_write().unwrap();
        assert!(io.write(b"or is it?").is_err());
    });
    let mut said = Vec::new();
    pair.outside.read_to_end(&mut said).unwrap();
    assert_eq!(said, b"that is all");
    pair.outside.write_all(b"not from here").unwrap();
    pair.outside.shutdown(Shutdown::Write).unwrap();
    let brought = pair.read_until(|brought| brought.ended);
    assert_eq!((&brought.bytes[..], brought.error), (&b"not from here"[..], None));

    let mut pair = Pair::new();
    pair.outside.shutdown(Shutdown::Write).unwrap();
    assert!(pair.read_until(|brought| brought.ended).bytes.is_empty());
    assert_eq!(pair.io(|io| io.write(b"still here").unwrap()), 10);
    let mut said = [0; 10];
    pair.outside.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"still here");
}

#[test]
fn u6_a_hang_up_is_no_failure_of_a_stream_and_what_came_before_it_is_read_first() {
    let limits = Limits { stream_bytes_per_turn: 10_000, ..Limits::default() };
    let Pair { mut service, key, mut outside } = Pair::with(limits);
    outside.write_all(&vec![7; 100_000]).unwrap();
    drop(outside);
    let brought = read_until(&mut service, key, |brought| brought.ended);
    assert_eq!(brought.bytes, vec![7; 100_000]);
    assert_eq!(service.snapshot().sockets, 1, "its handler closes it");
}

#[test]
fn a_reset_is_an_error_of_the_reader_and_of_who_waits_for_room() {
    let mut pair = Pair::new();
    pair.io(fill);
    let Pair { mut service, key, outside } = pair;
    // With all that it has not read.
    drop(outside);
    let error = RefCell::new(Vec::new());
    let mut app = App::new(|ctx, call| {
        if let Call::Ready(7) | Call::Writable(7) = call {
            let mut brought = Brought::default();
            brought.read(ctx, key);
            error.borrow_mut().extend(brought.error);
            assert!(ctx.stream_io(key).unwrap().write(b"?").is_err());
        }
    });
    turn_until(&mut service, &mut app, |_| !error.borrow().is_empty());
    assert_eq!(*error.borrow(), [io::ErrorKind::ConnectionReset]);
}

#[test]
fn a_stream_can_be_closed_with_a_reset() {
    let mut pair = Pair::new();
    pair.io(|io| io.reset_when_closed().unwrap());
    let key = pair.key;
    pair.service.with_context(|ctx| ctx.close_socket(key));
    let _ = turn(&mut pair.service, &mut App::new(|_, _| ()));
    let error = pair.outside.read(&mut [0; 9]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

/// The flood is served a budget at a time, and a datagram in between does not wait for its end.
#[test]
fn s8_a_flood_on_one_stream_does_not_keep_others_waiting() {
    let limits = Limits { stream_bytes_per_turn: 1000, ..Limits::default() };
    let Pair { mut service, key, mut outside } = Pair::with(limits);
    let (other, its_addr) = open(&mut service, 9);
    outside.write_all(&vec![7; 50_000]).unwrap();
    let sender = Outside::new();
    sender.send(its_addr, b"me too");
    let brought = RefCell::new(Brought::default());
    let when_served = Cell::new(None);
    let mut app = App::new(|ctx, call| match call {
        Call::Ready(7) => {
            let before = brought.borrow().bytes.len();
            brought.borrow_mut().read(ctx, key);
            assert!(brought.borrow().bytes.len() - before <= 1000, "within the budget");
        }
        Call::Ready(9) => {
            read_all(&mut ctx.socket_io(other).unwrap());
            when_served.set(Some(brought.borrow().bytes.len()));
        }
        _ => {}
    });
    turn_until(&mut service, &mut app, |_| brought.borrow().bytes.len() == 50_000);
    assert!(when_served.get().is_some_and(|bytes| bytes <= 2000), "{when_served:?}");
    assert!(service.snapshot().turns >= 50);
}

#[test]
fn what_was_not_read_for_want_of_room_can_be_read_at_any_later_time() {
    let mut pair = Pair::new();
    pair.outside.write_all(b"waiting").unwrap();
    let mut app = App::new(|_, _| ());
    turn_until(&mut pair.service, &mut app, |app| app.calls == [Call::Ready(7)]);
    assert_eq!(turn(&mut pair.service, &mut app), Turn::Idle);
    let mut buffer = [0; 9];
    assert_eq!(pair.io(|io| io.read(&mut buffer).unwrap()), StreamRead::Bytes(7));
    assert_eq!(pair.io(|io| io.read(&mut []).unwrap()), StreamRead::Bytes(0), "and not the end");

    // Or in the next turn, if its handler asks for that.
    let key = pair.key;
    pair.service.with_context(|ctx| ctx.stay_ready(key));
    let _ = turn(&mut pair.service, &mut app);
    assert_eq!(app.calls.len(), 2);
}

fn listen(service: &mut Service, target: u32) -> (SocketKey, SocketAddr) {
    service.with_context(|ctx| {
        let key = ctx.listen_tcp(target, loopback()).unwrap();
        (key, ctx.local_addr(key).unwrap())
    })
}

#[test]
fn a_listening_socket_hands_out_its_connections_a_few_in_a_turn() {
    let limits = Limits { accepts_per_turn: 2, ..Limits::default() };
    let mut service = service_with(limits);
    let (listener, there) = listen(&mut service, 1);
    let outside: Vec<_> = (0..5).map(|_| TcpStream::connect(there).unwrap()).collect();
    let accepted = RefCell::new(Vec::new());
    let mut app = App::new(|ctx, call| {
        if *call == Call::Ready(1) {
            let target = 10 + u32::try_from(accepted.borrow().len()).unwrap();
            while let Some((_, peer)) = ctx.accept_tcp(listener, target).unwrap() {
                accepted.borrow_mut().push(peer);
            }
        }
    });
    let _ = turn(&mut service, &mut app);
    assert_eq!(accepted.borrow().len(), 2);
    turn_until(&mut service, &mut app, |_| accepted.borrow().len() == 5);
    let peers: Vec<_> = outside.iter().map(|stream| stream.local_addr().unwrap()).collect();
    assert_eq!(*accepted.borrow(), peers);
    let held = service.snapshot();
    assert_eq!((held.sockets, held.stream_sockets, held.connecting_sockets), (6, 6, 0));
}

#[test]
fn s6_at_the_limit_streams_are_refused_and_an_incoming_one_waits() {
    let mut service = service_with(Limits { max_sockets: 2, ..Limits::default() });
    let (listener, there) = listen(&mut service, 1);
    let (other, _) = open(&mut service, 2);
    let before = service.snapshot();
    let mut outside = TcpStream::connect(there).unwrap();
    let refused = |result: io::Result<SocketKey>| result.unwrap_err().kind();
    service.with_context(|ctx| {
        let options = TcpOptions::default();
        assert_eq!(refused(ctx.open_tcp(3, there, options)), io::ErrorKind::QuotaExceeded);
        assert_eq!(refused(ctx.listen_tcp(3, loopback())), io::ErrorKind::QuotaExceeded);
        let accepted = ctx.accept_tcp(listener, 3).map(|accepted| accepted.unwrap().0);
        assert_eq!(refused(accepted), io::ErrorKind::QuotaExceeded);
    });
    assert_eq!(service.snapshot(), before);

    service.with_context(|ctx| ctx.close_socket(other));
    let _ = turn(&mut service, &mut App::new(|_, _| ()));
    let (key, _) = service.with_context(|ctx| ctx.accept_tcp(listener, 3).unwrap().unwrap());
    service.with_context(|ctx| assert_eq!(ctx.stream_io(key).unwrap().write(b"hello").unwrap(), 5));
    let mut said = [0; 5];
    outside.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"hello");
}

#[test]
fn s10_offline_refuses_what_is_not_local_and_leaves_local_streams_alone() {
    let Pair { mut service, key, mut outside } = Pair::new();
    service.poster().set_offline(true);
    let _ = turn(&mut service, &mut App::new(|_, _| ()));
    service.with_context(|ctx| {
        assert!(ctx.is_offline());
        let elsewhere = SocketAddr::from(([192, 0, 2, 1], 443));
        let refused = ctx.open_tcp(1, elsewhere, TcpOptions::default()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::NetworkDown);
        let refused = ctx.listen_tcp(1, SocketAddr::from(([0; 4], 0))).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::NetworkDown);
    });
    outside.write_all(b"here").unwrap();
    let brought = read_until(&mut service, key, |brought| !brought.bytes.is_empty());
    assert_eq!(brought.bytes, b"here");
}

#[test]
fn a_key_of_another_kind_or_of_one_that_is_gone_does_nothing() {
    let mut service = service();
    let (udp, _) = open(&mut service, 1);
    let (listener, there) = listen(&mut service, 2);
    let stream = connect(&mut service, 3, there);
    let check = |ctx: &mut Ctx<'_>| {
        assert!(ctx.stream_io(udp).is_none() && ctx.stream_io(listener).is_none());
        assert!(ctx.socket_io(stream).is_none() && ctx.socket_io(listener).is_none());
        for key in [udp, stream] {
            assert!(ctx.accept_tcp(key, 4).unwrap().is_none());
        }
    };
    service.with_context(check);
    service.with_context(|ctx| {
        for key in [udp, listener, stream] {
            ctx.close_socket(key);
        }
        assert!(ctx.accept_tcp(listener, 4).unwrap().is_none());
        assert!(ctx.stream_io(stream).is_none());
    });
    let _ = turn(&mut service, &mut App::new(|_, _| ()));
    service.with_context(|ctx| {
        check(ctx);
        assert!(ctx.accept_tcp(listener, 4).unwrap().is_none());
        ctx.stay_ready(stream);
        ctx.close_socket(stream);
    });
    assert_eq!(service.snapshot().sockets, 0);
    assert!(!service.has_work());
    // The next socket has the place of an old one, and the old key does not find it.
    let newcomer = service.with_context(|ctx| ctx.listen_tcp(5, loopback()).unwrap());
    service.with_context(|ctx| ctx.close_socket(stream));
    assert!(service.with_context(|ctx| ctx.local_addr(newcomer).is_some()));
}

type End = fn(&mut Context<'_, u32, u32>, SocketKey);

#[test]
fn u1_whatever_the_end_of_a_stream_it_is_told_once_after_it_was_closed() {
    let ends: [(End, Detached); 2] = [
        (|ctx, key| ctx.close_socket(key), Detached::Closed),
        (|ctx, _| ctx.stop(), Detached::Shutdown),
    ];
    for (end, reason) in ends {
        let Pair { mut service, key, outside } = Pair::new();
        let closed = Cell::new(0);
        let mut app = App::new(|ctx, call| match call {
            Call::Event(_) => end(ctx, key),
            Call::Detached(..) => {
                assert_eq!((&outside).read(&mut [0; 9]).unwrap(), 0, "the peer reads the end");
                closed.set(closed.get() + 1);
            }
            _ => {}
        });
        service.poster().post(0);
        for _ in 0..4 {
            let _ = turn(&mut service, &mut app);
        }
        assert_eq!(app.calls, [Call::Event(0), Call::Detached(7, reason)]);
        assert_eq!(closed.get(), 1);
    }
}

#[test]
fn u2_a_stream_closed_before_it_was_polled_never_is() {
    let (mut service, listener) = (service(), TcpListener::bind(loopback()).unwrap());
    let key = connect(&mut service, 7, listener.local_addr().unwrap());
    service.with_context(|ctx| ctx.close_socket(key));
    let mut app = App::new(|_, _| ());
    let _ = turn(&mut service, &mut app);
    let _ = turn(&mut service, &mut app);
    assert_eq!(app.calls, [Call::Detached(7, Detached::Closed)]);
}
