//! The parts of a turn; the [service's page](crate::service) has the picture.

use std::{io, time::Duration};

use crate::{
    Context, Detached, SocketHandler, SocketTransportService, Wait,
    inbox::Posted,
    walk::{Step, step},
};

/// The parts of a turn.
impl<T: Copy, E> SocketTransportService<T, E> {
    pub(crate) fn detach_condemned<H>(&mut self, app: &mut H) -> bool
    where
        H: SocketHandler<Target = T, Event = E>,
    {
        // Those that exist now: the application may condemn others meanwhile.
        let condemned = self.core.sockets.condemned();
        for _ in 0..condemned {
            if let Some((target, reason)) = self.core.sockets.detach_next(&self.core.poller) {
                step(Step::OnSocketDetached);
                app.on_socket_detached(&mut Context::new(&mut self.core), target, reason);
            }
        }
        condemned > 0
    }

    pub(crate) fn poll(&mut self, wait: Wait) -> io::Result<()> {
        let timeout = self.poll_timeout(wait);
        self.edges.clear();
        self.core.poller.poll(timeout, &mut self.edges)?;
        self.core.sockets.line_up(&mut self.edges, &mut self.serving);
        Ok(())
    }

    /// How long the poll may block; None is for ever.
    fn poll_timeout(&self, wait: Wait) -> Option<Duration> {
        let core = &self.core;
        if wait == Wait::Poll || core.has_own_work() || !core.inbox.fall_asleep(core.seen) {
            return Some(Duration::ZERO);
        }
        let deadline = core.next_deadline()?;
        Some(deadline.saturating_duration_since(core.clock.now()))
    }

    pub(crate) fn serve_sockets<H>(&mut self, app: &mut H) -> bool
    where
        H: SocketHandler<Target = T, Event = E>,
    {
        let mut worked = false;
        for (key, ready) in self.serving.drain(..) {
            // Another handler may have closed it meanwhile.
            if let Some((target, ready)) = self.core.sockets.prepare(key, ready, &self.core.poller)
            {
                step(Step::OnSocketReady);
                app.on_socket_ready(&mut Context::new(&mut self.core), target, ready);
            }
            worked = true;
        }
        worked
    }

    pub(crate) fn run_batch<H>(&mut self, app: &mut H) -> bool
    where
        H: SocketHandler<Target = T, Event = E>,
    {
        let core = &mut self.core;
        let now = core.clock.now();
        core.timers.take_due(now, &mut self.due);
        let requests = core.inbox.take_batch(&mut self.due, &mut core.batch);
        let end = now + core.limits.time_for_events;
        let mut worked = false;
        while let Some(posted) = self.core.batch.pop_front() {
            self.deliver(app, posted);
            worked = true;
            if self.core.clock.now() >= end {
                break;
            }
        }
        // Whatever was posted before a request is served before it.
        if self.core.batch.is_empty() {
            worked |= self.grant_shutdown(app, requests.shutdown);
            worked |= self.grant_offline(requests.offline);
        }
        worked
    }

    fn deliver<H>(&mut self, app: &mut H, posted: Posted<T, E>)
    where
        H: SocketHandler<Target = T, Event = E>,
    {
        match posted {
            Posted::Event(event) => app.on_event(&mut Context::new(&mut self.core), event),
            Posted::WakeUp(wakeup) => {
                let target = wakeup.deliver();
                app.on_wakeup(&mut Context::new(&mut self.core), target);
            }
            Posted::Timer(timer) => {
                if let Some(target) = self.core.timers.expire(timer) {
                    app.on_timer(&mut Context::new(&mut self.core), target);
                }
            }
        }
    }

    fn grant_shutdown<H>(&mut self, app: &mut H, requested: bool) -> bool
    where
        H: SocketHandler<Target = T, Event = E>,
    {
        let now = self.core.clock.now();
        if self.core.shutdown_at.is_some_and(|deadline| deadline <= now) {
            log::warn!("shutdown took too long; the service ends");
            self.core.stopping = true;
            return true;
        }
        if !requested || self.core.seen.shutdown {
            return false;
        }
        self.core.seen.shutdown = true;
        self.core.shutdown_at = Some(now + self.core.limits.shutdown_deadline);
        app.on_shutdown(&mut Context::new(&mut self.core));
        true
    }

    /// Going offline condemns all sockets that are not local (S10).
    fn grant_offline(&mut self, offline: bool) -> bool {
        let changed = self.core.seen.offline != offline;
        self.core.seen.offline = offline;
        if changed && offline {
            self.core.sockets.condemn_all(Detached::Offline);
        }
        changed
    }

    /// The end (S11): nothing is accepted, every socket detached, everything that waits dropped.
    pub(crate) fn finish<H>(&mut self, app: &mut H)
    where
        H: SocketHandler<Target = T, Event = E>,
    {
        self.core.ended = true;
        let posted = self.core.inbox.close();
        self.core.sockets.condemn_all(Detached::Shutdown);
        while self.core.sockets.condemned() > 0 {
            self.detach_condemned(app);
        }
        drop(posted);
        self.core.batch.clear();
        self.core.timers.clear();
        self.core.workers.stop();
    }
}
