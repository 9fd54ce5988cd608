//! What went wrong on purpose, and so what a request may fail with.

use std::collections::BTreeSet;

use transaction::NetError;

use super::{
    program::Conditions,
    step::{Name, NetStep, PeerStep, Step, Weather},
};

/// Faults of a program so far. Each explains some errors; an error that none of them explains is a bug.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent faults")]
pub(super) struct Troubles {
    /// Packets don't arrive, or come from elsewhere: whoever waits may give up.
    silence: bool,
    /// Packets may be lost, or be very late.
    pub(super) lossy: bool,
    /// Bodies may be stopped after their end.
    pub(super) stops: bool,
    /// Somebody says that a port is closed.
    refusal: bool,
    /// The client's sockets fail, or can't be had.
    socket: bool,
    /// Names without addresses.
    names: bool,
    /// Connections that end while requests run.
    ends: bool,
    /// A peer breaks the protocol.
    nonsense: bool,
    pub(super) shutdown: bool,
    /// Codes of resets, and of closed connections.
    resets: BTreeSet<u64>,
    closes: BTreeSet<u64>,
}

/// What a request's own nature explains.
#[derive(Debug, Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent faults")]
pub(super) struct Own {
    /// The certificate is for another host.
    pub(super) stranger: bool,
    /// Its writer was dropped.
    pub(super) given_up: bool,
    /// The code with which the server always answers.
    pub(super) reset: Option<u64>,
    /// The response is shorter than it says, or longer.
    pub(super) cut: bool,
    pub(super) too_long: bool,
}

impl Troubles {
    pub(super) fn new(conditions: &Conditions) -> Self {
        let bad_weather = conditions.weather.iter().any(|weather| *weather != Weather::Fine);
        let slow = conditions.job_delay.as_secs() > 0;
        Self {
            silence: slow || bad_weather,
            lossy: bad_weather,
            socket: conditions.max_sockets < 1000,
            ..Self::default()
        }
    }

    pub(super) fn note(&mut self, step: &Step) {
        match step {
            Step::Peer { does, .. } => self.note_peer(*does),
            Step::Net(step) => self.note_net(*step),
            Step::Name { becomes, .. } => self.note_name(*becomes),
            Step::Shutdown => self.shutdown = true,
            _ => {}
        }
    }

    fn note_peer(&mut self, step: PeerStep) {
        match step {
            PeerStep::Goaway => {
                self.ends = true;
                // What it refuses is told as a reset.
                self.resets.insert(0x10b);
            }
            PeerStep::Close(code) => {
                self.ends = true;
                self.closes.insert(code);
            }
            PeerStep::Reset { code, .. } | PeerStep::StopSending { code, .. } => {
                self.stops |= matches!(step, PeerStep::StopSending { .. });
                self.resets.insert(code);
            }
            PeerStep::Kill { silent } => {
                (self.silence, self.ends) = (true, true);
                self.refusal |= !silent;
            }
            PeerStep::Forget => (self.silence, self.ends) = (true, true),
            // What arrives between the two programs finds no port.
            PeerStep::Restart => (self.silence, self.ends, self.refusal) = (true, true, true),
            PeerStep::Nonsense { .. } => (self.nonsense, self.ends) = (true, true),
            PeerStep::Cut { .. } | PeerStep::LoseNext { .. } => {
                (self.silence, self.lossy) = (true, true);
            }
            PeerStep::Weather(weather) => {
                self.silence |= weather != Weather::Fine;
                self.lossy |= weather != Weather::Fine;
            }
            // A machine whose server was killed refuses again.
            PeerStep::Silent(on) => self.refusal |= !on,
            PeerStep::Reads(_) | PeerStep::Mend => {}
        }
    }

    fn note_net(&mut self, step: NetStep) {
        match step {
            NetStep::Rebind { .. } => self.silence = true,
            NetStep::WriteDelay(_) => (self.silence, self.lossy) = (true, true),
            NetStep::FailSend(_) | NetStep::FailReceive { .. } => {
                self.lossy = true;
                (self.silence, self.socket, self.refusal, self.ends) = (true, true, true, true);
            }
            NetStep::FailBind(_) => self.socket = true,
            NetStep::BreakSocket { .. } | NetStep::Offline(_) => {
                (self.socket, self.ends) = (true, true);
            }
            NetStep::JobDelay(delay) => self.silence |= delay.as_secs() > 0,
            NetStep::WouldBlock(_) | NetStep::PeerWouldBlock { .. } | NetStep::MergeReads(_) => {}
        }
    }

    fn note_name(&mut self, name: Name) {
        match name {
            Name::Known => {}
            Name::Unknown | Name::Empty => self.names = true,
            Name::BadFirst { silent: true } => self.silence = true,
            Name::BadFirst { silent: false } => self.refusal = true,
            Name::OnlyBad => (self.silence, self.refusal) = (true, true),
        }
    }

    /// Whether the server may see an unsafe request twice: it said that it had not looked at it.
    pub(super) fn rejects(&self) -> bool {
        self.resets.contains(&0x10b)
    }

    /// Whether anything may have ended a response in its middle.
    fn breaks(&self) -> bool {
        let codes = !self.resets.is_empty() || !self.closes.is_empty();
        self.silence || self.refusal || self.socket || self.ends || self.nonsense || codes
    }

    /// Whether something explains the error of a request of which so many bytes were read.
    pub(super) fn explain(&self, error: &NetError, own: Own, read: u64) -> bool {
        match error {
            NetError::UnknownHost { .. } => self.names,
            NetError::ConnectionRefused { .. } => self.refusal,
            NetError::NoAddressAnswered { attempts, .. } => {
                attempts.iter().all(|(_, error)| self.explain(error, own, read))
            }
            NetError::NetTimeout(_) => self.silence,
            NetError::NetReset { .. } => self.ends || self.silence || self.socket,
            NetError::NetInterrupt { code } => {
                own.reset == Some(code.value()) || self.resets.contains(&code.value())
            }
            NetError::PartialTransfer { received, .. } => {
                *received == read && (own.cut || self.breaks())
            }
            NetError::MalformedResponse(_) => own.too_long || self.nonsense,
            NetError::Http3Protocol { code, by_peer: true, .. } => {
                self.closes.contains(&code.value())
            }
            // neqo (0.13.4) may find a connection closed when it wants to acknowledge a head, and then blames
            // the acknowledgement instead of the peer.
            NetError::Http3Protocol { code, by_peer: false, .. } => {
                self.nonsense || code.value() == 0x202 && !self.closes.is_empty()
            }
            // During a handshake a peer can't say the code (RFC 9000 §10.2.3).
            NetError::QuicTransport { name, by_peer: true } => {
                name == "APPLICATION_ERROR" && !self.closes.is_empty()
            }
            NetError::Certificate { .. } => own.stranger,
            NetError::ShuttingDown => self.shutdown,
            NetError::Socket { .. } => self.socket,
            NetError::RequestBody(_) => own.given_up,
            _ => false,
        }
    }
}
