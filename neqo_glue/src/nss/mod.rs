//! NSS, the TLS library under neqo, is started once per process.

mod token_key;

use std::io;

use transaction::NetError;

pub use token_key::{TokenKey, token_key};

/// Starts NSS without a certificate database, unless something in this process has started it already.
///
/// neqo keeps the outcome of the first start and answers it ever after, also to other threads, so this
/// may be called for each connection. A connection that is made before it would panic.
///
/// # Errors
/// NSS refuses. The usual reason is that the loader found the system's NSS, which is too old.
pub(crate) fn init() -> Result<(), NetError> {
    // Before the first connection, so that NSS makes up no key of its own.
    token_key(None).map(|_| ())
}

fn start() -> Result<(), NetError> {
    neqo_crypto::init().map_err(|error| {
        log::error!("NSS could not be started: {error}");
        let kind = match error {
            neqo_crypto::Error::UnsupportedVersion => io::ErrorKind::Unsupported,
            _ => io::ErrorKind::Other,
        };
        NetError::Socket { operation: "starting the TLS library NSS", kind }
    })
}
