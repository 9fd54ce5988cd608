//! A request body that the application writes while the request runs.
//!
//! ```text
//!   BodyWriter::write, send, try_send ──► Pipe (96 KiB) ──► PipeReader::next
//!        ▲                                                        │ empty: the next bytes wake the
//!        └── space returns: woken once ◄──────────────────────────┘ owner of the exchange
//! ```
//!
//! The end of the body is said by [`BodyWriter::finish`] and by nothing else. A writer that is dropped
//! without it, or that breaks its word about the length, fails the request: its stream is reset, and the
//! server never takes a part for the whole.

use std::{
    future::poll_fn,
    io,
    sync::Arc,
    task::{Poll, Waker},
};

use bytes::{Bytes, BytesMut};
use parking_lot::{Condvar, Mutex};

use super::reader::Piece;
use crate::{
    error::NetError,
    exchange::Exchange,
    pipe::{Pipe, Read},
    witness::Witness,
};

/// Pieces below this size are joined, up to the second.
const SMALL: usize = 4 * 1024;
const JOINED: usize = 16 * 1024;

/// The reading end, on its way into a request.
#[derive(Debug)]
pub struct PipeBody(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    pipe: Pipe,
    /// What the head says, or will say, about the length.
    expected: Option<u64>,
    written: u64,
    /// Wakes the writer's task; a blocked thread waits on the condition variable instead.
    writer: Option<Waker>,
    /// Why nothing more is taken.
    closed: Option<NetError>,
    /// The writer gave it up, whether or not what it wrote before can still be sent.
    aborted: Option<NetError>,
    reader_waits: bool,
    /// Whose owner is to be woken when there is something to send.
    exchange: Option<Arc<Exchange>>,
}

pub(super) fn pipe(length: Option<u64>) -> (BodyWriter, PipeBody) {
    let state = State {
        pipe: Pipe::default(),
        expected: length,
        written: 0,
        writer: None,
        closed: None,
        aborted: None,
        reader_waits: false,
        exchange: None,
    };
    let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
    (BodyWriter { shared: Arc::clone(&shared), finished: false }, PipeBody(shared))
}

impl PipeBody {
    /// How long it will be, if that was said.
    pub fn length(&self) -> Option<u64> {
        self.0.state.lock().expected
    }

    pub(super) fn witness(&self) -> Witness {
        Witness::of(&self.0)
    }

    pub(super) fn expect_length(&self, length: u64) {
        self.0.state.lock().expected.get_or_insert(length);
    }

    pub(super) fn into_reader(self, exchange: &Arc<Exchange>) -> PipeReader {
        self.0.state.lock().exchange = Some(Arc::clone(exchange));
        PipeReader(self)
    }
}

/// A body that nobody will send any more takes no more.
impl Drop for PipeBody {
    fn drop(&mut self) {
        self.0.close(NetError::Aborted);
    }
}

/// The socket thread's end of a pipe.
#[derive(Debug)]
pub(super) struct PipeReader(PipeBody);

impl PipeReader {
    pub(super) fn next(&mut self) -> Result<Piece, NetError> {
        let shared = &self.0.0;
        let mut state = shared.state.lock();
        let found = gather(&mut state.pipe);
        state.reader_waits = found == Read::Empty;
        if state.pipe.take_writer_wakeup() {
            shared.wake_writer(state);
        }
        match found {
            Read::Data(bytes) => Ok(Piece::Ready(bytes)),
            Read::Empty => Ok(Piece::Wait),
            Read::End(Ok(())) => Ok(Piece::End),
            Read::End(Err(error)) => Err(error),
        }
    }

    pub(super) fn close(&mut self, why: NetError) {
        self.0.0.close(why);
    }

    /// Why the writer gave it up, if it did: what is left may be sent, and need not be.
    pub(super) fn aborted(&self) -> Option<NetError> {
        self.0.0.state.lock().aborted.clone()
    }

    pub(super) fn buffered(&self) -> usize {
        self.0.0.state.lock().pipe.buffered()
    }
}

/// Each piece becomes a frame, so small ones are joined.
fn gather(pipe: &mut Pipe) -> Read {
    let first = pipe.read(usize::MAX);
    let Read::Data(first) = first else { return first };
    if first.len() >= SMALL || pipe.buffered() == 0 {
        return Read::Data(first);
    }
    let mut joined = BytesMut::with_capacity(JOINED);
    joined.extend_from_slice(&first);
    while joined.len() < JOINED
        && let Read::Data(next) = pipe.read(JOINED - joined.len())
    {
        joined.extend_from_slice(&next);
    }
    Read::Data(joined.freeze())
}

impl Shared {
    fn close(&self, why: NetError) {
        let mut state = self.state.lock();
        state.closed.get_or_insert(why);
        state.exchange = None;
        state.pipe.discard();
        self.wake_writer(state);
    }

