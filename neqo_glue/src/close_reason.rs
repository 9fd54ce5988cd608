//! Why a connection ended: neqo's reasons in the terms of RFC 9000 §10.
//!
//! neqo tells a close of ours from one of the peer's by where it keeps the code: our own application
//! close is `Application`, the peer's is hidden in the transport error `PeerApplicationError`.

use http3_session::CloseReason;
use neqo_transport::{CloseReason as NeqoReason, Error};
use transaction::ErrorCode;

/// TLS alerts travel as transport errors from 0x100 to 0x1ff (RFC 9001 §4.8).
const CRYPTO_ERROR: u64 = 0x100;

/// `ech_required`. neqo reports `EchRetry` instead where the server gave configurations; where it gave none,
/// the alert that NSS sent is all there is.
const ECH_REQUIRED: u8 = 121;

/// Translates neqo's reason. `our_words` is the reason phrase that we closed with, if we closed.
pub(crate) fn translate(reason: &NeqoReason, our_words: &str) -> CloseReason {
    match reason {
        NeqoReason::Application(code) => application(*code, false, our_words),
        NeqoReason::Transport(error) => transport(error),
    }
}

fn application(code: u64, by_peer: bool, reason: &str) -> CloseReason {
    let code = ErrorCode::new(code);
    if code == ErrorCode::NO_ERROR {
        CloseReason::NoError { by_peer }
    } else {
        CloseReason::Application { code, by_peer, reason: reason.to_owned() }
    }
}

fn transport(error: &Error) -> CloseReason {
    match error {
        Error::NoError => CloseReason::NoError { by_peer: false },
        Error::IdleTimeout => CloseReason::IdleTimeout,
        Error::StatelessReset => CloseReason::StatelessReset,
        Error::PeerApplicationError(code) => application(*code, true, ""),
        Error::PeerError(code) => peer_transport(*code),
        Error::CryptoAlert(ECH_REQUIRED) => CloseReason::EchRetry { config: Vec::new() },
        Error::CryptoAlert(alert) => CloseReason::TlsAlert { alert: *alert, by_peer: false },
        Error::EchRetry(config) => CloseReason::EchRetry { config: config.clone() },
        other => CloseReason::Transport { name: format!("{other:?}"), by_peer: false },
    }
}

fn peer_transport(code: u64) -> CloseReason {
    if code == 0 {
        return CloseReason::NoError { by_peer: true };
    }
    match code.checked_sub(CRYPTO_ERROR).map(u8::try_from) {
        Some(Ok(alert)) => CloseReason::TlsAlert { alert, by_peer: true },
        _ => CloseReason::Transport { name: transport_name(code), by_peer: true },
    }
}

/// The name in RFC 9000 §20.1; neqo knows the peer's code only as a number.
fn transport_name(code: u64) -> String {
    let name = match code {
        0x01 => "INTERNAL_ERROR",
        0x02 => "CONNECTION_REFUSED",
        0x03 => "FLOW_CONTROL_ERROR",
        0x04 => "STREAM_LIMIT_ERROR",
        0x05 => "STREAM_STATE_ERROR",
        0x06 => "FINAL_SIZE_ERROR",
        0x07 => "FRAME_ENCODING_ERROR",
        0x08 => "TRANSPORT_PARAMETER_ERROR",
        0x09 => "CONNECTION_ID_LIMIT_ERROR",
        0x0a => "PROTOCOL_VIOLATION",
        0x0b => "INVALID_TOKEN",
        0x0c => "APPLICATION_ERROR",
        0x0d => "CRYPTO_BUFFER_EXCEEDED",
        0x0e => "KEY_UPDATE_ERROR",
        0x0f => "AEAD_LIMIT_REACHED",
        0x10 => "NO_VIABLE_PATH",
        other => return format!("0x{other:x}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(error: Error) -> CloseReason {
        translate(&NeqoReason::Transport(error), "")
    }

    #[test]
    fn the_four_clean_closes_are_no_error() {
        let ours = CloseReason::NoError { by_peer: false };
        let theirs = CloseReason::NoError { by_peer: true };
        assert_eq!(translate(&NeqoReason::Application(0x100), "bye"), ours);
        assert_eq!(of(Error::NoError), ours);
        assert_eq!(of(Error::PeerApplicationError(0x100)), theirs);
        assert_eq!(of(Error::PeerError(0)), theirs);
    }

    #[test]
    fn http3_errors_keep_their_code_and_their_side() {
        let code = ErrorCode::INTERNAL_ERROR;
        let reason = "words".to_owned();
        assert_eq!(
            translate(&NeqoReason::Application(0x102), "words"),
            CloseReason::Application { code, by_peer: false, reason }
        );
        assert_eq!(
            of(Error::PeerApplicationError(0x102)),
            CloseReason::Application { code, by_peer: true, reason: String::new() }
        );
    }

    #[test]
    fn alerts_are_told_from_transport_errors() {
        assert_eq!(of(Error::CryptoAlert(42)), CloseReason::TlsAlert { alert: 42, by_peer: false });
        assert_eq!(
            of(Error::PeerError(0x178)),
            CloseReason::TlsAlert { alert: 120, by_peer: true }
        );
        let refused = CloseReason::Transport { name: "CONNECTION_REFUSED".into(), by_peer: true };
        assert_eq!(of(Error::PeerError(2)), refused);
        let odd = CloseReason::Transport { name: "0x53f8".into(), by_peer: true };
        assert_eq!(of(Error::PeerError(0x53f8)), odd);
    }

    #[test]
    fn refused_ech_is_told_with_what_the_server_gave() {
        let retry = |config: &[u8]| CloseReason::EchRetry { config: config.to_vec() };
        assert_eq!(of(Error::EchRetry(vec![1, 2])), retry(&[1, 2]));
        assert_eq!(of(Error::CryptoAlert(121)), retry(&[]));
        assert_eq!(
            of(Error::PeerError(0x179)),
            CloseReason::TlsAlert { alert: 121, by_peer: true }
        );
    }

    #[test]
    fn ends_without_a_close_have_their_own_reasons() {
        assert_eq!(of(Error::IdleTimeout), CloseReason::IdleTimeout);
        assert_eq!(of(Error::StatelessReset), CloseReason::StatelessReset);
        let path = CloseReason::Transport { name: "NoAvailablePath".into(), by_peer: false };
        assert_eq!(of(Error::NoAvailablePath), path);
    }
}
