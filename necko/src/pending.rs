//! A response that has not begun, and the redirects on the way to it.
//!
//! ```text
//!             ┌───────────── the next request is sent ◄──────────────┐
//!             ▼                                                      │
//!         Awaiting ──► a redirect that is to be followed ──► Draining: its body is read and dropped
//!             │
//!             └──► a response, or an error ──► Done
//! ```
//!
//! Whoever waits for the response drives this: it runs when it is polled, on the application's thread, and
//! sends the next request as the application did the first. The socket thread knows nothing of redirects.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Wake, Waker, ready},
    thread::{self, Thread},
    time::Instant,
};

use transaction::{
    Canceller, NetError, Priority, RedirectProblem, ResponseHead, SharedTimings, Witness, consumer,
};

use crate::{
    redirect::{Redirect, location},
    request::Request,
    response::Response,
    submitter::Submitter,
};

/// How much of a redirect's body is read, so that its connection can be used again where that is needed
/// (HTTP/1.1). Of more than that, the rest is cancelled.
const DRAINED: u64 = 64 * 1024;

/// A response that has not begun: a future, independent of any runtime, that can also block.
///
/// Dropping it cancels the request.
#[must_use = "dropping it cancels the request"]
pub struct PendingResponse {
    stage: Stage,
    /// What is asked for now, in case that it leads elsewhere.
    follow: Option<Box<Follow>>,
    decode: bool,
    url: String,
    redirects: Vec<Redirect>,
    canceller: Canceller,
    timings: SharedTimings,
}

enum Stage {
    Awaiting(consumer::PendingResponse),
    Draining(Box<Draining>),
    Done,
}

/// A redirect's body, and what comes after it.
struct Draining {
    body: consumer::ResponseBody,
    read: u64,
    next: Request,
}

struct Follow {
    submitter: Submitter,
    request: Request,
    max: u32,
    deadline: Option<Instant>,
}

impl PendingResponse {
    /// Sends a request.
    pub(crate) fn send(
        submitter: &Submitter,
        request: Request,
        now: Instant,
    ) -> Result<Self, NetError> {
        let deadline = request.deadline(now);
        let follow = request.max_redirects().map(|max| {
            let (submitter, request) = (submitter.clone(), request.keep_for_redirects());
            Box::new(Follow { submitter, request, max, deadline })
        });
        let (decode, url) = (request.decodes_content(), request.url().to_string());
        let pending = submitter.send(request, deadline)?;
        let (canceller, timings) = (pending.canceller(), pending.timings());
        let (stage, redirects) = (Stage::Awaiting(pending), Vec::new());
        Ok(Self { stage, follow, decode, url, redirects, canceller, timings })
    }

    fn awaited(&self) -> Option<&consumer::PendingResponse> {
        match &self.stage {
            Stage::Awaiting(pending) => Some(pending),
            Stage::Draining(_) | Stage::Done => None,
        }
    }

    /// The next 103 head (early hints, RFC 8297): what the server expects the response to need. `None` when
    /// there will be no more, because the response, or a redirect, has begun or failed.
    pub async fn early_hints(&mut self) -> Option<ResponseHead> {
        match &mut self.stage {
            Stage::Awaiting(pending) => pending.early_hints().await,
            Stage::Draining(_) | Stage::Done => None,
        }
    }

    /// As [`early_hints`](Self::early_hints), blocking.
    pub fn wait_early_hints(&mut self) -> Option<ResponseHead> {
        match &mut self.stage {
            Stage::Awaiting(pending) => pending.wait_early_hints(),
            Stage::Draining(_) | Stage::Done => None,
        }
    }

    /// Changes how urgent the response is: in the request, or by `PRIORITY_UPDATE` when that has left.
    pub fn set_priority(&mut self, priority: Priority) {
        if let Some(pending) = self.awaited() {
            pending.set_priority(priority);
        }
        if let Some(follow) = &mut self.follow {
            follow.request.set_priority(priority);
        }
    }

    /// A witness of the response's pipe; none after the response was taken.
    pub fn witness(&self) -> Option<Witness> {
        self.awaited().and_then(consumer::PendingResponse::witness)
    }

