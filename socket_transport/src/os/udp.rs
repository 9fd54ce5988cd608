//! A UDP socket of the operating system: GRO, GSO, ECN and the error queue, by quinn-udp.

use std::{
    array,
    io::{self, IoSliceMut},
    net::SocketAddr,
};

use quinn_udp::{EcnCodepoint, RecvMeta, Transmit, UdpSockRef, UdpSocketState};
use socket2::{Domain, Socket, Type};

use super::{error_queue, errors::is_no_buffers, options::disable_timestamps, poller::OsSocket};
use crate::{
    Ecn, UdpOptions,
    datagrams::{RawReceived, RawTransmit},
    flush::Drained,
    receive::{Filled, SLOT_SIZE, SLOTS},
};

/// An unconnected, non-blocking UDP socket (necko §3.1).
#[derive(Debug)]
pub(crate) struct OsUdpSocket {
    socket: mio::net::UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    /// Errors that happen again and again are logged once.
    logged_no_buffers: bool,
}

impl OsUdpSocket {
    pub(crate) fn bind(local: SocketAddr, options: UdpOptions) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(local), Type::DGRAM, None)?;
        socket.set_nonblocking(true)?;
        socket.bind(&local.into())?;
        if let Err(error) = socket.set_recv_buffer_size(options.receive_buffer) {
            log::warn!("receive buffer of {} bytes: {error}", options.receive_buffer);
        }
        let socket = mio::net::UdpSocket::from_std(socket.into());
        let state = UdpSocketState::new(UdpSockRef::from(&socket))?;
        disable_timestamps(&socket)?;
        if options.report_transport_errors {
            error_queue::enable(&state, &socket)?;
        }
        let local = socket.local_addr()?;
        Ok(Self { socket, state, local, logged_no_buffers: false })
    }

    pub(crate) fn local_addr(&self) -> SocketAddr {
        self.local
    }

    pub(crate) fn max_segments(&self) -> usize {
        self.state.max_gso_segments()
    }
}

impl OsSocket for OsUdpSocket {
    type Source = mio::net::UdpSocket;
    const HANG_UP_IS_READ: bool = false;

    fn source(&mut self) -> &mut Self::Source {
        &mut self.socket
    }
}

/// Receiving.
impl OsUdpSocket {
    /// Fills the first slots of `storage`, at most `limit`, with one system call. None of them:
    /// there is nothing to read.
    pub(crate) fn receive(&mut self, storage: &mut [u8], limit: usize) -> io::Result<Filled> {
        let mut room = storage.chunks_exact_mut(SLOT_SIZE);
        let mut slots: [IoSliceMut<'_>; SLOTS] =
            array::from_fn(|_| IoSliceMut::new(room.next().unwrap_or_default()));
        let slots = slots.get_mut(..limit.clamp(1, SLOTS)).unwrap_or_default();
        let mut metas = [RecvMeta::default(); SLOTS];

        let socket = UdpSockRef::from(&self.socket);
        let received = self.socket.try_io(|| self.state.recv(socket, slots, &mut metas));
        let count = match received {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            // A pending error is also in the queue, which knows more about it.
            Err(error) => return Err(self.drain_errors().about_a_peer.unwrap_or(error)),
        };
        let mut filled = [None; SLOTS];
        for (slot, meta) in filled.iter_mut().zip(&metas).take(count) {
            *slot = Some(self.describe(meta));
        }
        Ok(filled)
    }

    fn describe(&self, meta: &RecvMeta) -> RawReceived {
        let ip = meta.dst_ip.unwrap_or(self.local.ip());
        RawReceived {
            len: meta.len,
            stride: meta.stride,
            source: meta.addr,
            destination: SocketAddr::new(ip, self.local.port()),
            ecn: match meta.ecn {
                None => Ecn::NotEct,
                Some(EcnCodepoint::Ect1) => Ecn::Ect1,
                Some(EcnCodepoint::Ect0) => Ecn::Ect0,
                Some(EcnCodepoint::Ce) => Ecn::Ce,
            },
        }
    }

    /// Empties the error queue.
    pub(crate) fn drain_errors(&mut self) -> Drained {
        error_queue::drain(&self.state, &self.socket)
    }
}

/// Sending.
impl OsUdpSocket {
    pub(crate) fn send(&mut self, transmit: &RawTransmit<'_>) -> io::Result<()> {
        // The system refuses port 0 with EINVAL, which quinn-udp takes for missing GSO and ECN.
        if transmit.destination.port() == 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let message = Transmit {
            destination: transmit.destination,
            ecn: match transmit.ecn {
                Ecn::NotEct => None,
                Ecn::Ect1 => Some(EcnCodepoint::Ect1),
                Ecn::Ect0 => Some(EcnCodepoint::Ect0),
                Ecn::Ce => Some(EcnCodepoint::Ce),
            },
            contents: transmit.contents,
            segment_size: transmit.segment_size,
            src_ip: transmit.source,
        };
        let socket = UdpSockRef::from(&self.socket);
        let result = self.socket.try_io(|| self.state.try_send(socket, &message));
        if let Err(error) = &result
            && is_no_buffers(error)
            && !self.logged_no_buffers
        {
            self.logged_no_buffers = true;
            log::warn!("{}: datagrams are dropped: {error}", self.local);
        }
        result
    }
}
