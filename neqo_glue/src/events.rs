//! neqo's events in the session's terms.

use http::Version;
use http3_session::{Http3Event, ResumptionToken, StreamId, WebTransportEvent};
use neqo_http3::{Http3ClientEvent, Http3State, features::extended_connect::SessionCloseReason};
use transaction::{ErrorCode, ResponseHead, web_transport::CloseInfo};

use crate::{close_reason, headers};

/// How far the connection is, by the events that the session was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// No event about the connection yet.
    Handshake,
    /// [`Http3Event::AuthenticationNeeded`], or the same about a public name, waits for its answer.
    Authentication,
    /// After [`Http3Event::Connected`].
    Connected,
    /// After [`Http3Event::Closing`].
    Closing,
    /// After [`Http3Event::Closed`].
    Closed,
}

/// The code with which neqo closes for errors that are no fault of the peer's. It is none of HTTP/3's, and
/// we never close with it.
const NEQOS_OWN_FAULT: u64 = 3;

/// Translates events and follows what they say about the connection.
#[derive(Debug)]
pub(crate) struct Events {
    phase: Phase,
    /// The reason phrase of our own close, which neqo doesn't keep.
    our_words: String,
    /// What the last of neqo's events means beside what was told of it.
    second: Option<Http3Event>,
}

impl Events {
    pub(crate) fn new() -> Self {
        Self { phase: Phase::Handshake, our_words: String::new(), second: None }
    }

    /// What the last event means as well.
    pub(crate) fn take_second(&mut self) -> Option<Http3Event> {
        self.second.take()
    }

    /// Whether the session was asked about the certificate and hasn't answered yet.
    pub(crate) fn take_authentication(&mut self) -> bool {
        let pending = self.phase == Phase::Authentication;
        if pending {
            self.phase = Phase::Handshake;
        }
        pending
    }

    /// Notes the reason phrase of our own close.
    pub(crate) fn closing_with(&mut self, words: &str) {
        words.clone_into(&mut self.our_words);
    }

    /// The session's event for one of neqo's; None for those that don't concern it.
    ///
    /// neqo drops the events of streams when it begins to close. What its transport had still in store
    /// then (room for streams, a certificate to look at) is dropped here.
    pub(crate) fn translate(&mut self, event: Http3ClientEvent) -> Option<Http3Event> {
        if self.phase >= Phase::Closing && !matches!(event, Http3ClientEvent::StateChange(_)) {
            return None;
        }
        match event {
            Http3ClientEvent::HeaderReady { stream_id, headers, fin, .. } => {
                Some(head(stream(stream_id), &headers, fin))
            }
            Http3ClientEvent::DataWritable { stream_id } => {
                Some(Http3Event::DataWritable(stream(stream_id)))
            }
            Http3ClientEvent::DataReadable { stream_id } => {
                Some(Http3Event::DataReadable(stream(stream_id)))
            }
            // neqo found the fault itself: not the peer's decision but a broken response. It looks no
            // further than the head (RFC 9114 §4.1.2), and asked the peer to stop already.
            Http3ClientEvent::Reset { stream_id, error, local: true } => {
                let code = ErrorCode::new(error);
                let what = format!("the response has no valid head ({code})");
                Some(Http3Event::MalformedHead { stream: stream(stream_id), what })
            }
            Http3ClientEvent::Reset { stream_id, error, local: false } => {
                Some(Http3Event::Reset(stream(stream_id), ErrorCode::new(error)))
            }
            Http3ClientEvent::StopSending { stream_id, error } => {
                Some(Http3Event::StopSending(stream(stream_id), ErrorCode::new(error)))
            }
            // The peer's first limit arrives before the connection counts as connected. A request
            // would be refused then, and `Connected`, which follows, says the same.
            Http3ClientEvent::RequestsCreatable => {
                (self.phase == Phase::Connected).then_some(Http3Event::RequestsCreatable)
            }
            Http3ClientEvent::AuthenticationNeeded => {
                self.phase = Phase::Authentication;
                Some(Http3Event::AuthenticationNeeded)
            }
            Http3ClientEvent::EchFallbackAuthenticationNeeded { public_name } => {
                self.phase = Phase::Authentication;
                Some(Http3Event::EchFallbackAuthenticationNeeded { public_name })
            }
            Http3ClientEvent::GoawayReceived => Some(Http3Event::GoawayReceived),
            Http3ClientEvent::StateChange(state) => self.state_change(state),
            Http3ClientEvent::WebTransport(event) => Some(self.web_transport(event)),
            // Push has no credit.
            Http3ClientEvent::PushPromise { .. }
            | Http3ClientEvent::PushHeaderReady { .. }
            | Http3ClientEvent::PushDataReadable { .. }
            | Http3ClientEvent::PushCanceled { .. }
            | Http3ClientEvent::PushReset { .. } => {
                log::debug!("ignored: {event:?}");
                None
            }
            Http3ClientEvent::ZeroRttRejected => Some(Http3Event::ZeroRttRejected),
            Http3ClientEvent::ResumptionToken(neqos) => {
                Some(Http3Event::ResumptionToken(token(&neqos)))
            }
        }
    }

