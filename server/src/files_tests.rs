use std::os::unix::fs::symlink;

use super::*;

/// root/{index.html, a.txt, "sp ace.txt", sub/{index.html, b.css}, empty/, links…}, and beside it a
/// secret.
fn tree() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().canonicalize().unwrap();
    let root = base.join("root");
    for folder in ["root/sub", "root/empty", "root-beside"] {
        fs::create_dir_all(base.join(folder)).unwrap();
    }
    for file in [
        "root/index.html",
        "root/a.txt",
        "root/sp ace.txt",
        "root/%41.txt",
        "root/.a.txt.12-34.part",
        "root/sub/index.html",
        "root/sub/b.css",
        "root-beside/secret.txt",
        "secret.txt",
    ] {
        fs::write(base.join(file), file).unwrap();
    }
    symlink(base.join("secret.txt"), root.join("out.txt")).unwrap();
    symlink("../root-beside", root.join("beside")).unwrap();
    symlink("a.txt", root.join("in.txt")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    symlink("/", root.join("slash")).unwrap();
    (dir, root)
}

fn fetch(root: &Path, path: &[u8]) -> Result<Found, Refusal> {
    match open(root, &Target::parse(path)?, false, &OpenFiles::default())? {
        Opened::File(found) => Ok(found),
        Opened::Listing(_) => panic!("a listing, which nobody asked for"),
    }
}

fn status(result: &Result<Found, Refusal>) -> u16 {
    match result {
        Ok(_) => 200,
        Err(Refusal::Malformed(_)) => 400,
        Err(Refusal::Forbidden(_)) => 403,
        Err(Refusal::NotFound) => 404,
        Err(Refusal::Moved(_)) => 301,
        Err(Refusal::Unavailable(_)) => 500,
    }
}

#[test]
fn ordinary_paths_are_found() {
    let (_dir, root) = tree();
    for (path, contents) in [
        ("/", "root/index.html"),
        ("/index.html", "root/index.html"),
        ("/a.txt", "root/a.txt"),
        ("//a.txt", "root/a.txt"),
        ("/./a.txt", "root/a.txt"),
        ("/in.txt", "root/a.txt"),
        ("/sub/", "root/sub/index.html"),
        ("/sub/.", "root/sub/index.html"),
        ("/.", "root/index.html"),
        ("/sub/b.css", "root/sub/b.css"),
        ("/sp%20ace.txt", "root/sp ace.txt"),
        // Decoded once: "%2541" is the name "%41".
        ("/%2541.txt", "root/%41.txt"),
        ("/%61.txt", "root/a.txt"),
    ] {
        let found = fetch(&root, path.as_bytes()).unwrap_or_else(|e| panic!("{path}: {e:?}"));
        assert_eq!(found.file.read_to_string(), contents, "{path}");
        assert_eq!(found.length, contents.len() as u64);
        assert!(found.modified.is_some());
    }
}

#[test]
fn hostile_paths_are_refused() {
    let (_dir, root) = tree();
    for (path, expected) in [
        (&b""[..], 400),
        (b"a.txt", 400),
        (b"*", 400),
        (b"http://localhost/a.txt", 400),
        (b"/a.txt\0", 400),
        (b"/a.txt%00", 400),
        (b"/%00", 400),
        (b"/%", 400),
        (b"/%4", 400),
        (b"/%zz", 400),
        (b"/%+1", 400),
        (b"/sub%2fb.css", 400),
        (b"/sub%2Fb.css", 400),
        (b"/..%2fsecret.txt", 400),
        (b"/%2e%2e%2fsecret.txt", 400),
        (b"/..", 403),
        (b"/../secret.txt", 403),
        (b"/sub/../../secret.txt", 403),
        // Would stay inside, but nobody who means well sends it: clients resolve it themselves.
        (b"/sub/../a.txt", 403),
        (b"/%2e%2e/secret.txt", 403),
        (b"/.%2e/secret.txt", 403),
        (b"/%2E%2E/secret.txt", 403),
        (b"/out.txt", 403),
        (b"/beside/secret.txt", 403),
        (b"/slash/etc/passwd", 403),
        // "root-beside" begins with "root", which must not make it a part of it.
        (b"/beside", 403),
        (b"/%252e%252e/secret.txt", 404),
        (b"/..\\secret.txt", 404),
        (b"/...", 404),
        (b"/missing", 404),
        (b"/a.txt/", 404),
        (b"/a.txt/b", 404),
        (b"/empty/", 404),
        // Unfinished uploads, whole though this one is.
        (b"/.a.txt.12-34.part", 404),
        (b"/%2ea.txt.12-34.part", 404),
        (b"/a.txt/.", 404),
        (b"/\xff\xfe", 404),
        (b"/etc/passwd", 404),
        (b"/a.txt%0a", 404),
        (b"/loop", 500),
    ] {
        let result = fetch(&root, path);
        assert_eq!(status(&result), expected, "{}: {result:?}", path.escape_ascii());
    }
    let long = [b"/".as_slice(), &[b'x'; 5000]].concat();
    assert_eq!(status(&fetch(&root, &long)), 404);
}

