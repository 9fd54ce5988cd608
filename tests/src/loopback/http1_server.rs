//! An HTTP/1.1 server over TLS that does what a test says, byte by byte: rustls on std's sockets and threads.

use std::{
    io::{self, ErrorKind, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
};

use rustls::{ServerConfig, ServerConnection, StreamOwned, crypto::ring};

use super::{certificates::Identity, time::DEADLINE};

/// What serves one connection. It ends with the function.
type Serve = dyn Fn(&mut Http1Connection) + Send + Sync;

/// A server; dropping it ends it, and what it serves.
pub struct Http1Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

struct Shared {
    serve: Box<Serve>,
    tls: Arc<ServerConfig>,
    connections: AtomicUsize,
    /// Connections whose functions have not returned.
    open: AtomicUsize,
    stopped: AtomicBool,
    sockets: Mutex<Vec<TcpStream>>,
}

impl Http1Server {
    /// Serves each connection with `serve`, on a thread of its own.
    pub fn start(
        identity: Identity,
        serve: impl Fn(&mut Http1Connection) + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(tls(identity, &[b"http/1.1"]), serve)
    }

    /// The same with a TLS configuration of the test's own.
    pub fn start_with(
        tls: ServerConfig,
        serve: impl Fn(&mut Http1Connection) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared {
            serve: Box::new(serve),
            tls: Arc::new(tls),
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            sockets: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        let accepting = thread::spawn(move || accept(&listener, &accepting));
        Self { address, shared, accepting: Some(accepting) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path on it.
    pub fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    /// Connections that it accepted.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Connections that it has not ended.
    pub fn open(&self) -> usize {
        self.shared.open.load(Ordering::Relaxed)
    }
}

/// A TLS configuration that offers these protocols.
pub fn tls(identity: Identity, protocols: &[&[u8]]) -> ServerConfig {
    let provider = Arc::new(ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider knows them")
        .with_no_client_auth()
        .with_single_cert(identity.chain, identity.key)
        .expect("a certificate and its key");
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    config
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for socket in listener.incoming() {
        if shared.stopped.load(Ordering::Relaxed) {
            return;
        }
        let Ok(socket) = socket else { continue };
        let number = shared.connections.fetch_add(1, Ordering::Relaxed);
        let kept = socket.try_clone().expect("a descriptor");
        let mut sockets = shared.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that have ended are let go.
        sockets.retain(|socket| socket.peer_addr().is_ok());
        sockets.push(kept);
        drop(sockets);
        shared.open.fetch_add(1, Ordering::Relaxed);
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            if let Ok(mut connection) = Http1Connection::new(socket, number, &shared.tls) {
                (shared.serve)(&mut connection);
            }
            shared.open.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

impl Drop for Http1Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        let sockets = self.shared.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        for socket in sockets.iter() {
            // What is gone already is gone.
            let _ = socket.shutdown(Shutdown::Both);
        }
        drop(sockets);
        // Wakes the one that accepts.
        let _ = TcpStream::connect(self.address);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

/// A connection that a test serves.
pub struct Http1Connection {
    /// The how manieth it is, from 0.
    pub number: usize,
    stream: StreamOwned<ServerConnection, TcpStream>,
    /// What was read and belongs to the next request.
    read: Vec<u8>,
}

/// A request as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedRequest {
    /// The head, lines and all, without the empty line.
    pub head: String,
    /// The body, decoded.
    pub body: Vec<u8>,
}

impl ReceivedRequest {
    /// The request line.
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The path.
    pub fn path(&self) -> &str {
        self.line().split(' ').nth(1).unwrap_or_default()
    }

    /// A field's value.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Http1Connection {
    fn new(socket: TcpStream, number: usize, tls: &Arc<ServerConfig>) -> io::Result<Self> {
        socket.set_read_timeout(Some(DEADLINE))?;
        socket.set_write_timeout(Some(DEADLINE))?;
        socket.set_nodelay(true)?;
        let connection = ServerConnection::new(Arc::clone(tls)).map_err(io::Error::other)?;
        Ok(Self { number, stream: StreamOwned::new(connection, socket), read: Vec::new() })
    }

    /// Reads a request's head, with its empty line; none at the connection's end.
    pub fn read_head(&mut self) -> Option<ReceivedRequest> {
        loop {
            if let Some(end) = find(&self.read, b"\r\n\r\n") {
                let head = self.read.drain(..end + 4).collect::<Vec<_>>();
                let head = String::from_utf8_lossy(&head).trim_end().to_owned();
                return Some(ReceivedRequest { head, body: Vec::new() });
            }
            self.fill().ok().filter(|count| *count > 0)?;
        }
    }

    /// Reads a request; none at the connection's end.
    pub fn read_request(&mut self) -> Option<ReceivedRequest> {
        let mut request = self.read_head()?;
        if request.field("expect").is_some() {
            self.send("HTTP/1.1 100 Continue\r\n\r\n");
        }
        self.read_body(&mut request)?;
        Some(request)
    }

    /// Reads what the head announces.
    pub fn read_body(&mut self, request: &mut ReceivedRequest) -> Option<()> {
        if request.field("transfer-encoding").is_some() {
            loop {
                let line = self.read_line()?;
                let length = usize::from_str_radix(line.split(';').next()?, 16).ok()?;
                let piece = self.read_exactly(length)?;
                self.read_line()?;
                if length == 0 {
                    return Some(());
                }
                request.body.extend(piece);
            }
        }
        let length = request.field("content-length").map_or(Some(0), |text| text.parse().ok())?;
        request.body = self.read_exactly(length)?;
        Some(())
    }

    fn read_line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = find(&self.read, b"\r\n") {
                let line = self.read.drain(..end + 2).take(end).collect::<Vec<_>>();
                return String::from_utf8(line).ok();
            }
            self.fill().ok().filter(|count| *count > 0)?;
        }
    }

    fn read_exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.read.len() < length {
            self.fill().ok().filter(|count| *count > 0)?;
        }
        Some(self.read.drain(..length).collect())
    }

    fn fill(&mut self) -> io::Result<usize> {
        let mut piece = [0; 16 * 1024];
        let count = self.stream.read(&mut piece)?;
        self.read.extend_from_slice(piece.get(..count).unwrap_or_default());
        Ok(count)
    }

    /// Sends bytes as they are; whether the client took them.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).and_then(|()| self.stream.flush()).is_ok()
    }

    /// Sends a whole response with this body.
    pub fn respond(&mut self, body: &[u8]) -> bool {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        self.send(head) && self.send(body)
    }

    /// Waits until the client ends the connection; whether it did so in good order.
    pub fn wait_for_end(&mut self) -> bool {
        loop {
            match self.fill() {
                Ok(0) => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }

    /// Ends it in good order: `close_notify`, then FIN.
    pub fn end(&mut self) {
        self.stream.conn.send_close_notify();
        let _ = self.stream.flush();
        let _ = self.stream.sock.shutdown(Shutdown::Write);
    }

    /// Ends it as somebody in between would: FIN alone.
    pub fn cut(&mut self) {
        let _ = self.stream.sock.shutdown(Shutdown::Both);
    }

    /// Whether an earlier TLS session was resumed.
    pub fn is_resumed(&self) -> bool {
        self.stream.conn.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
    }

    /// Does the handshake, without reading anything.
    ///
    /// # Errors
    /// The client gave up, or said nothing for too long.
    pub fn handshake(&mut self) -> io::Result<()> {
        while self.stream.conn.is_handshaking() {
            match self.stream.conn.complete_io(&mut self.stream.sock) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => drop(result?),
            }
        }
        Ok(())
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
