//! The service on real loopback sockets. Tests are named after the statements of `necko.md` §12
//! (S: service, U: UDP socket) and after the lessons of `anchors.md` D2.
//!
//! Nothing here sleeps in order to wait: a turn blocks until what it waits for has happened, and a
//! guard timer ends a test that waits in vain.

#![expect(clippy::unwrap_used, reason = "what tests share panics like a test")]

mod app;
mod lifecycle;
mod order;
mod posting;
mod streams;
mod udp;
mod workers;
