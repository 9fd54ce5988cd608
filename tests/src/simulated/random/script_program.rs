//! Programs for a scripted engine: what applications do, and what an engine may report, in any order.

use std::{io::ErrorKind, time::Duration};

use http3_session::CloseReason;
use transaction::ErrorCode;

use super::{dice::Dice, step::NetStep};

/// A step.
#[derive(Debug, Clone)]
pub(super) enum ScriptStep {
    /// A request to one of two hosts, with a body in memory, by a pipe, or none.
    Ask {
        host: usize,
        body: Body,
    },
    Feed {
        request: usize,
        bytes: u64,
    },
    FinishBody {
        request: usize,
    },
    DropWriter {
        request: usize,
    },
    Pause {
        request: usize,
    },
    GoOn {
        request: usize,
    },
    Read {
        request: usize,
        bytes: usize,
    },
    Drop {
        request: usize,
    },
    Priority {
        request: usize,
        urgency: u8,
    },
    Pass(Duration),
    Engine {
        engine: usize,
        does: EngineStep,
    },
    Net(NetStep),
    ClosePersistent,
    Shutdown,
}

/// A request's body.
#[derive(Debug, Clone, Copy)]
pub(super) enum Body {
    None,
    Bytes(u64),
    Pipe { length: u64, announced: bool },
}

/// What an engine does. A number of a stream is one of those that it has, or the next.
#[derive(Debug, Clone)]
pub(super) enum EngineStep {
    Connected,
    /// A head, a body and its end.
    Answer {
        stream: usize,
        bytes: u64,
    },
    AuthenticationNeeded {
        certificates: bool,
    },
    Head {
        stream: usize,
        status: u16,
        fin: bool,
    },
    Data {
        stream: usize,
        bytes: u64,
        fin: bool,
    },
    Trailers {
        stream: usize,
    },
    Readable {
        stream: usize,
    },
    Writable {
        stream: usize,
    },
    Reset {
        stream: usize,
        code: u64,
    },
    Stop {
        stream: usize,
        code: u64,
    },
    Malformed {
        stream: usize,
    },
    Creatable,
    Goaway,
    Closing(CloseReason),
    Closed(CloseReason),
    /// Allows streams, in all.
    Allow(u64),
    /// Lets a request's body go on.
    Credit {
        stream: usize,
        bytes: u64,
    },
    /// Sends something.
    Datagrams(usize),
}

/// A program.
#[derive(Debug, Clone)]
pub(super) struct ScriptProgram {
    pub(super) seed: u64,
    pub(super) max_sockets: usize,
    pub(super) steps: Vec<ScriptStep>,
}

impl ScriptProgram {
    /// The program of a seed.
    pub(super) fn draw(seed: u64) -> Self {
        let mut dice = Dice::new(!seed);
        let max_sockets = dice.of(&[1, 1000, 1000, 1000]);
        let mut steps = vec![ask(&mut dice)];
        // Most engines connect early: few things happen to those that don't.
        if !dice.one_in(6) {
            steps.push(ScriptStep::Pass(Duration::from_millis(5)));
            steps.push(ScriptStep::Engine { engine: 0, does: EngineStep::Connected });
        }
        for _ in 0..dice.between(4, 50) {
            steps.push(step(&mut dice));
            if dice.one_in(2) {
                steps.push(ScriptStep::Pass(dice.millis(0, 4)));
            }
        }
        if dice.one_in(4) {
            steps.push(ScriptStep::Shutdown);
        }
        Self { seed, max_sockets, steps }
    }
}

fn ask(dice: &mut Dice) -> ScriptStep {
    let length = dice.size(200_000);
    let body = match dice.weighted(&[6, 2, 3]) {
        0 => Body::None,
        1 => Body::Bytes(length),
        _ => Body::Pipe { length, announced: dice.one_in(2) },
    };
    ScriptStep::Ask { host: dice.of(&[0, 0, 0, 1]), body }
}