    /// A refusal comes as the end of a session, and becomes the response that it is (as in Firefox's glue).
    fn web_transport(&mut self, event: neqo_http3::WebTransportEvent) -> Http3Event {
        use neqo_http3::WebTransportEvent as Neqos;
        let event = match event {
            Neqos::Negotiated(enabled) => WebTransportEvent::Negotiated(enabled),
            Neqos::Session { stream_id, headers, .. } => answered(stream(stream_id), &headers),
            Neqos::SessionClosed { stream_id, reason, headers } => {
                let session = stream(stream_id);
                let end = match reason {
                    SessionCloseReason::Status(_) => Err(ErrorCode::NO_ERROR),
                    SessionCloseReason::Error(code) => Err(ErrorCode::new(code)),
                    SessionCloseReason::Clean { error, message } => {
                        Ok(CloseInfo { code: error, reason: message, by_peer: true })
                    }
                };
                let closed = WebTransportEvent::SessionClosed { session, end };
                match headers {
                    Some(headers) => {
                        self.second = Some(Http3Event::WebTransport(closed));
                        answered(session, &headers)
                    }
                    None => closed,
                }
            }
            Neqos::NewStream { stream_id, session_id } => WebTransportEvent::NewStream {
                stream: stream(stream_id),
                session: stream(session_id),
            },
            Neqos::Datagram { session_id, datagram } => WebTransportEvent::Datagram {
                session: stream(session_id),
                datagram: datagram.into(),
            },
        };
        Http3Event::WebTransport(event)
    }

    fn state_change(&mut self, state: Http3State) -> Option<Http3Event> {
        match state {
            Http3State::Connected => {
                self.phase = Phase::Connected;
                Some(Http3Event::Connected)
            }
            // neqo tripped over itself: the peer's close came together with stream data, and the streams
            // were gone when their events were looked at. Until the true reason follows, with `Closed`,
            // nothing new may be asked for.
            Http3State::Closing(neqo_transport::CloseReason::Application(NEQOS_OWN_FAULT)) => {
                self.phase = Phase::Closing;
                Some(Http3Event::GoawayReceived)
            }
            Http3State::Closing(reason) => {
                self.phase = Phase::Closing;
                Some(Http3Event::Closing(close_reason::translate(&reason, &self.our_words)))
            }
            Http3State::Closed(reason) => {
                self.phase = Phase::Closed;
                Some(Http3Event::Closed(close_reason::translate(&reason, &self.our_words)))
            }
            // `GoawayReceived` tells of the third, and `is_zero_rtt` of the second.
            Http3State::Initializing | Http3State::ZeroRtt | Http3State::GoingAway(_) => None,
        }
    }
}

/// What neqo made of a ticket, its settings and a proof of address. It can be kept as it is.
pub(crate) fn token(token: &neqo_crypto::ResumptionToken) -> ResumptionToken {
    ResumptionToken::new(token.as_ref().to_vec(), token.expiration_time())
}

fn stream(id: neqo_http3::StreamId) -> StreamId {
    StreamId::new(id.as_u64())
}

fn answered(session: StreamId, headers: &[neqo_common::Header]) -> WebTransportEvent {
    match headers::response(headers) {
        Ok((status, headers)) => {
            let head = ResponseHead { status, version: Version::HTTP_3, headers };
            WebTransportEvent::Session { session, head }
        }
        Err(_) => WebTransportEvent::SessionClosed { session, end: Err(ErrorCode::MESSAGE_ERROR) },
    }
}

fn head(stream: StreamId, headers: &[neqo_common::Header], fin: bool) -> Http3Event {
    match headers::response(headers) {
        Ok((status, headers)) => Http3Event::HeaderReady { stream, status, headers, fin },
        Err(what) => Http3Event::MalformedHead { stream, what },
    }
}

#[cfg(test)]
mod tests {
    use neqo_transport::CloseReason;

    use super::*;

    #[test]
    fn after_the_close_only_its_end_is_told() {
        let mut events = Events::new();
        let reason = || CloseReason::Application(0x100);
        let closing =
            events.translate(Http3ClientEvent::StateChange(Http3State::Closing(reason())));
        assert!(matches!(closing, Some(Http3Event::Closing(_))));
        assert!(events.translate(Http3ClientEvent::AuthenticationNeeded).is_none());
        assert!(!events.take_authentication());
        assert!(events.translate(Http3ClientEvent::RequestsCreatable).is_none());
        let stream_id = neqo_http3::StreamId::new(0);
        assert!(events.translate(Http3ClientEvent::DataWritable { stream_id }).is_none());
        let closed = events.translate(Http3ClientEvent::StateChange(Http3State::Closed(reason())));
        assert!(matches!(closed, Some(Http3Event::Closed(_))));
    }
}
