//! Answers of a [`QuinnServer`](super::QuinnServer) that lead elsewhere, or that a test chooses.

use bytes::Bytes;
use http::{Response, StatusCode, Uri};

/// What `/answer` is.
#[derive(Debug, Clone, Default)]
pub struct ChosenAnswer {
    /// Its status.
    pub status: StatusCode,
    /// Its fields.
    pub fields: Vec<(&'static str, String)>,
    /// Its body, with a `Content-Length`.
    pub body: Bytes,
}

impl ChosenAnswer {
    /// A body in these codings.
    pub fn encoded(codings: &str, body: impl Into<Bytes>) -> Self {
        let fields = vec![("content-encoding", codings.to_owned())];
        Self { fields, body: body.into(), ..Self::default() }
    }

    pub(crate) fn head(&self) -> Response<()> {
        let mut head = Response::builder().status(self.status);
        head = head.header("content-length", self.body.len());
        for (name, value) in &self.fields {
            head = head.header(*name, value);
        }
        head.body(()).expect("a valid head")
    }
}

/// Where a path leads, with which status: see `quinn_service`.
pub(crate) fn redirect(uri: &Uri) -> Option<(StatusCode, String)> {
    let mut parts = uri.path().trim_start_matches('/').split('/');
    let kind = parts.next()?;
    let number: u64 = parts.next()?.parse().ok()?;
    match kind {
        "to" => {
            let rest: Vec<_> = parts.collect();
            let location = uri.query().map_or(format!("/{}", rest.join("/")), str::to_owned);
            Some((StatusCode::from_u16(number.try_into().ok()?).ok()?, location))
        }
        "loop" => Some((StatusCode::FOUND, format!("{}", number + 1))),
        "count" if number > 0 => Some((StatusCode::MOVED_PERMANENTLY, (number - 1).to_string())),
        _ => None,
    }
}
