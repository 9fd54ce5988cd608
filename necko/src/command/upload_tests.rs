use std::{fs, process};

use super::*;

fn place(file: &str, url: &str) -> String {
    Source::new(Path::new(file)).place(Url::parse(url).unwrap()).unwrap().into()
}

#[test]
fn a_url_that_names_no_file_gets_the_name() {
    assert_eq!(place("a/b.tar", "https://x.test"), "https://x.test/b.tar");
    assert_eq!(place("b.tar", "https://x.test/up/"), "https://x.test/up/b.tar");
    assert_eq!(place("b.tar", "https://x.test/up/c"), "https://x.test/up/c");
    assert_eq!(place("b.tar", "https://x.test/?q"), "https://x.test/?q");
    assert_eq!(place("a b%#?ü", "https://x.test/"), "https://x.test/a%20b%25%23%3F%C3%BC");
    for stdin in ["-", "."] {
        assert_eq!(place(stdin, "https://x.test/up/"), "https://x.test/up/");
    }
}

fn file(name: &str, content: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("necko-upload-{}-{name}", process::id()));
    fs::write(&path, content).unwrap();
    path
}

#[test]
fn a_file_is_left_to_the_library_unless_it_is_counted() {
    let path = file("kinds", b"12345");
    let source = Source::new(&path);
    let (body, feeder) = source.open(false).unwrap();
    assert!(matches!(body, RequestBody::File(_)) && feeder.is_none());
    let (body, feeder) = source.open(true).unwrap();
    assert!(matches!(body, RequestBody::Pipe(_)) && feeder.is_some());
    assert_eq!(body.length(), Some(5));
    let (body, _) = Source::Stdin.open(false).unwrap();
    assert_eq!(body.length(), None);
    fs::remove_file(&path).unwrap();
}

#[test]
fn what_can_not_be_read_is_26() {
    for path in ["/no/such/file", "/"] {
        let Err(failure) = Source::new(Path::new(path)).open(false) else { panic!("{path}") };
        assert_eq!(failure.code, ExitCode::ReadError, "{failure}");
        assert!(failure.to_string().contains(path), "{failure}");
    }
}

/// Reads all of it, in pieces.
fn read(feeder: &mut Feeder) -> Result<Vec<u8>, Failure> {
    let (mut all, mut buffer) = (Vec::new(), [0; 3]);
    loop {
        match feeder.read(&mut buffer, all.len() as u64)? {
            [] => return Ok(all),
            piece => all.extend_from_slice(piece),
        }
    }
}

#[test]
fn a_file_that_grows_is_sent_as_it_was_and_one_that_shrinks_is_an_error() {
    let path = file("changes", b"1234567");
    let open = || Source::new(&path).open(true).unwrap().1.unwrap();
    let (mut growing, mut shrinking) = (open(), open());
    fs::write(&path, b"123456789").unwrap();
    assert_eq!(read(&mut growing).unwrap(), b"1234567");
    fs::write(&path, b"12").unwrap();
    let failure = read(&mut shrinking).unwrap_err();
    assert_eq!(failure.code, ExitCode::ReadError);
    assert!(failure.to_string().contains("became shorter"), "{failure}");
    fs::remove_file(&path).unwrap();
}
