//! `necko-server`: serves a folder over HTTP/3.

use std::{io::Write, process::ExitCode};

use clap::Parser;
use server::{Error, Started, make_demo_certificate, options::Options, run, signals};
use socket_transport::Clock;

fn main() -> ExitCode {
    let options = Options::parse();
    let filter = env_logger::Env::default().default_filter_or(options.log_filter());
    env_logger::Builder::from_env(filter).init();
    match serve(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("necko-server: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}

fn serve(options: &Options) -> Result<(), Error> {
    let (certificate, key) = match (&options.demo_cert, &options.cert, &options.key) {
        (Some(directory), ..) => {
            let made = make_demo_certificate(directory, Clock::system().wall())?;
            (made.certificate, made.key)
        }
        // The options refuse a command line without either.
        (None, certificate, key) => {
            (certificate.clone().unwrap_or_default(), key.clone().unwrap_or_default())
        }
    };
    let config = options.config(certificate, key);
    let snapshot = run(&config, |started| announce(options, &started))?;
    if let Some(path) = &options.snapshot
        && let Err(error) = snapshot.write(path)
    {
        log::error!("the snapshot {} can't be written: {error}", path.display());
    }
    Ok(())
}

/// Says where the server is; whoever started it reads that line to know that it runs.
fn announce(options: &Options, started: &Started) {
    // In this order: a signal that comes right after the line is handled.
    if let Err(error) = signals::handle(started.control.clone(), options.snapshot.clone()) {
        log::error!("signals are not handled: {error}");
    }
    let port = started.address.port();
    let mut out = std::io::stdout().lock();
    // Nobody reading is no reason not to serve.
    let _ = writeln!(out, "listening on https://localhost:{port}/").and_then(|()| out.flush());
}
