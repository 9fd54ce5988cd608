//! What other threads can do with a running server.

use std::{sync::mpsc, time::Duration};

use socket_transport::Poster;

use crate::{
    Snapshot,
    events::{Event, Reply, Target},
};

/// Talks to a running server from any thread. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Control {
    poster: Poster<Target, Event>,
}

impl Control {
    pub(crate) fn new(poster: Poster<Target, Event>) -> Self {
        Self { poster }
    }

    /// Asks for a graceful end: no new requests, transfers finish until the deadline of
    /// [`Config::shutdown_timeout`](crate::Config), then every connection is closed with a frame.
    pub fn shut_down(&self) {
        self.poster.request_shutdown();
    }

    /// What is alive now. None if the server has ended.
    pub fn snapshot(&self) -> Option<Snapshot> {
        self.ask(Event::Report, None)
    }

    /// Waits until nothing is alive that belongs to a client. None if that takes longer than
    /// `patience`, or if the server has ended.
    pub fn wait_until_empty(&self, patience: Duration) -> Option<Snapshot> {
        self.ask(Event::ReportWhenEmpty, Some(patience))
    }

    fn ask(
        &self,
        question: impl FnOnce(Reply) -> Event,
        patience: Option<Duration>,
    ) -> Option<Snapshot> {
        let (sender, receiver) = mpsc::channel();
        // Nobody listening any more is no error. A server that ends drops the reply, and with it the
        // sender, which ends the wait.
        let reply: Reply = Box::new(move |snapshot| drop(sender.send(snapshot)));
        self.poster.submit(question(reply)).ok()?;
        match patience {
            Some(patience) => receiver.recv_timeout(patience).ok(),
            None => receiver.recv().ok(),
        }
    }
}
