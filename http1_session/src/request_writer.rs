//! The sending half of an exchange.
//!
//! ```text
//!   Head ──► AwaitingContinue ──► Body ──► LastChunk ──► Done
//!    │   Expect │ 100, 2xx, 1 s ▲  │ ↺ blocked, or the body has nothing
//!    │          │               │  │
//!    └──────────┴── other final ┴──┴─► Stopped: the connection can't be used again
//!                       status
//! ```

use std::time::{Duration, Instant};

use http::StatusCode;
use transaction::{HttpTransaction, NetError, Sending};

use crate::{
    chunk_encoder::{ChunkEncoder, send_all},
    request_head::{BodyFraming, Serialised},
};

/// How long a body waits for 100 before it goes all the same (RFC 9110 §10.1.1 wants it not for ever).
pub(crate) const CONTINUE_WAIT: Duration = Duration::from_secs(1);

/// Sends one request.
#[derive(Debug)]
pub(crate) enum RequestWriter {
    /// The head leaves.
    Head { head: Serialised, sent: usize },
    /// The head has left; the server may want the body or not.
    AwaitingContinue { body: Body, deadline: Instant },
    /// The body leaves; `waits` says that its source had nothing when it was asked.
    Body { body: Body, waits: bool },
    /// The last chunk leaves.
    LastChunk(ChunkEncoder),
    /// The whole request has left.
    Done,
    /// It breaks off in its midst.
    Stopped,
}

/// A body that has not left whole.
#[derive(Debug)]
pub(crate) enum Body {
    /// So many bytes are to be sent still.
    Length(u64),
    Chunked(ChunkEncoder),
}

/// Who takes output.
type Send<'a> = &'a mut dyn FnMut(&[u8]) -> usize;

impl RequestWriter {
    pub(crate) fn new(head: Serialised) -> Self {
        Self::Head { head, sent: 0 }
    }

    /// Whether the server can know of the request.
    pub(crate) fn has_begun(&self) -> bool {
        !matches!(self, Self::Head { sent: 0, .. })
    }

    /// Whether all of it has left.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// Whether a call of [`send`](Self::send) could give something.
    pub(crate) fn wants_send(&self) -> bool {
        match self {
            Self::Head { .. } | Self::LastChunk(_) => true,
            Self::Body { body, waits } => !waits || body.is_pending(),
            Self::AwaitingContinue { .. } | Self::Done | Self::Stopped => false,
        }
    }

