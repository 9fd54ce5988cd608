//! Connections that go on from earlier ones, and requests that don't wait for the handshake.

use http3_session::{SessionSnapshot, SessionState};
use tests::simulated::{Ask, Bench, HOST, Http3ServerPeer, MS, Peer, SECOND, SERVER, Setup};
use transaction::EarlyData;

/// neqo's servers take no early data for so long: whatever comes first could be a replay.
const ANTI_REPLAY: std::time::Duration = std::time::Duration::from_secs(11);

/// Has the client fetch once and close, so that it has a token.
fn with_token(seed: u64) -> (Bench, Peer<Http3ServerPeer>) {
    let (mut bench, server) = Bench::with_server(seed);
    get_token(&mut bench);
    (bench, server)
}

fn get_token(bench: &mut Bench) {
    bench.fetch("/1000").expect_pattern(1000);
    close(bench);
    assert_eq!(bench.snapshot().resumption_tokens, 1);
}

fn close(bench: &mut Bench) {
    bench.close_persistent_connections();
    bench.run_until_empty();
}

fn session(bench: &mut Bench) -> SessionSnapshot {
    let snapshot = bench.snapshot();
    let connection = &snapshot.entries[0].connections[0];
    connection.session.clone().expect("a session")
}

/// What the only session says of its beginning.
fn beginning(bench: &mut Bench) -> (bool, EarlyData) {
    let session = session(bench);
    (session.resumed, session.early_data)
}

#[test]
fn early_data_that_is_accepted_saves_a_round_trip_and_the_certificate_is_not_asked_for() {
    let (mut bench, server) = with_token(1);
    bench.run_for(ANTI_REPLAY);
    let verified = bench.verifications();
    let fetch = bench.fetch("/2000");
    fetch.expect_pattern(2000);
    assert_eq!(fetch.early_data(), EarlyData::Accepted);
    assert_eq!(beginning(&mut bench), (true, EarlyData::Accepted));
    assert_eq!(bench.verifications(), verified);
    assert_eq!(server.look(Http3ServerPeer::connections), 2);
}

#[test]
fn h10_early_data_that_is_rejected_goes_again_and_nobody_notices() {
    // The server has not been there for long enough to tell a replay.
    let (mut bench, server) = with_token(2);
    let fetch = bench.fetch("/2000");
    fetch.expect_pattern(2000);
    assert_eq!(fetch.early_data(), EarlyData::Rejected);
    assert_eq!(beginning(&mut bench), (true, EarlyData::Rejected));
    assert_eq!(server.look(|server| server.count("/2000")), 1, "it saw what it took");
}
