//! `-C`: going on with a download. Bytes of two versions of a resource are never put together.
//!
//! ```text
//!                    what there is            asked for                     goes on when
//!   FILE.part        with a note              Range, If-Range of the note   206, from there on; else anew
//!   FILE             somebody else's partial  Range                         206, from there on, and the
//!                    download (curl's)                                      resource is not newer than FILE
//!   nothing                                   all of it                     200: into FILE.part, if its version
//!                                                                           can be told from others, else as -o
//! ```

use std::{fs, path::Path, time::SystemTime};

use http::{HeaderMap, StatusCode, header};
use httpdate::parse_http_date;

use super::{
    exit_code::ExitCode,
    part::{Note, Part, Paths},
    range::{ContentRange, ContinueAt},
    report::Failure,
};

/// What there is of a file, before the request.
#[derive(Debug)]
pub(crate) struct Resume {
    url: String,
    paths: Paths,
    have: Have,
    /// From where on the rest is asked for.
    offset: u64,
}

#[derive(Debug)]
enum Have {
    Nothing,
    /// Last written at that time.
    Part(Part, Note, SystemTime),
    File(SystemTime),
    /// The user has it, behind standard output.
    Elsewhere,
}

/// What a response is to a download that is to be gone on with.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The bytes that follow, up to the total if it is known.
    Rest { part: Part, offset: u64, total: Option<u64> },
    /// All of it, of a version that can be told from others; a `warning` says why what was there is of no use.
    Anew { part: Part, total: Option<u64>, warning: Option<String> },
    /// All there is of it: as without `-C`, since nothing could ever be added to a part of it.
    Plain,
    /// There is no more than what is there.
    Complete(Option<Part>),
}

impl Resume {
    /// Looks what there is of `destination`. `None` for a device or a pipe, which is written from the start.
    ///
    /// # Errors
    /// Another process is at it, or there is less than `at` wants to keep.
    pub(crate) fn look(
        destination: &Path,
        at: ContinueAt,
        url: &str,
    ) -> Result<Option<Self>, Failure> {
        if fs::metadata(destination).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
            return Ok(None);
        }
        let paths = Paths::of(destination);
        let (have, length) = match paths.present()? {
            Some((part, note)) if note.url == url && part.state()?.0 > 0 => {
                let (length, modified) = part.state()?;
                (Have::Part(part, note, modified), length)
            }
            _ => file(&paths.destination),
        };
        let offset = match at {
            ContinueAt::End => length,
            ContinueAt::Offset(offset) if offset <= length => offset,
            ContinueAt::Offset(offset) => {
                let name = destination.display();
                return Err(Failure::new(
                    ExitCode::BadResume,
                    format!(
                        "{name} has {length} bytes, not {offset}; fetch only the rest with -r {offset}-"
                    ),
                ));
            }
        };
        let have = if offset == 0 { Have::Nothing } else { have };
        Ok(Some(Self { url: url.to_owned(), paths, have, offset }))
    }

    /// For standard output, where nothing can be looked at: `-` is the beginning.
    pub(crate) fn on_stdout(at: ContinueAt) -> Option<Self> {
        let ContinueAt::Offset(offset @ 1..) = at else { return None };
        let paths = Paths::of(Path::new("-"));
        Some(Self { url: String::new(), paths, have: Have::Elsewhere, offset })
    }

    /// The fields that ask for the rest.
    pub(crate) fn headers(&self) -> Vec<(header::HeaderName, String)> {
        let range = (header::RANGE, format!("bytes={}-", self.offset));
        match &self.have {
            Have::Nothing => Vec::new(),
            Have::Part(_, Note { validator: Some(validator), .. }, _) => {
                vec![range, (header::IF_RANGE, validator.clone())]
            }
            Have::Part(..) | Have::File(_) | Have::Elsewhere => vec![range],
        }
    }

    /// What the response is good for.
    ///
    /// # Errors
    /// It does not fit what is there.
    pub(crate) fn answer(self, status: StatusCode, headers: &HeaderMap) -> Result<Answer, Failure> {
        match status {
            StatusCode::OK => self.all_of_it(headers),
            _ if self.offset == 0 => Ok(Answer::Plain),
            StatusCode::PARTIAL_CONTENT => self.rest(headers),
            StatusCode::RANGE_NOT_SATISFIABLE => self.beyond_the_end(headers),
            _ => {
                Err(self.range_error(&format!("the server answered {status} instead of the rest")))
            }
        }
    }

    fn all_of_it(self, headers: &HeaderMap) -> Result<Answer, Failure> {
        let total = content_length(headers);
        let name = self.paths.destination.display();
        let warning = match &self.have {
            Have::Nothing => None,
            Have::Part(_, Note { validator: Some(then), .. }, _) => {
                Some(match validator(headers) {
                    Some(now) if now == *then => {
                        format!("the server sends no parts of {name}: beginning anew")
                    }
                    _ => format!("{name} has changed on the server: beginning anew"),
                })
            }
            Have::File(_) if total == Some(self.offset) => return Ok(Answer::Complete(None)),
            Have::Part(..) | Have::File(_) | Have::Elsewhere => {
                return Err(self.range_error("the server does not send parts of it"));
            }
        };
        let note = self.note(headers, total);
        let part = match (note.validator.is_some(), self.have) {
            (true, Have::Part(mut part, ..)) => {
                part.replace(&note)?;
                part
            }
            (true, _) => self.paths.begin(&note)?,
            (false, Have::Part(part, ..)) => {
                part.discard();
                return Ok(Answer::Plain);
            }
            (false, _) => return Ok(Answer::Plain),
        };
        Ok(Answer::Anew { part, total, warning })
    }

    fn rest(self, headers: &HeaderMap) -> Result<Answer, Failure> {
        let range = text(headers, &header::CONTENT_RANGE).and_then(ContentRange::parse);
        let total = match range {
            Some(ContentRange::Bytes { first, total, .. }) if first == self.offset => total,
            _ => {
                let sent = text(headers, &header::CONTENT_RANGE).unwrap_or("no Content-Range");
                return Err(self.range_error(&format!("the server sent another part: {sent}")));
            }
        };
        let changed = match &self.have {
            Have::Part(_, note, modified) => {
                let other_length = note.total.zip(total).is_some_and(|(then, now)| then != now);
                other_length
                    || match &note.validator {
                        Some(then) => etag(headers).is_some_and(|now| is_other(now, then)),
                        None => is_newer(headers, *modified),
                    }
            }
            Have::File(modified) => is_newer(headers, *modified),
            Have::Elsewhere => return Ok(Answer::Plain),
            Have::Nothing => true,
        };
        if changed {
            return Err(self.range_error("it has changed on the server since"));
        }
        let note = self.note(headers, total);
        let mut part = match self.have {
            Have::Part(part, ..) => part,
            _ => self.paths.adopt(&note)?,
        };
        part.go_on_at(self.offset)?;
        Ok(Answer::Rest { part, offset: self.offset, total })
    }

    fn beyond_the_end(self, headers: &HeaderMap) -> Result<Answer, Failure> {
        match text(headers, &header::CONTENT_RANGE).and_then(ContentRange::parse) {
            Some(ContentRange::Unsatisfied { total }) if total == self.offset => {
                Ok(Answer::Complete(match self.have {
                    Have::Part(mut part, ..) => {
                        part.go_on_at(self.offset)?;
                        Some(part)
                    }
                    _ => None,
                }))
            }
            _ => Err(self.range_error("the server has less of it than what is there")),
        }
    }

    fn note(&self, headers: &HeaderMap, total: Option<u64>) -> Note {
        Note { url: self.url.clone(), validator: validator(headers), total }
    }

    fn range_error(&self, why: &str) -> Failure {
        let name = self.paths.destination.display();
        let message = format!("{name} can't be gone on with: {why}; fetch it anew without -C");
        Failure::new(ExitCode::RangeError, message)
    }
}

