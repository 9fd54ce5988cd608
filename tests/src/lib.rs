//! What the whole-stack tests share.

pub mod loopback;
pub mod simulated;
