//! Requests and what came of them.

use std::{
    future::Future as _,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use transaction::{
    Alpn, Canceller, ClassOfService, ConnectionInfo, EarlyData, HttpTransaction, Isolation,
    NetError, PendingResponse, Priority, RequestBody, RequestHead, ResponseBody, ResponseHead,
    SharedTimings, TimeLimits, Timings, TransactionId, Witness as PipeWitness,
};

use super::{HOST, PORT};
use crate::loopback::pattern::{self, Check};

/// A request.
#[derive(Debug, Clone)]
#[must_use]
pub struct Ask {
    method: Method,
    host: String,
    port: u16,
    path: String,
    headers: HeaderMap,
    body: Bytes,
    checked: bool,
    isolation: Isolation,
    class: ClassOfService,
    priority: Priority,
    limits: TimeLimits,
    alpn: Alpn,
}

impl Ask {
    /// A request to [`HOST`] on [`PORT`].
    pub fn new(method: Method, path: &str) -> Self {
        Self {
            method,
            host: HOST.to_owned(),
            port: PORT,
            path: path.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            checked: false,
            isolation: Isolation::default(),
            class: ClassOfService::default(),
            priority: Priority::default(),
            limits: TimeLimits::default(),
            alpn: Alpn::default(),
        }
    }

    /// `GET`.
    pub fn get(path: &str) -> Self {
        Self::new(Method::GET, path)
    }

    /// `POST`.
    pub fn post(path: &str, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..Self::new(Method::POST, path) }
    }

    /// With a body.
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// To another host.
    pub fn host(self, host: &str) -> Self {
        Self { host: host.to_owned(), ..self }
    }

    /// To another port.
    pub fn port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// Kept apart from others.
    pub fn isolated(self, isolation: Isolation) -> Self {
        Self { isolation, ..self }
    }

    /// With a place in the queue.
    pub fn class(self, class: ClassOfService) -> Self {
        Self { class, ..self }
    }

    /// With an urgency.
    pub fn urgency(self, priority: Priority) -> Self {
        Self { priority, ..self }
    }

    /// Over HTTP/1.1, on a bench that [speaks it](super::Setup::http1).
    pub fn http1(self) -> Self {
        Self { alpn: Alpn::Http11, ..self }
    }

    /// With time limits.
    pub fn limits(self, limits: TimeLimits) -> Self {
        Self { limits, ..self }
    }

    /// With a header field.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("a value");
        self.headers.append(HeaderName::from_static(name), value);
        self
    }

    /// With a header field whose name is written like this.
    pub fn header_as(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        self.headers.append(name, HeaderValue::from_str(value).expect("a value"));
        self
    }

    /// Whose response is compared with the [pattern] as it arrives, and not kept.
    pub fn checked(self) -> Self {
        Self { checked: true, ..self }
    }

    /// The transaction, whose head keeps `witness` for as long as the transaction lives: in a field, because
    /// a body may be given up early.
    pub(super) fn into_transaction(
        self,
        id: u64,
        witness: &Arc<()>,
        other_body: Option<RequestBody>,
    ) -> (Box<HttpTransaction>, Fetch) {
        let authority = format!("{}:{}", self.host, self.port);
        let mut headers = self.headers;
        headers.extend(witness_field(witness));
        let mut head = RequestHead::new(self.method, "https", &authority, &self.path, &headers)
            .expect("a valid request");
        head.priority = self.priority;
        drop(headers);
        let body = other_body.unwrap_or_else(|| self.body.into());
        let mut info = ConnectionInfo::new(&self.host, self.port);
        info.isolation = self.isolation;
        info.alpn = self.alpn;
        let (mut transaction, response) = HttpTransaction::new(TransactionId(id), info, head, body);
        transaction.set_class_of_service(self.class);
        transaction.set_time_limits(self.limits);
        let arrived =
            if self.checked { Arrived::Checked(Check::new()) } else { Arrived::Kept(Vec::new()) };
        (transaction, Fetch::new(self.path, response, arrived))
    }
}

/// A header field whose value holds on to something.
pub(super) fn witness_field(witness: &Arc<()>) -> HeaderMap {
    let value = HeaderValue::from_maybe_shared(Bytes::from_owner(Witness(Arc::clone(witness))));
    let field = (HeaderName::from_static("x-witness"), value.expect("a value"));
    HeaderMap::from_iter([field])
}

