//! One connection's HTTP.

use std::time::Instant;

use transaction::{BodyRead, Closed, HttpTransaction, NetError, Wishes};

use crate::{
    exchange::{Exchange, Received},
    keep_alive::KeepAlive,
    request_head,
};

/// One exchange after another over one byte stream. Necko's class is `nsHttpConnection`, without its socket.
///
/// Socket thread. After each call that may end the exchange, ask [`take_finished`](Self::take_finished). Times are
/// those that the caller passes; sizes are in bytes.
#[derive(Debug, Default)]
pub struct Http1Session {
    state: State,
    keep_alive: KeepAlive,
    finished: Option<Finished>,
    /// When it was last called with a time.
    now: Option<Instant>,
    bytes_read: u64,
    exchanges: u64,
}

/// See the picture of the crate's page.
#[derive(Debug, Default)]
enum State {
    /// Ready for an exchange.
    #[default]
    Idle,
    Exchange(Box<Exchange>),
    /// No exchange follows: the connection is to be closed.
    Closed,
}

/// An exchange is over.
#[derive(Debug)]
pub struct Finished {
    /// It is to be dispatched again; otherwise the consumer has the result.
    pub restart: Option<Box<HttpTransaction>>,
}

impl From<Closed> for Finished {
    fn from(closed: Closed) -> Self {
        match closed {
            Closed::Finished => Self { restart: None },
            Closed::Restart(transaction) => Self { restart: Some(transaction) },
        }
    }
}

impl Http1Session {
    /// A session for a connection that is ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether an exchange may begin.
    pub fn can_activate(&self) -> bool {
        matches!(self.state, State::Idle) && self.finished.is_none()
    }

    /// Whether nothing was said or seen that speaks against another exchange, after the one that may run. After
    /// an exchange: whether the connection is worth keeping.
    pub fn may_be_reused(&self) -> bool {
        !matches!(self.state, State::Closed)
    }

    /// Begins an exchange; its head waits to be sent. `reused` says that the connection has served another one
    /// before. A request that can't be sent ends at once, and the session stays as it is.
    pub fn activate(&mut self, mut transaction: Box<HttpTransaction>, reused: bool) {
        if !self.can_activate() {
            transaction.fail(NetError::Internal("an exchange on a connection that takes none"));
            return;
        }
        transaction.set_reused_connection(reused);
        match request_head::serialise(&transaction) {
            Ok(head) => {
                self.exchanges += 1;
                self.state = State::Exchange(Box::new(Exchange::new(transaction, head)));
            }
            Err(error) => {
                transaction.fail(error);
                self.finished = Some(Finished { restart: None });
            }
        }
    }

    /// Takes bytes of the peer; answers how many. Fewer than all: the consumer is slow, and will wish to receive
    /// when it has space; the rest is to be offered again then. Bytes that belong to no response are dropped, and
    /// the connection takes no further exchange. What breaks HTTP ends the exchange and the connection's use.
    pub fn receive(&mut self, bytes: &[u8], now: Instant) -> usize {
        self.now = Some(now);
        let mut taken = 0;
        while let Some(rest) = bytes.get(taken..)
            && !rest.is_empty()
        {
            let State::Exchange(exchange) = &mut self.state else {
                self.drop_surplus(rest.len());
                taken = bytes.len();
                break;
            };
            match exchange.receive(rest, now) {
                Ok(Received::Bytes(count)) => {
                    taken += count;
                    if exchange.is_complete() {
                        self.complete(now);
                    }
                }
                Ok(Received::PipeFull) => break,
                Err(error) => {
                    self.end(error);
                    taken = bytes.len();
                }
            }
        }
        self.bytes_read += taken as u64;
        taken
    }

    fn drop_surplus(&mut self, length: usize) {
        if matches!(self.state, State::Idle) {
            log::debug!(target: "necko::http1", "{length} bytes that nobody asked for");
            self.state = State::Closed;
        }
    }

    fn complete(&mut self, now: Instant) {
        let State::Exchange(exchange) = std::mem::replace(&mut self.state, State::Closed) else {
            return;
        };
        if let Some(keep_alive) = exchange.keeps_alive() {
            self.keep_alive = keep_alive;
            self.state = State::Idle;
        }
        self.finished = Some(exchange.complete(now).into());
    }

    /// Ends the exchange, and the connection's use with it.
    fn end(&mut self, error: NetError) {
        if let State::Exchange(exchange) = std::mem::replace(&mut self.state, State::Closed) {
            log::debug!(target: "necko::http1", "{:?}: {error}", exchange.transaction());
            self.finished = Some(exchange.close(error, self.now).into());
        }
    }