    /// When the wait for 100 is over.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self {
            Self::AwaitingContinue { deadline, .. } => Some(*deadline),
            _ => None,
        }
    }

    /// Bytes that it keeps.
    pub(crate) fn buffered(&self) -> usize {
        match self {
            Self::Head { head, sent } => head.bytes.len().saturating_sub(*sent),
            Self::Body { body: Body::Chunked(encoder), .. } | Self::LastChunk(encoder) => {
                encoder.buffered()
            }
            _ => 0,
        }
    }

    /// Gives output until `send` takes no more or nothing is left.
    ///
    /// # Errors
    /// The body can't be had whole.
    pub(crate) fn send(
        &mut self,
        transaction: &mut HttpTransaction,
        now: Instant,
        send: Send<'_>,
    ) -> Result<(), NetError> {
        // Each state passes on to the next one at most once.
        while let Some(next) = self.step(transaction, now, send)? {
            *self = next;
        }
        Ok(())
    }

    /// Sends what the present state has. Answers the next state if that is reached.
    fn step(
        &mut self,
        transaction: &mut HttpTransaction,
        now: Instant,
        send: Send<'_>,
    ) -> Result<Option<Self>, NetError> {
        match self {
            Self::Head { head, sent } => {
                let first = *sent == 0;
                let all = send_all(&head.bytes, sent, send);
                if first && *sent > 0 {
                    transaction.head_sent();
                    transaction.timings().request_start(now);
                }
                Ok(all.then(|| Self::after_head(head, now)))
            }
            Self::Body { body, waits } => {
                let sending = body.send(transaction, now, send)?;
                *waits = sending == Sending::Wait;
                if sending != Sending::End {
                    return Ok(None);
                }
                Ok(Some(match body {
                    Body::Length(_) => Self::Done,
                    Body::Chunked(encoder) => {
                        encoder.end();
                        Self::LastChunk(std::mem::take(encoder))
                    }
                }))
            }
            Self::LastChunk(encoder) => Ok(encoder.flush(send).then_some(Self::Done)),
            Self::AwaitingContinue { .. } | Self::Done | Self::Stopped => Ok(None),
        }
    }

    fn after_head(head: &Serialised, now: Instant) -> Self {
        let body = match head.framing {
            BodyFraming::None | BodyFraming::Length(0) => return Self::Done,
            BodyFraming::Length(length) => Body::Length(length),
            BodyFraming::Chunked => Body::Chunked(ChunkEncoder::default()),
        };
        match now.checked_add(CONTINUE_WAIT) {
            Some(deadline) if head.expects_continue => Self::AwaitingContinue { body, deadline },
            _ => Self::Body { body, waits: false },
        }
    }

    /// The wait for 100 is over: the body may go.
    pub(crate) fn go_on(&mut self) {
        if let Self::AwaitingContinue { .. } = self
            && let Self::AwaitingContinue { body, .. } = std::mem::replace(self, Self::Stopped)
        {
            *self = Self::Body { body, waits: false };
        }
    }

    /// The body's source has something, or its end.
    pub(crate) fn body_has_more(&mut self) {
        if let Self::Body { waits, .. } = self {
            *waits = false;
        }
    }

    /// A final status came. After a good one the body goes on, because a server may answer while it reads
    /// (RFC 9110 §10.1.1); after another one it has no use for the rest. Answers whether the body was stopped.
    pub(crate) fn final_status(&mut self, status: StatusCode) -> bool {
        if status.is_success() {
            self.go_on();
            return false;
        }
        self.stop()
    }

    /// Sends no more of the body. What has the body's last byte behind it goes on. Answers whether it stopped.
    pub(crate) fn stop(&mut self) -> bool {
        if matches!(self, Self::Done | Self::LastChunk(_) | Self::Stopped) {
            return false;
        }
        *self = Self::Stopped;
        true
    }
}

impl Body {
    fn is_pending(&self) -> bool {
        matches!(self, Self::Chunked(encoder) if encoder.is_pending())
    }

    fn send(
        &mut self,
        transaction: &mut HttpTransaction,
        now: Instant,
        send: Send<'_>,
    ) -> Result<Sending, NetError> {
        let mut progress = false;
        let sending = match self {
            Self::Length(left) => transaction.read_segments(|piece| {
                let taken = send_within(left, piece, send)?;
                progress |= taken > 0;
                Ok(taken)
            })?,
            Self::Chunked(encoder) => {
                if !encoder.flush(send) {
                    return Ok(Sending::Blocked);
                }
                let sending = transaction.read_segments(|piece| {
                    let taken = encoder.encode(piece, send);
                    progress |= taken > 0;
                    Ok(taken)
                })?;
                // The last chunk must not overtake.
                if encoder.is_pending() { Sending::Blocked } else { sending }
            }
        };
        if progress {
            transaction.timings().active(now);
        }
        match self {
            // Where the server has all of it, nothing waits for the source to say so.
            Self::Length(0) => Ok(Sending::End),
            Self::Length(left) if sending == Sending::End => Err(NetError::RequestBody(format!(
                "it ended {left} bytes before the length that was announced"
            ))),
            _ => Ok(sending),
        }
    }
}

/// Sends a piece of a body of which `left` bytes are announced.
fn send_within(left: &mut u64, piece: &[u8], send: Send<'_>) -> Result<usize, NetError> {
    if piece.len() as u64 > *left {
        let what = "it is longer than was announced".to_owned();
        return Err(NetError::RequestBody(what));
    }
    let taken = send(piece).min(piece.len());
    *left -= taken as u64;
    Ok(taken)
}
