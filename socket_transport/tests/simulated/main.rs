//! Services in the simulated network: what is true of the whole, from an application's send to
//! another application's reading.

#![expect(clippy::unwrap_used, reason = "what tests share panics like a test")]

mod blocking;
mod honesty;
mod inactivity;
mod line;
mod peer;
mod runs;
mod services;
mod streams;
