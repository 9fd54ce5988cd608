//! When a request is sent again (necko's `nsHttpTransaction::Close` and `Restart`).
//!
//! Only while nothing of a response reached the consumer, six times at most, and only with a body that can
//! be had from its start again. Then the error decides:
//!
//! | what ended the attempt | the request goes again | where |
//! |---|---|---|
//! | `NetReset`: the connection ended under it | if it is safe, or was not sent, or met a connection that had served before | same key |
//! | `H3_REQUEST_REJECTED` | yes: the server did not look at it | same key |
//! | `H3_VERSION_FALLBACK`, of its stream or of its connection | yes, once | over HTTP/1.1 |
//! | 421 | yes, once | a fresh connection of its own origin |
//! | 408 over HTTP/3, or on a connection that had served before | yes, once | same key |
//! | 425, to what was sent as early data | yes, once | same key, after the handshake |
//! | `EchRetry` | yes: there was no handshake | a fresh connection, with the server's configuration |
//! | anything else | no | |
//!
//! What goes again never does so as early data, and connections that are made for it begin anew.

use http::{StatusCode, Version};

use crate::{Alpn, EarlyData, ErrorCode, NetError, ResponseHead};

/// What an error says about the request that it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unserved {
    /// Nothing, or that it was served: it must not go again.
    No,
    /// Perhaps it was not: it goes again if it does no harm twice.
    Perhaps,
    /// It was not.
    Yes,
}

impl NetError {
    pub(crate) fn unserved(&self) -> Unserved {
        match self {
            Self::NetReset { .. } => Unserved::Perhaps,
            Self::NetInterrupt { code: ErrorCode::REQUEST_REJECTED }
            // The server did not act on it (RFC 9110 §15.5.20 and §15.5.9).
            | Self::MisdirectedRequest
            | Self::RequestTimeout
            // It refused to, before it knew that nobody replays it (RFC 8470 §5.2).
            | Self::TooEarly
            | Self::EchRetry(_) => Unserved::Yes,
            error if error.is_version_fallback() => Unserved::Yes,
            _ => Unserved::No,
        }
    }

    /// The server wants the request over HTTP/1.1 (RFC 9114 §8.1).
    pub fn is_version_fallback(&self) -> bool {
        matches!(
            self,
            Self::NetInterrupt { code: ErrorCode::VERSION_FALLBACK }
                | Self::Http3Protocol { code: ErrorCode::VERSION_FALLBACK, by_peer: true, .. }
        )
    }
}

/// What a transaction remembers of its earlier attempts.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Earlier {
    /// A server said that it is not the one to ask (421); that is believed once.
    misdirected: bool,
    /// A server said that it waited too long (408); likewise.
    timed_out: bool,
    /// A 421 was what ended the last attempt.
    pub(crate) just_misdirected: bool,
}

impl Earlier {
    /// Notes how an attempt ended that is followed by another one.
    pub(crate) fn note(&mut self, error: &NetError) {
        self.just_misdirected = *error == NetError::MisdirectedRequest;
        self.misdirected |= self.just_misdirected;
        self.timed_out |= *error == NetError::RequestTimeout;
    }

    /// The error that a response stands for, if it is one that asks for the request once more and was not
    /// heard before.
    pub(crate) fn error_of(
        self,
        head: &ResponseHead,
        reused: bool,
        early_data: EarlyData,
    ) -> Option<NetError> {
        match head.status {
            // Nothing is sent early twice.
            StatusCode::TOO_EARLY if early_data == EarlyData::Accepted => Some(NetError::TooEarly),
            StatusCode::MISDIRECTED_REQUEST if !self.misdirected => {
                Some(NetError::MisdirectedRequest)
            }
            // Over HTTP/1.1 a server says so of a connection that it found idle, and on a new one it means it.
            StatusCode::REQUEST_TIMEOUT
                if !self.timed_out && (reused || head.version >= Version::HTTP_2) =>
            {
                Some(NetError::RequestTimeout)
            }
            _ => None,
        }
    }
}

/// What the request is to speak after this error.
pub(crate) fn next_protocol(now: Alpn, error: &NetError) -> Alpn {
    if error.is_version_fallback() { Alpn::Http11 } else { now }
}
