//! The manager's statements, one by one, with scripted engines; and whatever happens to it in whatever
//! order. Each test ends with the check that nothing is left alive.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, its helpers included"
)]

mod ahead;
#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "it has more than is needed here")]
mod common;
mod connection;
mod joining;
mod machine;
mod misdirected;
mod obscure;
mod racing;
mod random;
mod room;
mod statements;
