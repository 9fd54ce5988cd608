//! What a [`QuinnServer`](super::QuinnServer) answers, and what it saw.

use std::{
    fmt::Write as _,
    future::pending,
    sync::{Arc, Mutex, PoisonError, mpsc},
};

use bytes::{Buf as _, Bytes};
use h3::{
    error::{Code, StreamError},
    server::RequestStream,
};
use http::{Method, Request, Response, StatusCode};
use quinn::ConnectionError;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Semaphore, watch};

use super::{
    pattern,
    quinn_answers::{ChosenAnswer, redirect},
    quinn_ranges::Resource,
};

/// Something that the server saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerEvent {
    /// A client was asked to prove its address.
    Retried,
    /// A handshake was completed.
    Connected,
    /// A request's head came.
    Request(String),
    /// A response was given to QUIC to its last byte.
    Answered(String),
    /// The client gave up this request, with this code.
    Cancelled(String, u64),
    /// The connection ended: by the client with this code, or otherwise.
    Closed(Option<u64>),
}

/// The paths:
///
/// | | |
/// |---|---|
/// | `GET /N` | the first N bytes of the [pattern] |
/// | `GET /together/N` | `together`, once N such requests wait for it |
/// | any `/hang` | never an answer |
/// | `GET /headers` | the request's head as text, one field a line |
/// | `GET /status/N` | status N and a short text |
/// | `GET /reset/N` | 200 and N bytes of more, then a reset with `H3_INTERNAL_ERROR`, once it is [released] |
/// | `GET /short/N` | 200 and N bytes of more, then the end of the stream |
/// | `GET /range/N` | N bytes of the [resource](Resource), or the range of them that was asked for |
/// | any `/to/N/PATH`, `/to/N?URL` | status N with `Location`: that path, or the URL as it is |
/// | any `/loop/N` | 302 to `/loop/N+1` |
/// | any `/count/N` | 301 to `/count/N-1`; at 0 as `GET /headers` |
/// | any `/answer` | what the [test chose](ChosenAnswer) |
/// | `POST /echo` | the request's body |
/// | `POST /post` | its length and its SHA-256 as text |
/// | `PUT /refuse` | 413 at once, and no more of the body, please |
/// | `PUT` else | as `/post` |
/// | else | 404 |
///
/// No body is ever held as a whole, but by `/echo`.
///
/// [released]: super::QuinnServer::release
#[derive(Debug)]
pub(crate) struct Service {
    events: mpsc::Sender<ServerEvent>,
    together: watch::Sender<u64>,
    /// A permit for each response that may break off.
    released: Semaphore,
    resource: Mutex<Resource>,
    chosen: Mutex<ChosenAnswer>,
    /// After so many more requests, none.
    goaway: watch::Sender<usize>,
    closes_at_request: Option<usize>,
}

type Http3 = h3::server::Connection<h3_quinn::Connection, Bytes>;
type Stream = RequestStream<h3_quinn::BidiStream<Bytes>, Bytes>;

impl Service {
    /// One that tells what it sees.
    pub(crate) fn new(events: mpsc::Sender<ServerEvent>, closes_at_request: Option<usize>) -> Self {
        let (together, goaway) = (watch::Sender::new(0), watch::Sender::new(0));
        let (released, resource) = (Semaphore::new(0), Mutex::default());
        let chosen = Mutex::default();
        Self { events, together, released, resource, chosen, goaway, closes_at_request }
    }

    /// Sends GOAWAY on every connection.
    pub(crate) fn go_away(&self, more: usize) {
        self.goaway.send_replace(more);
    }

    /// What `/range/N` is from now on.
    pub(crate) fn set_resource(&self, resource: Resource) {
        *self.resource.lock().unwrap_or_else(PoisonError::into_inner) = resource;
    }

    /// What `/answer` is from now on.
    pub(crate) fn choose_answer(&self, answer: ChosenAnswer) {
        *self.chosen.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }

    async fn send_chosen(&self, stream: &mut Stream) -> Result<(), StreamError> {
        let answer = self.chosen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        stream.send_response(answer.head()).await?;
        stream.send_data(answer.body).await?;
        stream.finish().await
    }