/// A file of its own name, if there is one with something in it.
fn file(path: &Path) -> (Have, u64) {
    match fs::metadata(path).and_then(|found| Ok((found.modified()?, found.len()))) {
        Ok((modified, length)) if length > 0 => (Have::File(modified), length),
        _ => (Have::Nothing, 0),
    }
}

/// What tells this version from every other one: a strong `ETag`, or a date that is old enough to be one
/// (RFC 9110 §8.8.2.2).
fn validator(headers: &HeaderMap) -> Option<String> {
    if let Some(etag) = etag(headers) {
        return (!is_weak(etag)).then(|| etag.to_owned());
    }
    let date = text(headers, &header::DATE).and_then(|date| parse_http_date(date).ok())?;
    let age = date.duration_since(last_modified(headers)?).ok()?;
    (age.as_secs() >= 1).then(|| text(headers, &header::LAST_MODIFIED).map(str::to_owned)).flatten()
}

fn is_weak(etag: &str) -> bool {
    etag.starts_with("W/")
}

/// Whether `etag` contradicts what was asked with; a date says nothing about it.
fn is_other(etag: &str, validator: &str) -> bool {
    validator.starts_with('"') && etag != validator
}

/// Whether what was written at `modified` is part of an older version.
fn is_newer(headers: &HeaderMap, modified: SystemTime) -> bool {
    last_modified(headers).is_some_and(|date| date > modified)
}

fn etag(headers: &HeaderMap) -> Option<&str> {
    text(headers, &header::ETAG)
}

fn last_modified(headers: &HeaderMap) -> Option<SystemTime> {
    parse_http_date(text(headers, &header::LAST_MODIFIED)?).ok()
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    text(headers, &header::CONTENT_LENGTH)?.parse().ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
#[path = "resume_tests.rs"]
mod tests;
