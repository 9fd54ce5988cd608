//! What links do to packets.

use super::*;
use crate::simulated::Counts;

/// Sends `count` datagrams, one a millisecond, and says which arrived, in what order.
fn arrivals(config: LinkConfig, count: u8) -> (Vec<u8>, Counts) {
    let (network, mut a, mut b) = network(config);
    for number in 0..count {
        a.send(&[number]);
        network.advance(MS);
    }
    network.advance(Duration::from_secs(1));
    (b.drain(), network.counts(A, B))
}

#[test]
fn without_faults_everything_arrives_once_and_in_order() {
    let (numbers, counts) = arrivals(LinkConfig::new().jitter(5 * MS), 200);
    assert_eq!(numbers, (0..200).collect::<Vec<_>>());
    let expected = Counts { sent: 200, bytes: 200, delivered: 200, ..Counts::default() };
    assert_eq!(counts, expected);
}

#[test]
fn a_datagram_arrives_exactly_after_the_delay() {
    let (network, mut a, mut b) = network(LinkConfig::new().delay(25 * MS));
    let start = network.clock().now();
    a.send(b"hello");
    assert_eq!(network.next_arrival(), Some(start + 25 * MS));
    network.advance_to(start + Duration::from_nanos(24_999_999));
    assert_eq!(b.ready(), []);
    network.advance(Duration::from_nanos(1));
    assert_eq!(b.ready(), [(7, READABLE)]);
    let (raw, bytes) = b.read().unwrap().unwrap();
    assert_eq!(
        (raw.source, raw.destination, &bytes[..]),
        (a.address(), b.address(), &b"hello"[..])
    );
    assert_eq!(network.next_arrival(), None);
}

#[test]
fn the_rate_is_exact() {
    // A megabyte a second, in packets of a kilobyte.
    let config = LinkConfig::new().delay(MS).rate_bits_per_second(8_000_000);
    let (network, mut a, mut b) = network(config);
    let start = network.clock().now();
    for _ in 0..100 {
        a.send(&[1; 1000 - HEADERS]);
    }
    for number in 1..=100_usize {
        let next = network.next_arrival().unwrap();
        assert_eq!(next - start, MS * u32::try_from(number + 1).unwrap());
        network.advance_to(next);
        assert_eq!(b.drain().len(), 1);
    }
}

#[test]
fn losses_are_counted_and_missing() {
    let (numbers, counts) = arrivals(LinkConfig::new().loss(0.2), 200);
    assert!((20..60).contains(&counts.lost), "{counts:?}");
    assert_eq!(numbers.len() as u64, 200 - counts.lost);
    assert!(numbers.is_sorted());
}

#[test]
fn duplicates_arrive_next_to_each_other() {
    let (mut numbers, counts) = arrivals(LinkConfig::new().duplicate(0.2), 200);
    assert!((20..60).contains(&counts.duplicated), "{counts:?}");
    assert_eq!(numbers.len() as u64, 200 + counts.duplicated);
    numbers.dedup();
    assert_eq!(numbers, (0..200).collect::<Vec<_>>());
}

#[test]
fn reordered_packets_are_overtaken() {
    let (mut numbers, counts) = arrivals(LinkConfig::new().reorder(0.2, 3 * MS), 200);
    assert!((20..60).contains(&counts.reordered), "{counts:?}");
    assert!(!numbers.is_sorted());
    numbers.sort_unstable();
    assert_eq!(numbers, (0..200).collect::<Vec<_>>());
}

#[test]
fn corruption_flips_one_byte() {
    let (network, mut a, mut b) = network(LinkConfig::new().corrupt(1.0));
    a.send(&[0; 1000]);
    network.advance(10 * MS);
    let (_, bytes) = b.read().unwrap().unwrap();
    assert_eq!(bytes.iter().filter(|&&byte| byte != 0).count(), 1);
    assert_eq!(network.counts(A, B).corrupted, 1);
}

