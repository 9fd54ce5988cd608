//! One transfer: a request, its response, and where the body goes.

use std::{io::Write as _, sync::Arc, time::Duration};

use http::{HeaderMap, Method, StatusCode, Version, header};
use necko::{HttpHandler, NetError, Request, RequestBody, Response, ResponseBody};
use url::Url;

use super::{
    exit_code::ExitCode,
    headers::HeaderOption,
    options::Fetch,
    output::{Sink, Target, Unfinished},
    progress::Progress,
    report::{Failure, version_name},
    verbose,
    wait::Waiter,
};

/// What all transfers of a run have in common.
pub(crate) struct Shared {
    pub(crate) handler: Arc<HttpHandler>,
    pub(crate) progress: Progress,
    pub(crate) unfinished: Arc<Unfinished>,
    pub(crate) max_time: Option<Duration>,
    /// Write the response's head as well (`-i`, `-I`).
    pub(crate) include: bool,
    /// A status of 400 and above is a failure (`-f`).
    pub(crate) fail: bool,
    pub(crate) verbose: bool,
}

/// A transfer that was asked for.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub(crate) url: String,
    pub(crate) request: Result<Request, Failure>,
    pub(crate) target: Target,
}

/// A transfer that is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) bytes: u64,
    pub(crate) version: Version,
}

impl Transfer {
    /// What the options say about this URL.
    pub(crate) fn new(url: &str, options: &Fetch, body: &RequestBody, target: Target) -> Self {
        Self { url: url.to_owned(), request: request(url, options, body), target }
    }

    /// Sends the request and takes the whole response.
    ///
    /// # Errors
    /// It failed; of a file, nothing is left.
    pub(crate) fn run(&self, shared: &Shared, waiter: &mut Waiter<'_>) -> Result<Done, Failure> {
        waiter.begin(shared.max_time);
        waiter.check()?;
        let request = self.request.as_ref().map_err(Clone::clone)?;
        let request = request.try_clone().ok_or(NetError::Internal("a body for one request"))?;
        if shared.verbose {
            verbose::request(&request.head()?);
        }
        let response = waiter.wait(shared.handler.fetch(request)?)??;
        if shared.verbose {
            verbose::response(&response_head(&response));
        }
        let status = response.status();
        if shared.fail && status.as_u16() >= 400 {
            let message = format!("the server answered {status}");
            return Err(Failure::new(ExitCode::HttpError, message));
        }
        self.take(response, shared, waiter)
    }

    fn take(
        &self,
        response: Response,
        shared: &Shared,
        waiter: &Waiter<'_>,
    ) -> Result<Done, Failure> {
        let mut sink = Sink::open(&self.target, &shared.unfinished)?;
        if shared.include {
            sink.write(&response_head(&response))?;
        }
        let version = response.version();
        shared.progress.begin(body_length(self.method(), response.status(), response.headers()));
        let mut body = response.into_body();
        let mut bytes = 0;
        while let Some(chunk) = next_chunk(&mut body, &mut sink, waiter)? {
            sink.write(&chunk)?;
            let length = chunk.len() as u64;
            bytes += length;
            shared.progress.add(length);
        }
        sink.finish()?;
        Ok(Done { bytes, version })
    }

    fn method(&self) -> Option<&Method> {
        self.request.as_ref().ok().map(Request::method)
    }
}

/// The next piece of a body. Before it waits for one, whoever reads along gets what there is.
fn next_chunk(
    body: &mut ResponseBody,
    sink: &mut Sink,
    waiter: &Waiter<'_>,
) -> Result<Option<bytes::Bytes>, Failure> {
    waiter.check()?;
    if let Some(next) = body.try_chunk() {
        return Ok(next?);
    }
    sink.flush()?;
    Ok(waiter.wait(body.chunk())??)
}

fn request(url: &str, options: &Fetch, body: &RequestBody) -> Result<Request, Failure> {
    check_url(url)?;
    let mut request =
        Request::new(options.method(), url)?.body(body.try_clone().unwrap_or_default());
    for header in &options.headers {
        request = match header {
            HeaderOption::Add(name, value) => request.header(name.as_str(), value)?,
            HeaderOption::Without(name) => request.without_header(name.clone()),
        };
    }
    let typed = options.headers.iter().any(|header| *header.name() == header::CONTENT_TYPE);
    if options.data.is_given() && !typed {
        request = request.header("content-type", "application/x-www-form-urlencoded")?;
    }
    Ok(request)
}

/// Tells a URL of another protocol from one that is none.
fn check_url(url: &str) -> Result<(), Failure> {
    let malformed = |message: String| Err(Failure::new(ExitCode::MalformedUrl, message));
    match Url::parse(url) {
        Ok(parsed) if parsed.scheme() == "https" => Ok(()),
        Ok(parsed) if url.contains("://") => Err(Failure::new(
            ExitCode::UnsupportedProtocol,
            format!("{}:// can't be fetched over HTTP/3; only https:// can", parsed.scheme()),
        )),
        Err(error) if url.contains("://") => malformed(format!("{url:?} is not a URL: {error}")),
        _ => malformed(format!("{url:?} is not a URL; did you mean https://{url} ?")),
    }
}

/// How many bytes the body will have, if that is known.
fn body_length(method: Option<&Method>, status: StatusCode, headers: &HeaderMap) -> Option<u64> {
    let none = method == Some(&Method::HEAD)
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if none {
        return Some(0);
    }
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// The head as HTTP/1.1 would write it, the way curl shows it.
fn response_head(response: &Response) -> Vec<u8> {
    let mut text = Vec::new();
    let status = response.status().as_u16();
    // Writing to memory can't fail.
    let _ = write!(text, "{} {status} \r\n", version_name(response.version()));
    for (name, value) in response.headers() {
        let _ = write!(text, "{name}: ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
    text
}

#[cfg(test)]
#[path = "transfer_tests.rs"]
mod tests;
