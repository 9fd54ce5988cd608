//! A server in a thread of the test, and a client on quiche and a plain socket.
//!
//! Dropping the server shuts it down and checks that nothing was left.

use std::{
    collections::BTreeMap,
    fs, io,
    net::{SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    sync::mpsc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use quiche::h3::{self, Event, Header, NameValue};
use server::{Config, Control, Error, Snapshot, Started, byte_at, make_demo_certificate, run};
use socket_transport::Clock;

/// Nothing in these tests takes so long unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// How many datagrams a farewell may take at a time.
const FAREWELL: usize = 100;

/// How much of a body an [`Answer`] keeps.
const KEPT: usize = 8 * 1024 * 1024;

pub(crate) fn now() -> Instant {
    Clock::system().now()
}

/// A running server.
pub(crate) struct Fixture {
    pub(crate) address: SocketAddr,
    pub(crate) control: Control,
    pub(crate) directory: tempfile::TempDir,
    thread: Option<JoinHandle<Result<Snapshot, Error>>>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    /// A server with other settings than the usual ones.
    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        fs::create_dir(&root).unwrap();
        let made = make_demo_certificate(directory.path(), Clock::system().wall()).unwrap();
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut config = Config::new(root, listen, made.certificate, made.key);
        config.test_bodies = true;
        change(&mut config);
        let (sender, receiver) = mpsc::channel();
        let thread = thread::spawn(move || run(&config, |started| sender.send(started).unwrap()));
        let Ok(Started { address, control }) = receiver.recv() else {
            panic!("the server did not start: {:?}", thread.join().unwrap().err());
        };
        Self { address, control, directory, thread: Some(thread) }
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().join("root")
    }

    pub(crate) fn client(&self) -> Client {
        self.client_with(|_| {})
    }

    /// A connected client with other settings than the usual ones.
    pub(crate) fn client_with(&self, change: impl FnOnce(&mut quiche::Config)) -> Client {
        let mut client = Client::new(self.address, self.directory.path(), change);
        client.drive("a connection", |client| client.http.is_some());
        client
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        self.control.snapshot().unwrap()
    }

    /// Waits until nothing of any client is left.
    pub(crate) fn wait_until_empty(&self) -> Snapshot {
        self.control.wait_until_empty(PATIENCE).unwrap_or_else(|| {
            panic!("something is left: {:#?}", self.control.snapshot());
        })
    }

    /// Waits for the end of a server that was shut down.
    pub(crate) fn join(&mut self) -> Snapshot {
        let snapshot = self.thread.take().unwrap().join().unwrap().unwrap();
        assert!(snapshot.is_empty(), "{snapshot:#?}");
        let service = &snapshot.service;
        assert_eq!((service.sockets, service.timers, service.posted_events), (0, 0, 0));
        snapshot
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if self.thread.is_some() && !thread::panicking() {
            self.control.shut_down();
            self.join();
        }
    }
}

/// What came back on a stream.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) fields: Vec<(String, String)>,
    /// Kept only up to a kilobyte.
    pub(crate) text: String,
    /// Kept only up to [`KEPT`].
    pub(crate) bytes: Vec<u8>,
    pub(crate) length: u64,
    /// The first byte that is not the pattern's.
    pub(crate) wrong_at: Option<u64>,
    pub(crate) finished: bool,
    pub(crate) reset: Option<u64>,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.field(":status").map_or(0, |status| status.parse().unwrap())
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|field| field.0 == name).map(|field| field.1.as_str())
    }

    /// Whole, and the pattern's first `length` bytes.
    pub(crate) fn assert_pattern(&self, length: u64) {
        assert_eq!((self.status(), self.reset, self.finished), (200, None, true));
        assert_eq!(self.field("content-length"), Some(length.to_string().as_str()));
        assert_eq!((self.length, self.wrong_at), (length, None));
    }
}

/// A request body on its way out: the pattern's first bytes.
#[derive(Debug)]
struct Sending {
    at: u64,
    left: u64,
    then_fin: bool,
}

