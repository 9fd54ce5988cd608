//! A port that refuses.

use std::net::{IpAddr, SocketAddr, UdpSocket};

/// An address where nobody listens, and where nobody begins to while this lives.
///
/// A port that is only free may be given to any socket that asks for one, be it one of the client under
/// test, which would then talk to itself. This one is taken, by a socket that takes datagrams from one
/// address alone; to everybody else the system says that nobody is there.
#[derive(Debug)]
pub struct DeadPort(UdpSocket);

impl DeadPort {
    /// One of `ip`, a loopback address.
    #[track_caller]
    pub fn on(ip: IpAddr) -> Self {
        let socket = UdpSocket::bind((ip, 0)).expect("a free port");
        // Nobody sends from there: only the super-user could.
        socket.connect((ip, 1)).expect("loopback has a way to itself");
        Self(socket)
    }

    /// Where nobody answers.
    #[track_caller]
    pub fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("it is bound")
    }
}
