//! What the server serves, and the transfers that are under way: shared by all connections.

use std::{path::Path, rc::Rc, sync::Arc, time::SystemTime};

use socket_transport::{Clock, Poster, Workers};

use crate::{
    Config,
    conditions::Conditions,
    connection::Connection,
    events::{Event, Target},
    files::{self, Opened, Refusal},
    intake::Intake,
    keyed::Key,
    pattern::Pattern,
    priority::Priority,
    representation::Representation,
    requests::{Method, Request},
    response::Response,
    source::{OpenFiles, ReadJob},
    store::{Job, Place, Store, Stored},
    transfers::{Disk, TransferKey, Transfers},
};

/// How many requests came, and what was answered at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestTotals {
    /// Requests whose head arrived.
    pub requests: u64,
    /// Request bodies that arrived whole.
    pub uploads: u64,
    /// Of these, stored under their name.
    pub uploads_stored: u64,
    /// Bytes of request bodies.
    pub upload_bytes: u64,
    /// Request bodies that the client took back.
    pub uploads_cancelled: u64,
}

/// The folder, the pattern, the workers, and all pending transfers.
pub(crate) struct Origin {
    pub(crate) transfers: Transfers,
    pub(crate) totals: RequestTotals,
    pub(crate) disk: WorkerDisk,
    pub(crate) intake: Intake,
    /// Where bodies are read to, before they are kept or not.
    pub(crate) scratch: Box<[u8]>,
    root: Arc<Path>,
    /// Whether a folder without an index shows what is in it.
    list: bool,
    /// There if generated bodies are served.
    pattern: Option<Rc<Pattern>>,
    clock: Clock,
    max_transfers: usize,
}

/// What a worker needs to know about the request for a file, and brings back.
#[derive(Debug)]
pub(crate) struct Wanted {
    method: Method,
    conditions: Conditions,
    priority: Priority,
}

impl Origin {
    /// The folder to serve and the one for uploads must be canonical.
    pub(crate) fn new(
        config: &Config,
        root: &Path,
        uploads: Option<&Path>,
        disk: WorkerDisk,
        clock: Clock,
    ) -> Self {
        Self {
            intake: Intake::new(config, uploads, disk.open_files.clone()),
            list: config.list,
            transfers: Transfers::new(),
            totals: RequestTotals::default(),
            disk,
            scratch: vec![0; 64 * 1024].into_boxed_slice(),
            root: Arc::from(root),
            pattern: config.test_bodies.then(|| Rc::new(Pattern::new())),
            clock,
            max_transfers: config.max_transfers,
        }
    }

    /// Begins the answer to a GET or HEAD request.
    pub(crate) fn serve(&mut self, owner: Key<Connection>, stream: u64, request: Request) {
        if self.transfers.len() >= self.max_transfers {
            let text = "too many transfers at once, try again later";
            return self.text(owner, stream, request.method, 503, text);
        }
        let now = self.clock.wall();
        if let Some(response) = self.generated(&request, now) {
            let response = response.for_method(request.method).with_priority(request.priority);
            self.transfers.insert(owner, stream, response);
            return;
        }
        match request.target() {
            Ok(target) => {
                let transfer = self.transfers.insert_opening(owner, stream);
                let Request { method, conditions, priority, .. } = request;
                let wanted = Wanted { method, conditions, priority };
                self.disk.open(transfer, Arc::clone(&self.root), target, self.list, wanted);
            }
            Err(refusal) => {
                let response = Response::refusal(&refusal, now).for_method(request.method);
                self.transfers.insert(owner, stream, response);
            }
        }
    }

    /// `/bytes/N`.
    fn generated(&self, request: &Request, now: SystemTime) -> Option<Response> {
        let pattern = self.pattern.as_ref()?;
        let length = request.path.strip_prefix(b"/bytes/")?;
        let plain = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
        let length = str::from_utf8(length).ok().filter(|_| plain).and_then(|n| n.parse().ok());
        Some(match length.filter(|length| *length < 1 << 62) {
            Some(length) => Representation::generated(length, pattern).answer(
                request.method,
                &request.conditions,
                now,
            ),
            None => Response::text(400, "/bytes/ must be followed by a number of bytes", now),
        })
    }

    /// Answers with a short text.
    pub(crate) fn text(
        &mut self,
        owner: Key<Connection>,
        stream: u64,
        method: Method,
        status: u16,
        text: &str,
    ) {
        let response = Response::text(status, text, self.clock.wall()).for_method(method);
        self.transfers.insert(owner, stream, response);
    }

    /// Answers an upload.
    pub(crate) fn received(
        &mut self,
        owner: Key<Connection>,
        stream: u64,
        length: u64,
        priority: Priority,
    ) {
        self.totals.uploads += 1;
        let response = Response::received(length, self.clock.wall()).with_priority(priority);
        self.transfers.insert(owner, stream, response);
    }

    /// Answers an upload that has its name now.
    pub(crate) fn stored(
        &mut self,
        owner: Key<Connection>,
        stream: u64,
        stored: &Stored,
        priority: Priority,
    ) {
        self.totals.uploads += 1;
        self.totals.uploads_stored += 1;
        let response = Response::stored(stored, self.clock.wall()).with_priority(priority);
        self.transfers.insert(owner, stream, response);
    }

    /// A worker has found the file, or not. Returns the stream that can go on.
    pub(crate) fn opened(
        &mut self,
        transfer: TransferKey,
        result: Result<Opened, Refusal>,
        wanted: &Wanted,
    ) -> Option<(Key<Connection>, u64)> {
        let now = self.clock.wall();
        let response = match result {
            Ok(Opened::File(found)) => {
                Representation::file(found, now).answer(wanted.method, &wanted.conditions, now)
            }
            Ok(Opened::Listing(page)) => Response::page(page, now),
            Err(refusal) => Response::refusal(&refusal, now),
        };
        let response = response.for_method(wanted.method).with_priority(wanted.priority);
        self.transfers.opened(transfer, response)
    }
}

/// Hands what waits for the disk to the workers. Each transfer has one job at a time.
pub(crate) struct WorkerDisk {
    pub(crate) workers: Workers,
    pub(crate) poster: Poster<Target, Event>,
    pub(crate) open_files: OpenFiles,
}

impl WorkerDisk {
    fn open(
        &self,
        transfer: TransferKey,
        root: Arc<Path>,
        target: files::Target,
        list: bool,
        wanted: Wanted,
    ) {
        let (poster, open_files) = (self.poster.clone(), self.open_files.clone());
        self.workers.run(Box::new(move || {
            let result = files::open(&root, &target, list, &open_files);
            poster.post(Event::Opened { transfer, result, wanted });
        }));
    }
}

impl Disk for WorkerDisk {
    fn read(&mut self, transfer: TransferKey, job: ReadJob) {
        let poster = self.poster.clone();
        self.workers.run(Box::new(move || {
            poster.post(Event::Read { transfer, done: job.run() });
        }));
    }
}

impl Store for WorkerDisk {
    fn submit(&mut self, place: Place, job: Job) {
        let poster = self.poster.clone();
        self.workers.run(Box::new(move || {
            poster.post(Event::Stored { place, done: job.run() });
        }));
    }
}
