//! `GET /range/N` of a [`QuinnServer`](super::QuinnServer): a resource whose version, and whose manners with
//! ranges, a test chooses.

use http::{HeaderMap, Request, Response, StatusCode, header};

use super::pattern;

/// The resource. A test changes it between two requests as somebody changes a file.
#[derive(Debug, Clone, Default)]
pub struct Resource {
    /// Its bytes are those of the [pattern] from this place on: another number, another version.
    pub version: u64,
    /// `ETag`
    pub etag: Option<&'static str>,
    /// `Last-Modified`
    pub last_modified: Option<&'static str>,
    /// It answers every range with all of it.
    pub no_ranges: bool,
    /// It sends the range whatever `If-Range` says.
    pub ignores_if_range: bool,
    /// It sends a range that begins so many bytes later than the one that was asked for.
    pub shift: u64,
    /// After so many bytes of a body it sends no more, and no end.
    pub stops_after: Option<u64>,
}

/// A head, and which bytes of the resource follow.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: Response<()>,
    pub(crate) first: u64,
    pub(crate) length: u64,
}

impl Resource {
    /// All of it, as a client should have it at the end.
    pub fn body(&self, length: u64) -> Vec<u8> {
        let mut body = Vec::new();
        while (body.len() as u64) < length {
            let position = body.len() as u64;
            body.extend_from_slice(pattern::piece(self.version + position, length - position));
        }
        body
    }

    /// The answer to a request for `length` bytes of it.
    pub(crate) fn answer(&self, request: &Request<()>, length: u64) -> Answer {
        let range = text(request.headers(), &header::RANGE)
            .filter(|_| self.may_send_range(request.headers()));
        let Some((first, last)) = range.and_then(|range| parse(range, length)) else {
            return self.with_head(StatusCode::OK, None, 0, length);
        };
        let first = first + self.shift;
        if first >= length {
            let unsatisfied = format!("bytes */{length}");
            return self.with_head(StatusCode::RANGE_NOT_SATISFIABLE, Some(unsatisfied), 0, 0);
        }
        let range = format!("bytes {first}-{last}/{length}");
        self.with_head(StatusCode::PARTIAL_CONTENT, Some(range), first, last + 1 - first)
    }

    fn may_send_range(&self, headers: &HeaderMap) -> bool {
        let same = text(headers, &header::IF_RANGE).is_none_or(|validator| {
            self.etag == Some(validator) || self.last_modified == Some(validator)
        });
        !self.no_ranges && (same || self.ignores_if_range)
    }

    fn with_head(
        &self,
        status: StatusCode,
        range: Option<String>,
        first: u64,
        length: u64,
    ) -> Answer {
        let fields = [
            (header::ETAG, self.etag.map(str::to_owned)),
            (header::LAST_MODIFIED, self.last_modified.map(str::to_owned)),
            (header::DATE, Some("Thu, 01 Jan 2026 00:00:00 GMT".to_owned())),
            (header::CONTENT_RANGE, range),
            (header::CONTENT_LENGTH, Some(length.to_string())),
        ];
        let mut head = Response::builder().status(status);
        for (name, value) in fields {
            if let Some(value) = value {
                head = head.header(name, value);
            }
        }
        Answer { head: head.body(()).expect("a valid head"), first, length }
    }
}

/// One range: where it begins, and its last byte.
fn parse(range: &str, length: u64) -> Option<(u64, u64)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let end = length.saturating_sub(1);
    Some(match (first.parse().ok(), last.parse().ok()) {
        (Some(first), None) => (first, end),
        (Some(first), Some(last)) => (first, end.min(last)),
        (None, Some(suffix)) => (length.saturating_sub(suffix), end),
        (None, None) => return None,
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
