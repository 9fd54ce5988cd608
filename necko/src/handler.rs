//! The handler: an application's way to the socket thread. Necko's class is `nsHttpHandler`.

use std::{
    sync::{Mutex, mpsc},
    thread::JoinHandle,
};

use connection_mgr::{ConnectionMgr, Event, Http11ConnectionFactory, Parts, Snapshot, Target};
use http::Method;
use http3_session::SslTokensCache;
use neqo_glue::{NeqoHttp3ConnFactory, TokenKey};
use rustls_glue::RustlsConnFactory;
use socket_transport::{Clock, Limits, Network, Poster, SocketTransportService};
use transaction::{EchConfigList, NetError, TabId, web_transport::PendingSession};

use crate::{
    pending::PendingResponse, request::Request, session_file::SessionFile, settings::Settings,
    submitter::Submitter, web_transport::WebTransportRequest,
};

/// Fetches over HTTP/3. Owns a socket thread, on which everything else happens.
///
/// Any thread may call it, also several at once. Dropping it shuts the socket thread down: each request in
/// flight ends with [`NetError::ShuttingDown`], each connection with a `CONNECTION_CLOSE`.
pub struct HttpHandler {
    submitter: Submitter,
    thread: Mutex<Option<JoinHandle<SslTokensCache>>>,
    session_file: Option<SessionFile>,
    session_file_problem: Mutex<Option<String>>,
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
        let opened = settings.session_file.clone().map(SessionFile::open);
        let (session_file, mut tokens, problem) = opened.map_or_else(
            || (None, SslTokensCache::default(), None),
            |(file, tokens, problem)| (Some(file), tokens, problem),
        );
        if session_file.is_some() {
            understand(&mut tokens)?;
        }
        let (sender, started) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("Socket Thread".into())
            .spawn(move || socket_thread(settings, verifier, tokens, &sender))
            .map_err(|error| socket_error("starting the socket thread", &error))?;
        let poster = started
            .recv()
            .unwrap_or(Err(NetError::Internal("the socket thread ended before it began")))?;
        let (submitter, thread) = (Submitter::new(poster, routes), Mutex::new(Some(thread)));
        let session_file_problem = Mutex::default();
        let handler = Self { submitter, thread, session_file, session_file_problem };
        handler.note_problem(problem);
        Ok(handler)
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

    /// Asks for a WebTransport session at `url`, on a connection of its own.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    pub fn web_transport(&self, url: &str) -> Result<PendingSession, NetError> {
        self.connect_web_transport(WebTransportRequest::new(url)?)
    }

    /// Asks for a WebTransport session. What goes wrong later is told by the session that is awaited.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    pub fn connect_web_transport(
        &self,
        request: WebTransportRequest,
    ) -> Result<PendingSession, NetError> {
        self.submitter.web_transport(request, Clock::system().now())
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

    /// Gives a host another ECH configuration, or takes it away. Connections to it that are in use go on; those
    /// that are unused, or not made yet, close, and what waits connects with the new one.
    ///
    /// # Errors
    /// The handler is shut down, or overloaded.
    pub fn set_ech_config(
        &self,
        host: &str,
        config: Option<EchConfigList>,
    ) -> Result<(), NetError> {
        self.submit(Event::EchConfig { host: host.to_owned(), config })
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
        match thread.map(JoinHandle::join) {
            Some(Ok(tokens)) => {
                let file = self.session_file.as_ref();
                self.note_problem(file.and_then(|file| file.write(&tokens).err()));
            }
            Some(Err(_)) => log::error!(target: "necko", "the socket thread panicked"),
            None => {}
        }
    }

    fn note_problem(&self, problem: Option<String>) {
        if let (Some(problem), Ok(mut noted)) = (problem, self.session_file_problem.lock()) {
            log::warn!(target: "necko", "{problem}");
            *noted = Some(problem);
        }
    }

    /// What was wrong with [`Settings::session_file`], in words, once: after the handler was made, or after
    /// [`shutdown`](Self::shutdown). Nothing else fails of it.
    pub fn take_session_file_problem(&self) -> Option<String> {
        self.session_file_problem.lock().ok()?.take()
    }
}

impl Drop for HttpHandler {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// Tokens are of use in the process of their key; the first file that a process opens decides which that is.
fn understand(tokens: &mut SslTokensCache) -> Result<(), NetError> {
    let wanted = TokenKey::from_bytes(tokens.engine_key());
    let key = neqo_glue::token_key(wanted)?;
    if wanted != Some(key) {
        tokens.clear();
    }
    tokens.set_engine_key(key.as_bytes().to_vec());
    Ok(())
}

type Started = Result<Poster<Target, Event>, NetError>;

fn socket_thread(
    settings: Settings,
    verifier: std::sync::Arc<dyn http3_session::CertificateVerifier>,
    tokens: SslTokensCache,
    started: &mpsc::SyncSender<Started>,
) -> SslTokensCache {
    let Settings { max_submissions, max_sockets, .. } = settings;
    let limits = Limits { max_submissions, max_sockets, ..Limits::default() };
    let mut service = match SocketTransportService::new(Network::operating_system(), limits) {
        Ok(service) => service,
        Err(error) => {
            let _ = started.send(Err(socket_error("making the socket thread's poll", &error)));
            return tokens;
        }
    };
    let others = match RustlsConnFactory::new(verifier.policy()) {
        Ok(tls) => Http11ConnectionFactory::new(Box::new(tls)),
        Err(error) => {
            let _ = started.send(Err(error));
            return tokens;
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
    for (host, config) in settings.ech_configs {
        mgr.set_ech_config(&host, config);
    }
    mgr.set_tokens(tokens);
    if started.send(Ok(service.poster())).is_ok()
        && let Err(error) = service.run(&mut mgr)
    {
        log::error!(target: "necko", "the socket thread failed: {error}");
    }
    mgr.take_tokens()
}

fn socket_error(operation: &'static str, error: &std::io::Error) -> NetError {
    NetError::Socket { operation, kind: error.kind() }
}
