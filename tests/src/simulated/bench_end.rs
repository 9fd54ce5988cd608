//! The end of a bench: see [there](Bench#the-end-of-a-test).

use std::{sync::Arc, time::Duration};

use super::{
    Bench,
    bench_nodes::{Nodes, is_empty},
};

/// How long an orderly close may take: shorter than any idle timeout, so that it proves a close.
const CLOSING: Duration = Duration::from_secs(20);

impl Bench {
    fn close_everything(&mut self) {
        self.close_persistent_connections();
        let empty = |nodes: &mut Nodes| is_empty(&mut nodes.client).is_ok();
        if let Err(error) = self.simulation.run(&mut self.nodes, empty, CLOSING) {
            let left = is_empty(&mut self.nodes.client);
            panic!("at the end of the test: {error}: {left:?}; {:#?}", self.snapshot());
        }
    }

    fn expect_nothing(&mut self) {
        assert_eq!(is_empty(&mut self.nodes.client), Ok(()), "at the end of the test");
        assert_eq!(self.engines(), 0, "engines are alive at the end of the test");
        assert_eq!(self.transactions(), 0, "transactions are alive at the end of the test");
        // The bench and the manager have one each; jobs and others have none any more.
        assert_eq!(Arc::strong_count(&self.witnesses.verifier), 2, "somebody still verifies");
        assert_eq!(Arc::strong_count(&self.witnesses.names), 2, "somebody still looks up");
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        if !self.nodes.client.is_stopped() {
            if !self.witnesses.scripted {
                self.close_everything();
                self.expect_nothing();
            }
            self.shutdown();
        }
        self.expect_nothing();
    }
}
