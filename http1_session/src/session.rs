//! One connection's exchanges.

use std::time::Instant;

use transaction::{BodyRead, Closed, HttpTransaction, NetError};

use crate::{
    KeepAlive,
    exchange::{End, Exchange},
};

/// The HTTP of one connection: one exchange after the other. See the crate's page.
///
/// Socket thread. The connection calls it with what it received and asks it for what is to be sent; after either
/// it asks for [`take_finished`](Self::take_finished).
#[derive(Default)]
pub struct Http1Session {
    exchange: Option<Exchange>,
    finished: Option<Finished>,
    /// Something happened after which nothing may follow.
    spent: bool,
    keep_alive: KeepAlive,
    bytes_read: u64,
    exchanges: u64,
}

/// An exchange is over, and its connection's handle may go.
#[derive(Debug)]
pub struct Finished {
    /// The request, if it is to be dispatched again.
    pub restart: Option<Box<HttpTransaction>>,
}

impl Http1Session {
    /// Of a connection that was just made.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether it takes a request now.
    pub fn can_activate(&self) -> bool {
        !self.spent && self.exchange.is_none() && self.finished.is_none()
    }

    /// Begins an exchange; `reused` says that the connection served another request before.
    pub fn activate(&mut self, mut transaction: Box<HttpTransaction>, reused: bool) {
        transaction.set_reused_connection(reused);
        self.exchanges += 1;
        self.exchange = Some(Exchange::new(transaction));
    }

    /// The request on it.
    pub fn transaction(&self) -> Option<&HttpTransaction> {
        self.exchange.as_ref().map(|exchange| exchange.transaction.as_ref())
    }

    /// The request on it.
    pub fn transaction_mut(&mut self) -> Option<&mut HttpTransaction> {
        self.exchange.as_mut().map(|exchange| exchange.transaction.as_mut())
    }

    /// Takes decrypted bytes; answers how many. Fewer than all: the consumer has no room for the rest, or the
    /// response is over and the rest is nobody's, in which case no other request may follow.
    pub fn receive(&mut self, bytes: &[u8], now: Instant) -> usize {
        let Some(exchange) = &mut self.exchange else {
            self.spent |= !bytes.is_empty();
            return 0;
        };
        let (taken, end) = exchange.receive(bytes, now);
        self.bytes_read = self.bytes_read.saturating_add(taken as u64);
        if let Some(end) = end {
            self.spent |= taken < bytes.len();
            self.end(end, Some(now));
        }
        taken
    }

    /// The byte stream has ended; `clean` says that the server said so itself (`close_notify`), and nobody in
    /// between.
    pub fn receive_end(&mut self, clean: bool, now: Instant) {
        self.spent = true;
        if let Some(exchange) = &mut self.exchange {
            let end = exchange.receive_end(clean);
            self.end(end, Some(now));
        }
    }

    /// Whether there is something to send.
    pub fn wants_send(&self) -> bool {
        self.exchange.as_ref().is_some_and(Exchange::wants_send)
    }

    /// Gives what there is to `send`, which answers how much of it it took, until it takes no more. A body that
    /// can't be had ends the exchange.
    pub fn send(&mut self, now: Instant, send: &mut dyn FnMut(&[u8]) -> usize) {
        if let Some(exchange) = &mut self.exchange
            && let Err(error) = exchange.send(now, send)
        {
            self.end(End::Failed(error), Some(now));
        }
    }

    /// The request's body may have something again.
    pub fn resume_body(&mut self) {
        if let Some(exchange) = &mut self.exchange {
            exchange.resume_body();
        }
    }

    /// What a worker should read for the request's body, if anything; to be asked after each
    /// [`send`](Self::send).
    pub fn take_body_read(&mut self) -> Option<BodyRead> {
        self.transaction_mut()?.take_body_read()
    }

    /// When [`on_deadline`](Self::on_deadline) is wanted.
    pub fn deadline(&self) -> Option<Instant> {
        self.exchange.as_ref().and_then(Exchange::deadline)
    }

    /// Time has passed.
    pub fn on_deadline(&mut self, now: Instant) {
        if let Some(exchange) = &mut self.exchange {
            exchange.on_deadline(now);
        }
    }

    /// The connection has failed: what is on it ends with `error`, or goes elsewhere.
    pub fn fail(&mut self, error: NetError) {
        self.end(End::Failed(error), None);
    }

    /// What is on it ends with `error`, and does not go elsewhere. Nothing may follow.
    pub fn abort(&mut self, error: NetError) {
        self.spent = true;
        if let Some(exchange) = self.exchange.take() {
            exchange.transaction.fail(error);
            self.finished = Some(Finished { restart: None });
        }
    }

    fn end(&mut self, end: End, now: Option<Instant>) {
        let Some(exchange) = self.exchange.take() else {
            self.spent |= matches!(end, End::Failed(_));
            return;
        };
        self.spent |= matches!(end, End::Failed(_)) || !exchange.leaves_a_usable_connection();
        self.keep_alive = exchange.keep_alive;
        if let Some(now) = now {
            exchange.transaction.timings().response_end(now);
        }
        let result = match end {
            End::Whole => Ok(()),
            End::Failed(error) => Err(error),
        };
        let restart = match exchange.transaction.close(result) {
            Closed::Finished => None,
            Closed::Restart(transaction) => Some(transaction),
        };
        self.finished = Some(Finished { restart });
    }

    /// That an exchange is over, once.
    pub fn take_finished(&mut self) -> Option<Finished> {
        self.finished.take()
    }

    /// Whether another request may follow, when the present one is over.
    pub fn may_be_reused(&self) -> bool {
        !self.spent
    }

    /// What the last response said of the connection's future.
    pub fn keep_alive(&self) -> KeepAlive {
        self.keep_alive
    }

    /// Bytes of responses so far.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Requests that it was given so far.
    pub fn exchanges(&self) -> u64 {
        self.exchanges
    }
}
