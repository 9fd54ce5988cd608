//! The `necko` command, as a process.

use std::{
    ffi::OsStr,
    path::Path,
    process::{ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use nix::sys::signal::Signal;

use super::{process::Process, programs, time::DEADLINE};

/// A command line that is being put together.
#[derive(Debug)]
pub struct NeckoCommand {
    command: Command,
    stdin: Option<Stdio>,
}

/// What a command came to.
#[derive(Debug)]
pub struct Finished {
    /// The exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: String,
}

/// A command that runs.
#[derive(Debug)]
pub struct RunningNecko {
    /// The process, to look at its output.
    pub process: Process,
}

impl NeckoCommand {
    /// `necko fetch`
    pub fn fetch() -> Self {
        Self::subcommand("fetch")
    }

    /// `necko` and a subcommand
    pub fn subcommand(name: &str) -> Self {
        let mut command = Command::new(programs::necko());
        command.arg(name);
        for variable in ["SSLKEYLOGFILE", "QLOGDIR"] {
            command.env_remove(variable);
        }
        Self { command, stdin: None }
    }

    /// `necko fetch --cacert CA`, in a process that may write no file larger than `kib` KiB.
    pub fn fetch_with_files_up_to(kib: u64, ca: &Path) -> Self {
        let mut command = Command::new("sh");
        // A shell counts in blocks of half a KiB.
        command.args(["-c", "ulimit -f \"$0\" && exec \"$@\""]).arg((2 * kib).to_string());
        command.arg(programs::necko()).arg("fetch").arg("--cacert").arg(ca);
        Self { command, stdin: None }
    }

    /// Runs in this folder.
    #[must_use]
    pub fn in_dir(mut self, dir: &Path) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// Reads this as standard input instead of nothing.
    #[must_use]
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.stdin = Some(stdin.into());
        self
    }

    /// `necko fetch --cacert CA`
    pub fn fetch_trusting(ca: &Path) -> Self {
        Self::fetch().arg("--cacert").arg(ca)
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Starts it.
    pub fn start(self) -> RunningNecko {
        let stdin = self.stdin.unwrap_or_else(Stdio::null);
        RunningNecko { process: Process::start_reading(self.command, stdin) }
    }

    /// Starts it, and leaves its standard output to the caller.
    pub fn start_streaming(self) -> (RunningNecko, ChildStdout) {
        let (process, stdout) = Process::start_streaming(self.command);
        (RunningNecko { process }, stdout)
    }

    /// Starts it, and leaves its standard input to the caller.
    pub fn start_feeding(self) -> (RunningNecko, ChildStdin) {
        let (process, stdin) = Process::start_feeding(self.command);
        (RunningNecko { process }, stdin)
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(self) -> Finished {
        self.start().finish()
    }
}

impl RunningNecko {
    /// Waits until the response's head has come (with `-v`).
    #[track_caller]
    pub fn wait_for_response(&mut self) {
        self.process.wait_for_stderr("< HTTP/3 200");
    }

    /// Waits until it has written this to standard output.
    #[track_caller]
    pub fn wait_for_stdout(&mut self, text: &str) {
        self.process.wait_for_stdout(text);
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits for its end.
    #[track_caller]
    pub fn finish(self) -> Finished {
        self.finish_within(DEADLINE)
    }

    /// Waits for its end, but not for longer than `limit`.
    #[track_caller]
    pub fn finish_within(mut self, limit: Duration) -> Finished {
        let code = self.process.wait(limit).code();
        Finished { code, stdout: self.process.stdout(), stderr: self.process.stderr() }
    }
}

impl Finished {
    /// It went well.
    #[track_caller]
    #[expect(clippy::return_self_not_must_use, reason = "the check alone is of use")]
    pub fn expect_success(self) -> Self {
        assert_eq!(self.code, Some(0), "standard error:\n{}", self.stderr);
        self
    }

    /// It failed with this exit code, and said why in exactly one line, which names all of `words`.
    #[track_caller]
    #[expect(clippy::return_self_not_must_use, reason = "the check alone is of use")]
    pub fn expect_failure(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "standard error:\n{}", self.stderr);
        let start = format!("necko: ({code}) ");
        let is_message = self.stderr.starts_with(&start) && self.stderr.lines().count() == 1;
        assert!(is_message, "not one line {start:?}…:\n{}", self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in: {}", self.stderr);
        }
        self
    }
}
