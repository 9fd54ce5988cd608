//! Jobs on a real folder, run in the test's thread.

use std::os::unix::fs::symlink;

use super::*;
use crate::counter::Counter;

struct Folder {
    directory: tempfile::TempDir,
    root: Arc<Path>,
    files: OpenFiles,
    unfinished: Counter,
    held: Counter,
}

impl Folder {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().canonicalize().unwrap();
        fs::create_dir_all(base.join("in/sub")).unwrap();
        fs::create_dir(base.join("in-beside")).unwrap();
        fs::write(base.join("in/old"), "old").unwrap();
        fs::write(base.join("secret"), "secret").unwrap();
        let root = base.join("in");
        symlink("../secret", root.join("out")).unwrap();
        symlink("../in-beside", root.join("beside")).unwrap();
        symlink("old", root.join("link")).unwrap();
        symlink("nowhere", root.join("dangling")).unwrap();
        symlink("..", root.join("up")).unwrap();
        Self {
            directory,
            root: Arc::from(root),
            files: OpenFiles::default(),
            unfinished: Counter::default(),
            held: Counter::default(),
        }
    }

    fn destination(&self, path: &[u8], is_post: bool, fields: &[(&str, &str)]) -> Job {
        let mut conditions = Conditions::default();
        for (name, value) in fields {
            conditions.take(name.as_bytes(), value.as_bytes());
        }
        Job::Open(Box::new(Destination {
            root: Arc::clone(&self.root),
            target: Target::parse(path).unwrap(),
            is_post,
            conditions,
            open_files: self.files.clone(),
            counted: self.unfinished.add(1),
        }))
    }

    fn open(
        &self,
        path: &[u8],
        is_post: bool,
        fields: &[(&str, &str)],
    ) -> Result<Box<Partial>, u16> {
        match self.destination(path, is_post, fields).run() {
            Done::Ready { partial, spare: None } => Ok(partial),
            Done::Failed(failure) => Err(failure.status),
            other => panic!("{other:?}"),
        }
    }

    fn put(&self, path: &[u8]) -> Result<Box<Partial>, u16> {
        self.open(path, false, &[])
    }

    fn buffer(&self, bytes: &[u8]) -> Buffer {
        let mut buffer = Buffer::new(&self.held);
        buffer.push(bytes, 1000);
        buffer
    }

    fn write(&self, partial: Box<Partial>, bytes: &[u8]) -> Box<Partial> {
        match (Job::Write { partial, bytes: self.buffer(bytes) }).run() {
            Done::Ready { partial, spare: Some(spare) } if spare.is_empty() => partial,
            other => panic!("{other:?}"),
        }
    }

    fn finish(&self, partial: Box<Partial>, bytes: &[u8]) -> Result<Stored, u16> {
        match (Job::Finish { partial, bytes: self.buffer(bytes) }).run() {
            Done::Stored(stored) => Ok(stored),
            Done::Failed(failure) => Err(failure.status),
            other => panic!("{other:?}"),
        }
    }

    fn store(&self, path: &[u8], is_post: bool, fields: &[(&str, &str)]) -> Result<Stored, u16> {
        let partial = self.open(path, is_post, fields)?;
        self.finish(partial, b"new")
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.root.join(name)).unwrap()
    }

    /// Names of unfinished uploads, wherever they are.
    fn temporaries(&self) -> Vec<String> {
        let names = |folder: &Path| {
            let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
            names.map(|name| name.into_string().unwrap()).collect::<Vec<_>>()
        };
        let folders = [&*self.root, &self.root.join("sub"), self.directory.path()];
        let all = folders.into_iter().flat_map(names);
        all.filter(|name| name.ends_with(UNFINISHED)).collect()
    }

    fn assert_nothing_is_left(&self) {
        assert_eq!(self.temporaries(), [""; 0]);
        assert_eq!((self.files.count(), self.unfinished.count(), self.held.count()), (0, 0, 0));
    }
}

#[test]
fn a_body_is_collected_under_a_temporary_name_and_then_renamed() {
    let folder = Folder::new();
    let partial = folder.put(b"/sub/%6eew").unwrap();
    let names = folder.temporaries();
    assert_eq!(names.len(), 1);
    assert!(names[0].starts_with(&format!(".new.{}-", process::id())), "{names:?}");
    assert!(files::is_unfinished_upload(names[0].as_ref()));
    assert_eq!((folder.files.count(), folder.unfinished.count()), (1, 1));
    let partial = folder.write(partial, b"one, ");
    let partial = folder.write(partial, b"two, ");
    assert!(!folder.root.join("sub/new").exists());
    let stored = folder.finish(partial, b"three").unwrap();
    assert_eq!((stored.created, stored.location, stored.length), (true, None, 15));
    assert_eq!(folder.read("sub/new"), "one, two, three");
    let metadata = fs::metadata(folder.root.join("sub/new")).unwrap();
    assert_eq!(stored.tag, Validators::of_file(15, metadata.modified().ok()).tag);
    folder.assert_nothing_is_left();
}

#[test]
fn what_is_there_is_replaced_when_the_new_one_is_whole() {
    let folder = Folder::new();
    let partial = folder.put(b"/old").unwrap();
    let partial = folder.write(partial, b"new");
    assert_eq!(folder.read("old"), "old");
    assert!(!folder.finish(partial, b"").unwrap().created);
    assert_eq!(folder.read("old"), "new");
    // A link inside the folder stays a link.
    assert!(!folder.store(b"/link", false, &[]).unwrap().created);
    assert!(folder.root.join("link").is_symlink());
    folder.assert_nothing_is_left();
}

