//! The command, by subject:
//!
//! ```text
//!   options, outputs, data, headers,      what the user        help       what --help adds
//!   range, connecting, following, ech     wrote                exit_code  curl's numbers
//!   run        one call, from its options to its exit code     report     errors and the closing line
//!   pool       many transfers, one after the other or at once  record     what one transfer came to
//!   transfer   one request and its response                    write_out  the same for scripts (-w)
//!   upload     what -T sends                                   progress   the bar
//!   output     files that are complete or not there            verbose    -v
//!   temporary  under another name until then                   walks      the walk through the layers
//!   resume, part  downloads that are gone on with (-C)         snapshot   what is alive, as JSON
//!   rate_limit    transfers that take their time               signals    Ctrl-C, SIGTERM, SIGUSR1
//!   wait       blocking, with a deadline, until a signal       heads      heads as text, -D
//!   answer     the wait for a response, and its redirects      resuming   what is kept between runs
//!   speed      transfers that are too slow                     handler    the settings of all of them
//!   web_transport  the other subcommand: lines, datagrams, figures
//! ```

mod answer;
mod connecting;
mod data;
mod ech;
mod exit_code;
mod following;
mod handler;
mod headers;
mod heads;
mod help;
mod options;
mod output;
mod outputs;
mod part;
mod pool;
mod progress;
mod range;
mod rate_limit;
mod record;
mod report;
mod resume;
mod resuming;
mod run;
mod signals;
mod snapshot;
mod speed;
mod temporary;
mod transfer;
mod upload;
mod verbose;
mod wait;
mod walks;
mod web_transport;
mod write_out;

use clap::Parser as _;

use options::{Command, Options};

/// Parses the command line and runs it. A mistake on the command line ends the program with 2, as curl's.
pub(crate) fn main() -> std::process::ExitCode {
    match Options::parse().command {
        Command::Fetch(fetch) => run::fetch(&fetch).into(),
        Command::WebTransport(options) => web_transport::talk(&options).into(),
    }
}
