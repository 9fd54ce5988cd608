use clap::{CommandFactory as _, error::ErrorKind};

use super::*;

fn fetch(arguments: &[&str]) -> Fetch {
    try_fetch(arguments).unwrap()
}

fn try_fetch(arguments: &[&str]) -> Result<Fetch, clap::Error> {
    let line = ["necko", "fetch"].iter().chain(arguments);
    Options::try_parse_from(line).map(|options| match options.command {
        Command::Fetch(fetch) => *fetch,
    })
}

const URL: &str = "https://example.org/";

#[test]
fn the_command_line_is_consistent() {
    Options::command().debug_assert();
}

#[test]
fn urls_and_outputs_may_come_in_any_order() {
    let outputs = [PathBuf::from("a"), PathBuf::from("b")];
    assert_eq!(fetch(&[URL, "-o", "a", URL, "-o", "b"]).output, outputs);
    let options = fetch(&["-oa", "--output=b", URL, URL]);
    assert_eq!(options.output, outputs);
    assert_eq!(options.urls, [URL, URL]);
}

#[test]
fn the_method_follows_from_the_other_options() {
    assert_eq!(fetch(&[URL]).method(), Method::GET);
    assert_eq!(fetch(&["-I", URL]).method(), Method::HEAD);
    assert_eq!(fetch(&["-d", "x", URL]).method(), Method::POST);
    assert_eq!(fetch(&["-d", "x", "-X", "PUT", URL]).method(), Method::PUT);
    assert_eq!(fetch(&["-I", "-X", "OPTIONS", URL]).method(), Method::OPTIONS);
}

#[test]
fn mistakes_are_usage_errors_with_code_2() {
    for mistake in [
        &[][..],
        &["-I", "-d", "x", URL],
        &["-X", "G T", URL],
        &["-H", "no colon", URL],
        &["--resolve", "nonsense", URL],
        &["-m", "soon", URL],
        &["-m", "-1", URL],
        &["--idle-timeout", "0", URL],
        &["--parallel-max", "0", URL],
        &["--unknown", URL],
    ] {
        assert_eq!(try_fetch(mistake).unwrap_err().exit_code(), 2, "{mistake:?}");
    }
}

#[test]
fn times_may_have_fractions_and_no_limit_is_zero() {
    let options = fetch(&["-m", "2.5", "--idle-timeout", "1", URL]);
    assert_eq!(options.max_time, Some(MaxTime(Some(Duration::from_millis(2500)))));
    assert_eq!(options.idle_timeout, Some(Duration::from_secs(1)));
    assert_eq!(fetch(&["-m", "0", URL]).max_time, Some(MaxTime(None)));
}

#[test]
fn help_tells_of_exit_codes_and_examples_and_version_of_the_engine() {
    let help = try_fetch(&["--help"]).unwrap_err().to_string();
    for text in ["Exit codes", "  60  ", "--resolve", "Examples:", "SSLKEYLOGFILE"] {
        assert!(help.contains(text), "{text}");
    }
    let version = Options::try_parse_from(["necko", "--version"]).unwrap_err();
    assert_eq!(version.kind(), ErrorKind::DisplayVersion);
    assert!(version.to_string().starts_with("necko 0.1.0 (neqo 0.13.4, NSS)"));
}
