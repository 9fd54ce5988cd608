//! One transfer: a request, its response, and where the body goes.

use std::{
    num::NonZeroU64,
    sync::{Arc, atomic::Ordering},
};

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use necko::{HttpHandler, Request, RequestBody, Response, ResponseBody};
use url::Url;

use super::{
    answer::wait_for_response,
    exit_code::ExitCode,
    headers::HeaderOption,
    heads::{self, Dump},
    options::Fetch,
    output::{Sink, Target, create_dirs},
    part::Part,
    progress::Progress,
    rate_limit::Pace,
    record::Record,
    report::{Failure, complain},
    resume::{Answer, Resume},
    temporary::Unfinished,
    upload::{Feeder, Source},
    verbose,
    wait::Waiter,
    write_out::WriteOut,
};

/// What all transfers of a run have in common.
pub(crate) struct Shared<'a> {
    pub(crate) options: &'a Fetch,
    /// The body of `-d`.
    pub(crate) data: Bytes,
    pub(crate) write_out: Option<WriteOut>,
    pub(crate) handler: Arc<HttpHandler>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) unfinished: Arc<Unfinished>,
    /// `-D`
    pub(crate) dump: Option<Dump>,
}

impl Shared<'_> {
    fn limit_rate(&self) -> Option<NonZeroU64> {
        self.options.limit_rate.and_then(|limit| limit.0)
    }
}

/// A transfer that was asked for.
#[derive(Debug)]
pub(crate) struct Transfer {
    number: usize,
    pub(crate) url: String,
    pub(crate) plan: Result<Plan, Failure>,
}

/// What the options say about a URL.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    url: Url,
    method: Method,
    upload: Option<Source>,
    pub(crate) target: Target,
}

impl Transfer {
    /// The `number`-th URL.
    pub(crate) fn new(number: usize, url: &str, options: &Fetch) -> Self {
        Self { number, url: url.to_owned(), plan: plan(number, url, options) }
    }

    /// Whether its body goes before a person's eyes.
    pub(crate) fn is_on_terminal(&self) -> bool {
        self.plan.as_ref().is_ok_and(|plan| plan.target.is_terminal())
    }

    /// Sends the request and takes the whole response. When it fails, nothing that looks complete is left of
    /// a file.
    pub(crate) fn run(&self, shared: &Shared<'_>, waiter: &mut Waiter<'_>) -> Record {
        let following = &shared.options.following;
        waiter.begin(following.max_time.and_then(|max_time| max_time.0), following.speed_limit());
        let method = self.plan.as_ref().map_or(Method::GET, |plan| plan.method.clone());
        let mut record = Record::new(self.number, &self.url, method);
        record.begun = Some(waiter.begun());
        record.failure = self.attempt(shared, waiter, &mut record).err();
        record.time_total = waiter.elapsed();
        if let Some(write_out) = &shared.write_out
            && let Err(failure) = shared.progress.aside(|| write_out.write(&record))
        {
            record.failure.get_or_insert(failure);
        }
        record
    }

    fn attempt(
        &self,
        shared: &Shared<'_>,
        waiter: &Waiter<'_>,
        record: &mut Record,
    ) -> Result<(), Failure> {
        let plan = self.plan.as_ref().map_err(Clone::clone)?;
        plan.url.as_str().clone_into(&mut record.url_effective);
        waiter.check()?;
        let resume = plan.resume(shared.options)?;
        let request = plan.request(shared.options, resume.as_ref())?;
        let (body, feeder) = plan.body(shared)?;
        let length = body.length();
        let request = request.body(body);
        let head = request.head()?;
        if shared.options.verbose > 0 {
            verbose::request(&head, shared.options.connecting.version());
        }
        record.size_request = heads::request_length(&head);
        let pending = shared.handler.fetch(request)?;
        let start = |feeder: Feeder| {
            let moved = Arc::clone(waiter.moved());
            feeder.start(shared.limit_rate(), Arc::clone(&shared.progress), moved)
        };
        let sent = feeder.map(start).transpose()?;
        let result = wait_for_response(pending, shared, waiter, record).and_then(|response| {
            // What the library sends by itself is not counted on its way.
            record.uploaded = length.unwrap_or_default();
            answered(plan, resume, response, shared, waiter, record)
        });
        let Some(sent) = sent else { return result };
        record.uploaded = sent.bytes();
        // That the source gave no more comes first; the rest follows from it.
        sent.failure().map_or(result, Err)
    }
}

/// The head is there.
fn answered(
    plan: &Plan,
    resume: Option<Resume>,
    response: Response,
    shared: &Shared<'_>,
    waiter: &Waiter<'_>,
    record: &mut Record,
) -> Result<(), Failure> {
    take(plan, resume, response, shared, waiter, record)?;
    if let Target::File(path) = &plan.target {
        record.file = Some(path.clone());
    }
    Ok(())
}

/// The body, to where it is to go.
fn take(
    plan: &Plan,
    resume: Option<Resume>,
    response: Response,
    shared: &Shared<'_>,
    waiter: &Waiter<'_>,
    record: &mut Record,
) -> Result<(), Failure> {
    let Some(mut sink) = plan.sink(resume, &response, shared)? else { return Ok(()) };
    if shared.options.include || shared.options.head {
        for redirect in response.redirects() {
            sink.write(&heads::of_redirect(redirect))?;
        }
        sink.write(&heads::of_response(&response))?;
    }
    // How much an encoded body will be is not known.
    let encoded = shared.options.following.compressed
        && response.headers().contains_key(header::CONTENT_ENCODING);
    let length = body_length(&record.method, response.status(), response.headers());
    shared.progress.begin(length.filter(|_| !encoded));
    let mut pace = shared.limit_rate().map(|rate| Pace::new(rate, waiter.now()));
    let (mut body, from_redirects) = (response.into_body(), record.downloaded);
    loop {
        let next = next_chunk(&mut body, &mut sink, waiter);
        record.downloaded = from_redirects + body.received();
        let Some(chunk) = next? else { break };
        let piece = pace.as_ref().map_or(chunk.len(), Pace::piece).max(1);
        for piece in chunk.chunks(piece) {
            sink.write(piece)?;
            waiter.moved().fetch_add(piece.len() as u64, Ordering::Relaxed);
            shared.progress.add(piece.len() as u64);
            if let Some(pace) = &mut pace {
                sink.flush()?;
                waiter.wait_until(pace.pass(piece.len(), waiter.now()))?;
            }
        }
    }
    sink.finish()
}

