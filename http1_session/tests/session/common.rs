//! A session with both of its ends in the test's hands.

use std::{
    future::Future as _,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use http1_session::Http1Session;
use socket_transport::Clock;
use transaction::{
    BodyWriter, ConnectionInfo, HttpTransaction, NetError, PendingResponse, RequestBody,
    RequestHead, Response, ResponseBody, TransactionId,
};

/// A session, and what it sent.
pub(crate) struct Peer {
    pub(crate) session: Http1Session,
    pub(crate) now: Instant,
    pub(crate) sent: Vec<u8>,
    /// How much the network takes before it blocks.
    pub(crate) credit: usize,
}

impl Peer {
    pub(crate) fn new() -> Self {
        Self {
            session: Http1Session::new(),
            now: Clock::system().now(),
            sent: Vec::new(),
            credit: usize::MAX,
        }
    }

    /// Begins an exchange without sending anything.
    pub(crate) fn activate(&mut self, request: Request) -> PendingResponse {
        let (transaction, response) = request.transaction();
        self.activate_transaction(transaction);
        response
    }

    pub(crate) fn activate_transaction(&mut self, transaction: Box<HttpTransaction>) {
        assert!(self.session.can_activate());
        let reused = self.session.exchanges() > 0;
        self.session.activate(transaction, reused);
    }

    /// Begins an exchange and sends what can be sent.
    pub(crate) fn ask(&mut self, request: Request) -> PendingResponse {
        let response = self.activate(request);
        self.send();
        response
    }

    /// Sends what the network takes. Answers what that was.
    pub(crate) fn send(&mut self) -> Vec<u8> {
        let before = self.sent.len();
        let (sent, credit) = (&mut self.sent, &mut self.credit);
        self.session.send(self.now, &mut |bytes| {
            let taken = bytes.len().min(*credit);
            *credit -= taken;
            sent.extend_from_slice(&bytes[..taken]);
            taken
        });
        self.sent[before..].to_vec()
    }

    /// What it sent, as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.sent).into_owned()
    }

    /// Receives; answers how many bytes were taken.
    pub(crate) fn receive(&mut self, bytes: impl AsRef<[u8]>) -> usize {
        self.session.receive(bytes.as_ref(), self.now)
    }

    /// Receives in pieces of at most `size` bytes.
    pub(crate) fn receive_in_pieces(&mut self, bytes: &[u8], size: usize) {
        for piece in bytes.chunks(size) {
            assert_eq!(self.receive(piece), piece.len(), "the pipe is large enough for this test");
        }
    }

    pub(crate) fn end(&mut self, clean: bool) {
        self.session.receive_end(clean, self.now);
    }

    /// Lets time pass.
    pub(crate) fn after(&mut self, time: Duration) {
        self.now += time;
        self.session.on_deadline(self.now);
    }

    /// Whether the exchange is over; what is to go again.
    pub(crate) fn restart(&mut self) -> Option<Box<HttpTransaction>> {
        let finished = self.session.take_finished().expect("the exchange is over");
        assert!(self.session.take_finished().is_none(), "it is told once");
        assert!(self.session.transaction().is_none());
        finished.restart
    }

    /// The exchange is over and does not go again.
    pub(crate) fn over(&mut self) {
        assert!(self.restart().is_none(), "it goes again");
    }

    pub(crate) fn reset(&mut self) {
        self.session.fail(NetError::NetReset { reason: "reset".into() });
    }
}

/// What is asked for.
pub(crate) struct Request {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: RequestBody,
}

pub(crate) fn get() -> Request {
    Request {
        method: Method::GET,
        path: "/a?b".into(),
        headers: HeaderMap::new(),
        body: RequestBody::Empty,
    }
}

pub(crate) fn post(body: impl Into<RequestBody>) -> Request {
    Request { method: Method::POST, body: body.into(), ..get() }
}

/// A request whose body the test writes.
pub(crate) fn upload(length: Option<u64>) -> (BodyWriter, Request) {
    let (writer, body) = RequestBody::pipe(length);
    (writer, post(body))
}

impl Request {
    pub(crate) fn method(self, method: Method) -> Self {
        Self { method, ..self }
    }

    pub(crate) fn path(self, path: &str) -> Self {
        Self { path: path.into(), ..self }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("a value");
        self.headers.append(HeaderName::from_static(name), value);
        self
    }

    pub(crate) fn transaction(self) -> (Box<HttpTransaction>, PendingResponse) {
        let head = RequestHead::new(self.method, "https", "example.org", &self.path, &self.headers)
            .expect("a request");
        let info = ConnectionInfo::new("example.org", 443);
        HttpTransaction::new(TransactionId(1), info, head, self.body)
    }
}

/// The status, the body, and how it ended.
pub(crate) type Outcome = Result<(u16, Vec<u8>, Option<NetError>), NetError>;

/// What the consumer got; the exchange is over.
pub(crate) fn outcome(response: PendingResponse) -> Outcome {
    Consumer::new(response).outcome()
}

/// Reads a response whenever it is told to.
pub(crate) struct Consumer {
    pending: Option<PendingResponse>,
    failed: Option<NetError>,
    status: u16,
    body: Option<ResponseBody>,
    bytes: Vec<u8>,
}

impl Consumer {
    pub(crate) fn new(pending: PendingResponse) -> Self {
        Self { pending: Some(pending), failed: None, status: 0, body: None, bytes: Vec::new() }
    }

    /// Reads what is there.
    pub(crate) fn keep_up(&mut self) {
        if let Some(body) = &mut self.body {
            self.bytes.extend(drain(body));
        } else if let Some(mut pending) = self.pending.take() {
            match Pin::new(&mut pending).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Ok(response)) => self.take(response),
                Poll::Ready(Err(error)) => self.failed = Some(error),
                Poll::Pending => self.pending = Some(pending),
            }
        }
    }

    fn take(&mut self, response: Response) {
        self.status = response.status().as_u16();
        self.body = Some(response.into_body());
        self.keep_up();
    }

    /// Reads to the end; the exchange is over.
    pub(crate) fn outcome(mut self) -> Outcome {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.body.is_none() {
            let response = self.pending.take().unwrap().wait()?;
            self.take(response);
        }
        let (rest, error) = read(self.body.as_mut().unwrap());
        self.bytes.extend(rest);
        Ok((self.status, self.bytes, error))
    }
}

/// A response that ended well.
pub(crate) fn whole(response: PendingResponse) -> (u16, String) {
    let (status, body, error) = outcome(response).expect("a response");
    assert_eq!(error, None);
    (status, String::from_utf8(body).expect("text"))
}

/// How a request failed, before its response or in its midst.
pub(crate) fn failure(response: PendingResponse) -> NetError {
    match outcome(response) {
        Err(error) => error,
        Ok((status, body, error)) => {
            error.unwrap_or_else(|| panic!("{status} with {} bytes", body.len()))
        }
    }
}

fn read(body: &mut ResponseBody) -> (Vec<u8>, Option<NetError>) {
    let mut bytes = Vec::new();
    loop {
        match body.wait_chunk() {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => return (bytes, None),
            Err(error) => return (bytes, Some(error)),
        }
    }
}

/// Reads what is there of a body.
pub(crate) fn drain(body: &mut ResponseBody) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(Ok(Some(chunk))) = body.try_chunk() {
        bytes.extend_from_slice(&chunk);
    }
    bytes
}

pub(crate) fn is_malformed(error: &NetError) -> bool {
    matches!(error, NetError::MalformedResponse(_))
}

pub(crate) fn is_partial(error: &NetError) -> bool {
    matches!(error, NetError::PartialTransfer { .. })
}
