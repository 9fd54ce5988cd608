use clap::Parser as _;

use super::*;
use crate::command::options::{Command, Options};

const URL: &str = "https://example.org/a?b";

fn options(arguments: &[&str]) -> Fetch {
    let line = ["necko", "fetch"].iter().chain(arguments);
    let Command::Fetch(fetch) = Options::parse_from(line).command else {
        panic!("another subcommand")
    };
    *fetch
}

fn head(arguments: &[&str]) -> necko::RequestHead {
    let options = options(arguments);
    let plan = plan(0, &options.urls[0], &options).unwrap();
    let request = plan.request(&options, None).unwrap();
    request.body(options.data.read().unwrap()).head().unwrap()
}

#[test]
fn a_form_is_posted_with_its_type_and_length() {
    let head = head(&["-d", "a=1", URL]);
    assert_eq!(head.method(), Method::POST);
    assert_eq!(head.path(), "/a?b");
    assert_eq!(head.headers()["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(head.headers()["content-length"], "3");
    assert_eq!(head.headers()["accept"], "*/*");
}

#[test]
fn ranges_are_asked_for() {
    assert_eq!(head(&["-r", "0-99,-1", URL]).headers()["range"], "bytes=0-99,-1");
    assert!(!head(&[URL]).headers().contains_key("range"));
}

#[test]
fn given_headers_replace_the_ones_that_come_by_themselves() {
    let arguments =
        ["-H", "Content-Type: text/plain", "-H", "User-Agent:", "-H", "accept: a", "-d", "x", URL];
    let head = head(&arguments);
    let values: Vec<_> = head.headers().get_all("content-type").iter().collect();
    assert_eq!(values, ["text/plain"]);
    assert_eq!(head.headers()["accept"], "a");
    assert!(!head.headers().contains_key("user-agent"));
}

#[test]
fn urls_that_can_not_be_fetched_have_curls_codes() {
    for (url, code) in [
        ("http://example.org/", ExitCode::UnsupportedProtocol),
        ("ftp://example.org/", ExitCode::UnsupportedProtocol),
        ("https://", ExitCode::MalformedUrl),
        ("https://a b/", ExitCode::MalformedUrl),
        ("https://user@example.org/", ExitCode::MalformedUrl),
        ("example.org/x", ExitCode::MalformedUrl),
        ("localhost:4433/x", ExitCode::MalformedUrl),
        ("", ExitCode::MalformedUrl),
    ] {
        let failure = plan(0, url, &options(&[url])).unwrap_err();
        assert_eq!(failure.code, code, "{url}");
    }
}

#[test]
fn lengths_that_are_known() {
    let mut headers = HeaderMap::new();
    let length = |method, status, headers: &HeaderMap| body_length(&method, status, headers);
    assert_eq!(length(Method::GET, StatusCode::OK, &headers), None);
    headers.insert("content-length", "7".parse().unwrap());
    assert_eq!(length(Method::GET, StatusCode::OK, &headers), Some(7));
    assert_eq!(length(Method::HEAD, StatusCode::OK, &headers), Some(0));
    assert_eq!(length(Method::GET, StatusCode::NOT_MODIFIED, &headers), Some(0));
}