fn step(dice: &mut Dice) -> ScriptStep {
    let request = dice.below(1000);
    match dice.weighted(&[9, 5, 2, 1, 2, 2, 4, 4, 2, 6, 40, 3, 1]) {
        0 => ask(dice),
        1 => ScriptStep::Feed { request, bytes: dice.size(150_000) },
        2 => ScriptStep::FinishBody { request },
        3 => ScriptStep::DropWriter { request },
        4 => ScriptStep::Pause { request },
        5 => ScriptStep::GoOn { request },
        6 => ScriptStep::Read {
            request,
            bytes: usize::try_from(dice.size(100_000)).unwrap_or_default(),
        },
        7 => ScriptStep::Drop { request },
        8 => ScriptStep::Priority { request, urgency: dice.of(&[0, 3, 7]) },
        9 => ScriptStep::Pass(dice.millis(0, 6)),
        // The one that was made last has most of the requests.
        10 => ScriptStep::Engine { engine: dice.of(&[0, 0, 0, 1]), does: engine_step(dice) },
        11 => ScriptStep::Net(net_step(dice)),
        _ => ScriptStep::ClosePersistent,
    }
}

fn engine_step(dice: &mut Dice) -> EngineStep {
    let stream = dice.below(1000);
    let code = dice.of(&[0x100, 0x102, 0x10b, 0x10c, 0x110]);
    match dice.weighted(&[10, 2, 8, 9, 1, 2, 4, 3, 3, 1, 2, 1, 1, 2, 2, 4, 3, 14]) {
        0 => EngineStep::Connected,
        1 => EngineStep::AuthenticationNeeded { certificates: !dice.one_in(4) },
        2 => EngineStep::Head {
            stream,
            status: dice.of(&[100, 103, 200, 200, 200, 204, 404]),
            fin: dice.one_in(5),
        },
        3 => EngineStep::Data { stream, bytes: dice.size(200_000), fin: dice.one_in(3) },
        4 => EngineStep::Trailers { stream },
        5 => EngineStep::Readable { stream },
        6 => EngineStep::Writable { stream },
        7 => EngineStep::Reset { stream, code },
        8 => EngineStep::Stop { stream, code },
        9 => EngineStep::Malformed { stream },
        10 => EngineStep::Creatable,
        11 => EngineStep::Goaway,
        12 => EngineStep::Closing(reason(dice)),
        13 => EngineStep::Closed(reason(dice)),
        14 => EngineStep::Allow(dice.between(0, 6)),
        15 => EngineStep::Credit { stream, bytes: dice.size(100_000) },
        16 => EngineStep::Datagrams(dice.below(20)),
        _ => EngineStep::Answer { stream, bytes: dice.size(200_000) },
    }
}

fn reason(dice: &mut Dice) -> CloseReason {
    let by_peer = dice.one_in(2);
    match dice.below(6) {
        0 => CloseReason::NoError { by_peer },
        1 => CloseReason::IdleTimeout,
        2 => CloseReason::StatelessReset,
        3 => CloseReason::Application {
            code: ErrorCode::new(dice.of(&[0x101, 0x102, 0x104])),
            by_peer,
            reason: String::new(),
        },
        4 => CloseReason::Transport { name: "anything".into(), by_peer },
        _ => CloseReason::TlsAlert { alert: 40, by_peer },
    }
}

fn net_step(dice: &mut Dice) -> NetStep {
    let socket = dice.below(4);
    match dice.below(8) {
        0 => NetStep::WouldBlock(dice.of(&[1, 2, 5])),
        1 => NetStep::WriteDelay(Duration::from_millis(dice.of(&[0, 1, 5]))),
        2 => NetStep::FailSend(dice.of(&[ErrorKind::HostUnreachable, ErrorKind::OutOfMemory])),
        3 => NetStep::FailBind(ErrorKind::AddrInUse),
        4 => NetStep::FailReceive {
            socket,
            kind: dice.of(&[ErrorKind::ConnectionRefused, ErrorKind::Other]),
        },
        5 => NetStep::BreakSocket { socket },
        6 => NetStep::JobDelay(Duration::from_millis(dice.of(&[0, 1, 8]))),
        _ => NetStep::Offline(dice.one_in(2)),
    }
}
