//! WebTransport in random programs: sessions, their streams and datagrams, and what both sides do with them.

use bytes::Bytes;
use neqo_transport::StreamType;
use transaction::{
    NetError,
    web_transport::{
        PendingOutcome, PendingSession, PendingStream, RecvStream, SendStream, WebTransportSession,
        to_http3,
    },
};

use super::dice::Dice;
use crate::{
    loopback::pattern,
    simulated::{Bench, Connect, Http3ServerPeer, Stream, now},
};

/// What a program does with sessions. Numbers name a session or a stream among all that there are.
#[derive(Debug, Clone)]
pub(super) enum SessionStep {
    Connect {
        host: usize,
        path: &'static str,
        pooled: bool,
    },
    Open {
        session: usize,
        both_ways: bool,
        bytes: u64,
    },
    Datagrams {
        session: usize,
        count: usize,
        size: usize,
    },
    Pause {
        session: usize,
        stream: usize,
        paused: bool,
    },
    Reset {
        session: usize,
        stream: usize,
        code: u32,
    },
    Stop {
        session: usize,
        stream: usize,
        code: u32,
    },
    DropStream {
        session: usize,
        stream: usize,
    },
    Order {
        session: usize,
        stream: usize,
        order: Option<i64>,
    },
    Close {
        session: usize,
        code: u32,
    },
    /// Drops all that the program has of it.
    Drop {
        session: usize,
    },
    Server {
        peer: usize,
        does: ServerStep,
    },
}

/// What the server does.
#[derive(Debug, Clone)]
pub(super) enum ServerStep {
    Open { session: usize, both_ways: bool, bytes: usize, finish: bool },
    Datagrams { session: usize, count: usize },
    GiveUp { stream: usize, reset: Option<u64>, stop: Option<u64> },
    Close { session: usize, code: u32 },
    Accept { session: usize },
}

impl SessionStep {
    pub(super) fn connect(dice: &mut Dice) -> Self {
        let path = dice.of(&[
            "/echo",
            "/echo",
            "/echo",
            "/echo",
            "/sink",
            "/hold",
            "/reject/404",
            "/redirect",
            "/close/7/done",
            "/closeafter/100",
            "/reset/5",
            "/stop/6",
            "/uni/abc",
            "/bi/abc",
            "/large/200000",
            "/early/10",
            "/early/30",
            "/datagrams/50",
            "/empty",
        ]);
        Self::Connect { host: dice.of(&[0, 0, 0, 1, 1, 2, 3]), path, pooled: dice.one_in(2) }
    }

    pub(super) fn draw(dice: &mut Dice) -> Self {
        let (session, stream) = (dice.below(100), dice.below(100));
        let code = dice.of(&[0, 1, 30, 255, u32::MAX]);
        match dice.weighted(&[6, 10, 4, 4, 3, 3, 3, 1, 2, 2, 8]) {
            0 => Self::connect(dice),
            1 => Self::Open { session, both_ways: dice.one_in(2), bytes: dice.size(300_000) },
            2 => Self::Datagrams {
                session,
                count: dice.of(&[1, 5, 200]),
                size: dice.of(&[0, 1, 500, 1100, 1500]),
            },
            3 => Self::Pause { session, stream, paused: dice.one_in(2) },
            4 => Self::Reset { session, stream, code },
            5 => Self::Stop { session, stream, code },
            6 => Self::DropStream { session, stream },
            7 => Self::Order { session, stream, order: dice.of(&[None, Some(1), Some(-5)]) },
            8 => Self::Close { session, code },
            9 => Self::Drop { session },
            _ => Self::Server { peer: dice.below(3), does: ServerStep::draw(dice) },
        }
    }
}

impl ServerStep {
    fn draw(dice: &mut Dice) -> Self {
        let (session, stream) = (dice.below(100), dice.below(100));
        let code = dice.of(&[0, 30, 255]);
        let wire = |dice: &mut Dice| dice.of(&[None, Some(to_http3(code).value()), Some(0x10c)]);
        match dice.weighted(&[5, 2, 4, 2, 2]) {
            0 => Self::Open {
                session,
                both_ways: dice.one_in(2),
                bytes: usize::try_from(dice.size(100_000)).unwrap_or_default(),
                finish: !dice.one_in(3),
            },
            1 => Self::Datagrams { session, count: dice.of(&[1, 10, 300]) },
            2 => Self::GiveUp { stream, reset: wire(dice), stop: wire(dice) },
            3 => Self::Close { session, code },
            _ => Self::Accept { session },
        }
    }

