//! Fixtures for tests on real sockets: our programs, started as processes, and peers of other making.
//!
//! ```text
//!   ServerProcess   necko-server (quiche)      NeckoCommand   necko (neqo)
//!   QuinnServer     h3 on quinn, in process    QuinnClient    the same, as a client
//!   Http1Server     HTTP/1.1 over rustls, in process: what the test says
//!   Caddy           Debian's caddy (quic-go)   Chromium       Debian's chromium
//! ```
//!
//! Every wait is for the event itself (a line on a pipe, the end of a process, a message) and has a
//! deadline. What a fixture starts ends when the fixture is dropped.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "fixtures fail like the test that uses them"
)]

mod aioquic_server;
mod caddy;
mod certificates;
mod chromium;
mod client;
mod dead_port;
mod http1_server;
mod lasting_port;
mod necko_command;
pub mod pattern;
mod peers;
mod process;
mod programs;
mod quinn_answers;
mod quinn_client;
mod quinn_ranges;
mod quinn_server;
mod quinn_service;
mod resources;
mod server_process;
mod time;
mod wtransport_server;

pub use aioquic_server::AioquicServer;
pub use caddy::Caddy;
pub use certificates::{Identity, TestCa};
pub use chromium::Chromium;
pub use client::{Client, fetch, read_all, read_to_end, wait_until_empty};
pub use dead_port::DeadPort;
pub use http1_server::{Http1Connection, Http1Server, ReceivedRequest, tls};
pub use lasting_port::lasting_address;
pub use necko_command::{Finished, NeckoCommand, RunningNecko};
pub use peers::{ipv6_loopback, skip};
pub use process::Process;
pub use quinn_answers::ChosenAnswer;
pub use quinn_client::{Exchange, Fetched, QuinnClient};
pub use quinn_ranges::Resource;
pub use quinn_server::{QuinnOptions, QuinnServer};
pub use quinn_service::ServerEvent;
pub use resources::{
    Resources, allow_all_descriptors, in_a_process_of_its_own, in_soak, own_peak_memory,
    own_processor_time, own_resident_memory, tell,
};
pub use server_process::ServerProcess;
pub use time::{DEADLINE, block_on, pause, wait_until, within};
pub use wtransport_server::WtransportServer;
