//! Transactions that wait for a connection. Necko's class is `PendingTransactionQueue`.

use std::collections::VecDeque;

use transaction::{HttpTransaction, TransactionId};

/// First in, first out.
#[derive(Debug, Default)]
pub(crate) struct PendingTransactionQueue {
    transactions: VecDeque<Box<HttpTransaction>>,
}

impl PendingTransactionQueue {
    pub(crate) fn push(&mut self, transaction: Box<HttpTransaction>) {
        self.transactions.push_back(transaction);
    }

    /// Puts one back that could not be dispatched after all.
    pub(crate) fn push_front(&mut self, transaction: Box<HttpTransaction>) {
        self.transactions.push_front(transaction);
    }

    pub(crate) fn pop(&mut self) -> Option<Box<HttpTransaction>> {
        self.transactions.pop_front()
    }

    pub(crate) fn remove(&mut self, id: TransactionId) -> Option<Box<HttpTransaction>> {
        let index = self.transactions.iter().position(|waiting| waiting.id() == id)?;
        self.transactions.remove(index)
    }

    pub(crate) fn take_all(&mut self) -> VecDeque<Box<HttpTransaction>> {
        std::mem::take(&mut self.transactions)
    }

    pub(crate) fn get_mut(&mut self, id: TransactionId) -> Option<&mut HttpTransaction> {
        self.transactions.iter_mut().find(|waiting| waiting.id() == id).map(AsMut::as_mut)
    }

    pub(crate) fn len(&self) -> usize {
        self.transactions.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.transactions.is_empty()
    }
}
