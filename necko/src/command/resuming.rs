//! Connections that go on from earlier ones: the options about it.

use std::path::PathBuf;

use clap::Args;
use necko::Settings;

#[derive(Debug, Args)]
#[expect(clippy::doc_markdown, reason = "--help shows these comments as they are")]
pub(crate) struct Resuming {
    /// Begin connections with what servers gave out before, and keep it in FILE between runs.
    ///
    /// A server that was talked to before need not prove itself again, and the handshake is shorter. What one
    /// run leaves is used once. FILE holds secrets, and is made for its owner alone; one that is damaged is
    /// ignored with a warning.
    ///
    /// Example: necko fetch --session-file ~/.necko-sessions --tls-earlydata https://example.org/
    #[arg(long, visible_alias = "ssl-sessions", value_name = "FILE")]
    pub(crate) session_file: Option<PathBuf>,

    /// Send GET and HEAD before the handshake is complete, to servers that were talked to before.
    ///
    /// It saves a round trip. But whoever records such a request can send it to the server once more.
    #[arg(long)]
    pub(crate) tls_earlydata: bool,
}

impl Resuming {
    /// Makes settings of them.
    pub(crate) fn apply(&self, settings: &mut Settings) {
        settings.session_file.clone_from(&self.session_file);
        settings.http3.early_data = self.tls_earlydata;
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::command::options::{Command, Options};

    #[test]
    fn early_data_has_to_be_asked_for_and_curls_name_of_the_file_is_known() {
        let settings = |arguments: &[&str]| {
            let line = ["necko", "fetch", "https://example.org/"].iter().chain(arguments);
            let Command::Fetch(fetch) = Options::parse_from(line).command else {
                panic!("another subcommand")
            };
            let mut settings = Settings::default();
            assert!(settings.http3.early_data && settings.http3.resumption);
            fetch.resuming.apply(&mut settings);
            (settings.session_file, settings.http3.early_data, settings.http3.resumption)
        };
        let file = |name: &str| Some(PathBuf::from(name));
        assert_eq!(settings(&[]), (None, false, true));
        assert_eq!(settings(&["--tls-earlydata"]), (None, true, true));
        assert_eq!(settings(&["--session-file", "f"]), (file("f"), false, true));
        assert_eq!(settings(&["--ssl-sessions", "g"]), (file("g"), false, true));
    }
}