#[test]
fn an_unfinished_file_goes_wherever_it_is_dropped() {
    let folder = Folder::new();
    drop(folder.put(b"/new").unwrap());
    folder.assert_nothing_is_left();
    let partial = folder.put(b"/new").unwrap();
    assert!(matches!(Job::Discard(partial).run(), Done::Discarded));
    folder.assert_nothing_is_left();
    // Jobs that never run, as at the end of the server.
    drop(folder.destination(b"/new", false, &[]));
    drop(Job::Discard(folder.put(b"/new").unwrap()));
    let partial = folder.put(b"/new").unwrap();
    drop(Job::Finish { partial, bytes: folder.buffer(b"abc") });
    folder.assert_nothing_is_left();
    assert!(!folder.root.join("new").exists());
}

#[test]
fn places_that_are_not_for_uploads_are_refused() {
    let folder = Folder::new();
    let long = [b"/".as_slice(), &[b'x'; 300]].concat();
    for (path, is_post, status) in [
        (&b"/"[..], false, 409),
        (b"/sub", false, 409),
        (b"/sub/", false, 409),
        (b"/new/", false, 409),
        (b"/missing/new", false, 409),
        (b"/old/new", false, 409),
        (b"/out", false, 403),
        (b"/dangling", false, 403),
        (b"/beside/new", false, 403),
        (b"/up/new", false, 403),
        (b"/up/in/new", false, 201),
        (b"/.x.1-2.part", false, 403),
        (&long, false, 400),
        (b"/old", true, 409),
        (b"/missing", true, 404),
        (b"/missing/", true, 404),
        (b"/beside/", true, 403),
        (b"/out", true, 403),
    ] {
        let result = folder.store(path, is_post, &[]).map(|_| 201);
        assert_eq!(result.unwrap_or_else(|status| status), status, "{}", path.escape_ascii());
        folder.assert_nothing_is_left();
    }
    assert_eq!(fs::read_to_string(folder.directory.path().join("secret")).unwrap(), "secret");
}

#[test]
fn a_post_gets_a_name_that_nobody_has() {
    let folder = Folder::new();
    let mut names = std::collections::BTreeSet::new();
    for path in [&b"/sub/"[..], b"/sub", b"/sub/"] {
        let stored = folder.store(path, true, &[]).unwrap();
        assert!(stored.created);
        let location = stored.location.unwrap();
        assert_eq!(folder.read(location.strip_prefix('/').unwrap()), "new");
        assert!(location.starts_with("/sub/upload-"), "{location}");
        assert!(names.insert(location));
    }
    let location = folder.store(b"/", true, &[]).unwrap().location.unwrap();
    assert!(location.starts_with("/upload-"), "{location}");
    folder.assert_nothing_is_left();
}

#[test]
fn conditions_protect_what_others_have_written() {
    let folder = Folder::new();
    assert_eq!(folder.store(b"/old", false, &[("if-none-match", "*")]), Err(412));
    assert_eq!(folder.store(b"/old", false, &[("if-match", "\"x\"")]), Err(412));
    assert_eq!(folder.store(b"/new", false, &[("if-match", "*")]), Err(412));
    assert_eq!(folder.read("old"), "old");
    assert!(folder.store(b"/new", false, &[("if-none-match", "*")]).unwrap().created);
    let tag = folder.store(b"/old", false, &[("if-match", "*")]).unwrap().tag;
    assert!(!folder.store(b"/old", false, &[("if-match", &tag)]).unwrap().created);

    // Also when it was written while the body came.
    let partial = folder.open(b"/race", false, &[("if-none-match", "*")]).unwrap();
    fs::write(folder.root.join("race"), "first").unwrap();
    assert_eq!(folder.finish(partial, b"second"), Err(412));
    assert_eq!(folder.read("race"), "first");
    let partial = folder.put(b"/late").unwrap();
    fs::create_dir(folder.root.join("late")).unwrap();
    assert_eq!(folder.finish(partial, b"x"), Err(409));
    folder.assert_nothing_is_left();
}

/// `/dev/full` takes nothing: the error that a full disk gives, from the system itself.
#[test]
fn a_full_disk_is_told_and_leaves_nothing() {
    let folder = Folder::new();
    for finish in [false, true] {
        let mut partial = folder.put(b"/new").unwrap();
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        partial.file = OpenFile::new(full, &folder.files);
        let bytes = folder.buffer(b"abc");
        let job =
            if finish { Job::Finish { partial, bytes } } else { Job::Write { partial, bytes } };
        let Done::Failed(failure) = job.run() else { panic!("it was stored") };
        assert_eq!(failure.status, 507);
        folder.assert_nothing_is_left();
    }
    assert!(!folder.root.join("new").exists());
}

#[test]
fn what_the_system_refuses_has_its_status() {
    for (kind, status) in [
        (io::ErrorKind::StorageFull, 507),
        (io::ErrorKind::QuotaExceeded, 507),
        (io::ErrorKind::FileTooLarge, 507),
        (io::ErrorKind::PermissionDenied, 403),
        (io::ErrorKind::ReadOnlyFilesystem, 403),
        (io::ErrorKind::InvalidFilename, 400),
        (io::ErrorKind::NotADirectory, 409),
        (io::ErrorKind::Other, 500),
    ] {
        assert_eq!(Failure::of(Path::new("x"), &kind.into()).status, status, "{kind:?}");
    }
}

#[test]
fn long_names_have_short_temporary_ones() {
    let folder = Folder::new();
    let name = "ä".repeat(127);
    let path = format!("/{}", files::encode_name(name.as_ref()));
    folder.store(path.as_bytes(), false, &[]).unwrap();
    assert_eq!(folder.read(&name), "new");
    folder.assert_nothing_is_left();
}
