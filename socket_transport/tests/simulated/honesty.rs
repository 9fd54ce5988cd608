//! What the simulated network does, the operating system's does as well: the same peers on either,
//! and the same outcome.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use socket_transport::{
    Network, UdpOptions,
    simulated::{Node, Simulation},
};

use crate::peer::{MINUTE, Peer, Two};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn peers_on(network: impl Fn() -> Network) -> Two {
    let peer = || Peer::on(network(), HERE, 0, UdpOptions::default());
    (peer(), peer())
}

/// Lets two peers begin, runs them `until` it is enough, and has a `look`: on either network.
fn on_both_networks(begin: impl Fn(&mut Two), until: impl Fn(&Two) -> bool, look: impl Fn(&Two)) {
    let simulation = Simulation::new(1);
    let mut peers = peers_on(|| simulation.network().host(HERE));
    begin(&mut peers);
    simulation.run(&mut peers, |peers| until(peers), MINUTE).unwrap();
    look(&peers);

    let mut peers = peers_on(Network::operating_system);
    begin(&mut peers);
    let clock = peers.0.service().clock();
    let deadline = clock.now() + Duration::from_secs(20);
    while !until(&peers) {
        if !peers.turn().unwrap() {
            std::thread::yield_now();
        }
        assert!(clock.now() < deadline, "it takes too long: {peers:?}");
    }
    look(&peers);
}

#[test]
fn datagrams_arrive_whole_in_order_and_with_their_source() {
    let begin = |(a, b): &mut Two| {
        b.app_mut().echoes = true;
        let there = b.app().address;
        a.call(|peer, ctx| {
            for number in 0..50_u8 {
                peer.send(ctx, there, &vec![number; 1 + usize::from(number) * 20]);
            }
            peer.send(ctx, there, &[]);
        });
    };
    let until = |(a, _): &Two| a.app().received.len() == 51;
    on_both_networks(begin, until, |(a, b)| {
        for (receiver, sender) in [(a, b), (b, a)] {
            let received = &receiver.app().received;
            assert!(received.iter().all(|(source, _)| *source == sender.app().address));
            let lengths: Vec<_> = received.iter().map(|(_, datagram)| datagram.len()).collect();
            let expected: Vec<_> = (0..50).map(|number| 1 + number * 20).chain([0]).collect();
            assert_eq!(lengths, expected);
        }
    });
}

#[test]
fn a_batch_arrives_as_its_datagrams() {
    let begin = |(a, b): &mut Two| {
        let there = b.app().address;
        a.call(|peer, ctx| peer.send_all(ctx, there, (0..40).map(|number| vec![number; 1200])));
    };
    let until = |(_, b): &Two| b.app().received.len() == 40;
    on_both_networks(begin, until, |(a, b)| {
        assert_eq!(b.app().numbers(), (0..40).collect::<Vec<_>>());
        assert!(a.service().snapshot().traffic.gso_sends > 0 || !cfg!(target_os = "linux"));
    });
}

/// Only there do unconnected sockets hear of it.
#[cfg(target_os = "linux")]
#[test]
fn a_refused_port_is_an_error_of_the_next_read() {
    let begin = |(a, b): &mut Two| {
        let there = b.app().address;
        b.call(|peer, ctx| ctx.close_socket(peer.socket));
        while b.turn().unwrap() {}
        a.call(|peer, ctx| peer.send(ctx, there, &[1]));
    };
    let until = |(a, _): &Two| !a.app().errors.is_empty();
    on_both_networks(begin, until, |(a, b)| {
        assert_eq!(a.app().errors, [io::ErrorKind::ConnectionRefused]);
        assert_eq!(b.app().detached, [socket_transport::Detached::Closed]);
    });
}
