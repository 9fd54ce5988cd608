//! The command, by subject:
//!
//! ```text
//!   options   what the user wrote              report     errors and the closing line, in words
//!   run       all transfers of one call        exit_code  curl's numbers for them
//!   transfer  one request and its response     progress   the bar
//!   wait      blocking with a deadline         verbose    -v; walks: the walk through the layers
//!   output    files that are complete or not there        signals    Ctrl-C, SIGTERM, SIGUSR1
//! ```

mod data;
mod exit_code;
mod headers;
mod help;
mod options;
mod output;
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
