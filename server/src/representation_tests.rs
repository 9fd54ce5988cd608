use std::{
    fs::File,
    time::{Duration, UNIX_EPOCH},
};

use super::*;
use crate::{
    pattern::byte_at,
    source::{Allowance, OpenFiles, Piece},
};

const TAG: &str = "\"ff-59682f00\"";

fn at(seconds: f64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs_f64(seconds)
}

/// 255 bytes that were changed one and a half seconds after 1970 began.
fn file(files: &OpenFiles) -> Representation {
    let file = OpenFile::new(File::open("/dev/zero").unwrap(), files);
    let modified = Some(at(1.5));
    let found = Found { file, length: 255, modified, content_type: "text/css" };
    Representation::file(found, at(100.0))
}

fn conditions(fields: &[(&str, &str)]) -> Conditions {
    let mut conditions = Conditions::default();
    for (name, value) in fields {
        conditions.take(name.as_bytes(), value.as_bytes());
    }
    conditions
}

/// The answer to GET /bytes/`length` with these headers.
fn get(length: u64, fields: &[(&str, &str)]) -> Response {
    let pattern = Rc::new(Pattern::new());
    let representation = Representation::generated(length, &pattern);
    representation.answer(Method::Get, &conditions(fields), UNIX_EPOCH)
}

/// All bytes of a source.
fn read(mut source: Source) -> Vec<u8> {
    let mut bytes = Vec::new();
    while !source.is_empty() {
        if let Some(job) = source.start_read(Allowance { chunk: 100, ahead: true }) {
            source.finish_read(job.run());
        }
        let Piece::Ready { data, last } = source.piece() else { panic!("nothing to read") };
        let count = data.len();
        bytes.extend_from_slice(data);
        source.consume(count);
        assert_eq!(last, source.is_empty());
    }
    bytes
}

fn pattern(positions: std::ops::Range<u64>) -> Vec<u8> {
    positions.map(byte_at).collect()
}

#[test]
fn a_file_has_its_length_type_and_validators() {
    let files = OpenFiles::default();
    let response = file(&files).answer(Method::Get, &conditions(&[]), at(100.0));
    for (name, value) in [
        (":status", "200"),
        ("content-length", "255"),
        ("content-type", "text/css"),
        ("last-modified", "Thu, 01 Jan 1970 00:00:01 GMT"),
        ("date", "Thu, 01 Jan 1970 00:01:40 GMT"),
        ("etag", TAG),
        ("accept-ranges", "bytes"),
    ] {
        assert_eq!(response.head.field(name), Some(value), "{name}");
    }
    assert_eq!((files.count(), read(response.body).len()), (1, 255));
    assert_eq!(files.count(), 0);
}

#[test]
fn head_has_the_head_of_the_whole_and_closes_the_file() {
    let files = OpenFiles::default();
    let conditions = conditions(&[("range", "bytes=0-4")]);
    let response = file(&files).answer(Method::Head, &conditions, at(100.0));
    let response = response.for_method(Method::Head);
    assert_eq!(response.head.status(), 200);
    assert_eq!(response.head.field("content-length"), Some("255"));
    assert_eq!(response.head.field("content-range"), None);
    assert!(response.body.is_empty());
    assert_eq!(files.count(), 0);
}

#[test]
fn conditions_are_answered_without_the_file() {
    let files = OpenFiles::default();
    for (name, value, status) in [
        ("if-none-match", TAG, 304),
        ("if-modified-since", "Thu, 01 Jan 1970 00:00:01 GMT", 304),
        ("if-match", "\"x\"", 412),
        ("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT", 412),
    ] {
        // A range does not matter then.
        let conditions = conditions(&[(name, value), ("range", "bytes=999-")]);
        let response = file(&files).answer(Method::Get, &conditions, at(100.0));
        assert_eq!(response.head.status(), status, "{name}");
        assert_eq!(response.body.is_empty(), status == 304, "{name}");
        if status == 304 {
            assert_eq!(response.head.field("etag"), Some(TAG));
            assert!(response.head.field("last-modified").is_some());
            assert_eq!(response.head.field("content-length"), None);
        }
        assert_eq!(files.count(), 0);
    }
}

