//! Conditional requests (RFC 9110, 13): what the client knows already, and what follows from it.
//!
//! ```text
//!   If-Match ────── no match ──────────▶ Failed (412)
//!   else If-Unmodified-Since ─ later ──▶ Failed
//!   If-None-Match ─ a match ───────────▶ NotModified (304) for GET and HEAD, else Failed
//!   else If-Modified-Since ─ not later ▶ NotModified, for GET and HEAD alone
//!   else ──────────────────────────────▶ Perform; and Range counts unless If-Range says otherwise
//! ```
//!
//! That is the order of section 13.2.2.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::ranges::{self, Selection};

/// The conditions of a request, and the part of the body that it wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Conditions {
    if_match: Option<String>,
    if_none_match: Option<String>,
    if_modified_since: Option<SystemTime>,
    if_unmodified_since: Option<SystemTime>,
    range: Once,
    if_range: Once,
}

/// A header that means nothing if it stands twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Once {
    #[default]
    Absent,
    Stands(String),
    Twice,
}

/// What tells one state of a file from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Validators {
    /// The entity tag, in its quotes. Always a strong one.
    pub(crate) tag: String,
    /// The last change, if it is known.
    pub(crate) modified: Option<SystemTime>,
}

/// What the conditions say about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Do what it asks.
    Perform,
    /// 304: the client has the file as it is.
    NotModified,
    /// 412: the file is not in the state that the client expects.
    Failed,
}

impl Validators {
    /// Length and date of the last change: what a change that matters does not leave alone.
    pub(crate) fn of_file(length: u64, modified: Option<SystemTime>) -> Self {
        let since_1970 = modified.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let tag = format!("\"{length:x}-{:x}\"", since_1970.unwrap_or_default().as_nanos());
        Self { tag, modified }
    }

    /// Without a date in the future, which nobody may be told (RFC 9110, 8.8.2.1).
    pub(crate) fn told_at(self, now: SystemTime) -> Self {
        Self { modified: self.modified.filter(|modified| *modified <= now), ..self }
    }
}

impl Conditions {
    /// Takes a header if it is a condition.
    pub(crate) fn take(&mut self, name: &[u8], value: &[u8]) {
        match name {
            b"if-match" => append(&mut self.if_match, value),
            b"if-none-match" => append(&mut self.if_none_match, value),
            b"if-modified-since" => self.if_modified_since = date(value),
            b"if-unmodified-since" => self.if_unmodified_since = date(value),
            b"range" => self.range.put(value),
            b"if-range" => self.if_range.put(value),
            _ => {}
        }
    }

    /// Whether a request may be performed on a file in the state `current`; None if there is no file.
    /// `only_reads` is true for GET and HEAD.
    pub(crate) fn judge(&self, current: Option<&Validators>, only_reads: bool) -> Verdict {
        let modified = current.and_then(|current| current.modified);
        let later_than = |date| modified.map(|modified| seconds(modified) > seconds(date));
        let expected = match (&self.if_match, self.if_unmodified_since) {
            (Some(list), _) => is_in(list, current, Comparison::Strong),
            (None, Some(date)) => later_than(date) != Some(true),
            (None, None) => true,
        };
        if !expected {
            return Verdict::Failed;
        }
        let known = match (&self.if_none_match, self.if_modified_since) {
            (Some(list), _) => is_in(list, current, Comparison::Weak),
            (None, Some(date)) => only_reads && later_than(date) == Some(false),
            (None, None) => false,
        };
        match (known, only_reads) {
            (false, _) => Verdict::Perform,
            (true, true) => Verdict::NotModified,
            (true, false) => Verdict::Failed,
        }
    }

    /// Which part of `length` bytes a GET request wants, if the file is still the one of which it has
    /// another part.
    pub(crate) fn select(&self, current: &Validators, length: u64, now: SystemTime) -> Selection {
        match &self.range {
            Once::Stands(range) if self.if_range_holds(current, now) => {
                ranges::select(range.as_bytes(), length)
            }
            _ => Selection::Whole,
        }
    }

    fn if_range_holds(&self, current: &Validators, now: SystemTime) -> bool {
        let value = match &self.if_range {
            Once::Absent => return true,
            Once::Twice => return false,
            Once::Stands(value) => value.trim(),
        };
        if value.ends_with('"') {
            // Parts of weakly equal bodies do not fit together: "W/..." never matches.
            return value == current.tag;
        }
        // Exactly the date that was told, and far enough back that the file has not changed again
        // within the same second.
        let date = httpdate::parse_http_date(value).ok();
        current.modified.is_some_and(|modified| {
            date.is_some_and(|date| seconds(date) == seconds(modified))
                && now.duration_since(modified).is_ok_and(|age| age >= Duration::from_secs(1))
        })
    }
}

impl Once {
    fn put(&mut self, value: &[u8]) {
        *self = match self {
            Self::Absent => Self::Stands(String::from_utf8_lossy(value).into_owned()),
            Self::Stands(_) | Self::Twice => Self::Twice,
        };
    }
}

/// How entity tags are compared (RFC 9110, 8.8.3.2).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    /// Weak tags equal nothing.
    Strong,
    /// "W/" does not matter.
    Weak,
}

/// Whether a list of tags, or "*", names the file.
fn is_in(list: &str, current: Option<&Validators>, comparison: Comparison) -> bool {
    let Some(current) = current else { return false };
    if list.trim_matches([',', ' ', '\t']) == "*" {
        return true;
    }
    let mut tags = Tags(list);
    tags.any(|(weak, tag)| tag == current.tag && !(weak && comparison == Comparison::Strong))
}

/// The tags of a list, each with its quotes, and whether it is weak. Ends where the list makes no
/// sense any more.
struct Tags<'a>(&'a str);

impl<'a> Iterator for Tags<'a> {
    type Item = (bool, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.0.trim_start_matches([',', ' ', '\t']);
        let (weak, rest) = rest.strip_prefix("W/").map_or((false, rest), |rest| (true, rest));
        // Anything may stand between the quotes, commas too, but no quote.
        let length = rest.strip_prefix('"')?.find('"')? + 2;
        let (tag, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((weak, tag))
    }
}

/// Several lines are one list.
fn append(list: &mut Option<String>, value: &[u8]) {
    let list = list.get_or_insert_default();
    list.push(',');
    list.push_str(&String::from_utf8_lossy(value));
}

/// What can't be read is to be ignored (RFC 9110, 13.1.3).
fn date(value: &[u8]) -> Option<SystemTime> {
    httpdate::parse_http_date(str::from_utf8(value).ok()?).ok()
}

/// Dates in headers have whole seconds.
fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map(|duration| duration.as_secs()).unwrap_or_default()
}

#[cfg(test)]
#[path = "conditions_tests.rs"]
mod tests;
