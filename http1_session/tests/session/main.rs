//! What the session says and hears, byte for byte: scripted peers, without sockets.

#![cfg(test)]

mod common;
mod endings;
mod framing;
mod random;
mod requests;
mod restarts;
mod reuse;
mod splitting;
