//! The connection over TCP on the simulated network, step by step: how it comes about, is used again, idles and
//! ends. TLS is a toy here, whose records the test's server writes; rustls' own tests are elsewhere.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking, its helpers included"
)]

mod coming_about;
mod ending;
mod fixture;
mod idling;
mod server;
mod streaming;
mod toy_tls;
