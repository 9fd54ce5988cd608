//! Engines that are counted while they live: a witness that shares no code with any snapshot.

use std::{cell::Cell, rc::Rc, time::Instant};

use http3_session::{
    CertificateVerdict, ConnStats, ConnectParameters, EngineOutput, FetchError, Http3Conn,
    Http3ConnFactory, Http3Event, ResumptionToken, StreamGone, StreamId,
};
use socket_transport::{ReceivedDatagrams, SendBatch};
use transaction::{ErrorCode, NetError, Priority, RequestHead};

/// Makes engines of another factory, and counts those alive.
pub(super) struct CountedFactory {
    inner: Box<dyn Http3ConnFactory>,
    alive: Rc<Cell<usize>>,
}

impl CountedFactory {
    pub(super) fn new(inner: Box<dyn Http3ConnFactory>, alive: &Rc<Cell<usize>>) -> Self {
        Self { inner, alive: Rc::clone(alive) }
    }
}

impl Http3ConnFactory for CountedFactory {
    fn connect(
        &self,
        parameters: &ConnectParameters,
        now: Instant,
    ) -> Result<Box<dyn Http3Conn>, NetError> {
        let inner = self.inner.connect(parameters, now)?;
        self.alive.set(self.alive.get() + 1);
        Ok(Box::new(CountedEngine { inner, alive: Rc::clone(&self.alive) }))
    }
}

struct CountedEngine {
    inner: Box<dyn Http3Conn>,
    alive: Rc<Cell<usize>>,
}

impl Drop for CountedEngine {
    fn drop(&mut self) {
        self.alive.set(self.alive.get() - 1);
    }
}

impl Http3Conn for CountedEngine {
    fn process_input(&mut self, received: &mut ReceivedDatagrams<'_>, now: Instant) {
        self.inner.process_input(received, now);
    }

    fn process_output(&mut self, batch: &mut SendBatch, now: Instant) -> EngineOutput {
        self.inner.process_output(batch, now)
    }

    fn next_event(&mut self) -> Option<Http3Event> {
        self.inner.next_event()
    }

    fn fetch(&mut self, head: &RequestHead, now: Instant) -> Result<StreamId, FetchError> {
        self.inner.fetch(head, now)
    }

    fn send_data(&mut self, stream: StreamId, data: &[u8]) -> Result<usize, StreamGone> {
        self.inner.send_data(stream, data)
    }

    fn close_send(&mut self, stream: StreamId) -> Result<(), StreamGone> {
        self.inner.close_send(stream)
    }

    fn read_data(
        &mut self,
        stream: StreamId,
        buffer: &mut [u8],
        now: Instant,
    ) -> Result<(usize, bool), StreamGone> {
        self.inner.read_data(stream, buffer, now)
    }

    fn widen_window(&mut self, stream: StreamId) {
        self.inner.widen_window(stream);
    }

    fn cancel_fetch(&mut self, stream: StreamId, code: ErrorCode) {
        self.inner.cancel_fetch(stream, code);
    }

    fn priority_update(&mut self, stream: StreamId, priority: Priority) {
        self.inner.priority_update(stream, priority);
    }

    fn keep_alive(&mut self, stream: StreamId, priority: Priority) {
        self.inner.keep_alive(stream, priority);
    }

    fn is_zero_rtt(&self) -> bool {
        self.inner.is_zero_rtt()
    }

    fn take_resumption_token(&mut self, now: Instant) -> Option<ResumptionToken> {
        self.inner.take_resumption_token(now)
    }

    fn peer_certificates(&self) -> Vec<Vec<u8>> {
        self.inner.peer_certificates()
    }

    fn authenticated(&mut self, verdict: CertificateVerdict, now: Instant) {
        self.inner.authenticated(verdict, now);
    }

    fn close(&mut self, code: ErrorCode, reason: &str, now: Instant) {
        self.inner.close(code, reason, now);
    }

    fn packets_accepted(&self) -> u64 {
        self.inner.packets_accepted()
    }

    fn stats(&self) -> ConnStats {
        self.inner.stats()
    }
}
