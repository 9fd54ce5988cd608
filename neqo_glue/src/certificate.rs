//! What a verdict about the peer's certificate means to NSS, which chooses the TLS alert from it.

use http3_session::CertificateVerdict;
use neqo_crypto::AuthenticationStatus;
use transaction::CertificateProblem;

/// The verdict in NSS's words, so chosen that the alert is TLS's own for that problem (RFC 8446 §6.2).
pub(crate) fn authentication_status(verdict: CertificateVerdict) -> AuthenticationStatus {
    match verdict {
        Ok(()) => AuthenticationStatus::Ok,
        // certificate_expired (45), "or is not currently valid". NSS has a word of its own for the
        // second case and gives it an alert that says less.
        Err(CertificateProblem::Expired | CertificateProblem::NotYetValid) => {
            AuthenticationStatus::CertExpired
        }
        // unknown_ca (48)
        Err(CertificateProblem::UnknownIssuer) => AuthenticationStatus::IssuerUnknown,
        // bad_certificate (42)
        Err(CertificateProblem::WrongHost) => AuthenticationStatus::CertSubjectInvalid,
        // certificate_revoked (44)
        Err(CertificateProblem::Revoked) => AuthenticationStatus::CertRevoked,
        // certificate_unknown (46), for what has no name. (NSS's `CertUntrusted` would be
        // access_denied, and its `Unknown` unsupported_certificate.)
        Err(
            CertificateProblem::Missing
            | CertificateProblem::WrongKey
            | CertificateProblem::UnknownHash
            | CertificateProblem::Invalid,
        ) => AuthenticationStatus::CertKeyUsage,
    }
}
