//! A certificate authority for peers in this process.

use std::{fs, path::PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PublicKeyData as _, date_time_ymd,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

/// An authority. Its certificate lies in a file for as long as this lives.
#[derive(Debug)]
pub struct TestCa {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: TempDir,
}

/// A server's certificate and its key.
#[derive(Debug)]
pub struct Identity {
    /// The certificate alone: clients know its issuer.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
    /// The certificate in PEM.
    pub chain_pem: String,
    /// The key in PEM.
    pub key_pem: String,
    /// The public key's `SubjectPublicKeyInfo` in DER.
    pub public_key: Vec<u8>,
}

impl Identity {
    /// The same for another server.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self {
            chain: self.chain.clone(),
            key: self.key.clone_key(),
            chain_pem: self.chain_pem.clone(),
            key_pem: self.key_pem.clone(),
            public_key: self.public_key.clone(),
        }
    }

    /// The SHA-256 of the certificate.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.chain.first().expect("there is one")).into()
    }

    /// The SHA-256 of the public key.
    pub fn key_hash(&self) -> [u8; 32] {
        Sha256::digest(&self.public_key).into()
    }
}

impl TestCa {
    /// A new one, which nobody trusts.
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let params = authority("authority of necko's tests");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        let dir = tempfile::tempdir().expect("a temporary folder");
        fs::write(dir.path().join("ca.pem"), issuer.pem()).expect("a file can be written");
        Self { issuer, dir }
    }

    /// The file with its certificate.
    pub fn file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// A certificate for localhost by all its names.
    pub fn localhost(&self) -> Identity {
        self.issue(&["localhost", "127.0.0.1", "::1"])
    }

    /// A certificate for `names`.
    pub fn issue(&self, names: &[&str]) -> Identity {
        self.sign(&params(names))
    }

    /// One for localhost whose time is over.
    pub fn expired(&self) -> Identity {
        self.sign(&past(params(&["localhost"])))
    }

    /// One for localhost whose time has not come.
    pub fn not_yet_valid(&self) -> Identity {
        let mut params = params(&["localhost"]);
        params.not_before = date_time_ymd(2900, 1, 1);
        params.not_after = date_time_ymd(2900, 2, 1);
        self.sign(&params)
    }

    /// One for localhost, signed by an authority that is signed by this one, and whose time is over.
    pub fn below_an_expired_authority(&self) -> Identity {
        let key = KeyPair::generate().expect("a key");
        let params = past(authority("authority in between"));
        let between = CertifiedIssuer::signed_by(params, key, &self.issuer).expect("a certificate");
        let mut identity = sign(&self::params(&["localhost"]), &between);
        identity.chain.push(between.der().clone());
        identity.chain_pem.push_str(&between.pem());
        identity
    }

    fn sign(&self, params: &CertificateParams) -> Identity {
        sign(params, &self.issuer)
    }
}

fn sign(params: &CertificateParams, issuer: &CertifiedIssuer<'static, KeyPair>) -> Identity {
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, issuer).expect("a certificate");
    Identity {
        chain: vec![certificate.der().clone()],
        chain_pem: certificate.pem(),
        key_pem: key.serialize_pem(),
        public_key: key.subject_public_key_info(),
        key: PrivateKeyDer::try_from(key.serialize_der()).expect("it is a private key"),
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).expect("no names, none invalid");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn past(mut params: CertificateParams) -> CertificateParams {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2020, 2, 1);
    params
}

impl Default for TestCa {
    fn default() -> Self {
        Self::new()
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).expect("valid names");
    params.distinguished_name.push(DnType::CommonName, "necko's tests");
    params
}
