//! What a server may say over HTTP/1.1: whatever it is, and however it is divided, the exchange ends in one way,
//! nothing grows, and a connection that may be used again has heard a whole response and not a byte more.
#![no_main]

use std::task::{Context, Poll, Waker};

use http::{HeaderMap, Method};
use http1_session::Http1Session;
use libfuzzer_sys::fuzz_target;
use socket_transport::Clock;
use transaction::{ConnectionInfo, HttpTransaction, RequestBody, RequestHead, TransactionId};

/// What came of it: the status, the body, and whether all was well.
type Outcome = (Option<u16>, Vec<u8>, bool);

fn play(method: &Method, bytes: &[u8], piece: usize) -> Outcome {
    let head = RequestHead::new(method.clone(), "https", "necko.test", "/", &HeaderMap::new());
    let info = ConnectionInfo::new("necko.test", 443);
    let (transaction, mut pending) =
        HttpTransaction::new(TransactionId(1), info, head.expect("valid"), RequestBody::Empty);
    let now = Clock::system().now();
    let mut session = Http1Session::new();
    session.activate(transaction, false);
    session.send(now, &mut |out| out.len());
    let (mut cx, mut body) = (Context::from_waker(Waker::noop()), None);
    let mut outcome: Outcome = (None, Vec::new(), false);
    let mut look = |outcome: &mut Outcome| {
        if body.is_none()
            && let Poll::Ready(Ok(response)) = std::pin::Pin::new(&mut pending).poll(&mut cx)
        {
            outcome.0 = Some(response.status().as_u16());
            body = Some(response.into_body());
        }
        while let Some(body) = &mut body {
            match body.poll_chunk(1 << 16, &mut cx) {
                Poll::Ready(Ok(Some(piece))) => outcome.1.extend_from_slice(&piece),
                Poll::Ready(Ok(None)) => {
                    outcome.2 = true;
                    break;
                }
                Poll::Ready(Err(_)) | Poll::Pending => break,
            }
        }
    };
    for piece in bytes.chunks(piece.max(1)) {
        let taken = session.receive(piece, now);
        assert!(taken <= piece.len());
        assert!(session.buffered() <= 512 * 1024, "what it holds is bounded");
        if session.take_finished().is_some() {
            break;
        }
        look(&mut outcome);
    }
    session.receive_end(true, now);
    assert!(session.transaction().is_none(), "nothing is left of it");
    assert!(!session.can_activate());
    look(&mut outcome);
    outcome
}

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (method, piece, bytes) = input;
    let method = [Method::GET, Method::HEAD, Method::DELETE][usize::from(method % 3)].clone();
    let whole = play(&method, bytes, bytes.len());
    let divided = play(&method, bytes, usize::from(piece));
    assert_eq!(whole, divided, "it doesn't matter how it is divided");
});
