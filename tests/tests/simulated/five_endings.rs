//! The five ways in which a connection ends, each told from its cause to the moment when nothing is left.
//!
//! They are necko's own: <https://bugzilla.mozilla.org/show_bug.cgi?id=1622861> lists them for
//! `Http3Session`, with the calls of each. All of them come to the same two steps of the session, and the
//! differences are what comes before, what the server is told, and what happens in between:
//!
//! ```text
//!                                         session:  Connected ──► Closing ──────────► Closed
//!   1  socket error                                        └─ at once ─────────────────┘  server hears nothing
//!   2  shutdown of the handler                             └─ a last flight, at once ──┘  CONNECTION_CLOSE
//!   3  error of the engine, or of the peer                 └─ closing period ──────────┘  CONNECTION_CLOSE
//!   4  idle timeout                                        └─ at once ─────────────────┘  nothing: it is over
//!   5  closed by necko, without shutdown                   └─ closing period ──────────┘  CONNECTION_CLOSE
//!
//!   session_close     Connected ► Closing   every stream ends: its transaction fails, or goes again
//!   session_closed    Closing ► Closed      timer, commands and the connection's handle are let go
//!    └ handle_dropped       posts the reclaim: an event, so that it never runs inside of what drops it
//!   connection_close        the timer is removed, the socket's condition is set
//!   on_socket_detached      the service has closed the descriptor
//!    └ on_stop_listening    what the connection hears of it; there is no session any more, so: nothing
//!   reclaim_connection      out of the table and of every list
//!    └ process_pending_queue  whoever waits in its entry has its turn
//! ```
//!
//! The closing period (RFC 9000 §10.2) is three probe timeouts long. In it the connection keeps its socket,
//! to say `CONNECTION_CLOSE` again if the server goes on talking; it is off the active list already, so that
//! the next request does not wait for it.

use socket_transport::walk::Step::{self, *};
use tests::simulated::{Bench, Fetch, Http3ServerPeer, MS, Peer, SECOND};
use transaction::{ErrorCode, NetError};

/// What is alive, in one line.
fn alive(bench: &mut Bench) -> String {
    let snapshot = bench.snapshot();
    let connections = snapshot.entries.iter().flat_map(|entry| &entry.connections);
    let connections = connections.map(|connection| {
        let list = if connection.active { "active" } else { "draining" };
        match &connection.session {
            Some(session) => {
                let state = session.state;
                let (streams, handle) = (session.streams, session.handle);
                format!("{list}: {state:?}, {streams} streams, handle: {handle}; ")
            }
            None => format!("{list}: no session; "),
        }
    });
    let connections: String = connections.collect();
    let (sockets, timers) = (snapshot.service.sockets, snapshot.service.timers);
    format!("{connections}{sockets} sockets, {timers} timers, {} handles", snapshot.handles)
}

const RUNNING: &str = "active: Connected, 1 streams, handle: true; 1 sockets, 1 timers, 1 handles";
const IDLE: &str = "active: Connected, 0 streams, handle: true; 1 sockets, 1 timers, 1 handles";
const CLOSING: &str = "draining: Closing, 0 streams, handle: true; 1 sockets, 1 timers, 1 handles";
const NOTHING: &str = "0 sockets, 0 timers, 0 handles";

/// A connection with a response that is half there.
fn running(seed: u64) -> (Bench, Peer<Http3ServerPeer>, Fetch) {
    let (mut bench, server) = Bench::with_server(seed);
    let mut fetch = bench.get("/drip/100/10/1000");
    bench.run_until("the head arrives", |_| fetch.poll_head());
    bench.run_for(SECOND / 10);
    assert_eq!(alive(&mut bench), RUNNING);
    (bench, server, fetch)
}

/// A connection that has nothing to do.
fn idle(seed: u64) -> (Bench, Peer<Http3ServerPeer>) {
    let (mut bench, server) = Bench::with_server(seed);
    bench.fetch("/1").expect_pattern(1);
    bench.run_for(SECOND);
    assert_eq!(alive(&mut bench), IDLE);
    (bench, server)
}

/// The steps of all that happens until nothing is left.
fn until_nothing_is_left(bench: &mut Bench) -> Vec<Step> {
    let steps = bench.record(|bench| {
        bench.run_until_empty();
    });
    assert_eq!(alive(bench), NOTHING);
    let lifetime = bench.snapshot().lifetime;
    assert_eq!((lifetime.connections, lifetime.reclaimed, bench.engines()), (1, 1, 0));
    steps
}

/// What the server knows of the ends of its connections.
fn server_heard(server: &Peer<Http3ServerPeer>) -> usize {
    server.look(|server| server.closed.len())
}

/// The descriptor can't be read any more: nobody is told anything, because there is nothing to tell it with.
#[test]
fn ending_1_a_socket_error() {
    let (mut bench, server, mut fetch) = running(1);
    let client = "10.0.0.1:49152".parse().unwrap();
    bench.network().fail_next_receive(client, std::io::ErrorKind::PermissionDenied);

    let steps = until_nothing_is_left(&mut bench);
    assert_eq!(
        steps,
        [
            // The socket is ready: with an error, which only reading it brings to light.
            OnSocketReady,
            OnPacketReceived,
            RecvData,
            ProcessSlowConsumers,
            ProcessInput,
            // The driver answers Outcome::Close. There is no closing period without a socket.
            CloseTransaction,
            SessionClose,
            CloseStream,
            SessionClosed,
            HandleDropped,
            ConnectionClose,
            // Closed in its own callback, so detached in the same turn, and only then come the events.
            OnSocketDetached,
            OnStopListening,
            ReclaimConnection,
            ProcessPendingQueue,
        ]
    );
    assert!(fetch.poll());
    assert!(matches!(fetch.error(), NetError::PartialTransfer { .. }), "{:?}", fetch.error());
    assert_eq!(server_heard(&server), 0);
}

