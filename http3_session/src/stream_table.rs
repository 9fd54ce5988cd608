//! The streams of a session and the queues that they wait in.

use std::collections::{BTreeSet, HashMap, VecDeque};

use socket_transport::slots::{SlotKey, Slots};
use streams::{Http3Stream, Http3StreamBase, Http3WebTransportSession, StreamId};
use transaction::web_transport::StreamKind;

/// A stream in its session. A key that outlived its stream finds nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey(SlotKey);

/// The queues of necko's session. A stream is at most once in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Queue {
    /// Has something to send (`mReadyForWrite`).
    ReadyForWrite,
    /// Waits for the peer to allow more streams (`mQueuedStreams`).
    QueuedStreams,
    /// Waits for the peer to allow more streams on which it receives alone: no event tells of those.
    QueuedUnidirectional,
    /// Waits for the handshake, or for the peer's SETTINGS (`mWaitingForWebTransportNegotiation`).
    WaitingForConnection,
    /// Has datagrams, of which the engine takes no more for now.
    WaitingForDatagramRoom,
    /// Its consumer has made space (`mSlowConsumersReadyForRead`).
    SlowConsumersReadyForRead,
}

const QUEUES: usize = 6;

#[derive(Debug)]
struct Entry {
    stream: Http3StreamBase,
    queued: [bool; QUEUES],
    /// Its consumer was found to keep up, and it has the large window.
    wide: bool,
}

/// Owns a session's streams.
#[derive(Default)]
pub(crate) struct StreamTable {
    entries: Slots<Entry>,
    by_id: HashMap<StreamId, StreamKey>,
    queues: [VecDeque<StreamKey>; QUEUES],
    /// Those whose consumers are slow: the engine may have more for them.
    paused: BTreeSet<StreamKey>,
}

impl StreamTable {
    pub(crate) fn insert(&mut self, stream: Http3StreamBase) -> StreamKey {
        StreamKey(self.entries.insert(Entry { stream, queued: [false; QUEUES], wide: false }))
    }

    /// Makes a stream findable by the id that it was given.
    pub(crate) fn note_id(&mut self, key: StreamKey) {
        if let Some(id) = self.get(key).and_then(Http3StreamBase::id) {
            self.by_id.insert(id, key);
        }
    }

    pub(crate) fn find(&self, id: StreamId) -> Option<StreamKey> {
        self.by_id.get(&id).copied()
    }

    pub(crate) fn get(&self, key: StreamKey) -> Option<&Http3StreamBase> {
        self.entry(key).map(|entry| &entry.stream)
    }

    pub(crate) fn get_mut(&mut self, key: StreamKey) -> Option<&mut Http3StreamBase> {
        self.entry_mut(key).map(|entry| &mut entry.stream)
    }

    /// The stream of that key if it carries a request.
    pub(crate) fn http_mut(&mut self, key: StreamKey) -> Option<&mut Http3Stream> {
        match self.get_mut(key)? {
            Http3StreamBase::Http(stream) => Some(stream),
            Http3StreamBase::Session(_) | Http3StreamBase::WebTransport(_) => None,
        }
    }

    /// The stream of that key if it is a WebTransport session.
    pub(crate) fn session_mut(&mut self, key: StreamKey) -> Option<&mut Http3WebTransportSession> {
        match self.get_mut(key)? {
            Http3StreamBase::Session(session) => Some(session),
            Http3StreamBase::Http(_) | Http3StreamBase::WebTransport(_) => None,
        }
    }

    /// The streams of a WebTransport session, oldest first.
    pub(crate) fn of_session(&self, session: StreamId) -> Vec<StreamKey> {
        self.keys(|stream| {
            matches!(stream, Http3StreamBase::WebTransport(stream) if stream.session() == session)
        })
    }

    /// The WebTransport sessions, oldest first.
    pub(crate) fn sessions(&self) -> Vec<StreamKey> {
        self.keys(|stream| matches!(stream, Http3StreamBase::Session(_)))
    }

    /// How many WebTransport sessions the peer has accepted.
    pub(crate) fn accepted_sessions(&self) -> usize {
        self.iter()
            .filter(|stream| matches!(stream, Http3StreamBase::Session(one) if one.is_active()))
            .count()
    }

    /// How many streams of WebTransport sessions there are.
    pub(crate) fn web_transport_streams(&self) -> usize {
        self.iter().filter(|stream| matches!(stream, Http3StreamBase::WebTransport(_))).count()
    }

    fn keys(&self, wanted: impl Fn(&Http3StreamBase) -> bool) -> Vec<StreamKey> {
        let entries = self.entries.iter().filter(|(_, entry)| wanted(&entry.stream));
        let mut keys: Vec<_> = entries.map(|(key, _)| StreamKey(key)).collect();
        keys.sort_by_key(|key| key.0.serial());
        keys
    }

