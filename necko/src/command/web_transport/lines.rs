//! Lines of standard input to the server, and what comes back to standard output.

use std::{
    future::poll_fn,
    io::{self, BufRead as _, Read as _, Write as _},
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

/// The end of standard input, told to the thread that waits for the server.
#[derive(Default)]
struct InputEnd(Mutex<(bool, Option<Waker>)>);

impl InputEnd {
    fn reached(&self) {
        let waker = {
            let mut state = self.0.lock();
            state.0 = true;
            state.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Whether it was reached; `waker` is woken when it is.
    fn poll(&self, waker: &Waker) -> bool {
        let mut state = self.0.lock();
        state.1 = Some(waker.clone());
        state.0
    }
}

/// One bidirectional stream, until the server has ended its direction.
pub(super) fn both_ways(session: &WebTransportSession, waiter: &Waiter<'_>) -> Result<(), Failure> {
    let (send, receive) = open_bi(session, waiter)?;
    on_a_thread(move || feed(send))?;
    copy_out(receive, waiter).map(|_| ())
}

/// Standard input as it comes, and its end. Whoever reads from the stream learns of what goes wrong.
fn feed(mut send: SendStream) {
    let (mut input, mut buffer) = (io::stdin().lock(), vec![0; PIECE]);
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return send.finish(),
            Ok(count) => {
                let piece = Bytes::copy_from_slice(buffer.get(..count).unwrap_or_default());
                if send.wait_send(piece).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return send.reset(0),
        }
    }
}

/// Answers whether somebody reads standard output.
fn copy_out(mut receive: RecvStream, waiter: &Waiter<'_>) -> Result<bool, Failure> {
    let mut output = io::stdout().lock();
    while let Some(piece) = waiter.wait(receive.chunk())?? {
        if !written(output.write_all(&piece).and_then(|()| output.flush()))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A datagram for each line, and a line for each datagram.
pub(super) fn datagrams(
    session: &WebTransportSession,
    waiter: &mut Waiter<'_>,
    linger: Duration,
) -> Result<(), Failure> {
    let end = Arc::<InputEnd>::default();
    let (sender, told) = (session.clone(), Arc::clone(&end));
    let problem = Arc::<Mutex<Option<NetError>>>::default();
    let noted = Arc::clone(&problem);
    on_a_thread(move || {
        for line in io::stdin().lock().split(b'\n').map_while(Result::ok) {
            if let Err(error) = sender.send_datagram(line) {
                *noted.lock() = Some(error);
                break;
            }
        }
        told.reached();
    })?;
    let mut output = io::stdout().lock();
    while let Some(datagram) = next(waiter, &end, linger, session.recv_datagram())? {
        let line = output.write_all(&datagram).and_then(|()| output.write_all(b"\n"));
        if !written(line.and_then(|()| output.flush()))? {
            return Ok(());
        }
    }
    let problem = problem.lock().take();
    problem.map_or(Ok(()), |error| Err(error.into()))
}

/// One unidirectional stream there, and any number back.
pub(super) fn one_way(
    session: &WebTransportSession,
    waiter: &mut Waiter<'_>,
    linger: Duration,
) -> Result<(), Failure> {
    let send = waiter.wait(session.open_uni()?)??;
    let end = Arc::<InputEnd>::default();
    let told = Arc::clone(&end);
    on_a_thread(move || {
        feed(send);
        told.reached();
    })?;
    while let Some(receive) = next(waiter, &end, linger, session.accept_uni())? {
        if !copy_out(receive, waiter)? {
            return Ok(());
        }
    }
    Ok(())
}

/// The next thing of the server's. None when nothing has come for so long after the end of standard input.
fn next<T>(
    waiter: &mut Waiter<'_>,
    end: &InputEnd,
    linger: Duration,
    next: impl Future<Output = Result<T, NetError>>,
) -> Result<Option<T>, Failure> {
    let mut next = pin!(next);
    let found = waiter.wait(poll_fn(|cx| match next.as_mut().poll(cx) {
        Poll::Ready(found) => Poll::Ready(Some(found)),
        Poll::Pending if end.poll(cx.waker()) => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    }))?;
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
