//! TCP streams: connecting, reading and writing them, and listening for them.
//!
//! ```text
//!   open_tcp ──▶ on_socket_ready(writable) ──▶ connect_result ──┬─ Err: refused, unreachable, timed out
//!                                                               └─ Ok(true)
//!   on_socket_ready(readable): loop { read } ──┬─ Bytes                      more
//!                                              ├─ Blocked                    nothing left, or the budget
//!                                              │                             of the turn is used
//!                                              └─ End, Err                   nothing comes any more
//!   write ──┬─ n                               so much is on its way; go on with the rest
//!           └─ 0 ──▶ on_socket_ready(writable) go on
//! ```
//!
//! * Readiness is an edge. Who stops reading before `Blocked`, because there is no place for what would
//!   come, goes on reading when there is, from any callback: nothing is lost, and the peer is held back
//!   meanwhile. Who stops for another reason calls [`StreamIo::stay_ready`].
//! * A hang-up is something to read and no failure of the socket: what arrived before it is returned
//!   first. The service never detaches a stream by itself, except offline and at its end.
//! * A stream is polled for writing while it connects, and after a write that was refused, until it is
//!   reported as writable: no longer.
//! * Closing a stream ([`Context::close_socket`](crate::Context::close_socket)) sends what was written,
//!   and then the end; but a reset if something was not read.
//!
//! A service that answers one request, to one that asks, over the simulated network:
//!
//! ```
//! use std::net::{IpAddr, SocketAddr};
//! use socket_transport::{*, simulated::{Simulation, Stack}};
//!
//! #[derive(Default)]
//! struct End { socket: Option<SocketKey>, says: &'static [u8], heard: Vec<u8>, ended: bool }
//!
//! impl SocketHandler for End {
//!     type Target = &'static str;
//!     type Event = ();
//!
//!     fn on_socket_ready(&mut self, ctx: &mut Context<'_, &'static str, ()>, of: &'static str, ready: Ready) {
//!         if of == "listener" {
//!             while let Ok(Some((stream, _))) = ctx.accept_tcp(self.socket.unwrap(), "stream") {
//!                 ctx.close_socket(self.socket.replace(stream).unwrap());
//!             }
//!         }
//!         let Some(mut io) = self.socket.and_then(|socket| ctx.stream_io(socket)) else { return };
//!         assert!(io.connect_result().is_ok(), "refused");
//!         let mut buffer = [0; 4096];
//!         while let Ok(StreamRead::Bytes(count)) = io.read(&mut buffer) {
//!             self.heard.extend_from_slice(&buffer[..count]);
//!         }
//!         while !self.says.is_empty() {
//!             match io.write(self.says) {
//!                 Ok(count) if count > 0 => self.says = &self.says[count..],
//!                 _ => return,
//!             }
//!         }
//!         self.ended = matches!(io.read(&mut buffer), Ok(StreamRead::End));
//!         let _ = io.shutdown_write();
//!     }
//! #   fn on_socket_detached(&mut self, _: &mut Context<'_, &'static str, ()>, _: &'static str, _: Detached) {}
//! #   fn on_timer(&mut self, _: &mut Context<'_, &'static str, ()>, _: &'static str) {}
//! #   fn on_wakeup(&mut self, _: &mut Context<'_, &'static str, ()>, _: &'static str) {}
//! #   fn on_event(&mut self, _: &mut Context<'_, &'static str, ()>, _: ()) {}
//! #   fn on_shutdown(&mut self, _: &mut Context<'_, &'static str, ()>) {}
//!     // … on_socket_detached, on_timer, on_wakeup, on_event, on_shutdown
//! }
//!
//! let simulation = Simulation::new(42);
//! let (client, server) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
//! let at = |ip, says| {
//!     let app = End { says, ..End::default() };
//!     Stack::new(simulation.network().host(ip), Limits::default(), app).unwrap()
//! };
//! let mut both = (at(client, b"question"), at(server, b"answer"));
//! let address = SocketAddr::new(server, 80);
//! both.1.call(|app, ctx| app.socket = ctx.listen_tcp("listener", address).ok());
//! both.0.call(|app, ctx| app.socket = ctx.open_tcp("stream", address, TcpOptions::default()).ok());
//! let minute = std::time::Duration::from_secs(60);
//! simulation.run(&mut both, |(client, server)| client.app().ended && server.app().ended, minute).unwrap();
//! assert_eq!((&both.0.app().heard[..], &both.1.app().heard[..]), (&b"answer"[..], &b"question"[..]));
//! ```