    /// Notes whether a stream's consumer is slow.
    pub(crate) fn set_paused(&mut self, key: StreamKey, paused: bool) {
        if paused && self.entry(key).is_some() {
            self.paused.insert(key);
        } else {
            self.paused.remove(&key);
        }
    }

    /// A request whose consumer is slow. (A connection with a WebTransport session needs nobody to keep it alive.)
    pub(crate) fn any_paused(&self) -> Option<&Http3Stream> {
        self.paused.iter().find_map(|key| match self.get(*key)? {
            Http3StreamBase::Http(stream) => Some(stream),
            Http3StreamBase::Session(_) | Http3StreamBase::WebTransport(_) => None,
        })
    }

    /// The id of a stream whose consumer is found to keep up; once.
    pub(crate) fn take_widening(&mut self, key: StreamKey) -> Option<StreamId> {
        let entry = self.entry_mut(key)?;
        if entry.wide || !entry.stream.keeps_up() {
            return None;
        }
        entry.wide = true;
        entry.stream.id()
    }

    /// Takes a stream out of the table and of every queue.
    pub(crate) fn remove(&mut self, key: StreamKey) -> Option<Http3StreamBase> {
        let queued = self.entry(key)?.queued;
        for (queue, queued) in self.queues.iter_mut().zip(queued) {
            if queued {
                queue.retain(|other| *other != key);
            }
        }
        self.paused.remove(&key);
        let stream = self.entries.remove(key.0)?.stream;
        if let Some(id) = stream.id() {
            self.by_id.remove(&id);
        }
        Some(stream)
    }

    /// Takes all streams, oldest first.
    pub(crate) fn take_all(&mut self) -> Vec<Http3StreamBase> {
        let mut keys: Vec<_> = self.entries.iter().map(|(key, _)| key).collect();
        keys.sort_by_key(|key| key.serial());
        self.by_id.clear();
        self.queues = Default::default();
        self.paused.clear();
        keys.into_iter()
            .filter_map(|key| self.entries.remove(key))
            .map(|entry| entry.stream)
            .collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Http3StreamBase> {
        self.entries.iter().map(|(_, entry)| &entry.stream)
    }

    /// The streams that have an id, oldest first.
    pub(crate) fn with_ids(&self) -> Vec<StreamKey> {
        let mut keys: Vec<_> = self.by_id.values().copied().collect();
        keys.sort_by_key(|key| key.0.serial());
        keys
    }

    /// No id is a stream's any more, and what those streams waited for is void; answers which they were, oldest
    /// first.
    pub(crate) fn forget_ids(&mut self) -> Vec<StreamKey> {
        let keys = self.with_ids();
        self.by_id.clear();
        for key in &keys {
            self.paused.remove(key);
            if let Some(entry) = self.entry_mut(*key) {
                entry.wide = false;
                entry.queued = [false; QUEUES];
            }
        }
        let voided: BTreeSet<_> = keys.iter().collect();
        for queue in &mut self.queues {
            queue.retain(|queued| !voided.contains(queued));
        }
        keys
    }

    /// The peer allows no more streams of this kind.
    pub(crate) fn wait_for_limit(&mut self, key: StreamKey) {
        let unidirectional = self.get(key).is_some_and(|stream| {
            matches!(stream, Http3StreamBase::WebTransport(stream)
                if stream.kind() == StreamKind::Unidirectional)
        });
        let queue = if unidirectional { Queue::QueuedUnidirectional } else { Queue::QueuedStreams };
        self.enqueue(queue, key);
    }

    /// Puts a stream at the end of a queue, once.
    pub(crate) fn enqueue(&mut self, queue: Queue, key: StreamKey) {
        let Some(entry) = self.entry_mut(key) else { return };
        let Some(queued) = entry.queued.get_mut(queue as usize) else { return };
        if !std::mem::replace(queued, true)
            && let Some(queue) = self.queues.get_mut(queue as usize)
        {
            queue.push_back(key);
        }
    }

    pub(crate) fn dequeue(&mut self, queue: Queue) -> Option<StreamKey> {
        let key = self.queues.get_mut(queue as usize)?.pop_front()?;
        if let Some(queued) =
            self.entry_mut(key).and_then(|entry| entry.queued.get_mut(queue as usize))
        {
            *queued = false;
        }
        Some(key)
    }

    pub(crate) fn queue_len(&self, queue: Queue) -> usize {
        self.queues.get(queue as usize).map_or(0, VecDeque::len)
    }

    /// Moves every stream of one queue to the end of another.
    pub(crate) fn requeue(&mut self, from: Queue, to: Queue) {
        while let Some(key) = self.dequeue(from) {
            self.enqueue(to, key);
        }
    }

    fn entry(&self, key: StreamKey) -> Option<&Entry> {
        self.entries.get(key.0)
    }

    fn entry_mut(&mut self, key: StreamKey) -> Option<&mut Entry> {
        self.entries.get_mut(key.0)
    }
}

#[cfg(test)]
mod tests;
