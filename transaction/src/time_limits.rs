//! How long a request may take, and who looks at the clock.
//!
//! ```text
//!   application            socket thread
//!   TimeLimits ──────────► Watch, one for each request with limits, kept by the manager
//!                             │ look, when its time has come
//!                             ├─ nothing has passed: when to look again
//!                             └─ a limit has: the exchange ends with NetTimeout, as if it were cancelled
//! ```
//!
//! A limit ends the request wherever it is: in the queue, while its name is looked up, on a connection that
//! is not there yet, on its stream. Nobody need be waiting for the response.

use std::{
    sync::Weak,
    time::{Duration, Instant},
};

use crate::{
    error::{NetError, TimeoutPhase},
    exchange::{Exchange, Standing},
};

/// How long a request may take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeLimits {
    /// When all of it must be done.
    pub deadline: Option<Instant>,
    /// How long the server may take to begin its response, from the last of the request that was sent. A
    /// request whose body the application has not given to its end waits for the application.
    pub first_byte: Option<Duration>,
    /// How long the server may be silent within its response. What waits for a slow consumer is no silence.
    pub read: Option<Duration>,
}

impl TimeLimits {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Looks whether a request has overrun its limits. It keeps nothing of it alive.
#[derive(Debug)]
pub struct Watch {
    exchange: Weak<Exchange>,
    limits: TimeLimits,
}

impl Watch {
    pub(crate) fn new(exchange: Weak<Exchange>, limits: TimeLimits) -> Option<Self> {
        (!limits.is_none()).then_some(Self { exchange, limits })
    }

    /// Ends the request if a limit has passed. Answers when to look again; none when it has ended.
    pub fn look(&self, now: Instant) -> Option<Instant> {
        let exchange = self.exchange.upgrade()?;
        let (phase, due) = self.next(&exchange, now)?;
        if due > now {
            return Some(due);
        }
        exchange.end_early(NetError::NetTimeout(phase));
        None
    }

