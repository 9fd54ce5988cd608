//! Requests and what came of them.

use std::{
    future::Future as _,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use connection_mgr::ConnectionInfo;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use transaction::{
    HttpTransaction, NetError, PendingResponse, Priority, RequestBody, RequestHead, ResponseBody,
    ResponseHead, TransactionId,
};

use super::{HOST, PORT};
use crate::loopback::pattern;

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

    /// To another host.
    pub fn host(self, host: &str) -> Self {
        Self { host: host.to_owned(), ..self }
    }

    /// To another port.
    pub fn port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// With a header field.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("a value");
        self.headers.append(HeaderName::from_static(name), value);
        self
    }

    /// The transaction, whose body keeps `witness` for as long as the transaction lives.
    pub(super) fn into_transaction(
        self,
        id: u64,
        witness: &Arc<()>,
        other_body: Option<RequestBody>,
    ) -> (ConnectionInfo, Box<HttpTransaction>, Fetch) {
        let authority = format!("{}:{}", self.host, self.port);
        let head = RequestHead::new(self.method, "https", &authority, &self.path, &self.headers)
            .expect("a valid request");
        let body = Witnessed { bytes: self.body, _witness: Arc::clone(witness) };
        let body = other_body.unwrap_or(RequestBody::Bytes(Bytes::from_owner(body)));
        let (transaction, response) = HttpTransaction::new(TransactionId(id), head, body);
        let info = ConnectionInfo::new(&self.host, self.port);
        (info, transaction, Fetch::new(self.path, response))
    }
}

struct Witnessed {
    bytes: Bytes,
    _witness: Arc<()>,
}

impl AsRef<[u8]> for Witnessed {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A request under way. Dropping it is what dropping a response is: it cancels.
#[derive(Debug)]
pub struct Fetch {
    path: String,
    stage: Stage,
    head: Option<ResponseHead>,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
}

#[derive(Debug)]
enum Stage {
    Waiting(PendingResponse),
    Reading(ResponseBody),
    Done(Result<(), NetError>),
}

impl Fetch {
    fn new(path: String, response: PendingResponse) -> Self {
        Self { path, stage: Stage::Waiting(response), head: None, body: Vec::new(), trailers: None }
    }

    /// Takes the head if it is there, and nothing of the body. Says whether the wait for it is over.
    pub fn poll_head(&mut self) -> bool {
        if let Stage::Waiting(response) = &mut self.stage {
            let mut context = Context::from_waker(Waker::noop());
            match Pin::new(response).poll(&mut context) {
                Poll::Pending => {}
                Poll::Ready(Ok(response)) => {
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
        self.poll_head();
        let Stage::Reading(body) = &mut self.stage else { return None };
        match body.try_chunk()? {
            Ok(Some(piece)) => {
                self.body.extend_from_slice(&piece);
                return Some(piece.len());
            }
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

    /// What was read of the body.
    pub fn body(&self) -> &[u8] {
        &self.body
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
        pattern::assert_is(&self.body, length);
    }
}
