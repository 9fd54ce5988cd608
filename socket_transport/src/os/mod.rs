//! The operating system's network: mio's poll, quinn-udp's system calls.
//!
//! | file | what |
//! |---|---|
//! | `poller` | which sockets are ready |
//! | `udp` | a socket: coalesced reads, batched sends, ECN |
//! | `tcp` | a stream, and a socket that listens for them |
//! | `error_queue`, `errors` | what the network reports, and what it means |
//! | `options` | a socket option that quinn-udp gets wrong |

mod error_queue;
mod errors;
mod options;
mod poller;
mod tcp;
mod udp;

pub(crate) use self::{
    errors::{is_about_a_peer, is_loss},
    poller::{OsPoller, OsSocket},
    tcp::{OsTcpListener, OsTcpStream},
    udp::OsUdpSocket,
};

#[cfg(test)]
mod tests;
