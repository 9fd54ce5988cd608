use std::{
    os::unix::fs::{PermissionsExt as _, symlink},
    process,
};

use super::*;
use crate::command::part::{Note, Paths};

/// A directory of its own for each test.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("necko-output-{}-{name}", process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn open(path: &Path, unfinished: &Arc<Unfinished>) -> Result<Sink, Failure> {
    Sink::open_file(path, unfinished)
}

#[test]
fn a_file_has_its_name_only_when_it_is_complete() {
    let (directory, unfinished) = (Directory::new("complete"), Arc::default());
    let path = directory.0.join("body");
    let mut sink = open(&path, &unfinished).unwrap();
    sink.write(b"abc").unwrap();
    sink.flush().unwrap();
    let names = directory.names();
    assert!(names.len() == 1 && names[0].starts_with(".body."), "{names:?}");
    sink.finish().unwrap();
    assert_eq!(directory.names(), ["body"]);
    assert_eq!(fs::read(&path).unwrap(), b"abc");
    assert!(unfinished.0.lock().is_empty());
}

#[test]
fn a_file_that_breaks_off_leaves_nothing_and_what_was_there_stays() {
    let (directory, unfinished) = (Directory::new("broken"), Arc::default());
    let path = directory.0.join("body");
    fs::write(&path, b"old").unwrap();
    let mut sink = open(&path, &unfinished).unwrap();
    sink.write(&vec![1; 2 * BUFFER]).unwrap();
    drop(sink);
    assert_eq!(directory.names(), ["body"]);
    assert_eq!(fs::read(&path).unwrap(), b"old");
}

#[test]
fn the_last_resort_removes_what_is_unfinished() {
    let (directory, unfinished) = (Directory::new("resort"), Arc::<Unfinished>::default());
    let sink = open(&directory.0.join("body"), &unfinished).unwrap();
    unfinished.remove_all();
    assert!(directory.names().is_empty());
    drop(sink);
}

#[test]
fn a_full_disk_is_a_write_error_with_cause_and_remedy() {
    let unfinished = Arc::default();
    let mut sink = open(Path::new("/dev/full"), &unfinished).unwrap();
    let mut failure = sink.write(&vec![0; 2 * BUFFER]).unwrap_err();
    assert_eq!(failure.code, ExitCode::WriteError);
    assert!(failure.to_string().contains("No space left on device; free"), "{failure}");
    sink = open(Path::new("/dev/full"), &unfinished).unwrap();
    sink.write(b"buffered").unwrap();
    failure = sink.finish().unwrap_err();
    assert_eq!(failure.code, ExitCode::WriteError, "found when the buffer is flushed");
}

#[test]
fn a_device_is_written_and_not_replaced() {
    let unfinished = Arc::default();
    let mut sink = open(Path::new("/dev/null"), &unfinished).unwrap();
    sink.write(b"abc").unwrap();
    sink.finish().unwrap();
    assert!(!fs::metadata("/dev/null").unwrap().is_file());
}

#[test]
fn a_link_stays_a_link_and_permissions_stay() {
    let (directory, unfinished) = (Directory::new("link"), Arc::default());
    let (link, file) = (directory.0.join("link"), directory.0.join("file"));
    fs::write(&file, b"old").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    symlink("file", &link).unwrap();
    let mut sink = open(&link, &unfinished).unwrap();
    sink.write(b"new").unwrap();
    sink.finish().unwrap();
    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(fs::read(&file).unwrap(), b"new");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn paths_that_can_not_be_written_say_why() {
    let (directory, unfinished) = (Directory::new("paths"), Arc::default());
    let failure = open(&directory.0.join("no/such/file"), &unfinished).unwrap_err();
    assert!(failure.to_string().contains("make the directory first"), "{failure}");
    let failure = open(&directory.0, &unfinished).unwrap_err();
    assert!(failure.to_string().contains("name a file in it"), "{failure}");
    assert!(unfinished.0.lock().is_empty());
}

#[test]
fn a_long_name_still_has_room_for_a_temporary_one() {
    let (directory, unfinished) = (Directory::new("long"), Arc::default());
    let name = "n".repeat(255);
    open(&directory.0.join(&name), &unfinished).unwrap().finish().unwrap();
    assert_eq!(directory.names(), [name]);
}

#[test]
fn a_part_that_ends_before_the_total_is_18_and_stays_a_part() {
    let directory = Directory::new("total");
    let paths = Paths::of(&directory.0.join("body"));
    let note = Note { url: String::new(), validator: Some("\"1\"".into()), total: Some(6) };
    let mut sink = Sink::part(paths.begin(&note).unwrap(), 0, Some(6));
    sink.write(b"abc").unwrap();
    let failure = sink.finish().unwrap_err();
    assert_eq!(failure.code, ExitCode::PartialTransfer);
    assert!(failure.to_string().contains("up to 3 of 6"), "{failure}");
    assert_eq!(directory.names(), ["body.part", "body.part.of"]);
    let (mut part, _) = paths.present().unwrap().unwrap();
    part.go_on_at(3).unwrap();
    let mut sink = Sink::part(part, 3, Some(6));
    sink.write(b"def").unwrap();
    sink.finish().unwrap();
    assert_eq!(directory.names(), ["body"]);
    assert_eq!(fs::read(directory.0.join("body")).unwrap(), b"abcdef");
}
