//! What a transfer came to, for its closing line, the summary and `-w`.

use std::{fmt, path::PathBuf, time::Duration};

use http::{HeaderMap, Method, StatusCode, Version};

use super::report::{Failure, Rate, seconds};

/// One transfer, ended well or not.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// Its place on the command line, from 0 on.
    pub(crate) number: usize,
    /// As on the command line.
    pub(crate) url: String,
    /// As it was asked for.
    pub(crate) url_effective: String,
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
    /// Connections that were made since the transfer before it ended, if that was asked for.
    pub(crate) connections: Option<u64>,
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
            connections: None,
            failure: None,
        }
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
