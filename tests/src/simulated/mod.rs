//! Fixtures for tests of the whole client stack in the simulated network: virtual time, seeded faults,
//! scripted peers, all in the test's own thread.
//!
//! ```text
//!   Bench ── Simulation ── SimulatedNetwork
//!     ├─ client   Stack<ConnectionMgr>, on neqo or on a scripted engine
//!     └─ peers    Http3ServerPeer   neqo's HTTP/3 server: ordinary behaviour, by path
//!                 RawPeer           neqo's QUIC under hand-made HTTP/3: anything else
//!                 SilentPeer        bound, and never answers
//!                 BabblingPeer      datagrams that no engine would send
//!                 ScriptServer      bytes over TCP and TLS, act by act
//! ```
//!
//! A test makes a [`Bench`], puts peers and host names on it, sends requests ([`Fetch`]), and moves time
//! until something holds. When the bench is dropped it [closes everything](Bench#the-end-of-a-test) and
//! checks that nothing is left alive.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "fixtures fail like the test that uses them"
)]

mod babbler;
mod bench;
mod bench_end;
mod bench_nodes;
mod budget;
mod counted_engine;
mod ech;
mod fetch;
mod http3_server;
mod machine;
mod names;
#[path = "../../../neqo_glue/src/testing/nss_db.rs"]
#[expect(dead_code, reason = "the file has more than is needed here")]
mod nss_db;
mod pipes;
mod qpack;
pub mod random;
mod raw_connection;
mod raw_peer;
mod raw_request;
mod responses;
mod script_server;
mod sessions;
mod setup;
mod silent_peer;
mod web_transport_server;

pub use babbler::BabblingPeer;
pub use bench::{
    Bench, CLIENT, CLIENT_V6, HOST, MINUTE, MS, OTHER, PORT, SECOND, SERVER, SERVER_V6,
};
pub use ech::EchKeys;
pub use fetch::{Ask, Fetch};
pub use http3_server::{Http3ServerPeer, Seen};
pub use machine::{Endpoint, Peer};
pub use names::Names;
pub use qpack::header_block;
pub use raw_connection::RawConnection;
pub use raw_peer::RawPeer;
pub use raw_request::RawRequest;
pub use script_server::{Act, Heard, ScriptServer};
pub use sessions::{Connect, Stream, now};
pub use setup::{Setup, Trust};
pub use silent_peer::SilentPeer;
pub use web_transport_server::{ServerSession, ServerStream, WebTransportServer};
