//! What is alive, for tests that nothing is left, and for whoever looks at a running server.

use std::{ffi::OsString, fs, io, path::Path, process};

use serde_json::{Value, json};
use socket_transport::ServiceSnapshot;

use crate::{LimitTotals, RequestTotals, TransferTotals};

/// Everything that the server holds at a moment, and what it has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Connections, also those that only linger after their end.
    pub connections: usize,
    /// Of these, not established yet.
    pub handshaking: usize,
    /// Ids under which connections are found.
    pub connection_ids: usize,
    /// Request streams that are not over in both directions.
    pub streams: usize,
    /// Responses on their way out.
    pub transfers: usize,
    /// Request bodies on their way in.
    pub uploads: usize,
    /// Uploads to be stored of which something is left: a temporary file, or a worker's job.
    pub uploads_unfinished: usize,
    /// Bytes of uploads in memory, also those that workers are writing.
    pub uploads_buffered_bytes: usize,
    /// Open files.
    pub files_open: usize,
    /// Bytes that transfers hold in memory.
    pub buffered_bytes: usize,
    /// Connections accepted so far.
    pub accepted: u64,
    /// Datagrams that belonged to no connection and opened none.
    pub datagrams_dropped: u64,
    /// Requests so far.
    pub requests: RequestTotals,
    /// Responses so far.
    pub responses: TransferTotals,
    /// What limits did so far.
    pub limits: LimitTotals,
    /// The socket thread's own view.
    pub service: ServiceSnapshot,
}

impl Snapshot {
    /// Whether nothing is alive that belongs to a client.
    pub fn is_empty(&self) -> bool {
        let counts = [
            self.connections,
            self.connection_ids,
            self.streams,
            self.transfers,
            self.uploads,
            self.uploads_unfinished,
            self.uploads_buffered_bytes,
            self.files_open,
            self.buffered_bytes,
        ];
        counts.iter().all(|count| *count == 0)
    }

    /// As JSON.
    pub fn to_json(&self) -> Value {
        let traffic = &self.service.traffic;
        json!({
            "connections": self.connections,
            "handshaking": self.handshaking,
            "connection_ids": self.connection_ids,
            "streams": self.streams,
            "transfers": self.transfers,
            "uploads": self.uploads,
            "uploads_unfinished": self.uploads_unfinished,
            "uploads_buffered_bytes": self.uploads_buffered_bytes,
            "files_open": self.files_open,
            "buffered_bytes": self.buffered_bytes,
            "totals": {
                "connections": self.accepted,
                "datagrams_dropped": self.datagrams_dropped,
                "requests": self.requests.requests,
                "uploads": self.requests.uploads,
                "uploads_stored": self.requests.uploads_stored,
                "uploads_cancelled": self.requests.uploads_cancelled,
                "upload_bytes": self.requests.upload_bytes,
                "responses_completed": self.responses.completed,
                "responses_cancelled": self.responses.cancelled,
                "responses_failed": self.responses.failed,
                "response_bytes": self.responses.body_bytes,
            },
            "limits": {
                "connections_excessive": self.limits.excessive,
                "requests_cancelled": self.limits.cancels,
                "requests_rejected": self.limits.rejected,
                "heads_too_large": self.limits.heads_too_large,
                "heads_stalled": self.limits.heads_stalled,
                "uploads_stalled": self.limits.uploads_stalled,
                "downloads_stalled": self.limits.downloads_stalled,
            },
            "service": {
                "turns": self.service.turns,
                "sockets": self.service.sockets,
                "blocked_sockets": self.service.blocked_sockets,
                "timers": self.service.timers,
                "armed_timers": self.service.armed_timers,
                "posted_events": self.service.posted_events,
                "wakers": self.service.wakers,
                "jobs_in_flight": self.service.jobs_in_flight,
                "bytes_received": traffic.bytes_received,
                "bytes_sent": traffic.bytes_sent,
                "datagrams_received": traffic.datagrams_received,
                "datagrams_sent": traffic.datagrams_sent,
                "gso_sends": traffic.gso_sends,
                "would_blocks": traffic.would_blocks,
                "dropped_sends": traffic.dropped_sends,
                "network_errors": traffic.network_errors,
            },
        })
    }

    /// Writes the JSON to a file, as a whole or not at all: whoever waits for the file never reads
    /// half of it.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let mut name = path.file_name().map_or_else(|| OsString::from("snapshot"), OsString::from);
        name.push(format!(".{}.new", process::id()));
        let new = path.with_file_name(name);
        let result = fs::write(&new, format!("{:#}\n", self.to_json()))
            .and_then(|()| fs::rename(&new, path));
        if result.is_err() {
            // Best effort: the error that counts is the first one.
            let _ = fs::remove_file(&new);
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_written_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("alive.json");
        fs::write(&path, "old").unwrap();
        let snapshot = Snapshot { transfers: 7, ..Snapshot::default() };
        assert!(!snapshot.is_empty() && Snapshot::default().is_empty());
        snapshot.write(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["transfers"], 7);
        assert_eq!(value["service"]["sockets"], 0);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        assert!(snapshot.write(&directory.path().join("missing/alive.json")).is_err());
    }
}
