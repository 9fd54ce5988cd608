//! WebTransport against servers that others wrote, over real sockets.

use std::io::{Read as _, Write as _};

use necko::{
    CertificateHashes, CloseInfo, DatagramOutcome, ErrorCode, HttpHandler, NetError,
    WebTransportRequest, WebTransportSession,
};
use tests::loopback::{
    AioquicServer, Client, DEADLINE, TestCa, WtransportServer, pattern, wait_until,
    wait_until_empty, within,
};

/// An application's code on the wire, by the draft's words.
fn wire(code: u64) -> u64 {
    0x52e4_a40f_a8db + code + code / 0x1e
}

/// A server of other making.
trait Peer: Send {
    fn url(&self, path: &str) -> String;

    /// What it heard that begins like this.
    fn wait_for(&mut self, beginning: &str) -> String;

    fn kill(&mut self);

    /// The SHA-256 of its certificate.
    fn hash(&self) -> [u8; 32];

    /// It ends a session by ending the connection.
    fn closes_connections(&self) -> bool;
}

impl Peer for WtransportServer {
    fn url(&self, path: &str) -> String {
        self.url(path)
    }

    fn wait_for(&mut self, beginning: &str) -> String {
        WtransportServer::wait_for(self, beginning)
    }

    fn kill(&mut self) {
        self.die();
    }

    fn hash(&self) -> [u8; 32] {
        self.hash()
    }

    fn closes_connections(&self) -> bool {
        true
    }
}

impl Peer for AioquicServer {
    fn url(&self, path: &str) -> String {
        self.url(path)
    }

    fn wait_for(&mut self, beginning: &str) -> String {
        AioquicServer::wait_for(self, beginning)
    }

    fn kill(&mut self) {
        AioquicServer::kill(self);
    }

    fn hash(&self) -> [u8; 32] {
        self.hash()
    }

    fn closes_connections(&self) -> bool {
        false
    }
}

/// A server and its client.
struct Bench {
    peer: Box<dyn Peer>,
    handler: HttpHandler,
    ca: TestCa,
}

impl Bench {
    fn wtransport() -> Self {
        let ca = TestCa::new();
        let peer = Box::new(WtransportServer::start(&ca));
        Self { peer, handler: Client::trusting(&ca.file()).start(), ca }
    }

    fn aioquic() -> Option<Self> {
        let ca = TestCa::new();
        let peer = Box::new(AioquicServer::start(&ca)?);
        Some(Self { peer, handler: Client::trusting(&ca.file()).start(), ca })
    }

    #[track_caller]
    fn session(&self, path: &str) -> WebTransportSession {
        let pending = self.handler.web_transport(&self.peer.url(path)).expect("a request");
        pending.wait().expect("a session").0
    }

    /// Nothing is left when the test has let go of everything.
    fn end(self) {
        wait_until_empty(&self.handler);
    }
}

/// The same tests for each server.
macro_rules! for_each_peer {
    ($($test:ident)*) => {
        mod wtransport {
            $(#[test]
            fn $test() {
                super::run(|| Some(super::Bench::wtransport()), super::$test);
            })*
        }

        mod aioquic {
            $(#[test]
            fn $test() {
                super::run(super::Bench::aioquic, super::$test);
            })*
        }
    };
}

fn run(bench: fn() -> Option<Bench>, test: fn(Bench)) {
    within(3 * DEADLINE, move || {
        if let Some(bench) = bench() {
            test(bench);
        }
    });
}

for_each_peer! {
    a_session_is_ready_and_one_is_refused
    a_bidirectional_stream_echoes_100_kb
    a_bidirectional_stream_echoes_32_mib
    unidirectional_streams_go_both_ways
    datagrams_come_back
    the_server_s_own_streams_arrive
    codes_of_aborts_are_told_both_ways
    the_server_closes_with_code_and_words
    the_application_closes_with_code_and_words
    a_certificate_is_trusted_by_its_hash
    nothing_is_left_when_the_server_is_killed
    several_sessions_at_once_are_each_on_their_own
    streams_have_figures
    a_session_is_closed_at_once_and_after_100_ms
    a_redirect_is_an_error_that_says_where_to
}