    pub(super) fn play(&self, server: &mut Http3ServerPeer) {
        let web_transport = &mut server.web_transport;
        let sessions = web_transport.sessions.len();
        let at = |session: usize| session % sessions.max(1);
        match *self {
            _ if sessions == 0 => {}
            Self::Open { session, both_ways, bytes, finish } => {
                let kind = if both_ways { StreamType::BiDi } else { StreamType::UniDi };
                web_transport.open(at(session), kind, &vec![7; bytes], finish);
            }
            Self::Datagrams { session, count } => {
                for n in 0..count {
                    web_transport.send_datagram(at(session), &n.to_be_bytes());
                }
            }
            Self::GiveUp { stream, reset, stop } => {
                let streams = web_transport.streams.len().max(1);
                web_transport.give_up(stream % streams, reset, stop);
            }
            Self::Close { session, code } => web_transport.close(at(session), code, "random"),
            Self::Accept { session } => web_transport.accept_late(at(session)),
        }
    }
}

type Both = (SendStream, RecvStream);

/// A session of a program, from its request to its end.
pub(super) struct Session {
    path: &'static str,
    pending: Option<PendingSession>,
    handle: Option<WebTransportSession>,
    /// Why there is no session.
    refused: Option<NetError>,
    opening: Vec<(PendingStream<Both>, u64)>,
    opening_one_way: Vec<(PendingStream<SendStream>, u64)>,
    streams: Vec<Stream>,
    outcomes: Vec<PendingOutcome>,
}

impl Session {
    fn new(path: &'static str, pending: PendingSession) -> Self {
        Self {
            path,
            pending: Some(pending),
            handle: None,
            refused: None,
            opening: Vec::new(),
            opening_one_way: Vec::new(),
            streams: Vec::new(),
            outcomes: Vec::new(),
        }
    }

    /// Takes and sends what there is.
    fn poll(&mut self) {
        if let Some(answer) = self.pending.as_mut().and_then(now) {
            self.pending = None;
            match answer {
                Ok((session, _)) => self.handle = Some(session),
                Err(error) => self.refused = Some(error),
            }
        }
        let streams = &mut self.streams;
        self.opening.retain_mut(|(pending, bytes)| {
            let opened = now(pending);
            if let Some(Ok((send, receive))) = opened {
                let mut stream = Stream::new(Some(send), Some(receive));
                stream.send_all(pattern::body(*bytes));
                streams.push(stream);
                return false;
            }
            opened.is_none()
        });
        self.opening_one_way.retain_mut(|(pending, bytes)| {
            let opened = now(pending);
            if let Some(Ok(send)) = opened {
                let mut stream = Stream::new(Some(send), None);
                stream.send_all(pattern::body(*bytes));
                streams.push(stream);
                return false;
            }
            opened.is_none()
        });
        if let Some(session) = &self.handle {
            while let Some(receive) = session.try_accept_uni() {
                streams.push(Stream::new(None, Some(receive)));
            }
            while let Some((send, receive)) = session.try_accept_bi() {
                let mut stream = Stream::new(Some(send), Some(receive));
                stream.send_all("answer");
                streams.push(stream);
            }
            while session.try_recv_datagram().is_some() {}
        }
        for stream in streams {
            stream.poll();
        }
    }

    fn is_answered(&self) -> bool {
        self.pending.is_none()
    }

    fn does(&mut self, step: &SessionStep) {
        let count = self.streams.len();
        match *step {
            SessionStep::Open { both_ways, bytes, .. } => {
                let Some(session) = &self.handle else { return };
                if both_ways {
                    self.opening.extend(session.open_bi().ok().map(|pending| (pending, bytes)));
                } else {
                    let pending = session.open_uni().ok();
                    self.opening_one_way.extend(pending.map(|pending| (pending, bytes)));
                }
            }
            SessionStep::Datagrams { count, size, .. } => {
                let Some(session) = &self.handle else { return };
                for n in 0..count {
                    let content = Bytes::from(vec![7; size]);
                    if n % 2 == 0 {
                        self.outcomes.extend(session.track_datagram(content).ok());
                    } else {
                        let _ = session.send_datagram(content);
                    }
                }
            }
            SessionStep::Close { code, .. } => {
                if let Some(session) = &self.handle {
                    session.close(code, "random");
                }
            }
            _ if count == 0 => {}
            SessionStep::Pause { stream, paused, .. } => {
                self.streams[stream % count].paused = paused;
            }
            SessionStep::Reset { stream, code, .. } => {
                if let Some(send) = self.streams[stream % count].send.take() {
                    send.reset(code);
                }
            }
            SessionStep::Stop { stream, code, .. } => {
                let stream = &mut self.streams[stream % count];
                if let Some(receive) = stream.take_receive() {
                    receive.stop(code);
                    stream.end.get_or_insert(Err(NetError::Aborted));
                }
            }
            SessionStep::DropStream { stream, .. } => {
                self.streams.swap_remove(stream % count);
            }
            SessionStep::Order { stream, order, .. } => {
                if let Some(send) = &self.streams[stream % count].send {
                    send.set_send_order(order);
                }
            }
            _ => {}
        }
    }
}

