//! Byte ranges: `-r`, `-C`, and what a server answers to them (RFC 9110 §14).

use std::fmt;

/// `-r`: what goes behind `bytes=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ranges(String);

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bytes={}", self.0)
    }
}

/// Parses `0-99`, `100-`, `-500` or several of them with commas. A lone number is taken for its beginning,
/// as curl does.
///
/// # Errors
/// It is none of these, or ends before it begins.
pub(crate) fn parse_ranges(text: &str) -> Result<Ranges, String> {
    let ranges =
        text.split(',').map(|range| parse_range(range.trim())).collect::<Result<Vec<_>, _>>()?;
    Ok(Ranges(ranges.join(",")))
}

fn parse_range(text: &str) -> Result<String, String> {
    let wrong = || format!("{text:?} is not a range: write 0-99, 100- or -500");
    let (first, last) = text.split_once('-').unwrap_or((text, ""));
    match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => Ok(format!("{first}-{last}")),
        (Some(first), None) if last.is_empty() => Ok(format!("{first}-")),
        (None, Some(length)) if first.is_empty() && length > 0 => Ok(format!("-{length}")),
        _ => Err(wrong()),
    }
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// `-C`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContinueAt {
    /// `-`: where what is there ends.
    End,
    Offset(u64),
}

/// Parses `-` or a number of bytes.
///
/// # Errors
/// It is neither.
pub(crate) fn parse_continue_at(text: &str) -> Result<ContinueAt, String> {
    match (text, number(text)) {
        ("-", _) => Ok(ContinueAt::End),
        (_, Some(offset)) => Ok(ContinueAt::Offset(offset)),
        _ => Err("write '-', or how many bytes to skip".into()),
    }
}

/// `Content-Range`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentRange {
    /// Of a 206.
    Bytes { first: u64, last: u64, total: Option<u64> },
    /// Of a 416.
    Unsatisfied { total: u64 },
}

impl ContentRange {
    /// `None` for what is malformed, or not in bytes.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (range, total) = text.trim().strip_prefix("bytes ")?.trim().split_once('/')?;
        let total = if total == "*" { None } else { Some(number(total)?) };
        if range == "*" {
            return Some(Self::Unsatisfied { total: total? });
        }
        let (first, last) = range.split_once('-')?;
        let (first, last) = (number(first)?, number(last)?);
        let sound = first <= last && total.is_none_or(|total| last < total);
        sound.then_some(Self::Bytes { first, last, total })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_written_as_http_wants_them() {
        let ranges = |text| parse_ranges(text).unwrap().to_string();
        assert_eq!(ranges("0-99"), "bytes=0-99");
        assert_eq!(ranges("-500"), "bytes=-500");
        assert_eq!(ranges("100-"), "bytes=100-");
        assert_eq!(ranges("100"), "bytes=100-");
        assert_eq!(ranges("0-0, 5-9,-1"), "bytes=0-0,5-9,-1");
        for wrong in ["", "-", "a-b", "9-5", "-0", "1-2-3", "0-1,", "+1-2", "99999999999999999999-"]
        {
            assert!(parse_ranges(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn places_to_go_on_from() {
        assert_eq!(parse_continue_at("-"), Ok(ContinueAt::End));
        assert_eq!(parse_continue_at("100"), Ok(ContinueAt::Offset(100)));
        for wrong in ["", "-5", "x", "1K"] {
            assert!(parse_continue_at(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn content_ranges_are_taken_only_when_they_make_sense() {
        let bytes = |first, last, total| Some(ContentRange::Bytes { first, last, total });
        assert_eq!(ContentRange::parse("bytes 5-9/10"), bytes(5, 9, Some(10)));
        assert_eq!(ContentRange::parse("bytes 0-0/*"), bytes(0, 0, None));
        assert_eq!(
            ContentRange::parse("bytes */10"),
            Some(ContentRange::Unsatisfied { total: 10 })
        );
        for wrong in
            ["", "bytes", "bytes 5-4/10", "bytes 0-10/10", "bytes */*", "lines 0-1/2", "bytes 0-1"]
        {
            assert_eq!(ContentRange::parse(wrong), None, "{wrong:?}");
        }
    }
}