impl Plan {
    fn resume(&self, options: &Fetch) -> Result<Option<Resume>, Failure> {
        match (options.continue_at, &self.target) {
            (Some(at), Target::File(path)) => Resume::look(path, at, self.url.as_str()),
            (Some(at), Target::Stdout { .. }) => Ok(Resume::on_stdout(at)),
            (None, _) => Ok(None),
        }
    }

    fn request(&self, options: &Fetch, resume: Option<&Resume>) -> Result<Request, Failure> {
        let request = Request::new(self.method.clone(), self.url.as_str())?;
        let mut request = options.following.apply(options.connecting.apply(request));
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
        if let Some(ranges) = &options.range {
            request = request.header("range", &ranges.to_string())?;
        }
        for (name, value) in resume.map(Resume::headers).unwrap_or_default() {
            request = request.header(name.as_str(), &value)?;
        }
        Ok(request)
    }

    /// The request's body, and what fills it.
    fn body(&self, shared: &Shared<'_>) -> Result<(RequestBody, Option<Feeder>), Failure> {
        let Some(source) = &self.upload else { return Ok((shared.data.clone().into(), None)) };
        // What is counted can't be sent again, as a redirect may demand; what need not be, is not then.
        let following = &shared.options.following;
        let counted = shared.write_out.is_some() || shared.progress.is_visible();
        source.open(
            shared.limit_rate().is_some()
                || following.speed_limit().is_some()
                || counted && !following.follows(),
        )
    }

    /// Opens the output. `None` if there is nothing to write: the file is there, complete.
    fn sink(
        &self,
        resume: Option<Resume>,
        response: &Response,
        shared: &Shared<'_>,
    ) -> Result<Option<Sink>, Failure> {
        let status = response.status();
        let error = || {
            let message = format!("the server answered {status}");
            Failure::new(ExitCode::HttpError, message)
        };
        let asked_for_the_end = status == StatusCode::RANGE_NOT_SATISFIABLE && resume.is_some();
        if shared.options.fail && status.as_u16() >= 400 && !asked_for_the_end {
            return Err(error());
        }
        if let Target::File(path) = &self.target
            && shared.options.outputs.create_dirs
        {
            create_dirs(path)?;
        }
        let answer =
            resume.map_or(Ok(Answer::Plain), |resume| resume.answer(status, response.headers()))?;
        match answer {
            Answer::Plain => Sink::open(&self.target, &shared.unfinished).map(Some),
            Answer::Complete(part) => part.map_or(Ok(()), Part::complete).map(|()| None),
            Answer::Rest { part, offset, total } => Ok(Some(Sink::part(part, offset, total))),
            Answer::Anew { part, total, warning } => {
                if let Some(warning) = warning.filter(|_| !shared.options.silent) {
                    shared.progress.aside(|| complain(&format!("warning: {warning}")));
                }
                Ok(Some(Sink::part(part, 0, total)))
            }
        }
    }
}

/// The next piece of a body. Before it waits for one, whoever reads along gets what there is.
fn next_chunk(
    body: &mut ResponseBody,
    sink: &mut Sink,
    waiter: &Waiter<'_>,
) -> Result<Option<Bytes>, Failure> {
    waiter.check()?;
    if let Some(next) = body.try_chunk() {
        return Ok(next?);
    }
    sink.flush()?;
    Ok(waiter.wait(body.chunk())??)
}

fn plan(number: usize, url: &str, options: &Fetch) -> Result<Plan, Failure> {
    let parsed = check_url(url)?;
    // What else can't be fetched is said by the library.
    Request::new(Method::GET, url)?;
    let target = options.outputs.target(number, &parsed)?;
    let upload = options.upload_file.get(number).map(|path| Source::new(path));
    let url = upload.as_ref().map_or(Ok(parsed.clone()), |source| source.place(parsed))?;
    Ok(Plan { url, method: options.method(upload.is_some()), upload, target })
}

/// Tells a URL of another protocol from one that is none.
fn check_url(url: &str) -> Result<Url, Failure> {
    let malformed = |message: String| Err(Failure::new(ExitCode::MalformedUrl, message));
    match Url::parse(url) {
        Ok(parsed) if parsed.scheme() == "https" => Ok(parsed),
        Ok(parsed) if url.contains("://") => Err(Failure::new(
            ExitCode::UnsupportedProtocol,
            format!("{}:// can't be fetched over HTTP/3; only https:// can", parsed.scheme()),
        )),
        Err(error) if url.contains("://") => malformed(format!("{url:?} is not a URL: {error}")),
        _ => malformed(format!("{url:?} is not a URL; did you mean https://{url} ?")),
    }
}

/// How many bytes the body will have, if that is known.
fn body_length(method: &Method, status: StatusCode, headers: &HeaderMap) -> Option<u64> {
    let none = *method == Method::HEAD
        || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if none {
        return Some(0);
    }
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
#[path = "transfer_tests.rs"]
mod tests;
