//! The whole client stack in virtual time, on a simulated network, against scripted peers.
//!
//! A test's name says what it shows; `h17_…` are the statements of necko's lifecycle that
//! `docs/differences-from-necko.md` refers to. Every test ends with the [bench](tests::simulated::Bench)'s
//! own check that nothing is left alive.

#![cfg(test)]

mod backpressure;
mod bad_input;
mod breaking;
mod cancelling;
mod chains;
mod ech;
mod endings;
mod failing;
mod fetching;
mod five_endings;
mod framing;
mod hostile;
mod http1;
mod lifecycle;
mod manager;
mod manager_limits;
mod option_texts;
mod planted_leaks;
mod racing;
mod random;
mod reclaiming;
mod restarting;
mod resuming;
mod scripted_engine;
mod slow_readers;
mod stream_ends;
mod streaming;
mod time_limits;
mod timings;
mod uploading;
mod uploads;
mod weather;
mod web_transport;
