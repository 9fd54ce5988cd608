//! `-L` and what is told of redirects; `-D`, `-w`, and transfers that are too slow.

use serde_json::Value;
use tests::loopback::{NeckoCommand, QuinnServer, TestCa};

fn start() -> (TestCa, QuinnServer) {
    let ca = TestCa::new();
    let server = QuinnServer::start(&ca);
    (ca, server)
}

fn json(stdout: &[u8]) -> Value {
    serde_json::from_slice(stdout).unwrap()
}

#[test]
fn capital_l_follows_and_w_tells_of_it() {
    let (ca, server) = start();
    let command = || NeckoCommand::fetch_trusting(&ca.file()).args(["-s", "-o", "/dev/null"]);
    let json_of = |arguments: &[&str], path: &str| {
        let command = command().args(["-w", "%{json}"]).args(arguments).arg(server.url(path));
        json(&command.run().expect_success().stdout)
    };
    let followed = json_of(&["-L", "-d", "x=1"], "/to/302/count/2");
    assert_eq!(followed["num_redirects"], 3);
    assert_eq!(followed["url_effective"], server.url("/count/0"));
    assert_eq!(followed["url"], server.url("/to/302/count/2"));
    assert_eq!((&followed["method"], &followed["http_code"]), (&"GET".into(), &200.into()));
    assert_eq!((&followed["num_connects"], &followed["redirect_url"]), (&1.into(), &Value::Null));
    assert_eq!(followed["remote_ip"], "127.0.0.1");
    assert_eq!(followed["remote_port"], server.address().port());
    let time = |name: &str| followed[name].as_f64().unwrap();
    assert!(time("time_redirect") > 0.0, "{followed}");
    let moments =
        ["time_redirect", "time_pretransfer", "time_starttransfer", "time_total"].map(time);
    assert!(moments.is_sorted(), "{followed}");
    let plain = json_of(&[], "/to/302/count/2");
    assert_eq!((&plain["http_code"], &plain["num_redirects"]), (&302.into(), &0.into()));
    assert_eq!(plain["redirect_url"], server.url("/count/2"));
    let time = |name: &str| plain[name].as_f64().unwrap();
    let moments =
        ["time_connect", "time_appconnect", "time_pretransfer", "time_starttransfer"].map(time);
    assert!(moments[0] > 0.0 && moments.is_sorted(), "{plain}");
}

#[test]
fn every_head_is_shown() {
    let (ca, server) = start();
    let dir = tempfile::tempdir().unwrap();
    let command = NeckoCommand::fetch_trusting(&ca.file()).in_dir(dir.path());
    let command =
        command.args(["-s", "-i", "-L", "-D", "heads", &server.url("/to/307/status/418")]);
    let shown = String::from_utf8(command.run().expect_success().stdout).unwrap();
    let (heads, body) = shown.rsplit_once("\r\n\r\n").unwrap();
    assert_eq!(body, "as you wish");
    let firsts: Vec<_> = heads.lines().filter(|line| line.starts_with("HTTP/3")).collect();
    assert_eq!(firsts, ["HTTP/3 307 ", "HTTP/3 418 "]);
    assert!(heads.contains("location: /status/418\r\n"));
    let dumped = std::fs::read_to_string(dir.path().join("heads")).unwrap();
    assert_eq!(dumped, format!("{heads}\r\n\r\n"));
    let verbose = NeckoCommand::fetch_trusting(&ca.file()).args(["-v", "-L"]);
    let verbose = verbose.arg(server.url("/to/302/status/418")).run().expect_success().stderr;
    let lines: Vec<_> = verbose.lines().filter(|line| line.contains(" HTTP/3")).collect();
    let expected = [
        "> GET /to/302/status/418 HTTP/3",
        "< HTTP/3 302 ",
        "> GET /status/418 HTTP/3",
        "< HTTP/3 418 ",
    ];
    assert!(expected.iter().all(|line| verbose.lines().any(|shown| shown == *line)), "{lines:?}");
}

#[test]
fn redirects_that_are_not_followed_have_curls_codes() {
    let (ca, server) = start();
    let run = |arguments: &[&str], path: &str| {
        NeckoCommand::fetch_trusting(&ca.file()).args(arguments).arg(server.url(path)).run()
    };
    run(&["-L"], "/loop/1").expect_failure(47, &["the limit of 50 redirects"]);
    run(&["-L", "--max-redirs", "1"], "/count/2")
        .expect_failure(47, &["redirected to \"0\"", "limit of 1"]);
    run(&["-L", "--max-redirs", "2"], "/count/2").expect_success();
    run(&["-L"], "/to/302?http://localhost/x").expect_failure(1, &["http://localhost/x", "https"]);
    run(&["-L"], "/to/302?https://:1/").expect_failure(3, &["https://:1/"]);
}

#[test]
fn an_upload_is_sent_again_from_a_file_and_not_from_a_pipe() {
    let (ca, server) = start();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("up"), "twice").unwrap();
    let command = |from: &str| {
        let command = NeckoCommand::fetch_trusting(&ca.file()).in_dir(dir.path());
        command.args(["-s", "-L", "-T", from, &server.url("/to/307/put")])
    };
    let told = command("up").args(["-w", "%{size_upload}", "-o", "/dev/null"]).run();
    assert_eq!(told.expect_success().stdout, b"5");
    command("-").run().expect_failure(65, &["can't be sent a second time"]);
}

#[test]
fn a_transfer_that_is_too_slow_is_given_up_with_28() {
    let (ca, server) = start();
    let command = NeckoCommand::fetch_trusting(&ca.file()).args(["-Y", "1000", "-y", "0.5"]);
    command.arg(server.url("/hang")).run().expect_failure(28, &["--speed-limit", "1000 bytes"]);
}
