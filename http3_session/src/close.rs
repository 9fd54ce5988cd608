//! What the streams of a dying session are told (necko's `Http3Session::Shutdown`).

use streams::Http3StreamBase;
use transaction::{Closed, NetError, Restarts};

/// How a stream ends with its session.
#[derive(Debug)]
pub(crate) enum Failure {
    /// With this, and the transaction may go again if its own rules allow it.
    Close(NetError),
    /// With this, and it may not: the application or the handler decided.
    Abort(NetError),
}

impl Failure {
    /// Ends `stream`; what may go again is added to `restarts`.
    pub(crate) fn apply(self, stream: Http3StreamBase, restarts: &mut Restarts) {
        let closed = match (self, stream) {
            (Self::Abort(error), Http3StreamBase::Http(stream)) => {
                return stream.abort_without_engine(error);
            }
            (Self::Abort(error), Http3StreamBase::Session(session)) => return session.abort(error),
            (Self::Close(error), Http3StreamBase::Http(stream)) => {
                stream.close_without_engine(Err(error))
            }
            (Self::Close(error), Http3StreamBase::Session(session)) => session.close(Err(error)),
            (Self::Abort(error) | Self::Close(error), Http3StreamBase::WebTransport(stream)) => {
                return stream.close(&error);
            }
        };
        if let Closed::Restart(transaction) = closed {
            restarts.push(transaction);
        }
    }
}

/// Chooses the error of one stream.
///
/// | the session | the stream gets | again? |
/// |---|---|---|
/// | was cancelled or shut down by us | that | no |
/// | never connected, and the address may be to blame | `NetReset` | yes: who made the connection knows whether there is another |
/// | never connected, in TLS or QUIC, and had something of an earlier connection to begin with | `NetReset` | yes, without it |
/// | never connected | what it failed with | no |
/// | closed by the peer, which wants HTTP/1.1 | that | yes, over HTTP/1.1 |
/// | was connected, the stream had no id yet | `NetReset` | yes |
/// | was connected | what it failed with | by the transaction's rules |
pub(crate) fn failure_for(
    error: Option<&NetError>,
    stream: &Http3StreamBase,
    connected: bool,
) -> Failure {
    let reset = |reason: String| Failure::Close(NetError::NetReset { reason });
    match error {
        Some(error @ (NetError::Aborted | NetError::ShuttingDown)) => Failure::Abort(error.clone()),
        None => reset("it was closed in good order".into()),
        Some(error) if !connected && error.is_about_the_address() => reset(error.to_string()),
        Some(error) if error.is_version_fallback() => Failure::Close(error.clone()),
        Some(error) if connected && stream.id().is_none() => reset(error.to_string()),
        Some(error) => Failure::Close(error.clone()),
    }
}

/// Whether a handshake that failed with this may succeed without what an earlier connection left.
pub(crate) fn is_about_resuming(error: &NetError) -> bool {
    matches!(error, NetError::Tls { .. } | NetError::QuicTransport { .. })
}
