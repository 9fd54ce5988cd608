//! A service and its application, as a node of a simulation.

use std::{fmt, io, time::Instant};

use super::Node;
use crate::{Context, Limits, Network, Poster, SocketHandler, SocketTransportService, Turn, Wait};

/// A [`SocketTransportService`] together with the application that it calls.
///
/// Between two runs of a [`Simulation`](super::Simulation) a test looks into the application, changes
/// it, and calls it with a context; or posts to it, as another thread would.
pub struct Stack<H: SocketHandler> {
    service: SocketTransportService<H::Target, H::Event>,
    app: H,
    stopped: bool,
}

impl<H: SocketHandler> Stack<H> {
    /// A new service on a machine of a simulated network.
    pub fn new(network: Network, limits: Limits, app: H) -> io::Result<Self> {
        Ok(Self::of(SocketTransportService::new(network, limits)?, app))
    }

    /// For an application that needs something of the service from the start, such as its poster.
    pub fn of(service: SocketTransportService<H::Target, H::Event>, app: H) -> Self {
        Self { service, app, stopped: false }
    }

    /// The application.
    pub fn app(&self) -> &H {
        &self.app
    }

    /// The application.
    pub fn app_mut(&mut self) -> &mut H {
        &mut self.app
    }

    /// The service.
    pub fn service(&self) -> &SocketTransportService<H::Target, H::Event> {
        &self.service
    }

    /// The service.
    pub fn service_mut(&mut self) -> &mut SocketTransportService<H::Target, H::Event> {
        &mut self.service
    }

    /// Calls the application from outside, as if it were handling an event.
    pub fn call<R>(
        &mut self,
        call: impl FnOnce(&mut H, &mut Context<'_, H::Target, H::Event>) -> R,
    ) -> R {
        let Self { service, app, .. } = self;
        service.with_context(|ctx| call(app, ctx))
    }

    /// Posts to the application.
    pub fn poster(&self) -> Poster<H::Target, H::Event> {
        self.service.poster()
    }

    /// Whether the service has ended. It has no turns and no deadlines then.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Takes the two apart again.
    pub fn into_parts(self) -> (SocketTransportService<H::Target, H::Event>, H) {
        (self.service, self.app)
    }
}

impl<H: SocketHandler> Node for Stack<H> {
    fn turn(&mut self) -> io::Result<bool> {
        if self.stopped {
            return Ok(false);
        }
        let turn = self.service.turn(&mut self.app, Wait::Poll)?;
        self.stopped = turn == Turn::Stopped;
        Ok(turn != Turn::Idle)
    }

    fn next_deadline(&self) -> Option<Instant> {
        if self.stopped {
            None
        } else if self.service.has_work() {
            // Posted since the last turn, by whoever looked meanwhile: time must not jump over it.
            Some(self.service.clock().now())
        } else {
            self.service.next_deadline()
        }
    }
}

impl<H: SocketHandler + fmt::Debug> fmt::Debug for Stack<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack")
            .field("app", &self.app)
            .field("stopped", &self.stopped)
            .finish_non_exhaustive()
    }
}