/// The sessions of a program.
#[derive(Default)]
pub(super) struct Sessions(Vec<Session>);

impl Sessions {
    pub(super) fn connect(
        &mut self,
        bench: &mut Bench,
        host: &str,
        path: &'static str,
        pooled: bool,
    ) {
        let connect = Connect::to(path).host(host);
        let pending = bench.connect(if pooled { connect.pooled() } else { connect });
        self.0.push(Session::new(path, pending));
    }

    pub(super) fn does(&mut self, step: &SessionStep) {
        let (SessionStep::Open { session, .. }
        | SessionStep::Datagrams { session, .. }
        | SessionStep::Pause { session, .. }
        | SessionStep::Reset { session, .. }
        | SessionStep::Stop { session, .. }
        | SessionStep::DropStream { session, .. }
        | SessionStep::Order { session, .. }
        | SessionStep::Close { session, .. }
        | SessionStep::Drop { session }) = step
        else {
            return;
        };
        let count = self.0.len();
        if count == 0 {
            return;
        }
        if let SessionStep::Drop { .. } = step {
            self.0.swap_remove(session % count);
        } else {
            self.0[session % count].does(step);
        }
    }

    pub(super) fn poll(&mut self) {
        self.0.iter_mut().for_each(Session::poll);
    }

    /// Gives those up that the server doesn't answer.
    pub(super) fn give_up_held(&mut self) {
        self.0.retain(|one| one.is_answered() || one.path != "/hold");
    }

    /// Whether each request is answered.
    pub(super) fn are_answered(&self) -> bool {
        self.0.iter().all(Session::is_answered)
    }

    /// What they came to, in words.
    pub(super) fn ends(&self) -> Vec<String> {
        let end = |one: &Session| match (&one.handle, &one.refused) {
            (Some(session), _) => match session.try_closed() {
                None => "session".to_owned(),
                Some(Ok(info)) if info.by_peer => "session_closed_by_server".into(),
                Some(Ok(_)) => "session_closed".into(),
                Some(Err(error)) => format!("session_{}", super::tally::first_word(&error)),
            },
            (None, Some(error)) => super::tally::first_word(error),
            (None, None) => "no_answer".into(),
        };
        self.0.iter().map(end).collect()
    }

    /// Closes all, and checks that everybody is told of it.
    pub(super) fn close(&mut self) {
        for one in &mut self.0 {
            one.streams.iter_mut().for_each(|stream| stream.paused = false);
            if let Some(session) = &one.handle {
                session.close(0, "the end");
            }
        }
    }

    /// Whether every stream has ended, and everything that was asked for was answered.
    pub(super) fn are_over(&self) -> bool {
        self.0.iter().all(|one| {
            let streams = one.streams.iter().all(|stream| stream.end.is_some());
            let asked = one.opening.is_empty() && one.opening_one_way.is_empty();
            let outcomes = one.outcomes.iter().all(|outcome| outcome.get().is_some());
            let closed = one.handle.as_ref().is_none_or(|one| one.try_closed().is_some());
            streams && asked && outcomes && closed
        })
    }

    pub(super) fn describe(&self) -> String {
        let describe = |one: &Session| {
            let open = one.streams.iter().filter(|stream| stream.end.is_none()).count();
            let asked = one.opening.len() + one.opening_one_way.len();
            let unknown = one.outcomes.iter().filter(|outcome| outcome.get().is_none()).count();
            let path = one.path;
            format!(
                "{path}: {open} streams open, {asked} asked for, {unknown} datagrams without outcome"
            )
        };
        self.0.iter().map(describe).collect::<Vec<_>>().join("; ")
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
