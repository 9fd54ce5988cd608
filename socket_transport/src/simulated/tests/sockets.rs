//! What sockets do: ports, readiness, refusals, blocked sends, address translation.

use super::*;

fn bind(host: &mut SimulatedHost, local: &str) -> io::Result<SimulatedSocket> {
    host.bind_udp(local.parse().unwrap(), &UdpOptions::default(), 0)
}

fn error_of<T>(result: io::Result<T>) -> Option<io::ErrorKind> {
    result.err().map(|error| error.kind())
}

#[test]
fn ports_are_unique_on_a_machine_and_free_after_drop() {
    let network = SimulatedNetwork::new(1);
    let (mut first, mut second) = (host(&network, A), host(&network, A));
    let socket = bind(&mut first, "10.0.0.1:443").unwrap();
    assert_eq!(error_of(bind(&mut second, "10.0.0.1:443")), Some(io::ErrorKind::AddrInUse));
    drop(socket);
    assert!(bind(&mut second, "10.0.0.1:443").is_ok());

    let (one, two) =
        (bind(&mut first, "0.0.0.0:0").unwrap(), bind(&mut second, "0.0.0.0:0").unwrap());
    assert_ne!(one.local_addr().port(), two.local_addr().port());
    assert!(one.local_addr().ip().is_unspecified());
}

#[test]
fn only_the_machines_own_addresses_can_be_bound() {
    let mut host = host(&SimulatedNetwork::new(1), A);
    for address in ["10.0.0.2:443", "[::1]:443", "[::]:0"] {
        assert_eq!(error_of(bind(&mut host, address)), Some(io::ErrorKind::AddrNotAvailable));
    }
}

#[test]
fn ports_run_out() {
    let mut host = host(&SimulatedNetwork::new(1), A);
    let all: Vec<_> = std::iter::from_fn(|| bind(&mut host, "0.0.0.0:0").ok()).collect();
    assert_eq!(all.len(), 65_536 - 49_152);
    assert_eq!(error_of(bind(&mut host, "0.0.0.0:0")), Some(io::ErrorKind::AddrInUse));
}

#[test]
fn readiness_is_an_edge() {
    let (network, mut a, mut b) = network(LinkConfig::new());
    assert_eq!(b.ready(), []);
    a.send(&[1]);
    a.send(&[2]);
    network.advance(10 * MS);
    assert_eq!(b.ready(), [(7, READABLE)]);
    assert_eq!(b.ready(), [], "told once, though nothing was read");
    a.send(&[3]);
    network.advance(10 * MS);
    assert_eq!(b.ready(), [(7, READABLE)]);
    assert_eq!(b.drain(), [1, 2, 3]);
    a.send(&[4]);
    network.advance(10 * MS);
    assert_eq!(b.drain(), [4]);
    assert_eq!(b.ready(), [], "read before anybody asked");
}

#[test]
fn reads_merge_unless_told_not_to() {
    let (network, mut a, mut b) = network(LinkConfig::new());
    let mut strides = |merge| {
        network.merge_reads(merge);
        for length in [9, 9, 5] {
            a.send(&vec![1; length]);
        }
        network.advance(10 * MS);
        let reads = std::iter::from_fn(|| b.read().unwrap());
        reads.map(|(raw, _)| (raw.len, raw.stride)).collect::<Vec<_>>()
    };
    assert_eq!(strides(true), [(23, 9)]);
    assert_eq!(strides(false), [(9, 9), (9, 9), (5, 5)]);
}

#[test]
fn a_full_receive_buffer_loses_datagrams() {
    let network = SimulatedNetwork::new(1);
    let mut a = Peer::new(&network, A);
    let options = UdpOptions { receive_buffer: 3000, ..UdpOptions::default() };
    let _b = host(&network, B).bind_udp((B, 4433).into(), &options, 0).unwrap();
    for number in 0..5 {
        a.send(&[number; 1000 - HEADERS]);
    }
    network.advance(10 * MS);
    let counts = network.counts(A, B);
    assert_eq!((counts.delivered, counts.overflowed), (3, 2));
}

#[test]
fn an_unbound_port_refuses_after_a_round_trip() {
    let (network, mut a, _b) = network(LinkConfig::new());
    a.send_to((B, 9).into(), &[1]).unwrap();
    network.advance(Duration::from_nanos(19_999_999));
    assert_eq!(a.ready(), []);
    network.advance(Duration::from_nanos(1));
    assert_eq!(a.ready(), [(7, Ready { error: true, ..READABLE })]);
    let error = a.read().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    assert!(error.to_string().starts_with("10.0.0.2:9 refused"), "{error}");
    assert!(a.read().unwrap().is_none());
    assert_eq!(network.counts(A, B).refused, 1);
}

#[test]
fn nobody_refuses_on_a_silent_an_unknown_or_an_unreachable_machine() {
    let (network, mut a, _b) = network(LinkConfig::new());
    network.silent(B, true);
    a.send_to((B, 9).into(), &[1]).unwrap();
    a.send_to("10.9.9.9:9".parse().unwrap(), &[1]).unwrap();
    network.advance(20 * MS);
    network.silent(B, false);
    network.blackhole(B, A, true);
    a.send_to((B, 9).into(), &[1]).unwrap();
    network.advance(20 * MS);
    assert_eq!(a.ready(), []);
    assert_eq!(network.total_counts().unheard, 2);
}

