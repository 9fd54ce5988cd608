//! Pipes that are counted by asking them, and not by asking a snapshot.

use std::cell::RefCell;

use transaction::Witness;

/// The pipes of one kind that a bench has made.
#[derive(Debug, Default)]
pub(super) struct Pipes(RefCell<Vec<Witness>>);

impl Pipes {
    pub(super) fn add(&self, pipe: Option<Witness>) {
        self.0.borrow_mut().extend(pipe);
    }

    /// How many are held by anybody.
    pub(super) fn alive(&self) -> usize {
        let mut pipes = self.0.borrow_mut();
        pipes.retain(Witness::is_alive);
        pipes.len()
    }
}
