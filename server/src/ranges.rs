//! Range requests (RFC 9110, 14): which bytes of a representation the client wants.
//!
//! ```text
//!   "bytes=0-9, -5" ── parse ──▶ ranges ── resolve against the length ──▶ Selection
//!                        │                                                  Whole: 200
//!        other unit,     │                                                  Spans: 206
//!        malformed, ─────┴──────────────────────────────────────────────▶   Unsatisfiable: 416
//!        too many: Whole
//! ```
//!
//! A server may always ignore a Range header. This one does when there is something wrong with it, and
//! when it asks for so many parts that the answer would cost more than it helps.

/// More ranges than this in one request are ignored: no one who means well sends them.
pub(crate) const MAX_RANGES: usize = 16;

/// Consecutive bytes of a representation: at least one, and all of them inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u64,
    pub(crate) length: u64,
}

/// What of a representation is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// All of it; as if there had been no Range header.
    Whole,
    /// These parts: at least one, at most [`MAX_RANGES`], no two of them overlapping.
    Spans(Vec<Span>),
    /// The client asked only for bytes that are not there.
    Unsatisfiable,
}

/// One range as it stands in the header; numbers too large for us are as good as the largest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Range {
    /// "5-" and "5-9".
    From { first: u64, last: u64 },
    /// "-5": the last so many bytes.
    Suffix(u64),
}

impl Span {
    /// The value of Content-Range for this part of `total` bytes.
    pub(crate) fn content_range(self, total: u64) -> String {
        format!("bytes {}-{}/{total}", self.start, self.end().saturating_sub(1))
    }

    /// The position behind the last byte.
    fn end(self) -> u64 {
        self.start.saturating_add(self.length)
    }
}

/// Reads the value of a Range header for a representation of `length` bytes.
pub(crate) fn select(value: &[u8], length: u64) -> Selection {
    let Some(ranges) = parse(value) else { return Selection::Whole };
    if length == 0 && ranges.iter().any(|range| matches!(range, Range::Suffix(1..))) {
        // The last bytes of nothing are nothing, which no Content-Range can express.
        return Selection::Whole;
    }
    let spans: Vec<Span> = ranges.iter().filter_map(|range| range.resolve(length)).collect();
    if spans.is_empty() { Selection::Unsatisfiable } else { Selection::Spans(merge(spans)) }
}

impl Range {
    /// The bytes of this range that exist, if there are any.
    fn resolve(self, length: u64) -> Option<Span> {
        let start = match self {
            Self::From { first, .. } => first,
            Self::Suffix(count) => length.saturating_sub(count),
        };
        let end = match self {
            Self::From { last, .. } => last.saturating_add(1).min(length),
            Self::Suffix(_) => length,
        };
        let length = end.checked_sub(start).filter(|length| *length > 0)?;
        Some(Span { start, length })
    }
}

/// Parts that overlap or touch become one, and then they stand in ascending order; others keep the
/// order in which the client wants them.
fn merge(spans: Vec<Span>) -> Vec<Span> {
    let mut ascending = spans.clone();
    ascending.sort_by_key(|span| span.start);
    let mut merged: Vec<Span> = Vec::with_capacity(ascending.len());
    for span in ascending {
        match merged.last_mut() {
            Some(last) if span.start <= last.end() => {
                let end = last.end().max(span.end());
                last.length = end.saturating_sub(last.start);
            }
            _ => merged.push(span),
        }
    }
    if merged.len() == spans.len() { spans } else { merged }
}

/// None for everything that is to be ignored.
fn parse(value: &[u8]) -> Option<Vec<Range>> {
    let value = str::from_utf8(value).ok()?;
    let (unit, list) = value.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let mut ranges = Vec::new();
    // Empty elements of a list mean nothing (RFC 9110, 5.6.1.2).
    for element in list.split(',').map(trim).filter(|element| !element.is_empty()) {
        if ranges.len() == MAX_RANGES {
            return None;
        }
        ranges.push(parse_range(element)?);
    }
    Some(ranges).filter(|ranges| !ranges.is_empty())
}

fn parse_range(text: &str) -> Option<Range> {
    match text.split_once('-')? {
        ("", count) => number(count).map(Range::Suffix),
        (first, "") => number(first).map(|first| Range::From { first, last: u64::MAX }),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Range::From { first, last })
        }
    }
}

fn number(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    // More digits than fit are a number beyond every length.
    plain.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// Optional white space is spaces and tabs.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
#[path = "ranges_tests.rs"]
mod tests;
