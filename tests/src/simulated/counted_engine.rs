//! Engines that are counted while they live: a witness that shares no code with any snapshot.

use std::{cell::Cell, rc::Rc, time::Instant};

use http3_session::{
    CertificateVerdict, ConnStats, ConnectParameters, DatagramRefused, EngineOutput, FetchError,
    Http3Conn, Http3ConnFactory, Http3Event, ResumptionToken, StreamGone, StreamId,
    WebTransportConn, WebTransportEngine,
};
use socket_transport::{ReceivedDatagrams, SendBatch};
use transaction::web_transport::{StreamKind, StreamStats};
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

impl WebTransportConn for CountedEngine {
    fn create_session(&mut self, head: &RequestHead, now: Instant) -> Result<StreamId, FetchError> {
        self.inner.create_session(head, now)
    }

    fn close_session(&mut self, session: StreamId, code: u32, reason: &str) {
        self.inner.close_session(session, code, reason);
    }

    fn create_stream(
        &mut self,
        session: StreamId,
        kind: StreamKind,
    ) -> Result<StreamId, FetchError> {
        self.inner.create_stream(session, kind)
    }
}

impl WebTransportEngine for CountedEngine {
    fn reset_stream(&mut self, stream: StreamId, code: ErrorCode) {
        self.inner.reset_stream(stream, code);
    }

    fn stop_sending(&mut self, stream: StreamId, code: ErrorCode) {
        self.inner.stop_sending(stream, code);
    }

    fn set_send_order(&mut self, stream: StreamId, order: Option<i64>) {
        self.inner.set_send_order(stream, order);
    }

    fn stream_stats(&mut self, stream: StreamId) -> StreamStats {
        self.inner.stream_stats(stream)
    }

    fn max_datagram_size(&self, session: StreamId) -> usize {
        self.inner.max_datagram_size(session)
    }

    fn datagram_room(&self) -> usize {
        self.inner.datagram_room()
    }

    fn send_datagram(&mut self, session: StreamId, datagram: &[u8]) -> Result<(), DatagramRefused> {
        self.inner.send_datagram(session, datagram)
    }
}
