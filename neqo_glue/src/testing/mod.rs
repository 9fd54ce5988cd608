//! What the tests share: a database for NSS, and a connection with a server on a virtual clock.

pub(crate) mod nss_db;
pub(crate) mod pair;
pub(crate) mod peers;
