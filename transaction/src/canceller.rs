//! Cancelling from afar.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::{consumer::PendingResponse, error::NetError, exchange::Exchange};

/// Cancels a request, at any time and from any thread: while it waits, while it connects, while its
/// response is read. Who waits for the response or reads it gets [`NetError::Aborted`].
///
/// It keeps nothing of the request alive. Cancelling twice is cancelling once; what has ended stays as it
/// ended, and what has arrived of it can be read.
#[derive(Debug, Clone, Default)]
pub struct Canceller(Arc<Mutex<Aim>>);

#[derive(Debug, Default)]
struct Aim {
    exchange: Weak<Exchange>,
    cancelled: bool,
}

impl Canceller {
    pub(crate) fn of(exchange: &Arc<Exchange>) -> Self {
        let aim = Aim { exchange: Arc::downgrade(exchange), cancelled: false };
        Self(Arc::new(Mutex::new(aim)))
    }

    /// Cancels.
    pub fn cancel(&self) {
        let exchange = {
            let mut aim = self.0.lock();
            aim.cancelled = true;
            aim.exchange.upgrade()
        };
        if let Some(exchange) = exchange {
            exchange.end_early(NetError::Aborted);
        }
    }

    /// Whether it was used.
    pub fn is_cancelled(&self) -> bool {
        self.0.lock().cancelled
    }

    /// From now on, `response` is what it cancels: the next request of several that are one to the
    /// application, as with redirects. If it was used, that is cancelled at once.
    pub fn aim_at(&self, response: &PendingResponse) {
        let Some(exchange) = response.exchange() else { return };
        let cancelled = {
            let mut aim = self.0.lock();
            aim.exchange = Arc::downgrade(exchange);
            aim.cancelled
        };
        if cancelled {
            exchange.end_early(NetError::Aborted);
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn whoever_waits_is_told_and_the_socket_thread_too() {
        let exchange = Exchange::new();
        let canceller = Canceller::of(&exchange);
        canceller.clone().cancel();
        canceller.cancel();
        assert!(canceller.is_cancelled());
        assert_eq!(exchange.wait_head().unwrap_err(), NetError::Aborted);
        assert!(exchange.take_wishes().cancel);
    }

    #[test]
    fn what_has_ended_stays_as_it_ended() {
        let exchange = Exchange::new();
        let canceller = Canceller::of(&exchange);
        exchange.write(Bytes::from_static(b"abc"));
        exchange.finish(Ok(()));
        canceller.cancel();
        assert!(!exchange.take_wishes().cancel);
        assert_eq!(exchange.wait_read(10), Ok(Some(Bytes::from_static(b"abc"))));
        assert_eq!(exchange.wait_read(10), Ok(None));
        drop(exchange);
        canceller.cancel();
    }
}
