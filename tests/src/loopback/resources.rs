//! What a process holds: descriptors, threads and memory.

use std::{env, ffi::OsStr, fs, path::Path, process::Command, time::Duration};

use nix::sys::{
    resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit},
    time::{TimeVal, TimeValLike as _},
};

use super::process::Process;

/// Descriptors and threads of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resources {
    /// What each open descriptor leads to, sorted.
    pub descriptors: Vec<String>,
    /// The names of the threads, sorted.
    pub threads: Vec<String>,
}

impl Resources {
    /// Those of this moment.
    pub fn now() -> Self {
        let descriptors = collect("/proc/self/fd", |entry| {
            // The descriptor that reads the folder is gone by now.
            Some(fs::read_link(entry).ok()?.to_string_lossy().into_owned())
        });
        let threads = collect("/proc/self/task", |entry| {
            Some(fs::read_to_string(entry.join("comm")).ok()?.trim_end().to_owned())
        });
        Self { descriptors, threads }
    }
}

fn collect(folder: &str, describe: impl Fn(&Path) -> Option<String>) -> Vec<String> {
    let entries: Vec<_> = fs::read_dir(folder)
        .expect("Linux tells it there")
        .map(|entry| entry.expect("it can be read").path())
        .collect();
    let mut described: Vec<_> = entries.iter().filter_map(|entry| describe(entry)).collect();
    described.sort();
    described
}

/// The most memory that a living process ever had resident, in bytes: the kernel's own count, which only
/// grows, so that it does not matter when it is asked for.
#[track_caller]
pub(crate) fn peak_memory(pid: u32) -> u64 {
    memory(pid, "VmHWM:")
}

#[track_caller]
fn memory(pid: u32, which: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix(which));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.expect("the process has not ended yet") * 1024
}

/// The same, of this process.
#[track_caller]
pub fn own_peak_memory() -> u64 {
    peak_memory(std::process::id())
}

/// The memory that this process has resident now, in bytes.
#[track_caller]
pub fn own_resident_memory() -> u64 {
    memory(std::process::id(), "VmRSS:")
}

/// The processor time that this process has used, all its threads together, as user and in the kernel.
pub fn own_processor_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the kernel counts it");
    let part = |time: TimeVal| {
        Duration::from_micros(time.num_microseconds().try_into().expect("it has run forwards"))
    };
    part(usage.user_time()) + part(usage.system_time())
}

/// Lets this process open as many descriptors as it may allow itself.
pub fn allow_all_descriptors() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("there is a limit");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("it may be raised so far");
}

const FIGURES: &str = "figures: ";

/// Says a figure that was measured, for `scripts/soak` to show.
pub fn tell(figures: &str) {
    println!("{FIGURES}{figures}");
}

/// Whether this is one of the runs of `scripts/soak`, which take their time.
pub fn in_soak() -> bool {
    env::var_os("NECKO_SOAK").as_deref() == Some(OsStr::new("1"))
}

const ALONE: &str = "NECKO_TEST_ALONE";

/// Runs `body` in a process where no other test runs: it starts this test program again, for the test
/// of this name alone.
#[track_caller]
pub fn in_a_process_of_its_own(test: &str, limit: Duration, body: impl FnOnce()) {
    if env::var_os(ALONE).as_deref() == Some(OsStr::new(test)) {
        return body();
    }
    let mut command = Command::new(env::current_exe().expect("this program's own path"));
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(ALONE, test);
    let mut process = Process::start_as_it_is(command);
    let status = process.wait(limit);
    let output = String::from_utf8_lossy(&process.stdout()).into_owned();
    assert!(status.success(), "{output}\n{}", process.stderr());
    assert!(output.contains("1 passed"), "there is no test {test:?}:\n{output}");
    for (_, told) in output.lines().filter_map(|line| line.split_once(FIGURES)) {
        tell(told);
    }
}
