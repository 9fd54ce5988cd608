//! `necko webtransport`.
//!
//! ```text
//!   stdin ──► a thread that reads ──► stream or datagrams ──► server
//!   stdout ◄── this thread, which waits for the server, a signal, and the end of stdin ◄──┘
//! ```
//!
//! The thread that reads may be left in its read: standard input can stay open after the session is over, and the
//! process ends all the same.

mod bench;
mod lines;
mod options;

use std::{
    io::{self, IsTerminal as _},
    sync::Arc,
};

use necko::{HttpHandler, NetError, SessionStats, WebTransportRequest, WebTransportSession};

use super::{
    exit_code::ExitCode,
    handler::{self, Choices},
    headers::HeaderOption,
    report::{Failure, complain, write_failure},
    signals,
    temporary::Unfinished,
    verbose,
    wait::{Stop, Waiter},
};

pub(crate) use options::WebTransport;

/// `necko webtransport`.
pub(crate) fn talk(options: &WebTransport) -> ExitCode {
    verbose::start(options.verbose);
    match run(options) {
        Ok(()) => ExitCode::Success,
        Err(failure) => {
            complain(&failure);
            failure.code
        }
    }
}

fn run(options: &WebTransport) -> Result<(), Failure> {
    let request = request(options)?;
    let handler = handler::start(&Choices {
        cacert: options.cacert.as_deref(),
        insecure: options.insecure,
        connecting: &options.connecting,
        qlog_dir: options.qlog_dir.as_deref(),
    })?;
    let stop = Arc::<Stop>::default();
    signals::watch(Arc::clone(&stop), Arc::<Unfinished>::default(), None).map_err(|error| {
        Failure::new(ExitCode::FailedInit, format!("signals can't be watched: {error}"))
    })?;
    let mut waiter = Waiter::new(&stop);
    let result = connected(options, &handler, request, &mut waiter);
    handler.shutdown();
    verbose::finish();
    result
}

fn request(options: &WebTransport) -> Result<WebTransportRequest, Failure> {
    if options.connecting.version() != necko::Alpn::Http3 {
        let what = "WebTransport goes over HTTP/3: leave --http1.1 out";
        return Err(Failure::new(ExitCode::FailedInit, what));
    }
    let request = WebTransportRequest::new(&options.url)?;
    let mut request = request.address_family(options.connecting.address_family());
    for header in &options.headers {
        let HeaderOption::Add(name, value) = header else {
            let what = format!("-H '{}:': no field is there that could be left out", header.name());
            return Err(Failure::new(ExitCode::FailedInit, what));
        };
        request = request.header(name.as_str(), value)?;
    }
    if let Some(hashes) = &options.cert_hash {
        request = request.certificate_hashes(hashes.clone());
    }
    Ok(request)
}

fn connected(
    options: &WebTransport,
    handler: &HttpHandler,
    request: WebTransportRequest,
    waiter: &mut Waiter<'_>,
) -> Result<(), Failure> {
    let (session, head) = waiter.wait(handler.connect_web_transport(request)?)??;
    if options.verbose > 0 {
        eprintln!(
            "* the session is there ({}), datagrams of up to {} bytes",
            head.status,
            session.max_datagram_size()
        );
    }
    if io::stderr().is_terminal() && !options.silent && options.verbose == 0 {
        eprintln!("connected to {}", options.url);
    }
    let result = if options.bench {
        bench::run(options, &session, waiter)
    } else if options.datagrams {
        lines::datagrams(&session, waiter, options.linger)
    } else if options.uni {
        lines::one_way(&session, waiter, options.linger)
    } else {
        lines::both_ways(&session, waiter)
    };
    let ended = session.try_closed();
    tell_of_datagrams(options, session.stats());
    session.close(0, "");
    judge(options, result, ended)
}

/// How many there were, for who asked; and for whoever waits for lines, how many this side lost of those that came.
fn tell_of_datagrams(options: &WebTransport, stats: SessionStats) {
    let SessionStats { datagrams_sent: sent, datagrams_not_sent: not_sent, .. } = stats;
    let SessionStats { datagrams_received: received, datagrams_displaced: displaced, .. } = stats;
    if options.verbose > 0 {
        eprintln!(
            "* datagrams: {sent} sent, {not_sent} not sent, {received} received, {displaced} of them displaced"
        );
    }
    if options.datagrams && displaced > 0 && !options.silent {
        complain(&format!(
            "warning: {displaced} of the {received} datagrams that came were dropped: they came faster than standard \
             output took them"
        ));
    }
}

/// What a close by the server makes of it: with code 0 it is a good end to whatever waited for more, and with
/// another one it is none.
fn judge(
    options: &WebTransport,
    result: Result<(), Failure>,
    ended: Option<Result<necko::CloseInfo, NetError>>,
) -> Result<(), Failure> {
    let closed = match ended {
        Some(Ok(info)) if info.by_peer => info,
        _ => return result,
    };
    if options.verbose > 0 {
        eprintln!("* the server closed the session with code {}: {:?}", closed.code, closed.reason);
    }
    let code = closed.code;
    let because_of_it = Failure::from(closed.into_error());
    match result {
        Err(failure) if failure == because_of_it && code == 0 && !options.bench => Ok(()),
        Ok(()) if code != 0 => Err(because_of_it),
        result => result,
    }
}

/// A reader of standard output that is gone has seen enough.
fn written(result: io::Result<()>) -> Result<bool, Failure> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(write_failure("writing to standard output failed", &error)),
    }
}

/// Reads standard input on a thread of its own, which `read` does.
fn on_a_thread(read: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let spawned = std::thread::Builder::new().name("Standard input".into()).spawn(read);
    spawned.map(|_| ()).map_err(|error| {
        Failure::new(ExitCode::FailedInit, format!("a thread was not to be had: {error}"))
    })
}

/// What both directions of a stream were opened with.
fn open_bi(
    session: &WebTransportSession,
    waiter: &Waiter<'_>,
) -> Result<(necko::SendStream, necko::RecvStream), Failure> {
    Ok(waiter.wait(session.open_bi()?)??)
}
