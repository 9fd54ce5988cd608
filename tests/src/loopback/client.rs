//! The library under test, as most tests use it.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use necko::{
    ConnectTo, ConnectionLimits, FixedAddresses, HttpHandler, NetError, PendingResponse,
    PinnedKeys, Response, ResponseBody, Settings, Snapshot, Verification,
};

use super::{
    pattern,
    time::{DEADLINE, block_on, wait_until},
};

/// Settings that are being put together.
#[derive(Clone)]
pub struct Client {
    settings: Settings,
    addresses: FixedAddresses,
}

impl Client {
    /// Trusts the certificates of a PEM file alone.
    pub fn trusting(ca: &Path) -> Self {
        Self::verifying(Verification::RootsFile(ca.to_owned()))
    }

    /// Trusts whom this says.
    pub fn verifying(verification: Verification) -> Self {
        let settings = Settings { verification, ..Settings::default() };
        Self { settings, addresses: FixedAddresses::new() }
    }

    /// Demands one of these keys besides, if there are any.
    #[must_use]
    pub fn pinning(mut self, keys: Option<PinnedKeys>) -> Self {
        self.settings.pinned_keys = keys;
        self
    }

    /// Connects to this address, whatever the URL says.
    #[must_use]
    pub fn through(mut self, address: SocketAddr) -> Self {
        let rule: ConnectTo =
            format!("::{}:{}", address.ip(), address.port()).parse().expect("a rule");
        self.settings.routes = [rule].into_iter().collect();
        self
    }

    /// Names the addresses of a host.
    #[must_use]
    pub fn at(mut self, host: &str, addresses: &[SocketAddr]) -> Self {
        let port = addresses.first().map_or(443, SocketAddr::port);
        self.addresses.set(host, port, addresses.to_vec());
        self
    }

    /// Names one of localhost's addresses, so that it doesn't matter how this machine orders them.
    #[must_use]
    pub fn to(self, address: SocketAddr) -> Self {
        self.at("localhost", &[address])
    }

    /// Ends connections after so much silence.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.settings.http3.idle_timeout = timeout;
        self
    }

    /// Limits connections.
    #[must_use]
    pub fn connections(mut self, limits: ConnectionLimits) -> Self {
        self.settings.connections = limits;
        self
    }

    /// Changes any setting.
    #[must_use]
    pub fn settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Opens so many sockets at most.
    #[must_use]
    pub fn max_sockets(mut self, most: usize) -> Self {
        self.settings.max_sockets = most;
        self
    }

    /// Starts a handler.
    #[track_caller]
    pub fn start(mut self) -> HttpHandler {
        self.settings.resolver = Arc::new(self.addresses);
        HttpHandler::new(self.settings).expect("a handler")
    }
}

/// Waits for a response's head.
///
/// # Errors
/// How the request failed.
#[track_caller]
pub fn fetch(pending: Result<PendingResponse, NetError>) -> Result<Response, NetError> {
    block_on(DEADLINE, pending?)
}

/// Reads a body to its end and compares it with the pattern; answers its length.
///
/// # Errors
/// How the response broke off.
#[track_caller]
pub fn read_to_end(response: Response) -> Result<u64, NetError> {
    let mut body = response.into_body();
    let mut check = pattern::Check::new();
    while let Some(piece) = block_on(DEADLINE, body.chunk())? {
        check.take(&piece);
    }
    Ok(check.length())
}

/// Reads a body to its end; answers its bytes.
///
/// # Errors
/// How the response broke off.
#[track_caller]
pub fn read_all(body: &mut ResponseBody) -> Result<Vec<u8>, NetError> {
    let mut bytes = Vec::new();
    while let Some(piece) = block_on(DEADLINE, body.chunk())? {
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// Waits until nothing is alive on the handler's socket thread.
#[track_caller]
pub fn wait_until_empty(handler: &HttpHandler) -> Snapshot {
    wait_until(DEADLINE, "nothing is alive on the socket thread", || {
        let snapshot = handler.snapshot().expect("it answers");
        snapshot.expect_empty().is_ok().then_some(snapshot)
    })
}