#[test]
fn what_exceeds_the_mtu_is_dropped() {
    let (network, mut a, mut b) = network(LinkConfig::new().mtu(1280));
    a.send(&[1; 1280 - HEADERS]);
    a.send(&[2; 1280 - HEADERS + 1]);
    let options = UdpOptions { dont_fragment: false, ..UdpOptions::default() };
    let mut lax = a.host.bind_udp((A, 0).into(), &options, 1).unwrap();
    lax.send(&transmit(b.address(), &[3; 1280 - HEADERS + 1])).unwrap();
    network.advance(10 * MS);
    assert_eq!(b.drain(), [1, 3]);
    assert_eq!(network.counts(A, B).too_large, 1);
}

#[test]
fn a_full_queue_drops() {
    let config = LinkConfig::new().rate_bits_per_second(8_000_000).queue_bytes(3000);
    let (network, mut a, mut b) = network(config);
    for number in 0..5 {
        a.send(&[number; 1000 - HEADERS]);
    }
    network.advance(20 * MS);
    assert_eq!(b.drain(), [0, 1, 2]);
    assert_eq!(network.counts(A, B).queue_full, 2);
}

#[test]
fn a_blackhole_swallows_one_direction_while_it_lasts() {
    let (network, mut a, mut b) = network(LinkConfig::new());
    a.send(&[1]);
    network.blackhole(A, B, true);
    a.send(&[2]);
    b.send(&[3]);
    network.blackhole(A, B, false);
    a.send(&[4]);
    network.advance(10 * MS);
    assert_eq!((a.drain(), b.drain()), (vec![3], vec![1, 4]));
    assert_eq!(network.counts(A, B).blackholed, 1);
}

#[test]
fn ordered_losses_are_exact() {
    let (network, mut a, mut b) = network(LinkConfig::new());
    a.send(&[1]);
    network.lose_next(A, B, 2);
    (2..6).for_each(|number| a.send(&[number]));
    network.advance(10 * MS);
    assert_eq!(b.drain(), [1, 4, 5]);
    assert_eq!(network.counts(A, B).lost, 2);
}

#[test]
fn a_batch_meets_its_fate_one_datagram_at_a_time() {
    let (network, mut a, mut b) = network(LinkConfig::new().loss(0.3));
    let contents: Vec<u8> = (0..100).flat_map(|number| [number; 10]).chain([100; 4]).collect();
    let batch = RawTransmit { segment_size: Some(10), ..transmit(b.address(), &contents) };
    a.socket.send(&batch).unwrap();
    network.advance(10 * MS);
    let counts = network.counts(A, B);
    assert_eq!((counts.sent, counts.bytes), (101, 1004));
    let numbers = b.drain();
    assert!(numbers.len() < 101 && numbers.len() > 50);
    assert_eq!(numbers.len() as u64, counts.delivered);
    assert!(numbers.is_sorted());
}

#[test]
fn ecn_marks_are_carried_set_and_cleared() {
    let arrives_as = |config, ecn| {
        let (network, mut a, mut b) = network(config);
        a.socket.send(&RawTransmit { ecn, ..transmit(b.address(), &[1]) }).unwrap();
        network.advance(10 * MS);
        b.read().unwrap().unwrap().0.ecn
    };
    assert_eq!(arrives_as(LinkConfig::new(), Ecn::Ect0), Ecn::Ect0);
    assert_eq!(arrives_as(LinkConfig::new().ecn_mark(1.0), Ecn::Ect0), Ecn::Ce);
    assert_eq!(arrives_as(LinkConfig::new().ecn_mark(1.0), Ecn::NotEct), Ecn::NotEct);
    assert_eq!(arrives_as(LinkConfig::new().ecn_bleach(true), Ecn::Ect1), Ecn::NotEct);
}

#[test]
fn a_changed_link_takes_effect_at_once() {
    let (network, mut a, mut b) = network(LinkConfig::new().delay(100 * MS));
    a.send(&[1]);
    network.link(A, B, LinkConfig::new().delay(MS));
    a.send(&[2]);
    network.advance(100 * MS);
    assert_eq!(b.drain(), [2, 1]);
}

#[test]
fn a_link_that_nothing_was_said_about_is_the_default_one() {
    let network = SimulatedNetwork::new(1);
    network.default_link(LinkConfig::new().delay(3 * MS));
    let (mut a, mut b) = (Peer::new(&network, A), Peer::new(&network, B));
    a.send(&[1]);
    network.advance(3 * MS);
    assert_eq!(b.drain(), [1]);
}