/// A client with one connection.
pub(crate) struct Client {
    pub(crate) socket: UdpSocket,
    pub(crate) quic: quiche::Connection,
    pub(crate) http: Option<h3::Connection>,
    pub(crate) answers: BTreeMap<u64, Answer>,
    bodies: BTreeMap<u64, Sending>,
    /// Leaves what arrives in the engine, so that flow control holds the server.
    pub(crate) paused: bool,
    pub(crate) goaway: Option<u64>,
}

impl Client {
    /// A client that has not said anything yet.
    pub(crate) fn new(
        server: SocketAddr,
        directory: &Path,
        change: impl FnOnce(&mut quiche::Config),
    ) -> Self {
        let mut config = quiche::Config::new(quiche::PROTOCOL_VERSION).unwrap();
        config.set_application_protos(h3::APPLICATION_PROTOCOL).unwrap();
        config.verify_peer(true);
        let ca = directory.join("ca.pem");
        config.load_verify_locations_from_file(ca.to_str().unwrap()).unwrap();
        config.set_max_idle_timeout(30_000);
        config.set_max_send_udp_payload_size(1350);
        config.set_initial_max_data(16 * 1024 * 1024);
        config.set_initial_max_stream_data_bidi_local(4 * 1024 * 1024);
        config.set_initial_max_stream_data_uni(1024 * 1024);
        config.set_initial_max_streams_uni(8);
        change(&mut config);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let local = socket.local_addr().unwrap();
        let id = local.port().to_be_bytes().repeat(8);
        let id = quiche::ConnectionId::from_vec(id);
        let quic = quiche::connect(Some("localhost"), &id, local, server, &mut config).unwrap();
        let (answers, bodies) = (BTreeMap::new(), BTreeMap::new());
        Self { socket, quic, http: None, answers, bodies, paused: false, goaway: None }
    }

    /// Sends and receives until `done` says so.
    pub(crate) fn drive(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let deadline = now() + PATIENCE;
        loop {
            self.take_events();
            self.push_bodies();
            self.flush();
            if done(self) {
                self.flush();
                return;
            }
            assert!(now() < deadline, "waiting for {what}: {:?}", self.answers);
            assert!(
                !self.quic.is_closed(),
                "closed while waiting for {what}: {:?}",
                self.quic.peer_error()
            );
            self.receive(deadline);
        }
    }

    /// Goes on until something has happened that no datagram may tell of: at the server, or on the disk.
    pub(crate) fn drive_until(&mut self, what: &str, mut done: impl FnMut() -> bool) {
        let deadline = now() + PATIENCE;
        while !done() {
            assert!(now() < deadline, "waiting for {what}");
            self.drive_for(Duration::from_millis(5));
        }
    }

    /// Goes on for a while, whatever happens.
    pub(crate) fn drive_for(&mut self, time: Duration) {
        let end = now() + time;
        while now() < end && !self.quic.is_closed() {
            self.take_events();
            self.push_bodies();
            self.flush();
            self.receive(end);
        }
    }

