//! Datagrams on their way out: the one output batch.
//!
//! ```text
//!    ├────── one run: same destination, source, ECN ─────┤
//!   ┌────────────┬────────────┬────────────┬──────────┐   ┌─────────────────────┐
//!   │ size       │ size       │ size       │ ≤ size   │   │ perhaps one more,   │
//!   └────────────┴────────────┴────────────┴──────────┘   │ of another run      │
//!    ▲ sent so far                                        └─────────────────────┘
//! ```
//!
//! A run goes out with a single system call where the network can divide it (GSO), else one by one.

use std::net::{IpAddr, SocketAddr};

use crate::{Ecn, datagrams::RawTransmit};

/// The largest UDP payload that IPv4 carries, and so the largest run.
pub(crate) const MAX_RUN: usize = 65_507;

/// Where a datagram goes. All datagrams of a run agree in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// The peer.
    pub destination: SocketAddr,
    /// The local address to send from; None leaves it to the routing table.
    pub source: Option<IpAddr>,
    /// The ECN mark.
    pub ecn: Ecn,
}

/// One run of datagrams to be sent: same destination, source and ECN, all of one size, only the last
/// may be shorter. The service owns the batch; see [`SocketIo::batch`](crate::SocketIo::batch).
#[derive(Debug, Default)]
pub struct SendBatch {
    /// The datagrams of the run, one after the other, then the carried one.
    contents: Vec<u8>,
    run: Option<Run>,
    /// A datagram that was written in place and does not belong to the run: its length and route.
    carried: Option<(usize, Route)>,
    max_datagrams: usize,
}

/// The run at the beginning of the contents.
#[derive(Clone, Copy, Debug)]
struct Run {
    route: Route,
    /// The length of every datagram but the last.
    size: usize,
    /// How many there are.
    datagrams: usize,
    /// Bytes of the contents that went out, and where the run ends.
    sent: usize,
    end: usize,
}

/// What became of a datagram that was to be written in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Written {
    /// It is in the batch.
    Added,
    /// There was none to write.
    Nothing,
    /// Send the batch, then go on. (Either nothing was written, or what was written waits in the
    /// batch behind the run, and goes out with it: nothing is lost.)
    Full,
}

impl SendBatch {
    /// Adds a datagram if it belongs to the run. False means: send the batch, then push again. An
    /// empty batch always accepts.
    #[must_use]
    pub fn push(
        &mut self,
        destination: SocketAddr,
        source: Option<IpAddr>,
        ecn: Ecn,
        datagram: &[u8],
    ) -> bool {
        let route = Route { destination, source, ecn };
        if !self.has_room(datagram.len()) || !self.continues(route, datagram.len()) {
            return false;
        }
        self.reserve(datagram.len());
        self.contents.extend_from_slice(datagram);
        self.extend_run(route, datagram.len());
        true
    }

    /// Adds what an engine wrote as one piece: datagrams of `size` bytes, only the last may be
    /// shorter. False means: send the batch, then push again. An empty batch accepts any number of
    /// datagrams up to 65,507 bytes, and sends them in as many runs as the network wants.
    #[must_use]
    pub fn push_run(&mut self, route: Route, datagrams: &[u8], size: usize) -> bool {
        let (size, len) = (size.max(1), datagrams.len());
        let count = len.div_ceil(size).max(1);
        let joins = match &self.run {
            None => self.carried.is_none(),
            Some(run) => run.size == size && self.datagrams() + count <= self.max_datagrams,
        };
        if !joins || !self.continues(route, size.min(len)) || self.contents.len() + len > MAX_RUN {
            return false;
        }
        self.reserve(len);
        self.contents.extend_from_slice(datagrams);
        self.extend_run(route, size.min(len));
        if let Some(run) = &mut self.run {
            run.datagrams += count - 1;
            run.end = self.contents.len();
        }
        true
    }

