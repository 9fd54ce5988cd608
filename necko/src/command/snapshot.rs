//! `--snapshot`: what is alive, as JSON.

use std::{path::PathBuf, sync::Arc};

use necko::HttpHandler;

use super::{
    exit_code::ExitCode,
    output::Sink,
    report::{Failure, complain},
    temporary::Unfinished,
};

/// Where snapshots go, and of what.
pub(crate) struct SnapshotFile {
    path: PathBuf,
    handler: Arc<HttpHandler>,
    unfinished: Arc<Unfinished>,
}

impl SnapshotFile {
    pub(crate) fn new(
        path: PathBuf,
        handler: Arc<HttpHandler>,
        unfinished: Arc<Unfinished>,
    ) -> Self {
        Self { path, handler, unfinished }
    }

    /// Replaces the file by one about this moment.
    ///
    /// # Errors
    /// The handler is gone, or the file can't be written.
    pub(crate) fn write(&self) -> Result<(), Failure> {
        let snapshot = self.handler.snapshot()?;
        let mut json = serde_json::to_vec_pretty(&snapshot)
            .map_err(|error| Failure::new(ExitCode::Internal, error.to_string()))?;
        json.push(b'\n');
        let mut sink = Sink::open_file(&self.path, &self.unfinished)?;
        sink.write(&json)?;
        sink.finish()
    }

    pub(crate) fn write_or_complain(&self) {
        if let Err(failure) = self.write() {
            complain(&failure);
        }
    }
}
