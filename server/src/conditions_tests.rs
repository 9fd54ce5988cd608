use super::*;
use crate::ranges::Span;

const TAG: &str = "\"ff-59682f00\"";
/// Seconds after 1970 began.
const ONE: &str = "Thu, 01 Jan 1970 00:00:01 GMT";
const ZERO: &str = "Thu, 01 Jan 1970 00:00:00 GMT";
const TWO: &str = "Thu, 01 Jan 1970 00:00:02 GMT";

fn at(seconds: f64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs_f64(seconds)
}

/// A file of 255 bytes, changed one and a half seconds after 1970 began.
fn current() -> Validators {
    Validators::of_file(255, Some(at(1.5))).told_at(at(9.0))
}

fn conditions(fields: &[(&str, &str)]) -> Conditions {
    let mut conditions = Conditions::default();
    for (name, value) in fields {
        conditions.take(name.as_bytes(), value.as_bytes());
    }
    conditions
}

#[test]
fn a_tag_tells_length_and_date() {
    assert_eq!(current().tag, TAG);
    assert_eq!(Validators::of_file(0, None).tag, "\"0-0\"");
    let future = Validators::of_file(0, Some(at(10.0)));
    assert_eq!(future.told_at(at(9.0)).modified, None);
}

/// Each line of section 13.2.2, alone and with those that it overrides.
#[test]
fn conditions_are_heeded_in_the_order_of_the_rfc() {
    use Verdict::{Failed, NotModified, Perform};
    let tag = |name: &'static str, value: &'static str| vec![(name, value)];
    for (fields, reading, writing) in [
        (vec![], Perform, Perform),
        (tag("if-match", TAG), Perform, Perform),
        (tag("if-match", "*"), Perform, Perform),
        (tag("if-match", "\"x\", \"y,z\", \"ff-59682f00\""), Perform, Perform),
        (tag("if-match", "\"x\""), Failed, Failed),
        (tag("if-match", "W/\"ff-59682f00\""), Failed, Failed),
        (tag("if-match", "nonsense"), Failed, Failed),
        (tag("if-match", "\"x,\"ff-59682f00\""), Failed, Failed),
        (tag("if-unmodified-since", ONE), Perform, Perform),
        (tag("if-unmodified-since", TWO), Perform, Perform),
        (tag("if-unmodified-since", ZERO), Failed, Failed),
        (tag("if-unmodified-since", "yesterday"), Perform, Perform),
        // If-Match makes the server ignore If-Unmodified-Since.
        (vec![("if-match", TAG), ("if-unmodified-since", ZERO)], Perform, Perform),
        (tag("if-none-match", TAG), NotModified, Failed),
        (tag("if-none-match", "W/\"ff-59682f00\""), NotModified, Failed),
        (tag("if-none-match", "\"x\", W/\"ff-59682f00\""), NotModified, Failed),
        (vec![("if-none-match", "\"x\""), ("if-none-match", TAG)], NotModified, Failed),
        (tag("if-none-match", "*"), NotModified, Failed),
        (tag("if-none-match", "\"x\""), Perform, Perform),
        (tag("if-none-match", "\"x,*\""), Perform, Perform),
        (tag("if-modified-since", ONE), NotModified, Perform),
        (tag("if-modified-since", ZERO), Perform, Perform),
        (tag("if-modified-since", "yesterday"), Perform, Perform),
        // ... and If-None-Match, If-Modified-Since.
        (vec![("if-none-match", "\"x\""), ("if-modified-since", ONE)], Perform, Perform),
        // A failed expectation goes before a known state.
        (vec![("if-match", "\"x\""), ("if-none-match", TAG)], Failed, Failed),
        (vec![("if-match", TAG), ("if-none-match", TAG)], NotModified, Failed),
    ] {
        let conditions = conditions(&fields);
        assert_eq!(conditions.judge(Some(&current()), true), reading, "GET {fields:?}");
        assert_eq!(conditions.judge(Some(&current()), false), writing, "PUT {fields:?}");
    }
}

#[test]
fn what_is_not_there_matches_nothing() {
    for (name, value, verdict) in [
        ("if-match", "*", Verdict::Failed),
        ("if-match", TAG, Verdict::Failed),
        ("if-none-match", "*", Verdict::Perform),
        ("if-unmodified-since", ZERO, Verdict::Perform),
        ("if-modified-since", TWO, Verdict::Perform),
    ] {
        assert_eq!(conditions(&[(name, value)]).judge(None, false), verdict, "{name}: {value}");
    }
    // The same where the date is not known.
    let undated = Validators { modified: None, ..current() };
    for name in ["if-unmodified-since", "if-modified-since"] {
        let verdict = conditions(&[(name, ZERO)]).judge(Some(&undated), true);
        assert_eq!(verdict, Verdict::Perform, "{name}");
    }
}

#[test]
fn a_part_is_sent_if_it_fits_to_what_the_client_has() {
    let part = Selection::Spans(vec![Span { start: 2, length: 3 }]);
    let whole = || Selection::Whole;
    let select = |fields: &[(&str, &str)]| {
        let fields = [fields, &[("range", "bytes=2-4")]].concat();
        conditions(&fields).select(&current(), 255, at(9.0))
    };
    assert_eq!(select(&[]), part);
    assert_eq!(select(&[("if-range", TAG)]), part);
    assert_eq!(select(&[("if-range", ONE)]), part);
    assert_eq!(select(&[("if-range", "\"x\"")]), whole());
    assert_eq!(select(&[("if-range", "W/\"ff-59682f00\"")]), whole(), "weak");
    assert_eq!(select(&[("if-range", "*")]), whole());
    assert_eq!(select(&[("if-range", ZERO)]), whole());
    assert_eq!(select(&[("if-range", TWO)]), whole(), "not the very date");
    assert_eq!(select(&[("if-range", TAG), ("if-range", TAG)]), whole(), "twice");
    assert_eq!(select(&[("range", "bytes=2-4")]), whole(), "twice");
    assert_eq!(conditions(&[]).select(&current(), 255, at(9.0)), whole());

    // Changed a moment ago: it may change again without another date.
    let dated = conditions(&[("if-range", ONE), ("range", "bytes=2-4")]);
    assert_eq!(dated.select(&current(), 255, at(2.0)), whole());
    assert_eq!(dated.select(&Validators { modified: None, ..current() }, 255, at(9.0)), whole());
}