    /// Lets `write` produce the next datagram in place, in a buffer of `max_len` bytes: for engines
    /// that fill buffers. It returns the datagram's length and route, or None for no datagram; it is
    /// not called when there is no room.
    ///
    /// ```text
    ///   loop { match io.batch().write(1350, |buffer| engine.send(buffer)) {
    ///       Added => {}   Full => io.send_batch()?   Nothing => break } }
    ///   io.send_batch()?
    /// ```
    pub fn write(
        &mut self,
        max_len: usize,
        write: impl FnOnce(&mut [u8]) -> Option<(usize, Route)>,
    ) -> Written {
        if !self.has_room(max_len) || self.is_run_ended() {
            return Written::Full;
        }
        self.reserve(max_len);
        let start = self.contents.len();
        self.contents.resize(start + max_len, 0);
        let written = self.contents.get_mut(start..).and_then(write);
        let Some((len, route)) = written else {
            self.contents.truncate(start);
            return Written::Nothing;
        };
        let len = len.min(max_len);
        self.contents.truncate(start + len);
        if self.continues(route, len) {
            self.extend_run(route, len);
            Written::Added
        } else {
            self.carried = Some((len, route));
            Written::Full
        }
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.run.is_none() && self.carried.is_none()
    }

    /// How many datagrams wait in the batch.
    pub fn datagrams(&self) -> usize {
        let run = self.run.map_or(0, |run| run.datagrams - run.sent.div_ceil(run.size.max(1)));
        run + usize::from(self.carried.is_some())
    }

    /// Forgets all datagrams.
    pub fn clear(&mut self) {
        self.contents.clear();
        self.run = None;
        self.carried = None;
    }

    /// How many datagrams the network takes at once; set when the batch is lent out.
    pub(crate) fn set_max_datagrams(&mut self, max_datagrams: usize) {
        self.max_datagrams = max_datagrams.max(1);
    }

    /// The next piece to send, of at most `max_datagrams` datagrams.
    pub(crate) fn next_transmit(&self, max_datagrams: usize) -> Option<RawTransmit<'_>> {
        let (route, range, size) = match (&self.run, self.carried) {
            (Some(run), _) => {
                let most = run.size.saturating_mul(max_datagrams.max(1));
                (run.route, run.sent..run.end.min(run.sent.saturating_add(most)), run.size)
            }
            (None, Some((len, route))) => (route, 0..len, len),
            (None, None) => return None,
        };
        let contents = self.contents.get(range).unwrap_or_default();
        let segment_size = (contents.len() > size).then_some(size);
        let Route { destination, source, ecn } = route;
        Some(RawTransmit { destination, source, ecn, contents, segment_size })
    }

    /// Notes that a piece of `len` bytes is done with.
    pub(crate) fn advance(&mut self, len: usize) {
        match &mut self.run {
            Some(run) if run.sent + len < run.end => run.sent += len,
            Some(run) => {
                self.contents.drain(..run.end);
                self.run = None;
            }
            None => self.clear(),
        }
    }

    /// Whether the batch can take `len` bytes more, and one datagram more.
    fn has_room(&self, len: usize) -> bool {
        self.is_empty()
            || (self.carried.is_none()
                && self.datagrams() < self.max_datagrams
                && self.contents.len() + len <= MAX_RUN)
    }

    /// Whether a datagram of `len` bytes may follow the run's last.
    fn continues(&self, route: Route, len: usize) -> bool {
        self.run.as_ref().is_none_or(|run| {
            run.route == route && len <= run.size && len > 0 && !self.is_run_ended()
        })
    }

    /// Whether a shorter datagram has ended the run.
    fn is_run_ended(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.end != run.size * run.datagrams)
    }

    fn extend_run(&mut self, route: Route, len: usize) {
        let end = self.contents.len();
        let run = self.run.get_or_insert(Run { route, size: len, datagrams: 0, sent: 0, end });
        run.datagrams += 1;
        run.end = end;
    }

    /// The first datagram makes room for the longest run at once.
    fn reserve(&mut self, len: usize) {
        if self.contents.capacity() < self.contents.len() + len {
            self.contents.reserve_exact(MAX_RUN.max(len));
        }
    }
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
