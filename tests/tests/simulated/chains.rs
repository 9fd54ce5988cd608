//! The chains of calls through the layers, in necko's order.
//!
//! Only the client's steps are recorded, turn by turn, so that each chain is exact from its first step on.

use socket_transport::walk::Step::{self, *};
use tests::simulated::{Bench, MS, SECOND, SERVER};
use transaction::pipe::CAPACITY;

/// The chain begins like this.
#[track_caller]
fn assert_begins(steps: &[Step], expected: &[Step]) {
    assert!(steps.starts_with(expected), "expected {expected:?}, but it was {steps:?}");
}

/// These steps occur in this order, with others in between.
#[track_caller]
fn assert_in_order(steps: &[Step], expected: &[Step]) {
    let mut rest = steps.iter();
    for step in expected {
        assert!(rest.any(|other| other == step), "no {step} in its place: {steps:?}");
    }
}

#[test]
fn a_packet_is_read_through_all_layers_in_order() {
    let (mut bench, server) = Bench::with_raw(1);
    let mut fetch = bench.get("/");
    bench.run_until("the request arrives", |_| server.look(|server| server.requests() == 1));
    server.tell(|server, _| server.connection().head(0, &[(":status", "200")]));
    bench.run_for(SECOND);
    assert!(fetch.poll_head());

    server.tell(|server, _| server.connection().data(0, b"a body"));
    let steps = bench.record(|bench| {
        bench.run_until("the body arrives", |_| fetch.read_once().is_some());
    });
    assert_eq!(
        steps,
        [
            OnSocketReady,
            OnPacketReceived,
            RecvData,
            ProcessSlowConsumers,
            ProcessInput,
            ProcessEvents,
            WriteSegments,
            SendData,
            ReadyForWrite,
            ProcessOutput,
            ProcessEvents,
        ]
    );
    assert_eq!(fetch.body(), b"a body");
    server.tell(|server, _| server.connection().finish(0));
    bench.finish([&mut fetch]);
}

#[test]
fn a_request_is_sent_through_all_layers_in_order() {
    let (mut bench, _server) = Bench::with_server(2);
    bench.fetch("/1").expect_pattern(1);
    bench.run_for(SECOND);

    let mut fetch = bench.get("/2");
    let steps = bench.record(|bench| bench.run_for(MS));
    assert_begins(
        &steps,
        &[Activate, SendData, ReadyForWrite, ReadSegments, ProcessOutput, ProcessEvents],
    );
    bench.finish([&mut fetch]);
    fetch.expect_pattern(2);
}

#[test]
fn the_timer_drives_output_and_then_events() {
    let (mut bench, _server) = Bench::with_server(3);
    bench.fetch("/1").expect_pattern(1);
    bench.run_for(SECOND);
    bench.cut(SERVER, true);
    let mut fetch = bench.get("/2");
    bench.run_for(MS);

    // Nothing comes back, so whatever happens now the timer does: it sends the request again.
    let steps = bench.record(|bench| bench.run_for(3 * SECOND));
    assert!(!steps.is_empty());
    for turn in steps.chunks(3) {
        assert_eq!(turn, [OnQuicTimeoutExpired, ProcessOutput, ProcessEvents]);
    }
    bench.cut(SERVER, false);
    bench.finish([&mut fetch]);
    fetch.expect_pattern(2);
}

#[test]
fn a_slow_consumer_that_reads_is_served_before_new_packets() {
    let (mut bench, _server) = Bench::with_server(4);
    let mut fetch = bench.get("/1000000");
    bench.run_until("the head arrives", |_| fetch.poll_head());
    bench.run_for(5 * SECOND);

    // Enough to be worth a wake-up: more than half of the pipe.
    while fetch.body().len() < CAPACITY * 3 / 4 {
        assert!(fetch.read_once().is_some());
    }
    let steps = bench.record(|bench| bench.run_for(MS));
    assert_begins(
        &steps,
        &[
            TransactionHasDataToRecv,
            RecvData,
            ProcessSlowConsumers,
            WriteSegments,
            ProcessInput,
            ProcessEvents,
            SendData,
            ReadyForWrite,
            ProcessOutput,
            ProcessEvents,
        ],
    );
    bench.finish([&mut fetch]);
    fetch.expect_pattern(1_000_000);
}

#[test]
fn the_handles_last_reference_posts_the_reclaim_and_the_connection_is_gone() {
    let (mut bench, _server) = Bench::with_server(5);
    bench.fetch("/1").expect_pattern(1);
    assert_eq!((bench.snapshot().handles, bench.snapshot().connections()), (1, 1));

    let steps = bench.record(|bench| {
        bench.close_persistent_connections();
        bench.run_until_empty();
    });
    assert_in_order(&steps, &[SendData, ReadyForWrite, ProcessOutput]);
    assert_in_order(
        &steps,
        &[
            OnQuicTimeoutExpired,
            ProcessOutput,
            ProcessEvents,
            CloseTransaction,
            HandleDropped,
            ReclaimConnection,
            ProcessPendingQueue,
        ],
    );
    for once in [CloseTransaction, HandleDropped, ReclaimConnection] {
        assert_eq!(steps.iter().filter(|step| **step == once).count(), 1, "{once}: {steps:?}");
    }
    assert_eq!(steps.last(), Some(&ProcessPendingQueue), "{steps:?}");
    let snapshot = bench.snapshot();
    assert_eq!(snapshot.expect_empty(), Ok(()));
    assert_eq!((snapshot.lifetime.connections, snapshot.lifetime.reclaimed), (1, 1));
    assert_eq!(bench.engines(), 0);
}

#[test]
fn a_new_connection_asks_about_its_certificate_between_two_turns() {
    let (mut bench, _server) = Bench::with_server(6);
    bench.network().job_delay(50 * MS);
    let mut fetch = bench.get("/1");
    bench.run_until("a certificate is being verified", |client| {
        client.call(|_, ctx| ctx.snapshot()).jobs_in_flight == 1 && {
            let entries = client.call(|mgr, ctx| mgr.snapshot(ctx)).entries;
            entries[0].half_open != connection_mgr::HalfOpenState::Resolving
        }
    });
    // The engine waits; the verdict comes as an event, whose answer `send_data` gives the engine.
    bench.run_until("it has been", |client| {
        client.call(|_, ctx| ctx.snapshot()).jobs_in_flight == 0
    });
    let steps = bench.record(|bench| bench.run_for(MS));
    assert_begins(&steps, &[SendData, ReadyForWrite, ProcessOutput, ProcessEvents]);
    bench.finish([&mut fetch]);
    fetch.expect_pattern(1);
    assert_eq!(bench.verifications(), 1);
}
