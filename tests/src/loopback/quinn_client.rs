//! An HTTP/3 client of other making: h3 on quinn.

use std::{
    future::{Future, poll_fn},
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
};

use bytes::{Buf as _, Bytes};
use h3::{
    client::{RequestStream, SendRequest},
    error::StreamError,
};
use http::{HeaderMap, Method, Request, StatusCode};
use quinn::{Endpoint, VarInt, crypto::rustls::QuicClientConfig};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use tokio::{
    runtime::{self, Runtime},
    task::JoinSet,
};

use super::time::DEADLINE;

/// One connection of a client. All waits have a deadline; the connection only moves during them.
pub struct QuinnClient {
    runtime: Runtime,
    endpoint: Endpoint,
    connection: quinn::Connection,
    requests: SendRequest<h3_quinn::OpenStreams, Bytes>,
}

/// A response that was read to its end.
#[derive(Debug)]
pub struct Fetched {
    /// Its status.
    pub status: StatusCode,
    /// Its fields.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

/// A request whose response has begun.
pub struct Exchange {
    /// The response's status.
    pub status: StatusCode,
    /// Its fields.
    pub headers: HeaderMap,
    stream: Stream,
}

type Stream = RequestStream<h3_quinn::BidiStream<Bytes>, Bytes>;

impl QuinnClient {
    /// Connects to `localhost`, which is at `address`, trusting the certificates of a PEM file.
    ///
    /// # Errors
    /// The handshake failed, in quinn's words.
    pub fn connect(address: SocketAddr, ca: &Path) -> Result<Self, String> {
        let config = config(ca);
        let runtime =
            runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let connecting = async move {
            let any = match address.ip() {
                IpAddr::V4(_) => SocketAddr::from(([0, 0, 0, 0], 0)),
                IpAddr::V6(_) => SocketAddr::from(([0_u16; 8], 0)),
            };
            let endpoint = Endpoint::client(any).map_err(|error| error.to_string())?;
            let connecting = endpoint.connect_with(config, address, "localhost");
            let connection = connecting.map_err(|error| error.to_string())?.await;
            let connection = connection.map_err(|error| error.to_string())?;
            let quic = h3_quinn::Connection::new(connection.clone());
            let (mut driver, requests) =
                h3::client::new(quic).await.map_err(|error| error.to_string())?;
            tokio::spawn(async move { poll_fn(|cx| driver.poll_close(cx)).await });
            Ok::<_, String>((endpoint, connection, requests))
        };
        let (endpoint, connection, requests) = wait(&runtime, connecting)?;
        Ok(Self { runtime, endpoint, connection, requests })
    }

