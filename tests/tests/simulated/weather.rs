//! Transfers over bad networks, with several seeds each: every byte is compared.

use std::time::Duration;

use neqo_transport::ConnectionParameters;
use socket_transport::simulated::{Counts, LinkConfig};
use tests::simulated::{Ask, Bench, CLIENT, Http3ServerPeer, MINUTE, MS, SECOND, SERVER, Setup};

/// A download and an upload over such a link, for each of some seeds. Answers what the links did.
fn transfers(link: &LinkConfig) -> Counts {
    transfers_with(link, |setup| setup)
}

fn transfers_with(link: &LinkConfig, setup: impl Fn(Setup) -> Setup) -> Counts {
    let mut total = Counts::default();
    for seed in 1..=3 {
        let mut bench = setup(Setup::new(seed)).build();
        bench.http3_server(SERVER, |parameters| parameters);
        bench.network().both(CLIENT.into(), SERVER, link.clone());
        let mut download = bench.get("/300000");
        let mut upload = bench.ask(Ask::post("/post", vec![b'x'; 100_000]));
        bench.finish([&mut download, &mut upload]);
        download.expect_pattern(300_000);
        assert_eq!(upload.header("x-data-received-length"), Some("100000"));
        assert_eq!(bench.snapshot().lifetime.connections, 1);
        total += bench.network().total_counts();
    }
    total
}

#[test]
fn loss_of_one_three_and_five_percent() {
    for loss in [0.01, 0.03, 0.05] {
        assert!(transfers(&LinkConfig::new().loss(loss)).lost > 0);
    }
}

#[test]
fn loss_in_bursts() {
    assert!(transfers(&LinkConfig::new().loss(0.003).burst(8)).lost > 8);
}

#[test]
fn reordering() {
    let link = LinkConfig::new().reorder(0.1, 15 * MS).jitter(3 * MS);
    assert!(transfers(&link).reordered > 20);
}

#[test]
fn duplication() {
    assert!(transfers(&LinkConfig::new().duplicate(0.2)).duplicated > 50);
}

#[test]
fn corruption() {
    assert!(transfers(&LinkConfig::new().corrupt(0.03)).corrupted > 5);
}

#[test]
fn everything_at_once() {
    let link = LinkConfig::new()
        .loss(0.02)
        .duplicate(0.02)
        .reorder(0.05, 10 * MS)
        .corrupt(0.01)
        .jitter(5 * MS)
        .ecn_mark(0.02);
    let counts = transfers(&link);
    assert!(counts.lost.min(counts.duplicated).min(counts.reordered).min(counts.corrupted) > 0);
}

#[test]
fn a_slow_link_with_a_short_queue() {
    let link = LinkConfig::new().rate_bits_per_second(2_000_000).queue_bytes(15_000);
    assert!(transfers(&link).queue_full > 0, "it was too slow for what was sent");
}

#[test]
fn a_long_way() {
    transfers(&LinkConfig::new().delay(300 * MS));
}

/// A stream's window begins small, so that slow consumers can't use the connection's up, and grows with
/// what is read: that costs next to nothing where the way is long and wide.
#[test]
fn a_window_that_grows_is_as_fast_as_a_large_one() {
    let time = |first_window: Option<u64>| {
        let setup = Setup::new(7).settings(|settings| {
            let usual = settings.initial_max_stream_data;
            settings.initial_max_stream_data = first_window.unwrap_or(usual);
        });
        let mut bench = setup.build();
        bench.http3_server(SERVER, |parameters| parameters);
        let link = LinkConfig::new().delay(50 * MS).rate_bits_per_second(200_000_000);
        bench.network().both(CLIENT.into(), SERVER, link.queue_bytes(2_000_000));
        bench.fetch("/1").expect_pattern(1);
        let start = bench.elapsed();
        bench.fetch("/20000000").expect_pattern(20_000_000);
        bench.since(start)
    };
    let (growing, large) = (time(None), time(Some(12 * 1024 * 1024)));
    assert!(growing <= large + large / 10, "{growing:?} instead of {large:?}");
}

#[test]
fn the_smallest_mtu_that_quic_allows() {
    assert_eq!(transfers(&LinkConfig::new().mtu(1280)).too_large, 0);
}

#[test]
fn a_search_for_a_larger_mtu_than_there_is() {
    let link = LinkConfig::new().mtu(1400);
    let search = |setup: Setup| setup.settings(|settings| settings.max_datagram_size = Some(1500));
    assert!(transfers_with(&link, search).too_large > 0, "it was tried");
}

