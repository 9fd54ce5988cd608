//! What a transfer came to, for its closing line, the summary and `-w`.

use std::{
    fmt,
    path::PathBuf,
    time::{Duration, Instant},
};

use http::{HeaderMap, Method, StatusCode, Version};
use necko::Timings;
use url::Url;

use super::report::{Failure, Rate, seconds};

/// One transfer, ended well or not.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// Its place on the command line, from 0 on.
    pub(crate) number: usize,
    /// As on the command line.
    pub(crate) url: String,
    /// As it was asked for, after all redirects.
    pub(crate) url_effective: String,
    /// Of the last request.
    pub(crate) method: Method,
    /// None came.
    pub(crate) response: Option<ResponseRecord>,
    /// The file that has the body now; none for standard output, and when it failed.
    pub(crate) file: Option<PathBuf>,
    /// Body bytes that arrived.
    pub(crate) downloaded: u64,
    /// Body bytes that went out.
    pub(crate) uploaded: u64,
    pub(crate) time_total: Duration,
    /// When it began.
    pub(crate) begun: Option<Instant>,
    /// When what happened to its last request.
    pub(crate) timings: Timings,
    /// Redirects that were followed.
    pub(crate) redirects: usize,
    /// Connections that were made for it.
    pub(crate) connections: u64,
    /// Bytes of heads, as text: of its requests, and of their responses.
    pub(crate) size_request: u64,
    pub(crate) size_header: u64,
    pub(crate) failure: Option<Failure>,
}

/// The head of a response.
#[derive(Debug, Clone)]
pub(crate) struct ResponseRecord {
    pub(crate) status: StatusCode,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    /// When it came, after the transfer began.
    pub(crate) time: Duration,
}

impl Record {
    /// Of a transfer that begins.
    pub(crate) fn new(number: usize, url: &str, method: Method) -> Self {
        Self {
            number,
            url: url.to_owned(),
            url_effective: url.to_owned(),
            method,
            response: None,
            file: None,
            downloaded: 0,
            uploaded: 0,
            time_total: Duration::ZERO,
            begun: None,
            timings: Timings::default(),
            redirects: 0,
            connections: 0,
            size_request: 0,
            size_header: 0,
            failure: None,
        }
    }

    /// How long after its beginning that was; nothing for what did not happen, or was there before.
    pub(crate) fn until(&self, moment: Option<Instant>) -> Duration {
        let since = |(moment, begun): (Instant, Instant)| moment.saturating_duration_since(begun);
        moment.zip(self.begun).map_or(Duration::ZERO, since)
    }

    /// Where its response would have led, if it was a redirect that was not followed.
    pub(crate) fn redirect_url(&self) -> Option<String> {
        let redirect = self.response.as_ref()?.status.is_redirection();
        let location = self.header("location").filter(|_| redirect)?;
        Some(Url::parse(&self.url_effective).ok()?.join(location).ok()?.into())
    }

    /// The value of a response's field, where it is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.response.as_ref()?.headers.get(name)?.to_str().ok()
    }
}

impl fmt::Display for Record {
    /// The closing line of a transfer that went well.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(response) = &self.response {
            write!(f, "{} ", response.status.as_u16())?;
        }
        write!(f, "{}: ", self.url)?;
        if self.uploaded > 0 {
            write!(f, "{} bytes sent, ", self.uploaded)?;
        }
        let rate = Rate::of(self.downloaded.saturating_add(self.uploaded), self.time_total);
        write!(f, "{} bytes in {} s ({rate})", self.downloaded, seconds(self.time_total))?;
        match &self.file {
            Some(file) => write!(f, " to {}", file.display()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_tells_status_bytes_rate_and_place() {
        let mut record = Record::new(0, "https://a/b", Method::GET);
        record.response = Some(ResponseRecord {
            status: StatusCode::OK,
            version: Version::HTTP_3,
            headers: HeaderMap::new(),
            time: Duration::ZERO,
        });
        record.downloaded = 1024;
        record.time_total = Duration::from_secs(1);
        assert_eq!(record.to_string(), "200 https://a/b: 1024 bytes in 1.00 s (1.00 KiB/s)");
        record.file = Some("dir/b".into());
        record.uploaded = 1024;
        assert_eq!(
            record.to_string(),
            "200 https://a/b: 1024 bytes sent, 1024 bytes in 1.00 s (2.00 KiB/s) to dir/b"
        );
    }
}
