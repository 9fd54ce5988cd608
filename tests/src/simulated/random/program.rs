//! Draws a program.

use std::{io::ErrorKind, time::Duration};

use http::Method;

use super::{
    dice::Dice,
    sessions::SessionStep,
    step::{Name, NetStep, Path, PeerStep, Step, Weather, What},
};

/// Who listens on a peer's machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// neqo's HTTP/3 server.
    Http3,
    /// Hand-made HTTP/3.
    Raw,
}

/// What does not change while a program runs.
#[derive(Debug, Clone)]
pub(super) struct Conditions {
    /// One to three.
    pub(super) peers: Vec<Kind>,
    pub(super) weather: Vec<Weather>,
    pub(super) idle_timeout: Duration,
    pub(super) peers_idle_timeout: Duration,
    pub(super) job_delay: Duration,
    pub(super) first_window: u64,
    pub(super) max_sockets: usize,
    pub(super) datagrams_per_turn: usize,
    pub(super) ml_kem: bool,
    pub(super) streams: u64,
    /// The servers take WebTransport sessions, and the program makes some.
    pub(super) web_transport: bool,
}

/// A program.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) seed: u64,
    pub(super) conditions: Conditions,
    pub(super) steps: Vec<Step>,
}

const CODES: [u64; 5] = [0x100, 0x102, 0x10b, 0x10c, 0x110];
const SEND_ERRORS: [ErrorKind; 5] = [
    ErrorKind::PermissionDenied,
    ErrorKind::HostUnreachable,
    ErrorKind::NetworkUnreachable,
    ErrorKind::ConnectionRefused,
    ErrorKind::OutOfMemory,
];

impl Program {
    /// The program of a seed.
    pub(super) fn draw(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let conditions = Conditions::draw(&mut dice);
        // One in six meets no faults: nothing may go wrong then.
        let calm = dice.one_in(6);
        let count = dice.between(4, 24);
        let mut steps = vec![ask(&mut dice)];
        for _ in 0..count {
            steps.push(step(&mut dice, calm));
            if dice.one_in(2) {
                steps.push(pass(&mut dice));
            }
        }
        if dice.one_in(4) {
            steps.push(Step::Shutdown);
        }
        let mut program = Self { seed, conditions, steps };
        if calm {
            program.conditions.be_calm();
        }
        program
    }
}

impl Program {
    /// The program of a seed, with sessions of WebTransport.
    pub(super) fn draw_web_transport(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let mut conditions = Conditions::draw(&mut dice);
        conditions.web_transport = true;
        conditions.peers.fill(Kind::Http3);
        let mut steps = vec![Step::Session(SessionStep::connect(&mut dice))];
        for _ in 0..dice.between(6, 30) {
            steps.push(if dice.one_in(3) {
                step(&mut dice, false)
            } else {
                Step::Session(SessionStep::draw(&mut dice))
            });
            if dice.one_in(2) {
                steps.push(pass(&mut dice));
            }
        }
        if dice.one_in(4) {
            steps.push(Step::Shutdown);
        }
        Self { seed, conditions, steps }
    }
}

impl Conditions {
    fn draw(dice: &mut Dice) -> Self {
        let peers: Vec<_> = (0..dice.between(1, 3))
            .map(|_| if dice.one_in(3) { Kind::Raw } else { Kind::Http3 })
            .collect();
        let weather = peers
            .iter()
            .map(|_| if dice.one_in(3) { weather(dice) } else { Weather::Fine })
            .collect();
        Self {
            peers,
            weather,
            idle_timeout: Duration::from_secs(dice.of(&[5, 30, 30, 30])),
            peers_idle_timeout: Duration::from_secs(dice.of(&[3, 30, 30])),
            job_delay: Duration::from_millis(dice.of(&[0, 1, 1, 200, 3000])),
            first_window: dice.of(&[16 * 1024, 256 * 1024, 256 * 1024]),
            max_sockets: dice.of(&[1, 2, 1000, 1000, 1000]),
            datagrams_per_turn: dice.of(&[1, 4, 256, 256]),
            ml_kem: dice.one_in(8),
            streams: dice.of(&[1, 3, 100, 100, 100]),
            web_transport: false,
        }
    }

    fn be_calm(&mut self) {
        self.weather.fill(Weather::Fine);
        self.max_sockets = 1000;
    }
}

fn step(dice: &mut Dice, calm: bool) -> Step {
    let weights: &[u32] = if calm {
        &[10, 4, 6, 2, 0, 3, 3, 4, 4, 2, 6, 0, 0, 0, 1, 1]
    } else {
        &[10, 4, 6, 2, 1, 3, 3, 4, 4, 2, 4, 8, 5, 1, 1, 1]
    };
    let request = dice.below(1000);
    match dice.weighted(weights) {
        0 => ask(dice),
        1 => {
            Step::Upload { host: host(dice), length: dice.size(200_000), announced: dice.one_in(2) }
        }
        2 => Step::Feed { request, bytes: dice.size(150_000) },
        3 => Step::FinishBody { request },
        4 => Step::DropWriter { request },
        5 => Step::Pause { request },
        6 => Step::GoOn { request },
        7 => Step::Read { request, bytes: usize::try_from(dice.size(100_000)).unwrap_or_default() },
        8 => Step::Drop { request },
        9 => {
            Step::Priority { request, urgency: dice.of(&[0, 1, 3, 7]), incremental: dice.one_in(2) }
        }
        10 => pass(dice),
        11 => Step::Peer { peer: dice.below(3), does: peer_step(dice) },
        12 => Step::Net(net_step(dice)),
        13 => Step::Name { host: dice.below(4), becomes: name(dice) },
        14 => Step::ClosePersistent,
        _ => Step::Snapshot,
    }
}

