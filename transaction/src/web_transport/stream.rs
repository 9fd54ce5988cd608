//! The application's ends of a stream.

use std::{
    future::poll_fn,
    io,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use super::stream_stats::StreamStats;
use crate::{
    BodyWriter, NetError,
    consumer::{CHUNK, into_io},
    exchange::Exchange,
    witness::Witness,
};

/// What both ends and the socket thread share beside pipe and wishes.
#[derive(Debug, Default)]
pub(super) struct StreamShared {
    service: Mutex<Service>,
    changed: Condvar,
}

/// Where a stream stands among those of its session that have a place: the highest goes first. None is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SendOrder(pub Option<i64>);

#[derive(Debug, Default)]
struct Service {
    /// A place among the others that the socket thread has not been told.
    send_order: Option<SendOrder>,
    asked: u64,
    answered: u64,
    stats: StreamStats,
    waiting: Vec<Waker>,
}

impl StreamShared {
    pub(super) fn take_send_order(&self) -> Option<SendOrder> {
        self.service.lock().send_order.take()
    }

    pub(super) fn wants_stats(&self) -> bool {
        let service = self.service.lock();
        service.asked > service.answered
    }

    pub(super) fn give_stats(&self, stats: StreamStats) {
        let waiting = {
            let mut service = self.service.lock();
            // After the stream's end the last figures stay.
            if stats != StreamStats::default() {
                service.stats = stats;
            }
            service.answered = service.asked;
            std::mem::take(&mut service.waiting)
        };
        self.changed.notify_all();
        waiting.into_iter().for_each(Waker::wake);
    }

    fn ask(&self, exchange: &Exchange) -> u64 {
        let asked = {
            let mut service = self.service.lock();
            service.asked += 1;
            service.asked
        };
        exchange.wish_for_service();
        asked
    }

    fn wait_stats(&self, exchange: &Exchange) -> StreamStats {
        let asked = self.ask(exchange);
        let mut service = self.service.lock();
        while service.answered < asked && !exchange.has_no_owner() {
            self.changed.wait(&mut service);
        }
        service.stats
    }

    async fn stats(&self, exchange: &Exchange) -> StreamStats {
        let asked = self.ask(exchange);
        poll_fn(|cx| {
            let mut service = self.service.lock();
            if service.answered >= asked || exchange.has_no_owner() {
                return Poll::Ready(service.stats);
            }
            service.waiting.push(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}

/// The sending end of a stream. Any thread.
///
/// What is written waits in a pipe of 96 KiB until the server takes it. [`finish`](Self::finish) says that it was
/// all; [`reset`](Self::reset), or dropping it, that the rest will not come.
///
/// Writing fails with [`NetError::StreamStopped`] when the server wants no more, and with the session's end.
#[derive(Debug)]
pub struct SendStream {
    writer: BodyWriter,
    exchange: Arc<Exchange>,
    shared: Arc<StreamShared>,
}

impl SendStream {
    pub(super) fn new(
        writer: BodyWriter,
        exchange: Arc<Exchange>,
        shared: Arc<StreamShared>,
    ) -> Self {
        Self { writer, exchange, shared }
    }

    /// Takes the part of `piece` that there is space for, and leaves the rest in it. Answers how many bytes were
    /// taken.
    ///
    /// # Errors
    /// Nobody wants more.
    pub fn try_send(&mut self, piece: &mut Bytes) -> Result<usize, NetError> {
        self.writer.try_send(piece)
    }

    /// Writes all of `piece`, and waits for space as often as it takes.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send).
    pub async fn send(&mut self, piece: impl Into<Bytes>) -> Result<(), NetError> {
        self.writer.send(piece).await
    }

    /// As [`send`](Self::send), blocking.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send).
    pub fn wait_send(&mut self, piece: impl Into<Bytes>) -> Result<(), NetError> {
        self.writer.wait_send(piece)
    }

    /// That was all: the server sees the stream's end after the last byte.
    pub fn finish(self) {
        self.writer.finish();
    }

    /// Gives the stream up with an application's code. What was written still goes as far as the server takes it
    /// at once.
    pub fn reset(self, code: u32) {
        self.writer.abort(NetError::StreamReset { code });
    }

    /// Waits until the server wants no more of it, or the session ends.
    pub async fn stopped(&mut self) -> NetError {
        poll_fn(|cx| self.writer.poll_closed(cx.waker())).await
    }

    /// Says where it stands among the session's streams that have one: the highest goes first, and those without
    /// share what is left.
    pub fn set_send_order(&self, order: Option<i64>) {
        self.shared.service.lock().send_order = Some(SendOrder(order));
        self.exchange.wish_for_service();
    }

    /// Its figures; the socket thread has to ask the engine for them.
    pub async fn stats(&self) -> StreamStats {
        self.shared.stats(&self.exchange).await
    }

    /// As [`stats`](Self::stats), blocking.
    pub fn wait_stats(&self) -> StreamStats {
        self.shared.wait_stats(&self.exchange)
    }

    /// A witness of the stream's pipes.
    pub fn witness(&self) -> Witness {
        Witness::of(&self.exchange)
    }
}

impl io::Write for SendStream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        io::Write::write(&mut self.writer, buffer)
    }

    /// Does nothing: what was written leaves as soon as the network takes it.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The receiving end of a stream: [`io::Read`] that blocks, or [`chunk`](Self::chunk) that doesn't. Any thread.
///
/// Reading slowly holds the server back. Dropping it before its end, or [`stop`](Self::stop), tells the server
/// that nobody wants more.
///
/// Reading fails with [`NetError::StreamReset`] when the server gave the stream up, and with the session's end.
#[derive(Debug)]
pub struct RecvStream {
    exchange: Arc<Exchange>,
    shared: Arc<StreamShared>,
    /// What [`io::BufRead`] shows and nobody consumed.
    rest: Bytes,
}

impl RecvStream {
    pub(super) fn new(exchange: Arc<Exchange>, shared: Arc<StreamShared>) -> Self {
        Self { exchange, shared, rest: Bytes::new() }
    }

    /// The next piece of at most `wanted` bytes, or the end; registers the task if there is neither.
    ///
    /// # Errors
    /// As [`chunk`](Self::chunk).
    pub fn poll_chunk(
        &mut self,
        wanted: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, NetError>> {
        if self.rest.is_empty() {
            return self.exchange.poll_read(wanted, cx.waker());
        }
        Poll::Ready(Ok(Some(self.rest.split_to(wanted.min(self.rest.len())))))
    }

    /// The next piece, `None` at the end.
    ///
    /// # Errors
    /// How the stream broke off. Everything that arrived before was delivered before.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        poll_fn(|cx| self.poll_chunk(CHUNK, cx)).await
    }

    /// Blocks for the next piece, `None` at the end.
    ///
    /// # Errors
    /// As [`chunk`](Self::chunk).
    pub fn wait_chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        if self.rest.is_empty() {
            return self.exchange.wait_read(CHUNK);
        }
        Ok(Some(std::mem::take(&mut self.rest)))
    }

    /// What can be had without waiting: `None` is nothing yet, `Some(Ok(None))` the end.
    pub fn try_chunk(&mut self) -> Option<Result<Option<Bytes>, NetError>> {
        if self.rest.is_empty() {
            return self.exchange.try_read(CHUNK);
        }
        Some(Ok(Some(std::mem::take(&mut self.rest))))
    }

    /// Tells the server with an application's code that nobody wants more.
    pub fn stop(self, code: u32) {
        self.exchange.end_early(NetError::StreamStopped { code });
    }

    /// Its figures; the socket thread has to ask the engine for them.
    pub async fn stats(&self) -> StreamStats {
        self.shared.stats(&self.exchange).await
    }

    /// As [`stats`](Self::stats), blocking.
    pub fn wait_stats(&self) -> StreamStats {
        self.shared.wait_stats(&self.exchange)
    }

    /// A witness of the stream's pipes.
    pub fn witness(&self) -> Witness {
        Witness::of(&self.exchange)
    }
}

impl Drop for RecvStream {
    fn drop(&mut self) {
        self.exchange.cancel();
    }
}

impl io::BufRead for RecvStream {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.rest.is_empty() {
            self.rest = self.exchange.wait_read(CHUNK).map_err(into_io)?.unwrap_or_default();
        }
        Ok(&self.rest)
    }

    fn consume(&mut self, amount: usize) {
        let _ = self.rest.split_to(amount.min(self.rest.len()));
    }
}

impl io::Read for RecvStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut available = io::BufRead::fill_buf(self)?;
        let count = io::Read::read(&mut available, buffer)?;
        io::BufRead::consume(self, count);
        Ok(count)
    }
}
