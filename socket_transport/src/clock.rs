//! The clock: the one place where time enters.
//!
//! Every other file of the workspace takes the time from a [`Clock`] (usually through
//! [`Context::now`](crate::Context::now)); `clippy.toml` forbids `Instant::now` and
//! `SystemTime::now`. That is what lets the whole stack run in virtual time:
//!
//! ```text
//!              system clock                        virtual clock
//!   now  =  Instant::now()              one Instant, read at the start   + offset
//!   wall =  SystemTime::now()           one SystemTime, read then, too   + offset
//!                                                                            ▲
//!                                                   the simulation moves it ─┘
//! ```

use std::{
    cell::Cell,
    fmt,
    rc::Rc,
    time::{Duration, Instant, SystemTime},
};

/// Tells the time, monotonic and wall time, real or virtual.
///
/// Thread: the socket thread (it is not `Send`, because a virtual clock belongs to the test thread
/// that runs the simulation). Unit: [`Instant`] and [`SystemTime`]. Never fails, never goes
/// backwards. Clones show the same time.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    System,
    Virtual(VirtualTime),
}

/// Real readings taken once, plus a shared offset that only the simulation moves.
#[derive(Clone)]
struct VirtualTime {
    start: Instant,
    wall_start: SystemTime,
    offset: Rc<Cell<Duration>>,
}

impl Clock {
    /// The operating system's clock.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still except for `offset`. Everything that shares a simulated network
    /// clones one such clock, so that all of it agrees on the start as well.
    pub(crate) fn virtual_time(offset: Rc<Cell<Duration>>) -> Self {
        let system = Self::system();
        let (start, wall_start) = (system.now(), system.wall());
        Self(Source::Virtual(VirtualTime { start, wall_start, offset }))
    }

    /// Monotonic time: for deadlines, timers and the QUIC engine.
    #[expect(clippy::disallowed_methods, reason = "the one door through which time enters")]
    pub fn now(&self) -> Instant {
        match &self.0 {
            Source::System => Instant::now(),
            Source::Virtual(time) => time.start + time.offset.get(),
        }
    }

    /// Wall time: for the validity of certificates, `Alt-Svc` ages and file dates.
    #[expect(clippy::disallowed_methods, reason = "the one door through which time enters")]
    pub fn wall(&self) -> SystemTime {
        match &self.0 {
            Source::System => SystemTime::now(),
            Source::Virtual(time) => time.wall_start + time.offset.get(),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::System => f.write_str("Clock(system)"),
            Source::Virtual(time) => write!(f, "Clock(virtual, +{:?})", time.offset.get()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn virtual_time_moves_only_when_told() {
        let offset = Rc::new(Cell::new(Duration::ZERO));
        let clock = Clock::virtual_time(Rc::clone(&offset));
        let (start, wall) = (clock.now(), clock.wall());
        assert_eq!(clock.now(), start);

        offset.set(Duration::from_hours(2));
        assert_eq!(clock.now(), start + Duration::from_hours(2));
        assert_eq!(clock.clone().wall(), wall + Duration::from_hours(2));
    }

    #[test]
    fn system_time_does_not_go_backwards() {
        let clock = Clock::system();
        let earlier = clock.now();
        assert!(clock.now() >= earlier);
    }
}
