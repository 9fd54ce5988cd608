//! `RustlsConn` against rustls' own server, in memory.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper of tests fails like the test"
)]

mod ends;
mod garbage;
mod handshake;
mod sessions;
mod support;
mod transfer;
mod verdicts;