    fn wake_writer(&self, mut state: parking_lot::MutexGuard<'_, State>) {
        let waker = state.writer.take();
        drop(state);
        self.changed.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Takes what fits. Answers how much that is: nothing means that the writer will be woken.
    fn take(&self, piece: &mut Bytes) -> Result<usize, NetError> {
        let mut state = self.state.lock();
        if let Some(why) = &state.closed {
            return Err(why.clone());
        }
        state.keep_to_the_length(piece.len())?;
        let taken = state.pipe.space().min(piece.len());
        if taken == 0 {
            state.pipe.writer_waits();
            return Ok(0);
        }
        state.written += taken as u64;
        state.pipe.write(piece.split_to(taken));
        wake_reader(state);
        Ok(taken)
    }

    fn abort(&self, why: NetError) {
        let mut state = self.state.lock();
        state.pipe.finish(Err(why.clone()));
        state.aborted = Some(why);
        // Also if it waits for the engine, not for the writer.
        state.reader_waits = true;
        wake_reader(state);
    }

    fn end(&self, end: Result<(), NetError>) {
        let mut state = self.state.lock();
        let end = end.and_then(|()| state.check_end());
        if end.is_err() {
            // What was written is worth nothing without the rest.
            state.pipe.discard();
        }
        state.pipe.finish(end);
        state.reader_waits = true;
        wake_reader(state);
    }
}

fn wake_reader(mut state: parking_lot::MutexGuard<'_, State>) {
    let waits = std::mem::take(&mut state.reader_waits);
    let exchange = state.exchange.clone().filter(|_| waits);
    drop(state);
    if let Some(exchange) = exchange {
        exchange.wish_to_send();
    }
}

impl State {
    fn keep_to_the_length(&self, more: usize) -> Result<(), NetError> {
        match self.expected {
            Some(expected) if self.written + more as u64 > expected => {
                let what = format!("it is longer than the {expected} bytes that were announced");
                Err(NetError::RequestBody(what))
            }
            _ => Ok(()),
        }
    }

    fn check_end(&self) -> Result<(), NetError> {
        match self.expected {
            Some(expected) if self.written < expected => {
                let written = self.written;
                let what = format!("it ended after {written} of the {expected} bytes announced");
                Err(NetError::RequestBody(what))
            }
            _ => Ok(()),
        }
    }
}

/// Writes a request's body while the request runs. Any thread.
///
/// It holds at most a pipe of 96 KiB that the server has not been sent: what is written faster waits.
/// [`finish`](Self::finish) ends the body; dropping the writer before that resets the request's stream.
///
/// Writing fails when nobody wants more: the request was cancelled, it failed, or the server answered
/// without waiting for the rest. The response says which it was.
#[derive(Debug)]
pub struct BodyWriter {
    shared: Arc<Shared>,
    finished: bool,
}

impl BodyWriter {
    /// Takes the part of `piece` that there is space for, and leaves the rest in it. Answers how many
    /// bytes were taken.
    ///
    /// # Errors
    /// Nobody wants more, or it would be more than was announced.
    pub fn try_send(&mut self, piece: &mut Bytes) -> Result<usize, NetError> {
        self.shared.take(piece)
    }

    /// Writes all of `piece`, and waits for space as often as it takes. Needs no particular runtime.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send).
    pub async fn send(&mut self, piece: impl Into<Bytes>) -> Result<(), NetError> {
        let mut piece = piece.into();
        poll_fn(|cx| {
            while !piece.is_empty() {
                // Before looking: a wake-up between the look and the registration would be lost.
                self.shared.state.lock().writer = Some(cx.waker().clone());
                match self.shared.take(&mut piece) {
                    Ok(0) => return Poll::Pending,
                    Ok(_) => {}
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// As [`send`](Self::send), blocking.
    ///
    /// # Errors
    /// As [`try_send`](Self::try_send).
    pub fn wait_send(&mut self, piece: impl Into<Bytes>) -> Result<(), NetError> {
        let mut piece = piece.into();
        while !piece.is_empty() {
            self.wait_space();
            self.shared.take(&mut piece)?;
        }
        Ok(())
    }

    /// The body is complete. If it is shorter than was announced, the request fails.
    pub fn finish(mut self) {
        self.end();
    }

    pub(crate) fn end(&mut self) {
        if !std::mem::replace(&mut self.finished, true) {
            self.shared.end(Ok(()));
        }
    }

    /// Gives it up with `why`. What was written still goes as far as the other side takes it at once.
    pub(crate) fn abort(mut self, why: NetError) {
        self.finished = true;
        self.shared.abort(why);
    }

    /// Why nobody wants more, if that is so; registers `waker` if not.
    pub(crate) fn poll_closed(&self, waker: &Waker) -> Poll<NetError> {
        let mut state = self.shared.state.lock();
        if let Some(why) = &state.closed {
            return Poll::Ready(why.clone());
        }
        state.writer = Some(waker.clone());
        Poll::Pending
    }

    /// Takes a part of `buffer`, or registers `waker` to be woken when there is space for one.
    #[cfg_attr(not(feature = "futures-io"), expect(dead_code, reason = "for that feature"))]
    pub(crate) fn poll_write(&self, buffer: &[u8], waker: &Waker) -> Poll<io::Result<usize>> {
        let space = {
            let mut state = self.shared.state.lock();
            state.writer = Some(waker.clone());
            state.pipe.space()
        };
        let fits = buffer.get(..space).unwrap_or(buffer);
        match self.shared.take(&mut Bytes::copy_from_slice(fits)) {
            Ok(0) if !buffer.is_empty() => Poll::Pending,
            result => Poll::Ready(result.map_err(into_io)),
        }
    }

    /// Blocks until there is space, or until nobody wants more.
    fn wait_space(&self) -> usize {
        let mut state = self.shared.state.lock();
        while state.pipe.space() == 0 && state.closed.is_none() {
            state.pipe.writer_waits();
            self.shared.changed.wait(&mut state);
        }
        state.pipe.space()
    }
}

impl io::Write for BodyWriter {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let fits = buffer.get(..self.wait_space()).unwrap_or(buffer);
        self.shared.take(&mut Bytes::copy_from_slice(fits)).map_err(into_io)
    }

    /// Does nothing: what was written leaves as soon as the network takes it.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn into_io(error: NetError) -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, error)
}

impl Drop for BodyWriter {
    fn drop(&mut self) {
        if !self.finished {
            let what = "the application gave it up before its end".into();
            self.shared.end(Err(NetError::RequestBody(what)));
        }
    }
}