use std::{io, net::SocketAddr, time::Instant};

use crate::{Clock, SocketKey, attached::Common, network::Poller, stream_state::Stream};

/// What a read of a stream brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum StreamRead {
    /// So many bytes were put into the buffer.
    Bytes(usize),
    /// Nothing is there now, or the turn's [budget](StreamIo::budget_exhausted) is used.
    Blocked,
    /// The peer has ended its side: nothing comes any more.
    End,
}

/// One stream, borrowed for one drive of what it carries.
///
/// Thread: the socket thread. From [`Context::stream_io`](crate::Context::stream_io).
///
/// Necko: `nsSocketInputStream` and `nsSocketOutputStream`.
pub struct StreamIo<'a> {
    pub(crate) key: SocketKey,
    pub(crate) common: &'a mut Common,
    pub(crate) stream: &'a mut Stream,
    pub(crate) ready_set: &'a mut Vec<SocketKey>,
    pub(crate) poller: &'a Poller,
    pub(crate) clock: &'a Clock,
    /// Bytes that the stream may read in one turn.
    pub(crate) budget: usize,
}

impl StreamIo<'_> {
    /// The address of the other end, also before it is connected.
    pub fn peer_addr(&self) -> SocketAddr {
        self.stream.peer_addr()
    }

    /// The address of this end; certain when the stream is connected.
    pub fn local_addr(&self) -> SocketAddr {
        self.stream.local_addr()
    }

    /// The service's clock.
    pub fn clock(&self) -> &Clock {
        self.clock
    }

    /// The time now.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Whether the stream is connected, as far as its handler was told; `Ok(false)`: not yet.
    ///
    /// # Errors
    /// It never will be: `ConnectionRefused`, `TimedOut`, `HostUnreachable`, … The same each time.
    pub fn connect_result(&mut self) -> io::Result<bool> {
        self.stream.connect_result()
    }

    /// Reads what has arrived. An empty buffer reads nothing, and answers `Bytes(0)`.
    ///
    /// # Errors
    /// The stream has failed, `ConnectionReset` for example: close it. What arrived before was returned
    /// before, as far as the system has kept it.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<StreamRead> {
        if buffer.is_empty() {
            return Ok(StreamRead::Bytes(0));
        }
        let left = self.budget.saturating_sub(self.common.used_in_turn).min(buffer.len());
        if left == 0 {
            self.stay_ready();
            return Ok(StreamRead::Blocked);
        }
        let read = self.stream.read(buffer.get_mut(..left).unwrap_or_default())?;
        if let StreamRead::Bytes(bytes) = read {
            self.common.used_in_turn += bytes;
            self.common.traffic.bytes_received += bytes as u64;
        }
        Ok(read)
    }

    /// Whether the stream has read in this turn what it may. It is in the sticky ready-set once a read
    /// was refused for that.
    pub fn budget_exhausted(&self) -> bool {
        self.common.used_in_turn >= self.budget
    }

    /// Writes as much as there is room for. 0: there is none (or nothing to write); the stream is
    /// reported as `writable` when there is.
    ///
    /// # Errors
    /// The stream has failed, or its writing side was shut down. Close it; what the peer said before may
    /// still be there to be read.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let token = self.key.0.index();
        if let Some(written) = self.stream.write(bytes, self.common, token, self.poller)? {
            self.common.traffic.bytes_sent += written as u64;
            Ok(written)
        } else {
            self.common.traffic.would_blocks += 1;
            Ok(0)
        }
    }

    /// Whether bytes were refused since the stream last had room.
    pub fn is_write_blocked(&self) -> bool {
        self.stream.is_blocked()
    }

    /// Ends the writing side, behind what was written: the peer reads to the end, and may go on writing.
    ///
    /// # Errors
    /// `NotConnected`, or what the system says.
    pub fn shutdown_write(&mut self) -> io::Result<()> {
        if !self.stream.connect_result()? {
            return Err(io::ErrorKind::NotConnected.into());
        }
        self.stream.tcp.shutdown_write()
    }

    /// Lets [`close_socket`](crate::Context::close_socket) reset the connection instead of ending it: the
    /// peer reads an error and no end, and what was not sent yet is forgotten.
    pub fn reset_when_closed(&mut self) -> io::Result<()> {
        self.stream.tcp.reset_when_closed()
    }

    /// As [`Context::stay_ready`](crate::Context::stay_ready).
    pub fn stay_ready(&mut self) {
        self.common.stay_ready(self.key, self.ready_set);
    }
}
