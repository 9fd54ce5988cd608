//! Nodes in a simulation: how runs end, and that they do.

use std::{cell::Cell, rc::Rc, time::Instant};

use super::*;
use crate::{
    Clock,
    simulated::{Node, Simulation, SimulationError},
};

/// Does something every so often, a number of times.
struct Metronome {
    clock: Clock,
    interval: Duration,
    due: Option<Instant>,
    left: u32,
}

impl Metronome {
    fn new(simulation: &Simulation, interval: Duration, times: u32) -> Self {
        let clock = simulation.network().clock();
        let due = Some(clock.now() + interval);
        Self { clock, interval, due, left: times }
    }
}

impl Node for Metronome {
    fn turn(&mut self) -> io::Result<bool> {
        let now = self.clock.now();
        if self.due.is_none_or(|due| due > now) {
            return Ok(false);
        }
        self.left -= 1;
        self.due = (self.left > 0).then(|| now + self.interval);
        Ok(true)
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.due
    }
}

/// Always has the same to say.
struct Always(io::Result<bool>, Option<Instant>);

impl Node for Always {
    fn turn(&mut self) -> io::Result<bool> {
        match &self.0 {
            Ok(worked) => Ok(*worked),
            Err(error) => Err(error.kind().into()),
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.1
    }
}

const MINUTE: Duration = Duration::from_mins(1);

#[test]
fn time_jumps_from_deadline_to_deadline() {
    let simulation = Simulation::new(1);
    let mut quick = Metronome::new(&simulation, MS, 1000);
    let slow = Metronome::new(&simulation, 300 * MS, 3);
    let mut nodes = (&mut quick, slow);
    simulation.run(&mut nodes, |(_, slow)| slow.left == 0, MINUTE).unwrap();
    assert_eq!(simulation.network().elapsed(), 900 * MS);
    assert_eq!(quick.left, 100);
    simulation.run(&mut quick, |quick| quick.left == 0, MINUTE).unwrap();
    assert_eq!(simulation.network().elapsed(), 1000 * MS);
}

#[test]
fn a_run_that_takes_too_long_times_out_on_time() {
    let simulation = Simulation::new(5);
    let mut metronome = Metronome::new(&simulation, 7 * MS, u32::MAX);
    let run = simulation.run(&mut metronome, |_| false, 20 * MS);
    assert!(matches!(run, Err(SimulationError::TimedOut { seed: 5, .. })), "{run:?}");
    assert_eq!(simulation.network().elapsed(), 20 * MS);
}

#[test]
fn nothing_to_come_is_a_stall() {
    let simulation = Simulation::new(5);
    let mut metronome = Metronome::new(&simulation, 7 * MS, 2);
    let run = simulation.run(&mut metronome, |_| false, MINUTE);
    let Err(SimulationError::Stalled { seed: 5, elapsed }) = run else { panic!("{run:?}") };
    assert_eq!(elapsed, 14 * MS);
}

#[test]
fn turns_without_time_are_a_spin() {
    let simulation = Simulation::new(5).max_rounds(100);
    let now = simulation.network().clock().now();
    let mut busy = Always(Ok(true), None);
    let mut late = Always(Ok(false), Some(now));
    let mut nodes: [&mut dyn Node; 3] =
        [&mut busy, &mut late, &mut Metronome::new(&simulation, Duration::from_nanos(1), u32::MAX)];
    for node in &mut nodes {
        let run = simulation.run(node, |_| false, MINUTE);
        assert!(matches!(run, Err(SimulationError::Spinning { seed: 5, .. })), "{run:?}");
    }
}

#[test]
fn a_failed_turn_ends_the_run() {
    let simulation = Simulation::new(5);
    let mut node = Always(Err(io::ErrorKind::OutOfMemory.into()), None);
    let run = simulation.run(&mut node, |_| false, MINUTE);
    let Err(SimulationError::Node(error)) = run else { panic!("{run:?}") };
    assert_eq!(error.kind(), io::ErrorKind::OutOfMemory);
}

#[test]
fn a_span_passes_with_and_without_events() {
    let simulation = Simulation::new(1);
    let mut metronome = Metronome::new(&simulation, 7 * MS, 4);
    simulation.run_for(&mut metronome, 20 * MS).unwrap();
    assert_eq!((metronome.left, simulation.network().elapsed()), (2, 20 * MS));
    simulation.run_for(&mut metronome, MINUTE).unwrap();
    assert_eq!((metronome.left, simulation.network().elapsed()), (0, MINUTE + 20 * MS));
}

#[test]
fn quiet_is_when_nothing_more_will_happen() {
    let simulation = Simulation::new(1);
    let mut nodes = vec![Some(Metronome::new(&simulation, 7 * MS, 4)), None];
    assert!(simulation.run_until_quiet(&mut nodes, 20 * MS).is_err());
    simulation.run_until_quiet(&mut nodes, MINUTE).unwrap();
    assert_eq!(simulation.network().elapsed(), 28 * MS);
}

#[test]
fn jobs_end_in_order_after_their_delay() {
    let network = SimulatedNetwork::new(1);
    let workers = network.workers();
    let (sender, done) = std::sync::mpsc::channel();
    let start = network.clock().now();
    for (number, delay) in [(1, 5), (2, 3), (3, 0)] {
        network.job_delay(delay * MS);
        let sender = sender.clone();
        workers.run(Box::new(move || sender.send(number).unwrap()));
    }
    assert_eq!(workers.in_flight(), 3);
    assert_eq!(network.next_arrival(), Some(start + 5 * MS));
    network.advance(4 * MS);
    assert!(done.try_recv().is_err());
    network.advance(MS);
    assert_eq!(done.try_iter().collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(workers.in_flight(), 0);
}

#[test]
fn what_is_due_happens_at_its_own_time() {
    let (network, mut a, _b) = network(LinkConfig::new());
    let clock = network.clock();
    a.send_to((B, 9).into(), &[1]).unwrap();
    // One jump over the arrival and the refusal that it causes.
    network.advance(Duration::from_hours(1));
    assert_eq!(a.ready().len(), 1);
    let now = clock.now();
    network.advance_to(now.checked_sub(MINUTE).unwrap());
    assert_eq!(clock.now(), now, "it never goes backwards");
}

#[test]
fn ten_virtual_minutes_take_no_time() {
    let simulation = Simulation::new(1);
    let rounds = Rc::new(Cell::new(0));
    let mut metronome = Metronome::new(&simulation, Duration::from_secs(1), 600);
    let counted = Rc::clone(&rounds);
    let until = move |metronome: &mut Metronome| {
        counted.set(counted.get() + 1);
        metronome.left == 0
    };
    simulation.run(&mut metronome, until, 11 * MINUTE).unwrap();
    assert_eq!(simulation.network().elapsed(), 10 * MINUTE);
    assert!(rounds.get() <= 1200, "{} rounds for 600 events", rounds.get());
}
