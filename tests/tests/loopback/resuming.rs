//! Connections that go on from earlier ones, with servers of other making: h3 on quinn, and Caddy.

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt as _, path::Path};

use http::{Method, StatusCode};
use necko::{EarlyData, HttpHandler, NetError, Request, Response};
use tests::loopback::{
    Caddy, Client, DEADLINE, Finished, NeckoCommand, QuinnOptions, QuinnServer, ServerEvent,
    TestCa, fetch, lasting_address, read_to_end, wait_until, wait_until_empty,
};

fn server(ca: &TestCa) -> QuinnServer {
    start_at(lasting_address(), ca)
}

fn start_at(address: SocketAddr, ca: &TestCa) -> QuinnServer {
    let options = QuinnOptions::new(ca.localhost());
    QuinnServer::start_with(QuinnOptions { address, early_data: true, ..options })
}

fn get(handler: &HttpHandler, url: &str) -> Response {
    fetch(handler.get(url)).unwrap()
}

/// Fetches a kilobyte, twice; what became of the first as early data, and whether the connection was resumed. (A
/// server gives out what the next one needs when it has heard the end of the handshake. That can be after the
/// response to early data, but is not after the next one.)
fn a_kilobyte(handler: &HttpHandler, server: &QuinnServer) -> (EarlyData, bool) {
    let response = get(handler, &server.url("/1000"));
    let early = response.early_data();
    assert_eq!(read_to_end(response), Ok(1000));
    assert_eq!(read_to_end(get(handler, &server.url("/1000"))), Ok(1000));
    (early, is_resumed(handler))
}

/// Of the only connection.
fn is_resumed(handler: &HttpHandler) -> bool {
    let snapshot = handler.snapshot().unwrap();
    snapshot.entries[0].connections[0].session.as_ref().unwrap().resumed
}

fn close(handler: &HttpHandler) {
    handler.close_persistent_connections().unwrap();
    wait_until_empty(handler);
}

#[test]
fn h10_quinn_takes_early_data_of_whom_it_knows_and_refuses_it_when_it_started_anew() {
    let ca = TestCa::new();
    let mut server = server(&ca);
    let handler = Client::trusting(&ca.file()).to(server.address()).start();
    assert_eq!(a_kilobyte(&handler, &server), (EarlyData::NotTried, false));
    close(&handler);
    for _ in 0..2 {
        assert_eq!(a_kilobyte(&handler, &server), (EarlyData::Accepted, true));
        close(&handler);
    }
    server.die();
    let server = start_at(server.address(), &ca);
    assert_eq!(a_kilobyte(&handler, &server), (EarlyData::Rejected, false));
    let request = |event: &ServerEvent| matches!(event, ServerEvent::Request(_));
    assert_eq!(server.count(request), 2);
    close(&handler);
    assert_eq!(a_kilobyte(&handler, &server), (EarlyData::Accepted, true));
}

#[test]
fn h11_a_post_waits_for_quinns_handshake_also_when_a_get_does_not() {
    let ca = TestCa::new();
    let server = server(&ca);
    let handler = Client::trusting(&ca.file()).to(server.address()).start();
    a_kilobyte(&handler, &server);
    close(&handler);
    let early = handler.get(&server.url("/1000")).unwrap();
    let post = Request::new(Method::POST, &server.url("/echo")).unwrap().body("once");
    let post = fetch(handler.fetch(post)).unwrap();
    assert_eq!((post.status(), post.early_data()), (StatusCode::OK, EarlyData::NotTried));
    assert_eq!(fetch(Ok(early)).unwrap().early_data(), EarlyData::Accepted);
    assert_eq!(handler.snapshot().unwrap().lifetime.connections, 2);
}

#[test]
fn a_server_that_wants_retry_of_whom_it_does_not_know_is_resumed_as_well() {
    let ca = TestCa::new();
    let options =
        QuinnOptions { retry: true, early_data: true, ..QuinnOptions::new(ca.localhost()) };
    let server = QuinnServer::start_with(options);
    let handler = Client::trusting(&ca.file()).to(server.address()).start();
    a_kilobyte(&handler, &server);
    close(&handler);
    let (early, resumed) = a_kilobyte(&handler, &server);
    // With the proof of address that came with the ticket; without, early data goes again after the Retry.
    assert!(resumed && early == EarlyData::Accepted, "{early:?}");
}

