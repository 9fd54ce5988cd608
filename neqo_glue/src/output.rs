//! neqo's datagrams on their way into the batch for one send.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use http3_session::EngineOutput;
use neqo_common::Datagram;
use neqo_http3::{Http3Client, Output};
use socket_transport::Ecn;

use crate::input;

/// neqo may ask to be called again at once; a timer of zero would spin. (Firefox does the same.)
const MIN_CALLBACK: Duration = Duration::from_millis(1);

/// The smallest packet that QUIC's paths must carry (RFC 9000 §14), so never too large.
const MIN_PACKET: u16 = 1280;

/// Headers in front of a datagram: IP and UDP.
const HEADERS_V4: usize = 20 + 8;
const HEADERS_V6: usize = 40 + 8;

/// What stands between neqo's output and the batch.
#[derive(Debug)]
pub(crate) struct Outlet {
    /// The datagram that the last batch had no room for; it is the first of the next.
    held: Option<Datagram>,
    /// Packets above this size, headers included, aren't sent.
    max_packet: Option<u16>,
}

impl Outlet {
    /// An outlet for packets of up to `max_packet` bytes; None leaves neqo its way.
    pub(crate) fn new(max_packet: Option<u16>) -> Self {
        Self { held: None, max_packet: max_packet.map(|max| max.max(MIN_PACKET)) }
    }

    /// Moves datagrams from neqo to `push` until that refuses one, which is kept for the next call.
    ///
    /// neqo's search for larger packets knows no upper limit but the interface's. A probe above ours is
    /// thrown away here: to neqo, the path didn't carry it, and after three such losses it stays with
    /// the largest size that was confirmed. Whatever else the probe carried is sent again, as after any
    /// loss.
    pub(crate) fn fill(
        &mut self,
        client: &mut Http3Client,
        mut push: impl FnMut(SocketAddr, Ecn, &[u8]) -> bool,
        now: Instant,
    ) -> EngineOutput {
        loop {
            let datagram = match self.held.take() {
                Some(held) => held,
                None => match client.process_output(now) {
                    Output::Datagram(datagram) => datagram,
                    Output::Callback(delay) => return callback(delay),
                    Output::None => return EngineOutput::None,
                },
            };
            if self.is_too_large(&datagram) {
                log::debug!("a probe of {} bytes is above the limit: not sent", datagram.len());
            } else if !push(datagram.destination(), input::ecn(datagram.tos()), &datagram) {
                self.held = Some(datagram);
                return EngineOutput::BatchFull;
            }
        }
    }

    fn is_too_large(&self, datagram: &Datagram) -> bool {
        let headers = match datagram.destination().ip() {
            IpAddr::V4(_) => HEADERS_V4,
            IpAddr::V6(_) => HEADERS_V6,
        };
        self.max_packet.is_some_and(|max| datagram.len() + headers > usize::from(max))
    }
}

fn callback(delay: Duration) -> EngineOutput {
    EngineOutput::Callback(delay.max(MIN_CALLBACK))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_is_never_due_at_once() {
        assert_eq!(callback(Duration::ZERO), EngineOutput::Callback(MIN_CALLBACK));
        let second = Duration::from_secs(1);
        assert_eq!(callback(second), EngineOutput::Callback(second));
    }
}
