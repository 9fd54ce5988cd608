//! What a transaction shares with its consumer: the response head, the pipe, and the consumer's wishes. A
//! WebTransport stream has one as well, of which it uses the pipe and the wishes.
//!
//! One lock guards head and pipe. The socket thread takes it for each piece of a body, not for each
//! packet, and neither side ever waits for the other while it holds the lock.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, Waker},
};

use bytes::Bytes;
use http::HeaderMap;
use parking_lot::{Condvar, Mutex};

use crate::{
    early_data::EarlyData,
    error::NetError,
    head::{Priority, ResponseHead},
    pipe::{Pipe, Read},
    timings::SharedTimings,
    wishing::Wishing,
};

/// A consumer that has read so much, and leaves no more than so much in the pipe, keeps up.
const ENOUGH_TO_TELL: u64 = 64 * 1024;
const LITTLE_LEFT: u64 = 16 * 1024;

/// What the consumer wants of the socket thread; each is a bit, so wishing twice is wishing once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent wishes")]
pub struct Wishes {
    /// The application lost interest.
    pub cancel: bool,
    /// The pipe has space again (necko's `TransactionHasDataToRecv`).
    pub receive: bool,
    /// The request body has bytes again, or its end (necko's `TransactionHasDataToWrite`).
    pub send: bool,
    /// The response is more or less urgent than it was.
    pub priority: Option<Priority>,
    /// A WebTransport stream's place among others was changed, or its figures are asked for.
    pub service: bool,
}

impl Wishes {
    const CANCEL: u8 = 1;
    const RECEIVE: u8 = 2;
    const SEND: u8 = 4;
    const PRIORITY: u8 = 8;
    const SERVICE: u8 = 16;
}

/// Where the response stands, as the consumer sees it.
#[derive(Debug)]
enum Head {
    Awaited,
    Arrived(ResponseHead),
    /// The consumer has it.
    Taken,
    Failed(NetError),
}

/// What the consumer, and whoever watches the time, waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The rest of the request's body, which is the application's to give.
    RequestAwaited,
    /// The final head of the response.
    HeadAwaited,
    /// More of its body; what came was read.
    BodyAwaited,
    /// Nothing: there is something to read.
    ConsumerIsSlow,
    /// Nothing: it has ended.
    Over,
}

#[derive(Debug)]
struct State {
    head: Head,
    early_data: EarlyData,
    /// 103 heads that the consumer has not looked at.
    early_hints: VecDeque<ResponseHead>,
    pipe: Pipe,
    trailers: Option<HeaderMap>,
    priority: Priority,
    /// Wakes the consumer's task; a blocked thread waits on the condition variable instead.
    consumer: Option<Waker>,
    /// The consumer dropped its end.
    abandoned: bool,
    /// Why it was ended from this side, before its end.
    ended_early: Option<NetError>,
}

/// The shared part of a transaction. Any thread.
#[derive(Debug)]
pub(crate) struct Exchange {
    state: Mutex<State>,
    changed: Condvar,
    wishing: Wishing,
    timings: SharedTimings,
    /// The request's body has nothing for now.
    body_waits: AtomicBool,
}

