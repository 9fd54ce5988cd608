//! Why the server did not start, or did not go on: each with its remedy, and curl's exit codes.

use std::{io, net::SocketAddr, path::PathBuf};

use crate::certificates::DemoError;

/// An error that ends the server.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder to serve is not there.
    #[error(
        "the folder {path} can't be served: {error}; give an existing folder that you may read"
    )]
    Root {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The folder for uploads is not there.
    #[error(
        "uploads can't be stored in {path}: {error}; give an existing folder that you may write to"
    )]
    Uploads {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The certificate file is of no use.
    #[error(
        "the certificate {path} can't be used: {reason}; give a PEM file with the server's certificate first, or use --demo-cert"
    )]
    Certificate {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The key file is of no use.
    #[error(
        "the key {path} can't be used: {reason}; give the PEM file with the unencrypted key of the certificate"
    )]
    Key {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The demonstration certificate could not be made.
    #[error(transparent)]
    Demo(#[from] DemoError),
    /// The address is taken or not ours.
    #[error("can't listen on {address} (UDP): {error}; {}", bind_remedy(error))]
    Bind {
        /// Which one.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// The file for TLS secrets can't be opened.
    #[error(
        "SSLKEYLOGFILE {path} can't be written: {error}; unset the variable or name a file that you may write"
    )]
    KeyLog {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The QUIC engine refused its settings.
    #[error("the QUIC engine can't be set up: {0}; please report this")]
    Engine(String),
    /// The socket thread failed.
    #[error(
        "the system does not let the server run: {0}; perhaps too many files are open (ulimit -n)"
    )]
    System(#[from] io::Error),
}

impl Error {
    /// The process's exit code: curl's where curl has one.
    pub fn exit_code(&self) -> u8 {
        match self {
            // CURLE_FILE_COULDNT_READ_FILE, CURLE_SSL_CERTPROBLEM, CURLE_WRITE_ERROR,
            // CURLE_INTERFACE_FAILED, and 1 for what curl has no code for.
            Self::Root { .. } => 37,
            Self::Certificate { .. } | Self::Key { .. } => 58,
            Self::Demo(_) | Self::KeyLog { .. } | Self::Uploads { .. } => 23,
            Self::Bind { .. } => 45,
            Self::Engine(_) | Self::System(_) => 1,
        }
    }
}

fn bind_remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another program uses the port: stop it, give another port, or port 0 for any free one"
        }
        io::ErrorKind::AddrNotAvailable => {
            "this machine does not have the address: give one of its own, 127.0.0.1 or [::]"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need privileges: give a higher port, or the capability \
             cap_net_bind_service"
        }
        _ => "give another address with --listen",
    }
}
