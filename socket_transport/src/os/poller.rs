//! mio's poll.

use std::{io, time::Duration};

use mio::{Events, Interest, Poll, Token, event::Event};

use super::OsUdpSocket;
use crate::Ready;

/// The token of the waker; sockets have small ones.
const ALARM: Token = Token(usize::MAX);
/// Sockets that one poll reports; the others are reported by the next.
const EVENTS: usize = 256;

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

    pub(crate) fn register(&self, socket: &mut OsUdpSocket, token: usize) -> io::Result<()> {
        self.poll.registry().register(socket.source(), Token(token), Interest::READABLE)
    }

    pub(crate) fn set_write_interest(
        &self,
        socket: &mut OsUdpSocket,
        token: usize,
        on: bool,
    ) -> io::Result<()> {
        let interest =
            if on { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        self.poll.registry().reregister(socket.source(), Token(token), interest)
    }

    pub(crate) fn close(&self, mut socket: OsUdpSocket) {
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
        ready.extend(sockets.map(|event| (event.token().0, readiness(event))));
        Ok(())
    }
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