#[test]
fn caddy_takes_early_data_of_whom_it_knows_and_refuses_it_when_it_started_anew() {
    let Some(mut caddy) = Caddy::start() else { return };
    caddy.put("file", b"content");
    let handler = Client::trusting(&caddy.ca()).to(caddy.address()).start();
    let fetch_file = |expected: EarlyData, resumed| {
        let response = get(&handler, &caddy.url("/file"));
        let told = (response.status(), response.early_data());
        assert_eq!(told, (StatusCode::OK, expected), "{:#?}", handler.snapshot());
        assert_eq!(response.into_body().wait_chunk().unwrap().unwrap(), "content");
        assert_eq!(is_resumed(&handler), resumed);
        // It comes with a proof of address, and so is told at once; but not always before the second response.
        wait_until(DEADLINE, "a token", || {
            (handler.snapshot().unwrap().resumption_tokens > 0).then_some(())
        });
        close(&handler);
    };
    fetch_file(EarlyData::NotTried, false);
    fetch_file(EarlyData::Accepted, true);
    fetch_file(EarlyData::Accepted, true);
    let url = caddy.url("/file");
    caddy.kill_and_restart();
    let response = get(&handler, &url);
    let told = (response.status(), response.early_data());
    assert_eq!(told, (StatusCode::OK, EarlyData::Rejected), "{:#?}", handler.snapshot());
}

// The session file.

fn run(ca: &Path, server: &QuinnServer, sessions: &Path, options: &[&str]) -> Finished {
    let address = format!("localhost:{0}:127.0.0.1", server.address().port());
    NeckoCommand::fetch()
        .args(["-v", "--resolve", &address, "-o", "/dev/null", "--session-file"])
        .arg(sessions)
        .arg(if options.contains(&"-k") { "-k" } else { "--cacert" })
        .args((!options.contains(&"-k")).then_some(ca))
        .args(options.iter().filter(|option| **option != "-k"))
        .arg(server.url("/1000"))
        .run()
        .expect_success()
}

#[track_caller]
fn expect(finished: &Finished, words: &str) {
    assert!(finished.stderr.contains(words), "{words:?} is not in:\n{}", finished.stderr);
}

#[test]
fn a_session_file_carries_resumption_from_one_run_to_the_next_and_early_data_on_request() {
    let ca = TestCa::new();
    let server = server(&ca);
    let dir = tempfile::tempdir().unwrap();
    let sessions = dir.path().join("sessions");
    let file = ca.file();
    expect(&run(&file, &server, &sessions, &[]), "connected, early data not tried");
    let mode = fs::metadata(&sessions).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    expect(&run(&file, &server, &sessions, &[]), "connected, resumed, early data not tried");
    let early = ["--tls-earlydata"];
    expect(&run(&file, &server, &sessions, &early), "connected, resumed, early data accepted");
    // Another policy may trust less: what was accepted unseen is not resumed by who looks, nor the reverse.
    expect(&run(&file, &server, &sessions, &["-k"]), "connected, early data not tried");
    expect(&run(&file, &server, &sessions, &[]), "connected, resumed");
    let other = TestCa::new();
    let both = dir.path().join("both.pem");
    let pem = [fs::read(&file).unwrap(), fs::read(other.file()).unwrap()].concat();
    fs::write(&both, pem).unwrap();
    expect(&run(&both, &server, &sessions, &[]), "connected, early data not tried");
}

#[test]
fn a_session_file_that_can_not_be_used_is_a_warning_and_no_more() {
    let ca = TestCa::new();
    let server = server(&ca);
    let dir = tempfile::tempdir().unwrap();
    let sessions = dir.path().join("sessions");
    let file = ca.file();
    run(&file, &server, &sessions, &[]);
    let bytes = fs::read(&sessions).unwrap();
    fs::write(&sessions, &bytes[..bytes.len() / 2]).unwrap();
    let finished = run(&file, &server, &sessions, &[]);
    expect(&finished, "necko: warning: the session file ");
    expect(&finished, "is ignored: it is damaged");
    expect(&finished, "connected, early data not tried");
    expect(&run(&file, &server, &sessions, &[]), "connected, resumed");

    let missing = dir.path().join("missing/sessions");
    let finished = run(&file, &server, &missing, &[]);
    expect(&finished, "necko: warning: the session file ");
    assert!(!missing.exists());
}

#[test]
fn a_library_keeps_its_sessions_when_it_is_shut_down() {
    let ca = TestCa::new();
    let server = server(&ca);
    let dir = tempfile::tempdir().unwrap();
    let sessions = dir.path().join("sessions");
    let client = Client::trusting(&ca.file())
        .to(server.address())
        .settings(|settings| settings.session_file = Some(sessions.clone()));
    for expected in [EarlyData::NotTried, EarlyData::Accepted] {
        let handler = client.clone().start();
        assert_eq!(a_kilobyte(&handler, &server).0, expected);
        // With the connection open: what it gave out is kept too.
        handler.shutdown();
        assert_eq!(handler.take_session_file_problem(), None);
        assert_eq!(handler.get(&server.url("/1")).err(), Some(NetError::ShuttingDown));
    }
}
