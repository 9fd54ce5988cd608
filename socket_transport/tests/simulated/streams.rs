//! TCP streams in the simulated network: they connect, carry bytes, and end.

use std::{io, time::Duration};

use socket_transport::{
    Detached, Limits, TcpOptions,
    simulated::{LinkConfig, SimulatedNetwork, Simulation},
};

use crate::{
    line::{Ends, Line, Then, Two, change, close, ends_of, line, open, there, two_ends, words},
    peer::{A, B, MINUTE, MS},
};

const HOUR: Duration = Duration::from_hours(1);

/// When a line's attempt to connect was over, and how.
fn outcome(simulation: &Simulation, two: &Two) -> (Duration, Result<(), io::ErrorKind>) {
    let (at, result) = line(&two.0, 0).connected.unwrap();
    let network = simulation.network();
    (network.elapsed().saturating_sub(network.clock().now() - at), result)
}

#[test]
fn a_stream_connects_in_a_round_trip_and_its_bytes_take_the_delay() {
    let (simulation, mut two) = two_ends(1, Line::saying("answer"));
    open(&mut two.0, Line::saying("question"));
    let held = two.0.service().snapshot();
    assert_eq!((held.stream_sockets, held.connecting_sockets), (1, 1));
    simulation.run(&mut two, |(_, b)| line(b, 0).heard == b"question", MINUTE).unwrap();
    assert_eq!(simulation.network().elapsed(), 30 * MS);
    simulation.run(&mut two, |(a, _)| line(a, 0).heard == b"answer", MINUTE).unwrap();
    assert_eq!(outcome(&simulation, &two), (20 * MS, Ok(())));
    assert_eq!(line(&two.0, 0).writables, 1);
    assert_eq!(two.0.service().snapshot().connecting_sockets, 0);
}

#[test]
fn where_nobody_listens_a_stream_is_refused_after_a_round_trip() {
    let (simulation, mut two) = two_ends(1, Line::default());
    two.1.call(|app, ctx| ctx.close_socket(app.listener.unwrap()));
    open(&mut two.0, Line::default());
    simulation.run_until_quiet(&mut two, MINUTE).unwrap();
    let refused = Err(io::ErrorKind::ConnectionRefused);
    assert_eq!(outcome(&simulation, &two), (20 * MS, refused));
    assert_eq!(simulation.network().counts(A, B).refused, 1);
    assert_eq!(line(&two.0, 0).detached, [], "its handler closes it");
}

#[test]
fn nobody_answers_from_a_silent_or_an_unreachable_machine_and_the_stream_times_out() {
    type Fault = fn(&SimulatedNetwork);
    let faults: [(Fault, bool); 4] = [
        (|network| network.silent(B, true), false),
        (|network| network.blackhole(A, B, true), true),
        (|network| network.blackhole(B, A, true), true),
        (|network| network.lose_next(A, B, u64::MAX), true),
    ];
    for (fault, listens) in faults {
        let (simulation, mut two) = two_ends(1, Line::default());
        fault(simulation.network());
        if !listens {
            two.1.call(|app, ctx| ctx.close_socket(app.listener.unwrap()));
        }
        open(&mut two.0, Line::saying("?"));
        simulation.run_until_quiet(&mut two, HOUR).unwrap();
        let (at, result) = outcome(&simulation, &two);
        assert_eq!(result, Err(io::ErrorKind::TimedOut));
        // Seven attempts: 1 + 2 + … + 64 seconds, and the round trip that each was due.
        assert!((127..129).contains(&at.as_secs()), "{at:?}");
        assert_eq!(two.1.service().snapshot().stream_sockets, usize::from(listens));
        close(&mut two.0, 0);
        simulation.run_until_quiet(&mut two, HOUR).unwrap();
        assert_eq!(simulation.network().sockets(A), []);
    }
}

#[test]
fn without_a_route_a_stream_fails_at_once_and_nothing_is_left() {
    let (simulation, mut two) = two_ends(1, Line::default());
    let network = simulation.network();
    let mut open = |to: &str| {
        let open = |ctx: &mut socket_transport::Context<'_, _, ()>| {
            ctx.open_tcp(crate::line::Of::Line(0), to.parse().unwrap(), TcpOptions::default())
        };
        two.0.call(|_, ctx| open(ctx)).unwrap_err().kind()
    };
    assert_eq!(open("[fd00::1]:80"), io::ErrorKind::NetworkUnreachable);
    assert_eq!(open("10.0.0.2:0"), io::ErrorKind::InvalidInput);
    network.fail_next_bind(A, io::ErrorKind::AddrNotAvailable);
    assert_eq!(open("10.0.0.2:80"), io::ErrorKind::AddrNotAvailable);
    assert_eq!(network.sockets(A), []);
    assert_eq!(two.0.service().snapshot().sockets, 0);
}

