//! What becomes of request bodies: the folder for uploads, if there is one, and the limits.

use std::{path::Path, sync::Arc};

use crate::{
    Config,
    counter::Counter,
    requests::Request,
    source::{Allowance, OpenFiles},
    store::{Destination, Done, Failure, Job, Place, Store},
    transfers::{CHUNK, PLENTY, SMALL_CHUNK},
    uploads::Upload,
};

/// Takes bodies in.
pub(crate) struct Intake {
    /// Where bodies are stored, canonical. Without it they are thrown away.
    root: Option<Arc<Path>>,
    /// The longest body, in bytes.
    max_body: u64,
    /// Uploads to be stored at once, also those that workers still clean up behind.
    max_unfinished: usize,
    unfinished: Counter,
    /// Bytes in the buffers of all uploads, wherever these are.
    held: Counter,
    open_files: OpenFiles,
}

impl Intake {
    /// `root` must be canonical.
    pub(crate) fn new(config: &Config, root: Option<&Path>, open_files: OpenFiles) -> Self {
        Self {
            root: root.map(Arc::from),
            max_body: config.max_upload.unwrap_or(u64::MAX),
            max_unfinished: config.max_transfers,
            unfinished: Counter::default(),
            held: Counter::default(),
            open_files,
        }
    }

    /// A request with a body has come. Refuses it where that can be seen from its head.
    pub(crate) fn begin(
        &self,
        place: Place,
        request: &Request,
        store: &mut impl Store,
    ) -> Result<Upload, Failure> {
        if request.content_length.is_some_and(|length| length > self.max_body) {
            return Err(Failure::too_large());
        }
        let Some(root) = &self.root else {
            return Ok(Upload::counting(place, request, self.max_body));
        };
        if request.is_partial {
            // To store a part as if it were the whole would be wrong (RFC 9110, 14.5).
            return Err(Failure { status: 400, text: "parts of files can't be uploaded" });
        }
        if self.unfinished.count() >= self.max_unfinished {
            let text = "too many uploads at once, try again later";
            return Err(Failure { status: 503, text });
        }
        let destination = Destination {
            root: Arc::clone(root),
            target: request.target()?,
            is_post: request.is_post,
            conditions: request.conditions.clone(),
            open_files: self.open_files.clone(),
            counted: self.unfinished.add(1),
        };
        let max = self.max_body;
        Ok(Upload::storing(place, request, max, destination, &self.held, store))
    }

    /// How much an upload may collect.
    pub(crate) fn allowance(&self) -> Allowance {
        let plenty = self.held.count() > PLENTY;
        Allowance { chunk: if plenty { SMALL_CHUNK } else { CHUNK }, ahead: !plenty }
    }

    /// The reply of a worker has found nobody.
    pub(crate) fn nobody_waits(place: Place, done: Done, store: &mut impl Store) {
        if let Done::Ready { partial, .. } = done {
            store.submit(place, Job::Discard(partial));
        }
    }

    /// Uploads that were begun to be stored and of which something is left.
    pub(crate) fn unfinished(&self) -> usize {
        self.unfinished.count()
    }

    /// Bytes in the buffers of uploads.
    pub(crate) fn held(&self) -> usize {
        self.held.count()
    }
}
