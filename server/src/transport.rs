//! The QUIC engine's settings: certificate, windows, limits.

use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    time::Duration,
};

use boring::{
    error::ErrorStack,
    pkey::PKey,
    ssl::{SslContext, SslContextBuilder, SslMethod},
    x509::X509,
};
use quiche::h3;

use crate::{Config, Error, heads};

/// Length of the connection ids that the server chooses.
pub(crate) const ID_LENGTH: usize = 16;
/// The control stream, two for QPACK, and a few that mean nothing (RFC 9114, 6.2.3).
const UNIDIRECTIONAL_STREAMS: u64 = 8;
/// How much a client may upload before the server has read any of it: at first, and after the engine
/// has widened the windows for a fast client.
const STREAM_WINDOW: u64 = 1024 * 1024;
const MAX_STREAM_WINDOW: u64 = 12 * 1024 * 1024;
const CONNECTION_WINDOW: u64 = 8 * 1024 * 1024;
const MAX_CONNECTION_WINDOW: u64 = 24 * 1024 * 1024;
/// Source ids that a client may have, for its migrations.
const IDS_AT_ONCE: u64 = 4;

/// What the server accepts connections with.
pub(crate) struct Transport {
    pub(crate) quic: quiche::Config,
    pub(crate) http: h3::Config,
    /// Where TLS secrets are written, if they are.
    pub(crate) key_log: Option<File>,
}

impl Transport {
    /// Reads certificate and key, and sets everything else.
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let tls = tls_context(&config.certificate, &config.key)?;
        let quic = quic_config(config, tls).map_err(|error| Error::Engine(error.to_string()))?;
        let http = http_config().map_err(|error| Error::Engine(error.to_string()))?;
        let mut transport = Self { quic, http, key_log: None };
        if let Some(path) = &config.key_log {
            transport.open_key_log(path)?;
        }
        Ok(transport)
    }

    fn open_key_log(&mut self, path: &Path) -> Result<(), Error> {
        // Appending, so that client and server may share the file.
        let file = OpenOptions::new().append(true).create(true).open(path);
        let failed = |error| Error::KeyLog { path: path.to_owned(), error };
        self.key_log = Some(file.map_err(failed)?);
        self.quic.log_keys();
        Ok(())
    }
}

fn quic_config(config: &Config, tls: SslContextBuilder) -> quiche::Result<quiche::Config> {
    let mut quic = quiche::Config::with_boring_ssl_ctx_builder(quiche::PROTOCOL_VERSION, tls)?;
    quic.set_application_protos(h3::APPLICATION_PROTOCOL)?;
    quic.set_max_idle_timeout(millis(config.idle_timeout));
    quic.set_max_send_udp_payload_size(config.datagram_size);
    quic.set_initial_max_streams_bidi(config.max_streams);
    quic.set_initial_max_streams_uni(UNIDIRECTIONAL_STREAMS);
    quic.set_initial_max_data(CONNECTION_WINDOW);
    quic.set_max_connection_window(MAX_CONNECTION_WINDOW);
    quic.set_initial_max_stream_data_bidi_remote(STREAM_WINDOW);
    quic.set_initial_max_stream_data_uni(STREAM_WINDOW);
    quic.set_max_stream_window(MAX_STREAM_WINDOW);
    quic.set_active_connection_id_limit(IDS_AT_ONCE);
    // With CUBIC this version of quiche asks for no pacing: every datagram may go at once. Bursts
    // are bounded by the congestion window and by the server's own rounds.
    quic.set_cc_algorithm(quiche::CongestionControlAlgorithm::CUBIC);
    Ok(quic)
}