impl Exchange {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State {
                head: Head::Awaited,
                early_data: EarlyData::NotTried,
                early_hints: VecDeque::new(),
                pipe: Pipe::default(),
                trailers: None,
                priority: Priority::default(),
                consumer: None,
                abandoned: false,
                ended_early: None,
            }),
            changed: Condvar::new(),
            wishing: Wishing::default(),
            timings: SharedTimings::default(),
            body_waits: AtomicBool::new(false),
        })
    }

    /// When what happened.
    pub(crate) fn timings(&self) -> &SharedTimings {
        &self.timings
    }

    /// How far it is.
    pub(crate) fn standing(&self) -> Standing {
        let state = self.state.lock();
        if state.pipe.has_ended() {
            Standing::Over
        } else if let Head::Awaited = state.head {
            let waits = self.body_waits.load(Ordering::Relaxed);
            if waits { Standing::RequestAwaited } else { Standing::HeadAwaited }
        } else if state.pipe.buffered() == 0 {
            Standing::BodyAwaited
        } else {
            Standing::ConsumerIsSlow
        }
    }

    /// Ends it with `error`, unless it has ended: the consumer is told now, and whoever owns the transaction
    /// cancels it. What arrived stays readable, except for one who cancelled.
    pub(crate) fn end_early(&self, error: NetError) {
        let mut ended = false;
        self.change(|state| {
            if state.pipe.has_ended() {
                return;
            }
            ended = true;
            if let Head::Awaited = state.head {
                state.head = Head::Failed(error.clone());
            }
            state.early_hints.clear();
            if error == NetError::Aborted {
                state.pipe.discard();
            }
            state.pipe.finish(Err(error.clone()));
            state.ended_early = Some(error);
        });
        if ended {
            self.wish(Wishes::CANCEL);
        }
    }

    // The socket thread's side.

    /// Whether the application, or a worker, is slow with the request's body.
    pub(crate) fn set_body_waits(&self, waits: bool) {
        self.body_waits.store(waits, Ordering::Relaxed);
    }

    /// Why it was ended from this side, if it was.
    pub(crate) fn ended_early(&self) -> Option<NetError> {
        self.state.lock().ended_early.clone()
    }

    /// Names who is to be woken when the consumer wishes something; at once if it has.
    pub(crate) fn set_owner(&self, waker: Option<Waker>) {
        self.wishing.set_owner(waker);
    }

    /// Whether nobody on the socket thread listens.
    pub(crate) fn has_no_owner(&self) -> bool {
        self.wishing.has_no_owner()
    }

    pub(crate) fn take_wishes(&self) -> Wishes {
        // A cancel is final: it stays set, so that whoever owns the transaction next sees it too.
        let bits = self.wishing.take(Wishes::CANCEL);
        let wished = |wish| bits & wish != 0;
        Wishes {
            cancel: wished(Wishes::CANCEL),
            receive: wished(Wishes::RECEIVE),
            send: wished(Wishes::SEND),
            priority: wished(Wishes::PRIORITY).then(|| self.state.lock().priority),
            service: wished(Wishes::SERVICE),
        }
    }

    pub(crate) fn deliver_head(&self, head: ResponseHead, early_data: EarlyData) {
        self.change(|state| {
            state.head = Head::Arrived(head);
            state.early_data = early_data;
        });
    }

    /// Adds a 103 head. The caller bounds their number.
    pub(crate) fn deliver_early_hints(&self, head: ResponseHead) {
        self.change(|state| {
            if !state.abandoned {
                state.early_hints.push_back(head);
            }
        });
    }

    /// Sets the trailer fields; to be called before the end.
    pub(crate) fn deliver_trailers(&self, trailers: HeaderMap) {
        self.change(|state| state.trailers = Some(trailers));
    }

    /// The request body has something to send, or has ended. Any thread.
    pub(crate) fn wish_to_send(&self) {
        self.wish(Wishes::SEND);
    }

    /// A WebTransport stream's order or figures are wished for. Any thread.
    pub(crate) fn wish_for_service(&self) {
        self.wish(Wishes::SERVICE);
    }

    /// Space in the pipe; with none, the writer will be woken when there is.
    pub(crate) fn space(&self) -> usize {
        let mut state = self.state.lock();
        let space = state.pipe.space();
        if space == 0 {
            state.pipe.writer_waits();
        }
        space
    }

    pub(crate) fn write(&self, piece: Bytes) {
        self.change(|state| {
            if !state.abandoned {
                state.pipe.write(piece);
            }
        });
    }

    pub(crate) fn finish(&self, end: Result<(), NetError>) {
        self.change(|state| {
            if let (Head::Awaited, Err(error)) = (&state.head, &end) {
                state.head = Head::Failed(error.clone());
            }
            state.pipe.finish(end);
        });
    }

    /// Whether the consumer has read a good part of the `received` bytes that came and leaves little in the pipe: it
    /// is worth a larger window.
    pub(crate) fn keeps_up(&self, received: u64) -> bool {
        if received < ENOUGH_TO_TELL {
            return false;
        }
        let waiting = self.buffered() as u64;
        waiting <= LITTLE_LEFT && received.saturating_sub(waiting) >= ENOUGH_TO_TELL
    }

    pub(crate) fn buffered(&self) -> usize {
        self.state.lock().pipe.buffered()
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let waker = {
            let mut state = self.state.lock();
            change(&mut state);
            state.consumer.take()
        };
        self.changed.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    // The consumer's side.

    /// Whether a head can be taken; registers `waker` if not.
    pub(crate) fn poll_head(&self, waker: &Waker) -> Poll<Result<ResponseHead, NetError>> {
        let mut state = self.state.lock();
        if let Some(head) = take_head(&mut state) {
            return Poll::Ready(head);
        }
        state.consumer = Some(waker.clone());
        Poll::Pending
    }

    /// Blocks until a head can be taken.
    pub(crate) fn wait_head(&self) -> Result<ResponseHead, NetError> {
        let mut state = self.state.lock();
        loop {
            if let Some(head) = take_head(&mut state) {
                return head;
            }
            self.changed.wait(&mut state);
        }
    }

    /// The next 103 head, `None` when the final head is there; registers `waker` if there is neither.
    pub(crate) fn poll_early_hints(&self, waker: &Waker) -> Poll<Option<ResponseHead>> {
        let mut state = self.state.lock();
        let hints = take_early_hints(&mut state);
        if hints.is_pending() {
            state.consumer = Some(waker.clone());
        }
        hints
    }

    /// Blocks until there is a 103 head or the final one.
    pub(crate) fn wait_early_hints(&self) -> Option<ResponseHead> {
        let mut state = self.state.lock();
        loop {
            if let Poll::Ready(hints) = take_early_hints(&mut state) {
                return hints;
            }
            self.changed.wait(&mut state);
        }
    }

    /// What became of the request as early data; to be asked when the head was taken.
    pub(crate) fn early_data(&self) -> EarlyData {
        self.state.lock().early_data
    }

    /// The trailer fields, once.
    pub(crate) fn take_trailers(&self) -> Option<HeaderMap> {
        self.state.lock().trailers.take()
    }

    pub(crate) fn set_priority(&self, priority: Priority) {
        self.state.lock().priority = priority;
        self.wish(Wishes::PRIORITY);
    }

    /// At most `wanted` bytes of the body, or its end; registers `waker` if there is neither.
    pub(crate) fn poll_read(
        &self,
        wanted: usize,
        waker: &Waker,
    ) -> Poll<Result<Option<Bytes>, NetError>> {
        let mut state = self.state.lock();
        let found = state.pipe.read(wanted);
        if found == Read::Empty {
            state.consumer = Some(waker.clone());
        }
        self.read_done(state, found).map_or(Poll::Pending, Poll::Ready)
    }

    /// Blocks until there are bytes or the end.
    pub(crate) fn wait_read(&self, wanted: usize) -> Result<Option<Bytes>, NetError> {
        loop {
            let mut state = self.state.lock();
            let mut found = state.pipe.read(wanted);
            while found == Read::Empty {
                self.changed.wait(&mut state);
                found = state.pipe.read(wanted);
            }
            if let Some(result) = self.read_done(state, found) {
                return result;
            }
        }
    }

    /// What is there now; `None` is nothing yet.
    pub(crate) fn try_read(&self, wanted: usize) -> Option<Result<Option<Bytes>, NetError>> {
        let mut state = self.state.lock();
        let found = state.pipe.read(wanted);
        self.read_done(state, found)
    }

    fn read_done(
        &self,
        mut state: parking_lot::MutexGuard<'_, State>,
        found: Read,
    ) -> Option<Result<Option<Bytes>, NetError>> {
        let wake = state.pipe.take_writer_wakeup();
        drop(state);
        if wake {
            self.wish(Wishes::RECEIVE);
        }
        match found {
            Read::Data(bytes) => Some(Ok(Some(bytes))),
            Read::Empty => None,
            Read::End(end) => Some(end.map(|()| None)),
        }
    }

    /// The consumer is gone or wants no more: nothing is kept for it, and the stream will be cancelled.
    pub(crate) fn cancel(&self) {
        self.change(|state| {
            if let Head::Awaited = state.head {
                state.head = Head::Failed(NetError::Aborted);
            }
            state.abandoned = true;
            state.early_hints.clear();
            state.pipe.finish(Err(NetError::Aborted));
            state.pipe.discard();
        });
        self.wish(Wishes::CANCEL);
    }

    fn wish(&self, wish: u8) {
        self.wishing.wish(wish);
    }
}

