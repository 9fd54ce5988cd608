//! What an application sees of the network, its faults and its workers.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use socket_transport::{
    Detached, UdpOptions,
    simulated::{Node, Simulation, Stack},
};

use crate::peer::{A, B, Ctx, MINUTE, MS, Peer, Told, assert_at_rest, send, two_peers};

#[test]
fn a_datagram_takes_the_delay_there_and_back() {
    let (simulation, mut peers) = two_peers(1);
    let (a, b) = &mut peers;
    b.app_mut().echoes = true;
    send(a, b.app().address, [7]);
    simulation.run(&mut peers, |(a, _)| a.app().numbers() == [7], MINUTE).unwrap();
    assert_eq!(simulation.network().elapsed(), 20 * MS);
}

#[test]
fn u9_a_flood_is_read_to_its_end_over_several_turns() {
    let (simulation, mut peers) = two_peers(1);
    let (a, b) = &mut peers;
    let there = b.app().address;
    for _ in 0..10 {
        send(a, there, 0..200);
    }
    simulation.run(&mut peers, |(_, b)| b.app().received.len() == 2000, MINUTE).unwrap();
    let (_, b) = &peers;
    assert!(b.service().snapshot().turns > 7, "256 datagrams a turn");
    assert!(b.app().reads.iter().any(|&datagrams| datagrams > 1), "merged");
    simulation.run_until_quiet(&mut peers, MINUTE).unwrap();
    assert_at_rest(&peers.1);
}

#[test]
fn u6_a_broken_socket_is_detached_unread() {
    let (simulation, mut peers) = two_peers(1);
    let (a, b) = &mut peers;
    send(a, b.app().address, [1]);
    simulation.run_for(&mut peers, 5 * MS).unwrap();
    simulation.network().break_socket(peers.1.app().address);
    simulation.run_until_quiet(&mut peers, MINUTE).unwrap();
    let b = peers.1.app();
    assert_eq!(b.received, []);
    assert!(matches!(b.detached[..], [Detached::Failed(_)]), "{:?}", b.detached);
    assert_eq!(simulation.network().counts(A, B).refused, 1, "its port is free");
}

#[test]
fn a_refused_port_is_an_error_of_the_next_read() {
    let (simulation, mut peers) = two_peers(1);
    send(&mut peers.0, SocketAddr::new(B, 9), [1]);
    simulation.run(&mut peers, |(a, _)| !a.app().errors.is_empty(), MINUTE).unwrap();
    assert_eq!(peers.0.app().errors, [io::ErrorKind::ConnectionRefused]);
    assert_eq!(simulation.network().elapsed(), 20 * MS);
}

#[test]
fn a_servers_socket_hears_of_no_refused_port() {
    let simulation = Simulation::new(1);
    let network = simulation.network();
    let server = Peer::on(network.host(A), A, 443, UdpOptions::server());
    let mut peers = (server, Peer::at(network, B));
    send(&mut peers.0, SocketAddr::new(B, 9), [1]);
    simulation.run_until_quiet(&mut peers, MINUTE).unwrap();
    assert_eq!(peers.0.app().errors, []);
    assert_eq!(network.counts(A, B).refused, 1);
}

#[test]
fn a_failed_send_is_told_and_the_next_one_goes_out() {
    let (simulation, mut peers) = two_peers(1);
    let there = peers.1.app().address;
    simulation.network().fail_next_send(A, io::ErrorKind::PermissionDenied);
    send(&mut peers.0, there, [1, 2]);
    simulation.run_until_quiet(&mut peers, MINUTE).unwrap();
    assert_eq!(peers.0.app().errors, [io::ErrorKind::PermissionDenied]);
    assert_eq!(peers.1.app().numbers(), [2]);
}

#[test]
fn answers_find_a_rebound_client() {
    let (simulation, mut peers) = two_peers(1);
    let (a, b) = &mut peers;
    b.app_mut().echoes = true;
    let (here, there) = (a.app().address, b.app().address);
    let elsewhere = SocketAddr::new(A, 50_000);
    send(a, there, [1]);
    simulation.run(&mut peers, |(a, _)| a.app().numbers() == [1], MINUTE).unwrap();
    simulation.network().rebind(here, elsewhere).unwrap();
    send(&mut peers.0, there, [2]);
    simulation.run(&mut peers, |(a, _)| a.app().numbers() == [1, 2], MINUTE).unwrap();
    let sources: Vec<_> = peers.1.app().received.iter().map(|(source, _)| *source).collect();
    assert_eq!(sources, [here, elsewhere]);
}

#[test]
fn a_machine_with_two_addresses_speaks_both_families() {
    let simulation = Simulation::new(1);
    let network = simulation.network();
    let (v4, v6) = ([10, 0, 0, 9].into(), [0xfd00, 0, 0, 0, 0, 0, 0, 9].into());
    let any = UdpOptions::default;
    let stack = Peer::on(network.dual_stack_host(v4, v6), IpAddr::from([0_u16; 8]), 0, any());
    let other = IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 2]);
    let mut peers = (stack, Peer::on(network.host(other), other, 1, any()), Peer::at(network, B));
    peers.1.app_mut().echoes = true;
    send(&mut peers.0, SocketAddr::new(other, 1), [6]);
    let v4_socket = |peer: &mut Peer, ctx: &mut Ctx<'_>| {
        peer.socket = ctx.open_udp((), SocketAddr::new([0; 4].into(), 0), any()).unwrap();
        peer.send(ctx, SocketAddr::new(B, 4433), &[4]);
    };
    peers.0.call(v4_socket);
    simulation.run_until_quiet(&mut peers, MINUTE).unwrap();
    let source_of = |stack: &Stack<Peer>| stack.app().received.first().map(|(from, _)| from.ip());
    assert_eq!(source_of(&peers.1), Some(v6.into()));
    assert_eq!(source_of(&peers.2), Some(v4.into()));
}

#[test]
fn a_workers_result_comes_after_its_delay() {
    let (simulation, mut peers) = two_peers(1);
    simulation.network().job_delay(30 * MS);
    peers.0.call(|_, ctx| {
        for number in 0..3 {
            let poster = ctx.poster().clone();
            ctx.workers().run(Box::new(move || poster.post(Told::Result(number))));
        }
    });
    assert_eq!(peers.0.service().snapshot().jobs_in_flight, 3);
    simulation.run(&mut peers, |(a, _)| a.app().results == [0, 1, 2], MINUTE).unwrap();
    assert_eq!(simulation.network().elapsed(), 30 * MS);
    assert_at_rest(&peers.0);
}

#[test]
fn an_ended_service_takes_no_turns_and_frees_its_port() {
    let (simulation, mut peers) = two_peers(1);
    let (a, b) = &mut peers;
    send(a, b.app().address, [1]);
    b.poster().request_shutdown();
    simulation.run(&mut peers, |(_, b)| b.is_stopped(), MINUTE).unwrap();
    simulation.run_until_quiet(&mut peers, MINUTE).unwrap();
    assert_eq!(peers.1.app().detached, [Detached::Shutdown]);
    assert_eq!(peers.1.next_deadline(), None);
    assert_eq!(peers.0.app().errors, [io::ErrorKind::ConnectionRefused]);
}

#[test]
fn posted_work_ends_a_wait() {
    let (simulation, mut peers) = two_peers(1);
    let there = peers.1.app().address;
    let poster = peers.0.poster();
    poster.submit(Told::Send(there, vec![9])).unwrap();
    simulation.run(&mut peers, |(_, b)| b.app().numbers() == [9], MINUTE).unwrap();
}
