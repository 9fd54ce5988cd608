//! Sends that would block (U5, U7): one batch waits, nothing is lost, doubled or reordered.

use crate::peer::{A, MINUTE, MS, assert_at_rest, send, two_peers};

#[test]
fn u7_after_would_block_nothing_is_lost_doubled_or_reordered() {
    for blocked_sends in 1..12 {
        let (simulation, mut peers) = two_peers(blocked_sends.into());
        let (a, b) = &mut peers;
        let there = b.app().address;
        simulation.network().would_block_next(A, blocked_sends);
        a.call(|peer, ctx| {
            // Batches of ten, each of its own size, so that none joins another.
            let datagram = |number| vec![number; 200 - usize::from(number / 10) * 10];
            peer.send_all(ctx, there, (0..100).map(datagram));
            // The socket takes one batch and no more.
            assert!(ctx.socket_io(peer.socket).unwrap().is_send_blocked());
        });
        assert_eq!(a.service().snapshot().blocked_sockets, 1);
        simulation.run(&mut peers, |(_, b)| b.app().received.len() >= 100, MINUTE).unwrap();
        simulation.run_until_quiet(&mut peers, MINUTE).unwrap();
        let (a, b) = &peers;
        assert_eq!(b.app().numbers(), (0..100).collect::<Vec<_>>());
        assert_eq!(a.service().snapshot().traffic.would_blocks, u64::from(blocked_sends));
        assert_eq!(a.service().snapshot().traffic.dropped_sends, 0);
        assert_at_rest(a);
    }
}

#[test]
fn u5_writable_is_reported_after_would_block_alone_and_once() {
    let (simulation, mut peers) = two_peers(1);
    let (a, b) = &mut peers;
    let there = b.app().address;
    b.app_mut().echoes = true;
    send(a, there, 0..10);
    simulation.run(&mut peers, |(a, _)| a.app().numbers().len() == 10, MINUTE).unwrap();
    assert_eq!(peers.0.app().writables, 0);

    // Blocked three times in a row, with only one batch to send: writable when it went out.
    simulation.network().would_block_next(A, 3);
    send(&mut peers.0, there, [10]);
    simulation.run(&mut peers, |(a, _)| a.app().numbers().len() == 11, MINUTE).unwrap();
    assert_eq!(peers.0.app().writables, 1);
    assert_eq!(simulation.network().elapsed(), (20 + 3 + 20) * MS);
}

#[test]
fn u7_a_blocked_socket_still_receives() {
    let (simulation, mut peers) = two_peers(1);
    let (a, b) = &mut peers;
    let (here, there) = (a.app().address, b.app().address);
    simulation.network().write_delay(100 * MS);
    simulation.network().would_block_next(A, 1);
    send(a, there, [1]);
    send(b, here, [2]);
    simulation.run(&mut peers, |(a, _)| a.app().numbers() == [2], 50 * MS).unwrap();
    assert_eq!(peers.0.service().snapshot().blocked_sockets, 1);
    simulation.run(&mut peers, |(_, b)| b.app().numbers() == [1], MINUTE).unwrap();
}

#[test]
fn u7_holds_whatever_blocks_and_when() {
    for seed in 0..50 {
        let (simulation, mut peers) = two_peers(seed);
        let there = peers.1.app().address;
        let mut dice = seed;
        for number in 0..100_u8 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let [.., how_often, how_long] = dice.to_be_bytes().map(|byte| u32::from(byte % 4));
            simulation.network().would_block_next(A, how_often);
            simulation.network().write_delay(MS * how_long);
            send(&mut peers.0, there, [number]);
            simulation.run_for(&mut peers, MS).unwrap();
        }
        simulation.run_until_quiet(&mut peers, MINUTE).unwrap();
        assert_eq!(peers.1.app().numbers(), (0..100).collect::<Vec<_>>(), "seed {seed}");
        assert_at_rest(&peers.0);
    }
}
