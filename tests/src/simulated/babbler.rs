//! A peer that says whatever a test wants, to whom it wants.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    time::Instant,
};

use neqo_common::{Datagram, IpTos};
use neqo_transport::Output;

use super::{Endpoint, PORT};

type Answer = Box<dyn FnMut(&[u8]) -> Vec<Vec<u8>>>;

/// See the module page.
pub struct BabblingPeer {
    local: SocketAddr,
    outbox: VecDeque<Datagram>,
    answer: Option<Answer>,
    /// Datagrams that reached it.
    pub heard: usize,
}

impl BabblingPeer {
    pub(super) fn new(machine: IpAddr) -> Self {
        let local = SocketAddr::new(machine, PORT);
        Self { local, outbox: VecDeque::new(), answer: None, heard: 0 }
    }

    /// Sends this.
    pub fn say(&mut self, to: SocketAddr, bytes: Vec<u8>) {
        self.outbox.push_back(Datagram::new(self.local, to, IpTos::default(), bytes));
    }

    /// What to answer to each datagram.
    pub fn on_datagram(&mut self, answer: impl FnMut(&[u8]) -> Vec<Vec<u8>> + 'static) {
        self.answer = Some(Box::new(answer));
    }
}

impl Endpoint for BabblingPeer {
    fn input(&mut self, datagram: Datagram, _: Instant) -> Option<Datagram> {
        self.heard += 1;
        let answers = self.answer.as_mut().map(|answer| answer(&datagram)).unwrap_or_default();
        for bytes in answers {
            self.say(datagram.source(), bytes);
        }
        None
    }

    fn output(&mut self, _: Instant) -> Output {
        self.outbox.pop_front().map_or(Output::None, Output::Datagram)
    }
}