fn a_session_is_ready_and_one_is_refused(bench: Bench) {
    drop(bench.session("/echo"));
    let refused = bench.handler.web_transport(&bench.peer.url("/reject")).unwrap().wait();
    assert_eq!(refused.unwrap_err(), NetError::WebTransportRefused { status: 404, location: None });
    bench.end();
}

fn echo(session: &WebTransportSession, length: u64) {
    let (mut send, mut receive) = session.open_bi().unwrap().wait().expect("a stream");
    let writer = std::thread::spawn(move || {
        send.write_all(&pattern::body(length)).expect("it is taken");
        send.finish();
    });
    let mut back = Vec::new();
    receive.read_to_end(&mut back).expect("it comes back");
    writer.join().expect("it was written");
    pattern::assert_is(&back, length);
}

fn a_bidirectional_stream_echoes_100_kb(bench: Bench) {
    let session = bench.session("/echo");
    echo(&session, 100_000);
    echo(&session, 100_000);
    drop(session);
    bench.end();
}

fn a_bidirectional_stream_echoes_32_mib(bench: Bench) {
    let session = bench.session("/echo");
    echo(&session, 32 * 1024 * 1024);
    drop(session);
    bench.end();
}

fn unidirectional_streams_go_both_ways(bench: Bench) {
    let session = bench.session("/echo");
    for length in [1, 1000, 100_000] {
        let mut send = session.open_uni().unwrap().wait().expect("a stream");
        send.write_all(&pattern::body(length)).expect("it is taken");
        send.finish();
        let mut back = Vec::new();
        let mut receive = session.wait_accept_uni().expect("the answer");
        receive.read_to_end(&mut back).expect("it comes back");
        pattern::assert_is(&back, length);
    }
    drop(session);
    bench.end();
}

fn datagrams_come_back(mut bench: Bench) {
    let session = bench.session("/echo");
    for length in [2_u16, 100, 1000] {
        let content = vec![7; length.into()];
        // On loopback none is lost for long.
        let back = wait_until(DEADLINE, "a datagram comes back", || {
            let sent = session.track_datagram(content.clone()).expect("it fits");
            assert_eq!(sent.wait(), DatagramOutcome::Sent);
            std::iter::from_fn(|| session.try_recv_datagram()).find(|back| *back == content)
        });
        assert_eq!(back, content);
    }
    let max = session.max_datagram_size();
    assert!(max > 1000, "{max}");
    // The server's own may have to be shorter: it says what came instead.
    let largest = session.track_datagram(vec![7; max]).expect("it fits");
    assert_eq!(largest.wait(), DatagramOutcome::Sent);
    bench.peer.wait_for(&format!("datagram of {max}"));
    let max = session.max_datagram_size();
    let error = session.send_datagram(vec![0; max + 1]).unwrap_err();
    assert_eq!(error, NetError::DatagramTooLarge { size: max + 1, max });
    drop(session);
    bench.end();
}

fn the_server_s_own_streams_arrive(mut bench: Bench) {
    let session = bench.session("/hello");
    session.send_datagram("go").expect("it fits");
    let mut text = String::new();
    session.wait_accept_uni().unwrap().read_to_string(&mut text).expect("text");
    assert_eq!(text, "qwerty");
    let (mut send, mut receive) = session.wait_accept_bi().expect("a stream");
    text.clear();
    receive.read_to_string(&mut text).expect("text");
    assert_eq!(text, "asdfg");
    // aioquic takes what comes on a stream that it opened for frames of HTTP/3.
    if bench.peer.closes_connections() {
        send.write_all(b"answer").expect("it is taken");
        send.finish();
        bench.peer.wait_for("answer answer");
    }
    drop(session);
    bench.end();
}