    /// The limit that passes next, and when, as it stands.
    fn next(&self, exchange: &Exchange, now: Instant) -> Option<(TimeoutPhase, Instant)> {
        let TimeLimits { deadline, first_byte, read } = self.limits;
        let quiet_since = || exchange.timings().quiet_since();
        // Where nobody owes anything now, a limit can't pass before its whole time has.
        let silence = match exchange.standing() {
            Standing::Over => return None,
            Standing::RequestAwaited => {
                exchange.timings().active(now);
                first_byte.or(read).and_then(|limit| due(TimeoutPhase::FirstByte, None, limit, now))
            }
            Standing::HeadAwaited => match (first_byte, read) {
                (Some(limit), _) => due(TimeoutPhase::FirstByte, quiet_since(), limit, now),
                (None, Some(limit)) => due(TimeoutPhase::Read, None, limit, now),
                (None, None) => None,
            },
            Standing::ConsumerIsSlow => {
                exchange.timings().active(now);
                read.and_then(|limit| due(TimeoutPhase::Read, None, limit, now))
            }
            Standing::BodyAwaited => {
                read.and_then(|limit| due(TimeoutPhase::Read, quiet_since(), limit, now))
            }
        };
        let whole = deadline.map(|deadline| (TimeoutPhase::Whole, deadline));
        silence.into_iter().chain(whole).min_by_key(|(_, due)| *due)
    }
}

fn due(
    phase: TimeoutPhase,
    since: Option<Instant>,
    limit: Duration,
    now: Instant,
) -> Option<(TimeoutPhase, Instant)> {
    Some((phase, since.unwrap_or(now).checked_add(limit)?))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use http::{HeaderMap, StatusCode, Version};
    use socket_transport::Clock;

    use super::*;
    use crate::EarlyData;
    use crate::ResponseHead;

    const SECOND: Duration = Duration::from_secs(1);

    fn watched(limits: TimeLimits) -> (Arc<Exchange>, Watch, Instant) {
        let exchange = Exchange::new();
        let watch = Watch::new(Arc::downgrade(&exchange), limits).unwrap();
        (exchange, watch, Clock::system().now())
    }

    fn head() -> ResponseHead {
        let headers = HeaderMap::new();
        ResponseHead { status: StatusCode::OK, version: Version::HTTP_3, headers }
    }

    #[test]
    fn without_limits_nobody_watches() {
        let exchange = Exchange::new();
        assert!(Watch::new(Arc::downgrade(&exchange), TimeLimits::default()).is_none());
    }

    #[test]
    fn the_deadline_ends_it_wherever_it_is() {
        let deadline = Clock::system().now() + 2 * SECOND;
        let limits = TimeLimits { deadline: Some(deadline), ..TimeLimits::default() };
        let (exchange, watch, _) = watched(limits);
        assert_eq!(watch.look(deadline.checked_sub(SECOND).unwrap()), Some(deadline));
        assert_eq!(watch.look(deadline), None);
        let timeout = NetError::NetTimeout(TimeoutPhase::Whole);
        assert_eq!(exchange.wait_head().unwrap_err(), timeout);
        assert!(exchange.take_wishes().cancel, "its owner on the socket thread is told");
    }

    #[test]
    fn the_first_byte_is_owed_from_the_last_that_was_sent() {
        let limits = TimeLimits { first_byte: Some(3 * SECOND), ..TimeLimits::default() };
        let (exchange, watch, start) = watched(limits);
        // However long it waits for a connection.
        assert_eq!(watch.look(start + 9 * SECOND), Some(start + 12 * SECOND));
        exchange.timings().request_start(start + 10 * SECOND);
        exchange.timings().active(start + 11 * SECOND);
        assert_eq!(watch.look(start + 12 * SECOND), Some(start + 14 * SECOND));
        assert_eq!(watch.look(start + 14 * SECOND), None);
        let timeout = NetError::NetTimeout(TimeoutPhase::FirstByte);
        assert_eq!(exchange.wait_head().unwrap_err(), timeout);
    }

    #[test]
    fn a_body_that_the_application_has_not_given_is_not_owed_by_the_server() {
        let limits = TimeLimits { first_byte: Some(3 * SECOND), ..TimeLimits::default() };
        let (exchange, watch, start) = watched(limits);
        exchange.timings().request_start(start);
        exchange.set_body_waits(true);
        assert_eq!(watch.look(start + 9 * SECOND), Some(start + 12 * SECOND));
        exchange.set_body_waits(false);
        assert_eq!(watch.look(start + 11 * SECOND), Some(start + 12 * SECOND));
        assert_eq!(watch.look(start + 12 * SECOND), None);
    }

    #[test]
    fn silence_counts_from_the_last_byte_and_not_while_the_consumer_is_slow() {
        let limits = TimeLimits { read: Some(3 * SECOND), ..TimeLimits::default() };
        let (exchange, watch, start) = watched(limits);
        exchange.timings().response_start(start);
        exchange.deliver_head(head(), EarlyData::NotTried);
        exchange.write(Bytes::from_static(b"abc"));
        assert_eq!(watch.look(start + 9 * SECOND), Some(start + 12 * SECOND), "it is not read");
        exchange.wait_read(10).unwrap();
        assert_eq!(watch.look(start + 12 * SECOND), None);
        let timeout = NetError::NetTimeout(TimeoutPhase::Read);
        assert_eq!(exchange.wait_read(10), Err(timeout));
    }

    #[test]
    fn what_has_arrived_can_be_read_after_the_time_is_over() {
        let deadline = Clock::system().now();
        let limits = TimeLimits { deadline: Some(deadline), ..TimeLimits::default() };
        let (exchange, watch, _) = watched(limits);
        exchange.deliver_head(head(), EarlyData::NotTried);
        exchange.write(Bytes::from_static(b"abc"));
        assert_eq!(watch.look(deadline), None);
        assert_eq!(exchange.wait_read(10), Ok(Some(Bytes::from_static(b"abc"))));
        let timeout = NetError::NetTimeout(TimeoutPhase::Whole);
        assert_eq!(exchange.wait_read(10), Err(timeout));
    }

    #[test]
    fn what_is_complete_or_gone_is_not_ended_again() {
        let limits = TimeLimits { read: Some(SECOND), ..TimeLimits::default() };
        let (exchange, watch, start) = watched(limits);
        exchange.deliver_head(head(), EarlyData::NotTried);
        exchange.write(Bytes::from_static(b"abc"));
        exchange.finish(Ok(()));
        assert_eq!(watch.look(start + 9 * SECOND), None);
        assert_eq!(exchange.wait_read(10), Ok(Some(Bytes::from_static(b"abc"))));
        assert_eq!(exchange.wait_read(10), Ok(None));
        drop(exchange);
        assert_eq!(watch.look(start), None);
    }
}
