//! What a connection has to say, on its way to the socket: in runs that one system call sends.

use quiche::SendInfo;
use socket_transport::{Ecn, Route, SocketIo, Written};

/// Datagrams that one connection sends before the next has its turn: two runs of ordinary size.
pub(crate) const DATAGRAMS: u64 = 96;

/// How a connection's turn to send ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// It has nothing more.
    Done,
    /// It has more, but others wait.
    More,
    /// The socket has no room; nobody can send.
    Blocked,
}

/// Sends what the engine has, up to the budget. Returns also how many datagrams that were.
pub(crate) fn send(
    quic: &mut quiche::Connection,
    io: &mut SocketIo<'_>,
    datagram_size: usize,
) -> (Output, u64) {
    let mut sent = 0;
    while !io.is_send_blocked() {
        if sent == DATAGRAMS {
            return (flush(io, Output::More), sent);
        }
        let written = io.batch().write(datagram_size, |buffer| match quic.send(buffer) {
            Ok((len, SendInfo { to, from, .. })) => {
                sent += 1;
                Some((len, Route { destination: to, source: Some(from.ip()), ecn: Ecn::NotEct }))
            }
            Err(quiche::Error::Done) => None,
            Err(error) => {
                // The engine has closed the connection with a code that fits.
                log::debug!("a connection can't send: {error}");
                None
            }
        });
        match written {
            Written::Added => {}
            Written::Nothing => return (flush(io, Output::Done), sent),
            Written::Full => {
                flush(io, Output::Done);
            }
        }
    }
    (Output::Blocked, sent)
}

/// Sends a datagram that belongs to no connection.
pub(crate) fn send_reply(io: &mut SocketIo<'_>, route: Route, datagram: &[u8]) {
    let Route { destination, source, ecn } = route;
    // The batch is empty between connections, and an empty one takes any datagram.
    if io.batch().push(destination, source, ecn, datagram) {
        flush(io, Output::Done);
    }
}

/// Sends the batch. What the network refuses is lost, as any datagram may be: the engine
/// retransmits, and no error concerns more than one client.
fn flush(io: &mut SocketIo<'_>, then: Output) -> Output {
    match io.send_batch() {
        Ok(socket_transport::SendOutcome::Sent) => then,
        Ok(socket_transport::SendOutcome::Blocked) => Output::Blocked,
        Err(error) => {
            log::debug!("datagrams were not sent: {error}");
            then
        }
    }
}
