//! Options of the command that say how to get to a server.

use std::net::Ipv6Addr;

use tests::loopback::{NeckoCommand, QuinnOptions, QuinnServer, TestCa};

/// A server that proves to be `a.example` and `b.example`.
fn start(ca: &TestCa) -> QuinnServer {
    QuinnServer::start_with(QuinnOptions::new(ca.issue(&["a.example", "b.example"])))
}

#[test]
fn connect_to_goes_elsewhere_and_asks_for_the_same() {
    let ca = TestCa::new();
    let server = start(&ca);
    let port = server.address().port();
    let command = |rules: &[String]| {
        let rules = rules.iter().flat_map(|rule| ["--connect-to".to_owned(), rule.clone()]);
        NeckoCommand::fetch_trusting(&ca.file()).args(rules)
    };
    let rule = format!("a.example:443:127.0.0.1:{port}");
    let finished = command(std::slice::from_ref(&rule)).arg("https://a.example/headers").run();
    let seen = String::from_utf8(finished.expect_success().stdout).unwrap();
    assert!(seen.starts_with("GET https://a.example/headers\n"), "{seen}");
    // The first rule that fits counts, and empty parts fit all.
    let others = format!("::[::1]:{port}");
    let both = command(&[rule, others]).arg("https://a.example/headers");
    both.run().expect_success();
    let any = command(&[format!("::127.0.0.1:{port}")]);
    any.args(["https://a.example/1", "https://b.example:8443/1"]).run().expect_success();
    // Who is there must prove to be who the URL names.
    let wrong = command(&[format!("::127.0.0.1:{port}")]).arg("https://c.example/1").run();
    wrong.expect_failure(60, &["c.example", "for another host"]);
}

#[test]
fn resolve_takes_a_star_and_a_hyphen() {
    let ca = TestCa::new();
    let server = start(&ca);
    let port = server.address().port();
    let star = format!("*:{port}:127.0.0.1");
    let url = format!("https://a.example:{port}/1");
    let command = NeckoCommand::fetch_trusting(&ca.file()).args(["--resolve", &star]);
    command.arg(&url).run().expect_success();
    let taken_back = NeckoCommand::fetch_trusting(&ca.file()).args(["--resolve", &star]);
    let taken_back = taken_back.args(["--resolve", &format!("-*:{port}")]);
    let url = format!("https://no-such-host.invalid:{port}/1");
    taken_back.arg(url).run().expect_failure(6, &["no-such-host.invalid"]);
}

#[test]
fn one_family_alone_is_used() {
    let ca = TestCa::new();
    let server = start(&ca);
    let port = server.address().port();
    let both = format!("a.example:{port}:{},127.0.0.1", Ipv6Addr::LOCALHOST);
    let command = || {
        let command = NeckoCommand::fetch_trusting(&ca.file()).args(["--resolve", &both]);
        command.arg(format!("https://a.example:{port}/1"))
    };
    command().arg("-4").run().expect_success();
    // Nobody listens at the other address.
    command().arg("-6").run().expect_failure(7, &["[::1]"]);
    let only = format!("a.example:{port}:127.0.0.1");
    let none = NeckoCommand::fetch_trusting(&ca.file()).args(["-6", "--resolve", &only]);
    let none = none.arg(format!("https://a.example:{port}/1")).run();
    none.expect_failure(6, &["no IPv6 address"]);
}
