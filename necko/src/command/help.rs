//! What `--help` and `--version` say beside the options.

use super::{exit_code::ExitCode, write_out};

/// Behind the program's name in `--version`.
pub(crate) const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (neqo 0.13.4, NSS)");

const EXAMPLES: &str = "\
Examples:
  necko fetch https://example.org/
  necko fetch https://example.org/a.iso -o a.iso
  necko fetch -O https://example.org/a.iso --output-dir ~/Downloads --create-dirs
  necko fetch -C - -O https://example.org/a.iso        (again after a break: goes on where it broke off)
  necko fetch -r 0-1023 https://example.org/a.iso -o beginning
  necko fetch -Z https://example.org/1 -o 1 https://example.org/2 -o 2
  necko fetch --limit-rate 500K --max-time 3600 -O https://example.org/a.iso
  necko fetch -T backup.tar https://example.org/up/
  tar c . | necko fetch -T - https://example.org/up/backup.tar
  necko fetch -s -w '%{json}\\n' -O https://example.org/a.iso | jq .speed_download
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
    format!("{EXAMPLES}\n{}\n{ENVIRONMENT}\n{}", names(), after_all())
}

const WEB_TRANSPORT_EXAMPLES: &str = "\
Examples:
  necko webtransport https://localhost:4433/chat                    (what you type goes there, line by line)
  echo hello | necko webtransport https://localhost:4433/echo
  necko webtransport --datagrams https://localhost:4433/echo
  necko webtransport --uni https://localhost:4433/echo < file
  necko webtransport --cert-hash E3:B0:C4:... https://localhost:4433/echo
  necko webtransport --bench --json https://localhost:4433/echo
";

/// Below the options of `webtransport --help`.
pub(crate) fn after_web_transport() -> String {
    format!("{WEB_TRANSPORT_EXAMPLES}\n{ENVIRONMENT}\n{}", after_all())
}

/// The variables of `-w`, in lines that fit.
fn names() -> String {
    let mut text = String::from("Names for -w:\n");
    let mut width = 0;
    for name in write_out::names() {
        let full = width + name.len() > 78;
        text.push_str(if full {
            "\n  "
        } else if width == 0 {
            "  "
        } else {
            " "
        });
        width = if full { 0 } else { width } + name.len() + 1;
        text.push_str(name);
    }
    text.push('\n');
    text
}

/// Below the list of commands.
pub(crate) fn after_all() -> String {
    format!("{EXIT_CODES}{}", ExitCode::table())
}
