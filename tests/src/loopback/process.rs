//! A process whose output is read along, which ends at the latest when this is dropped.

use std::{
    io::Read,
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};

use super::{resources, time::DEADLINE};

/// A running process.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdout: Capture,
    stderr: Capture,
}

impl Process {
    /// Starts a program, in an environment without what would change its behaviour.
    pub fn start(mut command: Command) -> Self {
        clean(&mut command);
        Self::start_as_it_is(command)
    }

    /// Starts a program in this process's environment.
    pub(crate) fn start_as_it_is(command: Command) -> Self {
        let (mut process, pipe) = Self::spawn(command, Stdio::null());
        process.stdout = Capture::start(pipe);
        process
    }

    /// Starts a program whose standard output is the caller's to read: what would be too long to keep.
    pub fn start_streaming(mut command: Command) -> (Self, ChildStdout) {
        clean(&mut command);
        Self::spawn(command, Stdio::null())
    }

    /// Starts a program that reads `stdin`.
    pub fn start_reading(mut command: Command, stdin: Stdio) -> Self {
        clean(&mut command);
        let (mut process, pipe) = Self::spawn(command, stdin);
        process.stdout = Capture::start(pipe);
        process
    }

    /// Starts a program whose standard input the caller writes.
    pub fn start_feeding(mut command: Command) -> (Self, ChildStdin) {
        clean(&mut command);
        let (mut process, pipe) = Self::spawn(command, Stdio::piped());
        process.stdout = Capture::start(pipe);
        let stdin = process.child.stdin.take().expect("it is a pipe");
        (process, stdin)
    }

    fn spawn(mut command: Command, stdin: Stdio) -> (Self, ChildStdout) {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("starting {name}: {error}"));
        let stdout = child.stdout.take().expect("it is a pipe");
        let stderr = Capture::start(child.stderr.take().expect("it is a pipe"));
        (Self { name, child, stdout: Capture::of_nothing(), stderr }, stdout)
    }

    /// The first line on standard output that contains `text`, when it has come.
    #[track_caller]
    pub fn wait_for_stdout(&mut self, text: &str) -> String {
        let found = self.stdout.wait_for(text, DEADLINE);
        found.unwrap_or_else(|| self.fail(&format!("did not write {text:?} to standard output")))
    }

    /// The first line on standard error that contains `text`, when it has come.
    #[track_caller]
    pub fn wait_for_stderr(&mut self, text: &str) -> String {
        let found = self.stderr.wait_for(text, DEADLINE);
        found.unwrap_or_else(|| self.fail(&format!("did not write {text:?} to standard error")))
    }

    /// Like [`wait_for_stderr`](Self::wait_for_stderr), but the process may as well end without it.
    pub fn find_stderr(&mut self, text: &str) -> Option<String> {
        self.stderr.wait_for(text, DEADLINE)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).expect("a process id");
        signal::kill(Pid::from_raw(pid), signal).expect("the process is there");
    }

    /// Ends it as `kill -9` does, and waits for that.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The most memory that it ever had resident, in bytes. It has to be there still.
    #[track_caller]
    pub fn peak_memory(&self) -> u64 {
        resources::peak_memory(self.child.id())
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        // The end of both pipes is the end of the process: none of ours closes them before.
        if !(self.stdout.wait_for_end(limit) && self.stderr.wait_for_end(limit)) {
            self.fail(&format!("is still there after {limit:?}"));
        }
        self.child.wait().expect("a child can be waited for")
    }

    /// Everything on standard output so far.
    pub fn stdout(&self) -> Vec<u8> {
        self.stdout.bytes()
    }

    /// Everything on standard error so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr.bytes()).into_owned()
    }

    #[track_caller]
    fn fail(&mut self, what: &str) -> ! {
        self.kill();
        panic!("{} {what}; on standard error it wrote:\n{}", self.name, self.stderr());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Takes out of a program's environment what would change its behaviour.
fn clean(command: &mut Command) {
    // Cargo points tests to libraries by LD_LIBRARY_PATH; a program has to find its own.
    for variable in ["LD_LIBRARY_PATH", "RUST_LOG"] {
        command.env_remove(variable);
    }
}

/// Reads a pipe to its end on a thread of its own.
#[derive(Debug)]
struct Capture {
    shared: Arc<Shared>,
    /// Ends by itself with the pipe.
    _thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    read: Mutex<SoFar>,
    more: Condvar,
}

#[derive(Debug, Default)]
struct SoFar {
    bytes: Vec<u8>,
    ended: bool,
}

impl Capture {
    fn start(mut pipe: impl Read + Send + 'static) -> Self {
        let shared = Arc::<Shared>::default();
        let writer = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            let mut buffer = vec![0; 64 * 1024];
            loop {
                let length = pipe.read(&mut buffer).unwrap_or(0);
                let mut so_far = writer.lock();
                so_far.bytes.extend_from_slice(buffer.get(..length).unwrap_or_default());
                so_far.ended = length == 0;
                writer.more.notify_all();
                if so_far.ended {
                    return;
                }
            }
        });
        Self { shared, _thread: Some(thread) }
    }

    /// Where somebody else reads the pipe.
    fn of_nothing() -> Self {
        let ended = SoFar { bytes: Vec::new(), ended: true };
        let shared = Arc::new(Shared { read: Mutex::new(ended), more: Condvar::new() });
        Self { shared, _thread: None }
    }

    fn wait_for(&self, text: &str, limit: Duration) -> Option<String> {
        let mut found = None;
        self.wait(limit, |so_far| {
            let written = String::from_utf8_lossy(&so_far.bytes);
            found = written
                .split_inclusive('\n')
                .find(|line| line.ends_with('\n') && line.contains(text))
                .map(|line| line.trim_end().to_owned());
            found.is_some()
        });
        found
    }

    fn wait_for_end(&self, limit: Duration) -> bool {
        self.wait(limit, |_| false);
        self.shared.lock().ended
    }

    /// Waits until `enough`, or the end, or `limit`.
    fn wait(&self, limit: Duration, mut enough: impl FnMut(&SoFar) -> bool) {
        let so_far = self.shared.lock();
        let wanted = |so_far: &mut SoFar| !enough(so_far) && !so_far.ended;
        drop(self.shared.more.wait_timeout_while(so_far, limit, wanted));
    }

    fn bytes(&self) -> Vec<u8> {
        self.shared.lock().bytes.clone()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, SoFar> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
