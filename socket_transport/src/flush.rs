//! Sending a batch: piece by piece, until it is empty or finds no space.
//!
//! ```text
//!   what the network says              what becomes of the piece
//!   sent                               counted; the next piece
//!   WouldBlock                         stays in the batch, with all behind it
//!   EIO, EINVAL for several (GSO)      the same again, one by one; so from now on
//!   ENOBUFS, EMSGSIZE                  lost; the next piece
//!   another error                      lost with the rest of the batch; returned
//! ```
//!
//! `ENOBUFS` is not `WouldBlock`: no readiness would follow it. An error may also be the answer to an
//! earlier datagram (ICMP), reported in place of the send: then it is also in the error queue. So an
//! error is believed when the queue is empty, or the second time; what the queue says about a peer is
//! for the reader.

use std::io;

use crate::{SendBatch, Traffic, datagrams::RawTransmit, os::is_loss, socket::UdpSocket};

/// Whether a batch went out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum SendOutcome {
    /// It did, and is empty now.
    Sent,
    /// There is no space. The socket keeps the batch and sends it by itself when space returns.
    Blocked,
}

/// What sends a piece of a batch.
pub(crate) trait Sender {
    /// Datagrams that one send may carry. Falls to one when sending several has failed.
    fn max_segments(&self) -> usize;

    fn send(&mut self, transmit: &RawTransmit<'_>) -> io::Result<()>;

    /// Empties the system's error queue.
    fn drain_errors(&mut self) -> Drained;
}

/// What was in the error queue.
#[derive(Debug, Default)]
pub(crate) struct Drained {
    /// It was not empty.
    pub(crate) any: bool,
    /// The first error that tells about a peer.
    pub(crate) about_a_peer: Option<io::Error>,
}

/// Sends the batch. The first error about a peer that was found on the way is put into `stray`.
///
/// # Errors
/// As the network says. The batch is empty then.
pub(crate) fn flush(
    sender: &mut impl Sender,
    batch: &mut SendBatch,
    traffic: &mut Traffic,
    stray: &mut Option<io::Error>,
) -> io::Result<SendOutcome> {
    let mut second_time = false;
    while let Some(transmit) = batch.next_transmit(sender.max_segments()) {
        let (len, datagrams) = (transmit.contents.len(), transmit.datagrams());
        match sender.send(&transmit) {
            Ok(()) => {
                traffic.bytes_sent += len as u64;
                traffic.datagrams_sent += datagrams as u64;
                traffic.gso_sends += u64::from(datagrams > 1);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                traffic.would_blocks += 1;
                return Ok(SendOutcome::Blocked);
            }
            Err(_) if datagrams > sender.max_segments() => continue,
            Err(error) => {
                let drained = sender.drain_errors();
                if drained.any && !second_time {
                    *stray = stray.take().or(drained.about_a_peer);
                    second_time = true;
                    continue;
                }
                if !is_loss(&error) {
                    batch.clear();
                    return Err(error);
                }
                traffic.dropped_sends += datagrams as u64;
            }
        }
        second_time = false;
        batch.advance(len);
    }
    Ok(SendOutcome::Sent)
}

impl Sender for UdpSocket {
    fn max_segments(&self) -> usize {
        match self {
            Self::OperatingSystem(socket) => socket.max_segments(),
            Self::Simulated(_) => 64,
        }
    }

    fn send(&mut self, transmit: &RawTransmit<'_>) -> io::Result<()> {
        match self {
            Self::OperatingSystem(socket) => socket.send(transmit),
            Self::Simulated(socket) => socket.send(transmit),
        }
    }

    fn drain_errors(&mut self) -> Drained {
        match self {
            Self::OperatingSystem(socket) => socket.drain_errors(),
            // The simulated socket returns its errors from `recv`.
            Self::Simulated(_) => Drained::default(),
        }
    }
}

#[cfg(test)]
#[path = "flush_tests.rs"]
mod tests;