/// Ready with nothing: no hint comes any more.
fn take_early_hints(state: &mut State) -> Poll<Option<ResponseHead>> {
    match state.early_hints.pop_front() {
        None if matches!(state.head, Head::Awaited) => Poll::Pending,
        hints => Poll::Ready(hints),
    }
}

fn take_head(state: &mut State) -> Option<Result<ResponseHead, NetError>> {
    match std::mem::replace(&mut state.head, Head::Taken) {
        Head::Arrived(head) => Some(Ok(head)),
        Head::Failed(error) => Some(Err(error)),
        Head::Awaited => {
            state.head = Head::Awaited;
            None
        }
        Head::Taken => Some(Err(NetError::Internal("the response head was taken twice"))),
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::atomic::AtomicUsize, task::Wake};

    use super::*;
    use crate::pipe::CAPACITY;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_wish_made_before_there_was_an_owner_reaches_the_first_one() {
        let exchange = Exchange::new();
        exchange.cancel();
        let count = Arc::new(Count::default());
        exchange.set_owner(Some(Arc::clone(&count).into()));
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(exchange.take_wishes().cancel);
        assert!(exchange.take_wishes().cancel, "a cancel is final");
    }

    #[test]
    fn p2_a_cancelled_exchange_keeps_nothing_and_takes_nothing() {
        let exchange = Exchange::new();
        exchange.write(Bytes::from_static(b"abc"));
        exchange.cancel();
        exchange.write(Bytes::from_static(b"def"));
        exchange.finish(Ok(()));
        assert_eq!(exchange.buffered(), 0);
        assert_eq!(exchange.wait_read(10), Err(NetError::Aborted));
    }

    #[test]
    fn r3_reading_wakes_the_owner_once_per_full_pipe() {
        let exchange = Exchange::new();
        let count = Arc::new(Count::default());
        exchange.set_owner(Some(Arc::clone(&count).into()));
        exchange.write(Bytes::from(vec![0; CAPACITY]));
        assert_eq!(exchange.space(), 0);
        while exchange.buffered() > 0 {
            exchange.wait_read(1000).unwrap();
        }
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(exchange.take_wishes().receive);
    }
}