/// The handler ends: the server is told, and nothing is waited for.
#[test]
fn ending_2_shutdown() {
    let (mut bench, server, mut fetch) = running(2);

    let steps = bench.record(Bench::shutdown);
    assert_eq!(
        steps,
        [
            CloseTransaction,
            SessionClose,
            CloseStream,
            // One last drive, so that CONNECTION_CLOSE leaves.
            SendData,
            CloseEngine,
            ReadyForWrite,
            ProcessOutput,
            ProcessEvents,
            // The manager doesn't wait for the engine, and the service not for the reclaim: it has stopped
            // taking events, and the manager has emptied its table itself.
            SessionClosed,
            HandleDropped,
            ConnectionClose,
            OnSocketDetached,
        ]
    );
    assert_eq!(alive(&mut bench), NOTHING);
    assert!(fetch.poll());
    assert_eq!(fetch.error(), &NetError::ShuttingDown);
    bench.run_for(SECOND);
    assert_eq!(server_heard(&server), 1, "it was told");
}

/// The server closes with an error, which the engine reports: first that it is closing, then that it is over.
#[test]
fn ending_3_an_error_of_the_engine() {
    let (mut bench, server, mut fetch) = running(3);
    server.tell(|server, now| server.close(ErrorCode::INTERNAL_ERROR.value(), now));

    let steps = bench.record(|bench| {
        bench.run_until("the response has ended", |_| fetch.poll());
        bench.run_for(MS);
    });
    assert_eq!(
        steps,
        [
            // The packet with CONNECTION_CLOSE. The engine reports that it is closing.
            OnSocketReady,
            OnPacketReceived,
            RecvData,
            ProcessSlowConsumers,
            ProcessInput,
            ProcessEvents,
            CloseTransaction,
            SessionClose,
            CloseStream,
            // The posted wake-up: the engine is told as well, which changes nothing any more.
            SendData,
            CloseEngine,
            ReadyForWrite,
            ProcessOutput,
            ProcessEvents,
        ]
    );
    assert_eq!(alive(&mut bench), CLOSING);
    let NetError::PartialTransfer { reason, .. } = fetch.error() else {
        panic!("{:?}", fetch.error())
    };
    assert!(reason.contains("H3_INTERNAL_ERROR"), "{reason}");

    // The server answers that with its CONNECTION_CLOSE again: a late packet, which is read, and is all that
    // happens before the closing period is over.
    let mut steps = until_nothing_is_left(&mut bench);
    let end = steps.split_off(steps.len() - END_OF_THE_CLOSING_PERIOD.len());
    assert_eq!(
        steps,
        [
            OnSocketReady,
            OnPacketReceived,
            RecvData,
            ProcessSlowConsumers,
            ProcessInput,
            ProcessEvents,
            SendData,
            ReadyForWrite,
            ProcessOutput,
            ProcessEvents,
        ]
    );
    assert_eq!(end, END_OF_THE_CLOSING_PERIOD);
}

/// The closing period is over: the engine's timer says so, and the rest follows.
const END_OF_THE_CLOSING_PERIOD: [Step; 11] = [
    OnQuicTimeoutExpired,
    ProcessOutput,
    ProcessEvents,
    CloseTransaction,
    SessionClosed,
    HandleDropped,
    ConnectionClose,
    // Closed by an event, so detached in the next turn, which begins with that: before the reclaim, though it
    // was posted first.
    OnSocketDetached,
    OnStopListening,
    ReclaimConnection,
    ProcessPendingQueue,
];

/// Nothing came for as long as both sides had agreed on: the connection is over, and nobody is told.
#[test]
fn ending_4_a_timeout() {
    let (mut bench, server) = idle(4);

    let start = bench.elapsed();
    let mut steps = until_nothing_is_left(&mut bench);
    assert!((27 * SECOND..32 * SECOND).contains(&bench.since(start)));
    let last = steps.split_off(steps.len() - 12);
    assert_eq!(
        last,
        [
            OnQuicTimeoutExpired,
            ProcessOutput,
            ProcessEvents,
            // The engine has ended without closing: the session's two steps are one.
            CloseTransaction,
            SessionClose,
            SessionClosed,
            HandleDropped,
            ConnectionClose,
            OnSocketDetached,
            OnStopListening,
            ReclaimConnection,
            ProcessPendingQueue,
        ]
    );
    // Before that nothing happened but that the engine looked at the clock.
    for turn in steps.chunks(3) {
        assert_eq!(turn, [OnQuicTimeoutExpired, ProcessOutput, ProcessEvents]);
    }
    assert_eq!(bench.snapshot().service.traffic.datagrams_sent, {
        let counts = bench.network().counts([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        counts.sent
    });
    bench.run_for(SECOND);
    assert!(server_heard(&server) <= 1, "its own timeout, if it has come to it");
}

/// The connection must not be used again, and has nothing to do: it closes in good order.
#[test]
fn ending_5_closed_without_shutdown() {
    let (mut bench, server) = idle(5);
    bench.close_persistent_connections();

    let steps = bench.record(|bench| bench.run_for(MS));
    assert_eq!(
        steps,
        [
            // `dont_reuse` posts `send_data`, before whose output the session sees that it is drained.
            SendData,
            ReadyForWrite,
            ProcessOutput,
            SessionClose,
            CloseEngine,
            ProcessEvents,
        ]
    );
    assert_eq!(alive(&mut bench), CLOSING);
    bench.run_for(20 * MS);
    assert_eq!(server_heard(&server), 1, "it was told");

    let steps = until_nothing_is_left(&mut bench);
    assert_eq!(steps, END_OF_THE_CLOSING_PERIOD);
}
