//! TCP sockets of either network.

use std::{io, net::SocketAddr, time::Duration};

use crate::{
    StreamRead,
    os::{OsTcpListener, OsTcpStream},
    simulated::{SimulatedListener, SimulatedStream},
    socket::EitherNetwork,
};

/// How a TCP stream is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpOptions {
    /// Whether what is written goes out at once, however little it is (`TCP_NODELAY`), as necko has it.
    /// Who writes in whole pieces wants it; a simulated network always does so.
    pub nodelay: bool,
    /// After how much silence the system begins to ask whether the peer is still there; None: never.
    /// A refusal is only logged. A simulated network doesn't ask.
    pub keep_alive: Option<Duration>,
}

impl Default for TcpOptions {
    fn default() -> Self {
        Self { nodelay: true, keep_alive: None }
    }
}

/// One end of a connection.
pub(crate) type TcpStream = EitherNetwork<OsTcpStream, SimulatedStream>;
/// A socket that hears of new connections.
pub(crate) type TcpListener = EitherNetwork<OsTcpListener, SimulatedListener>;

impl TcpStream {
    pub(crate) fn local_addr(&self) -> SocketAddr {
        match self {
            Self::OperatingSystem(stream) => stream.local_addr(),
            Self::Simulated(stream) => stream.local_addr(),
        }
    }

    /// Whether it is connected by now.
    ///
    /// # Errors
    /// It never will be.
    pub(crate) fn poll_connect(&mut self) -> io::Result<bool> {
        match self {
            Self::OperatingSystem(stream) => stream.poll_connect(),
            Self::Simulated(stream) => stream.poll_connect(),
        }
    }

    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<StreamRead> {
        match self {
            Self::OperatingSystem(stream) => stream.read(buffer),
            Self::Simulated(stream) => stream.read(buffer),
        }
    }

    /// None: there is no room.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        match self {
            Self::OperatingSystem(stream) => stream.write(bytes),
            Self::Simulated(stream) => stream.write(bytes),
        }
    }

    pub(crate) fn shutdown_write(&mut self) -> io::Result<()> {
        match self {
            Self::OperatingSystem(stream) => stream.shutdown_write(),
            Self::Simulated(stream) => stream.shutdown_write(),
        }
    }

    pub(crate) fn reset_when_closed(&mut self) -> io::Result<()> {
        match self {
            Self::OperatingSystem(stream) => stream.reset_when_closed(),
            Self::Simulated(stream) => stream.reset_when_closed(),
        }
    }
}

impl TcpListener {
    pub(crate) fn local_addr(&self) -> SocketAddr {
        match self {
            Self::OperatingSystem(listener) => listener.local_addr(),
            Self::Simulated(listener) => listener.local_addr(),
        }
    }

    /// The next connection, which a simulated network reports under `token`.
    pub(crate) fn accept(&mut self, token: usize) -> io::Result<Option<(TcpStream, SocketAddr)>> {
        Ok(match self {
            Self::OperatingSystem(listener) => {
                listener.accept()?.map(|(stream, peer)| (TcpStream::OperatingSystem(stream), peer))
            }
            Self::Simulated(listener) => {
                listener.accept(token)?.map(|(stream, peer)| (TcpStream::Simulated(stream), peer))
            }
        })
    }
}

/// The same error once more: it may be asked for several times.
pub(crate) fn copy_of(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}
