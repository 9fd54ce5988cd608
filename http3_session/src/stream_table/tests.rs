//! The table against a model of it, which is written without any index: whatever is done in whatever
//! order, both say the same.

use http::{HeaderMap, Method};
use proptest::prelude::*;
use streams::{ActivateError, SessionIo};
use transaction::{
    ConnectionInfo, ErrorCode, HttpTransaction, NetError, RequestBody, RequestHead, TransactionId,
    Writing,
};

use super::*;

const ALL: [Queue; QUEUES] = [
    Queue::ReadyForWrite,
    Queue::QueuedStreams,
    Queue::QueuedUnidirectional,
    Queue::WaitingForConnection,
    Queue::WaitingForDatagramRoom,
    Queue::SlowConsumersReadyForRead,
];

/// What is done. Numbers name a stream among all that there ever were, so that many are gone.
#[derive(Debug, Clone, Copy)]
enum Step {
    Insert,
    GiveId(usize),
    Enqueue(usize, usize),
    Dequeue(usize),
    Requeue(usize, usize),
    Pause(usize, bool),
    Remove(usize),
    TakeAll,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (stream, queue) = (0..40_usize, 0..QUEUES);
    let step = prop_oneof![
        6 => Just(Step::Insert),
        4 => stream.clone().prop_map(Step::GiveId),
        8 => (queue.clone(), stream.clone()).prop_map(|(queue, stream)| Step::Enqueue(queue, stream)),
        4 => queue.clone().prop_map(Step::Dequeue),
        2 => (queue.clone(), queue).prop_map(|(from, to)| Step::Requeue(from, to)),
        2 => (stream.clone(), any::<bool>()).prop_map(|(stream, on)| Step::Pause(stream, on)),
        4 => stream.prop_map(Step::Remove),
        1 => Just(Step::TakeAll),
    ];
    prop::collection::vec(step, 0..120)
}

/// An engine that has one stream id to give.
struct Gives(StreamId);

impl SessionIo for Gives {
    fn try_activate(&mut self, _: &RequestHead) -> Result<StreamId, ActivateError> {
        Ok(self.0)
    }

    fn send_request_body(&mut self, _: StreamId, data: &[u8]) -> Result<usize, NetError> {
        Ok(data.len())
    }

    fn close_send(&mut self, _: StreamId) {}

    fn read_response_data(&mut self, _: StreamId, _: &mut [u8]) -> Result<Writing, NetError> {
        Ok(Writing::WouldBlock)
    }

    fn cancel_fetch(&mut self, _: StreamId, _: ErrorCode) {}
}

fn stream(number: usize) -> Http3StreamBase {
    let head =
        RequestHead::new(Method::GET, "https", "necko.test", "/", &HeaderMap::new()).unwrap();
    let id = TransactionId(number as u64);
    let info = ConnectionInfo::new("necko.test", 443);
    Http3StreamBase::new(HttpTransaction::new(id, info, head, RequestBody::Empty).0)
}

/// A stream as the model knows it.
struct Known {
    key: StreamKey,
    alive: bool,
    id: Option<StreamId>,
    paused: bool,
}

/// The table and the model.
#[derive(Default)]
struct Both {
    table: StreamTable,
    streams: Vec<Known>,
    queues: [Vec<StreamKey>; QUEUES],
}

impl Both {
    fn step(&mut self, step: Step) {
        match step {
            Step::Insert => {
                let key = self.table.insert(stream(self.streams.len()));
                self.streams.push(Known { key, alive: true, id: None, paused: false });
            }
            Step::GiveId(n) => self.give_id(n),
            Step::Enqueue(queue, n) => {
                let Some(known) = self.streams.get(n) else { return };
                self.table.enqueue(ALL[queue], known.key);
                if known.alive && !self.queues[queue].contains(&known.key) {
                    self.queues[queue].push(known.key);
                }
            }
            Step::Dequeue(queue) => {
                let expected =
                    (!self.queues[queue].is_empty()).then(|| self.queues[queue].remove(0));
                assert_eq!(self.table.dequeue(ALL[queue]), expected);
            }
            // A queue that is moved to itself would never be empty.
            Step::Requeue(from, to) if from != to => {
                self.table.requeue(ALL[from], ALL[to]);
                for key in std::mem::take(&mut self.queues[from]) {
                    if !self.queues[to].contains(&key) {
                        self.queues[to].push(key);
                    }
                }
            }
            Step::Requeue(..) => {}
            Step::Pause(n, paused) => {
                let Some(known) = self.streams.get_mut(n) else { return };
                self.table.set_paused(known.key, paused);
                known.paused = paused && known.alive;
            }
            Step::Remove(n) => {
                let Some(known) = self.streams.get_mut(n) else { return };
                assert_eq!(self.table.remove(known.key).is_some(), known.alive);
                (known.alive, known.paused) = (false, false);
                self.queues.iter_mut().for_each(|queue| queue.retain(|key| *key != known.key));
            }
            Step::TakeAll => {
                let taken = self.table.take_all().into_iter();
                let taken: Vec<_> =
                    taken.filter_map(|stream| Some(stream.transaction()?.id().0)).collect();
                let alive = self.streams.iter().enumerate().filter(|(_, known)| known.alive);
                let expected: Vec<_> = alive.map(|(n, _)| n as u64).collect();
                assert_eq!(taken, expected, "oldest first");
                self.queues = Default::default();
                for known in &mut self.streams {
                    (known.alive, known.paused) = (false, false);
                }
            }
        }
    }

    fn give_id(&mut self, n: usize) {
        let Some(known) = self.streams.get_mut(n) else { return };
        if let Some(stream) = self.table.http_mut(known.key) {
            let id = StreamId::new(n as u64 * 4);
            stream.read_segments(&mut Gives(id)).unwrap();
            known.id = Some(id);
        }
        self.table.note_id(known.key);
    }

    fn check(&self) {
        let alive = self.streams.iter().filter(|known| known.alive).count();
        assert_eq!((self.table.len(), self.table.is_empty()), (alive, alive == 0));
        assert_eq!(self.table.iter().count(), alive);
        for known in &self.streams {
            assert_eq!(self.table.get(known.key).is_some(), known.alive);
            if let Some(id) = known.id {
                // h4: it is found by its id as long as it is there, and no longer.
                assert_eq!(self.table.find(id), known.alive.then_some(known.key));
            }
        }
        for (queue, expected) in ALL.into_iter().zip(&self.queues) {
            // h5, h7: no stream is missing, none is there twice, and none that is gone.
            assert_eq!(self.table.queue_len(queue), expected.len());
            assert!(self.table.queues[queue as usize].iter().eq(expected));
            for known in &self.streams {
                if let Some(entry) = self.table.entry(known.key) {
                    assert_eq!(entry.queued[queue as usize], expected.contains(&known.key));
                }
            }
        }
        assert_eq!(self.table.any_paused().is_some(), self.streams.iter().any(|one| one.paused));
    }
}

proptest! {
    #[test]
    fn h4_h5_h6_h7_a_stream_is_where_it_ought_to_be_whatever_was_done(steps in steps()) {
        let mut both = Both::default();
        for step in steps {
            both.step(step);
            both.check();
        }
    }
}