fn http_config() -> h3::Result<h3::Config> {
    let mut http = h3::Config::new()?;
    http.set_max_field_section_size(heads::ADVERTISED);
    Ok(http)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Read by us and not by the engine, which would only say "TLS failed".
fn tls_context(certificate: &Path, key: &Path) -> Result<SslContextBuilder, Error> {
    let mut tls =
        SslContext::builder(SslMethod::tls()).map_err(|error| Error::Engine(error.to_string()))?;
    let bad_certificate = |reason| Error::Certificate { path: certificate.to_owned(), reason };
    let pem = std::fs::read(certificate).map_err(|error| bad_certificate(error.to_string()))?;
    let chain = X509::stack_from_pem(&pem).map_err(|error| bad_certificate(short(&error)))?;
    let mut chain = chain.into_iter();
    let leaf = chain.next().ok_or_else(|| bad_certificate("it holds no certificate".to_owned()))?;
    tls.set_certificate(&leaf).map_err(|error| bad_certificate(short(&error)))?;
    for intermediate in chain {
        tls.add_extra_chain_cert(intermediate).map_err(|error| bad_certificate(short(&error)))?;
    }

    let bad_key = |reason| Error::Key { path: PathBuf::from(key), reason };
    let pem = std::fs::read(key).map_err(|error| bad_key(error.to_string()))?;
    let parsed = PKey::private_key_from_pem(&pem)
        .map_err(|_| bad_key("it holds no key in PEM form that can be read".to_owned()))?;
    tls.set_private_key(&parsed).map_err(|_| {
        bad_key(format!("it does not belong to the certificate {}", certificate.display()))
    })?;
    Ok(tls)
}

/// The library's own words, of which the first are enough.
fn short(error: &ErrorStack) -> String {
    let first = error.errors().first().and_then(|error| error.reason().map(str::to_owned));
    first.unwrap_or_else(|| "it can't be parsed".to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::certificates::make_demo_certificate;

    #[test]
    fn a_demonstration_certificate_is_good_for_its_three_names() {
        let directory = tempfile::tempdir().unwrap();
        let now = socket_transport::Clock::system().wall();
        let files = make_demo_certificate(directory.path(), now).unwrap();
        assert!(tls_context(&files.certificate, &files.key).is_ok());

        let pem = fs::read(&files.certificate).unwrap();
        let leaf = X509::from_pem(&pem).unwrap();
        let ca = X509::from_pem(&fs::read(&files.ca).unwrap()).unwrap();
        assert!(leaf.verify(&ca.public_key().unwrap()).unwrap());
        let names = leaf.subject_alt_names().unwrap();
        let dns: Vec<_> = names.iter().filter_map(|name| name.dnsname()).collect();
        let ips: Vec<_> = names.iter().filter_map(|name| name.ipaddress()).collect();
        assert_eq!(dns, ["localhost"]);
        assert_eq!(ips[0], [127, 0, 0, 1]);
        assert_eq!(ips[1], std::net::Ipv6Addr::LOCALHOST.octets());
        assert_eq!(ips.len(), 2);
        // P-256.
        assert_eq!(leaf.public_key().unwrap().bits(), 256);
    }

    #[test]
    fn bad_files_are_named_with_the_reason() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let now = socket_transport::Clock::system().wall();
        let one = make_demo_certificate(&at("one"), now).unwrap();
        let two = make_demo_certificate(&at("two"), now).unwrap();
        fs::write(at("empty.pem"), "").unwrap();
        fs::write(at("text.pem"), "not a certificate").unwrap();
        let missing = at("missing.pem");
        for (certificate, key, expected, code) in [
            (&missing, &one.key, "missing.pem can't be used: No such file", 58),
            (&at("empty.pem"), &one.key, "holds no certificate", 58),
            (&at("text.pem"), &one.key, "text.pem", 58),
            (&one.certificate, &missing, "missing.pem can't be used: No such file", 58),
            (&one.certificate, &at("text.pem"), "no key in PEM form", 58),
            (&one.certificate, &one.certificate, "no key in PEM form", 58),
            (&one.certificate, &two.key, "does not belong to the certificate", 58),
        ] {
            let error = tls_context(certificate, key).err().unwrap();
            assert!(error.to_string().contains(expected), "{error}");
            assert_eq!(error.exit_code(), code);
        }
    }
}
