//! A thousand downloads at once.

use std::{sync::Arc, time::Duration};

use necko::{HttpHandler, NetError, PendingResponse};
use tests::loopback::{Client, ServerProcess, pattern};
use tokio::{runtime, sync::Barrier, task::JoinSet, time::timeout};

const CONNECTIONS: usize = 10;
const EACH: usize = 100;
/// Of one body: 1 MiB in release builds. In debug builds 100 KiB, because of their slow encryption.
const LENGTH: u64 = if cfg!(debug_assertions) { 100 << 10 } else { 1 << 20 };
const MEMORY: u64 = 256 << 20;

/// Waits for the head, then until all others have theirs, then reads the body; answers its length.
async fn download(pending: PendingResponse, all_began: Arc<Barrier>) -> Result<u64, NetError> {
    let mut response = pending.await?;
    assert_eq!(response.status(), 200);
    all_began.wait().await;
    let mut check = pattern::Check::new();
    while let Some(piece) = response.body_mut().chunk().await? {
        check.take(&piece);
    }
    Ok(check.length())
}

#[test]
fn a_thousand_downloads_at_once_over_ten_connections() {
    let server = ServerProcess::start();
    let client = Client::trusting(&server.ca()).to(server.address());
    let handlers: Vec<HttpHandler> = (0..CONNECTIONS).map(|_| client.clone().start()).collect();
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.unwrap();
    let url = server.url(&format!("/bytes/{LENGTH}"));
    // None is read before all have begun.
    let all_began = Arc::new(Barrier::new(CONNECTIONS * EACH));
    let mut downloads = JoinSet::new();
    for handler in &handlers {
        for _ in 0..EACH {
            let pending = handler.get(&url).unwrap();
            downloads.spawn_on(download(pending, Arc::clone(&all_began)), runtime.handle());
        }
    }
    let limit = Duration::from_mins(3);
    let lengths = runtime.block_on(async { timeout(limit, downloads.join_all()).await });
    let lengths = lengths.expect("all done within three minutes");
    assert_eq!(lengths.len(), CONNECTIONS * EACH);
    assert!(lengths.iter().all(|length| *length == Ok(LENGTH)), "{lengths:?}");
    for handler in &handlers {
        assert_eq!(handler.snapshot().unwrap().lifetime.connections, 1);
    }
    drop(handlers);
    let totals = server.wait_until_empty();
    let counts = (&totals["connections"], &totals["responses_completed"]);
    assert_eq!(counts, (&CONNECTIONS.into(), &(CONNECTIONS * EACH).into()));
    let peak = server.peak_memory();
    assert!(peak < MEMORY, "the server needed {peak} bytes");
}
