//! A made-up certificate authority for demonstrations and tests.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

const DAY: Duration = Duration::from_hours(24);
/// Short enough for clients that refuse long-lived certificates.
const VALID_FOR: Duration = Duration::from_hours(24 * 30);

/// Where the files of a demonstration lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoCertificate {
    /// The authority's certificate: what a client has to trust.
    pub ca: PathBuf,
    /// The server's certificate.
    pub certificate: PathBuf,
    /// The server's key; only its owner may read it.
    pub key: PathBuf,
}

/// Why there is no demonstration certificate.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The cryptographic library refused.
    #[error("no certificate could be made: {0}")]
    Made(#[from] rcgen::Error),
    /// A file could not be written.
    #[error("{path} can't be written: {error}; give a directory that you may write to")]
    Written {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
}

/// Makes an authority and a certificate for localhost, 127.0.0.1 and `::1` in `directory`: `ca.pem`,
/// `cert.pem` and `key.pem`, which replace those of an earlier run. The authority's key is thrown
/// away, so nobody can make another certificate that clients of this demonstration would trust.
pub fn make_demo_certificate(
    directory: &Path,
    now: SystemTime,
) -> Result<DemoCertificate, DemoError> {
    let (ca, issuer) = make_authority(now)?;

    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut params = CertificateParams::new(names)?;
    set_period(&mut params, now);
    params.distinguished_name.push(DnType::CommonName, "localhost");
    params.use_authority_key_identifier_extension = true;
    params.key_usages.push(KeyUsagePurpose::DigitalSignature);
    params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let certificate = params.signed_by(&key, &issuer)?;

    fs::create_dir_all(directory).map_err(written(directory))?;
    let files = DemoCertificate {
        ca: directory.join("ca.pem"),
        certificate: directory.join("cert.pem"),
        key: directory.join("key.pem"),
    };
    replace_file(&files.key, &key.serialize_pem(), true)?;
    replace_file(&files.certificate, &certificate.pem(), false)?;
    replace_file(&files.ca, &ca, false)?;
    Ok(files)
}

fn make_authority(now: SystemTime) -> Result<(String, Issuer<'static, KeyPair>), rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    set_period(&mut params, now);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.distinguished_name.push(DnType::CommonName, "necko-server demonstration authority");
    params.key_usages.extend([KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign]);
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let certificate = params.self_signed(&key)?.pem();
    Ok((certificate, Issuer::new(params, key)))
}

fn set_period(params: &mut CertificateParams, now: SystemTime) {
    // A day earlier, for clients whose clocks are behind.
    let (from, to) = (date(now - DAY), date(now + VALID_FOR));
    params.not_before = date_time_ymd(from.0, from.1, from.2);
    params.not_after = date_time_ymd(to.0, to.1, to.2);
}

/// Year, month and day. (Days are counted in years that begin in March, so that the leap day comes
/// last, from the year 0 on.)
fn date(time: SystemTime) -> (i32, u8, u8) {
    let days = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let number = |n: u64| u8::try_from(n).unwrap_or(1);
    (i32::try_from(year).unwrap_or(9999), number(month), number(day))
}

/// Puts a file into place as a whole, so that a client that starts at the same time never reads half
/// a certificate.
fn replace_file(path: &Path, contents: &str, secret: bool) -> Result<(), DemoError> {
    let new = path.with_extension("pem.new");
    let write = || {
        // One that an interrupted run left behind may have other permissions.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, if secret { 0o600 } else { 0o644 });
        #[cfg(not(unix))]
        let _ = secret;
        options.open(&new)?.write_all(contents.as_bytes())?;
        fs::rename(&new, path)
    };
    write().map_err(written(path))
}

fn written(path: &Path) -> impl FnOnce(io::Error) -> DemoError {
    let path = path.to_owned();
    |error| DemoError::Written { path, error }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn days_become_dates() {
        for (seconds, expected) in [
            (0, (1970, 1, 1)),
            (951_782_400, (2000, 2, 29)),
            (951_868_800, (2000, 3, 1)),
            (1_767_225_599, (2025, 12, 31)),
            (1_767_225_600, (2026, 1, 1)),
            (4_107_542_400, (2100, 3, 1)),
        ] {
            assert_eq!(date(UNIX_EPOCH + Duration::from_secs(seconds)), expected, "{seconds}");
        }
    }

    #[test]
    fn the_files_are_fresh_each_time_and_the_key_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let inside = directory.path().join("made/on/demand");
        let now = socket_transport::Clock::system().wall();
        let files = make_demo_certificate(&inside, now).unwrap();
        let read = |path: &Path| fs::read_to_string(path).unwrap();
        let mode = fs::metadata(&files.key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let (ca, certificate, key) = (read(&files.ca), read(&files.certificate), read(&files.key));
        assert!(ca.starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(key.starts_with("-----BEGIN PRIVATE KEY-----"));

        // A key file with loose permissions does not lend them to its successor.
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o644)).unwrap();
        let again = make_demo_certificate(&inside, now).unwrap();
        assert_eq!(again, files);
        let mode = fs::metadata(&files.key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_ne!(read(&files.ca), ca);
        assert_ne!(read(&files.certificate), certificate);
        assert_ne!(read(&files.key), key);
        assert_eq!(fs::read_dir(&inside).unwrap().count(), 3, "nothing else is left");
    }

    #[test]
    fn an_unwritable_place_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let now = socket_transport::Clock::system().wall();
        let error = make_demo_certificate(&file, now).unwrap_err().to_string();
        assert!(error.contains("file can't be written"), "{error}");
    }
}
