//! A WebTransport server of other making: wtransport, on quinn, on a thread of this process.
//!
//! | path | |
//! |---|---|
//! | `/echo` | bidirectional streams come back; a unidirectional one is answered by another with the same bytes; datagrams of up to 1,000 bytes come back |
//! | `/hello` | opens a unidirectional stream with `qwerty` and a bidirectional one with `asdfg` |
//! | `/reset/CODE`, `/stop/CODE` | gives up its direction of the client's first stream, or the client's, after the first byte, with this code on the wire |
//! | `/close/CODE/WORDS` | closes after the first datagram |
//! | `/closeafter/MILLISECONDS` | closes after so long |
//! | `/reject`, `/redirect` | 404: it has no redirects |
//!
//! What the client does with a stream, and how it ends a session, can be [waited for](WtransportServer::wait_for).

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{runtime, sync::oneshot};
use wtransport::{
    Connection, Endpoint, RecvStream, SendStream, ServerConfig, VarInt,
    endpoint::{IncomingSession, endpoint_side::Server},
    error::{StreamReadError, StreamWriteError},
};

use super::{certificates::TestCa, http1_server::tls, time::DEADLINE};

/// A running server.
#[derive(Debug)]
pub struct WtransportServer {
    address: SocketAddr,
    hash: [u8; 32],
    heard: mpsc::Receiver<String>,
    /// Dropped, it lets the server end its connections; used, it does not.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl WtransportServer {
    /// Starts one for localhost.
    #[track_caller]
    pub fn start(ca: &TestCa) -> Self {
        let identity = ca.localhost();
        let hash = identity.hash();
        let config = ServerConfig::builder()
            .with_bind_address((Ipv4Addr::LOCALHOST, 0).into())
            .with_custom_tls(tls(identity, &[b"h3"]))
            .max_idle_timeout(Some(Duration::from_secs(30)))
            .expect("less than an age")
            .build();
        let (listening, address) = mpsc::channel();
        let (tell, heard) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let run = async move {
            let endpoint = Endpoint::server(config).expect("an endpoint");
            listening.send(endpoint.local_addr().expect("an address")).expect("it is waited for");
            tokio::select! {
                () = accept(&endpoint, tell) => {}
                end = stopped => if end.is_ok() { return },
            }
            endpoint.close(VarInt::from_u32(0x100), b"the test is over");
            let _ = tokio::time::timeout(Duration::from_secs(1), endpoint.wait_idle()).await;
        };
        let work = move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(run);
        };
        let thread = thread::Builder::new().name("WtransportServer".into()).spawn(work);
        let thread = Some(thread.expect("a thread"));
        let address = address.recv_timeout(DEADLINE).expect("the server listens");
        Self { address, hash, heard, stop: Some(stop), thread }
    }

    /// `https://localhost:PORT` and `path`.
    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    /// The SHA-256 of its certificate.
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// Waits until the server has heard something that begins like this; answers all of it.
    #[track_caller]
    pub fn wait_for(&self, beginning: &str) -> String {
        let mut others = Vec::new();
        loop {
            let Ok(heard) = self.heard.recv_timeout(DEADLINE) else {
                panic!("the server did not hear {beginning:?}, but {others:?}");
            };
            if heard.starts_with(beginning) {
                return heard;
            }
            others.push(heard);
        }
    }

    /// Ends as if its machine had: in the middle of everything, without a farewell.
    pub fn die(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        self.join();
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !thread::panicking()
        {
            panic!("the server's thread panicked");
        }
    }
}

impl Drop for WtransportServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.join();
    }
}

type Tell = mpsc::Sender<String>;

async fn accept(endpoint: &Endpoint<Server>, tell: Tell) {
    loop {
        let incoming = endpoint.accept().await;
        tokio::spawn(session(incoming, tell.clone()));
    }
}