    /// What cancels it from elsewhere, whatever redirects may lead to.
    pub fn canceller(&self) -> Canceller {
        self.canceller.clone()
    }

    /// When what happens to the request that runs now, after all redirects that were followed so far.
    pub fn timings(&self) -> SharedTimings {
        self.timings.clone()
    }

    /// The URL that is asked for now.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The redirects that were followed so far.
    pub fn redirects(&self) -> &[Redirect] {
        &self.redirects
    }

    /// Blocks until the response head arrives.
    ///
    /// # Errors
    /// How the request failed.
    pub fn wait(self) -> Result<Response, NetError> {
        block_on(self)
    }

    /// A response's head is there: it is the one, or leads on.
    fn answered(&mut self, response: consumer::Response) -> Result<Option<Response>, NetError> {
        let Some(follow) = &self.follow else { return Ok(Some(self.finished(response))) };
        let Some(location) = location(response.status(), response.headers()) else {
            return Ok(Some(self.finished(response)));
        };
        let followed = u32::try_from(self.redirects.len()).unwrap_or(u32::MAX);
        let next = if followed < follow.max {
            follow.request.redirected(response.status(), location)
        } else {
            Err(RedirectProblem::TooMany(follow.max))
        };
        let next = next.map_err(|problem| NetError::Redirect {
            location: String::from_utf8_lossy(location.as_bytes()).into_owned(),
            problem,
        })?;
        let next_request = next.head()?;
        let timings = response.timings();
        let (head, body) = response.into_parts();
        self.redirects.push(Redirect {
            url: self.url.clone(),
            next_url: next.url().to_string(),
            next_request,
            status: head.status,
            version: head.version,
            headers: head.headers,
            timings,
            received: 0,
        });
        self.stage = Stage::Draining(Box::new(Draining { body, read: 0, next }));
        Ok(None)
    }

    fn finished(&mut self, response: consumer::Response) -> Response {
        let redirects = std::mem::take(&mut self.redirects);
        Response::new(response, std::mem::take(&mut self.url), redirects, self.decode)
    }

    /// The redirect's body is out of the way.
    fn go_on(&mut self, next: Request, read: u64) -> Result<(), NetError> {
        let Some(follow) = &mut self.follow else {
            return Err(NetError::Internal("it has led on"));
        };
        follow.request = next.keep_for_redirects();
        next.url().as_str().clone_into(&mut self.url);
        if let Some(redirect) = self.redirects.last_mut() {
            redirect.received = read;
        }
        if self.canceller.is_cancelled() {
            return Err(NetError::Aborted);
        }
        let pending = follow.submitter.send(next, follow.deadline)?;
        self.canceller.aim_at(&pending);
        self.timings = pending.timings();
        self.stage = Stage::Awaiting(pending);
        Ok(())
    }

    fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response, NetError>> {
        loop {
            match &mut self.stage {
                Stage::Awaiting(pending) => {
                    let response = ready!(Pin::new(pending).poll(cx))?;
                    if let Some(response) = self.answered(response)? {
                        return Poll::Ready(Ok(response));
                    }
                }
                Stage::Draining(draining) => {
                    // How it ends does not matter, but for a cancel and the deadline, which come again.
                    if draining.read < DRAINED
                        && let Ok(Some(piece)) =
                            ready!(draining.body.poll_chunk(consumer::CHUNK, cx))
                    {
                        draining.read += piece.len() as u64;
                        continue;
                    }
                    let Stage::Draining(draining) = std::mem::replace(&mut self.stage, Stage::Done)
                    else {
                        continue;
                    };
                    let Draining { read, next, .. } = *draining;
                    self.go_on(next, read)?;
                }
                Stage::Done => {
                    return Poll::Ready(Err(NetError::Internal("polled after completion")));
                }
            }
        }
    }
}

impl Future for PendingResponse {
    type Output = Result<Response, NetError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = self.poll_response(cx);
        if polled.is_ready() {
            self.stage = Stage::Done;
        }
        polled
    }
}

impl std::fmt::Debug for PendingResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PendingResponse")
            .field("url", &self.url)
            .field("redirects", &self.redirects.len())
            .finish_non_exhaustive()
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks the calling thread, which needs no runtime, until the future has its result.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}
