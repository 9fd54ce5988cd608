//! What the operating system's errors mean for a socket.

use std::io;

/// "No buffer space": not `WouldBlock`, since no readiness follows it.
#[cfg(any(target_os = "linux", target_os = "android"))]
const ENOBUFS: i32 = 105;
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
const ENOBUFS: i32 = 55;
#[cfg(windows)]
const ENOBUFS: i32 = 10055;

/// Whether a failed send is a datagram lost, which an engine repairs, and not a broken socket: no
/// buffer space, or too large for the path (which is how an engine's MTU probe finds out).
pub(crate) fn is_loss(error: &io::Error) -> bool {
    is_no_buffers(error) || quinn_udp::is_msg_size_err(error)
}

/// Whether the system had no buffer for a datagram.
pub(crate) fn is_no_buffers(error: &io::Error) -> bool {
    error.raw_os_error() == Some(ENOBUFS) || error.kind() == io::ErrorKind::OutOfMemory
}

/// Whether an error tells about one peer (ICMP) and not about the socket.
pub(crate) fn is_about_a_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}