async fn session(incoming: IncomingSession, tell: Tell) {
    let Ok(request) = incoming.await else { return };
    let path = request.path().to_owned();
    if ["/reject", "/redirect"].contains(&path.as_str()) {
        return request.not_found().await;
    }
    let Ok(connection) = request.accept().await else { return };
    let session = Arc::new(Session { connection, path, tell });
    if session.path == "/hello" {
        tokio::spawn(hello(Arc::clone(&session)));
    }
    if let Some(wait) = session.path.strip_prefix("/closeafter/") {
        let wait = Duration::from_millis(wait.parse().expect("milliseconds"));
        let closing = Arc::clone(&session);
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            closing.connection.close(VarInt::from_u32(0), b"");
        });
    }
    session.serve().await;
    let end = session.connection.closed().await;
    let _ = session.tell.send(format!("closed {end}"));
}

async fn hello(session: Arc<Session>) {
    let mut stream =
        session.connection.open_uni().await.expect("a stream").await.expect("a stream");
    stream.write_all(b"qwerty").await.expect("it is taken");
    stream.finish().await.expect("it is open");
    let pair = session.connection.open_bi().await.expect("a stream").await.expect("a stream");
    let (mut send, receive) = pair;
    send.write_all(b"asdfg").await.expect("it is taken");
    send.finish().await.expect("it is open");
    let answer = read(receive).await;
    let _ = session.tell.send(format!("answer {}", String::from_utf8_lossy(&answer)));
}

async fn read(mut receive: RecvStream) -> Vec<u8> {
    let (mut all, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    while let Ok(Some(count)) = receive.read(&mut buffer).await {
        all.extend(buffer.iter().take(count));
    }
    all
}

struct Session {
    connection: Connection,
    path: String,
    tell: Tell,
}

impl Session {
    async fn serve(self: &Arc<Self>) {
        loop {
            let connection = &self.connection;
            tokio::select! {
                streams = connection.accept_bi() => {
                    let Ok((send, receive)) = streams else { return };
                    let session = Arc::clone(self);
                    tokio::spawn(async move { session.both_ways(send, receive).await });
                }
                stream = connection.accept_uni() => {
                    let Ok(receive) = stream else { return };
                    let session = Arc::clone(self);
                    tokio::spawn(async move { session.one_way(receive).await });
                }
                datagram = connection.receive_datagram() => {
                    let Ok(datagram) = datagram else { return };
                    self.datagram(&datagram.payload());
                }
            }
        }
    }

    fn datagram(&self, content: &[u8]) {
        if let Some(end) = self.path.strip_prefix("/close/") {
            let (code, words) = end.split_once('/').expect("a code and words");
            let code = VarInt::from_u32(code.parse().expect("a code"));
            self.connection.close(code, words.as_bytes());
        } else if content.len() <= 1000 {
            let _ = self.connection.send_datagram(content);
        } else {
            let _ = self.tell.send(format!("datagram of {}", content.len()));
        }
    }

    /// The code at the end of the path, if it begins so.
    fn code(&self, prefix: &str) -> Option<VarInt> {
        let code = self.path.strip_prefix(prefix)?.parse().expect("a code");
        Some(VarInt::try_from_u64(code).expect("it fits"))
    }

    async fn both_ways(&self, mut send: SendStream, mut receive: RecvStream) {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let read = tokio::select! {
                read = receive.read(&mut buffer) => read,
                StreamWriteError::Stopped(code) = send.stopped() => {
                    let _ = self.tell.send(format!("stop {code}"));
                    return;
                }
            };
            match read {
                Ok(Some(count)) => {
                    if let Some(code) = self.code("/stop/") {
                        receive.stop(code);
                        return;
                    }
                    if let Some(code) = self.code("/reset/") {
                        let _ = send.reset(code);
                        return;
                    }
                    match send.write_all(buffer.get(..count).unwrap_or_default()).await {
                        Ok(()) => {}
                        Err(StreamWriteError::Stopped(code)) => {
                            let _ = self.tell.send(format!("stop {code}"));
                            return;
                        }
                        Err(_) => return,
                    }
                }
                Ok(None) => {
                    let _ = send.finish().await;
                    return;
                }
                Err(StreamReadError::Reset(code)) => {
                    let _ = self.tell.send(format!("reset {code}"));
                    return;
                }
                Err(_) => return,
            }
        }
    }

    async fn one_way(&self, receive: RecvStream) {
        let content = read(receive).await;
        let Ok(opening) = self.connection.open_uni().await else { return };
        let Ok(mut send) = opening.await else { return };
        if send.write_all(&content).await.is_ok() {
            let _ = send.finish().await;
        }
    }
}
