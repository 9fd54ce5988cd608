//! Any order of what can happen to a transaction on its connections, compared with what must hold.

use std::{
    future::Future as _,
    io::Write as _,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use http::{HeaderMap, Method, StatusCode, Version};
use proptest::prelude::*;
use transaction::{
    Alpn, Closed, ConnectionInfo, ErrorCode, HttpTransaction, NetError, PendingResponse,
    RequestBody, RequestHead, Response, ResponseHead, TransactionId, Writing,
};

/// One thing that a connection does to its transaction.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// It served another request before.
    Reused,
    HeadSent,
    /// The body leaves, up to so many bytes.
    Body(usize),
    ResponseHead(u16),
    ResponseBytes(usize),
    End(End),
}

#[derive(Debug, Clone, Copy)]
enum End {
    Fin,
    Reset(u64),
    Closed(u64),
    NetReset,
    Idle,
    EchRetry,
}

fn end() -> impl Strategy<Value = End> {
    let code = prop_oneof![Just(0x102), Just(0x10b), Just(0x10c), Just(0x110)];
    prop_oneof![
        1 => Just(End::Fin),
        3 => code.clone().prop_map(End::Reset),
        2 => code.prop_map(End::Closed),
        4 => Just(End::NetReset),
        1 => Just(End::Idle),
        1 => Just(End::EchRetry),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let status = prop_oneof![Just(103), Just(200), Just(408), Just(421)];
    prop_oneof![
        1 => Just(Step::Reused),
        3 => Just(Step::HeadSent),
        2 => (0usize..5).prop_map(Step::Body),
        1 => status.prop_map(Step::ResponseHead),
        1 => (0usize..5).prop_map(Step::ResponseBytes),
        4 => end().prop_map(Step::End),
    ]
}

/// What the consumer has, and what left on the attempt that runs.
struct Played {
    transaction: Option<Box<HttpTransaction>>,
    pending: Option<PendingResponse>,
    /// What the consumer was told first.
    told: Option<Result<Response, NetError>>,
    once_only: bool,
    safe: bool,
    attempts: u32,
    head_sent: bool,
    reused: bool,
    body_left: usize,
    /// A byte of an answer came, in whichever attempt: from then on none follows.
    answered: bool,
    fell_back: bool,
}

impl Played {
    fn new(method: Method, once_only: bool) -> Self {
        let safe = method.is_safe();
        let head = RequestHead::new(method, "https", "necko.test", "/", &HeaderMap::new());
        let body = if once_only {
            let (mut writer, body) = RequestBody::pipe(None);
            writer.write_all(b"once only").unwrap();
            writer.finish();
            body
        } else {
            "as often as needed".into()
        };
        let info = ConnectionInfo::new("necko.test", 443);
        let (transaction, pending) =
            HttpTransaction::new(TransactionId(1), info, head.unwrap(), body);
        Self {
            transaction: Some(transaction),
            pending: Some(pending),
            told: None,
            once_only,
            safe,
            attempts: 1,
            head_sent: false,
            reused: false,
            body_left: 0,
            answered: false,
            fell_back: false,
        }
    }

    fn play(&mut self, step: Step) {
        let Some(mut transaction) = self.transaction.take() else { return };
        match step {
            Step::Reused => {
                transaction.set_reused_connection(true);
                self.reused = true;
            }
            Step::HeadSent => {
                transaction.head_sent();
                self.head_sent = true;
            }
            Step::Body(most) => {
                let left = &mut self.body_left;
                let mut rest = most;
                let send = |bytes: &[u8]| {
                    let taken = bytes.len().min(std::mem::take(&mut rest));
                    *left += taken;
                    Ok(taken)
                };
                transaction.read_segments(send).unwrap();
            }
            Step::ResponseHead(status) => {
                let status = StatusCode::from_u16(status).unwrap();
                let (version, headers) = (Version::HTTP_3, HeaderMap::new());
                match transaction.set_response_head(ResponseHead { status, version, headers }) {
                    Ok(()) => self.answered = true,
                    Err(error) => return self.close(transaction, Err(error)),
                }
            }
            Step::ResponseBytes(count) => {
                // A stream reads no body before it has a head.
                if self.answered {
                    let written = transaction.write_segments(|_| Ok(Writing::Bytes(count)));
                    written.unwrap().unwrap();
                }
            }
            Step::End(end) => {
                let result = result_of(end);
                return self.close(transaction, result);
            }
        }
        self.transaction = Some(transaction);
    }

    fn close(&mut self, transaction: Box<HttpTransaction>, result: Result<(), NetError>) {
        let error = result.clone().err();
        let Closed::Restart(transaction) = transaction.close(result) else {
            // Somebody is told, or it would be lost.
            self.look();
            assert!(self.told.is_some(), "the consumer waits for ever: {error:?}");
            return;
        };
        let error = error.expect("what ended well does not go again");
        assert!(!self.answered, "something of it reached the consumer: {error:?}");
        assert!(!self.once_only || self.body_left == 0, "its beginning is gone: {error:?}");
        if matches!(error, NetError::NetReset { .. }) {
            assert!(self.safe || !self.head_sent || self.reused, "it may do harm twice");
        }
        if error.is_version_fallback() {
            assert!(!std::mem::replace(&mut self.fell_back, true), "there is no lower version");
        }
        let alpn = transaction.connection_info().alpn;
        assert_eq!(alpn, if self.fell_back { Alpn::Http11 } else { Alpn::Http3 });
        self.attempts += 1;
        assert!(self.attempts <= 6, "it is tried without end");
        (self.head_sent, self.reused, self.body_left) = (false, false, 0);
        self.transaction = Some(transaction);
    }

    /// The consumer looks. What it was told stays what it was told: a response has one head.
    fn look(&mut self) {
        let Some(pending) = &mut self.pending else { return };
        let mut context = Context::from_waker(Waker::noop());
        if let Poll::Ready(told) = Pin::new(pending).poll(&mut context) {
            self.pending = None;
            self.told = Some(told);
        }
    }
}

fn result_of(end: End) -> Result<(), NetError> {
    Err(match end {
        End::Fin => return Ok(()),
        End::Reset(code) => NetError::NetInterrupt { code: ErrorCode::new(code) },
        End::Closed(code) => NetError::Http3Protocol {
            code: ErrorCode::new(code),
            by_peer: true,
            reason: String::new(),
        },
        End::NetReset => NetError::NetReset { reason: "gone".into() },
        End::Idle => NetError::NetTimeout(transaction::TimeoutPhase::Idle),
        End::EchRetry => NetError::EchRetry(None),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn t1_t3_t4_t5_no_order_of_events_loses_a_request_or_tells_two_answers(
        post in any::<bool>(),
        once_only in any::<bool>(),
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let method = if post { Method::POST } else { Method::GET };
        let mut played = Played::new(method, once_only);
        for step in steps {
            let (had_told, answered) = (played.told.is_some(), played.answered);
            played.play(step);
            played.look();
            // One head, which no later attempt replaces, and nothing before there was one.
            prop_assert!(!had_told || played.told.is_some());
            prop_assert!(answered || !had_told || played.transaction.is_none());
        }
        // Whoever lets go of it ends it.
        let left = played.transaction.take();
        let running = left.is_some();
        drop(left);
        played.look();
        prop_assert!(played.told.is_some(), "running: {running}");
    }
}