/// Half a megabyte in each direction over a line with every fault.
fn over_a_bad_line(network: &SimulatedNetwork) -> Two {
    let config = LinkConfig::new()
        .loss(0.05)
        .duplicate(0.05)
        .reorder(0.05, 9 * MS)
        .corrupt(0.02)
        .jitter(5 * MS);
    network.both(A, B, config);
    let script = Line { then: Then::Finishes, ..Line::saying(words(500_000)) };
    let mut two = ends_of(network, script.clone());
    open(&mut two.0, script);
    two
}

fn run_out(simulation: &Simulation, two: &mut Two) {
    let ended = |two: &mut Two| line(&two.0, 0).ended && line(&two.1, 0).ended;
    simulation.run(two, ended, HOUR).unwrap();
    close(&mut two.0, 0);
    close(&mut two.1, 0);
    simulation.run_until_quiet(two, HOUR).unwrap();
}

#[test]
fn bytes_arrive_whole_in_order_and_once_whatever_the_line_does() {
    for seed in 0..20 {
        let simulation = Simulation::new(seed);
        let mut two = over_a_bad_line(simulation.network());
        run_out(&simulation, &mut two);
        for end in [line(&two.0, 0), line(&two.1, 0)] {
            assert!(end.heard == words(500_000), "seed {seed}: {} bytes", end.heard.len());
            assert_eq!((end.errors, end.detached), (vec![], vec![Detached::Closed]));
        }
        let counts = simulation.network().total_counts();
        assert!(counts.lost > 20 && counts.corrupted > 5 && counts.reordered > 20, "{counts:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_run_and_a_trace_plays_it_again() {
    let first = Simulation::new(7);
    run_out(&first, &mut over_a_bad_line(first.network()));
    let second = Simulation::new(7);
    run_out(&second, &mut over_a_bad_line(second.network()));
    let trace = first.network().trace();
    assert_eq!(trace, second.network().trace());
    assert_eq!(first.network().elapsed(), second.network().elapsed());

    let other = Simulation::new(8);
    run_out(&other, &mut over_a_bad_line(other.network()));
    assert_ne!(trace, other.network().trace());

    let replayed = Simulation::of(SimulatedNetwork::replay(trace.clone()));
    run_out(&replayed, &mut over_a_bad_line(replayed.network()));
    assert_eq!(replayed.network().trace(), trace);
}

#[test]
fn the_rate_of_the_link_is_the_rate_of_the_stream() {
    let (simulation, mut two) = two_ends(1, Line::default());
    // A megabyte a second, of which 40 bytes in 1500 are headers.
    simulation.network().link(A, B, LinkConfig::new().rate_bits_per_second(8_000_000));
    open(&mut two.0, Line::saying(words(1_000_000)));
    simulation.run(&mut two, |(_, b)| line(b, 0).heard.len() == 1_000_000, MINUTE).unwrap();
    let elapsed = simulation.network().elapsed();
    assert!((1_020..1_150).contains(&elapsed.as_millis()), "{elapsed:?}");
}

#[test]
fn a_link_that_drops_what_it_can_not_queue_slows_streams_down_and_loses_nothing() {
    let (simulation, mut two) = two_ends(1, Line::default());
    let narrow = LinkConfig::new().rate_bits_per_second(8_000_000).queue_bytes(6000);
    simulation.network().link(A, B, narrow);
    for _ in 0..4 {
        open(&mut two.0, Line::saying(words(100_000)));
    }
    let done = |(_, b): &mut Two| (0..4).all(|number| line(b, number).heard.len() == 100_000);
    simulation.run(&mut two, done, MINUTE).unwrap();
    assert!((0..4).all(|number| line(&two.1, number).heard == words(100_000)));
    assert!(simulation.network().counts(A, B).queue_full > 0);
}

#[test]
fn who_does_not_read_holds_the_writer_back_and_gets_everything_when_it_reads() {
    let (simulation, mut two) = two_ends(1, Line { deaf: true, ..Line::default() });
    simulation.network().stream_buffers(10_000, 20_000);
    let all = words(100_000);
    open(&mut two.0, Line::saying(all.clone()));
    simulation.run_for(&mut two, MINUTE).unwrap();
    assert_eq!(line(&two.0, 0).outbox.len(), 100_000 - 30_000);
    assert_eq!(two.0.service().snapshot().blocked_sockets, 1);
    let arrived = simulation.network().counts(A, B).bytes;
    assert!((20_000..20_100).contains(&arrived), "{arrived}: it only asks for room");

    change(&mut two.1, 0, |line| line.deaf = false);
    simulation.run(&mut two, |(_, b)| line(b, 0).heard == all, MINUTE).unwrap();
    assert_eq!(two.0.service().snapshot().blocked_sockets, 0);
    simulation.run_until_quiet(&mut two, MINUTE).unwrap();
}

/// The word that there is room may be lost.
#[test]
fn a_writer_asks_for_room() {
    let (simulation, mut two) = two_ends(1, Line { deaf: true, ..Line::default() });
    open(&mut two.0, Line::saying(words(200_000)));
    simulation.run_for(&mut two, MINUTE / 60).unwrap();
    simulation.network().lose_next(B, A, 1);
    change(&mut two.1, 0, |line| line.deaf = false);
    simulation.run(&mut two, |(_, b)| line(b, 0).heard.len() == 200_000, MINUTE).unwrap();
}

#[test]
fn u5_a_stream_is_writable_once_after_it_connects_and_after_each_refusal() {
    let (simulation, mut two) = two_ends(1, Line::default());
    open(&mut two.0, Line::saying("?"));
    simulation.run(&mut two, |(_, b)| line(b, 0).heard == b"?", MINUTE).unwrap();
    assert_eq!(line(&two.0, 0).writables, 1);

    simulation.network().would_block_next(A, 3);
    change(&mut two.0, 0, |line| line.outbox = b"!".to_vec());
    assert_eq!(two.0.service().snapshot().blocked_sockets, 1);
    simulation.run(&mut two, |(_, b)| line(b, 0).heard == b"?!", MINUTE).unwrap();
    assert_eq!(line(&two.0, 0).writables, 1 + 3);
    assert_eq!(two.0.service().snapshot().traffic.would_blocks, 3);
    simulation.run_until_quiet(&mut two, MINUTE).unwrap();
    assert_eq!(line(&two.0, 0).writables, 1 + 3);
}

#[test]
fn each_side_ends_by_itself() {
    let (simulation, mut two) = two_ends(1, Line::default());
    open(&mut two.0, Line { then: Then::Finishes, ..Line::saying("that is all") });
    simulation.run(&mut two, |(_, b)| line(b, 0).ended, MINUTE).unwrap();
    assert_eq!(line(&two.1, 0).heard, b"that is all");
    assert!(!line(&two.0, 0).ended);
    simulation.run_for(&mut two, HOUR).unwrap();
    change(&mut two.1, 0, |line| {
        line.outbox = words(200_000);
        line.then = Then::Finishes;
    });
    simulation.run(&mut two, |(a, _)| line(a, 0).ended, MINUTE).unwrap();
    assert_eq!(line(&two.0, 0).heard, words(200_000));
    run_out(&simulation, &mut two);
    assert_eq!((line(&two.0, 0).errors, line(&two.1, 0).errors), (vec![], vec![]));
}

#[test]
fn u6_what_came_before_a_hang_up_is_read_first() {
    let (simulation, mut two) =
        two_ends(1, Line { then: Then::HangsUp, ..Line::saying(words(90_000)) });
    open(&mut two.0, Line { deaf: true, ..Line::default() });
    simulation.run_for(&mut two, MINUTE).unwrap();
    assert_eq!(line(&two.1, 0).detached, [Detached::Closed]);
    change(&mut two.0, 0, |line| line.deaf = false);
    simulation.run(&mut two, |(a, _)| line(a, 0).ended, MINUTE).unwrap();
    assert_eq!((line(&two.0, 0).heard, line(&two.0, 0).detached), (words(90_000), vec![]));
}

#[test]
fn closing_with_something_unread_is_a_reset_and_so_is_an_answer_to_one_who_has_gone() {
    let (simulation, mut two) = two_ends(1, Line { deaf: true, ..Line::default() });
    open(&mut two.0, Line::saying("unread"));
    simulation.run_for(&mut two, MINUTE).unwrap();
    close(&mut two.1, 0);
    simulation.run_until_quiet(&mut two, MINUTE).unwrap();
    assert_eq!(line(&two.0, 0).errors, [io::ErrorKind::ConnectionReset]);

    let (simulation, mut two) = two_ends(1, Line { then: Then::HangsUp, ..Line::default() });
    open(&mut two.0, Line::default());
    simulation.run(&mut two, |(a, _)| line(a, 0).ended, MINUTE).unwrap();
    change(&mut two.0, 0, |line| line.outbox = b"to nobody".to_vec());
    simulation.run_until_quiet(&mut two, MINUTE).unwrap();
    assert_eq!(line(&two.0, 0).errors, [io::ErrorKind::ConnectionReset]);
}

#[test]
fn a_reset_comes_behind_what_had_arrived() {
    let (simulation, mut two) = two_ends(1, Line::saying("heard"));
    open(&mut two.0, Line { deaf: true, ..Line::default() });
    simulation.run_for(&mut two, MINUTE).unwrap();
    simulation.network().reset_streams(A, B);
    change(&mut two.0, 0, |line| line.deaf = false);
    simulation.run_until_quiet(&mut two, MINUTE).unwrap();
    let reset = vec![io::ErrorKind::ConnectionReset];
    assert_eq!((line(&two.0, 0).heard, line(&two.0, 0).errors), (b"heard".to_vec(), reset.clone()));
    assert_eq!(line(&two.1, 0).errors, reset);
}

#[test]
fn a_stream_whose_peer_vanishes_times_out_and_one_that_comes_back_goes_on() {
    for stays_away in [true, false] {
        let (simulation, mut two) = two_ends(1, Line::default());
        open(&mut two.0, Line::saying("hello"));
        simulation.run(&mut two, |(_, b)| line(b, 0).heard == b"hello", MINUTE).unwrap();
        simulation.run_until_quiet(&mut two, MINUTE).unwrap();
        simulation.network().blackhole(A, B, true);
        change(&mut two.0, 0, |line| line.outbox = b"?".to_vec());
        simulation.run_for(&mut two, MINUTE).unwrap();
        assert_eq!(line(&two.0, 0).errors, []);
        simulation.network().blackhole(A, B, stays_away);
        simulation.run_until_quiet(&mut two, HOUR).unwrap();
        if stays_away {
            assert_eq!(line(&two.0, 0).errors, [io::ErrorKind::TimedOut]);
        } else {
            assert_eq!(line(&two.1, 0).heard, b"hello?");
        }
    }
}

#[test]
fn faults_are_had_on_demand() {
    let (simulation, mut two) = two_ends(1, Line::default());
    let network = simulation.network().clone();
    open(&mut two.0, Line::saying("?"));
    let local = two.0.call(|app, ctx| ctx.local_addr(app.lines[0].socket.unwrap()).unwrap());
    assert_eq!(network.sockets(A), [local]);
    network.fail_next_receive(local, io::ErrorKind::HostUnreachable);
    simulation.run_until_quiet(&mut two, MINUTE).unwrap();
    assert_eq!(outcome(&simulation, &two).1, Err(io::ErrorKind::HostUnreachable));
    close(&mut two.0, 0);

    for number in 1..4 {
        open(&mut two.0, Line::default());
        let connected = |two: &mut Two| line(&two.0, number).connected.is_some();
        simulation.run(&mut two, connected, MINUTE).unwrap();
    }
    simulation.run_until_quiet(&mut two, MINUTE).unwrap();
    network.fail_next_send(A, io::ErrorKind::OutOfMemory);
    change(&mut two.0, 1, |line| line.outbox = b"?".to_vec());
    assert_eq!(line(&two.0, 1).errors, [io::ErrorKind::OutOfMemory]);

    let local_of = |two: &mut Two, number: usize| {
        two.0.call(|app, ctx| ctx.local_addr(app.lines[number].socket.unwrap()).unwrap())
    };
    network.fail_next_receive(local_of(&mut two, 2), io::ErrorKind::PermissionDenied);
    network.break_socket(local_of(&mut two, 3));
    simulation.run_until_quiet(&mut two, MINUTE).unwrap();
    assert_eq!(line(&two.0, 2).errors, [io::ErrorKind::PermissionDenied]);
    assert!(matches!(line(&two.0, 3).detached[..], [Detached::Failed(_)]));
}

#[test]
fn every_byte_may_come_for_itself() {
    let (simulation, mut two) =
        two_ends(1, Line { then: Then::Finishes, ..Line::saying("answer") });
    simulation.network().stream_call_limit(1);
    open(&mut two.0, Line { then: Then::Finishes, ..Line::saying("question") });
    run_out(&simulation, &mut two);
    assert_eq!(
        (line(&two.0, 0).heard, line(&two.1, 0).heard),
        (b"answer".into(), b"question".into())
    );
}

#[test]
fn s10_going_offline_detaches_streams_and_listeners_that_are_not_local() {
    let (simulation, mut two) = two_ends(1, Line::default());
    open(&mut two.0, Line::default());
    simulation.run(&mut two, |(_, b)| line(b, 0).connected.is_some(), MINUTE).unwrap();
    two.1.poster().set_offline(true);
    simulation.run_until_quiet(&mut two, MINUTE).unwrap();
    assert_eq!(line(&two.1, 0).detached, [Detached::Offline]);
    assert_eq!(two.1.app().listener_detached, [Detached::Offline]);
    assert!(line(&two.0, 0).ended, "the other end reads the end");
    assert_eq!(simulation.network().sockets(B), []);
}

#[test]
fn at_the_end_of_a_service_its_streams_are_detached_and_end_for_the_others() {
    let (simulation, mut two) = two_ends(1, Line::default());
    open(&mut two.0, Line::default());
    simulation.run(&mut two, |(_, b)| line(b, 0).connected.is_some(), MINUTE).unwrap();
    two.1.poster().request_shutdown();
    simulation.run_until_quiet(&mut two, MINUTE).unwrap();
    assert_eq!(line(&two.1, 0).detached, [Detached::Shutdown]);
    assert!(line(&two.0, 0).ended);
}

#[test]
fn s8_streams_have_a_budget_of_bytes_and_none_keeps_another_waiting() {
    let simulation = Simulation::new(1);
    let limits = Limits { stream_bytes_per_turn: 1000, ..Limits::default() };
    let network = simulation.network();
    let (a, b) = (Ends::on(network.host(A), Limits::default()), Ends::on(network.host(B), limits));
    let mut two = (a, b);
    two.1.call(|app, ctx| app.listen(ctx, there()));
    open(&mut two.0, Line::saying(words(60_000)));
    open(&mut two.0, Line::saying("me too"));
    simulation.run(&mut two, |(_, b)| line(b, 1).heard == b"me too", MINUTE).unwrap();
    let flood = line(&two.1, 0).heard.len();
    assert!(flood <= 2000, "{flood}");
    simulation.run(&mut two, |(_, b)| line(b, 0).heard.len() == 60_000, MINUTE).unwrap();
    assert!(two.1.service().snapshot().turns >= 60);
}

#[test]
fn a_stream_does_not_survive_a_new_address_behind_a_nat() {
    let (simulation, mut two) = two_ends(1, Line::default());
    open(&mut two.0, Line::saying("one"));
    simulation.run(&mut two, |(_, b)| line(b, 0).heard == b"one", MINUTE).unwrap();
    let local = two.0.call(|app, ctx| ctx.local_addr(app.lines[0].socket.unwrap()).unwrap());
    simulation.network().rebind(local, (A, 999).into()).unwrap();
    change(&mut two.0, 0, |line| line.outbox = b"two".to_vec());
    simulation.run_until_quiet(&mut two, MINUTE).unwrap();
    assert_eq!(line(&two.0, 0).errors, [io::ErrorKind::ConnectionReset]);
    // One that begins there is fine.
    let local = (A, 49_153).into();
    simulation.network().rebind(local, (A, 998).into()).unwrap();
    open(&mut two.0, Line::saying("three"));
    simulation.run(&mut two, |(_, b)| line(b, 1).heard == b"three", MINUTE).unwrap();
}

#[test]
fn a_listener_that_closes_resets_those_that_wait_for_it() {
    let simulation = Simulation::new(1);
    let network = simulation.network();
    let limits = Limits { accepts_per_turn: 1, ..Limits::default() };
    let (a, b) = (Ends::on(network.host(A), Limits::default()), Ends::on(network.host(B), limits));
    let mut two = (a, b);
    two.1.call(|app, ctx| app.listen(ctx, there()));
    (0..3).for_each(|_| open(&mut two.0, Line::default()));
    simulation.run(&mut two, |(_, b)| b.app().lines.len() == 1, MINUTE).unwrap();
    two.1.call(|app, ctx| ctx.close_socket(app.listener.unwrap()));
    simulation.run_until_quiet(&mut two, MINUTE).unwrap();
    let reset = |number| line(&two.0, number).errors == [io::ErrorKind::ConnectionReset];
    assert_eq!([0, 1, 2].map(reset), [false, true, true]);
}

#[test]
fn more_than_wait_for_a_listener_are_let_in_later() {
    let (simulation, mut two) = two_ends(1, Line::default());
    // Nobody accepts: the machine does not run.
    (0..150).for_each(|_| open(&mut two.0, Line::default()));
    simulation.run_for(&mut two.0, Duration::from_millis(500)).unwrap();
    let connected =
        |two: &Two| two.0.app().lines.iter().filter(|line| line.connected.is_some()).count();
    assert_eq!(connected(&two), 128);
    simulation.run(&mut two, |two| connected(two) == 150, MINUTE).unwrap();
    assert_eq!(simulation.network().counts(A, B).overflowed, 22);
}
