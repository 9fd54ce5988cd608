//! One request and its response, both under way.

use std::time::Instant;

use http::StatusCode;
use transaction::{Closed, HttpTransaction, NetError, ResponseHead, Wishes};

use crate::{
    keep_alive::{self, KeepAlive},
    request_head::Serialised,
    request_writer::RequestWriter,
    response_head::{self, BodyFraming},
    response_reader::{Read, ResponseReader},
};

/// The two halves of an exchange.
#[derive(Debug)]
pub(crate) struct Exchange {
    transaction: Box<HttpTransaction>,
    writer: RequestWriter,
    reader: ResponseReader,
    /// The first byte of the response has come.
    answered: bool,
    /// What the final head said, if the connection may go on after it.
    keep_alive: Option<KeepAlive>,
    /// The consumer is slow.
    blocked: bool,
}

/// What became of received bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Received {
    /// So many were taken.
    Bytes(usize),
    /// The consumer is slow.
    PipeFull,
}

impl Exchange {
    pub(crate) fn new(transaction: Box<HttpTransaction>, head: Serialised) -> Self {
        Self {
            transaction,
            writer: RequestWriter::new(head),
            reader: ResponseReader::new(),
            answered: false,
            keep_alive: None,
            blocked: false,
        }
    }

    pub(crate) fn transaction(&self) -> &HttpTransaction {
        &self.transaction
    }

    pub(crate) fn transaction_mut(&mut self) -> &mut HttpTransaction {
        &mut self.transaction
    }

    pub(crate) fn writer(&self) -> &RequestWriter {
        &self.writer
    }

    pub(crate) fn is_blocked_on_consumer(&self) -> bool {
        self.blocked
    }

    /// Bytes that it keeps, without those of the transaction.
    pub(crate) fn buffered(&self) -> usize {
        self.writer.buffered() + self.reader.buffered()
    }

    /// Whether the response is whole.
    pub(crate) fn is_complete(&self) -> bool {
        self.reader.is_done()
    }

    /// What the server says about its patience, if another exchange may follow this one.
    pub(crate) fn keeps_alive(&self) -> Option<KeepAlive> {
        self.keep_alive.filter(|_| self.writer.is_done() && self.reader.is_done())
    }

    pub(crate) fn take_wishes(&mut self) -> Wishes {
        let wishes = self.transaction.take_wishes();
        if wishes.send {
            self.resume_body();
        }
        wishes
    }

    pub(crate) fn resume_body(&mut self) {
        self.writer.body_has_more();
    }

    pub(crate) fn send(
        &mut self,
        now: Instant,
        send: &mut dyn FnMut(&[u8]) -> usize,
    ) -> Result<(), NetError> {
        self.writer.send(&mut self.transaction, now, send)
    }

    pub(crate) fn on_deadline(&mut self, now: Instant) {
        if self.writer.deadline().is_some_and(|deadline| deadline <= now) {
            self.writer.go_on();
        }
    }

    /// Takes some of `bytes`, which are not empty.
    ///
    /// # Errors
    /// The exchange can't go on.
    pub(crate) fn receive(&mut self, bytes: &[u8], now: Instant) -> Result<Received, NetError> {
        if !self.writer.has_begun() {
            // Whatever it is, it is no answer to a request that has not left.
            let reason = "the server sent what nobody had asked for".into();
            return Err(NetError::NetReset { reason });
        }
        self.answered = true;
        let read = self.reader.read(&mut self.transaction, bytes)?;
        self.blocked = matches!(read, Read::PipeFull);
        match read {
            Read::Bytes(taken) => {
                self.transaction.timings().active(now);
                Ok(Received::Bytes(taken))
            }
            Read::Head(taken, head) => {
                self.transaction.timings().response_start(now);
                self.take_head(head)?;
                Ok(Received::Bytes(taken))
            }
            Read::PipeFull => Ok(Received::PipeFull),
        }
    }

    fn take_head(&mut self, head: ResponseHead) -> Result<(), NetError> {
        if head.is_interim() {
            if head.status == StatusCode::CONTINUE {
                self.writer.go_on();
            }
            return self.transaction.set_response_head(head);
        }
        let framing = response_head::framing(&head, self.transaction.request().method())?;
        let keep_alive = keep_alive::of(&head);
        let status = head.status;
        self.transaction.set_response_head(head)?;
        self.keep_alive = keep_alive.filter(|_| framing != BodyFraming::UntilClose);
        if self.writer.final_status(status) {
            self.transaction.discard_body();
        }
        self.reader.after_head(framing);
        Ok(())
    }

    /// The response is whole.
    pub(crate) fn complete(self, now: Instant) -> Closed {
        self.transaction.timings().response_end(now);
        self.transaction.close(Ok(()))
    }

    /// The stream has ended; `clean` says that the server ended it.
    pub(crate) fn end(self, clean: bool, now: Instant) -> Closed {
        if clean && self.reader.is_until_close() {
            return self.complete(now);
        }
        let reason = if clean {
            "the server ended the connection"
        } else {
            "the connection ended without a word of the server (close_notify)"
        };
        self.close(NetError::NetReset { reason: reason.into() }, Some(now))
    }

    /// Ends the exchange with `error`, or asks for a restart.
    pub(crate) fn close(self, error: NetError, now: Option<Instant>) -> Closed {
        let error = match error {
            // Part of a head is an answer too: the server has the request. (With a whole head the transaction
            // knows.)
            NetError::NetReset { reason } if self.answered && !self.reader.has_head() => {
                NetError::PartialTransfer { received: 0, expected: None, reason }
            }
            error => error,
        };
        self.note_end(now);
        self.transaction.close(Err(error))
    }

    /// Ends the exchange with `error` for good.
    pub(crate) fn abort(self, error: NetError, now: Option<Instant>) {
        self.note_end(now);
        self.transaction.fail(error);
    }

    fn note_end(&self, now: Option<Instant>) {
        if let Some(now) = now {
            self.transaction.timings().response_end(now);
        }
    }
}
