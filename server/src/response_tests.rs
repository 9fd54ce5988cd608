use std::{fs::File, time::Duration};

use super::*;
use crate::source::{OpenFile, OpenFiles};

const NOW: SystemTime = UNIX_EPOCH;

fn later(seconds: f64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs_f64(seconds)
}

fn found(modified: SystemTime, files: &OpenFiles) -> Found {
    let file = OpenFile::new(File::open("/dev/null").unwrap(), files);
    Found { file, length: 255, modified: Some(modified), content_type: "text/css" }
}

#[test]
fn a_file_has_its_length_type_and_validators() {
    let files = OpenFiles::default();
    let now = later(100.0);
    let response = Response::file(found(later(1.5), &files), &Condition::None, now);
    assert_eq!(response.head.status(), 200);
    assert_eq!(response.head.field("content-length"), Some("255"));
    assert_eq!(response.head.field("content-type"), Some("text/css"));
    assert_eq!(response.head.field("last-modified"), Some("Thu, 01 Jan 1970 00:00:01 GMT"));
    assert_eq!(response.head.field("date"), Some("Thu, 01 Jan 1970 00:01:40 GMT"));
    assert_eq!(response.head.field("etag"), Some("\"ff-59682f00\""));
    assert_eq!(files.count(), 1);

    // HEAD: the same head, and the file is closed at once.
    let response = response.for_method(Method::Head);
    assert_eq!(response.head.field("content-length"), Some("255"));
    assert!(response.body.is_empty());
    assert_eq!(files.count(), 0);
}

#[test]
fn conditions_are_heeded() {
    let files = OpenFiles::default();
    let tag = "\"ff-59682f00\"";
    for (condition, status) in [
        (Condition::IfNoneMatch(format!(",{tag}")), 304),
        (Condition::IfNoneMatch(format!(",\"x\", W/{tag}")), 304),
        (Condition::IfNoneMatch(",*".to_owned()), 304),
        (Condition::IfNoneMatch(",\"x\"".to_owned()), 200),
        (Condition::IfModifiedSince(later(1.0)), 304),
        (Condition::IfModifiedSince(later(0.0)), 200),
    ] {
        let response = Response::file(found(later(1.5), &files), &condition, later(9.0));
        assert_eq!(response.head.status(), status, "{condition:?}");
        assert_eq!(response.body.is_empty(), status == 304);
    }
    assert_eq!(files.count(), 0);
}

#[test]
fn a_date_in_the_future_is_not_told() {
    let files = OpenFiles::default();
    let condition = Condition::IfModifiedSince(later(20.0));
    let response = Response::file(found(later(10.0), &files), &condition, NOW);
    assert_eq!((response.head.status(), response.head.field("last-modified")), (200, None));
}

#[test]
fn a_refusal_says_why() {
    for (refusal, status) in [
        (Refusal::Malformed("reason"), 400),
        (Refusal::Forbidden("reason"), 403),
        (Refusal::NotFound, 404),
        (Refusal::Unavailable(std::io::Error::other("secret detail")), 500),
    ] {
        let response = Response::refusal(&refusal, NOW);
        assert_eq!(response.head.status(), status);
        let Source::Bytes { bytes, .. } = response.body else { panic!("no text") };
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with(&status.to_string()) && !text.contains("secret"), "{text}");
    }
    assert_eq!(Response::text(405, "", NOW).head.field("allow"), Some("GET, HEAD, POST, PUT"));
}
