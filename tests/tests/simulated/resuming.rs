//! Connections that go on from earlier ones, and requests that don't wait for the handshake: on the real engine,
//! with a server that is neqo's. (Odd orders are played by `scripted_engine::early_data`.)

use std::time::Duration;

use http::Method;
use http3_session::SessionSnapshot;
use tests::simulated::{
    Ask, Bench, Fetch, HOST, Http3ServerPeer, MS, Peer, SECOND, SERVER, SERVER_V6, Setup,
};
use transaction::{EarlyData, Isolation};

/// neqo's servers take no early data for so long: whatever comes first could be a replay.
const ANTI_REPLAY: Duration = Duration::from_secs(11);

/// A client that has a token of a server that takes no early data yet.
fn with_token(setup: Setup) -> (Bench, Peer<Http3ServerPeer>) {
    let mut bench = setup.build();
    let server = bench.http3_server(SERVER, |parameters| parameters);
    get_token(&mut bench);
    (bench, server)
}

/// A client that has a token, and the server takes early data.
fn ready(seed: u64) -> (Bench, Peer<Http3ServerPeer>) {
    let (mut bench, server) = with_token(Setup::new(seed));
    bench.run_for(ANTI_REPLAY);
    (bench, server)
}

fn get_token(bench: &mut Bench) {
    bench.fetch("/token").result().unwrap();
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

fn ask(bench: &mut Bench, ask: Ask) -> Fetch {
    let mut fetch = bench.ask(ask);
    bench.finish([&mut fetch]);
    fetch
}

#[test]
fn early_data_that_is_accepted_saves_a_round_trip_and_the_certificate_is_not_asked_for() {
    let (mut bench, server) = ready(1);
    let start = bench.elapsed();
    let fetch = bench.fetch("/2000");
    let early = bench.since(start);
    fetch.expect_pattern(2000);
    assert_eq!(fetch.early_data(), EarlyData::Accepted);
    assert_eq!(beginning(&mut bench), (true, EarlyData::Accepted));
    assert_eq!(bench.verifications(), 1, "that of the first connection");
    bench.run_for(SECOND);
    assert_eq!(server.look(Http3ServerPeer::connections), 2);
    // And one more in the ordinary way, which has to wait for the handshake.
    close(&mut bench);
    let start = bench.elapsed();
    let post = ask(&mut bench, Ask::post("/post", "x"));
    assert_eq!((post.status(), post.early_data()), (200, EarlyData::NotTried));
    let usual = bench.since(start);
    assert!(early * 3 < usual * 2, "{early:?} and {usual:?}");
}

#[test]
fn h10_early_data_that_is_rejected_goes_again_from_its_first_byte_and_nobody_notices() {
    // The server has not been there for long enough to tell a replay.
    let (mut bench, server) = with_token(Setup::new(2));
    let body = vec![b'x'; 3_000];
    let with_body = Ask::new(Method::GET, "/post").body(body.clone());
    let mut fetches =
        [Ask::get("/2000"), with_body, Ask::new(Method::HEAD, "/4000")].map(|ask| bench.ask(ask));
    bench.finish(&mut fetches);
    fetches[0].expect_pattern(2000);
    for fetch in &fetches {
        assert_eq!((fetch.result(), fetch.early_data()), (Ok(()), EarlyData::Rejected));
    }
    assert_eq!(beginning(&mut bench), (true, EarlyData::Rejected));
    // What it threw away it did not see; what it saw is whole.
    let seen = server.look(|server| server.requests[1..].to_vec());
    assert_eq!(
        seen.iter().map(|seen| seen.path.as_str()).collect::<Vec<_>>(),
        ["/2000", "/post", "/4000"]
    );
    assert_eq!((seen[1].body, seen[1].fin), (body.len() as u64, true));
    let lifetime = bench.snapshot().lifetime;
    assert_eq!((lifetime.connections, lifetime.transactions), (2, 4), "none was restarted");
}

#[test]
fn h10_more_early_data_than_the_server_remembers_room_for_goes_on_or_goes_again() {
    for (seed, wait) in [(3, Duration::ZERO), (4, ANTI_REPLAY)] {
        let mut bench = Bench::new(seed);
        let server = bench.http3_server(SERVER, |parameters| {
            parameters.max_streams(neqo_transport::StreamType::BiDi, 3)
        });
        get_token(&mut bench);
        bench.run_for(wait);
        let mut fetches: Vec<_> = (0..10).map(|n| bench.get(&format!("/{n}"))).collect();
        bench.finish(&mut fetches);
        for (n, fetch) in fetches.iter().enumerate() {
            fetch.expect_pattern(n as u64);
            assert_eq!(server.look(|server| server.count(&format!("/{n}"))), 1);
        }
        let early = |fetch: &&Fetch| fetch.early_data() != EarlyData::NotTried;
        assert_eq!(fetches.iter().filter(early).count(), 3, "the others had no stream");
    }
}

#[test]
fn h9_h11_what_may_not_go_early_waits_in_the_session_and_goes_when_it_is_connected() {
    for (seed, accepted) in [(5, true), (6, false)] {
        let (mut bench, server) = with_token(Setup::new(seed));
        if accepted {
            bench.run_for(ANTI_REPLAY);
        }
        let mut fetches =
            [Ask::post("/post", "abc"), Ask::get("/10"), Ask::new(Method::PUT, "/post")]
                .map(|ask| bench.ask(ask));
        bench.finish(&mut fetches);
        let early = if accepted { EarlyData::Accepted } else { EarlyData::Rejected };
        let told = fetches.each_ref().map(|fetch| (fetch.result(), fetch.early_data()));
        let not = (Ok(()), EarlyData::NotTried);
        assert_eq!(told, [not, (Ok(()), early), not]);
        // All on one connection, and each once.
        assert_eq!(bench.snapshot().lifetime.connections, 2);
        assert_eq!(server.look(|server| server.requests.len()), 4);
    }
}

#[test]
fn h12_a_token_is_used_once_and_a_new_one_comes_with_the_new_connection() {
    let (mut bench, _server) = ready(7);
    bench.cut(SERVER, true);
    let mut fetch = bench.get("/1");
    bench.run_for(100 * MS);
    let early = session(&mut bench).early_data;
    assert_eq!((early, bench.snapshot().resumption_tokens), (EarlyData::Sent, 0));
    bench.cut(SERVER, false);
    bench.finish([&mut fetch]);
    fetch.expect_pattern(1);
    bench.run_for(SECOND);
    assert_eq!(bench.snapshot().resumption_tokens, 1);
}

#[test]
fn a_token_that_has_expired_is_not_used() {
    let (mut bench, _server) = ready(8);
    bench.run_for(Duration::from_hours(7 * 24));
    bench.fetch("/1").expect_pattern(1);
    assert_eq!(beginning(&mut bench), (false, EarlyData::NotTried));
    assert_eq!(bench.verifications(), 2);
}

#[test]
fn without_early_data_a_connection_is_resumed_and_requests_wait_for_it() {
    let setup = Setup::new(9).settings(|settings| settings.early_data = false);
    let (mut bench, _server) = with_token(setup);
    bench.run_for(ANTI_REPLAY);
    let fetch = bench.fetch("/1");
    fetch.expect_pattern(1);
    assert_eq!(fetch.early_data(), EarlyData::NotTried);
    assert_eq!(beginning(&mut bench), (true, EarlyData::NotTried));
    assert_eq!(bench.verifications(), 1);
}

#[test]
fn without_resumption_nothing_is_kept() {
    let mut bench = Setup::new(10).settings(|settings| settings.resumption = false).build();
    bench.http3_server(SERVER, |parameters| parameters);
    for n in 1..=2 {
        bench.fetch("/1").expect_pattern(1);
        assert_eq!(beginning(&mut bench), (false, EarlyData::NotTried));
        close(&mut bench);
        assert_eq!((bench.snapshot().resumption_tokens, bench.verifications()), (0, n));
    }
}

#[test]
fn what_is_kept_apart_does_not_go_on_from_the_others_connection() {
    let (mut bench, _server) = ready(11);
    let isolation = Isolation { partition: "site.test".into(), ..Isolation::default() };
    let isolated = || Ask::get("/1").isolated(isolation.clone());
    ask(&mut bench, isolated()).expect_pattern(1);
    assert_eq!(beginning(&mut bench), (false, EarlyData::NotTried));
    close(&mut bench);
    assert_eq!(bench.snapshot().resumption_tokens, 2);
    ask(&mut bench, isolated()).expect_pattern(1);
    assert_eq!(beginning(&mut bench), (true, EarlyData::Accepted));
}

#[test]
fn a_425_is_asked_for_again_after_the_handshake_once_and_a_second_one_is_delivered() {
    let (mut bench, server) = ready(12);
    server.tell(|server, _| server.too_early = 1);
    let fetch = bench.fetch("/10");
    fetch.expect_pattern(10);
    assert_eq!(fetch.early_data(), EarlyData::TooEarly);
    assert_eq!(server.look(|server| server.count("/10")), 2);
    let snapshot = bench.snapshot();
    assert_eq!(snapshot.lifetime.connections, 2, "the same one");
    // One that was not early is an answer.
    server.tell(|server, _| server.too_early = 1);
    let fetch = bench.fetch("/11");
    assert_eq!((fetch.result(), fetch.status()), (Ok(()), 425));
    close(&mut bench);

    server.tell(|server, _| server.too_early = 2);
    let fetch = bench.fetch("/12");
    assert_eq!((fetch.status(), fetch.early_data()), (425, EarlyData::TooEarly));
    assert_eq!(server.look(|server| server.count("/12")), 2);
}

#[test]
fn early_data_is_no_answer_and_does_not_win_a_race() {
    let mut bench = Bench::new(14);
    bench.http3_server(SERVER, |parameters| parameters);
    bench.silent_server(SERVER_V6);
    get_token(&mut bench);
    bench.run_for(ANTI_REPLAY);
    // Now the host has another address, which comes first and is dead.
    bench.name(HOST, [SERVER_V6, SERVER]);
    let start = bench.elapsed();
    let mut fetches = [bench.get("/1"), bench.get("/2"), bench.ask(Ask::post("/post", "abc"))];
    bench.run_for(100 * MS);
    let snapshot = bench.snapshot();
    let session = session(&mut bench);
    assert_eq!((session.early_data, session.streams), (EarlyData::Sent, 3));
    let racing = snapshot.entries[0].half_open == connection_mgr::HalfOpenState::Racing;
    assert!(racing && snapshot.coalescable == 0, "{snapshot:#?}");
    bench.finish(&mut fetches);
    assert!(bench.since(start) < 500 * MS, "{:?}", bench.since(start));
    for fetch in &fetches {
        assert_eq!((fetch.result(), fetch.status()), (Ok(()), 200));
        assert_eq!(fetch.early_data(), EarlyData::NotTried, "it went again");
    }
    let snapshot = bench.snapshot();
    assert_eq!((snapshot.connections(), snapshot.handles, bench.engines()), (1, 1, 1));
}

#[test]
fn a_dead_server_fails_requests_that_went_early_as_it_fails_others() {
    let (mut bench, _server) = ready(15);
    bench.cut(SERVER, true);
    let mut fetches = [bench.get("/1"), bench.ask(Ask::post("/post", "abc"))];
    bench.finish(&mut fetches);
    for fetch in &fetches {
        assert!(matches!(fetch.error(), transaction::NetError::NetTimeout(_)), "{fetch:?}");
    }
}

#[test]
fn requests_that_went_early_can_be_cancelled_and_shut_down_as_others() {
    let (mut bench, server) = ready(16);
    let mut fetches = vec![bench.get("/1"), bench.get("/2"), bench.ask(Ask::post("/post", "a"))];
    bench.run_for(2 * MS);
    assert_eq!(session(&mut bench).streams, 3);
    fetches.truncate(1);
    bench.finish(&mut fetches);
    fetches[0].expect_pattern(1);
    bench.run_for(SECOND);
    assert_eq!(server.look(|server| server.count("/post")), 0);

    close(&mut bench);
    let mut fetch = bench.get("/3");
    bench.run_for(2 * MS);
    assert_eq!(session(&mut bench).early_data, EarlyData::Sent);
    bench.shutdown();
    bench.finish([&mut fetch]);
    assert_eq!(fetch.error(), &transaction::NetError::ShuttingDown);
}

#[test]
fn another_host_joins_a_resumed_connection_only_if_what_is_left_of_its_chain_proves_it() {
    let (mut bench, _server) = ready(17);
    let sibling = format!("sibling.{HOST}");
    bench.name(&sibling, [SERVER]);
    bench.name("stranger.example", [SERVER]);
    bench.fetch("/1").expect_pattern(1);
    assert_eq!(bench.verifications(), 1);
    // The peers' certificate is the root's own: it needs no other.
    ask(&mut bench, Ask::get("/2").host(&sibling)).expect_pattern(2);
    assert_eq!((bench.verifications(), bench.snapshot().lifetime.connections), (2, 2));
    let fetch = ask(&mut bench, Ask::get("/3").host("stranger.example"));
    assert!(matches!(fetch.error(), transaction::NetError::Certificate { .. }), "{fetch:?}");
    assert_eq!(bench.snapshot().lifetime.connections, 3);
}

#[test]
fn what_a_connection_gave_out_is_kept_at_shutdown_too() {
    let (mut bench, _server) = Bench::with_server(18);
    bench.fetch("/1").expect_pattern(1);
    bench.shutdown();
    assert_eq!(bench.snapshot().resumption_tokens, 1);
}
