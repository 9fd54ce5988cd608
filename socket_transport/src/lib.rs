//! The socket thread: sockets, timers, posted events, the clock, and two networks behind one service.
//!
//! [`SocketTransportService`] is necko's class of that name: one thread that polls sockets and calls
//! handlers. Everything above it, from the connection manager down to the streams, lives on that
//! thread, is owned by one application value, and is not `Send`. The [`Poster`] is the only door.
//!
//! ```text
//!   other threads               the socket thread
//!  ┌─────────────┐ submit,  ┌─────────────────────────┐ on_socket_ready,   ┌──────────────────────┐
//!  │ application │ wake     │ SocketTransportService  │ on_event, …        │ impl SocketHandler   │
//!  │ threads     │─────────▶│  sockets  timers  inbox │───────────────────▶│ manager, connections,│
//!  │ workers     │          │                         │◀───────────────────│ sessions, streams    │
//!  └─────────────┘          └───────────┬─────────────┘ Context: sockets,  └──────────────────────┘
//!                                       │               timers, posts
//!                        ┌──────────────┴──────────────┐
//!                        │ Network                     │
//!                        │ operating system │ simulated│
//!                        └─────────────────────────────┘
//! ```
//!
//! The service calls the application; the application never calls back into itself. What it wants to
//! happen it says to the [`Context`], and it happens later, in the order that the [`service`] page
//! draws. Where to look:
//!
//! | subject | items |
//! |---|---|
//! | the loop | [`service`], [`SocketHandler`], [`Context`], [`Limits`], [`ServiceSnapshot`] |
//! | UDP sockets | [`SocketIo`], [`ReceivedDatagrams`], [`SendBatch`], [`UdpOptions`] |
//! | TCP streams, and listening for them | [`streams`], [`StreamIo`], [`TcpOptions`] |
//! | posting | [`Poster`], [`Workers`] |
//! | time | [`Clock`], [`Context::set_timer`] |
//! | storage with generation-checked keys, for the layers above as well | [`slots`] |
//! | networks | [`Network`], [`simulated`] |
//! | the chain of calls | [`walk`] |
//!
//! An application that sends every datagram back and ends with the first:
//!
//! ```
//! use socket_transport::*;
//!
//! struct Echo(Option<SocketKey>);
//!
//! impl SocketHandler for Echo {
//!     type Target = ();
//!     type Event = ();
//!
//!     fn on_socket_ready(&mut self, ctx: &mut Context<'_, (), ()>, _: (), _: Ready) {
//!         let Some(mut io) = self.0.and_then(|socket| ctx.socket_io(socket)) else { return };
//!         while let Ok(Some(mut received)) = io.recv() {
//!             let peer = received.source();
//!             let datagrams: Vec<_> = received.datagrams().map(|bytes| bytes.to_vec()).collect();
//!             for datagram in datagrams {
//!                 assert!(io.batch().push(peer, None, Ecn::NotEct, &datagram));
//!                 io.send_batch().expect("loopback takes it");
//!             }
//!         }
//!         drop(io);
//!         ctx.stop();
//!     }
//! #   fn on_socket_detached(&mut self, _: &mut Context<'_, (), ()>, _: (), _: Detached) {}
//! #   fn on_timer(&mut self, _: &mut Context<'_, (), ()>, _: ()) {}
//! #   fn on_wakeup(&mut self, _: &mut Context<'_, (), ()>, _: ()) {}
//! #   fn on_event(&mut self, _: &mut Context<'_, (), ()>, _: ()) {}
//! #   fn on_shutdown(&mut self, _: &mut Context<'_, (), ()>) {}
//!     // … on_socket_detached, on_timer, on_wakeup, on_event, on_shutdown
//! }
//!
//! # fn main() -> std::io::Result<()> {
//! let mut service = SocketTransportService::new(Network::operating_system(), Limits::default())?;
//! let (socket, address) = service.with_context(|ctx| {
//!     let socket = ctx.open_udp((), "127.0.0.1:0".parse().unwrap(), UdpOptions::default())?;
//!     std::io::Result::Ok((socket, ctx.local_addr(socket).unwrap()))
//! })?;
//! let client = std::net::UdpSocket::bind("127.0.0.1:0")?;
//! client.send_to(b"hello", address)?;
//! service.run(&mut Echo(Some(socket)))?;
//!
//! let mut answer = [0; 5];
//! client.recv(&mut answer)?;
//! assert_eq!(&answer, b"hello");
//! # Ok(()) }
//! ```

mod attached;
mod batch;
mod clock;
mod context;
mod core;
mod datagram_state;
mod datagrams;
mod events;
mod flush;
mod handler;
mod inbox;
mod limits;
mod network;
mod os;
mod receive;
pub mod service;
pub mod simulated;
pub mod slots;
mod socket;
mod socket_io;
mod sockets;
mod stream_state;
pub mod streams;
mod tcp;
mod timers;
mod turn;
mod wakeup;
pub mod walk;
mod worker_pool;
pub mod workers;

pub use crate::{
    batch::{Route, SendBatch, Written},
    clock::Clock,
    context::Context,
    datagrams::{Ecn, ReceivedDatagrams},
    events::{Poster, Refused},
    flush::SendOutcome,
    handler::{Detached, Ready, SocketHandler},
    limits::{Limits, ServiceSnapshot, Traffic},
    network::Network,
    service::{SocketTransportService, Turn, Wait},
    socket::{SocketKey, UdpOptions},
    socket_io::SocketIo,
    streams::{StreamIo, StreamRead},
    tcp::TcpOptions,
    timers::TimerKey,
    workers::{Job, Workers},
};
