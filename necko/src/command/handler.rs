//! The handler that the options amount to.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use necko::{FixedAddresses, HttpHandler, NetError, Settings, Verification};

use super::{
    connecting::Connecting,
    exit_code::ExitCode,
    report::{Failure, write_failure},
};

/// What all subcommands have a say in.
pub(crate) struct Choices<'a> {
    pub(crate) cacert: Option<&'a Path>,
    pub(crate) insecure: bool,
    pub(crate) connecting: &'a Connecting,
    pub(crate) qlog_dir: Option<&'a Path>,
}

impl Choices<'_> {
    /// The settings that these are.
    ///
    /// # Errors
    /// The directory for qlogs can't be made.
    pub(crate) fn settings(&self) -> Result<Settings, Failure> {
        let mut settings = Settings::default();
        if let Some(path) = self.cacert {
            settings.verification = Verification::RootsFile(path.to_owned());
        }
        if self.insecure {
            settings.verification = Verification::DangerAcceptAny;
        }
        if let Some(timeout) = self.connecting.connect_timeout {
            settings.connections.connect_timeout = timeout;
        }
        if let Some(timeout) = self.connecting.idle_timeout {
            settings.http3.idle_timeout = timeout;
        }
        if let Some(dir) = self.qlog_dir() {
            make_directory(&dir)?;
            settings.http3.qlog_dir = Some(dir);
        }
        let mut addresses = FixedAddresses::new();
        for rule in &self.connecting.resolve {
            addresses.apply(rule.clone());
        }
        settings.resolver = Arc::new(addresses);
        settings.routes = self.connecting.connect_to.iter().cloned().collect();
        Ok(settings)
    }

    /// `--qlog-dir`, else the environment's.
    fn qlog_dir(&self) -> Option<PathBuf> {
        let from_environment = || std::env::var_os("QLOGDIR").filter(|dir| !dir.is_empty());
        self.qlog_dir.map(Path::to_owned).or_else(|| from_environment().map(PathBuf::from))
    }
}

fn make_directory(dir: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(dir).map_err(|error| {
        write_failure(&format!("making the directory {} failed", dir.display()), &error)
    })
}

/// Starts a handler with these choices alone.
///
/// # Errors
/// It can't be started.
pub(crate) fn start(choices: &Choices<'_>) -> Result<HttpHandler, Failure> {
    with_settings(choices.settings()?)
}

/// Starts a handler.
///
/// # Errors
/// It can't be started.
pub(crate) fn with_settings(settings: Settings) -> Result<HttpHandler, Failure> {
    HttpHandler::new(settings).map_err(|error| match error {
        NetError::InvalidRequest(what) => Failure::new(ExitCode::CaCertFile, what),
        error => Failure::new(ExitCode::FailedInit, error.to_string()),
    })
}
