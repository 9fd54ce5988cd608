use std::{path::PathBuf, process};

use super::*;

/// A directory of its own for each test, and the file in it.
struct Destination(PathBuf);

const URL: &str = "https://example.org/file";

impl Destination {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("necko-resume-{}-{name}", process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).unwrap();
        Self(path.join("file"))
    }

    /// With five bytes of a version in `file.part`.
    fn with_part(name: &str, validator: Option<&str>) -> Self {
        let new = Self::new(name);
        let validator = validator.map(str::to_owned);
        let note = Note { url: URL.into(), validator, total: Some(9) };
        drop(Paths::of(&new.0).begin(&note).unwrap());
        fs::write(new.0.with_extension("part"), b"01234").unwrap();
        new
    }

    /// With five bytes in the file itself.
    fn with_file(name: &str) -> Self {
        let new = Self::new(name);
        fs::write(&new.0, b"01234").unwrap();
        new
    }

    fn look(&self) -> Resume {
        Resume::look(&self.0, ContinueAt::End, URL).unwrap().unwrap()
    }

    fn answer(&self, status: u16, fields: &[(&'static str, &str)]) -> Result<Answer, Failure> {
        answer(self.look(), status, fields)
    }

    #[track_caller]
    fn refuses(&self, status: u16, fields: &[(&'static str, &str)]) {
        let failure = self.answer(status, fields).unwrap_err();
        assert_eq!(failure.code, ExitCode::RangeError, "{failure}");
    }
}

impl Drop for Destination {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(self.0.parent().unwrap());
    }
}

fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
    fields.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

fn answer(resume: Resume, status: u16, fields: &[(&'static str, &str)]) -> Result<Answer, Failure> {
    resume.answer(StatusCode::from_u16(status).unwrap(), &headers(fields))
}

fn fields(resume: &Resume) -> Vec<(String, String)> {
    resume.headers().into_iter().map(|(name, value)| (name.to_string(), value)).collect()
}

const REST: (&str, &str) = ("content-range", "bytes 5-8/9");
const ETAG: (&str, &str) = ("etag", "\"1\"");
const OLD: (&str, &str) = ("last-modified", "Thu, 01 Jan 2015 00:00:00 GMT");
const NEW: (&str, &str) = ("last-modified", "Thu, 01 Jan 2099 00:00:00 GMT");
const TODAY: (&str, &str) = ("date", "Thu, 01 Jan 2026 00:00:00 GMT");

#[test]
fn from_nothing_all_is_asked_for() {
    let destination = Destination::new("nothing");
    assert!(fields(&destination.look()).is_empty());
    let anew = destination.answer(200, &[ETAG, ("content-length", "9")]).unwrap();
    assert!(matches!(anew, Answer::Anew { total: Some(9), warning: None, .. }), "{anew:?}");
}

#[test]
fn what_could_never_be_gone_on_with_is_no_part() {
    for (n, fields) in
        [&[][..], &[("etag", "W/\"1\"")], &[OLD], &[OLD, ("date", OLD.1)]].iter().enumerate()
    {
        let destination = Destination::new(&format!("never-{n}"));
        assert!(matches!(destination.answer(200, fields), Ok(Answer::Plain)), "{fields:?}");
        assert!(matches!(destination.answer(404, &[ETAG]), Ok(Answer::Plain)), "a page is no part");
    }
    let destination = Destination::new("date");
    assert!(matches!(destination.answer(200, &[OLD, TODAY]), Ok(Answer::Anew { .. })));
}

#[test]
fn a_part_is_gone_on_with_if_it_is_the_same_version() {
    let destination = Destination::with_part("same", Some("\"1\""));
    let wanted = [("range".into(), "bytes=5-".into()), ("if-range".into(), "\"1\"".into())];
    assert_eq!(fields(&destination.look()), wanted);
    let rest = destination.answer(206, &[REST, ETAG]).unwrap();
    assert!(matches!(rest, Answer::Rest { offset: 5, total: Some(9), .. }), "{rest:?}");
}

#[test]
fn a_part_of_another_version_is_replaced() {
    let destination = Destination::with_part("other", Some("\"1\""));
    let anew = destination.answer(200, &[("etag", "\"2\"")]).unwrap();
    let Answer::Anew { part, warning: Some(warning), .. } = anew else { panic!("{anew:?}") };
    assert!(warning.contains("has changed"), "{warning}");
    assert_eq!(part.state().unwrap().0, 0);
    drop(part);
    let note = fs::read_to_string(destination.0.with_extension("part.of")).unwrap();
    assert!(note.contains("\\\"2\\\""), "{note}");
}

#[test]
fn a_server_that_knows_no_ranges_sends_all_of_it() {
    let destination = Destination::with_part("knows-none", Some("\"1\""));
    let anew = destination.answer(200, &[ETAG]).unwrap();
    let Answer::Anew { warning: Some(warning), .. } = anew else { panic!("{anew:?}") };
    assert!(warning.contains("sends no parts"), "{warning}");
    Destination::with_file("knows-none-file").refuses(200, &[ETAG]);
}

#[test]
fn a_rest_that_does_not_fit_is_refused() {
    let destination = Destination::with_part("misfit", Some("\"1\""));
    destination.refuses(206, &[ETAG]);
    destination.refuses(206, &[ETAG, ("content-range", "bytes 4-8/9")]);
    destination.refuses(206, &[ETAG, ("content-range", "bytes 6-8/9")]);
    destination.refuses(206, &[ETAG, ("content-range", "bytes 5-9/10")]);
    destination.refuses(206, &[ETAG, ("content-range", "lines 5-8/9")]);
    // A server that ignores If-Range.
    destination.refuses(206, &[REST, ("etag", "\"2\"")]);
    destination.refuses(404, &[]);
    // It is all still there.
    assert_eq!(fs::read(destination.0.with_extension("part")).unwrap(), b"01234");
}

#[test]
fn a_part_without_a_validator_is_gone_on_with_while_it_is_newer() {
    let destination = Destination::with_part("dated", None);
    assert_eq!(fields(&destination.look()), [("range".into(), "bytes=5-".into())]);
    destination.refuses(206, &[REST, NEW]);
    assert!(matches!(destination.answer(206, &[REST, OLD]), Ok(Answer::Rest { .. })));
}

#[test]
fn a_file_is_gone_on_with_unless_the_resource_is_newer() {
    let destination = Destination::with_file("file");
    assert_eq!(fields(&destination.look()), [("range".into(), "bytes=5-".into())]);
    destination.refuses(206, &[REST, NEW]);
    assert!(destination.0.exists());
    assert!(matches!(destination.answer(206, &[REST, OLD]), Ok(Answer::Rest { .. })));
    assert!(!destination.0.exists(), "it does not look complete any more");
}

#[test]
fn at_the_end_it_is_complete() {
    let destination = Destination::with_file("end");
    let complete = destination.answer(416, &[("content-range", "bytes */5")]);
    assert!(matches!(complete, Ok(Answer::Complete(None))));
    let complete = destination.answer(200, &[("content-length", "5")]);
    assert!(matches!(complete, Ok(Answer::Complete(None))));
    destination.refuses(416, &[("content-range", "bytes */4")]);
    destination.refuses(416, &[]);
    let destination = Destination::with_part("end-part", Some("\"1\""));
    let complete = destination.answer(416, &[("content-range", "bytes */5")]).unwrap();
    let Answer::Complete(Some(part)) = complete else { panic!("{complete:?}") };
    part.complete().unwrap();
    assert_eq!(fs::read(&destination.0).unwrap(), b"01234");
}

#[test]
fn another_url_is_another_resource() {
    let destination = Destination::with_part("url", Some("\"1\""));
    let resume = Resume::look(&destination.0, ContinueAt::End, "https://b/").unwrap().unwrap();
    assert!(fields(&resume).is_empty());
}

#[test]
fn a_place_to_go_on_from() {
    let destination = Destination::with_file("place");
    let look = |offset| Resume::look(&destination.0, ContinueAt::Offset(offset), URL);
    let resume = look(2).unwrap().unwrap();
    assert_eq!(fields(&resume), [("range".into(), "bytes=2-".into())]);
    let rest = answer(resume, 206, &[("content-range", "bytes 2-8/9")]).unwrap();
    let Answer::Rest { part, offset: 2, .. } = rest else { panic!("{rest:?}") };
    assert_eq!(part.state().unwrap().0, 2);
    drop(part);
    let failure = Resume::look(&destination.0, ContinueAt::Offset(6), URL).unwrap_err();
    assert_eq!(failure.code, ExitCode::BadResume);
}

#[test]
fn devices_are_written_from_the_start() {
    assert!(Resume::look(Path::new("/dev/null"), ContinueAt::End, URL).unwrap().is_none());
}

#[test]
fn standard_output_goes_on_where_it_is_told() {
    assert!(Resume::on_stdout(ContinueAt::End).is_none());
    let resume = || Resume::on_stdout(ContinueAt::Offset(5)).unwrap();
    assert!(matches!(answer(resume(), 206, &[REST]), Ok(Answer::Plain)));
    assert!(answer(resume(), 206, &[("content-range", "bytes 4-8/9")]).is_err());
    assert!(answer(resume(), 200, &[]).is_err());
}
