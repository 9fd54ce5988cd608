//! Keys for servers that can decrypt a hello.

use neqo_crypto::{PrivateKey, PublicKey, generate_ech_keys};
use transaction::EchConfigList;

use super::nss_db;

/// A server's keys for ECH, and the configuration that it publishes of them.
#[derive(Clone)]
pub struct EchKeys {
    pub(super) public_name: String,
    pub(super) private: PrivateKey,
    pub(super) public: PublicKey,
}

/// The number that the configuration carries, of all servers the same: a client with another server's looks
/// as if it had this one's.
pub(super) const CONFIG_ID: u8 = 7;

impl EchKeys {
    /// New ones. The peers' certificate is for `necko.test` and every name below it.
    pub fn new(public_name: &str) -> Self {
        nss_db::init();
        let (private, public) = generate_ech_keys().expect("keys");
        Self { public_name: public_name.to_owned(), private, public }
    }

    /// What an application would find in the server's HTTPS record.
    pub fn config(&self) -> EchConfigList {
        let encoded = neqo_crypto::encode_ech_config(CONFIG_ID, &self.public_name, &self.public);
        EchConfigList::parse(encoded.expect("a configuration")).expect("a configuration")
    }
}
