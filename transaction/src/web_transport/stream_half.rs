//! The socket thread's half of a stream.

use std::{sync::Arc, task::Waker};

use super::{
    opening::{Answer, StreamPair},
    stream::{RecvStream, SendOrder, SendStream, StreamShared},
    stream_stats::StreamStats,
};
use crate::{
    NetError, PipeFull, RequestBody, Sending, Wishes, Writing, body::BodyReader,
    exchange::Exchange, segment::Segment,
};

/// Which ways a stream goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StreamKind {
    /// Both.
    Bidirectional,
    /// From the side that opened it to the other.
    Unidirectional,
}

/// What a stream of the session is, to the socket thread: where bytes come from and go to. Dropping it ends both
/// directions for the application, with [`NetError::ShuttingDown`] where nobody said why before.
#[derive(Debug)]
pub struct StreamHalf {
    exchange: Arc<Exchange>,
    shared: Arc<StreamShared>,
    body: BodyReader,
    segment: Segment,
    read: u64,
    /// Who waits for the stream to be opened.
    answer: Option<Answer>,
}

impl StreamHalf {
    /// A stream that the application asked for, and what it gets when it is there.
    pub(super) fn outgoing(kind: StreamKind, answer: Answer) -> Self {
        let (mut half, pair) = Self::pair(true, kind == StreamKind::Bidirectional);
        answer.keep(pair);
        half.answer = Some(answer);
        half
    }

    /// A stream that the server opened, and what the application gets.
    pub fn incoming(kind: StreamKind) -> (Self, StreamPair) {
        Self::pair(kind == StreamKind::Bidirectional, true)
    }

    fn pair(sends: bool, receives: bool) -> (Self, StreamPair) {
        let exchange = Exchange::new();
        let shared = Arc::new(StreamShared::default());
        let mut body = RequestBody::Empty;
        let mut pair = StreamPair::default();
        if sends {
            let (writer, pipe) = RequestBody::pipe(None);
            body = pipe;
            pair.send = Some(SendStream::new(writer, Arc::clone(&exchange), Arc::clone(&shared)));
        }
        if receives {
            pair.receive = Some(RecvStream::new(Arc::clone(&exchange), Arc::clone(&shared)));
        }
        let body = BodyReader::new(body, &exchange);
        let segment = Segment::default();
        (Self { exchange, shared, body, segment, read: 0, answer: None }, pair)
    }

    /// Names who is woken when the application wishes something of it.
    pub fn set_owner(&self, waker: Waker) {
        self.exchange.set_owner(Some(waker));
    }

    /// What the application wishes: `send`, `receive`, `cancel` (it wants no more of what comes) and `service`.
    pub fn take_wishes(&self) -> Wishes {
        self.exchange.take_wishes()
    }

    /// Whether who waited for the stream to be opened has given it up.
    pub fn is_unwanted(&self) -> bool {
        self.answer.as_ref().is_some_and(Answer::is_unwanted)
    }

    /// The stream is there: who waits for it gets it.
    pub fn opened(&mut self) {
        if let Some(answer) = self.answer.take() {
            answer.give(Ok(()));
        }
    }

    /// With which code the application wants no more of what comes, if it said one.
    pub fn stop_code(&self) -> u32 {
        match self.exchange.ended_early() {
            Some(NetError::StreamStopped { code }) => code,
            _ => 0,
        }
    }

    /// Its place among the others, if the application said something about it since the last time.
    pub fn take_send_order(&self) -> Option<SendOrder> {
        self.shared.take_send_order()
    }

    /// Whether somebody asked for its figures.
    pub fn wants_stats(&self) -> bool {
        self.shared.wants_stats()
    }

    /// Its figures, for who asked for them.
    pub fn give_stats(&self, stats: StreamStats) {
        self.shared.give_stats(stats);
    }

    /// Gives what the application wrote to `send`, until one of them has no more.
    ///
    /// # Errors
    /// `send`'s own. [`NetError::StreamReset`] with the code, when the application gave the stream up and what
    /// could leave has left.
    pub fn read_segments(
        &mut self,
        send: impl FnMut(&[u8]) -> Result<usize, NetError>,
    ) -> Result<Sending, NetError> {
        let sending = match self.body.send(send) {
            // Its writer was dropped.
            Err(NetError::RequestBody(_)) => return Err(NetError::StreamReset { code: 0 }),
            sending => sending?,
        };
        match self.body.aborted() {
            Some(why) if sending != Sending::End => Err(why),
            _ => Ok(sending),
        }
    }

    /// Lets `read` fill a piece of the pipe.
    ///
    /// # Errors
    /// `Ok(Err(PipeFull))` when the application is slow; otherwise `read`'s error.
    pub fn write_segments(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> Result<Writing, NetError>,
    ) -> Result<Result<Writing, PipeFull>, NetError> {
        let space = self.exchange.space();
        if space == 0 {
            return Ok(Err(PipeFull));
        }
        let (written, piece) = self.segment.fill(space, read)?;
        self.read = self.read.saturating_add(piece.len() as u64);
        self.exchange.write(piece);
        Ok(Ok(written))
    }

    /// Nothing more comes.
    pub fn end_receiving(&mut self, end: Result<(), NetError>) {
        self.segment = Segment::default();
        self.exchange.finish(end);
    }

    /// Nothing more is sent: whoever writes is told why.
    pub fn end_sending(&mut self, why: NetError) {
        self.body.close(why);
    }

    /// Ends both directions, and tells who waits for the stream that there will be none.
    pub fn end(&mut self, why: &NetError) {
        if let Some(answer) = self.answer.take() {
            answer.give(Err(why.clone()));
        }
        self.exchange.set_owner(None);
        self.end_sending(why.clone());
        self.end_receiving(Err(why.clone()));
        self.shared.give_stats(StreamStats::default());
    }

    /// Bytes that wait in its pipes.
    pub fn buffered(&self) -> usize {
        self.exchange.buffered() + self.body.buffered()
    }

    /// Bytes that were read from the engine.
    pub fn bytes_read(&self) -> u64 {
        self.read
    }

    /// Whether the application has read a good part and leaves little: it is worth a larger window.
    pub fn keeps_up(&self) -> bool {
        self.exchange.keeps_up(self.read)
    }
}

impl Drop for StreamHalf {
    fn drop(&mut self) {
        self.end(&NetError::ShuttingDown);
    }
}
