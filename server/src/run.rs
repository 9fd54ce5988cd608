//! From a configuration to a running server, and to its end.

use std::{io, net::SocketAddr, path::PathBuf, time::Duration};

use socket_transport::{Limits, Network, SocketTransportService, UdpOptions};

use crate::{
    Config, Control, Error, Snapshot,
    app::Server,
    events::{Event, Target},
    listener::Listener,
    origin::{Origin, WorkerDisk},
    source::OpenFiles,
    transport::Transport,
};

/// How long the end waits for what workers are doing on the disk.
const PATIENCE_WITH_WORKERS: Duration = Duration::from_secs(10);

/// A server that has just begun to listen.
#[derive(Clone, Debug)]
pub struct Started {
    /// Where: with the port that the system chose, if it was to choose.
    pub address: SocketAddr,
    /// For other threads.
    pub control: Control,
}

/// Runs a server until it is [shut down](Control::shut_down). Returns what was alive afterwards,
/// which should be nothing.
///
/// `started` is called once the socket is bound: clients may connect from then on.
///
/// Thread: the calling thread becomes the socket thread.
pub fn run(config: &Config, started: impl FnOnce(Started)) -> Result<Snapshot, Error> {
    let root = config.root.canonicalize().and_then(|root| {
        // A file, for one, would only fail with the first request.
        std::fs::read_dir(&root).map(|_| root)
    });
    let root = root.map_err(|error| Error::Root { path: config.root.clone(), error })?;
    let uploads = uploads_folder(config)?;
    let transport = Transport::new(config)?;

    // The application has its own deadline, and this one is for an application that misses it.
    let shutdown_deadline = config.shutdown_timeout.saturating_mul(2);
    let limits = Limits { shutdown_deadline, ..Limits::default() };
    let mut service =
        SocketTransportService::<Target, Event>::new(Network::operating_system(), limits)?;
    let listener = Listener::new(config, transport, service.clock().now())?;
    let control = Control::new(service.poster());

    let (mut server, address, workers) = service.with_context(|ctx| {
        let socket = ctx
            .open_udp(Target::Socket, config.listen, UdpOptions::server())
            .map_err(|error| Error::Bind { address: config.listen, error })?;
        let address = ctx.local_addr(socket).unwrap_or(config.listen);
        let disk = WorkerDisk {
            workers: ctx.workers().clone(),
            poster: ctx.poster().clone(),
            open_files: OpenFiles::default(),
        };
        let workers = disk.workers.clone();
        let clock = ctx.clock().clone();
        let origin = Origin::new(config, &root, uploads.as_deref(), disk, clock);
        Ok::<_, Error>((Server::new(config, ctx, socket, listener, origin), address, workers))
    })?;
    log::info!("serving {} on {address} (UDP)", root.display());
    started(Started { address, control });
    service.run(&mut server)?;
    // A worker may hold an unfinished upload, whose file goes with it.
    if !workers.wait_for_end(PATIENCE_WITH_WORKERS) {
        log::warn!("the disk is too slow: unfinished uploads may stay behind");
    }
    if let Some(error) = server.take_failure() {
        return Err(error.into());
    }
    Ok(server.snapshot(service.snapshot()))
}

/// The folder for uploads, canonical.
fn uploads_folder(config: &Config) -> Result<Option<PathBuf>, Error> {
    let Some(path) = &config.uploads else { return Ok(None) };
    let folder = path.canonicalize().and_then(|folder| {
        if folder.is_dir() { Ok(folder) } else { Err(io::ErrorKind::NotADirectory.into()) }
    });
    folder.map(Some).map_err(|error| Error::Uploads { path: path.clone(), error })
}
