//! The scripted engines of a program, and what each was asked and said.

use std::collections::BTreeMap;

use http::{HeaderMap, StatusCode};
use http3_session::{
    CloseReason, Http3Event, StreamId,
    scripted::{Call, Script},
};
use transaction::ErrorCode;

use super::script_program::EngineStep;
use crate::{loopback::pattern, simulated::MS};

/// An engine, which may not have been made yet.
pub(super) struct Engine {
    script: Script,
    /// What was asked for on each of its streams.
    fetched: Vec<String>,
    streams: BTreeMap<usize, Fed>,
    closed: bool,
}

/// What a stream was given.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Fed {
    pub(super) bytes: u64,
    /// The end came behind the bytes.
    pub(super) fin: bool,
    /// The end came with a head.
    pub(super) head_fin: bool,
}

impl Engine {
    pub(super) fn new() -> Self {
        let script = Script::default();
        // Events are looked at whenever the engine wants to be called.
        script.callback(Some(MS));
        Self { script, fetched: Vec::new(), streams: BTreeMap::new(), closed: false }
    }

    pub(super) fn script(&self) -> Script {
        self.script.clone()
    }

    /// Notes what was asked since the last look.
    pub(super) fn listen(&mut self) {
        for call in self.script.take_calls() {
            if let Call::Fetch { path, .. } = call {
                self.fetched.push(path);
            }
        }
    }

    /// How often a path was asked for.
    pub(super) fn count(&self, path: &str) -> usize {
        self.fetched.iter().filter(|fetched| *fetched == path).count()
    }

    /// What the last stream of a path was given.
    pub(super) fn fed(&self, path: &str) -> Option<Fed> {
        let stream = self.fetched.iter().rposition(|fetched| fetched == path)?;
        Some(self.streams.get(&stream).copied().unwrap_or_default())
    }

    /// Ends it, whatever it was doing.
    pub(super) fn close(&mut self) {
        self.report(Http3Event::Closed(CloseReason::NoError { by_peer: true }));
        self.closed = true;
    }

    fn report(&self, event: Http3Event) {
        if !self.closed {
            self.script.event(event);
        }
    }

    pub(super) fn does(&mut self, step: &EngineStep) {
        // One of those that there are, or one more.
        let number = |stream: usize| stream % (self.fetched.len() + 1);
        let id = |stream: usize| StreamId::new(4 * number(stream) as u64);
        let event = match step {
            EngineStep::Connected => Http3Event::Connected,
            EngineStep::Answer { stream, bytes } => {
                // The last ones are more likely to be there still.
                let stream = self.fetched.len().saturating_sub(1 + number(*stream));
                self.does(&EngineStep::Head { stream, status: 200, fin: false });
                return self.does(&EngineStep::Data { stream, bytes: *bytes, fin: true });
            }
            EngineStep::AuthenticationNeeded { certificates } => {
                let chain = if *certificates { vec![b"a certificate".to_vec()] } else { vec![] };
                self.script.chain(chain);
                Http3Event::AuthenticationNeeded
            }
            EngineStep::Head { stream, status, fin } => {
                let place = number(*stream);
                let stream = id(*stream);
                self.streams.entry(place).or_default().head_fin |= fin;
                let status = StatusCode::from_u16(*status).expect("a status");
                Http3Event::HeaderReady { stream, status, headers: HeaderMap::new(), fin: *fin }
            }
            EngineStep::Data { stream, bytes, fin } => {
                let (place, stream) = (number(*stream), id(*stream));
                return self.data(place, stream, *bytes, *fin);
            }
            EngineStep::Trailers { stream } => Http3Event::Trailers(id(*stream), HeaderMap::new()),
            EngineStep::Readable { stream } => Http3Event::DataReadable(id(*stream)),
            EngineStep::Writable { stream } => Http3Event::DataWritable(id(*stream)),
            EngineStep::Reset { stream, code } => {
                Http3Event::Reset(id(*stream), ErrorCode::new(*code))
            }
            EngineStep::Stop { stream, code } => {
                Http3Event::StopSending(id(*stream), ErrorCode::new(*code))
            }
            EngineStep::Malformed { stream } => {
                Http3Event::MalformedHead { stream: id(*stream), what: "anything".into() }
            }
            EngineStep::Creatable => Http3Event::RequestsCreatable,
            EngineStep::Goaway => Http3Event::GoawayReceived,
            EngineStep::Closing(reason) => Http3Event::Closing(reason.clone()),
            EngineStep::Closed(reason) => {
                self.report(Http3Event::Closed(reason.clone()));
                self.closed = true;
                return;
            }
            EngineStep::Allow(streams) => return self.script.allow_streams(*streams),
            EngineStep::Credit { stream, bytes } => {
                let bytes = usize::try_from(*bytes).unwrap_or_default();
                return self.script.credit(id(*stream), bytes);
            }
            EngineStep::Datagrams(count) => {
                return (0..*count).for_each(|_| self.script.datagram(b"anything"));
            }
        };
        self.report(event);
    }

    /// The next bytes of the pattern.
    fn data(&mut self, place: usize, stream: StreamId, bytes: u64, fin: bool) {
        let fed = self.streams.entry(place).or_default();
        if self.closed || fed.fin {
            return;
        }
        let end = fed.bytes + bytes;
        while fed.bytes < end {
            let piece = pattern::piece(fed.bytes, end - fed.bytes);
            self.script.data(stream, piece, false);
            fed.bytes += piece.len() as u64;
        }
        fed.fin = fin;
        self.script.data(stream, b"", fin);
    }
}
