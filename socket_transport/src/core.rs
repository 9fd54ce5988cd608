//! What the service owns: everything but the application.

use std::{collections::VecDeque, io, net::SocketAddr, sync::Arc, time::Instant};

use crate::{
    Clock, Limits, Poster, ServiceSnapshot, SocketIo, SocketKey, StreamIo, TcpOptions, UdpOptions,
    Workers,
    attached::Kind,
    datagram_state::Datagrams,
    inbox::{Inbox, Posted, Requests},
    network::{Network, Poller},
    sockets::Sockets,
    stream_state::Stream,
    timers::Timers,
};

/// The service's state, which [`Context`](crate::Context) shows to the application.
pub(crate) struct Core<T, E> {
    pub(crate) poller: Poller,
    pub(crate) clock: Clock,
    pub(crate) workers: Workers,
    pub(crate) limits: Limits,
    pub(crate) sockets: Sockets<T>,
    pub(crate) timers: Timers<T>,
    pub(crate) inbox: Arc<Inbox<T, E>>,
    pub(crate) poster: Poster<T, E>,
    /// The batch of events that runs, or was cut short by its time limit.
    pub(crate) batch: VecDeque<Posted<T, E>>,

    /// Requests that were granted.
    pub(crate) seen: Requests,
    /// The application called `stop`.
    pub(crate) stopping: bool,
    /// The service has ended, or is about to detach its last sockets.
    pub(crate) ended: bool,
    /// When it ends although the application did not call `stop`.
    pub(crate) shutdown_at: Option<Instant>,
}

impl<T: Copy, E> Core<T, E> {
    pub(crate) fn new(network: Network, limits: Limits) -> io::Result<Self> {
        let poller = network.into_poller()?;
        let inbox = Arc::new(Inbox::new(limits.max_submissions, poller.alarm()?));
        Ok(Self {
            clock: poller.clock(),
            workers: poller.workers(),
            poller,
            limits,
            sockets: Sockets::new(),
            timers: Timers::new(),
            poster: Poster::new(Arc::clone(&inbox)),
            inbox,
            batch: VecDeque::new(),
            seen: Requests::default(),
            stopping: false,
            ended: false,
            shutdown_at: None,
        })
    }

    /// Opens and binds a socket, and attaches it. An error leaves everything as it was (S6).
    pub(crate) fn open_udp(
        &mut self,
        target: T,
        local: SocketAddr,
        options: UdpOptions,
    ) -> io::Result<SocketKey> {
        self.may_attach(Some(local))?;
        let token = self.sockets.next_key().index();
        let udp = self.poller.bind_udp(local, options, token)?;
        log::debug!("socket {}: opened", udp.local_addr());
        let datagrams = Datagrams::new(udp, options.report_transport_errors);
        Ok(self.sockets.attach(target, Kind::Datagrams(datagrams)))
    }

    /// Opens a stream, begins to connect it, and attaches it.
    pub(crate) fn open_tcp(
        &mut self,
        target: T,
        peer: SocketAddr,
        options: TcpOptions,
    ) -> io::Result<SocketKey> {
        self.may_attach(Some(peer))?;
        let token = self.sockets.next_key().index();
        let tcp = self.poller.connect_tcp(peer, options, token)?;
        log::debug!("socket {}: connects to {peer}", tcp.local_addr());
        Ok(self.sockets.attach(target, Kind::Stream(Stream::connecting(tcp, peer))))
    }

    /// Opens a socket that listens, and attaches it.
    pub(crate) fn listen_tcp(&mut self, target: T, local: SocketAddr) -> io::Result<SocketKey> {
        self.may_attach(Some(local))?;
        let token = self.sockets.next_key().index();
        let listener = self.poller.listen_tcp(local, token)?;
        log::debug!("socket {}: listens", listener.local_addr());
        Ok(self.sockets.attach(target, Kind::Listener(listener)))
    }

    /// Attaches the next connection of a listening socket.
    pub(crate) fn accept_tcp(
        &mut self,
        listener: SocketKey,
        target: T,
    ) -> io::Result<Option<(SocketKey, SocketAddr)>> {
        if self.sockets.get(listener).is_none() {
            return Ok(None);
        }
        self.may_attach(None)?;
        let Some((tcp, peer)) = self.sockets.accept(listener, &self.limits)? else {
            return Ok(None);
        };
        log::debug!("socket {}: accepted from {peer}", tcp.local_addr());
        let key = self.sockets.attach(target, Kind::Stream(Stream::accepted(tcp, peer)));
        Ok(Some((key, peer)))
    }

    /// Whether there may be one more socket; with an address that has to be local while offline.
    fn may_attach(&self, address: Option<SocketAddr>) -> io::Result<()> {
        let refuse = |kind, reason| Err(io::Error::new(kind, reason));
        if self.ended {
            return refuse(io::ErrorKind::NetworkDown, "the socket thread has ended");
        }
        if self.seen.offline && address.is_some_and(|address| !address.ip().is_loopback()) {
            return refuse(io::ErrorKind::NetworkDown, "offline");
        }
        if !self.can_attach() {
            return refuse(io::ErrorKind::QuotaExceeded, "too many sockets are open");
        }
        Ok(())
    }

    pub(crate) fn can_attach(&self) -> bool {
        self.sockets.len() < self.limits.max_sockets
    }

    pub(crate) fn socket_io(&mut self, key: SocketKey) -> Option<SocketIo<'_>> {
        self.sockets.io(key, &self.poller, &self.clock, &self.limits)
    }

    pub(crate) fn stream_io(&mut self, key: SocketKey) -> Option<StreamIo<'_>> {
        self.sockets.stream_io(key, &self.poller, &self.clock, &self.limits)
    }

    /// The earliest moment at which something happens by itself.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.timers.next_deadline().into_iter().chain(self.shutdown_at).min()
    }

    /// Whether the next turn finds something to do, without anything having been posted.
    pub(crate) fn has_own_work(&self) -> bool {
        self.stopping || !self.batch.is_empty() || self.sockets.have_work()
    }

    pub(crate) fn snapshot(&self) -> ServiceSnapshot {
        let (queued, wakers) = self.inbox.counts();
        let mut snapshot = ServiceSnapshot {
            timers: self.timers.len(),
            armed_timers: self.timers.armed(),
            posted_events: queued + self.batch.len(),
            wakers,
            jobs_in_flight: self.workers.in_flight(),
            ..ServiceSnapshot::default()
        };
        self.sockets.describe(&mut snapshot);
        snapshot
    }
}

impl<T, E> Drop for Core<T, E> {
    fn drop(&mut self) {
        // Without a regular end: posters learn of it, and what waits is dropped outside of the lock.
        drop(self.inbox.close());
    }
}
