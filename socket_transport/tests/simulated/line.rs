//! An application for the tests of streams: it listens, connects, says what it is to say, and keeps all
//! that it is told.

use std::{io, net::SocketAddr, time::Instant};

use socket_transport::{
    Context, Detached, Limits, Network, Ready, SocketHandler, SocketKey, StreamRead, TcpOptions,
    simulated::{SimulatedNetwork, Simulation, Stack},
};

use crate::peer::{A, B};

pub(crate) const PORT: u16 = 80;
pub(crate) type Two = (Stack<Ends>, Stack<Ends>);
type Ctx<'a> = Context<'a, Of, ()>;

/// What a socket is for: a listening one, or the line with this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Listener,
    Line(usize),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Then {
    #[default]
    GoesOn,
    /// Ends its side.
    Finishes,
    /// Closes the socket.
    HangsUp,
}

/// One stream, and what is to happen on it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    pub(crate) socket: Option<SocketKey>,
    /// What it has to say.
    pub(crate) outbox: Vec<u8>,
    /// What it does when it has said it.
    pub(crate) then: Then,
    /// It does not read.
    pub(crate) deaf: bool,
    pub(crate) heard: Vec<u8>,
    pub(crate) ended: bool,
    /// When it was called the first time, and what had become of the attempt to connect.
    pub(crate) connected: Option<(Instant, Result<(), io::ErrorKind>)>,
    pub(crate) errors: Vec<io::ErrorKind>,
    pub(crate) writables: usize,
    pub(crate) detached: Vec<Detached>,
    pub(crate) said_all: bool,
}

/// Lines of one machine.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    pub(crate) listener: Option<SocketKey>,
    pub(crate) lines: Vec<Line>,
    /// What an accepted line does.
    pub(crate) script: Line,
    pub(crate) listener_detached: Vec<Detached>,
}

impl Ends {
    pub(crate) fn on(network: Network, limits: Limits) -> Stack<Self> {
        Stack::new(network, limits, Self::default()).unwrap()
    }

    pub(crate) fn listen(&mut self, ctx: &mut Ctx<'_>, local: SocketAddr) -> SocketAddr {
        let listener = ctx.listen_tcp(Of::Listener, local).unwrap();
        self.listener = Some(listener);
        ctx.local_addr(listener).unwrap()
    }

    /// Opens one more line, which does this.
    pub(crate) fn open(&mut self, ctx: &mut Ctx<'_>, peer: SocketAddr, script: Line) {
        let target = Of::Line(self.lines.len());
        let socket = ctx.open_tcp(target, peer, TcpOptions::default()).unwrap();
        self.lines.push(Line { socket: Some(socket), ..script });
    }

    fn accept(&mut self, ctx: &mut Ctx<'_>) {
        let Some(listener) = self.listener else { return };
        loop {
            let target = Of::Line(self.lines.len());
            let Some((socket, _)) = ctx.accept_tcp(listener, target).unwrap() else { return };
            self.lines.push(Line { socket: Some(socket), ..self.script.clone() });
            self.drive(ctx, self.lines.len() - 1);
        }
    }

    /// Reads and writes what one line can.
    pub(crate) fn drive(&mut self, ctx: &mut Ctx<'_>, line: usize) {
        if let Some(line) = self.lines.get_mut(line) {
            line.drive(ctx);
        }
    }
}

impl Line {
    pub(crate) fn saying(words: impl Into<Vec<u8>>) -> Self {
        Self { outbox: words.into(), ..Self::default() }
    }