fn codes_of_aborts_are_told_both_ways(mut bench: Bench) {
    for code in [0, 42, 255] {
        let session = bench.session("/echo");
        // Neither server tells of a stream that is reset before it was looked at.
        let touched = || {
            let (mut send, mut receive) = session.open_bi().unwrap().wait().expect("a stream");
            send.write_all(b"x").expect("it is taken");
            receive.wait_chunk().expect("it comes back");
            (send, receive)
        };
        let (send, receive) = touched();
        send.reset(code);
        bench.peer.wait_for(&format!("reset {}", wire(code.into())));
        drop(receive);
        let (send, receive) = touched();
        receive.stop(code);
        bench.peer.wait_for(&format!("stop {}", wire(code.into())));
        drop((send, session));

        let session = bench.session(&format!("/reset/{}", wire(code.into())));
        let (mut send, mut receive) = session.open_bi().unwrap().wait().expect("a stream");
        send.write_all(b"x").expect("it is taken");
        assert_eq!(receive.wait_chunk(), Err(NetError::StreamReset { code }));
        drop((send, receive, session));
        let session = bench.session(&format!("/stop/{}", wire(code.into())));
        let (mut send, receive) = session.open_bi().unwrap().wait().expect("a stream");
        send.write_all(b"x").expect("it is taken");
        let why = tests::loopback::block_on(DEADLINE, send.stopped());
        assert_eq!(why, NetError::StreamStopped { code });
        drop((send, receive, session));
    }
    bench.end();
}

fn the_server_closes_with_code_and_words(bench: Bench) {
    let session = bench.session("/close/7/done");
    let stream = session.open_bi().unwrap().wait().expect("a stream");
    session.send_datagram("now").expect("it fits");
    let end = session.wait_closed();
    if bench.peer.closes_connections() {
        // It closes the connection, with this code and words that the engine doesn't tell.
        let Err(NetError::Http3Protocol { code, by_peer: true, .. }) = end else {
            panic!("{end:?}")
        };
        assert_eq!(code, ErrorCode::new(7));
    } else {
        assert_eq!(end, Ok(CloseInfo { code: 7, reason: "done".into(), by_peer: true }));
    }
    drop((stream, session));
    bench.end();
}

fn the_application_closes_with_code_and_words(mut bench: Bench) {
    let session = bench.session("/echo");
    session.close(42, "good bye");
    let end = session.wait_closed().expect("its own end");
    assert_eq!(end, CloseInfo { code: 42, reason: "good bye".into(), by_peer: false });
    let told = bench.peer.wait_for("closed");
    if bench.peer.closes_connections() {
        assert!(told.contains("42") || told.contains("closed"), "{told}");
    } else {
        assert_eq!(told, "closed 42 good bye");
    }
    drop(session);
    bench.end();
}

fn a_certificate_is_trusted_by_its_hash(bench: Bench) {
    // A handler that trusts nobody.
    let other = TestCa::new();
    let handler = Client::trusting(&other.file()).start();
    let url = bench.peer.url("/echo");
    let error = handler.web_transport(&url).unwrap().wait().unwrap_err();
    assert!(matches!(error, NetError::Certificate { .. }), "{error:?}");
    let connect = |hash| {
        let request = WebTransportRequest::new(&url).expect("a URL");
        let request = request.certificate_hashes(CertificateHashes::new([hash]));
        handler.connect_web_transport(request).expect("a request").wait()
    };
    let error = connect([0; 32]).unwrap_err();
    assert!(matches!(error, NetError::Certificate { .. }), "{error:?}");
    echo(&connect(bench.peer.hash()).expect("a session").0, 1000);
    wait_until_empty(&handler);
    bench.end();
}

