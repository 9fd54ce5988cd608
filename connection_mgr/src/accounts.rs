//! The books: what lists, tables and counters say of each other. Compared after every callback in debug
//! builds, where necko keeps counters beside its lists and asserts now and then.

use std::collections::BTreeSet;

use transaction::{Alpn, ConnectionInfo};

use crate::{entry::ConnectionEntry, mgr::ConnectionMgr};

impl ConnectionMgr {
    /// Compares everything with everything.
    ///
    /// # Errors
    /// The first thing that is wrong, in words.
    pub(crate) fn check_accounts(&self) -> Result<(), String> {
        let mut listed = BTreeSet::new();
        let mut pending = 0;
        for (info, entry) in &self.entries {
            self.check_entry(info, entry, &mut listed).map_err(|what| format!("{info}: {what}"))?;
            pending += entry.pending.len();
        }
        same("connections on lists and in the table", listed.len(), self.connections.len())?;
        same("transactions in queues and in the table", pending, self.waiting.len())?;
        let holding = self.connections.iter().filter(|(_, one)| one.connection.holds_handle());
        same("handles held and handles alive", holding.count(), self.handles.get())?;
        let starved = self.entries.values().filter(|entry| entry.starved).count();
        same("entries that starve and their line", starved, self.starved.len())?;
        let mut joinable = self.coalescing.connections();
        if joinable.any(|key| self.connections.get(key.slot()).is_none()) {
            return Err("a connection that is gone can be joined".into());
        }
        Ok(())
    }

    fn check_entry(
        &self,
        info: &ConnectionInfo,
        entry: &ConnectionEntry,
        listed: &mut BTreeSet<u64>,
    ) -> Result<(), String> {
        if entry.is_empty() {
            return Err("nothing is in it, and it is there".into());
        }
        let (active, connecting) = (entry.active.len(), entry.connecting.len());
        if info.alpn == Alpn::Http3 && (active > 1 && active > connecting || !entry.idle.is_empty())
        {
            let idle = entry.idle.len();
            return Err(format!("{active} active, {connecting} of them connecting, {idle} idle"));
        }
        if entry.connecting.iter().any(|key| !entry.active.contains(key)) {
            return Err("a connection is being made and not active".into());
        }
        if entry.half_open.is_racing() && connecting == 0 {
            return Err("a race that nobody runs in".into());
        }
        for key in entry.connections() {
            let registered = self.connections.get(key.slot());
            if registered.is_none_or(|registered| registered.info != *info) {
                return Err("a listed connection is not in the table".into());
            }
            if !listed.insert(key.slot().serial()) {
                return Err("a connection is listed twice".into());
            }
        }
        if let Some(key) = entry.coalesced {
            let registered = self.connections.get(key.slot());
            if registered.is_none_or(|registered| !registered.guests.contains(info)) {
                return Err("it has joined a connection that doesn't know it".into());
            }
        }
        Ok(())
    }
}

fn same(what: &str, left: usize, right: usize) -> Result<(), String> {
    if left == right { Ok(()) } else { Err(format!("{what}: {left} and {right}")) }
}

#[cfg(test)]
mod tests;