    async fn send_range(
        &self,
        request: &Request<()>,
        stream: &mut Stream,
        length: u64,
    ) -> Result<(), StreamError> {
        let resource = self.resource.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let answer = resource.answer(request, length);
        stream.send_response(answer.head).await?;
        let sent = answer.length.min(resource.stops_after.unwrap_or(u64::MAX));
        send_pieces(stream, resource.version + answer.first, sent).await?;
        if sent < answer.length {
            // It waits for more until it goes.
            return stream.recv_data().await.map(|_| ()).and(pending().await);
        }
        stream.finish().await
    }

    /// Lets one response break off that is to.
    pub(crate) fn release(&self) {
        self.released.add_permits(1);
    }

    pub(crate) fn tell(&self, event: ServerEvent) {
        // A test may have heard enough.
        let _ = self.events.send(event);
    }

    /// Serves a connection until it ends.
    pub(crate) async fn serve(self: Arc<Self>, connection: quinn::Connection) {
        self.tell(ServerEvent::Connected);
        let quic = h3_quinn::Connection::new(connection.clone());
        let mut h3 = h3::server::Connection::new(quic).await;
        if let Ok(h3) = &mut h3 {
            self.accept(h3, &connection).await;
        }
        let code = match connection.closed().await {
            ConnectionError::ApplicationClosed(close) => Some(close.error_code.into_inner()),
            _ => None,
        };
        self.tell(ServerEvent::Closed(code));
        // Only now: dropping it closes the connection, which would become the reason of its end.
        drop(h3);
    }

    /// Takes requests until there will be none.
    async fn accept(self: &Arc<Self>, h3: &mut Http3, connection: &quinn::Connection) {
        let (mut goaway, mut requests) = (self.goaway.subscribe(), 0);
        loop {
            let accepted = tokio::select! {
                accepted = h3.accept() => accepted,
                Ok(()) = goaway.changed() => {
                    let more = *goaway.borrow_and_update();
                    if h3.shutdown(more).await.is_err() {
                        return;
                    }
                    continue;
                }
            };
            let Ok(Some(resolver)) = accepted else { return };
            requests += 1;
            if self.closes_at_request == Some(requests) {
                let code = Code::H3_NO_ERROR.value().try_into().expect("it is short");
                return connection.close(code, b"enough");
            }
            let service = Arc::clone(self);
            tokio::spawn(async move {
                if let Ok((request, stream)) = resolver.resolve_request().await {
                    service.take(request, stream).await;
                }
            });
        }
    }

    async fn take(&self, request: Request<()>, mut stream: Stream) {
        let path = request.uri().path().to_owned();
        self.tell(ServerEvent::Request(path.clone()));
        match self.answer(&request, &mut stream).await {
            Ok(()) => self.tell(ServerEvent::Answered(path)),
            Err(StreamError::RemoteTerminate { code, .. }) => {
                self.tell(ServerEvent::Cancelled(path, code.value()));
            }
            // The connection is gone, which is told on its own.
            Err(_) => {}
        }
    }

