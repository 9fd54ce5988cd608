//! What holds at every moment at which nothing is about to happen.

use connection_mgr::{HalfOpenState, Snapshot};
use http3_session::SessionState;

use crate::simulated::Bench;

/// What one pipe may hold, beside what a piece costs.
const PIPE: usize = transaction::pipe::CAPACITY + 64 * 1024;

/// Compares the snapshot with itself and with witnesses that share no code with it. `responses` are those that
/// the program holds, `writers` the request bodies that it writes.
pub(super) fn check(bench: &mut Bench, responses: usize, writers: usize) {
    let snapshot = bench.snapshot();
    if bench.client().is_stopped() {
        assert_eq!(bench.expect_nothing_but_pipes(), Ok(()));
        return;
    }
    let sessions: Vec<_> = connections(&snapshot).filter_map(|one| one.session.as_ref()).collect();
    let open = sessions.iter().filter(|session| session.state != SessionState::Closed).count();
    let holding = sessions.iter().filter(|session| session.handle).count();
    let service = &snapshot.service;
    assert_eq!(bench.engines(), sessions.len(), "engines and sessions: {snapshot:#?}");
    assert_eq!((snapshot.handles, holding), (open, open), "handles and sessions: {snapshot:#?}");
    assert_eq!(service.sockets, open, "sockets and sessions: {snapshot:#?}");
    assert_eq!(bench.sockets().len(), open, "bound sockets and sessions: {snapshot:#?}");
    let half_open =
        snapshot.entries.iter().filter(|entry| entry.half_open != HalfOpenState::Idle).count();
    assert_eq!(service.timers, open + half_open, "timers and who has one: {snapshot:#?}");
    assert_eq!(service.posted_events, 0, "nothing has time to wait: {snapshot:#?}");
    let transactions = bench.transactions();
    assert_eq!(transactions, snapshot.transactions(), "transactions: {snapshot:#?}");
    let pipes = (bench.responses(), bench.request_bodies());
    assert!(pipes.0 <= responses + transactions, "{} response pipes: {snapshot:#?}", pipes.0);
    assert!(pipes.1 <= writers + transactions, "{} request pipes: {snapshot:#?}", pipes.1);
    for entry in &snapshot.entries {
        let active = entry.connections.iter().filter(|one| one.active).count();
        assert!(active <= 1 || active == entry.connecting, "{entry:#?}");
    }
    for session in sessions {
        let streams = session.streams + session.web_transport_streams;
        assert!(session.queued_streams <= streams, "{session:?}");
        let nothing = streams + session.web_transport_sessions == 0;
        assert!(session.state < SessionState::Closing || nothing, "{session:?}");
        assert_eq!((session.ready_for_write, session.commands), (0, 0), "{session:?}");
        assert_eq!(session.slow_consumers_ready_for_read, 0, "{session:?}");
        let most = streams + session.web_transport_sessions;
        assert!(session.buffered <= most * 2 * PIPE, "{session:?}");
    }
    let lifetime = snapshot.lifetime;
    assert!(lifetime.reclaimed <= lifetime.connections, "{snapshot:#?}");
}

fn connections(snapshot: &Snapshot) -> impl Iterator<Item = &connection_mgr::ConnectionSnapshot> {
    snapshot.entries.iter().flat_map(|entry| &entry.connections)
}
