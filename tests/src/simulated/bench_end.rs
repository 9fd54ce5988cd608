//! The end of a bench: see [there](Bench#the-end-of-a-test).

use std::{sync::Arc, time::Duration};

use socket_transport::simulated::{Node as _, SimulationError};

use super::{
    Bench,
    bench_nodes::{Nodes, is_empty},
};

/// How long an orderly close may take: shorter than any idle timeout, so that it proves a close.
const CLOSING: Duration = Duration::from_secs(20);

impl Bench {
    /// Ends the test, as dropping the bench does.
    ///
    /// # Errors
    /// What is alive and should not be, in words. Dropping the bench does not check again.
    pub fn end(&mut self) -> Result<(), String> {
        self.ended = true;
        if !self.nodes.client.is_stopped() {
            if !self.witnesses.scripted {
                self.close_everything()?;
                self.expect_nothing()?;
            }
            self.shutdown();
        }
        self.expect_nothing()
    }

    fn close_everything(&mut self) -> Result<(), String> {
        self.close_persistent_connections();
        let empty = |nodes: &mut Nodes| is_empty(&mut nodes.client).is_ok();
        match self.simulation.run(&mut self.nodes, empty, CLOSING) {
            Ok(()) => Ok(()),
            // What is left says more than that it was waited for.
            Err(SimulationError::TimedOut { .. } | SimulationError::Stalled { .. }) => {
                self.expect_nothing()
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Looks for what is alive now. A test that still holds a response or a writer finds its pipe here.
    ///
    /// # Errors
    /// All of it, in words.
    pub fn expect_nothing(&mut self) -> Result<(), String> {
        let left = self.expect_nothing_but_pipes().err();
        let pipes = [
            (self.responses(), "response pipes, by their reference counts"),
            (self.request_bodies(), "pipes of request bodies, by their reference counts"),
            (self.web_transport(), "sessions and streams of WebTransport, by theirs"),
        ];
        join(left, pipes)
    }

    /// The same without the pipes, which a test may still hold.
    pub(super) fn expect_nothing_but_pipes(&mut self) -> Result<(), String> {
        let left = is_empty(&mut self.nodes.client).err();
        let (verifier, names) = (&self.witnesses.verifier, &self.witnesses.names);
        let counts = [
            (self.engines(), "engines, by their own count"),
            (self.transactions(), "transactions, by what their heads keep"),
            (self.sockets().len(), "sockets, by the network's count"),
            // The bench and the manager have one each; jobs and others have none any more.
            (Arc::strong_count(verifier).saturating_sub(2), "holders of the verifier"),
            (Arc::strong_count(names).saturating_sub(2), "holders of the resolver"),
            (usize::from(self.nodes.client.next_deadline().is_some()), "deadlines of the service"),
        ];
        join(left, counts)
    }
}

fn join<const N: usize>(left: Option<String>, counts: [(usize, &str); N]) -> Result<(), String> {
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    let left: Vec<_> =
        left.into_iter().chain(counts.map(|(count, what)| format!("{count} {what}"))).collect();
    if left.is_empty() { Ok(()) } else { Err(left.join("; ")) }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if std::thread::panicking() || self.ended {
            return;
        }
        if let Err(left) = self.end() {
            panic!("at the end of the test: {left}; {:#?}", self.snapshot());
        }
    }
}
