//! What runs on a bench.

use std::{io, time::Instant};

use connection_mgr::{ConnectionMgr, Snapshot};
use socket_transport::{
    simulated::{Node, Stack},
    walk::{self, Step},
};

use super::budget::Budget;

/// The stack that is tested.
pub(super) type Client = Stack<ConnectionMgr>;

/// The client and its peers.
pub(super) struct Nodes {
    pub(super) client: Client,
    pub(super) peers: Vec<Box<dyn Node>>,
    /// The client's steps, while they are recorded. (The peers run on the same kind of service, and make
    /// steps of the same names.)
    pub(super) steps: Option<Vec<Step>>,
    pub(super) budget: Budget,
}

impl Node for Nodes {
    fn turn(&mut self) -> io::Result<bool> {
        let Self { client, peers, steps, budget } = self;
        let worked = match steps {
            None => client.turn(),
            Some(steps) => {
                let mut worked = Ok(false);
                steps.extend(walk::record(|| worked = client.turn()));
                worked
            }
        };
        budget.check(client.service().snapshot());
        Ok(worked? | peers.turn()?)
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.client.next_deadline().into_iter().chain(self.peers.next_deadline()).min()
    }
}

/// What is alive in the client.
pub(super) fn snapshot(client: &mut Client) -> Snapshot {
    client.call(|mgr, ctx| mgr.snapshot(ctx))
}

/// Whether anything is.
pub(super) fn is_empty(client: &mut Client) -> Result<(), String> {
    snapshot(client).expect_empty()
}
