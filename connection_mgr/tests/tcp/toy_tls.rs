//! A toy in TLS's place: its records say what they are, and nothing in them is secret. It has all that the
//! connection has to mind: a handshake, a certificate, a verdict that comes late, noise, a farewell.

use std::{cell::Cell, collections::VecDeque, io, rc::Rc};

use http1_session::{PlainRead, TlsConn, TlsConnFactory, TlsParameters, TlsState};
use transaction::{CertificateProblem, NetError};

/// What a record is; a length of two bytes and its content follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    ClientHello = b'h',
    /// With the certificate; none: an earlier session goes on.
    ServerHello = b'H',
    Data = b'd',
    /// Nothing that anybody needs: a session ticket.
    Ticket = b't',
    CloseNotify = b'c',
    Alert = b'a',
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        let all = [
            Self::ClientHello,
            Self::ServerHello,
            Self::Data,
            Self::Ticket,
            Self::CloseNotify,
            Self::Alert,
        ];
        all.into_iter().find(|kind| *kind as u8 == byte)
    }
}

pub(crate) fn record(kind: Kind, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("a short record");
    let mut bytes = vec![kind as u8];
    bytes.extend(length.to_be_bytes());
    bytes.extend(content);
    bytes
}

/// Data in as many records as it takes.
pub(crate) fn data(bytes: &[u8]) -> Vec<u8> {
    bytes.chunks(16 * 1024).flat_map(|piece| record(Kind::Data, piece)).collect()
}

/// Takes the first record off `bytes`, if it is there whole.
pub(crate) fn take_record(bytes: &mut Vec<u8>) -> Option<(Kind, Vec<u8>)> {
    let (kind, length) = match bytes[..] {
        [kind, high, low, ..] => (kind, usize::from(u16::from_be_bytes([high, low]))),
        _ => return None,
    };
    if bytes.len() < 3 + length {
        return None;
    }
    let rest = bytes.split_off(3 + length);
    let content = std::mem::replace(bytes, rest).split_off(3);
    Some((Kind::of(kind).expect("a record"), content))
}

/// Decrypted bytes that may wait while more is taken.
const ROOM: usize = 32 * 1024;

/// Output that may wait.
const OUTPUT: usize = 32 * 1024;

pub(crate) struct ToyTls {
    state: TlsState,
    input: Vec<u8>,
    plain: VecDeque<u8>,
    output: Vec<u8>,
    certificate: Vec<u8>,
    peer_closed: bool,
    stream_ended: bool,
    closing: bool,
    alive: Rc<Cell<usize>>,
}

impl Drop for ToyTls {
    fn drop(&mut self) {
        self.alive.set(self.alive.get() - 1);
    }
}

impl TlsConn for ToyTls {
    fn read_tls(&mut self, bytes: &[u8]) -> Result<usize, NetError> {
        if self.plain.len() >= ROOM {
            return Ok(0);
        }
        self.input.extend(bytes);
        while let Some((kind, content)) = take_record(&mut self.input) {
            match kind {
                Kind::ServerHello if content.is_empty() => self.state = TlsState::Connected,
                Kind::ServerHello => {
                    self.certificate = content;
                    self.state = TlsState::AuthenticationNeeded;
                }
                Kind::Data => self.plain.extend(content),
                Kind::CloseNotify => self.peer_closed = true,
                Kind::Alert => {
                    self.state = TlsState::Closed;
                    return Err(NetError::Tls { alert: content[0], by_peer: true });
                }
                Kind::Ticket | Kind::ClientHello => {}
            }
        }
        Ok(bytes.len())
    }

    fn read_tls_end(&mut self) {
        self.stream_ended = true;
    }

    fn read_plain(&mut self, buffer: &mut [u8]) -> Result<PlainRead, NetError> {
        if self.state != TlsState::Connected {
            return Ok(PlainRead::Blocked);
        }
        let count = self.plain.len().min(buffer.len());
        if count > 0 {
            for (to, from) in buffer.iter_mut().zip(self.plain.drain(..count)) {
                *to = from;
            }
            return Ok(PlainRead::Bytes(count));
        }
        Ok(match (self.peer_closed, self.stream_ended) {
            (true, _) => PlainRead::End,
            (false, true) => PlainRead::Truncated,
            (false, false) => PlainRead::Blocked,
        })
    }

    fn write_plain(&mut self, bytes: &[u8]) -> usize {
        if self.state != TlsState::Connected || self.closing || self.output.len() >= OUTPUT {
            return 0;
        }
        let taken = bytes.len().min(16 * 1024);
        self.output.extend(record(Kind::Data, &bytes[..taken]));
        taken
    }

    fn wants_write(&self) -> bool {
        !self.output.is_empty()
    }

    fn write_tls(&mut self, send: &mut dyn FnMut(&[u8]) -> io::Result<usize>) -> io::Result<()> {
        while !self.output.is_empty() {
            match send(&self.output)? {
                0 => break,
                count => drop(self.output.drain(..count)),
            }
        }
        Ok(())
    }

    fn state(&self) -> TlsState {
        self.state
    }

    fn peer_certificates(&self) -> Vec<Vec<u8>> {
        vec![self.certificate.clone()]
    }

    fn authenticated(&mut self, verdict: Result<(), CertificateProblem>) {
        if self.state == TlsState::AuthenticationNeeded {
            self.state = if verdict.is_ok() { TlsState::Connected } else { TlsState::Closed };
        }
    }

    fn close_notify(&mut self) {
        if !std::mem::replace(&mut self.closing, true) {
            self.output.extend(record(Kind::CloseNotify, b""));
        }
    }

    fn is_resumed(&self) -> bool {
        self.state == TlsState::Connected && self.certificate.is_empty()
    }
}

/// Makes toys, and counts those that live.
#[derive(Clone, Default)]
pub(crate) struct ToyFactory {
    pub(crate) alive: Rc<Cell<usize>>,
}

impl TlsConnFactory for ToyFactory {
    fn connect(&self, _: &TlsParameters) -> Result<Box<dyn TlsConn>, NetError> {
        self.alive.set(self.alive.get() + 1);
        Ok(Box::new(ToyTls {
            state: TlsState::Handshaking,
            input: Vec::new(),
            plain: VecDeque::new(),
            output: record(Kind::ClientHello, b""),
            certificate: Vec::new(),
            peer_closed: false,
            stream_ended: false,
            closing: false,
            alive: Rc::clone(&self.alive),
        }))
    }
}
