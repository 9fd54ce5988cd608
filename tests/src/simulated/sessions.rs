//! WebTransport sessions, as a test on a bench has them.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use connection_mgr::Event;
use http::HeaderMap;
use transaction::{
    CertificateVerifier, ConnectionInfo, HttpTransaction, NetError, RequestBody, RequestHead,
    TimeLimits, TransactionId, WebTransportUse,
    web_transport::{PendingSession, PendingStream, RecvStream, SendStream, WebTransportSession},
};

use super::{Bench, HOST, PORT, fetch::witness_field};

/// What is ready without waiting.
pub fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// A request for a session.
#[must_use]
pub struct Connect {
    host: String,
    path: String,
    pooled: bool,
    verifier: Option<Arc<dyn CertificateVerifier>>,
    limits: TimeLimits,
}

impl Connect {
    /// One with a connection of its own.
    pub fn to(path: &str) -> Self {
        Self {
            host: HOST.to_owned(),
            path: path.to_owned(),
            pooled: false,
            verifier: None,
            limits: TimeLimits::default(),
        }
    }

    /// To another host.
    pub fn host(self, host: &str) -> Self {
        Self { host: host.to_owned(), ..self }
    }

    /// One that shares a connection with its like.
    pub fn pooled(self) -> Self {
        Self { pooled: true, ..self }
    }

    /// Whose certificate is verified by this.
    pub fn verifier(self, verifier: Arc<dyn CertificateVerifier>) -> Self {
        Self { verifier: Some(verifier), ..self }
    }

    /// How long it may take.
    pub fn limits(self, limits: TimeLimits) -> Self {
        Self { limits, ..self }
    }

    fn into_transaction(
        self,
        id: u64,
        fields: &HeaderMap,
    ) -> (Box<HttpTransaction>, PendingSession) {
        let authority = format!("{}:{PORT}", self.host);
        let head = RequestHead::web_transport(&authority, &self.path, fields).expect("valid");
        let mut info = ConnectionInfo::new(&self.host, PORT);
        info.web_transport =
            if self.pooled { WebTransportUse::Pooled } else { WebTransportUse::Dedicated(id) };
        let (mut transaction, response) =
            HttpTransaction::new(TransactionId(id), info, head, RequestBody::Empty);
        transaction.set_time_limits(self.limits);
        if let Some(verifier) = self.verifier {
            transaction.set_verifier(verifier);
        }
        let pending = PendingSession::new(&mut transaction, response);
        (transaction, pending)
    }
}

/// Both ends of a stream, and what was read of it.
pub struct Stream {
    /// What is sent on; none after it was finished.
    pub send: Option<SendStream>,
    receive: Option<RecvStream>,
    unsent: Bytes,
    finish: bool,
    /// What came.
    pub received: Vec<u8>,
    /// How it ended.
    pub end: Option<Result<(), NetError>>,
    /// Not yet read from.
    pub paused: bool,
}

impl Stream {
    /// Of these ends.
    pub fn new(send: Option<SendStream>, receive: Option<RecvStream>) -> Self {
        let end = if receive.is_some() { None } else { Some(Ok(())) };
        let (unsent, finish, paused) = (Bytes::new(), false, false);
        Self { send, receive, unsent, finish, received: Vec::new(), end, paused }
    }

    /// Sends these bytes from now on, and then the end.
    pub fn send_all(&mut self, bytes: impl Into<Bytes>) {
        self.unsent = bytes.into();
        self.finish = true;
    }

    /// Sends and reads what can be; says whether all is done.
    pub fn poll(&mut self) -> bool {
        if let Some(send) = &mut self.send {
            while !self.unsent.is_empty() && matches!(send.try_send(&mut self.unsent), Ok(1..)) {}
        }
        if self.unsent.is_empty() && self.finish {
            self.send.take().into_iter().for_each(SendStream::finish);
        }
        while self.end.is_none()
            && !self.paused
            && let Some(receive) = &mut self.receive
            && let Some(piece) = receive.try_chunk()
        {
            match piece {
                Ok(Some(piece)) => self.received.extend_from_slice(&piece),
                Ok(None) => self.end = Some(Ok(())),
                Err(error) => self.end = Some(Err(error)),
            }
        }
        self.end.is_some() && (self.send.is_none() || !self.finish)
    }