#[test]
fn a_date_in_the_future_is_not_told() {
    let file = OpenFile::new(File::open("/dev/null").unwrap(), &OpenFiles::default());
    let found = Found { file, length: 0, modified: Some(at(10.0)), content_type: "text/css" };
    let response =
        Representation::file(found, at(1.0)).answer(Method::Get, &conditions(&[]), at(1.0));
    assert_eq!((response.head.status(), response.head.field("last-modified")), (200, None));
}

#[test]
fn one_range_is_a_part_with_its_place() {
    for (range, part, place) in [
        ("bytes=0-9", 0..10, "bytes 0-9/1000"),
        ("bytes=500-", 500..1000, "bytes 500-999/1000"),
        ("bytes=-1", 999..1000, "bytes 999-999/1000"),
        ("bytes=990-2000,995-", 990..1000, "bytes 990-999/1000"),
    ] {
        let response = get(1000, &[("range", range)]);
        assert_eq!(response.head.status(), 206, "{range}");
        assert_eq!(response.head.field("content-range"), Some(place));
        assert_eq!(response.head.field("etag"), Some("\"bytes-1000\""));
        let length = (part.end - part.start).to_string();
        assert_eq!(response.head.field("content-length"), Some(length.as_str()));
        assert_eq!(read(response.body), pattern(part));
    }
}

#[test]
fn a_range_of_a_file_is_read_from_its_start() {
    let files = OpenFiles::default();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("f");
    std::fs::write(&path, pattern(0..1000)).unwrap();
    for (range, expected) in [
        ("bytes=0-0", pattern(0..1)),
        ("bytes=100-549", pattern(100..550)),
        ("bytes=-3", pattern(997..1000)),
    ] {
        let file = OpenFile::new(File::open(&path).unwrap(), &files);
        let found = Found { file, length: 1000, modified: None, content_type: "text/css" };
        let conditions = conditions(&[("range", range)]);
        let response =
            Representation::file(found, at(9.0)).answer(Method::Get, &conditions, at(9.0));
        assert_eq!((response.head.status(), read(response.body)), (206, expected), "{range}");
        assert_eq!(files.count(), 0);
    }
}

#[test]
fn several_ranges_are_parts_between_boundaries() {
    let response = get(1000, &[("range", "bytes=-3,0-1")]);
    assert_eq!(response.head.status(), 206);
    assert_eq!(response.head.field("content-range"), None);
    let content_type = response.head.field("content-type").unwrap();
    let boundary = content_type.strip_prefix("multipart/byteranges; boundary=").unwrap().to_owned();
    let length: usize = response.head.field("content-length").unwrap().parse().unwrap();
    let body = read(response.body);
    assert_eq!(body.len(), length);
    let part = |range: &str| {
        format!(
            "--{boundary}\r\ncontent-type: application/octet-stream\r\n\
             content-range: bytes {range}/1000\r\n\r\n"
        )
    };
    let expected = [
        part("997-999").into_bytes(),
        pattern(997..1000),
        b"\r\n".to_vec(),
        part("0-1").into_bytes(),
        pattern(0..2),
        format!("\r\n--{boundary}--\r\n").into_bytes(),
    ];
    assert_eq!(body, expected.concat());
    assert_ne!(super::boundary(), boundary);
}

#[test]
fn a_range_of_nothing_is_refused_with_the_length() {
    for (length, range) in [(10, "bytes=10-"), (0, "bytes=0-"), (10, "bytes=-0")] {
        let response = get(length, &[("range", range)]);
        assert_eq!(response.head.status(), 416, "{range}");
        let place = format!("bytes */{length}");
        assert_eq!(response.head.field("content-range"), Some(place.as_str()));
    }
    let files = OpenFiles::default();
    drop(file(&files).answer(Method::Get, &conditions(&[("range", "bytes=255-")]), at(9.0)));
    assert_eq!(files.count(), 0);
}

#[test]
fn a_part_of_another_state_is_the_whole() {
    let fields = |tag| [("range", "bytes=0-4"), ("if-range", tag)];
    assert_eq!(get(10, &fields("\"bytes-10\"")).head.status(), 206);
    assert_eq!(get(10, &fields("\"bytes-11\"")).head.status(), 200);
}
