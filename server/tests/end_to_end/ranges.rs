//! Parts of bodies, conditions, and folders.

use std::{fs, ops::Range, time::Duration};

use crate::common::{Answer, Fixture};
use server::byte_at;
use socket_transport::Clock;

const LENGTH: u64 = 3_000_001;

fn pattern(positions: Range<u64>) -> Vec<u8> {
    positions.map(byte_at).collect()
}

/// A server with a file of [`LENGTH`] bytes, changed long ago, and an empty one.
fn server() -> Fixture {
    let server = Fixture::new();
    fs::write(server.root().join("file"), pattern(0..LENGTH)).unwrap();
    let file = fs::File::options().write(true).open(server.root().join("file")).unwrap();
    file.set_modified(Clock::system().wall() - Duration::from_hours(1)).unwrap();
    fs::write(server.root().join("empty"), "").unwrap();
    server
}

/// The parts of a multipart body: the range of each, and its bytes.
fn parts(answer: &Answer) -> Vec<(String, Vec<u8>)> {
    let content_type = answer.field("content-type").unwrap();
    let boundary = content_type.strip_prefix("multipart/byteranges; boundary=").unwrap();
    let find = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).position(|w| w == what);
    let mut rest = answer.bytes.strip_prefix(b"--").unwrap().strip_prefix(boundary.as_bytes());
    let mut found = Vec::new();
    let between = format!("\r\n--{boundary}");
    while let Some(part) = rest.unwrap().strip_prefix(b"\r\n") {
        let head_end = find(part, b"\r\n\r\n").unwrap();
        let head = str::from_utf8(&part[..head_end]).unwrap();
        let range = head.lines().find_map(|line| line.strip_prefix("content-range: ")).unwrap();
        let body = &part[head_end + 4..];
        let end = find(body, between.as_bytes()).unwrap();
        found.push((range.to_owned(), body[..end].to_vec()));
        rest = body[end..].strip_prefix(between.as_bytes());
    }
    assert_eq!(rest, Some(&b"--\r\n"[..]));
    found
}

#[test]
fn single_ranges_of_files_and_generated_bodies() {
    let server = server();
    let mut client = server.client();
    for path in ["/file", "/bytes/3000001"] {
        for (range, expected) in [
            ("bytes=0-0", 0..1),
            ("bytes=0-999999", 0..1_000_000),
            ("bytes=1048570-2097160", 1_048_570..2_097_161),
            ("bytes=3000000-", 3_000_000..LENGTH),
            ("bytes=-1", 3_000_000..LENGTH),
            ("bytes=-500000", 2_500_001..LENGTH),
            ("bytes=2999999-99999999999999999999", 2_999_999..LENGTH),
        ] {
            let answer = client.fetch_with(path, &[("range", range)]);
            assert_eq!((answer.status(), answer.reset), (206, None), "{path} {range}");
            let place = format!("bytes {}-{}/{LENGTH}", expected.start, expected.end - 1);
            assert_eq!(answer.field("content-range"), Some(place.as_str()));
            assert_eq!(answer.field("content-length"), Some(answer.length.to_string().as_str()));
            assert!(answer.bytes == pattern(expected), "{path} {range}");
            assert!(answer.field("etag").is_some());
        }
        // What is no range is ignored, and a HEAD has none.
        for range in ["bytes=5-4", "lines=1-2", "bytes=", "nonsense"] {
            let answer = client.fetch_with(path, &[("range", range)]);
            answer.assert_pattern(LENGTH);
            assert_eq!(answer.field("accept-ranges"), Some("bytes"));
        }
        let stream = client.request("HEAD", path, &[("range", "bytes=0-9")], true);
        let answer = client.answer(stream);
        assert_eq!((answer.status(), answer.length), (200, 0));
        assert_eq!(answer.field("content-length"), Some("3000001"));
        // What is not there can't be sent.
        let answer = client.fetch_with(path, &[("range", "bytes=3000001-")]);
        assert_eq!(answer.status(), 416);
        assert_eq!(answer.field("content-range"), Some("bytes */3000001"));
    }
    for path in ["/empty", "/bytes/0"] {
        let answer = client.fetch_with(path, &[("range", "bytes=0-")]);
        assert_eq!((answer.status(), answer.field("content-range")), (416, Some("bytes */0")));
        let answer = client.fetch_with(path, &[("range", "bytes=-5")]);
        assert_eq!((answer.status(), answer.length, answer.finished), (200, 0, true));
    }
    client.close();
    assert_eq!(server.wait_until_empty().files_open, 0);
}

#[test]
fn several_ranges_of_files_and_generated_bodies() {
    let server = server();
    let mut client = server.client();
    for path in ["/file", "/bytes/3000001"] {
        let ranges = "bytes=2000000-2999999, 0-0,-5, 7000000-, 10-500009";
        let answer = client.fetch_with(path, &[("range", ranges)]);
        assert_eq!((answer.status(), answer.finished), (206, true));
        assert_eq!(answer.field("content-length"), Some(answer.length.to_string().as_str()));
        // The first and the third overlap, so all stand in order.
        let merged = [0..1, 10..500_010, 2_000_000..LENGTH];
        let parts = parts(&answer);
        assert_eq!(parts.len(), merged.len());
        for ((place, bytes), expected) in parts.iter().zip(merged) {
            assert_eq!(*place, format!("bytes {}-{}/{LENGTH}", expected.start, expected.end - 1));
            assert!(*bytes == pattern(expected), "{path} {place}");
        }
    }
    // In the order of the client, if they are apart.
    let answer = client.fetch_with("/file", &[("range", "bytes=-1,0-1")]);
    let parts = parts(&answer);
    assert_eq!(parts[0].0, "bytes 3000000-3000000/3000001");
    assert_eq!(parts[1], ("bytes 0-1/3000001".to_owned(), pattern(0..2)));
    // Too many: the whole.
    let many: Vec<String> = (0..17).map(|n| format!("{}-{}", 5 * n, 5 * n)).collect();
    let many = format!("bytes={}", many.join(","));
    client.fetch_with("/file", &[("range", &many)]).assert_pattern(LENGTH);
    client.close();
    assert_eq!(server.wait_until_empty().files_open, 0);
}