    fn receive(&mut self, deadline: Instant) {
        let engine = self.quic.timeout().unwrap_or(PATIENCE);
        let wait = engine.min(deadline.saturating_duration_since(now()));
        self.socket.set_read_timeout(Some(wait.max(Duration::from_millis(1)))).unwrap();
        let mut buffer = vec![0; 65_535];
        // Everything that is there before anything is said, as a good client does.
        for _ in 0..64 {
            match self.socket.recv_from(&mut buffer) {
                Ok((len, from)) => {
                    let to = self.socket.local_addr().unwrap();
                    let _ = self.quic.recv(&mut buffer[..len], quiche::RecvInfo { from, to });
                    self.socket.set_nonblocking(true).unwrap();
                }
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) =>
                {
                    break;
                }
                // The server has gone: the engine's timers decide what that means.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => break,
                Err(error) => panic!("{error}"),
            }
        }
        self.socket.set_nonblocking(false).unwrap();
        self.quic.on_timeout();
    }

    pub(crate) fn flush(&mut self) {
        self.flush_at_most(usize::MAX);
    }

    fn flush_at_most(&mut self, datagrams: usize) {
        let mut buffer = [0; 1500];
        for _ in 0..datagrams {
            let Ok((len, info)) = self.quic.send(&mut buffer) else { return };
            let _ = self.socket.send_to(&buffer[..len], info.to);
        }
    }

    fn take_events(&mut self) {
        if self.http.is_none() && self.quic.is_established() {
            let config = h3::Config::new().unwrap();
            self.http = Some(h3::Connection::with_transport(&mut self.quic, &config).unwrap());
        }
        let Some(http) = self.http.as_mut() else { return };
        while let Ok((stream, event)) = http.poll(&mut self.quic) {
            if event == Event::GoAway {
                self.goaway = Some(stream);
                continue;
            }
            let answer = self.answers.entry(stream).or_default();
            match event {
                Event::Headers { list, .. } => answer.fields.extend(list.iter().map(|field| {
                    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                    (text(field.name()), text(field.value()))
                })),
                Event::Finished => answer.finished = true,
                Event::Reset(code) => answer.reset = Some(code),
                Event::Data | Event::PriorityUpdate | Event::GoAway => {}
            }
        }
        if !self.paused {
            self.read_bodies();
        }
    }

    fn read_bodies(&mut self) {
        let mut buffer = vec![0; 65_536];
        let Some(http) = self.http.as_mut() else { return };
        for (stream, answer) in &mut self.answers {
            while let Ok(len) = http.recv_body(&mut self.quic, *stream, &mut buffer) {
                let bytes = &buffer[..len];
                if answer.text.len() < 1024 {
                    answer.text.push_str(&String::from_utf8_lossy(bytes));
                }
                if answer.bytes.len() < KEPT {
                    answer.bytes.extend_from_slice(bytes);
                }
                let mut at = answer.length;
                for byte in bytes {
                    if *byte != byte_at(at) && answer.wrong_at.is_none() {
                        answer.wrong_at = Some(at);
                    }
                    at += 1;
                }
                answer.length = at;
            }
        }
        while let Ok((stream, event)) = http.poll(&mut self.quic) {
            let answer = self.answers.entry(stream).or_default();
            match event {
                Event::Finished => answer.finished = true,
                Event::Reset(code) => answer.reset = Some(code),
                _ => {}
            }
        }
    }

    fn push_bodies(&mut self) {
        let Some(http) = self.http.as_mut() else { return };
        self.bodies.retain(|stream, body| {
            loop {
                let len = usize::try_from(body.left).unwrap().min(16_384);
                let chunk: Vec<u8> = (body.at..).take(len).map(byte_at).collect();
                let fin = body.then_fin && len as u64 == body.left;
                match http.send_body(&mut self.quic, *stream, &chunk, fin) {
                    Ok(sent) => {
                        body.left -= sent as u64;
                        body.at += sent as u64;
                    }
                    Err(h3::Error::Done) => return body.left > 0 || body.then_fin,
                    Err(_) => return false,
                }
                if body.left == 0 {
                    return false;
                }
            }
        });
    }

    /// Sends a request of which all fields are given, as soon as there is room for it.
    pub(crate) fn send(&mut self, fields: &[(&str, &str)], fin: bool) -> u64 {
        let header = |(name, value): &(&str, &str)| Header::new(name.as_bytes(), value.as_bytes());
        let fields: Vec<Header> = fields.iter().map(header).collect();
        let mut sent = None;
        let mut attempt = |client: &mut Self| {
            let http = client.http.as_mut().unwrap();
            match http.send_request(&mut client.quic, &fields, fin) {
                Ok(stream) => sent = Some(stream),
                Err(
                    h3::Error::StreamBlocked
                    | h3::Error::TransportError(quiche::Error::StreamLimit),
                ) => {}
                Err(error) => panic!("the request can't be sent: {error}"),
            }
            sent.is_some()
        };
        if !attempt(self) {
            self.drive("room for a request", attempt);
        }
        let stream = sent.unwrap();
        self.answers.insert(stream, Answer::default());
        stream
    }

    /// Sends a request.
    pub(crate) fn request(
        &mut self,
        method: &str,
        path: &str,
        more: &[(&str, &str)],
        fin: bool,
    ) -> u64 {
        let mut fields = vec![
            (":method", method),
            (":scheme", "https"),
            (":authority", "localhost"),
            (":path", path),
        ];
        fields.extend_from_slice(more);
        self.send(&fields, fin)
    }

    pub(crate) fn get(&mut self, path: &str) -> u64 {
        self.request("GET", path, &[], true)
    }

    /// Begins an upload of `length` bytes; `fin` is whether it also ends.
    pub(crate) fn upload(&mut self, more: &[(&str, &str)], length: u64, fin: bool) -> u64 {
        self.send_body("POST", "/upload", more, length, fin)
    }

    /// The same to any place.
    pub(crate) fn send_body(
        &mut self,
        method: &str,
        path: &str,
        more: &[(&str, &str)],
        length: u64,
        fin: bool,
    ) -> u64 {
        let stream = self.request(method, path, more, false);
        self.bodies.insert(stream, Sending { at: 0, left: length, then_fin: fin });
        stream
    }

    /// Goes on with an upload that was begun.
    pub(crate) fn go_on(&mut self, stream: u64, length: u64, fin: bool) {
        self.bodies.insert(stream, Sending { at: 0, left: length, then_fin: fin });
    }

    /// Sends bytes as they are, past the HTTP/3 half, as much as there is room for.
    pub(crate) fn raw(&mut self, stream: u64, bytes: &[u8], fin: bool) -> usize {
        let sent = self.quic.stream_send(stream, bytes, fin).unwrap_or_default();
        self.flush();
        sent
    }

    /// Waits for the server's `CONNECTION_CLOSE`. Returns the HTTP/3 code and the reason.
    pub(crate) fn closed(&mut self) -> (u64, String) {
        self.drive("the close", |client| client.quic.is_draining());
        let error = self.quic.peer_error().unwrap();
        assert!(error.is_app, "{error:?}");
        (error.error_code, String::from_utf8(error.reason.clone()).unwrap())
    }

    /// PUT and the whole answer.
    pub(crate) fn put(&mut self, path: &str, more: &[(&str, &str)], length: u64) -> Answer {
        let stream = self.send_body("PUT", path, more, length, true);
        self.answer(stream)
    }

    /// GET with more headers, and the whole answer.
    pub(crate) fn fetch_with(&mut self, path: &str, more: &[(&str, &str)]) -> Answer {
        let stream = self.request("GET", path, more, true);
        self.answer(stream)
    }

    /// Waits for the end of an answer.
    pub(crate) fn answer(&mut self, stream: u64) -> Answer {
        self.drive(&format!("the answer on stream {stream}"), |client| {
            let answer = client.answers.get(&stream).unwrap();
            answer.finished || answer.reset.is_some()
        });
        self.answers.remove(&stream).unwrap()
    }

    /// GET and the whole answer.
    pub(crate) fn fetch(&mut self, path: &str) -> Answer {
        let stream = self.get(path);
        self.answer(stream)
    }

    /// Takes a request back: `RESET_STREAM` and `STOP_SENDING`, as a browser does.
    pub(crate) fn cancel(&mut self, stream: u64) {
        self.bodies.remove(&stream);
        let _ = self.quic.stream_shutdown(stream, quiche::Shutdown::Write, 0x10c);
        let _ = self.quic.stream_shutdown(stream, quiche::Shutdown::Read, 0x10c);
        self.answers.remove(&stream);
    }

    /// Says good-bye.
    pub(crate) fn close(mut self) {
        self.quic.close(true, 0x100, b"done").unwrap();
        let deadline = now() + Duration::from_secs(5);
        self.flush_at_most(FAREWELL);
        // Quiche keeps its farewell back while the congestion window is full; now and then it sends other
        // things without end instead. Then the server's idle timeout has to do.
        while !self.quic.is_draining() && now() < deadline {
            self.receive(deadline);
            self.flush_at_most(FAREWELL);
        }
    }
}