#[test]
fn a_congested_path_that_marks_and_one_that_bleaches() {
    transfers(&LinkConfig::new().ecn_mark(0.1));
    transfers(&LinkConfig::new().ecn_bleach(true));
}

#[test]
fn a_blackout_of_two_seconds() {
    for seed in 1..=3 {
        let (mut bench, _server) = Bench::with_server(seed);
        let link = LinkConfig::new().rate_bits_per_second(4_000_000);
        bench.network().both(CLIENT.into(), SERVER, link);
        let mut fetch = bench.get("/500000");
        bench.run_until("a part of it", |_| {
            fetch.read_once();
            fetch.body().len() > 100_000
        });
        bench.cut(SERVER, true);
        bench.run_for(2 * SECOND);
        assert!(!fetch.poll());
        bench.cut(SERVER, false);
        bench.finish([&mut fetch]);
        fetch.expect_pattern(500_000);
        assert_eq!(bench.snapshot().lifetime.connections, 1);
    }
}

#[test]
fn handshakes_through_thirty_percent_of_loss() {
    for seed in 1..=6 {
        let (mut bench, _server) = Bench::with_server(seed);
        bench.network().both(CLIENT.into(), SERVER, LinkConfig::new().loss(0.3));
        bench.fetch("/1000").expect_pattern(1000);
        bench.network().both(CLIENT.into(), SERVER, LinkConfig::new());
    }
}

#[test]
fn first_flights_that_are_lost_are_sent_again() {
    for (from, to) in [(CLIENT.into(), SERVER), (SERVER, CLIENT.into())] {
        for count in 1..=4 {
            let (mut bench, _server) = Bench::with_server(1);
            bench.network().lose_next(from, to, count);
            bench.fetch("/1").expect_pattern(1);
            assert!(bench.elapsed() < 20 * SECOND, "{:?}", bench.elapsed());
        }
    }
}

#[test]
fn h20_last_words_that_are_lost_keep_nothing_alive() {
    let (mut bench, server) = Bench::with_server(1);
    bench.fetch("/1").expect_pattern(1);
    bench.run_for(SECOND);
    bench.cut(SERVER, true);
    bench.close_persistent_connections();
    let waited = bench.run_until_empty();
    assert!(waited < SECOND, "{waited:?}");
    assert!(server.look(|server| server.closed.is_empty()));
}

#[test]
fn a_client_whose_address_changes_goes_on() {
    let (mut bench, _server) = Bench::with_server(1);
    let mut fetch = bench.get("/drip/100/10/500");
    bench.run_until("the head arrives", |_| fetch.poll_head());
    let local = (CLIENT, 49152).into();
    bench.network().rebind(local, (CLIENT, 60000).into()).unwrap();
    // The server hears of the new address with the next packet.
    let mut other = bench.get("/1");
    bench.finish([&mut fetch, &mut other]);
    fetch.expect_pattern(100);
    other.expect_pattern(1);
    assert_eq!(bench.snapshot().lifetime.connections, 1);
}

#[test]
fn ten_minutes_of_waiting_cost_a_few_pings() {
    let (mut bench, server) = Bench::with_server(1);
    let mut fetch = bench.get("/silent");
    bench.run_for(10 * MINUTE);
    assert!(!fetch.poll());
    let service = bench.snapshot().service;
    assert!(service.turns < 1000, "{} turns", service.turns);
    assert!(service.traffic.datagrams_sent < 500, "{} datagrams", service.traffic.datagrams_sent);
    assert_eq!(server.look(Http3ServerPeer::connections), 1);
    bench.fetch("/1").expect_pattern(1);
    assert_eq!(bench.snapshot().lifetime.connections, 1);
}

#[test]
fn short_idle_timeouts_of_the_server_are_respected() {
    let mut bench = Bench::new(1);
    let five = |parameters: ConnectionParameters| parameters.idle_timeout(Duration::from_secs(5));
    bench.http3_server(SERVER, five);
    bench.fetch("/1").expect_pattern(1);
    let waited = bench.run_until_empty();
    assert!((4 * SECOND..8 * SECOND).contains(&waited), "{waited:?}");
    // While a request is open, PINGs keep even that one.
    bench.fetch("/drip/20/10/20000").expect_pattern(20);
    assert_eq!(bench.snapshot().lifetime.connections, 2);
}
