//! HTTP/1.1 over one byte stream: the other half of necko's manager.

mod tls_conn;

pub use tls_conn::{PlainRead, TlsConn, TlsConnFactory, TlsParameters, TlsState};
