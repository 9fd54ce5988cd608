//! An event-driven streaming HTTP/3 server on quiche, on necko's socket service.
//!
//! Responses of any size go out piece by piece as the engine takes them; request bodies are pulled,
//! so that flow control holds fast clients back; a connection lives until its last transfer is done.
//!
//! ```text
//!   main ── options ──▶ run ──▶ SocketTransportService        (socket thread)
//!                                  │ calls
//!                                  ▼
//!            datagram      ┌──── app ────┐     listener: ids, Retry, new connections
//!            timer    ───▶ │  who is in  │ ──▶ connection: phases, GOAWAY, keep-alive
//!            reply         │  line       │        └─ exchange: requests, uploads
//!                          └─────────────┘              └─ origin ─▶ transfers ─▶ source
//!                                 │                           │         │           ▲
//!                                 ▼                           ▼         ▼           │
//!                            output: GSO runs              files     engine      workers: disk
//! ```
//!
//! Thread: everything runs on the thread that calls [`run()`], except what waits for the disk, which
//! runs on the service's workers. Other threads talk to the server through [`Control`].

mod app;
mod budget;
mod buffer;
mod certificates;
mod conditions;
mod config;
mod connection;
mod control;
mod counter;
mod engine;
mod error;
mod events;
mod exchange;
mod files;
mod guard;
mod heads;
mod intake;
mod keyed;
mod listener;
mod listing;
pub mod options;
mod origin;
mod output;
mod pattern;
mod priority;
mod ranges;
mod representation;
mod requests;
mod response;
mod retry;
mod run;
pub mod signals;
mod snapshot;
mod source;
mod store;
mod transfers;
mod transport;
mod uploads;

pub use crate::{
    certificates::{DemoCertificate, DemoError, make_demo_certificate},
    config::Config,
    control::Control,
    error::Error,
    guard::LimitTotals,
    origin::RequestTotals,
    pattern::byte_at,
    run::{Started, run},
    snapshot::Snapshot,
    transfers::TransferTotals,
};
