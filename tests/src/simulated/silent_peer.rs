//! A peer that hears everything and says nothing.

use std::time::Instant;

use neqo_common::Datagram;
use neqo_transport::Output;

use super::Endpoint;

/// Bound, and never answers.
#[derive(Debug, Default)]
pub struct SilentPeer {
    /// Datagrams that reached it.
    pub heard: usize,
}

impl Endpoint for SilentPeer {
    fn input(&mut self, _: Datagram, _: Instant) -> Option<Datagram> {
        self.heard += 1;
        None
    }

    fn output(&mut self, _: Instant) -> Output {
        Output::None
    }
}
