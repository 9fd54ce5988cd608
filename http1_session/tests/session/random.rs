//! Random bytes, random divisions.

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use proptest::prelude::*;
use transaction::{ConnectionInfo, HttpTransaction, RequestBody, RequestHead, TransactionId};

use crate::common::*;

/// Receives all of it, in pieces of these sizes, over and over, with a consumer that keeps up, and ends it
/// cleanly. Answers what the consumer got, and whether the connection may be used again.
fn play(bytes: &[u8], sizes: &[usize], method: &Method) -> (Outcome, bool) {
    let mut peer = Peer::new();
    let mut consumer = Consumer::new(peer.ask(get().method(method.clone())));
    let mut rest = bytes;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, behind) = rest.split_at((*size).clamp(1, rest.len()));
        assert_eq!(peer.receive(piece), piece.len(), "nothing here fills a pipe");
        assert!(peer.session.buffered() <= 384 * 1024);
        rest = behind;
        consumer.keep_up();
    }
    let reusable = peer.session.can_activate() || peer.session.may_be_reused();
    peer.end(true);
    match peer.session.take_finished().expect("it is over").restart {
        Some(transaction) => drop(transaction),
        None => assert!(peer.session.transaction().is_none()),
    }
    (consumer.outcome(), reusable)
}

/// Text that is nearly a response.
fn nearly() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        Just("HTTP/1.1 200 OK\r\n"),
        Just("HTTP/1.0 200 OK\r\n"),
        Just("HTTP/1.1 103 Early\r\n"),
        Just("HTTP/1.1 304 Not\r\n"),
        Just("Content-Length: 3\r\n"),
        Just("Transfer-Encoding: chunked\r\n"),
        Just("Connection: close\r\n"),
        Just("\r\n"),
        Just("\n"),
        Just("\r"),
        Just("abc"),
        Just("3\r\nabc\r\n"),
        Just("0\r\n"),
        Just("0\r\n\r\n"),
        Just("1;x=y\r\n"),
        Just("A: b\r\n"),
        Just(" "),
        Just("\0"),
    ];
    (any::<bool>(), prop::collection::vec(line, 0..12)).prop_map(|(good, lines)| {
        let start = if good { "HTTP/1.1 200 OK\r\n" } else { "" };
        format!("{start}{}", lines.concat())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_response_is_the_same_however_it_is_divided(
        text in nearly(),
        sizes in prop::collection::vec(1_usize..20, 1..8),
        head in any::<bool>(),
    ) {
        let method = if head { Method::HEAD } else { Method::GET };
        let (whole, reusable) = play(text.as_bytes(), &[usize::MAX], &method);
        let (divided, reusable_divided) = play(text.as_bytes(), &sizes, &method);
        prop_assert_eq!(&divided, &whole);
        prop_assert_eq!(reusable_divided, reusable);
    }

    #[test]
    fn garbage_is_refused_or_read_and_nothing_else(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        start in prop_oneof![
            Just(""),
            Just("HTTP/1.1 200 OK\r\n"),
            Just("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
            Just("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"),
        ],
    ) {
        let bytes = [start.as_bytes(), &bytes].concat();
        let _ = play(&bytes, &[7], &Method::GET);
    }

    #[test]
    fn what_is_sent_in_chunks_is_what_is_received(
        pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 0..8),
        credit in 1_usize..5000,
        sizes in prop::collection::vec(1_usize..4000, 1..4),
    ) {
        // Up in chunks …
        let (mut writer, request) = upload(None);
        let mut peer = Peer::new();
        let _response = peer.activate(request);
        for piece in &pieces {
            writer.try_send(&mut piece.clone().into()).unwrap();
        }
        writer.finish();
        while peer.session.wants_send() {
            peer.credit = credit;
            peer.send();
        }
        let text = peer.sent;
        let end = text.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
        // … and the same ones down.
        let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let down = [&head[..], &text[end..]].concat();
        let (outcome, reusable) = play(&down, &sizes, &Method::GET);
        prop_assert_eq!(outcome, Ok((200, pieces.concat(), None)));
        prop_assert!(reusable);
    }

    /// Whatever an application passes, what leaves is one head.
    #[test]
    fn nothing_an_application_passes_splits_a_request(
        path in "/[!-~\\u{a1}-\\u{ff}]{0,30}",
        authority in "[!-~]{1,20}",
        fields in prop::collection::vec(
            ("[a-zA-Z!#$%&'*+.^_`|~0-9-]{1,16}", prop::collection::vec(any::<u8>(), 0..30)),
            0..8,
        ),
        body in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name = HeaderName::from_bytes(name.as_bytes());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(&value)) {
                headers.append(name, value);
            }
        }
        let head = RequestHead::new(Method::PUT, "https", &authority, &path, &headers);
        prop_assume!(head.is_ok());
        let info = ConnectionInfo::new("example.org", 443);
        let body = RequestBody::from(body);
        let length = body.length().unwrap();
        let (transaction, _response) =
            HttpTransaction::new(TransactionId(1), info, head.unwrap(), body);
        let mut peer = Peer::new();
        peer.activate_transaction(transaction);
        peer.send();
        let end = peer.sent.len() - usize::try_from(length).unwrap();
        let head = &peer.sent[..end];
        prop_assert!(head.ends_with(b"\r\n\r\n"));
        prop_assert!(!head.contains(&0));
        let lines = head.strip_suffix(b"\r\n\r\n").unwrap().split(|byte| *byte == b'\n');
        let last = lines.clone().count() - 1;
        for (n, line) in lines.enumerate() {
            let line = if n == last { line } else { line.strip_suffix(b"\r").unwrap() };
            prop_assert!(!line.is_empty() && !line.contains(&b'\r'));
        }
        // As another reader sees it.
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut fields);
        if request.parse(head) == Ok(httparse::Status::Complete(end)) {
            prop_assert_eq!(request.path, Some(&path[..]));
            let lengths: Vec<_> = request
                .headers
                .iter()
                .filter(|field| field.name.eq_ignore_ascii_case("content-length"))
                .map(|field| String::from_utf8_lossy(field.value).into_owned())
                .collect();
            prop_assert_eq!(lengths, vec![length.to_string()]);
            let codings = request.headers.iter();
            prop_assert!(codings.filter(|field| field.name == "transfer-encoding").count() == 0);
        }
    }
}
