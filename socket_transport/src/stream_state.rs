//! A TCP stream as the service keeps it.
//!
//! ```text
//!                 writable, no error            write refused bytes (write interest on)
//!   connecting ──────────────────▶ connected ──────────────────────▶ connected, blocked
//!       │                              ▲                                  │
//!       │ writable, error              └──────────────────────────────────┘
//!       ▼                                 writable (write interest off)
//!     failed
//! ```
//!
//! While it connects, its write interest is on: that is how the end of it is heard.

use std::{io, net::SocketAddr};

use crate::{
    Ready, StreamRead,
    attached::Common,
    network::Poller,
    tcp::{TcpStream, copy_of},
};

/// What a stream has beyond what every socket has.
pub(crate) struct Stream {
    pub(crate) tcp: TcpStream,
    peer: SocketAddr,
    progress: Progress,
}

enum Progress {
    Connecting,
    Connected {
        /// Bytes were refused since the last writable edge.
        blocked: bool,
    },
    /// It could not connect.
    Failed(io::Error),
}

/// It connects.
impl Stream {
    /// One that was begun to be connected.
    pub(crate) fn connecting(tcp: TcpStream, peer: SocketAddr) -> Self {
        Self { tcp, peer, progress: Progress::Connecting }
    }

    /// One that a peer has connected.
    pub(crate) fn accepted(tcp: TcpStream, peer: SocketAddr) -> Self {
        Self { tcp, peer, progress: Progress::Connected { blocked: false } }
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.tcp.local_addr()
    }

    pub(crate) fn peer_addr(&self) -> SocketAddr {
        self.peer
    }

    pub(crate) fn is_connecting(&self) -> bool {
        matches!(self.progress, Progress::Connecting)
    }

    pub(crate) fn is_blocked(&self) -> bool {
        matches!(self.progress, Progress::Connected { blocked: true })
    }

    /// Whether it is to be polled for writing.
    pub(crate) fn has_write_interest(&self) -> bool {
        self.is_connecting() || self.is_blocked()
    }

    /// Before the handler is called: looks whether the stream has connected. Write interest goes when
    /// what it was for has come (U5).
    pub(crate) fn settle(
        &mut self,
        common: &mut Common,
        mut ready: Ready,
        token: usize,
        poller: &Poller,
    ) -> io::Result<Ready> {
        if !(ready.writable && self.has_write_interest()) {
            ready.writable = false;
            return Ok(ready);
        }
        if self.is_connecting() {
            match self.tcp.poll_connect() {
                Ok(false) => return Ok(Ready { writable: false, ..ready }),
                Ok(true) => {}
                Err(error) => {
                    self.progress = Progress::Failed(error);
                    return Ok(Ready { readable: false, writable: true, error: true });
                }
            }
        }
        self.progress = Progress::Connected { blocked: false };
        common.set_write_interest(poller, &mut self.tcp, token, false)?;
        Ok(ready)
    }

    pub(crate) fn connect_result(&self) -> io::Result<bool> {
        match &self.progress {
            Progress::Connecting => Ok(false),
            Progress::Connected { .. } => Ok(true),
            Progress::Failed(error) => Err(copy_of(error)),
        }
    }
}

/// It carries bytes.
impl Stream {
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<StreamRead> {
        if !self.connect_result()? {
            return Ok(StreamRead::Blocked);
        }
        self.tcp.read(buffer)
    }

    /// None: there is no room, and write interest is on from now on.
    pub(crate) fn write(
        &mut self,
        bytes: &[u8],
        common: &mut Common,
        token: usize,
        poller: &Poller,
    ) -> io::Result<Option<usize>> {
        if !self.connect_result()? {
            return Ok(None);
        }
        let written = self.tcp.write(bytes)?;
        if written.is_none() && !self.is_blocked() {
            common.set_write_interest(poller, &mut self.tcp, token, true)?;
            self.progress = Progress::Connected { blocked: true };
        }
        Ok(written)
    }
}