    /// Sends a request and waits for the head of its response.
    #[track_caller]
    pub fn begin(&self, method: Method, path: &str, body: Vec<u8>) -> Exchange {
        let requests = self.requests.clone();
        let sent = begin(requests, self.request(method, path, body.len() as u64), body);
        wait(&self.runtime, sent).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Sends a request and reads the whole response.
    #[track_caller]
    pub fn fetch(&self, method: Method, path: &str, body: Vec<u8>) -> Fetched {
        let exchange = self.begin(method, path, body);
        self.finish(exchange)
    }

    /// Fetches with GET.
    #[track_caller]
    pub fn get(&self, path: &str) -> Fetched {
        self.fetch(Method::GET, path, Vec::new())
    }

    /// Fetches all of `paths` at once; the responses come in any order, each with its path.
    #[track_caller]
    pub fn get_at_once(&self, paths: impl IntoIterator<Item = String>) -> Vec<(String, Fetched)> {
        let mut running = JoinSet::new();
        for path in paths {
            let (requests, request) = (self.requests.clone(), self.request(Method::GET, &path, 0));
            let fetch = async move {
                let exchange = begin(requests, request, Vec::new()).await?;
                Ok::<_, String>((path, exchange.finish().await?))
            };
            running.spawn_on(fetch, self.runtime.handle());
        }
        wait(&self.runtime, running.join_all()).into_iter().map(Result::unwrap).collect()
    }

    /// Reads at least `length` bytes of a body, if it has so many.
    #[track_caller]
    pub fn read_some(&self, exchange: &mut Exchange, length: usize) -> Vec<u8> {
        wait(&self.runtime, exchange.read(length)).unwrap()
    }

    /// Reads the next piece of a body, none at its end.
    #[track_caller]
    pub fn read_piece(&self, exchange: &mut Exchange) -> Option<Bytes> {
        wait(&self.runtime, exchange.read_piece()).unwrap()
    }

    /// Sends a request whose body is made while it is sent, and waits for the head of its response. No
    /// more of the body is asked for than the server has given credit for.
    #[track_caller]
    pub fn upload(
        &self,
        method: Method,
        path: &str,
        length: u64,
        pieces: impl Iterator<Item = &'static [u8]>,
    ) -> Exchange {
        let mut requests = self.requests.clone();
        let request = self.request(method, path, length);
        let stream = wait(&self.runtime, requests.send_request(request));
        let mut stream = stream.unwrap_or_else(|error| panic!("{path}: {error}"));
        for piece in pieces {
            let sent = wait(&self.runtime, stream.send_data(Bytes::from_static(piece)));
            sent.unwrap_or_else(|error| panic!("{path}: {error}"));
        }
        let end = async move {
            stream.finish().await.map_err(words)?;
            Exchange::begin(stream).await
        };
        wait(&self.runtime, end).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Reads the rest of a response.
    #[track_caller]
    pub fn finish(&self, exchange: Exchange) -> Fetched {
        wait(&self.runtime, exchange.finish()).unwrap()
    }

    /// Waits until the server closes the connection; answers the code that it gave.
    #[track_caller]
    pub fn wait_closed(&self) -> Option<u64> {
        match wait(&self.runtime, self.connection.closed()) {
            quinn::ConnectionError::ApplicationClosed(close) => Some(close.error_code.into_inner()),
            _ => None,
        }
    }

    fn request(&self, method: Method, path: &str, length: u64) -> Request<()> {
        let port = self.connection.remote_address().port();
        let mut request =
            Request::builder().method(method).uri(format!("https://localhost:{port}{path}"));
        if length > 0 {
            request = request.header("content-length", length);
        }
        request.body(()).expect("a valid request")
    }
}

impl Drop for QuinnClient {
    fn drop(&mut self) {
        let endpoint = self.endpoint.clone();
        endpoint.close(VarInt::from_u32(0x100), b"");
        let farewell = async move { tokio::time::timeout(DEADLINE, endpoint.wait_idle()).await };
        let _ = self.runtime.block_on(farewell);
    }
}

impl Exchange {
    async fn begin(mut stream: Stream) -> Result<Self, String> {
        let (head, ()) = stream.recv_response().await.map_err(words)?.into_parts();
        Ok(Self { status: head.status, headers: head.headers, stream })
    }

    async fn read_piece(&mut self) -> Result<Option<Bytes>, String> {
        let piece = self.stream.recv_data().await.map_err(words)?;
        Ok(piece.map(|mut piece| piece.copy_to_bytes(piece.remaining())))
    }

    async fn read(&mut self, length: usize) -> Result<Vec<u8>, String> {
        let mut body = Vec::new();
        while body.len() < length {
            let Some(piece) = self.read_piece().await? else { break };
            body.extend_from_slice(&piece);
        }
        Ok(body)
    }

    async fn finish(mut self) -> Result<Fetched, String> {
        let body = self.read(usize::MAX).await?;
        Ok(Fetched { status: self.status, headers: self.headers, body })
    }
}

async fn begin(
    mut requests: SendRequest<h3_quinn::OpenStreams, Bytes>,
    request: Request<()>,
    body: Vec<u8>,
) -> Result<Exchange, String> {
    let mut stream = requests.send_request(request).await.map_err(words)?;
    if !body.is_empty() {
        stream.send_data(body.into()).await.map_err(words)?;
    }
    stream.finish().await.map_err(words)?;
    Exchange::begin(stream).await
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn words(error: StreamError) -> String {
    error.to_string()
}

#[track_caller]
fn wait<F: Future>(runtime: &Runtime, future: F) -> F::Output {
    let limited = async { tokio::time::timeout(DEADLINE, future).await };
    runtime.block_on(limited).unwrap_or_else(|_| panic!("not done after {DEADLINE:?}"))
}

fn config(ca: &Path) -> quinn::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(ca).expect("the file can be read");
    for certificate in certificates {
        roots.add(certificate.expect("a certificate")).expect("it can be a root");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("ring has TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h3".to_vec()];
    let tls = QuicClientConfig::try_from(tls).expect("TLS 1.3 is QUIC's");
    quinn::ClientConfig::new(Arc::new(tls))
}
