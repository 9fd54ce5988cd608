//! A server on TCP that does what its script says, byte by byte: for HTTP/1.1, with TLS or without.
//!
//! ```text
//!   accepted ──▶ Head ──▶ Send ──▶ Wait ──▶ Head ──▶ Send ──▶ … end of the script ──▶ waits for the end
//!                                                                                    of the client's side
//! ```

use std::{
    cell::RefCell,
    collections::VecDeque,
    io::{self, Read as _, Write as _},
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::{ServerConfig, ServerConnection};
use socket_transport::{
    Context, Detached, Limits, Ready, SocketHandler, SocketKey, StreamRead, TimerKey,
    simulated::{Node, SimulatedNetwork, Stack},
};

/// What a server does on a connection. What is to be sent has left before the next act begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Waits for a request's head, and keeps it.
    Head,
    /// Waits for so many bytes of a request's body, and keeps them.
    Body(usize),
    /// Sends these bytes as they are.
    Send(Vec<u8>),
    /// Does nothing for so long.
    Wait(Duration),
    /// Reads nothing from now on, so that the client is held back.
    Deafen,
    /// Ends its side in good order: with TLS by `close_notify`, then by a FIN. It goes on with reading.
    End,
    /// Ends its side as somebody in between would: by a FIN alone.
    Cut,
    /// Resets the connection.
    Reset,
    /// Closes it, without a word of TLS's; with something unread, that is a reset.
    Close,
    /// Is never heard again, nor hears anything: the network swallows all between the two machines.
    Vanish,
}

impl Act {
    /// Sends this text.
    pub fn send(text: impl AsRef<[u8]>) -> Self {
        Self::Send(text.as_ref().to_vec())
    }

    /// Sends a whole response with this body.
    pub fn respond(body: &str) -> Self {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        Self::send(head + body)
    }
}

/// What came on a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Heard {
    /// The heads that were waited for, each with its empty line.
    pub heads: Vec<String>,
    /// The bodies that were waited for.
    pub bodies: Vec<Vec<u8>>,
    /// What came and was not waited for.
    pub rest: Vec<u8>,
    /// The client has ended its side: with TLS, whether by `close_notify`.
    pub ended: Option<bool>,
    /// The client, or the network, has broken the connection.
    pub error: Option<io::ErrorKind>,
    /// The server's socket is gone.
    pub closed: bool,
}

/// A server on a machine of the simulated network. Clones are the same one.
#[derive(Clone)]
pub struct ScriptServer(Rc<RefCell<Stack<Machine>>>);

impl ScriptServer {
    /// Listens at `local`; the connection with the number *n*, from 0, meets with `script(n)`.
    pub fn new(
        network: &SimulatedNetwork,
        local: SocketAddr,
        tls: Option<ServerConfig>,
        script: impl Fn(usize) -> Vec<Act> + 'static,
    ) -> Self {
        let machine = Machine {
            network: network.clone(),
            listener: None,
            tls: tls.map(Arc::new),
            script: Box::new(script),
            connections: Vec::new(),
        };
        let host = network.host(local.ip());
        let mut stack = Stack::new(host, Limits::default(), machine).expect("a service");
        stack.call(|machine, ctx| {
            let listener = ctx.listen_tcp(Of::Listener, local);
            machine.listener = Some(listener.expect("a free port"));
        });
        Self(Rc::new(RefCell::new(stack)))
    }

    /// How many connections it has accepted.
    pub fn connections(&self) -> usize {
        self.0.borrow().app().connections.len()
    }

    /// What came on a connection; nothing on one that was not made.
    pub fn heard(&self, connection: usize) -> Heard {
        let stack = self.0.borrow();
        let connection = stack.app().connections.get(connection);
        connection.map_or_else(Heard::default, |connection| connection.heard.clone())
    }

    /// Connections whose sockets are open.
    pub fn open(&self) -> usize {
        let stack = self.0.borrow();
        stack.app().connections.iter().filter(|connection| !connection.heard.closed).count()
    }

    /// Adds to the script of a connection.
    pub fn act(&self, connection: usize, acts: impl IntoIterator<Item = Act>) {
        self.0.borrow_mut().call(|machine, ctx| {
            machine.connections[connection].acts.extend(acts);
            machine.drive(ctx, connection);
        });
    }
}

impl Node for ScriptServer {
    fn turn(&mut self) -> io::Result<bool> {
        self.0.borrow_mut().turn()
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.0.borrow().next_deadline()
    }
}

