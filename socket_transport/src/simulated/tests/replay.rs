//! Same seed, same run; and a recorded run can be had again.

use super::*;
use crate::simulated::{Fate, Record, Trace};

fn bad() -> LinkConfig {
    LinkConfig::new()
        .jitter(3 * MS)
        .loss(0.1)
        .duplicate(0.1)
        .reorder(0.1, 4 * MS)
        .corrupt(0.1)
        .ecn_mark(0.1)
        .rate_bits_per_second(1_000_000)
        .queue_bytes(5000)
}

/// Two peers that send each other datagrams of various lengths; what arrives at the second one.
fn run(network: &SimulatedNetwork, config: LinkConfig, longer_by: usize) -> Vec<u8> {
    network.both(A, B, config);
    let (mut a, mut b) = (Peer::new(network, A), Peer::new(network, B));
    let mut arrived = Vec::new();
    for number in 0..=255_u8 {
        a.send(&vec![number; usize::from(number) + 1 + longer_by]);
        if number % 3 == 0 {
            b.send(&[number]);
        }
        network.advance(2 * MS);
        arrived.extend(b.drain());
    }
    arrived
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let run = |seed| {
        let network = SimulatedNetwork::new(seed);
        (run(&network, bad(), 0), network.trace())
    };
    assert_eq!(run(1), run(1));
    let ((arrived, trace), (other_arrived, other_trace)) = (run(1), run(2));
    assert_ne!(arrived, other_arrived);
    assert_ne!(trace.records().collect::<Vec<_>>(), other_trace.records().collect::<Vec<_>>());
}

#[test]
fn chance_depends_neither_on_lengths_nor_on_other_links() {
    let chances = |longer_by, others: bool| {
        let network = SimulatedNetwork::new(1);
        if others {
            let mut other = Peer::new(&network, "10.0.0.3".parse().unwrap());
            (0..50).for_each(|_| other.send_to((B, 4433).into(), b"noise").unwrap());
        }
        run(&network, bad(), longer_by);
        let trace = network.trace();
        let of_a = trace.records().filter(|record| record.from == A);
        of_a.map(|record| (record.ordinal, record.chance)).collect::<Vec<_>>()
    };
    assert_eq!(chances(0, false), chances(7, false));
    assert_eq!(chances(0, false), chances(0, true));
}

#[test]
fn a_trace_is_played_again_on_links_without_faults() {
    let network = SimulatedNetwork::new(1);
    let first = run(&network, bad(), 0);
    let trace: Trace = network.trace().to_string().parse().unwrap();
    assert_eq!(trace, network.trace());

    let fates = |trace: &Trace| {
        let arrives = |record: &Record| matches!(record.fate, Fate::Arrives(_));
        let fates = trace.records().map(|record| (record.chance, arrives(record)));
        fates.collect::<Vec<_>>()
    };
    let again = SimulatedNetwork::replay(trace.clone());
    let rate_alone = LinkConfig::new().rate_bits_per_second(1_000_000).reorder(0.0, 4 * MS);
    assert_eq!(run(&again, rate_alone, 0), first);
    assert_eq!(fates(&again.trace()), fates(&trace));
    assert_eq!(again.seed(), 1);
}

#[test]
fn after_the_end_of_the_trace_the_seed_decides() {
    let network = SimulatedNetwork::new(1);
    let arrived = run(&network, bad(), 0);
    let text = network.trace().to_string();
    let half: Vec<&str> = text.lines().take(100).collect();
    let again = SimulatedNetwork::replay(half.join("\n").parse().unwrap());
    assert_eq!(run(&again, bad(), 0), arrived);
    assert_eq!(again.trace(), network.trace());
}

#[test]
fn a_saved_trace_is_loaded() {
    let network = SimulatedNetwork::new(987_654_321);
    run(&network, bad(), 0);
    let path = network.trace().save_somewhere().unwrap();
    let loaded = Trace::load(&path);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(loaded.unwrap(), network.trace());
    assert_eq!(Trace::load(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_failing_test_leaves_its_trace_behind() {
    let seed = 123_123_123 + u64::from(std::process::id());
    let failure = std::thread::spawn(move || {
        let network = SimulatedNetwork::new(seed);
        run(&network, bad(), 0);
        panic!("on purpose");
    });
    assert!(failure.join().is_err());
    let expected = SimulatedNetwork::new(seed);
    run(&expected, bad(), 0);
    let name = format!("necko-trace-{seed}-{}-0.txt", std::process::id());
    let path = std::env::temp_dir().join(name);
    let trace = Trace::load(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(trace, expected.trace());
}
