//! The application's ends of a stream.

use std::{
    future::poll_fn,
    io,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use super::{stream_stats::StreamStats, waiters::Waiters};
use crate::{BodyWriter, NetError, ResponseBody, exchange::Exchange, witness::Witness};

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
    waiting: Waiters,
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
            service.waiting.take()
        };
        self.changed.notify_all();
        waiting.for_each(Waker::wake);
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
        // Nobody leaves it early: the answer comes with the socket thread's next turn.
        let mut place = None;
        poll_fn(|cx| {
            let mut service = self.service.lock();
            if service.answered >= asked || exchange.has_no_owner() {
                return Poll::Ready(service.stats);
            }
            service.waiting.register(&mut place, cx.waker());
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
    content: ResponseBody,
    shared: Arc<StreamShared>,
}

impl RecvStream {
    pub(super) fn new(exchange: Arc<Exchange>, shared: Arc<StreamShared>) -> Self {
        Self { content: ResponseBody::reading(exchange), shared }
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
        self.content.poll_chunk(wanted, cx)
    }

    /// The next piece, `None` at the end.
    ///
    /// # Errors
    /// How the stream broke off. Everything that arrived before was delivered before.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        self.content.chunk().await
    }

    /// Blocks for the next piece, `None` at the end.
    ///
    /// # Errors
    /// As [`chunk`](Self::chunk).
    pub fn wait_chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        self.content.wait_chunk()
    }

    /// What can be had without waiting: `None` is nothing yet, `Some(Ok(None))` the end.
    pub fn try_chunk(&mut self) -> Option<Result<Option<Bytes>, NetError>> {
        self.content.try_chunk()
    }

    /// Tells the server with an application's code that nobody wants more.
    pub fn stop(self, code: u32) {
        self.content.exchange().end_early(NetError::StreamStopped { code });
    }

    /// Its figures; the socket thread has to ask the engine for them.
    pub async fn stats(&self) -> StreamStats {
        self.shared.stats(self.content.exchange()).await
    }

    /// As [`stats`](Self::stats), blocking.
    pub fn wait_stats(&self) -> StreamStats {
        self.shared.wait_stats(self.content.exchange())
    }

    /// A witness of the stream's pipes.
    pub fn witness(&self) -> Witness {
        Witness::of(self.content.exchange())
    }
}

impl io::BufRead for RecvStream {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        io::BufRead::fill_buf(&mut self.content)
    }

    fn consume(&mut self, amount: usize) {
        io::BufRead::consume(&mut self.content, amount);
    }
}

impl io::Read for RecvStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        io::Read::read(&mut self.content, buffer)
    }
}

#[cfg(feature = "futures-io")]
mod asynchronous {
    use std::pin::Pin;

    use futures_io::{AsyncRead, AsyncWrite};

    use super::{Context, Poll, RecvStream, SendStream, io};

    impl AsyncRead for RecvStream {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            AsyncRead::poll_read(Pin::new(&mut self.content), cx, buffer)
        }
    }

    /// Closing is [`finish`](SendStream::finish): without it the stream is reset.
    impl AsyncWrite for SendStream {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &[u8],
        ) -> Poll<io::Result<usize>> {
            AsyncWrite::poll_write(Pin::new(&mut self.writer), cx, buffer)
        }

        fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            AsyncWrite::poll_close(Pin::new(&mut self.writer), cx)
        }
    }
}

#[cfg(test)]
#[cfg(feature = "futures-io")]
mod tests {
    use std::pin::Pin;

    use futures_io::{AsyncRead as _, AsyncWrite as _};

    use super::*;
    use crate::{
        Sending, Writing,
        web_transport::{StreamHalf, StreamKind},
    };

    #[test]
    fn streams_are_async_readers_and_writers() {
        let (mut half, pair) = StreamHalf::incoming(StreamKind::Bidirectional);
        let (mut send, mut receive) = (pair.send.unwrap(), pair.receive.unwrap());
        let cx = &mut Context::from_waker(Waker::noop());
        let written = Pin::new(&mut send).poll_write(cx, b"abc");
        assert!(matches!(written, Poll::Ready(Ok(3))));
        let mut taken = Vec::new();
        let mut read = |half: &mut StreamHalf| {
            half.read_segments(|bytes| {
                taken.extend_from_slice(bytes);
                Ok(bytes.len())
            })
        };
        assert_eq!(read(&mut half), Ok(Sending::Wait));
        assert!(matches!(Pin::new(&mut send).poll_close(cx), Poll::Ready(Ok(()))));
        drop(send);
        assert_eq!(read(&mut half), Ok(Sending::End), "dropping it changes nothing");
        assert_eq!(taken, b"abc");
        let filled = half.write_segments(|buffer| {
            buffer[..5].copy_from_slice(b"hello");
            Ok(Writing::End(5))
        });
        assert!(matches!(filled, Ok(Ok(Writing::End(5)))));
        half.end_receiving(Ok(()));
        let mut buffer = [0; 9];
        let read = Pin::new(&mut receive).poll_read(cx, &mut buffer);
        assert!(matches!(read, Poll::Ready(Ok(5))) && buffer.starts_with(b"hello"));
        assert!(matches!(Pin::new(&mut receive).poll_read(cx, &mut buffer), Poll::Ready(Ok(0))));
    }
}
