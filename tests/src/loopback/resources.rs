//! What a process holds: descriptors, threads and memory.

use std::{env, ffi::OsStr, fs, path::Path, process::Command, time::Duration};

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
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.expect("the process has not ended yet") * 1024
}

/// The same, of this process.
#[track_caller]
pub fn own_peak_memory() -> u64 {
    peak_memory(std::process::id())
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
}
