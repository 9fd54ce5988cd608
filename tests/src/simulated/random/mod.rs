//! Random programs: a client and one to three peers live through faults in random order, and every lifecycle
//! ends with nothing left.
//!
//! ```text
//!   seed ─► Program ─ steps ─► Play ─► Bench ─► invariants after every step
//!             │                  └─ Requests: each ends once, in a way that something explains
//!             └─ Conditions: peers, weather, limits
//! ```
//!
//! A lifecycle is one client from its first request until it is empty: on real neqo against peers on neqo
//! ([`on_neqo`], [`on_web_transport`]), or on a scripted engine that says anything in any order ([`on_scripts`]).
//!
//! # Playing one again
//!
//! A program follows from its seed, and a run that fails prints it, with the steps up to the failure; the
//! network prints where it saved its trace. These variables choose what is played:
//!
//! | variable | meaning |
//! |---|---|
//! | `NECKO_RANDOM_FIRST` | the first seed, instead of the test's own |
//! | `NECKO_RANDOM_COUNT` | how many programs each test plays |
//!
//! So `NECKO_RANDOM_FIRST=4711 NECKO_RANDOM_COUNT=1 cargo test -p tests --test simulated random::neqo_1` plays
//! program 4711 alone. (NSS draws its own random numbers, so lengths of packets may differ by a byte.)

mod dice;
mod engines;
mod invariants;
mod peers;
mod play;
mod program;
mod request;
mod script_play;
mod script_program;
mod sessions;
mod step;
mod tally;
mod troubles;

use std::{env, fmt::Debug, ops::Range};

use play::Play;
use program::Program;
use script_play::ScriptPlay;
use script_program::ScriptProgram;

pub use tally::Tally;

/// Plays programs on real neqo. Panics with the first that fails.
pub fn on_neqo(seeds: Range<u64>) -> Tally {
    on_engine("on_neqo", seeds, Program::draw)
}

/// Plays programs with WebTransport sessions on real neqo. Panics with the first that fails.
pub fn on_web_transport(seeds: Range<u64>) -> Tally {
    on_engine("on_web_transport", seeds, Program::draw_web_transport)
}

fn on_engine(player: &'static str, seeds: Range<u64>, draw: fn(u64) -> Program) -> Tally {
    let mut tally = Tally::default();
    for seed in chosen(seeds) {
        let program = draw(seed);
        let mut journal = Journal::new(player, seed, &program.conditions);
        let mut play = Play::new(&program);
        for step in &program.steps {
            journal.note(step);
            if !play.step(step) {
                break;
            }
        }
        journal.note(&"the end");
        play.end(&mut tally);
    }
    println!("{tally}");
    tally
}

/// Plays programs on scripted engines. Panics with the first that fails.
pub fn on_scripts(seeds: Range<u64>) -> Tally {
    let mut tally = Tally::default();
    for seed in chosen(seeds) {
        let program = ScriptProgram::draw(seed);
        let mut journal = Journal::new("on_scripts", seed, &program.max_sockets);
        let mut play = ScriptPlay::new(&program);
        for step in &program.steps {
            journal.note(step);
            if !play.step(step) {
                break;
            }
        }
        journal.note(&"the end");
        play.end(&mut tally);
    }
    println!("{tally}");
    tally
}

/// The seeds that the environment wants, or these.
fn chosen(seeds: Range<u64>) -> Range<u64> {
    let number = |name| env::var(name).ok().map(|text| text.parse().expect("a number"));
    let first = number("NECKO_RANDOM_FIRST").unwrap_or(seeds.start);
    let count = number("NECKO_RANDOM_COUNT").unwrap_or(seeds.end - seeds.start);
    first..first + count
}

/// What was done so far; printed when a program fails.
struct Journal {
    player: &'static str,
    seed: u64,
    conditions: String,
    steps: Vec<String>,
}

impl Journal {
    fn new(player: &'static str, seed: u64, conditions: &impl Debug) -> Self {
        Self { player, seed, conditions: format!("{conditions:?}"), steps: Vec::new() }
    }

    fn note(&mut self, step: &impl Debug) {
        self.steps.push(format!("{step:?}"));
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let Self { player, seed, conditions, steps } = self;
        eprintln!("random::{player}: program {seed} failed; conditions: {conditions}");
        for (number, step) in steps.iter().enumerate() {
            eprintln!("{:4}  {step}", number + 1);
        }
        eprintln!("to play it again: NECKO_RANDOM_FIRST={seed} NECKO_RANDOM_COUNT=1");
    }
}
