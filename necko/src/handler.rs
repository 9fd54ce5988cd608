//! The handler: an application's way to the socket thread. Necko's class is `nsHttpHandler`.

use std::{
    sync::{Mutex, mpsc},
    thread::JoinHandle,
};

use connection_mgr::{ConnectionMgr, Event, Http11ConnectionFactory, Parts, Snapshot, Target};
use http::Method;
use neqo_glue::NeqoHttp3ConnFactory;
use rustls_glue::RustlsConnFactory;
use socket_transport::{Clock, Limits, Network, Poster, SocketTransportService};
use transaction::{NetError, TabId};

use crate::{pending::PendingResponse, request::Request, settings::Settings, submitter::Submitter};

/// Fetches over HTTP/3. Owns a socket thread, on which everything else happens.
///
/// Any thread may call it, also several at once. Dropping it shuts the socket thread down: each request in
/// flight ends with [`NetError::ShuttingDown`], each connection with a `CONNECTION_CLOSE`.
pub struct HttpHandler {
    submitter: Submitter,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl HttpHandler {
    /// Starts a socket thread.
    ///
    /// # Errors
    /// The root certificates can't be read, the engine can't be initialised, or the system refuses a
    /// thread or its poll.
    pub fn new(settings: Settings) -> Result<Self, NetError> {
        let verifier = settings.verifier()?;
        let routes = settings.routes.clone();
        let (sender, started) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("Socket Thread".into())
            .spawn(move || socket_thread(settings, verifier, &sender))
            .map_err(|error| socket_error("starting the socket thread", &error))?;
        let poster = started
            .recv()
            .unwrap_or(Err(NetError::Internal("the socket thread ended before it began")))?;
        Ok(Self { submitter: Submitter::new(poster, routes), thread: Mutex::new(Some(thread)) })
    }

    /// Fetches `url` with `GET`.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    pub fn get(&self, url: &str) -> Result<PendingResponse, NetError> {
        self.fetch(Request::new(Method::GET, url)?)
    }

    /// Sends a request. What goes wrong later is told by the response.
    ///
    /// # Errors
    /// The request can't be sent as it is, too many wait already, or the handler is shut down.
    pub fn fetch(&self, request: Request) -> Result<PendingResponse, NetError> {
        PendingResponse::send(&self.submitter, request, Clock::system().now())
    }

    /// What is alive on the socket thread, all of it at one moment. Blocks until it answers.
    ///
    /// # Errors
    /// The handler is shut down, or overloaded.
    pub fn snapshot(&self) -> Result<Snapshot, NetError> {
        let (sender, snapshot) = mpsc::sync_channel(1);
        let answer = Box::new(move |snapshot| {
            // Nobody listens any more: nothing to tell.
            let _ = sender.send(snapshot);
        });
        self.submit(Event::Snapshot(answer))?;
        snapshot.recv().map_err(|_| NetError::ShuttingDown)
    }

    /// Uses no present connection for further requests. Each closes in good order when what runs on it is
    /// done, so idle ones close now.
    ///
    /// # Errors
    /// The handler is shut down, or overloaded.
    pub fn close_persistent_connections(&self) -> Result<(), NetError> {
        self.submit(Event::ClosePersistentConnections)
    }

    /// Makes a connection for `request` ahead of time, if none is there: its name is looked up and its
    /// handshake done when it is sent. Nothing of the request is sent now. Nothing tells whether it worked.
    ///
    /// # Errors
    /// The handler is shut down, or overloaded.
    pub fn speculative_connect(&self, request: &Request) -> Result<(), NetError> {
        self.submitter.connect(request)
    }

    /// Says which tab the user looks at: what waits for it goes first.
    ///
    /// # Errors
    /// The handler is shut down, or overloaded.
    pub fn set_current_tab(&self, tab: TabId) -> Result<(), NetError> {
        self.submit(Event::CurrentTab(tab))
    }

    /// The machine is on another network: what runs goes on if it can, what comes connects anew.
    ///
    /// # Errors
    /// The handler is shut down, or overloaded.
    pub fn network_changed(&self) -> Result<(), NetError> {
        self.submit(Event::NetworkChanged)
    }

    /// Goes offline or online. Offline every request fails, those in flight at once, except for those to
    /// this machine itself.
    pub fn set_offline(&self, offline: bool) {
        self.submitter.poster.set_offline(offline);
    }

    /// Ends every request with [`NetError::Aborted`] and closes every connection; then goes on.
    ///
    /// # Errors
    /// The handler is shut down, or overloaded.
    pub fn abort_all_connections(&self) -> Result<(), NetError> {
        self.submit(Event::AbortAllConnections)
    }

    fn submit(&self, event: Event) -> Result<(), NetError> {
        self.submitter.submit(event)
    }

    /// Ends everything and waits for the socket thread. Requests in flight end with
    /// [`NetError::ShuttingDown`]. Calling it again does nothing.
    pub fn shutdown(&self) {
        self.submitter.poster.request_shutdown();
        let thread = self.thread.lock().ok().and_then(|mut thread| thread.take());
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            log::error!(target: "necko", "the socket thread panicked");
        }
    }
}

impl Drop for HttpHandler {
    fn drop(&mut self) {
        self.shutdown();
    }
}

type Started = Result<Poster<Target, Event>, NetError>;

fn socket_thread(
    settings: Settings,
    verifier: std::sync::Arc<dyn http3_session::CertificateVerifier>,
    started: &mpsc::SyncSender<Started>,
) {
    let Settings { max_submissions, max_sockets, .. } = settings;
    let limits = Limits { max_submissions, max_sockets, ..Limits::default() };
    let mut service = match SocketTransportService::new(Network::operating_system(), limits) {
        Ok(service) => service,
        Err(error) => {
            let _ = started.send(Err(socket_error("making the socket thread's poll", &error)));
            return;
        }
    };
    let others = match RustlsConnFactory::new(verifier.policy()) {
        Ok(tls) => Http11ConnectionFactory::new(Box::new(tls)),
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    let mut mgr = ConnectionMgr::new(Parts {
        engines: Box::new(NeqoHttp3ConnFactory),
        verifier,
        resolver: settings.resolver,
        settings: settings.http3,
        limits: settings.connections,
        others: Some(Box::new(others)),
    });
    if started.send(Ok(service.poster())).is_ok()
        && let Err(error) = service.run(&mut mgr)
    {
        log::error!(target: "necko", "the socket thread failed: {error}");
    }
}

fn socket_error(operation: &'static str, error: &std::io::Error) -> NetError {
    NetError::Socket { operation, kind: error.kind() }
}