fn nothing_is_left_when_the_server_is_killed(mut bench: Bench) {
    let handler =
        Client::trusting(&bench.ca.file()).idle_timeout(std::time::Duration::from_secs(2)).start();
    let pending = handler.web_transport(&bench.peer.url("/echo")).expect("a request");
    let session = pending.wait().expect("a session").0;
    let (mut send, mut receive) = session.open_bi().unwrap().wait().expect("a stream");
    send.write_all(&pattern::body(50_000)).expect("it is taken");
    session.send_datagram("x").expect("it fits");
    let waits = session.open_uni().expect("an open session");
    receive.wait_chunk().expect("some of it comes back");
    bench.peer.kill();
    let error = session.wait_closed().unwrap_err();
    assert!(
        matches!(
            error,
            NetError::NetTimeout(_) | NetError::NetReset { .. } | NetError::Http3Protocol { .. }
        ),
        "{error:?}"
    );
    let mut rest = Vec::new();
    assert!(receive.read_to_end(&mut rest).is_err());
    assert!(send.write_all(&pattern::body(1_000_000)).is_err());
    let witnesses = [session.witness(), send.witness(), receive.witness()];
    drop((session, send, receive, waits));
    wait_until_empty(&handler);
    assert!(witnesses.iter().all(|witness| !witness.is_alive()));
    bench.end();
}

/// W1: each has a connection of its own.
fn several_sessions_at_once_are_each_on_their_own(bench: Bench) {
    let url = bench.peer.url("/echo");
    let pending: Vec<_> =
        (0..5).map(|_| bench.handler.web_transport(&url).expect("a request")).collect();
    let sessions: Vec<_> =
        pending.into_iter().map(|pending| pending.wait().expect("a session").0).collect();
    assert_eq!(bench.handler.snapshot().expect("it runs").connections(), 5);
    std::thread::scope(|scope| {
        for session in &sessions {
            scope.spawn(|| echo(session, 200_000));
        }
    });
    drop(sessions);
    bench.end();
}

fn streams_have_figures(bench: Bench) {
    let session = bench.session("/echo");
    let (mut send, mut receive) = session.open_bi().unwrap().wait().expect("a stream");
    send.write_all(b"hello").expect("it is taken");
    assert_eq!(receive.wait_chunk().expect("it comes back").as_deref(), Some(&b"hello"[..]));
    // What came back was acknowledged with what came back, or soon after.
    let stats = wait_until(DEADLINE, "it is acknowledged", || {
        Some(send.wait_stats()).filter(|stats| stats.bytes_acknowledged == 5)
    });
    assert_eq!((stats.bytes_written, stats.bytes_sent), (5, 5));
    assert_eq!((stats.bytes_received, stats.bytes_read), (5, 5));
    assert_eq!(tests::loopback::block_on(DEADLINE, receive.stats()).bytes_read, 5);
    drop((send, receive, session));
    bench.end();
}

fn a_session_is_closed_at_once_and_after_100_ms(bench: Bench) {
    for wait in [0, 100] {
        let url = bench.peer.url(&format!("/closeafter/{wait}"));
        let pending = bench.handler.web_transport(&url).expect("a request");
        match pending.wait().and_then(|(session, _)| session.wait_closed()) {
            Ok(info) => assert_eq!((info.code, info.by_peer), (0, true)),
            // It closes the connection, at once even before its answer has left.
            Err(NetError::Http3Protocol { by_peer: true, .. })
                if bench.peer.closes_connections() => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    bench.end();
}

fn a_redirect_is_an_error_that_says_where_to(bench: Bench) {
    let refused = bench.handler.web_transport(&bench.peer.url("/redirect")).unwrap().wait();
    let location = Some("/elsewhere".to_owned());
    match refused.unwrap_err() {
        // wtransport has no redirects.
        NetError::WebTransportRefused { status: 404, .. } if bench.peer.closes_connections() => {}
        error => assert_eq!(error, NetError::WebTransportRefused { status: 302, location }),
    }
    bench.end();
}