/// The bytes of a header field's value, which hold on to something.
struct Witness(#[expect(dead_code, reason = "it is there")] Arc<()>);

impl AsRef<[u8]> for Witness {
    fn as_ref(&self) -> &[u8] {
        b"alive"
    }
}

/// A request under way. Dropping it is what dropping a response is: it cancels.
#[derive(Debug)]
pub struct Fetch {
    path: String,
    stage: Stage,
    head: Option<ResponseHead>,
    early_data: EarlyData,
    trailers: Option<HeaderMap>,
    arrived: Arrived,
    /// A piece that was taken from the pipe and is not read to its end.
    rest: Bytes,
    timings: SharedTimings,
    canceller: Canceller,
}

#[derive(Debug)]
enum Arrived {
    Kept(Vec<u8>),
    Checked(Check),
}

impl Arrived {
    fn take(&mut self, bytes: &[u8]) {
        match self {
            Self::Kept(body) => body.extend_from_slice(bytes),
            Self::Checked(check) => check.take(bytes),
        }
    }
}

#[derive(Debug)]
enum Stage {
    Waiting(PendingResponse),
    Reading(ResponseBody),
    Done(Result<(), NetError>),
}

impl Fetch {
    fn new(path: String, response: PendingResponse, arrived: Arrived) -> Self {
        let (timings, canceller) = (response.timings(), response.canceller());
        let (stage, rest) = (Stage::Waiting(response), Bytes::new());
        let early_data = EarlyData::NotTried;
        Self {
            path,
            stage,
            head: None,
            early_data,
            trailers: None,
            arrived,
            rest,
            timings,
            canceller,
        }
    }

    /// A witness of its pipe, while no head was taken.
    pub(super) fn witness(&self) -> Option<PipeWitness> {
        match &self.stage {
            Stage::Waiting(response) => response.witness(),
            Stage::Reading(_) | Stage::Done(_) => None,
        }
    }

    /// When what happened so far.
    pub fn timings(&self) -> Timings {
        self.timings.get()
    }

    /// What cancels it, taken before anything happened.
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// Takes the head if it is there, and nothing of the body. Says whether the wait for it is over.
    pub fn poll_head(&mut self) -> bool {
        if let Stage::Waiting(response) = &mut self.stage {
            let mut context = Context::from_waker(Waker::noop());
            match Pin::new(response).poll(&mut context) {
                Poll::Pending => {}
                Poll::Ready(Ok(response)) => {
                    self.early_data = response.early_data();
                    let (head, body) = response.into_parts();
                    self.head = Some(head);
                    self.stage = Stage::Reading(body);
                }
                Poll::Ready(Err(error)) => self.stage = Stage::Done(Err(error)),
            }
        }
        !matches!(self.stage, Stage::Waiting(_))
    }

    /// The 103 heads that have come and were not looked at.
    pub fn take_early_hints(&mut self) -> Vec<ResponseHead> {
        let mut context = Context::from_waker(Waker::noop());
        let mut heads = Vec::new();
        while let Stage::Waiting(response) = &mut self.stage
            && let Poll::Ready(Some(head)) = pin!(response.early_hints()).poll(&mut context)
        {
            heads.push(head);
        }
        heads
    }

    /// Changes how urgent the response is.
    pub fn set_priority(&self, priority: Priority) {
        match &self.stage {
            Stage::Waiting(response) => response.set_priority(priority),
            Stage::Reading(body) => body.set_priority(priority),
            Stage::Done(_) => {}
        }
    }

    /// Takes one piece of the body; says how long it was.
    pub fn read_once(&mut self) -> Option<usize> {
        self.read_at_most(usize::MAX)
    }

    /// Reads so many bytes of the body, or fewer; says how many. A piece is taken from the pipe when the
    /// one before it is read to its end.
    pub fn read_at_most(&mut self, limit: usize) -> Option<usize> {
        if self.rest.is_empty() {
            self.rest = self.next_piece()?;
        }
        let bytes = self.rest.split_to(limit.min(self.rest.len()));
        self.arrived.take(&bytes);
        Some(bytes.len())
    }

    fn next_piece(&mut self) -> Option<Bytes> {
        self.poll_head();
        let Stage::Reading(body) = &mut self.stage else { return None };
        match body.try_chunk()? {
            Ok(Some(piece)) => return Some(piece),
            Ok(None) => {
                self.trailers = body.take_trailers();
                self.stage = Stage::Done(Ok(()));
            }
            Err(error) => self.stage = Stage::Done(Err(error)),
        }
        None
    }

    /// Takes all that is there; says whether the end was reached.
    pub fn poll(&mut self) -> bool {
        while self.read_once().is_some() {}
        self.is_done()
    }

    /// Whether the end was reached.
    pub fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done(_))
    }

    /// The head.
    #[track_caller]
    pub fn head(&self) -> &ResponseHead {
        self.head.as_ref().unwrap_or_else(|| panic!("{} has no response head", self.path))
    }

    /// Whether there was a head.
    pub fn has_head(&self) -> bool {
        self.head.is_some()
    }

    /// What became of it as early data, when the head was taken.
    pub fn early_data(&self) -> EarlyData {
        self.early_data
    }

    /// The status code.
    #[track_caller]
    pub fn status(&self) -> u16 {
        self.head().status.as_u16()
    }

    /// A header field of the response.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head().headers.get(name).map(|value| value.to_str().expect("text"))
    }

    /// What was read of the body, where it is kept.
    #[track_caller]
    pub fn body(&self) -> &[u8] {
        match &self.arrived {
            Arrived::Kept(body) => body,
            Arrived::Checked(_) => panic!("the body of {} is not kept", self.path),
        }
    }

    /// How many bytes of the body were read.
    pub fn received(&self) -> u64 {
        match &self.arrived {
            Arrived::Kept(body) => body.len() as u64,
            Arrived::Checked(check) => check.length(),
        }
    }

    /// The fields behind the body, at its end.
    pub fn trailers(&self) -> Option<&HeaderMap> {
        self.trailers.as_ref()
    }

    /// How it ended.
    #[track_caller]
    pub fn result(&self) -> Result<(), &NetError> {
        match &self.stage {
            Stage::Done(result) => result.as_ref().copied(),
            _ => panic!("{} has not ended", self.path),
        }
    }

    /// What it failed with.
    #[track_caller]
    pub fn error(&self) -> &NetError {
        self.result().expect_err("it ought to have failed")
    }

    /// It succeeded, with status 200 and this many bytes of the pattern.
    #[track_caller]
    pub fn expect_pattern(&self, length: u64) {
        assert_eq!(self.result(), Ok(()), "{}", self.path);
        assert_eq!(self.status(), 200, "{}", self.path);
        match &self.arrived {
            Arrived::Kept(body) => pattern::assert_is(body, length),
            Arrived::Checked(check) => assert_eq!(check.length(), length, "{}", self.path),
        }
    }
}
