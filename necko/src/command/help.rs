//! What `--help` and `--version` say beside the options.

use super::exit_code::ExitCode;

/// Behind the program's name in `--version`.
pub(crate) const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (neqo 0.13.4, NSS)");

const EXAMPLES: &str = "\
Examples:
  necko fetch https://example.org/
  necko fetch https://example.org/a.iso -o a.iso
  necko fetch https://example.org/1 -o 1 https://example.org/2 -o 2
  necko fetch -d name=necko https://example.org/form
  necko fetch --data-binary @photo.jpg -H 'Content-Type: image/jpeg' https://example.org/up
  necko fetch --cacert ca.pem --resolve test.example:4433:127.0.0.1 https://test.example:4433/
  necko fetch -v https://example.org/ -o /dev/null     (the walk through the layers)
";

const ENVIRONMENT: &str = "\
Environment:
  SSLKEYLOGFILE  NSS appends the TLS secrets to this file, for Wireshark
  QLOGDIR        as --qlog-dir
  SSL_CERT_FILE  the system's root certificates, where they are not in the usual place
  RUST_LOG       log filters, as env_logger reads them (not with -v)
";

const EXIT_CODES: &str = "\
Exit codes (curl's; of several transfers that failed, the first on the command line decides):
";

/// Below the options of `fetch --help`.
pub(crate) fn after_fetch() -> String {
    format!("{EXAMPLES}\n{ENVIRONMENT}\n{}", after_all())
}

/// Below the list of commands.
pub(crate) fn after_all() -> String {
    format!("{EXIT_CODES}{}", ExitCode::table())
}