/// What a socket or a timer is for.
#[derive(Debug, Clone, Copy)]
enum Of {
    Listener,
    Connection(usize),
}

type Ctx<'a> = Context<'a, Of, ()>;

/// The handler.
struct Machine {
    network: SimulatedNetwork,
    listener: Option<SocketKey>,
    tls: Option<Arc<ServerConfig>>,
    script: Box<dyn Fn(usize) -> Vec<Act>>,
    connections: Vec<Connection>,
}

struct Connection {
    socket: SocketKey,
    timer: TimerKey,
    tls: Option<ServerConnection>,
    acts: VecDeque<Act>,
    /// What was read and not waited for.
    plain: Vec<u8>,
    /// What is to be sent.
    out: VecDeque<u8>,
    /// Until when nothing is done.
    waits: Option<Instant>,
    deaf: bool,
    heard: Heard,
}

impl Machine {
    fn accept(&mut self, ctx: &mut Ctx<'_>) {
        let Some(listener) = self.listener else { return };
        loop {
            let number = self.connections.len();
            let accepted = ctx.accept_tcp(listener, Of::Connection(number)).expect("a socket");
            let Some((socket, _)) = accepted else { return };
            let tls = self.tls.clone().map(|tls| ServerConnection::new(tls).expect("TLS"));
            self.connections.push(Connection {
                socket,
                timer: ctx.create_timer(Of::Connection(number)),
                tls,
                acts: (self.script)(number).into(),
                plain: Vec::new(),
                out: VecDeque::new(),
                waits: None,
                deaf: false,
                heard: Heard::default(),
            });
            self.drive(ctx, number);
        }
    }

    fn drive(&mut self, ctx: &mut Ctx<'_>, number: usize) {
        let connection = &mut self.connections[number];
        connection.read(ctx);
        connection.play(ctx, &self.network);
        connection.heard.rest.clone_from(&connection.plain);
    }
}

/// The wire.
impl Connection {
    fn read(&mut self, ctx: &mut Ctx<'_>) {
        let Some(mut io) = ctx.stream_io(self.socket).filter(|_| !self.deaf) else { return };
        let mut piece = [0; 8192];
        let ended = loop {
            match io.read(&mut piece) {
                Ok(StreamRead::Bytes(count)) => self.take(&piece[..count]),
                Ok(StreamRead::Blocked) => return,
                Ok(StreamRead::End) => break Ok(()),
                Err(error) => break Err(error.kind()),
            }
        };
        match ended {
            Ok(()) => self.take_end(),
            Err(kind) => drop(self.heard.error.get_or_insert(kind)),
        }
    }

    /// What arrived, through TLS.
    fn take(&mut self, mut bytes: &[u8]) {
        let Some(tls) = &mut self.tls else {
            self.plain.extend_from_slice(bytes);
            return;
        };
        while !bytes.is_empty() {
            let taken = tls.read_tls(&mut bytes).expect("memory does not fail");
            // An alert goes out; there is nothing more to be read then.
            if tls.process_new_packets().is_err() || taken == 0 {
                self.heard.error.get_or_insert(io::ErrorKind::InvalidData);
                break;
            }
            // An error says that nothing, or the end, is there.
            let _ = tls.reader().read_to_end(&mut self.plain);
        }
        self.seal();
    }

    fn take_end(&mut self) {
        let orderly = self.tls.as_mut().is_none_or(|tls| {
            let _ = tls.read_tls(&mut io::empty());
            tls.reader().read(&mut [0]).is_ok_and(|count| count == 0)
        });
        self.heard.ended.get_or_insert(orderly);
    }

    /// Puts TLS's output behind what is to be sent.
    fn seal(&mut self) {
        while let Some(tls) = self.tls.as_mut().filter(|tls| tls.wants_write()) {
            tls.write_tls(&mut self.out).expect("memory does not fail");
        }
    }

    /// Whether all has left.
    fn flush(&mut self, ctx: &mut Ctx<'_>) -> bool {
        let Some(mut io) = ctx.stream_io(self.socket) else { return false };
        while !self.out.is_empty() {
            match io.write(self.out.make_contiguous()) {
                Ok(0) => return false,
                Ok(count) => drop(self.out.drain(..count)),
                Err(error) => {
                    self.heard.error.get_or_insert(error.kind());
                    self.out.clear();
                    self.acts.clear();
                }
            }
        }
        true
    }
}

