//! The command, by subject:
//!
//! ```text
//!   options, data, headers, resolve   what the user wrote       help       what --help adds
//!   run        one call, from its options to its exit code      exit_code  curl's numbers
//!   pool       many transfers at once, on a few threads         report     errors and the closing line
//!   transfer   one request and its response                     progress   the bar
//!   output     files that are complete or not there             verbose    -v
//!   wait       blocking, with a deadline, until a signal        walks      the walk through the layers
//!   signals    Ctrl-C, SIGTERM, SIGUSR1                         snapshot   what is alive, as JSON
//! ```

mod data;
mod exit_code;
mod headers;
mod help;
mod options;
mod output;
mod pool;
mod progress;
mod report;
mod resolve;
mod run;
mod signals;
mod snapshot;
mod transfer;
mod verbose;
mod wait;
mod walks;

use clap::Parser as _;

use options::{Command, Options};

/// Parses the command line and runs it. A mistake on the command line ends the program with 2, as curl's.
pub(crate) fn main() -> std::process::ExitCode {
    match Options::parse().command {
        Command::Fetch(fetch) => run::fetch(&fetch).into(),
    }
}
