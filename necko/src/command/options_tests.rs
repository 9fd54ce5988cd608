use clap::{CommandFactory as _, error::ErrorKind};

use super::*;

fn fetch(arguments: &[&str]) -> Fetch {
    try_fetch(arguments).unwrap()
}

fn try_fetch(arguments: &[&str]) -> Result<Fetch, clap::Error> {
    let line = ["necko", "fetch"].iter().chain(arguments);
    Options::try_parse_from(line).map(|options| match options.command {
        Command::Fetch(fetch) => *fetch,
        Command::WebTransport(_) => panic!("another subcommand"),
    })
}

fn web_transport(arguments: &[&str]) -> Result<WebTransport, ErrorKind> {
    let line = ["necko", "webtransport", URL].iter().chain(arguments);
    match Options::try_parse_from(line).map_err(|error| error.kind())?.command {
        Command::WebTransport(options) => Ok(*options),
        Command::Fetch(_) => panic!("another subcommand"),
    }
}

#[test]
fn web_transport_goes_one_way_at_a_time() {
    let usual = web_transport(&[]).unwrap();
    assert!(!usual.datagrams && !usual.uni && !usual.bench);
    assert_eq!(web_transport(&["--bench"]).unwrap().bench_bytes, 32 * 1024 * 1024);
    for [one, other] in [["--datagrams", "--uni"], ["--uni", "--bench"], ["--bench", "--datagrams"]]
    {
        assert_eq!(web_transport(&[one, other]).unwrap_err(), ErrorKind::ArgumentConflict);
    }
    assert_eq!(web_transport(&["--json"]).unwrap_err(), ErrorKind::MissingRequiredArgument);
    assert!(web_transport(&["--cert-hash", &"ab".repeat(32)]).is_ok());
    assert_eq!(web_transport(&["--cert-hash", "ab"]).unwrap_err(), ErrorKind::ValueValidation);
}

const URL: &str = "https://example.org/";

#[test]
fn the_command_line_is_consistent() {
    Options::command().debug_assert();
}

#[test]
fn urls_and_outputs_may_come_in_any_order() {
    let one = fetch(&[URL, "-o", "a", URL, "-O"]);
    let other = fetch(&["-oa", "--remote-name", URL, URL]);
    assert_eq!((&one.outputs, one.outputs.count()), (&other.outputs, 2));
    assert_eq!(one.urls, [URL, URL]);
    assert_eq!(other.urls, [URL, URL]);
}

#[test]
fn the_method_follows_from_the_other_options() {
    assert_eq!(fetch(&[URL]).method(false), Method::GET);
    assert_eq!(fetch(&["-I", URL]).method(false), Method::HEAD);
    assert_eq!(fetch(&["-d", "x", URL]).method(false), Method::POST);
    assert_eq!(fetch(&["-d", "x", "-X", "PUT", URL]).method(false), Method::PUT);
    assert_eq!(fetch(&["-T", "x", URL]).method(true), Method::PUT);
    assert_eq!(fetch(&["-T", "x", URL, URL]).method(false), Method::GET);
    assert_eq!(fetch(&["-T", "x", "-X", "POST", URL]).method(true), Method::POST);
    assert_eq!(fetch(&["-I", "-X", "OPTIONS", URL]).method(false), Method::OPTIONS);
}

#[test]
fn mistakes_are_usage_errors_with_code_2() {
    for mistake in [
        &[][..],
        &["-I", "-d", "x", URL],
        &["-X", "G T", URL],
        &["-H", "no colon", URL],
        &["--resolve", "nonsense", URL],
        &["--connect-to", "nonsense", URL],
        &["-4", "-6", URL],
        &["-L", "--max-redirs", "1001", URL],
        &["-L", "--max-redirs", "-1", URL],
        &["--compressed", "-r", "0-1", URL],
        &["--speed-time", "0", URL],
        &["--http1.1", "--http3-only", URL],
        &["-m", "soon", URL],
        &["-m", "-1", URL],
        &["--idle-timeout", "0", URL],
        &["--parallel-max", "0", URL],
        &["--unknown", URL],
        &["-T", "x", "-d", "x", URL],
        &["-T", "x", "-I", URL],
        &["-r", "9-5", URL],
        &["-r", "0-1", "-C", "-", URL],
        &["-C", "-1", URL],
        &["-C", "-", "-i", URL],
        &["-C", "-", "-d", "x", URL],
        &["-C", "-", "-T", "x", URL],
        &["--limit-rate", "fast", URL],
    ] {
        assert_eq!(try_fetch(mistake).unwrap_err().exit_code(), 2, "{mistake:?}");
    }
}

#[test]
fn times_may_have_fractions_and_no_limit_is_zero() {
    let options = fetch(&["-m", "2.5", "--idle-timeout", "1", "--connect-timeout", "0.5", URL]);
    assert_eq!(options.following.max_time, Some(MaxTime(Some(Duration::from_millis(2500)))));
    assert_eq!(options.connecting.connect_timeout, Some(Duration::from_millis(500)));
    assert_eq!(options.connecting.idle_timeout, Some(Duration::from_secs(1)));
    assert_eq!(fetch(&["-m", "0", URL]).following.max_time, Some(MaxTime(None)));
}

#[test]
fn arguments_that_begin_with_a_hyphen() {
    let options = fetch(&["-C", "-", "-w", "-%{url}", "-o-", URL]);
    assert_eq!(options.continue_at, Some(ContinueAt::End));
    assert_eq!(options.write_out.as_deref(), Some("-%{url}"));
    assert_eq!(fetch(&["-r", "-500", URL]).range, parse_ranges("-500").ok());
    assert_eq!(fetch(&["--resolve", "-a.test:1", URL]).connecting.resolve.len(), 1);
    assert_eq!(fetch(&["-T", "-", URL]).upload_file, [PathBuf::from("-")]);
}

#[test]
fn help_tells_of_exit_codes_and_examples_and_version_of_the_engine() {
    let help = try_fetch(&["--help"]).unwrap_err().to_string();
    for text in ["Exit codes", "  60  ", "--resolve", "Examples:", "SSLKEYLOGFILE", "size_upload"] {
        assert!(help.contains(text), "{text}");
    }
    let version = Options::try_parse_from(["necko", "--version"]).unwrap_err();
    assert_eq!(version.kind(), ErrorKind::DisplayVersion);
    assert!(version.to_string().starts_with("necko 0.1.0 (neqo 0.13.4, NSS)"));
}
