//! Who is accepted as the server, over either transport: one table.

use std::{fmt, net::SocketAddr};

use http::Method;
use necko::{
    Alpn, CertificateHashes, CertificateProblem, NetError, PinnedKeys, Request, Verification,
};
use tests::loopback::{
    Client, Http1Server, Identity, QuinnOptions, QuinnServer, TestCa, fetch, wait_until_empty,
};

/// A server, what is demanded of it, and what comes of that.
struct Row {
    what: &'static str,
    identity: Identity,
    host: &'static str,
    verification: Verification,
    pins: Option<PinnedKeys>,
    /// Otherwise the problem, and words that say which certificate it is about.
    expected: Result<(), (CertificateProblem, &'static str)>,
}

impl Row {
    /// `localhost` is asked for.
    fn new(what: &'static str, identity: Identity, verification: Verification) -> Self {
        Self { what, identity, host: "localhost", verification, pins: None, expected: Ok(()) }
    }

    fn host(self, host: &'static str) -> Self {
        Self { host, ..self }
    }

    fn pins(self, keys: &[[u8; 32]]) -> Self {
        Self { pins: Some(PinnedKeys::new(keys.iter().copied())), ..self }
    }

    fn fails(self, problem: CertificateProblem, words: &'static str) -> Self {
        Self { expected: Err((problem, words)), ..self }
    }
}

fn table(ca: &TestCa, other: &TestCa) -> Vec<Row> {
    let mut rows = names(ca);
    rows.extend(times(ca));
    rows.extend(authorities(ca, other));
    rows.extend(keys(ca, other));
    rows.extend(hashes(ca));
    rows
}

fn roots(ca: &TestCa) -> Verification {
    Verification::RootsFile(ca.file())
}

fn names(ca: &TestCa) -> Vec<Row> {
    use CertificateProblem::WrongHost;
    let row = |what, names: &[&str]| Row::new(what, ca.issue(names), roots(ca));
    vec![
        row("right name", &["localhost"]),
        row("name with the root's dot", &["localhost"]).host("localhost."),
        row("wrong name", &["another.example", "a.example"])
            .fails(WrongHost, "for another.example, a.example"),
        row("wildcard", &["*.test.example"]).host("www.test.example"),
        row("wildcard of another level", &["*.test.example"])
            .host("a.b.test.example")
            .fails(WrongHost, "*"),
        row("IPv4 address", &["192.0.2.1"]).host("192.0.2.1"),
        row("wrong IPv4 address", &["192.0.2.1", "localhost"])
            .host("192.0.2.2")
            .fails(WrongHost, "192.0.2.1, localhost"),
        row("IPv6 address", &["2001:db8::1"]).host("[2001:db8::1]"),
        row("wrong IPv6 address", &["2001:db8::1"])
            .host("[2001:db8::2]")
            .fails(WrongHost, "for 2001:db8::1,"),
        row("more names than anybody wants to read", &["a", "b", "c", "d", "e", "f", "g", "h"])
            .fails(WrongHost, "a, b, c, d, e, f and 2 more"),
    ]
}

fn times(ca: &TestCa) -> Vec<Row> {
    use CertificateProblem::{Expired, NotYetValid};
    vec![
        Row::new("expired", ca.expired(), roots(ca))
            .fails(Expired, "server's certificate for localhost"),
        Row::new("expired, with its dates", ca.expired(), roots(ca))
            .fails(Expired, "from 2020-01-01 to 2020-02-01"),
        Row::new("not yet valid", ca.not_yet_valid(), roots(ca))
            .fails(NotYetValid, "from 2900-01-01"),
        Row::new("expired on the way", ca.below_an_expired_authority(), roots(ca))
            .fails(Expired, "intermediate certificate of 'CN=authority in between'"),
    ]
}

fn authorities(ca: &TestCa, other: &TestCa) -> Vec<Row> {
    use CertificateProblem::UnknownIssuer;
    let extra = |ca: &TestCa| Verification::PlatformRootsAnd(ca.file());
    let issuer = "issued by 'CN=authority of necko's tests'";
    vec![
        Row::new("unknown authority", other.localhost(), roots(ca)).fails(UnknownIssuer, issuer),
        Row::new("not of the platform", ca.localhost(), Verification::PlatformRoots)
            .fails(UnknownIssuer, issuer),
        Row::new("an authority besides the platform's", ca.localhost(), extra(ca)),
        Row::new("unknown besides the platform's", other.localhost(), extra(ca))
            .fails(UnknownIssuer, issuer),
        Row::new("anybody", other.expired(), Verification::DangerAcceptAny).host("www.example"),
    ]
}

fn keys(ca: &TestCa, other: &TestCa) -> Vec<Row> {
    use CertificateProblem::{Expired, UnknownIssuer, WrongHost, WrongKey};
    let (right, wrong) = (ca.localhost(), ca.localhost().key_hash());
    let key = right.key_hash();
    let row = |what| Row::new(what, right.copy(), roots(ca));
    let stranger = other.localhost();
    let strangers = stranger.key_hash();
    let expired = ca.expired();
    let old = expired.key_hash();
    let any = Verification::DangerAcceptAny;
    vec![
        row("right key").pins(&[key]),
        row("one of two keys").pins(&[wrong, key]),
        row("wrong key").pins(&[wrong]).fails(WrongKey, "sha256//"),
        row("no key").pins(&[]).fails(WrongKey, "server's certificate for localhost"),
        row("right key for a wrong host").pins(&[key]).host("a.example").fails(WrongHost, "::1"),
        Row::new("right key, unknown authority", stranger.copy(), roots(ca))
            .pins(&[strangers])
            .fails(UnknownIssuer, "authority"),
        Row::new("right key, expired", expired, roots(ca)).pins(&[old]).fails(Expired, "2020"),
        Row::new("right key, anybody", stranger.copy(), any.clone()).pins(&[strangers]),
        Row::new("wrong key, anybody", stranger, any).pins(&[wrong]).fails(WrongKey, "localhost"),
    ]
}

fn hashes(ca: &TestCa) -> Vec<Row> {
    let trust = |hashes: &[[u8; 32]]| {
        Verification::Certificates(CertificateHashes::new(hashes.iter().copied()))
    };
    let (expired, wrong) = (ca.expired(), ca.localhost().hash());
    let hash = expired.hash();
    vec![
        Row::new("right hash, otherwise nothing", expired.copy(), trust(&[hash]))
            .host("www.example"),
        Row::new("one of two hashes", expired.copy(), trust(&[wrong, hash])),
        Row::new("right hash, wrong key", expired.copy(), trust(&[hash]))
            .pins(&[wrong])
            .fails(CertificateProblem::WrongKey, "localhost"),
        Row::new("wrong hash", ca.localhost(), trust(&[wrong]))
            .fails(CertificateProblem::UnknownHash, "for localhost, 127.0.0.1, ::1"),
    ]
}

/// A column of the table.
#[derive(Clone, Copy, Debug)]
enum Column {
    Http3,
    Http11,
}

/// What runs for a row.
enum Server {
    Http3(QuinnServer),
    Http11(Http1Server),
}

impl Server {
    fn start(column: Column, identity: Identity) -> Self {
        match column {
            Column::Http3 => Self::Http3(QuinnServer::start_with(QuinnOptions::new(identity))),
            Column::Http11 => Self::Http11(Http1Server::start(identity, |connection| {
                while connection.read_request().is_some() {
                    connection.respond(b"x");
                }
            })),
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Http3(server) => server.address(),
            Self::Http11(server) => server.address(),
        }
    }
}

fn check(row: &Row, column: Column) {
    let server = Server::start(column, row.identity.copy());
    let client = Client::verifying(row.verification.clone()).pinning(row.pins.clone());
    let handler = client.through(server.address()).start();
    let url = format!("https://{}/1", row.host);
    let alpn = match column {
        Column::Http3 => Alpn::Http3,
        Column::Http11 => Alpn::Http11,
    };
    let request = Request::new(Method::GET, &url).expect("a URL").version(alpn);
    let case: &dyn fmt::Display = &format!("{column:?}, {}", row.what);
    match (fetch(handler.fetch(request)), row.expected) {
        (Ok(response), Ok(())) => assert_eq!(response.status(), 200, "{case}"),
        (Err(NetError::Certificate { problem, detail, .. }), Err((expected, words))) => {
            assert_eq!(problem, expected, "{case}: {detail}");
            assert!(detail.contains(words), "{case}: {words:?} is not in: {detail}");
            wait_until_empty(&handler);
        }
        (result, expected) => panic!("{case}: {result:?} instead of {expected:?}"),
    }
}

#[test]
fn every_certificate_over_http3() {
    let (ca, other) = (TestCa::new(), TestCa::new());
    for row in &table(&ca, &other) {
        check(row, Column::Http3);
    }
}

#[test]
fn every_certificate_over_http11() {
    let (ca, other) = (TestCa::new(), TestCa::new());
    for row in &table(&ca, &other) {
        check(row, Column::Http11);
    }
}

/// The verdict may be the last thing that happens to a connection before its first request leaves.
#[test]
fn a_server_that_says_nothing_after_the_handshake_is_asked_all_the_same() {
    let ca = TestCa::new();
    for (version, tickets) in
        [(&rustls::version::TLS12, 0), (&rustls::version::TLS13, 0), (&rustls::version::TLS13, 4)]
    {
        let identity = ca.localhost();
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(identity.chain, identity.key)
            .unwrap();
        config.send_tls13_tickets = tickets;
        let server = Http1Server::start_with(config, |connection| {
            while connection.read_request().is_some() {
                connection.respond(b"x");
            }
        });
        let handler = Client::trusting(&ca.file()).through(server.address()).start();
        let request = Request::new(Method::GET, "https://localhost/").unwrap();
        let response = fetch(handler.fetch(request.version(Alpn::Http11))).unwrap();
        assert_eq!(response.status(), 200);
    }
}
