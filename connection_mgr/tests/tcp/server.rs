//! The other end: a machine that does what the test says, line by line.

use std::net::SocketAddr;

use socket_transport::{
    Context, Detached, Ready, SocketHandler, SocketKey, StreamRead, simulated::Stack,
};

use crate::toy_tls::{Kind, data, record, take_record};

type Ctx<'a> = Context<'a, Of, ()>;

/// What a socket is for: a listening one, or the line with this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Listener,
    Line(usize),
}

/// How a line is answered when a client says hello.
#[derive(Clone, Debug)]
pub(crate) enum Hello {
    /// With a certificate, or none where an earlier session goes on; then with a ticket, if it has one.
    Certificate(&'static [u8], Option<&'static [u8]>),
    /// Not at all.
    Silence,
    Alert(u8),
    /// It hangs up.
    HangUp,
}

#[derive(Debug, Default)]
pub(crate) struct Line {
    socket: Option<SocketKey>,
    input: Vec<u8>,
    outbox: Vec<u8>,
    /// It does not read.
    pub(crate) deaf: bool,
    /// What came of HTTP.
    pub(crate) heard: Vec<u8>,
    pub(crate) hellos: usize,
    /// The client said `close_notify`.
    pub(crate) farewell: bool,
    /// The client's side has ended, or failed.
    pub(crate) ended: bool,
}

/// Answers to requests by themselves: every head that comes is answered with this.
pub(crate) type Answer = fn(&str) -> Vec<u8>;

pub(crate) struct Server {
    pub(crate) listener: Option<SocketKey>,
    pub(crate) lines: Vec<Line>,
    pub(crate) hello: Hello,
    pub(crate) answer: Option<Answer>,
}

impl Server {
    pub(crate) fn new() -> Self {
        let hello = Hello::Certificate(b"good", Some(b"a ticket"));
        Self { listener: None, lines: Vec::new(), hello, answer: None }
    }

    fn accept(&mut self, ctx: &mut Ctx<'_>) {
        let Some(listener) = self.listener else { return };
        loop {
            let number = self.lines.len();
            let Ok(Some((socket, _))) = ctx.accept_tcp(listener, Of::Line(number)) else { return };
            self.lines.push(Line { socket: Some(socket), ..Line::default() });
            self.drive(ctx, number);
        }
    }

    fn drive(&mut self, ctx: &mut Ctx<'_>, number: usize) {
        let line = &mut self.lines[number];
        line.read(ctx);
        while let Some((kind, content)) = take_record(&mut line.input) {
            match kind {
                Kind::ClientHello => {
                    line.hellos += 1;
                    line.say_hello(ctx, &self.hello);
                }
                Kind::Data => line.heard.extend(content),
                Kind::CloseNotify => line.farewell = true,
                _ => {}
            }
        }
        if let Some(answer) = self.answer {
            line.answer(answer);
        }
        line.write(ctx);
    }
}

impl Line {
    fn read(&mut self, ctx: &mut Ctx<'_>) {
        let Some(mut io) = self.socket.and_then(|socket| ctx.stream_io(socket)) else { return };
        let mut buffer = [0; 5000];
        while !self.deaf {
            match io.read(&mut buffer) {
                Ok(StreamRead::Bytes(count)) => self.input.extend(&buffer[..count]),
                Ok(StreamRead::Blocked) => break,
                Ok(StreamRead::End) | Err(_) => {
                    self.ended = true;
                    break;
                }
            }
        }
    }

    fn write(&mut self, ctx: &mut Ctx<'_>) {
        let Some(mut io) = self.socket.and_then(|socket| ctx.stream_io(socket)) else { return };
        while !self.outbox.is_empty() {
            match io.write(&self.outbox) {
                Ok(0) | Err(_) => break,
                Ok(count) => drop(self.outbox.drain(..count)),
            }
        }
    }

    fn say_hello(&mut self, ctx: &mut Ctx<'_>, hello: &Hello) {
        match hello {
            Hello::Certificate(certificate, ticket) => {
                self.outbox.extend(record(Kind::ServerHello, certificate));
                if let Some(ticket) = ticket {
                    self.outbox.extend(record(Kind::Ticket, ticket));
                }
            }
            Hello::Silence => {}
            Hello::Alert(alert) => self.outbox.extend(record(Kind::Alert, &[*alert])),
            Hello::HangUp => ctx.close_socket(self.socket.take().expect("a socket")),
        }
    }

