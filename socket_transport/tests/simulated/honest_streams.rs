//! What the simulated network does with streams, the operating system's does as well: the same ends on
//! either, and the same outcome.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use socket_transport::{
    Detached, Limits, Network,
    simulated::{Node, Simulation},
};

use crate::{
    line::{Ends, Line, Then, Two, change, close, line, words},
    peer::MINUTE,
};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// One end that connects, and one that accepts with this script, on either network in turn. `play` runs
/// them until something holds, as often as it likes.
fn on_both_networks(script: &Line, play: impl Fn(&mut Two, SocketAddr, Until<'_>)) {
    let simulation = Simulation::new(1);
    let (mut two, there) = ends_on(|| simulation.network().host(HERE), script);
    let mut until = |two: &mut Two, done: &dyn Fn(&Two) -> bool| {
        simulation.run(two, |two| done(two), MINUTE).unwrap();
    };
    play(&mut two, there, &mut until);

    let (mut two, there) = ends_on(Network::operating_system, script);
    let mut until = |two: &mut Two, done: &dyn Fn(&Two) -> bool| {
        let clock = two.0.service().clock();
        let deadline = clock.now() + Duration::from_secs(20);
        while !done(two) {
            if !two.turn().unwrap() {
                std::thread::yield_now();
            }
            assert!(clock.now() < deadline, "it takes too long: {two:?}");
        }
    };
    play(&mut two, there, &mut until);
}

type Until<'a> = &'a mut dyn FnMut(&mut Two, &dyn Fn(&Two) -> bool);

fn ends_on(network: impl Fn() -> Network, script: &Line) -> (Two, SocketAddr) {
    let mut two = (Ends::on(network(), Limits::default()), Ends::on(network(), Limits::default()));
    two.1.app_mut().script = script.clone();
    let there = two.1.call(|app, ctx| app.listen(ctx, SocketAddr::new(HERE, 0)));
    (two, there)
}

fn open(two: &mut Two, there: SocketAddr, script: Line) {
    two.0.call(|app, ctx| app.open(ctx, there, script));
}

#[test]
fn a_lot_goes_both_ways_and_each_side_ends() {
    let script = Line { then: Then::Finishes, ..Line::saying(words(3_000_000)) };
    on_both_networks(&script, |two, there, until| {
        open(two, there, Line { then: Then::Finishes, ..Line::saying(words(2_000_000)) });
        until(two, &|(a, b)| line(a, 0).ended && line(b, 0).ended);
        assert!(line(&two.0, 0).heard == words(3_000_000));
        assert!(line(&two.1, 0).heard == words(2_000_000));
        for stack in [&two.0, &two.1] {
            let held = stack.service().snapshot();
            assert_eq!((held.blocked_sockets, held.connecting_sockets), (0, 0));
        }
        close(&mut two.0, 0);
        close(&mut two.1, 0);
        until(two, &|(a, b)| !line(a, 0).detached.is_empty() && !line(b, 0).detached.is_empty());
        assert_eq!(line(&two.0, 0).detached, [Detached::Closed]);
    });
}

#[test]
fn a_port_where_nobody_listens_refuses() {
    on_both_networks(&Line::default(), |two, there, until| {
        two.1.call(|app, ctx| ctx.close_socket(app.listener.unwrap()));
        until(two, &|(_, b)| !b.app().listener_detached.is_empty());
        open(two, there, Line::saying("?"));
        until(two, &|(a, _)| line(a, 0).connected.is_some());
        let (_, result) = line(&two.0, 0).connected.unwrap();
        assert_eq!(result, Err(io::ErrorKind::ConnectionRefused));
    });
}

#[test]
fn u6_after_a_hang_up_all_is_read_that_came_before() {
    let script = Line { then: Then::HangsUp, ..Line::saying(words(30_000)) };
    on_both_networks(&script, |two, there, until| {
        open(two, there, Line { deaf: true, ..Line::default() });
        until(two, &|(_, b)| !line(b, 0).detached.is_empty());
        change(&mut two.0, 0, |line| line.deaf = false);
        until(two, &|(a, _)| line(a, 0).ended);
        assert_eq!((line(&two.0, 0).heard, line(&two.0, 0).errors), (words(30_000), vec![]));
    });
}

#[test]
fn closing_with_something_unread_resets() {
    on_both_networks(&Line { deaf: true, ..Line::default() }, |two, there, until| {
        open(two, there, Line::saying("unread"));
        until(two, &|(a, b)| line(a, 0).outbox.is_empty() && b.app().lines.len() == 1);
        // The answer says that the question has arrived.
        change(&mut two.1, 0, |line| line.outbox = b"!".to_vec());
        until(two, &|(a, _)| line(a, 0).heard == b"!");
        close(&mut two.1, 0);
        until(two, &|(a, _)| !line(a, 0).errors.is_empty());
        assert_eq!(line(&two.0, 0).errors, [io::ErrorKind::ConnectionReset]);
        assert_eq!(line(&two.0, 0).detached, [], "its handler closes it");
    });
}

#[test]
fn who_does_not_read_holds_the_writer_back() {
    on_both_networks(&Line { deaf: true, ..Line::default() }, |two, there, until| {
        let all = words(30_000_000);
        open(two, there, Line::saying(all.clone()));
        until(two, &|(a, b)| {
            a.service().snapshot().blocked_sockets == 1 && b.app().lines.len() == 1
        });
        assert!(!line(&two.0, 0).outbox.is_empty());
        change(&mut two.1, 0, |line| line.deaf = false);
        until(two, &|(_, b)| {
            b.app().lines.first().is_some_and(|line| line.heard.len() == all.len())
        });
        assert!(line(&two.1, 0).heard == all);
        until(two, &|(a, _)| a.service().snapshot().blocked_sockets == 0);
    });
}

/// The end was read; that nobody hears the answer is for the writer to find out.
#[test]
fn an_answer_to_one_who_has_closed_breaks_the_pipe_and_not_the_end() {
    let script = Line { then: Then::HangsUp, ..Line::saying("bye") };
    on_both_networks(&script, |two, there, until| {
        open(two, there, Line::default());
        until(two, &|(a, b)| line(a, 0).ended && !line(b, 0).detached.is_empty());
        // A first write succeeds, and is reset.
        let called = line(&two.0, 0).called;
        change(&mut two.0, 0, |line| line.outbox = b"to nobody".to_vec());
        assert_eq!(line(&two.0, 0).errors, []);
        until(two, &|(a, _)| line(a, 0).called > called);
        change(&mut two.0, 0, |line| line.outbox = b"to nobody".to_vec());
        assert_eq!(line(&two.0, 0).errors, [io::ErrorKind::BrokenPipe]);
        assert!(line(&two.0, 0).ended && line(&two.0, 0).heard == b"bye");
    });
}
