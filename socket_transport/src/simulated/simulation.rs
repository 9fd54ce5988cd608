//! Running services in a simulated network: turns while there is work, then a jump in time.

use std::{
    error::Error,
    fmt, io,
    time::{Duration, Instant},
};

use super::{Node, SimulatedNetwork};

/// How many rounds may pass within a millisecond of virtual time.
const MAX_ROUNDS: u32 = 10_000;

/// Runs nodes in a simulated network. Ten virtual minutes of waiting take no time.
///
/// ```text
///  ┌─▶ turn every node ──▶ is the end reached? ──▶ Ok
///  │      │  ▲                     │ no
///  │      └──┘ while one worked    ▼
///  └── move the clock to the earliest of arrivals, jobs and deadlines
/// ```
///
/// A run always ends, and one that ends for another reason than its own says so: see
/// [`SimulationError`]. What a test finds wrong it says by panicking; the network then prints its
/// seed and saves its trace.
#[derive(Debug)]
pub struct Simulation {
    network: SimulatedNetwork,
    max_rounds: u32,
}

impl Simulation {
    /// A simulation in a new network.
    pub fn new(seed: u64) -> Self {
        Self::of(SimulatedNetwork::new(seed))
    }

    /// A simulation in this network.
    pub fn of(network: SimulatedNetwork) -> Self {
        Self { network, max_rounds: MAX_ROUNDS }
    }

    /// How many rounds of turns may pass within a millisecond of virtual time before the nodes are
    /// said to spin; 10,000 by default.
    #[must_use]
    pub fn max_rounds(self, max_rounds: u32) -> Self {
        Self { max_rounds, ..self }
    }

    /// The network.
    pub fn network(&self) -> &SimulatedNetwork {
        &self.network
    }

    /// Runs the nodes until `until` says that the end is reached.
    ///
    /// ```text
    /// simulation.run(&mut (client, server), |(client, _)| client.app().is_done(), MINUTE)?;
    /// ```
    ///
    /// # Errors
    /// [`SimulationError::TimedOut`] when `limit` of virtual time has passed, and the others.
    pub fn run<N: Node + ?Sized>(
        &self,
        nodes: &mut N,
        mut until: impl FnMut(&mut N) -> bool,
        limit: Duration,
    ) -> Result<(), SimulationError> {
        match self.run_to(nodes, &mut until, self.network.after(limit))? {
            End::Reached => Ok(()),
            End::OutOfTime => Err(SimulationError::TimedOut { seed: self.network.seed(), limit }),
            End::Quiet => Err(SimulationError::Stalled {
                seed: self.network.seed(),
                elapsed: self.network.elapsed(),
            }),
        }
    }

    /// Runs the nodes for a span of virtual time, whether anything happens in it or not.
    pub fn run_for<N: Node + ?Sized>(
        &self,
        nodes: &mut N,
        span: Duration,
    ) -> Result<(), SimulationError> {
        let end = self.network.after(span);
        self.run_to(nodes, &mut |_| false, end)?;
        self.network.advance_to(end);
        Ok(())
    }

    /// Runs the nodes until nothing is going to happen any more.
    ///
    /// # Errors
    /// [`SimulationError::TimedOut`] when there still is something after `limit` of virtual time.
    pub fn run_until_quiet<N: Node + ?Sized>(
        &self,
        nodes: &mut N,
        limit: Duration,
    ) -> Result<(), SimulationError> {
        match self.run_to(nodes, &mut |_| false, self.network.after(limit))? {
            End::Quiet | End::Reached => Ok(()),
            End::OutOfTime => Err(SimulationError::TimedOut { seed: self.network.seed(), limit }),
        }
    }

    fn run_to<N: Node + ?Sized>(
        &self,
        nodes: &mut N,
        until: &mut dyn FnMut(&mut N) -> bool,
        end: Instant,
    ) -> Result<End, SimulationError> {
        let mut rounds = Rounds::new(self);
        loop {
            rounds.count()?;
            let worked = nodes.turn().map_err(SimulationError::Node)?;
            if until(nodes) {
                return Ok(End::Reached);
            }
            if worked {
                continue;
            }
            let arrival = self.network.next_arrival();
            match arrival.into_iter().chain(nodes.next_deadline()).min() {
                None => return Ok(End::Quiet),
                Some(next) if next > end => {
                    self.network.advance_to(end);
                    return Ok(End::OutOfTime);
                }
                Some(next) => self.network.advance_to(next),
            }
        }
    }
}

/// How a run ended.
enum End {
    Reached,
    OutOfTime,
    Quiet,
}

/// Counts the rounds that pass while time hardly does.
struct Rounds<'a> {
    simulation: &'a Simulation,
    counted_from: Duration,
    count: u32,
}

impl<'a> Rounds<'a> {
    /// Progress slower than this is none: a timer re-armed for the next nanosecond spins as well.
    const PROGRESS: Duration = Duration::from_millis(1);

    fn new(simulation: &'a Simulation) -> Self {
        Self { simulation, counted_from: simulation.network.elapsed(), count: 0 }
    }

    fn count(&mut self) -> Result<(), SimulationError> {
        let elapsed = self.simulation.network.elapsed();
        if elapsed.saturating_sub(self.counted_from) >= Self::PROGRESS {
            self.counted_from = elapsed;
            self.count = 0;
        }
        self.count += 1;
        if self.count > self.simulation.max_rounds {
            let seed = self.simulation.network.seed();
            return Err(SimulationError::Spinning { seed, elapsed });
        }
        Ok(())
    }
}

/// Why a run did not reach its end.
#[derive(Debug)]
pub enum SimulationError {
    /// The virtual time that was allowed has passed.
    TimedOut {
        /// The network's seed.
        seed: u64,
        /// The virtual time that was allowed.
        limit: Duration,
    },
    /// The end is not reached, and nothing is going to happen any more: no node has work or a
    /// deadline, and nothing is on its way. A wake-up was lost.
    Stalled {
        /// The network's seed.
        seed: u64,
        /// Virtual time since the network began.
        elapsed: Duration,
    },
    /// Nodes had turn after turn and time did not pass: one of them always finds something to do,
    /// or has a deadline that has passed and does not serve it.
    Spinning {
        /// The network's seed.
        seed: u64,
        /// Virtual time since the network began.
        elapsed: Duration,
    },
    /// A node's turn failed.
    Node(io::Error),
}

impl fmt::Display for SimulationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut { seed, limit } => {
                write!(f, "not done after {limit:?} of virtual time (seed {seed})")
            }
            Self::Stalled { seed, elapsed } => {
                write!(f, "stalled at {elapsed:?}: nothing is going to happen (seed {seed})")
            }
            Self::Spinning { seed, elapsed } => {
                write!(f, "spinning at {elapsed:?}: turns, but time does not pass (seed {seed})")
            }
            Self::Node(error) => write!(f, "a node failed: {error}"),
        }
    }
}

impl Error for SimulationError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Node(error) => Some(error),
            Self::TimedOut { .. } | Self::Stalled { .. } | Self::Spinning { .. } => None,
        }
    }
}