    async fn answer(&self, request: &Request<()>, stream: &mut Stream) -> Result<(), StreamError> {
        let path = request.uri().path();
        if let Some((status, location)) = redirect(request.uri()) {
            let text = b"elsewhere";
            let head = Response::builder().status(status).header("location", location);
            let head = head.header("content-length", text.len()).body(()).expect("a valid head");
            stream.send_response(head).await?;
            stream.send_data(Bytes::from_static(text)).await?;
            return stream.finish().await;
        }
        let number = |path: &str| path.rsplit('/').next().and_then(|text| text.parse().ok());
        match (request.method(), number(path)) {
            (_, Some(0)) if path == "/count/0" => {
                respond(stream, StatusCode::OK, describe(request).as_bytes()).await
            }
            (&Method::GET, Some(count)) if path.starts_with("/together/") => {
                self.together.send_modify(|waiting| *waiting += 1);
                // The sender is ours: it can't be gone.
                let _ = self.together.subscribe().wait_for(|waiting| *waiting >= count).await;
                respond(stream, StatusCode::OK, b"together").await
            }
            (&Method::GET, Some(code)) if path.starts_with("/status/") => {
                let status =
                    u16::try_from(code).ok().and_then(|code| StatusCode::from_u16(code).ok());
                respond(stream, status.unwrap_or(StatusCode::BAD_REQUEST), b"as you wish").await
            }
            (&Method::GET, Some(length)) if path.starts_with("/short/") => {
                send_short(stream, length).await?;
                stream.finish().await
            }
            (&Method::GET, Some(length)) if path.starts_with("/reset/") => {
                send_short(stream, length).await?;
                // It is ours: it can't be closed.
                self.released.acquire().await.expect("never closed").forget();
                stream.stop_stream(Code::H3_INTERNAL_ERROR);
                Ok(())
            }
            (&Method::GET, Some(length)) if path.starts_with("/range/") => {
                self.send_range(request, stream, length).await
            }
            (&Method::GET, Some(length)) => send_pattern(stream, length).await,
            (_, None) if path == "/answer" => self.send_chosen(stream).await,
            (_, None) if path == "/hang" => pending().await,
            (&Method::GET, None) if path == "/headers" => {
                respond(stream, StatusCode::OK, describe(request).as_bytes()).await
            }
            (&Method::POST, None) if path == "/echo" => {
                let body = read(stream).await?;
                respond(stream, StatusCode::OK, &body).await
            }
            (&Method::POST, None) if path == "/post" => {
                let told = count_and_hash(stream).await?;
                respond(stream, StatusCode::OK, told.as_bytes()).await
            }
            (&Method::PUT, None) if path == "/refuse" => {
                stream.stop_sending(Code::H3_NO_ERROR);
                respond(stream, StatusCode::PAYLOAD_TOO_LARGE, b"too much").await
            }
            (&Method::PUT, _) => {
                let told = count_and_hash(stream).await?;
                respond(stream, StatusCode::OK, told.as_bytes()).await
            }
            _ => respond(stream, StatusCode::NOT_FOUND, b"no such path").await,
        }
    }
}

fn head(status: StatusCode, length: u64) -> Response<()> {
    let response = Response::builder().status(status).header("content-length", length);
    response.header("x-made-by", "h3").body(()).expect("a valid head")
}

async fn respond(stream: &mut Stream, status: StatusCode, body: &[u8]) -> Result<(), StreamError> {
    stream.send_response(head(status, body.len() as u64)).await?;
    stream.send_data(Bytes::copy_from_slice(body)).await?;
    stream.finish().await
}

async fn send_pattern(stream: &mut Stream, length: u64) -> Result<(), StreamError> {
    stream.send_response(head(StatusCode::OK, length)).await?;
    send_pieces(stream, 0, length).await?;
    stream.finish().await
}

/// A body that is a kilobyte shorter than its head says, without an end.
async fn send_short(stream: &mut Stream, length: u64) -> Result<(), StreamError> {
    stream.send_response(head(StatusCode::OK, length + 1000)).await?;
    send_pieces(stream, 0, length).await
}

/// So many bytes of the pattern, from `start` on.
async fn send_pieces(stream: &mut Stream, start: u64, length: u64) -> Result<(), StreamError> {
    let mut sent = 0;
    while sent < length {
        let piece = pattern::piece(start + sent, length - sent);
        stream.send_data(Bytes::from_static(piece)).await?;
        sent += piece.len() as u64;
    }
    Ok(())
}

async fn count_and_hash(stream: &mut Stream) -> Result<String, StreamError> {
    let (mut length, mut hash) = (0, Sha256::new());
    while let Some(mut piece) = stream.recv_data().await? {
        let piece = piece.copy_to_bytes(piece.remaining());
        length += piece.len();
        hash.update(&piece);
    }
    Ok(format!("{length} {:x}", hash.finalize()))
}

async fn read(stream: &mut Stream) -> Result<Vec<u8>, StreamError> {
    let mut body = Vec::new();
    while let Some(mut piece) = stream.recv_data().await? {
        body.extend_from_slice(&piece.copy_to_bytes(piece.remaining()));
    }
    Ok(body)
}

/// Method and target, then each field, as `name: value`.
fn describe(request: &Request<()>) -> String {
    let mut text = format!("{} {}\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        let _ = writeln!(text, "{name}: {}", String::from_utf8_lossy(value.as_bytes()));
    }
    text
}