    /// What it reads from, if nobody took it.
    pub fn take_receive(&mut self) -> Option<RecvStream> {
        self.receive.take()
    }
}

impl Bench {
    /// Asks for a session.
    pub fn connect(&mut self, connect: Connect) -> PendingSession {
        let fields = witness_field(&self.transactions);
        let (transaction, pending) = connect.into_transaction(self.next_id, &fields);
        self.next_id += 1;
        self.submit(Event::NewTransaction(transaction));
        pending
    }

    /// What became of a request for a session.
    #[track_caller]
    pub fn answer(&mut self, mut pending: PendingSession) -> Result<WebTransportSession, NetError> {
        let answer = self.wait("the session is answered", || {
            match Pin::new(&mut pending).poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(answer) => Some(answer),
                Poll::Pending => None,
            }
        });
        let (session, _) = answer?;
        self.web_transport.add(Some(session.witness()));
        Ok(session)
    }

    /// A session that is there.
    #[track_caller]
    pub fn session(&mut self, connect: Connect) -> WebTransportSession {
        let pending = self.connect(connect);
        self.answer(pending).unwrap_or_else(|error| panic!("no session: {error}"))
    }

    /// Lets time pass until there is something; two minutes at most.
    #[track_caller]
    pub fn wait<T>(&mut self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let mut found = None;
        self.run_until(what, |_| {
            found = look();
            found.is_some()
        });
        found.expect("it was there")
    }

    /// A stream that goes both ways.
    #[track_caller]
    pub fn open_bi(&mut self, session: &WebTransportSession) -> Stream {
        let pending = session.open_bi().expect("an open session");
        let (send, receive) = self.opened(pending).expect("a stream");
        self.watch(Stream::new(Some(send), Some(receive)))
    }

    /// A stream that goes to the server.
    #[track_caller]
    pub fn open_uni(&mut self, session: &WebTransportSession) -> Stream {
        let pending = session.open_uni().expect("an open session");
        let send = self.opened(pending).expect("a stream");
        self.watch(Stream::new(Some(send), None))
    }

    /// What became of a stream that was asked for.
    #[track_caller]
    pub fn opened<T>(&mut self, mut pending: PendingStream<T>) -> Result<T, NetError> {
        self.wait("the stream is there", || now(&mut pending))
    }

    /// The next stream of the server's that goes both ways.
    #[track_caller]
    pub fn accept_bi(&mut self, session: &WebTransportSession) -> Stream {
        let (send, receive) = self.wait("the server's stream", || session.try_accept_bi());
        self.watch(Stream::new(Some(send), Some(receive)))
    }

    /// The next stream of the server's on which it alone sends.
    #[track_caller]
    pub fn accept_uni(&mut self, session: &WebTransportSession) -> Stream {
        let receive = self.wait("the server's stream", || session.try_accept_uni());
        self.watch(Stream::new(None, Some(receive)))
    }

    /// The bench sees to it that nothing of the stream is left in the end.
    fn watch(&self, stream: Stream) -> Stream {
        let witness = stream.receive.as_ref().map(RecvStream::witness);
        self.web_transport.add(witness.or_else(|| stream.send.as_ref().map(SendStream::witness)));
        stream
    }

    /// Lets time pass until streams have sent and received all.
    #[track_caller]
    pub fn finish_streams<'s>(&mut self, streams: impl IntoIterator<Item = &'s mut Stream>) {
        let mut streams: Vec<_> = streams.into_iter().collect();
        self.run_until("the streams are done", |_| {
            streams.iter_mut().fold(true, |done, stream| stream.poll() & done)
        });
    }

    /// Sessions and streams that anybody holds, the test included: each is asked itself.
    pub fn web_transport(&self) -> usize {
        self.web_transport.alive()
    }
}
