use std::task::Waker;

use super::*;

type Shared = Arc<Inbox<u32, u32>>;

fn inbox() -> Shared {
    Arc::new(Inbox::new(1000, None))
}

fn waker(inbox: &Shared) -> Waker {
    Waker::from(Arc::new(WakeUp::new(Arc::clone(inbox), 0)))
}

fn capacity(inbox: &Shared) -> usize {
    inbox.state.lock().queue.capacity()
}

fn take(inbox: &Shared) -> usize {
    let mut batch = VecDeque::new();
    inbox.take_batch(&mut Vec::new(), &mut batch);
    for posted in &batch {
        if let Posted::WakeUp(wakeup) = posted {
            wakeup.deliver();
        }
    }
    batch.len()
}

#[test]
fn a_wake_never_allocates() {
    let inbox = inbox();
    let wakers: Vec<_> = (0..100).map(|_| waker(&inbox)).collect();
    // Whatever else is posted, the wakers' places stay free.
    for round in 0..3 {
        let (early, late) = wakers.split_at(30 * round);
        early.iter().for_each(Waker::wake_by_ref);
        (0..500).for_each(|event| inbox.post(event));
        let before = capacity(&inbox);
        late.iter().for_each(Waker::wake_by_ref);
        assert_eq!(capacity(&inbox), before);
        assert_eq!(take(&inbox), 600);
    }
    assert_eq!(inbox.counts(), (0, 100));
    drop(wakers);
    assert_eq!(inbox.counts(), (0, 0));
}

#[test]
fn the_alarm_rings_once_for_each_sleep() {
    let inbox = inbox();
    let sleeping = || inbox.state.lock().sleeping;
    inbox.post(1);
    assert!(!sleeping(), "a busy thread is not woken");
    assert!(!inbox.fall_asleep(Requests::default()), "something waits");
    take(&inbox);
    assert!(inbox.fall_asleep(Requests::default()) && sleeping());
    inbox.post(2);
    assert!(!sleeping(), "rung; the next post need not");
}

#[test]
fn a_request_keeps_the_thread_awake_until_it_is_granted() {
    let inbox = inbox();
    inbox.request(|requests| requests.shutdown = true);
    assert!(inbox.has_news(Requests::default()));
    assert!(!inbox.fall_asleep(Requests::default()));
    let requests = inbox.take_batch(&mut Vec::new(), &mut VecDeque::new());
    assert!(requests.shutdown && inbox.fall_asleep(requests));
}

#[test]
fn a_batch_that_was_cut_short_is_finished_first() {
    let inbox = inbox();
    inbox.post(1);
    let mut batch = VecDeque::from([Posted::Event(0)]);
    inbox.take_batch(&mut Vec::new(), &mut batch);
    assert_eq!((batch.len(), inbox.counts().0), (1, 1));
}
