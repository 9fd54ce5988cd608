//! The simulated network: machines, links and faults in one thread and in virtual time.
//!
//! ```text
//!   service  service                                                service
//!   ┌──────────────┐   socket     ┌──── link A → B ────┐    socket  ┌──────────────┐
//!   │  machine A   │──────────────│ loss, queue, rate, │───────────▶│  machine B   │
//!   │  10.0.0.1    │  NAT?        │ delay, corruption… │            │  10.0.0.2    │
//!   │              │◀─────────────└──── link B → A ────┘────────────│              │
//!   └──────────────┘                                                └──────────────┘
//!                  one virtual clock · one seed · one decision trace
//! ```
//!
//! A [`SimulatedNetwork`] gives a [`Network`](crate::Network) for each [machine], on which a
//! [`SocketTransportService`](crate::SocketTransportService) runs as it does on the operating
//! system's; a [`Simulation`] turns the services and moves the clock. Like the real one, the network
//! reports a socket as ready once for what arrived, merges what arrived together, and answers a
//! datagram to a port where nothing is bound, if the machine exists, so that the sender's
//! [`SocketIo::recv`](crate::SocketIo::recv) returns `ConnectionRefused`. [Streams](crate::streams) are
//! reliable bytes over the same links, whose segments meet the same faults; a service that listens
//! ([`Context::listen_tcp`](crate::Context::listen_tcp)) is the other end.
//!
//! [machine]: SimulatedNetwork::host
//!
//! **Same seed, same run.** What chance does to a packet follows from the seed, the link and the
//! packet's ordinal on that link: not from its bytes or length, nor from what other links carry. What
//! a link does with every packet is kept as a [`Trace`]. When a test panics, its network prints the
//! seed and saves the trace, and [`SimulatedNetwork::replay`] plays it again.
//!
//! ```
//! # use std::{net::{IpAddr, Ipv4Addr}, time::Duration};
//! use socket_transport::simulated::{LinkConfig, Simulation};
//!
//! let client = IpAddr::from([10, 0, 0, 1]);
//! let server = IpAddr::from([10, 0, 0, 2]);
//! let simulation = Simulation::new(42);
//! simulation.network().both(client, server, LinkConfig::new().loss(0.05));
//! let network = simulation.network().host(client);
//! // Stack::new(network, limits, app), another one for the server, then simulation.run(…).
//! # drop(network);
//! ```
//!
//! | where | what |
//! |---|---|
//! | `network` | [`SimulatedNetwork`], the handle |
//! | `host` | what a service sees: its machine, its sockets |
//! | `world` | all shared state; events and their times (`schedule`) |
//! | `endpoint`, `packet`, `sending` | sockets: readiness, receive buffers, sends |
//! | `tcp` | streams: segments, repetitions, buffers |
//! | `traffic`, `nat` | the way of a packet |
//! | `link`, `link_config`, `chance` | what befalls it there |
//! | `trace`, `trace_text`, `counts` | what happened |
//! | `simulation`, `node`, `stack` | running services |

mod chance;
mod counts;
mod endpoint;
mod host;
mod link;
mod link_config;
mod nat;
mod network;
mod node;
mod packet;
mod schedule;
mod sending;
mod simulation;
mod stack;
mod tcp;
mod trace;
mod trace_text;
mod traffic;
mod world;

#[cfg(test)]
mod tests;

pub use chance::Chance;
pub use counts::Counts;
pub use link_config::LinkConfig;
pub use network::SimulatedNetwork;
pub use node::Node;
pub use simulation::{Simulation, SimulationError};
pub use stack::Stack;
pub use trace::{Fate, Record, Trace};
pub use trace_text::NotATrace;

pub(crate) use host::{SimulatedHost, SimulatedSocket};
pub(crate) use tcp::{SimulatedListener, SimulatedStream};