    fn drive(&mut self, ctx: &mut Ctx<'_>) {
        let Some(socket) = self.socket else { return };
        let Some(mut io) = ctx.stream_io(socket) else { return };
        match io.connect_result() {
            Ok(false) => return,
            Ok(true) => drop(self.connected.get_or_insert((io.now(), Ok(())))),
            Err(error) => {
                self.connected = Some((io.now(), Err(error.kind())));
                return;
            }
        }
        let mut buffer = [0; 5000];
        while !self.deaf {
            match io.read(&mut buffer) {
                Ok(StreamRead::Bytes(count)) => self.heard.extend(buffer.iter().take(count)),
                Ok(StreamRead::Blocked) => break,
                Ok(StreamRead::End) => {
                    self.ended = true;
                    break;
                }
                Err(error) => {
                    self.errors.push(error.kind());
                    break;
                }
            }
        }
        while !self.outbox.is_empty() {
            match io.write(&self.outbox) {
                Ok(0) => return,
                Ok(count) => drop(self.outbox.drain(..count)),
                Err(error) => {
                    self.errors.push(error.kind());
                    return;
                }
            }
        }
        if self.then == Then::Finishes && !std::mem::replace(&mut self.said_all, true) {
            self.errors.extend(io.shutdown_write().err().map(|error| error.kind()));
        }
        if self.then == Then::HangsUp {
            ctx.close_socket(socket);
        }
    }
}

impl SocketHandler for Ends {
    type Target = Of;
    type Event = ();

    fn on_socket_ready(&mut self, ctx: &mut Ctx<'_>, of: Of, ready: Ready) {
        match of {
            Of::Listener => self.accept(ctx),
            Of::Line(number) => {
                if let Some(line) = self.lines.get_mut(number) {
                    line.writables += usize::from(ready.writable);
                    line.drive(ctx);
                }
            }
        }
    }

    fn on_socket_detached(&mut self, _: &mut Ctx<'_>, of: Of, reason: Detached) {
        match of {
            Of::Listener => self.listener_detached.push(reason),
            Of::Line(number) => {
                if let Some(line) = self.lines.get_mut(number) {
                    line.detached.push(reason);
                }
            }
        }
    }

    fn on_timer(&mut self, _: &mut Ctx<'_>, _: Of) {}

    fn on_wakeup(&mut self, _: &mut Ctx<'_>, _: Of) {}

    fn on_event(&mut self, _: &mut Ctx<'_>, (): ()) {}

    fn on_shutdown(&mut self, ctx: &mut Ctx<'_>) {
        ctx.stop();
    }
}

pub(crate) fn there() -> SocketAddr {
    SocketAddr::new(B, PORT)
}

/// A machine that connects and one that listens, on which the accepted lines do what `script` says.
pub(crate) fn two_ends(seed: u64, script: Line) -> (Simulation, Two) {
    let simulation = Simulation::new(seed);
    let ends = ends_of(simulation.network(), script);
    (simulation, ends)
}

pub(crate) fn ends_of(network: &SimulatedNetwork, script: Line) -> Two {
    let at = |ip| Ends::on(network.host(ip), Limits::default());
    let mut two = (at(A), at(B));
    two.1.app_mut().script = script;
    two.1.call(|app, ctx| app.listen(ctx, there()));
    two
}

/// Opens a line to the machine that listens.
pub(crate) fn open(from: &mut Stack<Ends>, script: Line) {
    from.call(|app, ctx| app.open(ctx, there(), script));
}

/// The line with this number. Before it is there: one on which nothing has happened.
pub(crate) fn line(stack: &Stack<Ends>, number: usize) -> Line {
    stack.app().lines.get(number).cloned().unwrap_or_default()
}

/// Lets a line go on, for example with reading.
pub(crate) fn change(stack: &mut Stack<Ends>, number: usize, change: impl FnOnce(&mut Line)) {
    stack.call(|app, ctx| {
        change(app.lines.get_mut(number).unwrap());
        app.drive(ctx, number);
    });
}

/// Closes a line's socket.
pub(crate) fn close(stack: &mut Stack<Ends>, number: usize) {
    stack.call(|app, ctx| ctx.close_socket(app.lines.get(number).unwrap().socket.unwrap()));
}

/// Bytes of which no two neighbours are alike, so that a missing one shows.
pub(crate) fn words(count: usize) -> Vec<u8> {
    (0_u8..251).cycle().take(count).collect()
}
