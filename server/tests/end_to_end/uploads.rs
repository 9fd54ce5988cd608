//! Request bodies: pulled, counted, and held back by flow control.

use crate::common::{Client, Fixture};

fn upload(client: &mut Client, more: &[(&str, &str)], length: u64) -> crate::common::Answer {
    let stream = client.upload(more, length, true);
    client.answer(stream)
}

#[test]
fn an_upload_is_counted() {
    let server = Fixture::new();
    let mut client = server.client();
    for length in [1, 5_000_000, 30_000_000] {
        let text = length.to_string();
        for more in [&[][..], &[("content-length", text.as_str())][..]] {
            let answer = upload(&mut client, more, length);
            assert_eq!(answer.status(), 200);
            assert_eq!(answer.field("x-data-received-length"), Some(text.as_str()));
        }
    }
    let stream = client.request("PUT", "/x", &[("content-length", "0")], true);
    assert_eq!(client.answer(stream).field("x-data-received-length"), Some("0"));
    client.close();
    let snapshot = server.wait_until_empty();
    assert_eq!((snapshot.requests.uploads, snapshot.requests.upload_bytes), (7, 70_000_002));
}

#[test]
fn several_uploads_at_once() {
    let server = Fixture::new();
    let mut client = server.client();
    let streams: Vec<u64> = (0..20).map(|_| client.upload(&[], 1_000_000, true)).collect();
    for stream in streams {
        let answer = client.answer(stream);
        assert_eq!(answer.field("x-data-received-length"), Some("1000000"));
    }
}

#[test]
fn a_lying_content_length_is_refused() {
    let server = Fixture::new();
    let mut client = server.client();
    for (announced, length) in [("10", 9), ("10", 11), ("0", 1), ("10", 3_000_000)] {
        let answer = upload(&mut client, &[("content-length", announced)], length);
        assert_eq!(answer.status(), 400, "{announced} {length}: {answer:?}");
    }
    // Nothing is left of them, and the connection goes on.
    assert_eq!(upload(&mut client, &[], 5).status(), 200);
    client.close();
    server.wait_until_empty();
}

/// An unfinished upload that is reset is no upload.
/// Sources: <https://github.com/saorsa-labs/ant-quic/issues/244>,
/// <https://github.com/cloudflare/quiche/issues/2524>.
#[test]
fn d2_16_an_upload_that_is_taken_back_leaves_nothing() {
    let server = Fixture::new();
    let mut client = server.client();
    let stream = client.upload(&[], 100_000, false);
    client.drive("the upload to begin", |_| server.snapshot().requests.upload_bytes == 100_000);
    assert_eq!(server.snapshot().uploads, 1);
    client.cancel(stream);
    client.drive("the upload to end", |_| server.snapshot().uploads == 0);
    let snapshot = server.snapshot();
    assert_eq!((snapshot.requests.uploads, snapshot.requests.uploads_cancelled), (0, 1));
    client.fetch("/bytes/10").assert_pattern(10);
}

/// `STOP_SENDING` for the response while the upload is open aborts the upload.
/// Source: <https://github.com/oven-sh/bun/issues/42889>.
#[test]
fn d2_37_a_client_that_wants_no_answer_ends_its_upload() {
    let server = Fixture::new();
    let mut client = server.client();
    let stream = client.upload(&[], 100_000, false);
    client.drive("the upload to begin", |_| server.snapshot().requests.upload_bytes == 100_000);
    client.quic.stream_shutdown(stream, quiche::Shutdown::Read, 0x10c).unwrap();
    client.drive("the upload to end", |_| server.snapshot().uploads == 0);
    client.drive("the server to stop the body", |client| {
        client.quic.stream_capacity(stream).is_err()
    });
}

/// The answer to a method that takes no body comes without waiting for the body.
#[test]
fn an_early_answer_stops_the_body() {
    let server = Fixture::new();
    let mut client = server.client();
    let stream = client.request("DELETE", "/x", &[], false);
    assert_eq!(client.answer(stream).status(), 405);
    let _ = client.http.as_mut().unwrap().send_body(&mut client.quic, stream, &[0; 10], false);
    client.drive("the server to stop the body", |client| {
        client.quic.stream_capacity(stream).is_err()
    });
    client.fetch("/bytes/10").assert_pattern(10);
}
