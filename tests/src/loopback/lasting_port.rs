//! Ports that wait for a server that is started again.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    process,
    sync::atomic::{AtomicU32, Ordering},
};

/// Linux gives ports from 32,768 on to those who ask for any.
const FIRST: u16 = 10_000;
const COUNT: u32 = 22_768;

/// Processes begin so far from each other.
const STEP: u32 = 37;

/// An address of 127.0.0.1 that is free for UDP and TCP, and that no socket gets which asks for any port: while its
/// server is killed and started again, it stays free.
#[track_caller]
pub fn lasting_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let begin = process::id().wrapping_mul(STEP);
    (0..COUNT)
        .map(|_| begin.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT)
        .map(|offset| FIRST + u16::try_from(offset).expect("less than COUNT"))
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .find(|address| TcpListener::bind(address).is_ok() && UdpSocket::bind(address).is_ok())
        .expect("a free port")
}