#[test]
fn a_part_is_sent_only_of_the_same_state() {
    let server = server();
    let mut client = server.client();
    let head = client.fetch("/file");
    let (tag, date) = (head.field("etag").unwrap(), head.field("last-modified").unwrap());
    let weak = format!("W/{tag}");
    for (validator, status) in [
        (tag, 206),
        (date, 206),
        ("\"other\"", 200),
        (weak.as_str(), 200),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 200),
    ] {
        let fields = [("range", "bytes=5-9"), ("if-range", validator)];
        let answer = client.fetch_with("/file", &fields);
        assert_eq!(answer.status(), status, "{validator}");
        let expected = if status == 206 { pattern(5..10) } else { pattern(0..LENGTH) };
        assert!(answer.bytes == expected, "{validator}");
    }
    // The file changes, and nothing is patched together from two states.
    fs::write(server.root().join("file"), "another state").unwrap();
    let answer = client.fetch_with("/file", &[("range", "bytes=5-9"), ("if-range", tag)]);
    assert_eq!((answer.status(), answer.text.as_str()), (200, "another state"));
}

#[test]
fn conditions_are_answered() {
    let server = server();
    let mut client = server.client();
    let head = client.fetch("/file");
    let (tag, date) = (head.field("etag").unwrap(), head.field("last-modified").unwrap());
    let old = "Sun, 06 Nov 1994 08:49:37 GMT";
    for (fields, status) in [
        (&[("if-none-match", tag)][..], 304),
        (&[("if-none-match", "*")], 304),
        (&[("if-none-match", "\"x\""), ("if-modified-since", date)], 200),
        (&[("if-modified-since", date)], 304),
        (&[("if-modified-since", old)], 200),
        (&[("if-match", tag)], 200),
        (&[("if-match", "\"x\"")], 412),
        (&[("if-unmodified-since", date)], 200),
        (&[("if-unmodified-since", old)], 412),
        (&[("if-match", tag), ("if-unmodified-since", old)], 200),
        (&[("if-match", "\"x\""), ("if-none-match", tag)], 412),
        // A condition goes before a range.
        (&[("if-none-match", tag), ("range", "bytes=0-1")], 304),
        (&[("if-match", tag), ("range", "bytes=0-1")], 206),
    ] {
        for method in ["GET", "HEAD"] {
            let stream = client.request(method, "/file", fields, true);
            let answer = client.answer(stream);
            let expected = if method == "HEAD" && status == 206 { 200 } else { status };
            assert_eq!(answer.status(), expected, "{method} {fields:?}");
            if status != 412 {
                assert_eq!(answer.field("etag"), Some(tag));
                assert_eq!(answer.field("last-modified"), Some(date));
            }
            if status == 304 {
                assert_eq!((answer.length, answer.field("content-length")), (0, None));
            }
        }
    }
    let answer = client.fetch_with("/bytes/10", &[("if-none-match", "\"bytes-10\"")]);
    assert_eq!(answer.status(), 304);
    // What is not there meets no condition, and is just not there.
    assert_eq!(client.fetch_with("/missing", &[("if-match", "*")]).status(), 404);
}

#[test]
fn folders_are_redirected_and_listed_if_wanted() {
    let hidden = server();
    let listing = Fixture::with(|config| config.list = true);
    for server in [&hidden, &listing] {
        fs::create_dir_all(server.root().join("a b/<i>")).unwrap();
        fs::write(server.root().join("a b/.secret"), "").unwrap();
        let mut client = server.client();
        let answer = client.fetch("/a%20b?query");
        assert_eq!((answer.status(), answer.field("location")), (301, Some("/a%20b/")));
        // Nowhere else, whatever the path looks like.
        let answer = client.fetch("//a%20b");
        assert_eq!((answer.status(), answer.field("location")), (301, Some("/a%20b/")));
        assert_eq!(client.fetch("/../").status(), 403);
    }
    assert_eq!(hidden.client().fetch("/a%20b/").status(), 404);
    let mut client = listing.client();
    let page = client.fetch("/a%20b/");
    assert_eq!(page.status(), 200);
    assert_eq!(page.field("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.text.contains("<a href=\"%3Ci%3E/\">&lt;i&gt;/</a>"), "{}", page.text);
    assert!(!page.text.contains("secret") && !page.text.contains("<i>"), "{}", page.text);
    let stream = client.request("HEAD", "/a%20b/", &[], true);
    assert_eq!(client.answer(stream).length, 0);
    fs::write(listing.root().join("a b/index.html"), "index").unwrap();
    assert_eq!(client.fetch("/a%20b/").text, "index");
}

#[test]
fn a_long_folder_is_cut_and_says_so() {
    let server = Fixture::with(|config| config.list = true);
    for n in 0..1001 {
        fs::write(server.root().join(format!("file-{n}")), "").unwrap();
    }
    let mut client = server.client();
    let page = client.fetch("/");
    let text = String::from_utf8(page.bytes).unwrap();
    assert_eq!(text.matches("<li>").count(), 1000);
    assert!(text.contains("These are 1000 names; there are more."));
}