    /// The byte stream has ended, after its last byte was [received](Self::receive). `clean` says that the peer
    /// said so (`close_notify`): what ends with the connection is whole only then.
    pub fn receive_end(&mut self, clean: bool, now: Instant) {
        self.now = Some(now);
        if let State::Exchange(exchange) = std::mem::replace(&mut self.state, State::Closed) {
            self.finished = Some(exchange.end(clean, now).into());
        }
    }

    /// Gives output to `send`, which answers how much it took, until it takes no more (0) or nothing is left.
    ///
    /// A body that can't be had whole ends the exchange and the connection's use, so that the server doesn't take
    /// a part for the whole.
    pub fn send(&mut self, now: Instant, send: &mut dyn FnMut(&[u8]) -> usize) {
        self.now = Some(now);
        if let State::Exchange(exchange) = &mut self.state
            && let Err(error) = exchange.send(now, send)
        {
            self.end(error);
        }
    }

    /// Whether [`send`](Self::send) has something, as far as is known.
    pub fn wants_send(&self) -> bool {
        self.exchange().is_some_and(|exchange| exchange.writer().wants_send())
    }

    /// When [`on_deadline`](Self::on_deadline) is to be called: the end of a wait for 100.
    pub fn deadline(&self) -> Option<Instant> {
        self.exchange()?.writer().deadline()
    }

    /// A deadline may have passed; there may be something to send after it.
    pub fn on_deadline(&mut self, now: Instant) {
        self.now = Some(now);
        if let State::Exchange(exchange) = &mut self.state {
            exchange.on_deadline(now);
        }
    }

    /// Whether received bytes wait for the consumer. It will wish to receive.
    pub fn is_blocked_on_consumer(&self) -> bool {
        self.exchange().is_some_and(Exchange::is_blocked_on_consumer)
    }

    /// The request's body may have something again, or its end.
    pub fn resume_body(&mut self) {
        if let State::Exchange(exchange) = &mut self.state {
            exchange.resume_body();
        }
    }

    /// What the application wishes, with a body that [has more](Self::resume_body) noted already: after `send` there may be something to send, after `receive` bytes that were
    /// left are to be offered again, on `cancel` the caller [aborts](Self::abort).
    pub fn take_wishes(&mut self) -> Wishes {
        match &mut self.state {
            State::Exchange(exchange) => exchange.take_wishes(),
            State::Idle | State::Closed => Wishes::default(),
        }
    }

    /// What a worker should read for the request's body, if anything; to be asked after each
    /// [`send`](Self::send).
    pub fn take_body_read(&mut self) -> Option<BodyRead> {
        self.transaction_mut()?.take_body_read()
    }

    /// Ends the exchange with `error`, which is the application's or the handler's own: no restart. The
    /// connection can't be used again.
    pub fn abort(&mut self, error: NetError) {
        if let State::Exchange(exchange) = std::mem::replace(&mut self.state, State::Closed) {
            exchange.abort(error, self.now);
            self.finished = Some(Finished { restart: None });
        }
    }

    /// The connection failed: what is on it ends with `error`, or goes again.
    pub fn fail(&mut self, error: NetError) {
        self.end(error);
        self.state = State::Closed;
    }

    /// Whether an exchange came to its end since the last call, and whether it goes again.
    pub fn take_finished(&mut self) -> Option<Finished> {
        self.finished.take()
    }

    /// The transaction of the exchange that runs.
    pub fn transaction(&self) -> Option<&HttpTransaction> {
        self.exchange().map(Exchange::transaction)
    }

    /// As [`transaction`](Self::transaction).
    pub fn transaction_mut(&mut self) -> Option<&mut HttpTransaction> {
        match &mut self.state {
            State::Exchange(exchange) => Some(exchange.transaction_mut()),
            State::Idle | State::Closed => None,
        }
    }

    /// What the server said about its patience with the last response.
    pub fn keep_alive(&self) -> KeepAlive {
        self.keep_alive
    }

    /// Bytes that were received.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Exchanges that were begun.
    pub fn exchanges(&self) -> u64 {
        self.exchanges
    }

    /// Bytes that it keeps, without those of the transaction: at most a head, or the trailers, and a chunk.
    pub fn buffered(&self) -> usize {
        self.exchange().map_or(0, Exchange::buffered)
    }

    fn exchange(&self) -> Option<&Exchange> {
        match &self.state {
            State::Exchange(exchange) => Some(exchange),
            State::Idle | State::Closed => None,
        }
    }
}
