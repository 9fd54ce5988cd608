//! `-v`: what happens, layer by layer, on standard error, in curl's notation: `*` for what goes on, `>` for
//! what is sent, `<` for what comes back.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
    sync::OnceLock,
};

use http::Version;
use log::{Level, LevelFilter, Log, Metadata, Record};
use necko::{Alpn, RequestHead};
use parking_lot::Mutex;

use super::{
    report::{printable, version_name},
    walks::Walks,
};

/// The target of the steps (`socket_transport::walk`).
const WALK: &str = "necko::walk";

/// Our own crates, by which records are chosen that have no target of their own.
const LAYERS: [&str; 7] = [
    "socket_transport",
    "transaction",
    "streams",
    "http3_session",
    "connection_mgr",
    "neqo_glue",
    "necko",
];

static LOGGER: OnceLock<Logger> = OnceLock::new();

/// Chooses the logger: this one for `-v`, else `env_logger` for `RUST_LOG` (without it, errors only).
pub(crate) fn start(verbosity: u8) {
    if verbosity == 0 {
        // What that crate reports is in the error of the transfer as well.
        let quiet = "error,rustls_platform_verifier=off";
        let filter = env_logger::Env::default().default_filter_or(quiet);
        // Nobody installed another one.
        let _ = env_logger::Builder::from_env(filter).try_init();
        return;
    }
    let logger = LOGGER.get_or_init(|| Logger { all: verbosity > 1, walks: Mutex::default() });
    if log::set_logger(logger).is_ok() {
        // The engine writes every packet out at `Trace`, whether anybody keeps the record or not.
        log::set_max_level(if verbosity > 1 { LevelFilter::Trace } else { LevelFilter::Debug });
    }
}

/// The closing words of `-v`.
pub(crate) fn finish() {
    if let Some(logger) = LOGGER.get()
        && !logger.all
        && let Some(summary) = logger.walks.lock().summary()
    {
        write_lines('*', &[summary]);
    }
}

/// Shows a request's head.
pub(crate) fn request(head: &RequestHead, version: Alpn) {
    let version = match version {
        Alpn::Http3 => version_name(Version::HTTP_3),
        Alpn::Http11 => version_name(Version::HTTP_11),
    };
    let mut lines = vec![
        format!("{} {} {version}", head.method(), head.path()),
        format!("Host: {}", head.authority()),
    ];
    lines.extend(
        head.headers()
            .iter()
            .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))),
    );
    lines.push(String::new());
    write_lines('>', &lines);
}

/// Shows a response's head, given as lines with CRLF.
pub(crate) fn response(head: &[u8]) {
    let head = String::from_utf8_lossy(head);
    let lines: Vec<_> = head.split_terminator("\r\n").map(str::to_owned).collect();
    write_lines('<', &lines);
}

/// Writes lines together, so that other threads' lines don't come between them.
fn write_lines(mark: char, lines: &[String]) {
    let mut text = String::new();
    for line in lines {
        let _ = writeln!(text, "{mark} {}", printable(line));
    }
    // There is nowhere to tell of an error.
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

struct Logger {
    /// `-vv`
    all: bool,
    walks: Mutex<Walks>,
}

impl Logger {
    fn walk(&self, record: &Record<'_>) {
        let step = record.args().to_string();
        if self.all {
            write_lines('*', &[format!("{:<16} {step}", "walk")]);
            return;
        }
        // The lock is kept while writing: walks are told one after the other.
        let mut walks = self.walks.lock();
        let lines = walks.step(&step);
        if !lines.is_empty() {
            write_lines('*', &lines);
        }
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= most_detailed(metadata.target(), self.all)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        if record.target() == WALK {
            self.walk(record);
        } else {
            let layer = layer(record.target());
            let severity = if record.level() <= Level::Warn { "warning: " } else { "" };
            let mut message = record.args().to_string();
            if !self.all {
                shorten(&mut message);
            }
            write_lines('*', &[format!("{layer:<16} {severity}{message}")]);
        }
    }

    fn flush(&self) {}
}

/// Keeps one record on a line or two of a screen.
fn shorten(message: &mut String) {
    const LONGEST: usize = 200;
    if message.len() > LONGEST {
        message.truncate(message.floor_char_boundary(LONGEST));
        message.push_str("...");
    }
}

/// The lowest level that is shown of a target.
fn most_detailed(target: &str, all: bool) -> LevelFilter {
    let ours = LAYERS.contains(&root(target));
    match (ours, all) {
        (true, true) => LevelFilter::Trace,
        (true, false) => LevelFilter::Debug,
        (false, true) if root(target).starts_with("neqo_") => LevelFilter::Debug,
        // The engine warns of what every handshake brings, such as packets that came too late.
        (false, false) if root(target).starts_with("neqo_") => LevelFilter::Error,
        (false, _) => LevelFilter::Warn,
    }
}

/// The layer that a target stands for.
fn layer(target: &str) -> &str {
    match target {
        "necko::mgr" | "necko::connection" => "connection_mgr",
        "necko::session" => "http3_session",
        "necko::transaction" => "transaction",
        _ => root(target),
    }
}

fn root(target: &str) -> &str {
    target.split("::").next().unwrap_or(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v_shows_our_layers_and_vv_the_engine_too() {
        assert_eq!(most_detailed("necko::walk", false), LevelFilter::Debug);
        assert_eq!(most_detailed("necko::session", false), LevelFilter::Debug);
        assert_eq!(most_detailed("socket_transport::turn", false), LevelFilter::Debug);
        assert_eq!(most_detailed("neqo_transport::connection", false), LevelFilter::Error);
        assert_eq!(most_detailed("neqo_transport::connection", true), LevelFilter::Debug);
        assert_eq!(most_detailed("mio::poll", true), LevelFilter::Warn);
        assert_eq!(most_detailed("necko::session", true), LevelFilter::Trace);
    }

    #[test]
    fn long_records_are_cut_between_characters() {
        let mut message = "ü".repeat(150);
        shorten(&mut message);
        assert_eq!(message, "ü".repeat(100) + "...");
        shorten(&mut message);
        assert!(message.ends_with("ü..."));
    }

    #[test]
    fn targets_are_shown_as_layers() {
        assert_eq!(layer("necko::mgr"), "connection_mgr");
        assert_eq!(layer("neqo_glue::qlog"), "neqo_glue");
        assert_eq!(layer("necko"), "necko");
    }
}