    /// Requests without bodies, one after the other.
    fn answer(&mut self, answer: Answer) {
        while let Some(end) = self.heard.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = self.heard.split_off(end + 4);
            let head = std::mem::replace(&mut self.heard, rest);
            let response = answer(std::str::from_utf8(&head).expect("text"));
            self.outbox.extend(data(&response));
        }
    }
}

impl SocketHandler for Server {
    type Target = Of;
    type Event = ();

    fn on_socket_ready(&mut self, ctx: &mut Ctx<'_>, of: Of, _: Ready) {
        match of {
            Of::Listener => self.accept(ctx),
            Of::Line(number) => self.drive(ctx, number),
        }
    }

    fn on_socket_detached(&mut self, _: &mut Ctx<'_>, _: Of, _: Detached) {}

    fn on_timer(&mut self, _: &mut Ctx<'_>, _: Of) {}

    fn on_wakeup(&mut self, _: &mut Ctx<'_>, _: Of) {}

    fn on_event(&mut self, _: &mut Ctx<'_>, (): ()) {}

    fn on_shutdown(&mut self, ctx: &mut Ctx<'_>) {
        ctx.stop();
    }
}

/// What a test has the server do.
pub(crate) trait Script {
    fn listen(&mut self, address: SocketAddr);
    fn stop_listening(&mut self);
    /// Records as they are.
    fn say_raw(&mut self, line: usize, bytes: &[u8]);
    /// HTTP.
    fn say(&mut self, line: usize, http: impl AsRef<[u8]>) {
        self.say_raw(line, &data(http.as_ref()));
    }
    /// Ends its side, with or without `close_notify`, and then the line.
    fn end(&mut self, line: usize, farewell: bool);
    fn reset(&mut self, line: usize);
    /// Reads on a line that was deaf.
    fn hear(&mut self, line: usize, deaf: bool);
    fn line(&self, line: usize) -> &Line;
    fn heard(&self, line: usize) -> String;
    /// What it heard, which is forgotten.
    fn take_heard(&mut self, line: usize) -> String;
    /// Bytes that it has not got rid of.
    fn left(&self, line: usize) -> usize;
    fn made(&self) -> usize;
}

impl Script for Stack<Server> {
    fn listen(&mut self, address: SocketAddr) {
        self.call(|server, ctx| server.listener = ctx.listen_tcp(Of::Listener, address).ok());
        assert!(self.app().listener.is_some());
    }

    fn stop_listening(&mut self) {
        self.call(|server, ctx| ctx.close_socket(server.listener.take().expect("it listens")));
    }

    fn say_raw(&mut self, line: usize, bytes: &[u8]) {
        self.call(|server, ctx| {
            server.lines[line].outbox.extend(bytes);
            server.drive(ctx, line);
        });
    }

    fn end(&mut self, line: usize, farewell: bool) {
        if farewell {
            self.say_raw(line, &record(Kind::CloseNotify, b""));
        }
        self.call(|server, ctx| {
            let line = &mut server.lines[line];
            assert!(line.outbox.is_empty(), "all was said");
            ctx.close_socket(line.socket.take().expect("a socket"));
        });
    }

    fn reset(&mut self, line: usize) {
        self.call(|server, ctx| {
            let socket = server.lines[line].socket.take().expect("a socket");
            ctx.stream_io(socket).expect("a stream").reset_when_closed().expect("it can");
            ctx.close_socket(socket);
        });
    }

    fn hear(&mut self, line: usize, deaf: bool) {
        self.call(|server, ctx| {
            server.lines[line].deaf = deaf;
            server.drive(ctx, line);
        });
    }

    fn line(&self, line: usize) -> &Line {
        &self.app().lines[line]
    }

    fn heard(&self, line: usize) -> String {
        String::from_utf8_lossy(&self.line(line).heard).into_owned()
    }

    fn take_heard(&mut self, line: usize) -> String {
        let heard = self.heard(line);
        self.app_mut().lines[line].heard.clear();
        heard
    }

    fn left(&self, line: usize) -> usize {
        self.line(line).outbox.len()
    }

    fn made(&self) -> usize {
        self.app().lines.len()
    }
}
