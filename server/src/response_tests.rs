use std::time::UNIX_EPOCH;

use super::*;

const NOW: SystemTime = UNIX_EPOCH;

#[test]
fn a_refusal_says_why() {
    for (refusal, status) in [
        (Refusal::Malformed("reason"), 400),
        (Refusal::Forbidden("reason"), 403),
        (Refusal::NotFound, 404),
        (Refusal::Moved("/there/".to_owned()), 301),
        (Refusal::Unavailable(std::io::Error::other("secret detail")), 500),
    ] {
        let response = Response::refusal(&refusal, NOW);
        assert_eq!(response.head.status(), status);
        let Source::Bytes { bytes, .. } = response.body else { panic!("no text") };
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.starts_with(&status.to_string()) && !text.contains("secret"), "{text}");
    }
    let moved = Response::refusal(&Refusal::Moved("/there/".to_owned()), NOW);
    assert_eq!(moved.head.field("location"), Some("/there/"));
    assert_eq!(Response::text(405, "", NOW).head.field("allow"), Some("GET, HEAD, POST, PUT"));
}

#[test]
fn a_stored_body_is_created_or_replaced() {
    let mut stored = Stored {
        created: true,
        location: Some("/in/upload-1".to_owned()),
        length: 5,
        tag: "\"5-0\"".to_owned(),
    };
    let response = Response::stored(&stored, NOW);
    assert_eq!(response.head.status(), 201);
    assert_eq!(response.head.field("location"), Some("/in/upload-1"));
    assert_eq!(response.head.field("etag"), Some("\"5-0\""));
    assert!(!response.body.is_empty());

    (stored.created, stored.location) = (false, None);
    let response = Response::stored(&stored, NOW);
    assert_eq!(response.head.status(), 204);
    assert_eq!(response.head.field("location"), None);
    // 204 has neither body nor length.
    assert!(response.body.is_empty());
    assert_eq!(response.head.field("content-length"), None);
}