#[test]
fn what_is_no_regular_file_is_refused_without_waiting_for_it() {
    let (_dir, root) = tree();
    let status_of = std::process::Command::new("mkfifo").arg(root.join("pipe")).status().unwrap();
    assert!(status_of.success());
    assert_eq!(status(&fetch(&root, b"/pipe")), 403);
}

#[test]
fn names_tell_the_type() {
    for (name, expected) in [
        ("a.html", "text/html; charset=utf-8"),
        ("a.JPG", "image/jpeg"),
        ("a.tar.gz", "application/gzip"),
        ("a", "application/octet-stream"),
        (".html", "application/octet-stream"),
    ] {
        assert_eq!(content_type(Path::new(name)), expected, "{name}");
    }
}

/// Relative links on the page of a folder are right only below its slash.
#[test]
fn a_folder_without_its_slash_is_elsewhere() {
    let (_dir, root) = tree();
    fs::create_dir_all(root.join("a b/ü?")).unwrap();
    for (path, expected) in [
        ("/sub", "/sub/"),
        ("/empty", "/empty/"),
        ("/a%20b", "/a%20b/"),
        ("/a%20b/%C3%BC%3f", "/a%20b/%C3%BC%3F/"),
        // Not "//sub/", which would name another host.
        ("//sub", "/sub/"),
        ("/./sub", "/sub/"),
        ("///empty", "/empty/"),
    ] {
        let result = fetch(&root, path.as_bytes());
        assert!(matches!(&result, Err(Refusal::Moved(to)) if to == expected), "{path}: {result:?}");
    }
    assert_eq!(Target::parse(b"/").unwrap().url_path(), "/");
    assert_eq!(Target::parse(b"//").unwrap().url_path(), "/");
    assert_eq!(Target::parse(b"/a%2eb/./c/").unwrap().url_path(), "/a.b/c/");
}

#[test]
fn a_folder_is_listed_only_if_that_is_wanted_and_it_has_no_index() {
    let (_dir, root) = tree();
    fs::create_dir(root.join("empty/deep")).unwrap();
    let list =
        |path: &[u8]| open(&root, &Target::parse(path).unwrap(), true, &OpenFiles::default());
    let Ok(Opened::Listing(page)) = list(b"/empty/") else { panic!("no listing") };
    assert!(page.contains("<a href=\"deep/\">deep/</a>"), "{page}");
    assert!(matches!(list(b"/sub/"), Ok(Opened::File(_))), "it has an index");
    assert!(matches!(list(b"/empty"), Err(Refusal::Moved(_))));
    assert!(matches!(list(b"/missing/"), Err(Refusal::NotFound)));
    assert!(matches!(list(b"/a.txt/"), Err(Refusal::NotFound)));
    assert!(matches!(list(b"/beside/"), Err(Refusal::Forbidden(_))), "leads out");
    // An index that may not be read is no reason to show what is beside it.
    symlink("/etc/passwd", root.join("empty/index.html")).unwrap();
    assert!(matches!(list(b"/empty/"), Err(Refusal::Forbidden(_))));
}

#[test]
fn names_of_unfinished_uploads_are_recognised() {
    for (name, expected) in [
        (".a.txt.12-34.part", true),
        ("..1-2.part", true),
        (".a.b.c.1-4294967295.part", true),
        ("a.txt.12-34.part", false),
        (".a.txt.12-34", false),
        (".a.txt.12-.part", false),
        (".a.txt.-34.part", false),
        (".a.txt.12-34-5.part", false),
        (".a.txt.12.part", false),
        (".part", false),
        (".a.part", false),
    ] {
        assert_eq!(is_unfinished_upload(OsStr::new(name)), expected, "{name}");
    }
}
