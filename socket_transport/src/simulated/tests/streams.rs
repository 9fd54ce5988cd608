//! Streams without a service: what the network itself keeps of them.

use super::*;
use crate::{StreamRead, simulated::SimulatedStream};

const SECOND: Duration = Duration::from_secs(1);

/// A connection, and what holds its listening socket.
struct Pair {
    network: SimulatedNetwork,
    one: SimulatedStream,
    other: SimulatedStream,
}

fn pair() -> Pair {
    let network = SimulatedNetwork::new(1);
    network.both(A, B, LinkConfig::new());
    let (mut a, mut b) = (host(&network, A), host(&network, B));
    let mut listener = b.listen_tcp((B, 80).into(), 7).unwrap();
    let mut one = a.connect_tcp((B, 80).into(), 8).unwrap();
    assert!(!one.poll_connect().unwrap());
    network.advance(30 * MS);
    assert!(one.poll_connect().unwrap());
    let (other, peer) = listener.accept(9).unwrap().unwrap();
    assert_eq!(peer, one.local_addr());
    Pair { network, one, other }
}

/// Connections that the network knows.
fn known(network: &SimulatedNetwork) -> usize {
    let world = network.world().borrow();
    assert!(world.tcp.pairs.len() <= world.tcp.connections.len());
    world.tcp.connections.len()
}

#[test]
fn of_a_connection_that_both_sides_have_ended_nothing_is_left() {
    let Pair { network, one, other } = pair();
    assert_eq!(known(&network), 2);
    drop(one);
    network.advance(SECOND);
    assert_eq!(known(&network), 2, "one side has ended");
    drop(other);
    network.advance(SECOND);
    assert_eq!((known(&network), network.next_arrival()), (0, None));
    let counts = network.total_counts();
    assert_eq!((counts.refused, counts.unheard), (0, 0));
}

/// The acknowledgement of the last FIN is lost, and its sender has nobody to ask but who has gone.
#[test]
fn a_fin_that_comes_again_is_acknowledged_after_the_end() {
    let Pair { network, one, mut other } = pair();
    drop(one);
    network.advance(SECOND);
    assert_eq!(other.read(&mut [0]).unwrap(), StreamRead::End);
    other.shutdown_write().unwrap();
    network.lose_next(A, B, 1);
    network.advance(SECOND);
    assert_eq!(known(&network), 1);
    assert_eq!(other.read(&mut [0]).unwrap(), StreamRead::End, "and no reset");
    drop(other);
    assert_eq!((known(&network), network.next_arrival()), (0, None));
}

#[test]
fn of_one_whose_peer_never_ends_nothing_is_left_after_a_while() {
    let Pair { network, one, mut other } = pair();
    drop(one);
    network.advance(60 * SECOND);
    assert_eq!(known(&network), 1, "its user's alone");
    assert!(other.write(b"to nobody").unwrap().is_some());
    network.advance(SECOND);
    assert_eq!(other.read(&mut [0]).unwrap(), StreamRead::End, "that came first");
    assert_eq!(other.write(b"?").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    drop(other);
    assert_eq!((known(&network), network.next_arrival()), (0, None));
}

#[test]
fn a_reset_leaves_nothing_and_what_is_on_the_way_finds_nobody() {
    let Pair { network, mut one, mut other } = pair();
    other.reset_when_closed().unwrap();
    drop(other);
    assert!(one.write(b"crossing").unwrap().is_some());
    network.advance(SECOND);
    let error = one.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    assert_eq!(one.read(&mut [0]).unwrap(), StreamRead::End, "the error is told once");
    assert_eq!(one.write(b"?").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    drop(one);
    assert_eq!((known(&network), network.next_arrival()), (0, None));
}

#[test]
fn an_attempt_that_is_given_up_leaves_nothing() {
    let network = SimulatedNetwork::new(1);
    let (mut a, mut b) = (host(&network, A), host(&network, B));
    let listener = b.listen_tcp((B, 80).into(), 7).unwrap();
    let one = a.connect_tcp((B, 80).into(), 8).unwrap();
    drop(one);
    // Its SYN is answered, and the answer refused.
    network.advance(SECOND);
    assert_eq!((known(&network), network.next_arrival()), (0, None));
    drop(listener);
    assert_eq!(network.sockets(B), []);
}

#[test]
fn ports_are_one_thing_for_streams_and_another_for_datagrams() {
    let network = SimulatedNetwork::new(1);
    let mut host = host(&network, A);
    let there: SocketAddr = (A, 80).into();
    let listener = host.listen_tcp(there, 1).unwrap();
    assert_eq!(host.listen_tcp(there, 2).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    let socket = host.bind_udp(there, &UdpOptions::default(), 3).unwrap();
    assert_eq!(network.sockets(A), [there, there]);
    drop(listener);
    drop(socket);
    host.listen_tcp(there, 4).unwrap();
}

#[test]
fn what_arrives_before_a_connection_is_accepted_is_news_for_its_socket() {
    let network = SimulatedNetwork::new(1);
    let (mut a, mut b) = (host(&network, A), host(&network, B));
    let mut listener = b.listen_tcp((B, 80).into(), 7).unwrap();
    let mut one = a.connect_tcp((B, 80).into(), 8).unwrap();
    network.advance(20 * MS);
    assert_eq!(one.write(b"early").unwrap(), Some(5));
    network.advance(SECOND);
    let mut ready = Vec::new();
    b.ready(&mut ready);
    assert_eq!(ready, [(7, READABLE)]);
    let (mut other, _) = listener.accept(9).unwrap().unwrap();
    ready.clear();
    b.ready(&mut ready);
    assert_eq!(ready, [(9, READABLE)]);
    assert_eq!(other.read(&mut [0; 9]).unwrap(), StreamRead::Bytes(5));
    assert!(listener.accept(9).unwrap().is_none());
}
