//! The error queue: what the network said about datagrams that were sent earlier (ICMP).
//!
//! Only there does a socket that is not connected learn that a port was refused. Linux alone has it;
//! Windows reports such things as errors of a later read.

use std::io;

use quinn_udp::UdpSocketState;
#[cfg(unix)]
use quinn_udp::{TransportError, TransportErrorPayload, UdpSockRef};

#[cfg(unix)]
use super::errors::is_about_a_peer;
use crate::flush::Drained;

/// Has the system keep such errors for this socket.
#[cfg(unix)]
pub(super) fn enable(state: &UdpSocketState, socket: &mio::net::UdpSocket) -> io::Result<()> {
    state.enable_transport_errors(UdpSockRef::from(socket))
}

/// Empties the queue. Until that is done the socket counts as failed: the next send or read returns
/// what is in it.
#[cfg(unix)]
pub(super) fn drain(state: &UdpSocketState, socket: &mio::net::UdpSocket) -> Drained {
    let mut drained = Drained::default();
    // An error of the queue itself ends it as well.
    while let Ok(Some(error)) = state.recv_transport_error(UdpSockRef::from(socket)) {
        log::trace!("reported by the network: {error:?}");
        drained.any = true;
        let error = into_io_error(&error);
        if drained.about_a_peer.is_none() && is_about_a_peer(&error) {
            drained.about_a_peer = Some(error);
        }
    }
    drained
}

/// The queued error in terms of `std`; its text names the machine that reported it.
#[cfg(unix)]
fn into_io_error(error: &TransportError) -> io::Error {
    let plain = io::Error::from_raw_os_error(error.raw_errno);
    match (error.addr, error.payload) {
        (Some(address), TransportErrorPayload::Unreachable) => {
            io::Error::new(plain.kind(), format!("{plain}, says {}", address.ip()))
        }
        _ => plain,
    }
}

#[cfg(not(unix))]
pub(super) fn enable(_: &UdpSocketState, _: &mio::net::UdpSocket) -> io::Result<()> {
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn drain(_: &UdpSocketState, _: &mio::net::UdpSocket) -> Drained {
    Drained::default()
}
