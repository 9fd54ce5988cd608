//! Transactions that wait for a connection. Necko's class is `PendingTransactionQueue`.

use std::collections::{BTreeMap, VecDeque};

use transaction::{HttpTransaction, TabId, TransactionId};

/// The order in which transactions of one entry get connections:
///
/// 1. those that the user waits for (`urgent_start`);
/// 2. those of the tab in front;
/// 3. those of the other tabs, one tab after the other.
///
/// In each of these the more urgent (RFC 9218) come first, and among equals those that came first.
#[derive(Debug, Default)]
pub(crate) struct PendingTransactionQueue {
    urgent: Line,
    tabs: BTreeMap<TabId, Line>,
    /// Whose turn it was last among the tabs that are not in front.
    served: Option<TabId>,
}

impl PendingTransactionQueue {
    pub(crate) fn push(&mut self, transaction: Box<HttpTransaction>) {
        self.line_of(&transaction).push(transaction);
    }

    /// Puts one back that could not be dispatched after all.
    pub(crate) fn push_front(&mut self, transaction: Box<HttpTransaction>) {
        self.line_of(&transaction).push_front(transaction);
    }

    fn line_of(&mut self, transaction: &HttpTransaction) -> &mut Line {
        let class = transaction.class_of_service();
        if class.urgent_start { &mut self.urgent } else { self.tabs.entry(class.tab).or_default() }
    }

    /// Takes the next one, when the tab in front is `current`.
    pub(crate) fn pop(&mut self, current: TabId) -> Option<Box<HttpTransaction>> {
        if let Some(transaction) = self.urgent.0.pop_front() {
            return Some(transaction);
        }
        let tab = if self.tabs.contains_key(&current) { current } else { self.next_tab()? };
        let line = self.tabs.get_mut(&tab)?;
        let transaction = line.0.pop_front();
        if line.0.is_empty() {
            self.tabs.remove(&tab);
        }
        transaction
    }

    fn next_tab(&mut self) -> Option<TabId> {
        let after = self.served.map_or(TabId(0), |TabId(last)| TabId(last.saturating_add(1)));
        let mut next = self.tabs.range(after..).next();
        if next.is_none() {
            next = self.tabs.iter().next();
        }
        self.served = next.map(|(tab, _)| *tab);
        self.served
    }

    pub(crate) fn remove(&mut self, id: TransactionId) -> Option<Box<HttpTransaction>> {
        let removed = self.lines().find_map(|line| line.remove(id));
        self.tabs.retain(|_, line| !line.0.is_empty());
        removed
    }

    /// Its urgency has changed.
    pub(crate) fn reprioritize(&mut self, id: TransactionId) {
        if let Some(transaction) = self.remove(id) {
            self.push(transaction);
        }
    }

    pub(crate) fn take_all(&mut self) -> VecDeque<Box<HttpTransaction>> {
        let all = self.lines().flat_map(|line| std::mem::take(&mut line.0)).collect();
        self.tabs.clear();
        all
    }

    pub(crate) fn get_mut(&mut self, id: TransactionId) -> Option<&mut HttpTransaction> {
        let mut waiting = self.lines().flat_map(|line| line.0.iter_mut());
        waiting.find(|transaction| transaction.id() == id).map(AsMut::as_mut)
    }

    /// Whether one of them was tried before.
    pub(crate) fn has_retry(&self) -> bool {
        let lines = std::iter::once(&self.urgent).chain(self.tabs.values());
        lines.flat_map(|line| &line.0).any(|transaction| transaction.is_retry())
    }

    fn lines(&mut self) -> impl Iterator<Item = &mut Line> {
        std::iter::once(&mut self.urgent).chain(self.tabs.values_mut())
    }

    pub(crate) fn len(&self) -> usize {
        self.urgent.0.len() + self.tabs.values().map(|line| line.0.len()).sum::<usize>()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.urgent.0.is_empty() && self.tabs.is_empty()
    }
}

/// In order of urgency, and of arrival among equals.
#[derive(Debug, Default)]
struct Line(VecDeque<Box<HttpTransaction>>);

