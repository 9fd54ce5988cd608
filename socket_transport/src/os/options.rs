//! Socket options beyond those that quinn-udp sets.

use std::io;

/// quinn-udp 0.6.3 asks for receive timestamps, and has no room for them beside GRO's segment size,
/// the local address and the ECN mark: the system cuts the mark off. Nobody here wants timestamps.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn disable_timestamps(socket: &mio::net::UdpSocket) -> io::Result<()> {
    use nix::sys::socket::{setsockopt, sockopt::ReceiveTimestampns};

    Ok(setsockopt(socket, ReceiveTimestampns, &false)?)
}

/// Elsewhere there are none.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) fn disable_timestamps(_: &mio::net::UdpSocket) -> io::Result<()> {
    Ok(())
}