#[test]
fn a_socket_that_did_not_ask_hears_of_no_refusal() {
    let network = SimulatedNetwork::new(1);
    let mut host = host(&network, A);
    let _b = Peer::new(&network, B);
    let mut socket = host.bind_udp((A, 1).into(), &UdpOptions::server(), 0).unwrap();
    socket.send(&transmit((B, 9).into(), &[1])).unwrap();
    network.advance(20 * MS);
    let mut out = Vec::new();
    host.ready(&mut out);
    assert_eq!(out, []);
}

#[test]
fn blocked_sends_become_possible_again() {
    let (network, mut a, mut b) = network(LinkConfig::new());
    let there = b.address();
    network.would_block_next(A, 2);
    let would_block = Some(io::ErrorKind::WouldBlock);
    assert_eq!(error_of(a.send_to(there, &[1])), would_block);
    assert_eq!(error_of(a.send_to(there, &[1])), would_block, "still the first");
    assert_eq!(a.ready(), []);
    network.advance(MS);
    assert_eq!(a.ready(), [(7, WRITABLE)]);
    assert_eq!(a.ready(), []);
    assert_eq!(error_of(a.send_to(there, &[1])), would_block, "the second");
    network.advance(MS);
    assert_eq!(a.ready(), [(7, WRITABLE)]);
    a.send_to(there, &[1]).unwrap();
    network.advance(10 * MS);
    assert_eq!(b.drain(), [1]);
}

#[test]
fn ordered_errors_come_in_their_order() {
    let (network, mut a, b) = network(LinkConfig::new());
    network.fail_next_send(A, io::ErrorKind::PermissionDenied);
    network.fail_next_send(A, io::ErrorKind::NetworkUnreachable);
    let mut send = || error_of(a.send_to(b.address(), &[1]));
    assert_eq!(send(), Some(io::ErrorKind::PermissionDenied));
    assert_eq!(send(), Some(io::ErrorKind::NetworkUnreachable));
    assert_eq!(send(), None);

    network.fail_next_bind(A, io::ErrorKind::OutOfMemory);
    assert_eq!(error_of(bind(&mut a.host, "0.0.0.0:0")), Some(io::ErrorKind::OutOfMemory));
    assert!(bind(&mut a.host, "0.0.0.0:0").is_ok());

    network.fail_next_receive(a.address(), io::ErrorKind::HostUnreachable);
    assert_eq!(a.ready(), [(7, Ready { error: true, ..READABLE })]);
    assert_eq!(error_of(a.read()), Some(io::ErrorKind::HostUnreachable));
}

#[test]
fn a_broken_socket_is_good_for_nothing() {
    let (network, mut a, mut b) = network(LinkConfig::new());
    b.send(&[1]);
    network.advance(10 * MS);
    network.break_socket(a.address());
    let broken = Ready { readable: false, writable: false, error: true };
    assert_eq!(a.ready(), [(7, broken)]);
    assert!(a.read().is_err());
    assert!(a.send_to(b.address(), &[1]).is_err());
    assert_eq!(b.drain(), []);
}

#[test]
fn impossible_sends_are_refused_at_once() {
    let (_network, mut a, b) = network(LinkConfig::new());
    let invalid = Some(io::ErrorKind::InvalidInput);
    for address in ["[fd00::1]:9", "10.0.0.2:0", "0.0.0.0:9"] {
        assert_eq!(error_of(a.send_to(address.parse().unwrap(), &[1])), invalid, "{address}");
    }
    assert_eq!(error_of(a.send_to(b.address(), &vec![0; 65_508])), invalid);
    let foreign = RawTransmit { source: Some(B), ..transmit(b.address(), &[1]) };
    assert_eq!(error_of(a.socket.send(&foreign)), invalid);
    a.send_to(b.address(), &[]).unwrap();
}

#[test]
fn a_rebound_socket_is_seen_elsewhere_and_still_reached() {
    let (network, mut a, mut b) = network(LinkConfig::new());
    let (old, new) = (a.address(), SocketAddr::from((A, 999)));
    a.send(&[1]);
    network.rebind(old, new).unwrap();
    a.send(&[2]);
    network.advance(10 * MS);
    assert_eq!(b.read().unwrap().unwrap().0.source, old);
    assert_eq!(b.read().unwrap().unwrap().0.source, new);

    b.send_to(old, &[3]).unwrap();
    b.send_to(new, &[4]).unwrap();
    network.advance(10 * MS);
    assert_eq!(a.drain(), [4]);
    assert_eq!(network.counts(B, A).unheard, 1);
}

#[test]
fn a_mapping_that_ends_loses_what_is_on_its_way() {
    let (network, a, mut b) = network(LinkConfig::new());
    let elsewhere: SocketAddr = "192.0.2.1:999".parse().unwrap();
    let mut a = a;
    network.rebind(a.address(), elsewhere).unwrap();
    b.send_to(elsewhere, &[1]).unwrap();
    network.advance(10 * MS);
    b.send_to(elsewhere, &[2]).unwrap();
    network.rebind(a.address(), a.address()).unwrap();
    network.advance(10 * MS);
    assert_eq!(a.drain(), [1]);
    assert_eq!(b.ready(), [], "a NAT is silent");
}

#[test]
fn an_address_in_use_is_no_mapping() {
    let (network, a, b) = network(LinkConfig::new());
    let taken = network.rebind(a.address(), b.address());
    assert_eq!(error_of(taken), Some(io::ErrorKind::AddrInUse));
}
