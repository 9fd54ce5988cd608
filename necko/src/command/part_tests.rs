use std::process;

use super::*;

fn directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("necko-part-{}-{name}", process::id()));
    let _ = fs::remove_dir_all(&path);
    fs::create_dir(&path).unwrap();
    path
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn note(version: &str) -> Note {
    Note { url: "https://a/".into(), validator: Some(version.into()), total: Some(6) }
}

fn write(part: Part, bytes: &[u8]) {
    let (mut file, unfinished) = part.into_writer();
    io::Write::write_all(&mut file, bytes).unwrap();
    drop((file, unfinished));
}

#[test]
fn a_part_stays_and_becomes_the_file_when_it_is_complete() {
    let directory = directory("stays");
    let paths = Paths::of(&directory.join("file"));
    assert!(paths.present().unwrap().is_none());
    write(paths.begin(&note("1")).unwrap(), b"abc");
    assert_eq!(names(&directory), ["file.part", "file.part.of"]);
    let (mut part, found) = paths.present().unwrap().unwrap();
    assert_eq!((found, part.state().unwrap().0), (note("1"), 3));
    part.go_on_at(2).unwrap();
    let (mut file, unfinished) = part.into_writer();
    io::Write::write_all(&mut file, b"CDEF").unwrap();
    unfinished.complete().unwrap();
    assert_eq!(names(&directory), ["file"]);
    assert_eq!(fs::read(directory.join("file")).unwrap(), b"abCDEF");
    fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn a_part_of_nothing_goes() {
    let directory = directory("nothing");
    let paths = Paths::of(&directory.join("file"));
    write(paths.begin(&note("1")).unwrap(), b"");
    assert!(names(&directory).is_empty());
    fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn bytes_without_a_readable_note_are_of_unknown_origin() {
    let directory = directory("origin");
    let paths = Paths::of(&directory.join("file"));
    write(paths.begin(&note("1")).unwrap(), b"abc");
    fs::write(directory.join("file.part.of"), "{\"url\":\"https://a/\",\"val").unwrap();
    assert!(paths.present().unwrap().is_none());
    // They are replaced.
    let part = paths.begin(&note("2")).unwrap();
    assert_eq!(part.state().unwrap().0, 0);
    fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn only_one_writes() {
    let directory = directory("one");
    let paths = Paths::of(&directory.join("file"));
    let part = paths.begin(&note("1")).unwrap();
    for failure in [paths.present().unwrap_err(), paths.begin(&note("2")).unwrap_err()] {
        assert!(failure.to_string().contains("another transfer writes to it"), "{failure}");
    }
    assert_eq!(paths.note(), Some(note("1")), "the loser changed nothing");
    drop(part);
    assert!(paths.present().is_ok());
    fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn a_file_that_is_adopted_loses_its_name() {
    let directory = directory("adopted");
    let destination = directory.join("file");
    fs::write(&destination, b"abc").unwrap();
    let paths = Paths::of(&destination);
    drop(paths.adopt(&note("1")).unwrap());
    assert_eq!(names(&directory), ["file.part", "file.part.of"]);
    fs::remove_dir_all(&directory).unwrap();
}
