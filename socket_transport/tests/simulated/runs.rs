//! Runs: that they end, that they repeat, and that waiting takes no time.

use std::time::Duration;

use socket_transport::simulated::{LinkConfig, SimulatedNetwork, SimulationError};

use crate::peer::{A, B, MINUTE, MS, Two, send, two_peers};

#[test]
fn a_lost_wake_up_is_a_stall_and_a_busy_application_a_spin() {
    let (simulation, mut peers) = two_peers(9);
    let run = simulation.run(&mut peers, |(a, _)| !a.app().received.is_empty(), MINUTE);
    assert!(matches!(run, Err(SimulationError::Stalled { seed: 9, .. })), "{run:?}");

    let (a, b) = &mut peers;
    b.app_mut().never_done = true;
    send(a, b.app().address, [1]);
    let run = simulation.run(&mut peers, |_| false, MINUTE);
    assert!(matches!(run, Err(SimulationError::Spinning { .. })), "{run:?}");
}

#[test]
fn a_timer_that_is_always_due_is_a_spin() {
    let (simulation, mut peers) = two_peers(1);
    let there = peers.1.app().address;
    peers.0.app_mut().beat = Some((Duration::ZERO, there, vec![1]));
    peers.0.call(|peer, ctx| ctx.set_timer(peer.timer, Some(ctx.now())));
    let run = simulation.run(&mut peers, |_| false, MINUTE);
    assert!(matches!(run, Err(SimulationError::Spinning { .. })), "{run:?}");
}

/// A beat a second and its echo over a bad line, for ten minutes.
fn ten_minutes(seed: u64) -> (SimulatedNetwork, Two) {
    let (simulation, mut peers) = two_peers(seed);
    let line = LinkConfig::new().loss(0.05).duplicate(0.05).jitter(5 * MS).reorder(0.05, 9 * MS);
    simulation.network().both(A, B, line);
    let (a, b) = &mut peers;
    let second = Duration::from_secs(1);
    a.app_mut().beat = Some((second, b.app().address, vec![1; 100]));
    b.app_mut().echoes = true;
    a.call(|peer, ctx| ctx.set_timer(peer.timer, Some(ctx.now() + second)));
    simulation.run_for(&mut peers, 10 * MINUTE).unwrap();
    (simulation.network().clone(), peers)
}

#[test]
fn ten_virtual_minutes_take_a_turn_for_each_event() {
    let (network, (a, b)) = ten_minutes(1);
    assert_eq!(network.elapsed(), 10 * MINUTE);
    assert_eq!(network.counts(A, B).sent, 600);
    assert!((500..700).contains(&b.app().received.len()), "{}", b.app().received.len());
    let turns = a.service().snapshot().turns;
    assert!(turns < 6000, "{turns} turns");
}

#[test]
fn the_same_seed_is_the_same_run() {
    let run = |seed| {
        let (network, (a, b)) = ten_minutes(seed);
        let turns = (a.service().snapshot().turns, b.service().snapshot().turns);
        (network.trace(), turns, a.app().reads.clone())
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}
