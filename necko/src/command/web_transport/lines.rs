//! Lines of standard input to the server, and what comes back to standard output.

use std::{
    future::poll_fn,
    io::{self, BufRead, Read as _, Write as _},
    pin::pin,
    sync::Arc,
    task::{Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use necko::{NetError, RecvStream, SendStream, WebTransportSession};
use parking_lot::Mutex;

use super::{on_a_thread, open_bi, written};
use crate::command::{exit_code::ExitCode, report::Failure, wait::Waiter};

/// How much is read from standard input at a time, where it isn't read line by line.
const PIECE: usize = 64 * 1024;

/// No line that is longer fits into a datagram.
const LONGEST_LINE: u64 = 64 * 1024;

/// How far standard input is, told to the thread that waits for the server.
#[derive(Default)]
struct Input(Mutex<State>);

#[derive(Default)]
struct State {
    /// It was read to its end, or can't be used further.
    end: Option<Result<(), Failure>>,
    waker: Option<Waker>,
}

impl Input {
    fn end(&self, end: Result<(), Failure>) {
        let waker = {
            let mut state = self.0.lock();
            state.end.get_or_insert(end);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// How it ended, if it has; `waker` is woken when it does.
    fn poll(&self, waker: &Waker) -> Option<Result<(), Failure>> {
        let mut state = self.0.lock();
        state.waker = Some(waker.clone());
        state.end.clone()
    }
}

fn cannot_read(error: &io::Error) -> Failure {
    Failure::new(ExitCode::ReadError, format!("reading standard input failed: {error}"))
}

/// One bidirectional stream, until the server has ended its direction.
pub(super) fn both_ways(session: &WebTransportSession, waiter: &Waiter<'_>) -> Result<(), Failure> {
    let (send, receive) = open_bi(session, waiter)?;
    let input = Arc::<Input>::default();
    let told = Arc::clone(&input);
    on_a_thread(move || told.end(feed(send)))?;
    copy_out(receive, waiter, &input).map(|_| ())
}

/// Standard input as it comes, and its end. Whoever reads from the server learns of what goes wrong there.
fn feed(mut send: SendStream) -> Result<(), Failure> {
    let (mut input, mut buffer) = (io::stdin().lock(), vec![0; PIECE]);
    loop {
        match input.read(&mut buffer) {
            Ok(0) => {
                send.finish();
                return Ok(());
            }
            Ok(count) => {
                let piece = Bytes::copy_from_slice(buffer.get(..count).unwrap_or_default());
                if send.wait_send(piece).is_err() {
                    return Ok(());
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(cannot_read(&error)),
        }
    }
}

/// Answers whether somebody reads standard output.
fn copy_out(mut receive: RecvStream, waiter: &Waiter<'_>, input: &Input) -> Result<bool, Failure> {
    let mut output = io::stdout().lock();
    loop {
        let piece = waiter.wait(poll_fn(|cx| {
            if let Some(Err(failure)) = input.poll(cx.waker()) {
                return Poll::Ready(Err(failure));
            }
            receive.poll_chunk(PIECE, cx).map_err(Failure::from)
        }))??;
        let Some(piece) = piece else { return Ok(true) };
        if !written(output.write_all(&piece).and_then(|()| output.flush()))? {
            return Ok(false);
        }
    }
}

/// A datagram for each line, and a line for each datagram.
pub(super) fn datagrams(
    session: &WebTransportSession,
    waiter: &mut Waiter<'_>,
    linger: Duration,
) -> Result<(), Failure> {
    let input = Arc::<Input>::default();
    let (sender, told) = (session.clone(), Arc::clone(&input));
    on_a_thread(move || told.end(send_lines(&sender, io::stdin().lock())))?;
    let mut output = io::stdout().lock();
    while let Some(datagram) = next(waiter, &input, linger, session.recv_datagram())? {
        let line = output.write_all(&datagram).and_then(|()| output.write_all(b"\n"));
        if !written(line.and_then(|()| output.flush()))? {
            return Ok(());
        }
    }
    Ok(())
}

/// Each waits until the one before has left: a file must not displace its own beginning.
fn send_lines(session: &WebTransportSession, mut input: impl BufRead) -> Result<(), Failure> {
    loop {
        let mut line = Vec::new();
        let read = input.by_ref().take(LONGEST_LINE + 1).read_until(b'\n', &mut line);
        match read {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) => return Err(cannot_read(&error)),
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        }
        match session.track_datagram(line) {
            Ok(outcome) => drop(outcome.wait()),
            // Who waits for the server's datagrams is told.
            Err(NetError::WebTransportClosed { .. }) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// One unidirectional stream there, and any number back.
pub(super) fn one_way(
    session: &WebTransportSession,
    waiter: &mut Waiter<'_>,
    linger: Duration,
) -> Result<(), Failure> {
    let send = waiter.wait(session.open_uni()?)??;
    let input = Arc::<Input>::default();
    let told = Arc::clone(&input);
    on_a_thread(move || told.end(feed(send)))?;
    while let Some(receive) = next(waiter, &input, linger, session.accept_uni())? {
        if !copy_out(receive, waiter, &input)? {
            return Ok(());
        }
    }
    Ok(())
}

/// The next thing of the server's. None when nothing has come for so long after the end of standard input.
fn next<T>(
    waiter: &mut Waiter<'_>,
    input: &Input,
    linger: Duration,
    next: impl Future<Output = Result<T, NetError>>,
) -> Result<Option<T>, Failure> {
    let mut next = pin!(next);
    let found = waiter.wait(poll_fn(|cx| match next.as_mut().poll(cx) {
        Poll::Ready(found) => Poll::Ready(Ok(Some(found))),
        Poll::Pending => match input.poll(cx.waker()) {
            Some(end) => Poll::Ready(end.map(|()| None)),
            None => Poll::Pending,
        },
    }))??;
    if let Some(found) = found {
        return Ok(Some(found?));
    }
    waiter.begin(Some(linger), None);
    let found = waiter.wait(next);
    waiter.begin(None, None);
    match found {
        Ok(found) => Ok(Some(found?)),
        Err(failure) if failure.code == ExitCode::Timeout => Ok(None),
        Err(failure) => Err(failure),
    }
}
