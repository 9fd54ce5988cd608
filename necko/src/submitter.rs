//! What sends requests to the socket thread: the handler's part that responses share, to follow redirects.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use connection_mgr::{Event, Target};
use socket_transport::{Poster, Refused};
use transaction::{
    HttpTransaction, NetError, PendingResponse, RequestBody, TimeLimits, TransactionId,
    web_transport::PendingSession,
};

use crate::{
    request::Request,
    routes::Routes,
    web_transport::{Parts, WebTransportRequest},
};

/// Any thread; clones are the same one.
#[derive(Clone)]
pub(crate) struct Submitter {
    pub(crate) poster: Poster<Target, Event>,
    next_id: Arc<AtomicU64>,
    routes: Arc<Routes>,
}

impl Submitter {
    pub(crate) fn new(poster: Poster<Target, Event>, routes: Routes) -> Self {
        Self { poster, next_id: Arc::new(AtomicU64::new(1)), routes: Arc::new(routes) }
    }

    /// Sends a request. All of it must be done by `deadline`.
    ///
    /// # Errors
    /// The request can't be sent as it is, too many wait already, or the handler is shut down.
    pub(crate) fn send(
        &self,
        request: Request,
        deadline: Option<Instant>,
    ) -> Result<PendingResponse, NetError> {
        let class = request.class_of_service();
        let limits = TimeLimits { deadline, ..request.time_limits() };
        let (mut info, head, body) = request.into_parts()?;
        self.routes.apply(&mut info);
        let id = TransactionId(self.next_id.fetch_add(1, Ordering::Relaxed));
        let (mut transaction, response) = HttpTransaction::new(id, info, head, body);
        transaction.set_class_of_service(class);
        transaction.set_time_limits(limits);
        self.submit(Event::NewTransaction(transaction))?;
        Ok(response)
    }

    /// Asks for a WebTransport session.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub(crate) fn web_transport(
        &self,
        request: WebTransportRequest,
        now: Instant,
    ) -> Result<PendingSession, NetError> {
        let number = self.next_id.fetch_add(1, Ordering::Relaxed);
        let Parts { mut info, head, limits, deadline, class, verifier } =
            request.into_parts(number, now)?;
        self.routes.apply(&mut info);
        let (mut transaction, response) =
            HttpTransaction::new(TransactionId(number), info, head, RequestBody::Empty);
        transaction.set_class_of_service(class);
        transaction.set_time_limits(TimeLimits { deadline, ..limits });
        if let Some(verifier) = verifier {
            transaction.set_verifier(verifier);
        }
        let session = PendingSession::new(&mut transaction, response);
        self.submit(Event::NewTransaction(transaction))?;
        Ok(session)
    }

    /// Makes a connection for `request` ahead of time.
    pub(crate) fn connect(&self, request: &Request) -> Result<(), NetError> {
        let mut info = request.connection_info();
        self.routes.apply(&mut info);
        self.submit(Event::SpeculativeConnect(info))
    }

    pub(crate) fn submit(&self, event: Event) -> Result<(), NetError> {
        self.poster.submit(event).map_err(|refused| match refused {
            Refused::Full(_) => NetError::TooManyRequests,
            Refused::ShutDown(_) => NetError::ShuttingDown,
        })
    }
}
