//! TCP sockets of the operating system.

use std::{
    io::{self, Read as _, Write as _},
    net::{Shutdown, SocketAddr},
    time::Duration,
};

use socket2::{SockRef, TcpKeepalive};

use super::poller::OsSocket;
use crate::{StreamRead, TcpOptions};

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct OsTcpStream {
    stream: mio::net::TcpStream,
    /// Before it is connected perhaps not known in full.
    local: SocketAddr,
}

impl OsTcpStream {
    /// Begins to connect.
    pub(crate) fn connect(peer: SocketAddr, options: TcpOptions) -> io::Result<Self> {
        Self::set_up(mio::net::TcpStream::connect(peer)?, options)
    }

    fn set_up(stream: mio::net::TcpStream, options: TcpOptions) -> io::Result<Self> {
        stream.set_nodelay(options.nodelay)?;
        if let Some(silence) = options.keep_alive {
            let keep_alive = TcpKeepalive::new().with_time(silence);
            if let Err(error) = SockRef::from(&stream).set_tcp_keepalive(&keep_alive) {
                log::warn!("keep-alive after {silence:?}: {error}");
            }
        }
        let local = stream.local_addr()?;
        Ok(Self { stream, local })
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    pub(crate) fn poll_connect(&mut self) -> io::Result<bool> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        match self.stream.peer_addr() {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
            Ok(_) => {
                self.local = self.stream.local_addr()?;
                Ok(true)
            }
        }
    }

    /// Reads what is there, into a buffer that is not empty.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> io::Result<StreamRead> {
        match self.stream.read(buffer) {
            Ok(0) => Ok(StreamRead::End),
            Ok(bytes) => Ok(StreamRead::Bytes(bytes)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(StreamRead::Blocked),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<Option<usize>> {
        match self.stream.write(bytes) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => Ok(Some(written)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn shutdown_write(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    pub(crate) fn reset_when_closed(&mut self) -> io::Result<()> {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO))
    }
}

impl OsSocket for OsTcpStream {
    type Source = mio::net::TcpStream;
    const HANG_UP_IS_READ: bool = true;

    fn source(&mut self) -> &mut Self::Source {
        &mut self.stream
    }
}

/// A socket that hears of new connections.
#[derive(Debug)]
pub(crate) struct OsTcpListener {
    listener: mio::net::TcpListener,
    local: SocketAddr,
}

impl OsTcpListener {
    pub(crate) fn bind(local: SocketAddr) -> io::Result<Self> {
        let listener = mio::net::TcpListener::bind(local)?;
        let local = listener.local_addr()?;
        Ok(Self { listener, local })
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    pub(crate) fn accept(&mut self) -> io::Result<Option<(OsTcpStream, SocketAddr)>> {
        match self.listener.accept() {
            Ok((stream, peer)) => {
                Ok(Some((OsTcpStream::set_up(stream, TcpOptions::default())?, peer)))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl OsSocket for OsTcpListener {
    type Source = mio::net::TcpListener;
    const HANG_UP_IS_READ: bool = true;

    fn source(&mut self) -> &mut Self::Source {
        &mut self.listener
    }
}