/// The fourth host's certificate is for somebody else: drawn rarely.
fn host(dice: &mut Dice) -> usize {
    if dice.one_in(40) { 3 } else { dice.of(&[0, 0, 0, 0, 1, 1, 2, 2]) }
}

fn ask(dice: &mut Dice) -> Step {
    let times = dice.of(&[1, 1, 1, 2, 5]);
    let path = match dice.weighted(&[8, 2, 1, 4, 1, 5]) {
        0 => Path::Bytes(dice.size(200_000)),
        1 => Path::Drip {
            length: dice.between(1, 40),
            piece: dice.between(1, 20),
            pause: dice.size(4000),
        },
        2 => Path::ResetAfter(dice.size(20_000) + 1),
        3 => Path::Post(dice.size(150_000)),
        4 => Path::Silent,
        _ => Path::Named(dice.of(&[
            "no_body",
            "no_content",
            "no_content_length",
            "content_length_smaller",
            "content_length_larger",
            "RequestCancelled",
            "RequestRejected",
            "VersionFallback",
            "EarlyResponse",
            "103_response",
            "missing",
        ])),
    };
    let method = match path {
        Path::Post(_) => dice.of(&[0, 1]),
        _ => dice.of(&[2, 2, 2, 2, 3]),
    };
    let method = [Method::POST, Method::PUT, Method::GET, Method::HEAD][method].clone();
    Step::Ask { host: host(dice), what: What { method, path }, times }
}

fn pass(dice: &mut Dice) -> Step {
    Step::Pass(match dice.weighted(&[6, 6, 4, 1, 1]) {
        0 => dice.millis(0, 30),
        1 => dice.millis(20, 200),
        2 => dice.millis(200, 3000),
        3 => dice.millis(3000, 20_000),
        // Beyond every idle timeout.
        _ => dice.millis(31_000, 100_000),
    })
}

fn weather(dice: &mut Dice) -> Weather {
    use Weather as W;
    dice.of(&[
        W::Fine,
        W::Fine,
        W::Lossy,
        W::Bursts,
        W::Doubling,
        W::Reordering,
        W::Corrupting,
        W::Narrow,
        W::SmallMtu,
        W::Marking,
        W::Bleaching,
        W::Far,
        W::Storm,
    ])
}

fn peer_step(dice: &mut Dice) -> PeerStep {
    let request = dice.below(1000);
    let code = dice.of(&CODES);
    match dice.weighted(&[4, 3, 3, 2, 2, 3, 2, 1, 2, 3, 3, 3, 2, 1]) {
        0 => PeerStep::Goaway,
        1 => PeerStep::Close(code),
        2 => PeerStep::Reset { request, code },
        3 => PeerStep::StopSending { request, code },
        4 => PeerStep::Kill { silent: dice.one_in(2) },
        5 => PeerStep::Restart,
        6 => PeerStep::Forget,
        7 => PeerStep::Nonsense { request },
        8 => PeerStep::Reads(dice.one_in(2)),
        9 => {
            let (to, from) = dice.of(&[(true, true), (true, true), (true, false), (false, true)]);
            PeerStep::Cut { to, from }
        }
        10 => PeerStep::Mend,
        11 => PeerStep::Weather(weather(dice)),
        12 => PeerStep::LoseNext { to: dice.one_in(2), packets: dice.between(1, 12) },
        _ => PeerStep::Silent(dice.one_in(2)),
    }
}

fn net_step(dice: &mut Dice) -> NetStep {
    let socket = dice.below(4);
    match dice.weighted(&[4, 4, 2, 2, 3, 1, 2, 1, 1, 2, 1]) {
        0 => NetStep::Rebind { socket, port: dice.of(&[20_000, 20_001, 20_002, 20_003]) },
        1 => NetStep::WouldBlock(dice.of(&[1, 1, 2, 5, 20])),
        2 => NetStep::WriteDelay(Duration::from_millis(dice.of(&[0, 1, 50, 2000]))),
        3 => NetStep::PeerWouldBlock { peer: dice.below(3), sends: dice.of(&[1, 3]) },
        4 => NetStep::FailSend(dice.of(&SEND_ERRORS)),
        5 => NetStep::FailBind(dice.of(&[ErrorKind::AddrInUse, ErrorKind::OutOfMemory])),
        6 => NetStep::FailReceive {
            socket,
            kind: dice.of(&[
                ErrorKind::ConnectionRefused,
                ErrorKind::HostUnreachable,
                ErrorKind::Other,
            ]),
        },
        7 => NetStep::BreakSocket { socket },
        8 => NetStep::MergeReads(dice.one_in(2)),
        9 => NetStep::JobDelay(Duration::from_millis(dice.of(&[0, 1, 300, 10_000]))),
        _ => NetStep::Offline(dice.one_in(2)),
    }
}

fn name(dice: &mut Dice) -> Name {
    match dice.below(6) {
        0 | 1 => Name::Known,
        2 => Name::Unknown,
        3 => Name::Empty,
        4 => Name::BadFirst { silent: dice.one_in(2) },
        _ => Name::OnlyBad,
    }
}
