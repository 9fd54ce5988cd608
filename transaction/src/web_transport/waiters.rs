//! The tasks that wait for something of one session, or of one stream.

use std::task::Waker;

/// Where a task stands among the others, if it waits.
pub(super) type Place = Option<u64>;

/// Tasks that wait, each at its [`Place`]: however often one is polled it is there once, and one that gives up
/// [`leave`](Self::leave)s.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    next: u64,
    waiting: Vec<(u64, Waker)>,
}

impl Waiters {
    /// Has `waker` woken with the others, and what it registered at this place before no more.
    pub(super) fn register(&mut self, place: &mut Place, waker: &Waker) {
        let waiting = self.waiting.iter_mut().find(|(number, _)| Some(*number) == *place);
        if let Some((_, registered)) = waiting {
            registered.clone_from(waker);
            return;
        }
        let number = self.next;
        self.next = number.wrapping_add(1);
        self.waiting.push((number, waker.clone()));
        *place = Some(number);
    }

    /// Wakes it no more.
    pub(super) fn leave(&mut self, place: Place) {
        self.waiting.retain(|(number, _)| Some(*number) != place);
    }

    /// All of them, to be woken outside of the lock.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Waker> + use<> {
        std::mem::take(&mut self.waiting).into_iter().map(|(_, waker)| waker)
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, task::Wake};

    use super::*;

    struct Task;

    impl Wake for Task {
        fn wake(self: Arc<Self>) {}
    }

    #[test]
    fn a_task_has_one_place_until_it_leaves_or_is_woken() {
        let (first, second) = (Arc::new(Task), Arc::new(Task));
        let (mut waiters, mut place, mut other) = (Waiters::default(), None, None);
        waiters.register(&mut place, &Arc::clone(&first).into());
        waiters.register(&mut other, &Arc::clone(&first).into());
        waiters.register(&mut place, &Arc::clone(&second).into());
        assert_eq!((Arc::strong_count(&first), Arc::strong_count(&second)), (2, 2));
        waiters.leave(place);
        assert_eq!((Arc::strong_count(&first), Arc::strong_count(&second)), (2, 1));
        assert_eq!(waiters.take().count(), 1);
        waiters.leave(other);
        waiters.register(&mut other, &Arc::clone(&second).into());
        assert_eq!(waiters.take().count(), 1, "who was woken can wait again");
    }
}
