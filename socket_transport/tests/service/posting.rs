//! Posting from other threads: bounds, order, wake-ups.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::Waker,
    thread,
};

use socket_transport::{Limits, Poster, Refused, Turn};

use crate::app::{App, Call, service, service_with, turn, turn_until};

#[test]
fn submissions_are_bounded_and_given_back() {
    let mut service = service_with(Limits { max_submissions: 2, ..Limits::default() });
    let poster = service.poster();
    assert_eq!((poster.submit(0), poster.submit(1)), (Ok(()), Ok(())));
    let refused = poster.submit(2).unwrap_err();
    assert_eq!(refused, Refused::Full(2));
    assert_eq!(refused.into_inner(), 2);
    // What is bounded by something else passes.
    poster.post(3);

    let mut app = App::new(|_, _| ());
    let _ = turn(&mut service, &mut app);
    assert_eq!(app.take_calls(), [Call::Event(0), Call::Event(1), Call::Event(3)]);
    assert_eq!(poster.submit(4), Ok(()));
}

#[test]
fn many_wakes_are_one_wakeup_in_its_place_among_the_events() {
    let mut service = service();
    let poster = service.poster();
    let (waker, other) = (poster.waker(7), poster.waker(8));
    let clone = waker.clone();
    poster.post(1);
    waker.wake_by_ref();
    poster.post(2);
    other.wake_by_ref();
    clone.wake_by_ref();
    waker.wake();
    let mut app = App::new(|_, _| ());
    let _ = turn(&mut service, &mut app);
    assert_eq!(app.calls, [Call::Event(1), Call::Wakeup(7), Call::Event(2), Call::Wakeup(8)]);
    assert_eq!(service.snapshot().wakers, 2);
    drop((clone, other));
    assert_eq!(service.snapshot().wakers, 0);
}

#[test]
fn a_wake_during_its_wakeup_leads_to_another_one_in_the_next_turn() {
    let mut service = service();
    let waker = service.poster().waker(7);
    waker.wake_by_ref();
    let again = waker.clone();
    let mut left = 2;
    let mut app = App::new(|_, _| {
        if left > 0 {
            left -= 1;
            again.wake_by_ref();
        }
    });
    for wakeups in 1..=3 {
        assert_eq!(turn(&mut service, &mut app), Turn::Worked);
        assert_eq!(app.calls.len(), wakeups);
    }
    assert_eq!(turn(&mut service, &mut app), Turn::Idle);
}

#[test]
fn a_waker_dropped_while_its_wakeup_waits_is_delivered_and_forgotten() {
    let mut service = service();
    service.poster().waker(7).wake();
    assert_eq!(service.snapshot().wakers, 1);
    let mut app = App::new(|_, _| ());
    let _ = turn(&mut service, &mut app);
    assert_eq!(app.calls, [Call::Wakeup(7)]);
    assert_eq!(service.snapshot().wakers, 0);
}

/// An event whose destructor posts, as a reclaim does.
struct PostsWhenDropped(Poster<u32, PostsWhenDropped>, Waker);

impl Drop for PostsWhenDropped {
    fn drop(&mut self) {
        self.1.wake_by_ref();
        assert!(self.0.is_shut_down());
    }
}

#[test]
fn what_is_dropped_at_the_end_may_post() {
    let network = socket_transport::Network::operating_system();
    let service =
        socket_transport::SocketTransportService::new(network, Limits::default()).unwrap();
    let poster: Poster<u32, PostsWhenDropped> = service.poster();
    let event = || PostsWhenDropped(poster.clone(), poster.waker(1));
    poster.post(event());
    drop(service);
    poster.post(event());
    assert!(poster.submit(event()).is_err());
}

#[test]
fn a_post_from_another_thread_ends_the_poll() {
    let mut service = service();
    let mut app = App::new(|_, _| ());
    for event in 0..100 {
        let poster = service.poster();
        let thread = thread::spawn(move || poster.submit(event).unwrap());
        turn_until(&mut service, &mut app, |app| app.calls.contains(&Call::Event(event)));
        thread.join().unwrap();
    }
}

#[test]
fn no_wake_is_lost_between_threads() {
    const WAKES: u32 = 20_000;
    let mut service = service();
    let counters =
        [1, 2].map(|target| (Arc::new(AtomicU32::new(0)), service.poster().waker(target)));
    let threads = counters.each_ref().map(|(counter, waker)| {
        let (counter, waker) = (Arc::clone(counter), waker.clone());
        thread::spawn(move || {
            for _ in 0..WAKES {
                counter.fetch_add(1, Ordering::Relaxed);
                waker.wake_by_ref();
            }
        })
    });
    // Only what a wake-up shows is counted: a lost one would leave the sum short for ever.
    let mut seen = [0, 0];
    let mut app = App::new(|ctx, call| {
        if let Call::Wakeup(target) = call {
            let index = *target as usize - 1;
            seen[index] = counters[index].0.load(Ordering::Relaxed);
            if seen == [WAKES, WAKES] {
                ctx.poster().post(0);
            }
        }
    });
    turn_until(&mut service, &mut app, |app| app.calls.last() == Some(&Call::Event(0)));
    drop(app);
    for thread in threads {
        thread.join().unwrap();
    }
}