impl Line {
    fn push(&mut self, transaction: Box<HttpTransaction>) {
        let urgency = urgency(&transaction);
        let at = self.0.partition_point(|other| self::urgency(other) <= urgency);
        self.0.insert(at, transaction);
    }

    fn push_front(&mut self, transaction: Box<HttpTransaction>) {
        let urgency = urgency(&transaction);
        let at = self.0.partition_point(|other| self::urgency(other) < urgency);
        self.0.insert(at, transaction);
    }

    fn remove(&mut self, id: TransactionId) -> Option<Box<HttpTransaction>> {
        let index = self.0.iter().position(|waiting| waiting.id() == id)?;
        self.0.remove(index)
    }
}

fn urgency(transaction: &HttpTransaction) -> u8 {
    transaction.request().priority.urgency()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};
    use transaction::{
        ClassOfService, ConnectionInfo, PendingResponse, Priority, RequestBody, RequestHead,
    };

    use super::*;

    /// A queue, and the other halves of what is in it.
    #[derive(Default)]
    struct Queue {
        queue: PendingTransactionQueue,
        responses: Vec<PendingResponse>,
    }

    impl Queue {
        fn add(&mut self, id: u64, tab: u64, urgency: u8, urgent_start: bool) {
            let fields = HeaderMap::new();
            let mut head =
                RequestHead::new(Method::GET, "https", "necko.test", "/", &fields).unwrap();
            head.priority = Priority::new(urgency, false);
            let info = ConnectionInfo::new("necko.test", 443);
            let (mut transaction, response) =
                HttpTransaction::new(TransactionId(id), info, head, RequestBody::Empty);
            transaction.set_class_of_service(ClassOfService { urgent_start, tab: TabId(tab) });
            self.queue.push(transaction);
            self.responses.push(response);
        }

        fn order(&mut self, current: u64) -> Vec<u64> {
            let next = || self.queue.pop(TabId(current)).map(|transaction| transaction.id().0);
            std::iter::from_fn(next).collect()
        }
    }

    #[test]
    fn equals_are_first_come_first_served() {
        let mut queue = Queue::default();
        (1..=5).for_each(|id| queue.add(id, 0, 3, false));
        assert_eq!(queue.order(0), [1, 2, 3, 4, 5]);
        assert!(queue.queue.is_empty());
    }

    #[test]
    fn urgent_starts_go_before_all_and_then_by_urgency() {
        let mut queue = Queue::default();
        queue.add(1, 0, 3, false);
        queue.add(2, 0, 1, false);
        queue.add(3, 0, 5, true);
        queue.add(4, 0, 1, false);
        queue.add(5, 0, 2, true);
        assert_eq!(queue.order(0), [5, 3, 2, 4, 1]);
    }

    #[test]
    fn the_tab_in_front_goes_first_and_the_others_take_turns() {
        let mut queue = Queue::default();
        for (id, tab) in [(1, 7), (2, 7), (3, 8), (4, 8), (5, 9), (6, 9)] {
            queue.add(id, tab, 3, false);
        }
        assert_eq!(queue.order(9), [5, 6, 1, 3, 2, 4]);
    }

    #[test]
    fn one_that_is_put_back_is_the_next_of_its_urgency() {
        let mut queue = Queue::default();
        (1..=3).for_each(|id| queue.add(id, 0, 3, false));
        queue.add(4, 0, 1, false);
        queue.queue.pop(TabId(0)).unwrap();
        let back = queue.queue.pop(TabId(0)).unwrap();
        queue.add(5, 0, 0, false);
        queue.add(6, 0, 7, false);
        queue.queue.push_front(back);
        assert_eq!(queue.order(0), [5, 1, 2, 3, 6]);
    }

    #[test]
    fn m15_m17_one_that_is_taken_out_is_nowhere_any_more() {
        let mut queue = Queue::default();
        (1..=3).for_each(|id| queue.add(id, id, 3, false));
        assert_eq!(queue.queue.remove(TransactionId(2)).unwrap().id(), TransactionId(2));
        assert!(queue.queue.remove(TransactionId(2)).is_none());
        assert!(queue.queue.get_mut(TransactionId(2)).is_none());
        assert_eq!((queue.queue.len(), queue.queue.take_all().len()), (2, 2));
        assert!(queue.queue.is_empty());
    }
}