/// The script.
impl Connection {
    fn play(&mut self, ctx: &mut Ctx<'_>, network: &SimulatedNetwork) {
        while self.flush(ctx) {
            let shaking = self.tls.as_ref().is_some_and(|tls| tls.is_handshaking());
            if shaking && self.is_sending() {
                return;
            }
            if self.waits.is_some_and(|until| ctx.now() < until) {
                return;
            }
            self.waits = None;
            match self.acts.front() {
                Some(act) if self.can(act) => {}
                // The script is over, or what it waits for has not come.
                _ => return self.close_if_ended(ctx),
            }
            if let Some(act) = self.acts.pop_front() {
                self.perform(ctx, network, act);
            }
        }
    }

    /// Whether the next act needs what TLS does not give before the handshake.
    fn is_sending(&self) -> bool {
        matches!(self.acts.front(), Some(Act::Send(_)))
    }

    /// Whether what it waits for is there.
    fn can(&self, act: &Act) -> bool {
        match act {
            Act::Head => self.head_length().is_some(),
            Act::Body(length) => self.plain.len() >= *length,
            _ => true,
        }
    }

    fn head_length(&self) -> Option<usize> {
        self.plain.windows(4).position(|end| end == b"\r\n\r\n").map(|at| at + 4)
    }

    fn perform(&mut self, ctx: &mut Ctx<'_>, network: &SimulatedNetwork, act: Act) {
        match act {
            Act::Head => {
                let head: Vec<u8> = self.plain.drain(..self.head_length().unwrap_or(0)).collect();
                self.heard.heads.push(String::from_utf8_lossy(&head).into_owned());
            }
            Act::Body(length) => self.heard.bodies.push(self.plain.drain(..length).collect()),
            Act::Send(bytes) => self.send(&bytes),
            Act::Wait(time) => {
                self.waits = Some(ctx.now() + time);
                ctx.set_timer(self.timer, self.waits);
            }
            Act::Deafen => self.deaf = true,
            Act::End => {
                if let Some(tls) = &mut self.tls {
                    tls.send_close_notify();
                }
                self.seal();
                self.acts.push_front(Act::Cut);
            }
            Act::Cut => {
                if let Some(mut io) = ctx.stream_io(self.socket) {
                    let cut = io.shutdown_write();
                    self.heard.error = self.heard.error.or(cut.err().map(|error| error.kind()));
                }
            }
            Act::Reset => {
                if let Some(mut io) = ctx.stream_io(self.socket) {
                    io.reset_when_closed().expect("a connection");
                }
                ctx.close_socket(self.socket);
            }
            Act::Close => ctx.close_socket(self.socket),
            Act::Vanish => {
                let Some(io) = ctx.stream_io(self.socket) else { return };
                let (here, there) = (io.local_addr().ip(), io.peer_addr().ip());
                network.blackhole(here, there, true);
                network.blackhole(there, here, true);
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        match &mut self.tls {
            None => self.out.extend(bytes),
            Some(tls) => {
                tls.set_buffer_limit(None);
                tls.writer().write_all(bytes).expect("memory does not fail");
                self.seal();
            }
        }
    }

    /// Nothing more will come: the connection is over.
    fn close_if_ended(&self, ctx: &mut Ctx<'_>) {
        if self.heard.ended.is_some() || self.heard.error.is_some() {
            ctx.close_socket(self.socket);
        }
    }
}

impl SocketHandler for Machine {
    type Target = Of;
    type Event = ();

    fn on_socket_ready(&mut self, ctx: &mut Ctx<'_>, of: Of, _: Ready) {
        match of {
            Of::Listener => self.accept(ctx),
            Of::Connection(number) => self.drive(ctx, number),
        }
    }

    fn on_socket_detached(&mut self, ctx: &mut Ctx<'_>, of: Of, _: Detached) {
        if let Of::Connection(number) = of {
            let connection = &mut self.connections[number];
            connection.heard.closed = true;
            ctx.remove_timer(connection.timer);
        }
    }

    fn on_timer(&mut self, ctx: &mut Ctx<'_>, of: Of) {
        if let Of::Connection(number) = of {
            self.drive(ctx, number);
        }
    }

    fn on_wakeup(&mut self, _: &mut Ctx<'_>, _: Of) {}

    fn on_event(&mut self, _: &mut Ctx<'_>, (): ()) {}

    fn on_shutdown(&mut self, ctx: &mut Ctx<'_>) {
        ctx.stop();
    }
}
