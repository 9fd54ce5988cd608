//! The simulated network by itself: sockets without a service, driven by hand.

mod faults;
mod nodes;
mod replay;
mod sockets;
mod streams;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use super::{LinkConfig, SimulatedHost, SimulatedNetwork, SimulatedSocket};
use crate::{
    Ready, UdpOptions,
    datagrams::{Ecn, RawReceived, RawTransmit},
};

const A: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const B: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
const MS: Duration = Duration::from_millis(1);
/// IPv4 and UDP headers.
const HEADERS: usize = 28;

/// One machine with one socket.
struct Peer {
    host: SimulatedHost,
    socket: SimulatedSocket,
}

impl Peer {
    fn new(network: &SimulatedNetwork, ip: IpAddr) -> Self {
        let mut host = host(network, ip);
        let socket = host.bind_udp((ip, 4433).into(), &UdpOptions::default(), 7).unwrap();
        Self { host, socket }
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr()
    }

    fn send_to(&mut self, destination: SocketAddr, contents: &[u8]) -> io::Result<()> {
        self.socket.send(&transmit(destination, contents))
    }

    /// Sends to the other machine's socket.
    fn send(&mut self, contents: &[u8]) {
        let other = if self.address().ip() == A { B } else { A };
        self.send_to((other, 4433).into(), contents).unwrap();
    }

    /// What this peer's service is told.
    fn ready(&mut self) -> Vec<(usize, Ready)> {
        let mut out = Vec::new();
        self.host.ready(&mut out);
        out
    }

    /// One read; its datagrams are not divided.
    fn read(&mut self) -> io::Result<Option<(RawReceived, Vec<u8>)>> {
        let mut buffer = vec![0; 65_536];
        let received = self.socket.recv(&mut buffer)?;
        Ok(received.map(|received| (received, buffer[..received.len].to_vec())))
    }

    /// The first bytes of all datagrams that wait.
    fn drain(&mut self) -> Vec<u8> {
        let reads = std::iter::from_fn(|| self.read().unwrap());
        reads.flat_map(|(raw, bytes)| bytes.into_iter().step_by(raw.stride)).collect()
    }
}

fn host(network: &SimulatedNetwork, ip: IpAddr) -> SimulatedHost {
    let id = network.world().borrow_mut().add_host(vec![ip]);
    SimulatedHost::new(network.clone(), id)
}

fn transmit(destination: SocketAddr, contents: &[u8]) -> RawTransmit<'_> {
    RawTransmit { destination, source: None, ecn: Ecn::NotEct, contents, segment_size: None }
}

fn network(config: LinkConfig) -> (SimulatedNetwork, Peer, Peer) {
    let network = SimulatedNetwork::new(42);
    network.both(A, B, config);
    let (a, b) = (Peer::new(&network, A), Peer::new(&network, B));
    (network, a, b)
}

const READABLE: Ready = Ready { readable: true, writable: false, error: false };
const WRITABLE: Ready = Ready { readable: false, writable: true, error: false };
