//! Bodies of some size over networks that lose packets: every byte is compared, none is kept.

use std::time::Duration;

use socket_transport::simulated::LinkConfig;
use tests::{
    loopback::pattern,
    simulated::{Ask, Bench, CLIENT, MS, SERVER},
};

const MIB: u64 = 1024 * 1024;

/// A way of one millisecond. What a connection takes with loss is in proportion to its round-trip time.
fn link(loss: f64) -> LinkConfig {
    LinkConfig::new().delay(MS).loss(loss)
}

fn bench(loss: f64) -> Bench {
    let (mut bench, _server) = Bench::with_server(1);
    // The handshake is no subject here.
    bench.fetch("/1").expect_pattern(1);
    bench.network().both(CLIENT.into(), SERVER, link(loss));
    bench
}

/// What the links lost must be near to what they were told to lose.
#[track_caller]
fn assert_lost(bench: &Bench, loss: f64) {
    let counts = bench.network().total_counts();
    let [sent, gone] =
        [counts.sent, counts.lost].map(|count| f64::from(u32::try_from(count).unwrap()));
    let share = gone / sent;
    assert!((loss * 0.7..=loss * 1.3).contains(&share), "{share} of the packets were lost");
}

fn download(length: u64, loss: f64) -> Duration {
    let mut bench = bench(loss);
    let then = bench.elapsed();
    let mut fetch = bench.ask(Ask::get(&format!("/{length}")).checked());
    bench.finish([&mut fetch]);
    fetch.expect_pattern(length);
    assert_eq!(bench.snapshot().lifetime.connections, 1);
    assert_lost(&bench, loss);
    bench.since(then)
}

fn upload(length: u64, loss: f64) -> Duration {
    let mut bench = bench(loss);
    let then = bench.elapsed();
    let mut fetch = bench.ask(Ask::post("/upload", pattern::body(length)));
    bench.finish([&mut fetch]);
    assert_eq!(fetch.result(), Ok(()));
    assert_eq!(fetch.header("x-data-received-length"), Some(length.to_string().as_str()));
    assert_eq!(bench.snapshot().lifetime.connections, 1);
    assert_lost(&bench, loss);
    bench.since(then)
}

#[test]
fn a_download_of_64_mib() {
    download(64 * MIB, 0.0);
}

#[test]
fn a_download_of_64_mib_with_a_loss_of_one_percent() {
    download(64 * MIB, 0.01);
}

#[test]
fn a_download_of_64_mib_with_a_loss_of_five_percent() {
    download(64 * MIB, 0.05);
}

#[test]
fn a_download_of_one_mib_with_a_loss_of_twenty_percent() {
    download(MIB, 0.2);
}

#[test]
fn an_upload_of_16_mib_with_a_loss_of_one_percent() {
    upload(16 * MIB, 0.01);
}

#[test]
fn an_upload_of_16_mib_with_a_loss_of_five_percent() {
    upload(16 * MIB, 0.05);
}

#[test]
fn an_upload_of_one_mib_with_a_loss_of_twenty_percent() {
    upload(MIB, 0.2);
}
