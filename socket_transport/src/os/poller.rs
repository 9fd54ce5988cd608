//! mio's poll.

use std::{io, time::Duration};

use mio::{Events, Interest, Poll, Token, event::Event};

use crate::Ready;

/// The token of the waker; sockets have small ones.
const ALARM: Token = Token(usize::MAX);
/// Part of the token of a socket whose hang-up is something to read.
const HANG_UP_IS_READ: usize = 1 << (usize::BITS - 2);
/// Sockets that one poll reports; the others are reported by the next.
const EVENTS: usize = 256;

/// A socket that the operating system polls.
pub(crate) trait OsSocket {
    /// As mio knows it.
    type Source: mio::event::Source;
    /// Whether a hang-up leaves something to read, as that of a stream does; a datagram socket's says
    /// that its descriptor is gone.
    const HANG_UP_IS_READ: bool;

    fn source(&mut self) -> &mut Self::Source;
}

/// Reports edges: a socket is reported when something new happened to it.
#[derive(Debug)]
pub(crate) struct OsPoller {
    poll: Poll,
    events: Events,
}

impl OsPoller {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { poll: Poll::new()?, events: Events::with_capacity(EVENTS) })
    }

    pub(crate) fn alarm(&self) -> io::Result<mio::Waker> {
        mio::Waker::new(self.poll.registry(), ALARM)
    }

    pub(crate) fn register<S: OsSocket>(
        &self,
        socket: &mut S,
        token: usize,
        writes: bool,
    ) -> io::Result<()> {
        self.poll.registry().register(socket.source(), token_of::<S>(token), interest(writes))
    }

    pub(crate) fn set_write_interest<S: OsSocket>(
        &self,
        socket: &mut S,
        token: usize,
        on: bool,
    ) -> io::Result<()> {
        self.poll.registry().reregister(socket.source(), token_of::<S>(token), interest(on))
    }

    pub(crate) fn close<S: OsSocket>(&self, mut socket: S) {
        // A socket that was never polled is not registered; either way the descriptor is closed.
        if let Err(error) = self.poll.registry().deregister(socket.source())
            && error.kind() != io::ErrorKind::NotFound
        {
            log::debug!("closing a socket: {error}");
        }
    }

    pub(crate) fn poll(
        &mut self,
        timeout: Option<Duration>,
        ready: &mut Vec<(usize, Ready)>,
    ) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            // A signal arrived: nothing is ready.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        let sockets = self.events.iter().filter(|event| event.token() != ALARM);
        ready.extend(sockets.map(|event| {
            let Token(token) = event.token();
            if token & HANG_UP_IS_READ == 0 {
                (token, readiness(event))
            } else {
                (token & !HANG_UP_IS_READ, stream_readiness(event))
            }
        }));
        Ok(())
    }
}

fn token_of<S: OsSocket>(token: usize) -> Token {
    Token(if S::HANG_UP_IS_READ { token | HANG_UP_IS_READ } else { token })
}

fn interest(writes: bool) -> Interest {
    if writes { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE }
}

/// mio's flags in the service's terms.
fn readiness(event: &Event) -> Ready {
    // HUP or NVAL: a UDP socket's read half closes only with the descriptor.
    if event.is_read_closed() {
        return Ready::BROKEN;
    }
    let error = event.is_error();
    // An error in the queue is something to read.
    Ready { readable: event.is_readable() || error, writable: event.is_writable(), error }
}

/// The same for a stream. What arrived before the hang-up is still to be read, and then the hang-up
/// itself. Who waits for room to write must hear that there will never be any.
fn stream_readiness(event: &Event) -> Ready {
    let error = event.is_error();
    Ready {
        readable: event.is_readable() || event.is_read_closed() || error,
        writable: event.is_writable() || event.is_write_closed() || error,
        error,
    }
}
