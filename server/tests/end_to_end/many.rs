//! A thousand downloads at once.

use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use crate::common::Fixture;
use server::byte_at;

const CONNECTIONS: usize = 10;
const STREAMS: u64 = 100;
/// Less than the megabyte that it is in the test with separate processes: this one runs in debug
/// builds, where ten clients on the same engine share the machine with the server. It is more than a
/// small chunk, so that the bound on memory is tested, and not the size of the files.
const LENGTH: u64 = 128 * 1024;
/// All sources together: chunks are large until they hold 32 MiB, and then 32 KiB for each transfer.
const MOST_MEMORY: usize = 32 * 1024 * 1024 + 1000 * 32 * 1024;

#[test]
fn a_thousand_downloads_at_once() {
    let server = Fixture::new();
    let bytes: Vec<u8> = (0..LENGTH).map(byte_at).collect();
    fs::write(server.root().join("f"), bytes).unwrap();
    let generated = format!("/bytes/{LENGTH}");
    let running = AtomicUsize::new(CONNECTIONS);
    let (mut most_transfers, mut most_memory) = (0, 0);
    thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(|| {
                let mut client = server.client_with(|config| {
                    config.set_initial_max_stream_data_bidi_local(10_000);
                });
                // Nobody reads before all have asked.
                client.paused = true;
                let paths = ["/f", generated.as_str()];
                let streams: Vec<u64> =
                    (0..STREAMS).map(|n| client.get(paths[(n % 2) as usize])).collect();
                client.drive("all to have asked", |client| {
                    let all_here = client.answers.values().all(|answer| answer.status() == 200);
                    all_here && server.snapshot().requests.requests == CONNECTIONS as u64 * STREAMS
                });
                client.paused = false;
                for stream in streams {
                    client.answer(stream).assert_pattern(LENGTH);
                }
                client.close();
                running.fetch_sub(1, Ordering::Relaxed);
            });
        }
        while running.load(Ordering::Relaxed) > 0 {
            let snapshot = server.snapshot();
            most_transfers = most_transfers.max(snapshot.transfers);
            most_memory = most_memory.max(snapshot.buffered_bytes);
            thread::park_timeout(std::time::Duration::from_millis(20));
        }
    });
    assert_eq!(most_transfers, 1000);
    assert!(most_memory <= MOST_MEMORY, "{most_memory}");
    let snapshot = server.wait_until_empty();
    assert_eq!(snapshot.responses.completed, 1000);
    assert_eq!(snapshot.responses.body_bytes, 1000 * LENGTH);
    assert_eq!((snapshot.limits.excessive, snapshot.limits.downloads_stalled), (0, 0));
}
