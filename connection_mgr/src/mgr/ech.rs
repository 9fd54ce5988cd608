//! ECH: configurations that come and change, and servers that want another one (necko's
//! `MaybeUpdateEchConfig` and `PrepareConnInfoForRetry`).

use transaction::{Alpn, ConnectionInfo, EchConfigList, HttpTransaction, NetError};

use super::ConnectionMgr;
use crate::{
    connection::Ctx,
    ech::{DialEch, EchRetry},
    target::ConnectionKey,
};

impl ConnectionMgr {
    /// Gives a host a configuration, before the manager runs.
    pub fn set_ech_config(&mut self, host: &str, config: EchConfigList) {
        self.ech.set(host, Some(config));
    }

    /// What the hello of an entry's next connection says.
    pub(super) fn ech_for(&self, info: &ConnectionInfo) -> DialEch {
        let retry = self.entries.get(info).and_then(|entry| entry.ech_retry.as_ref());
        self.ech.choose(info, retry, self.parts.settings.ech_grease)
    }

    /// An entry's connection failed. Answers whether it was because the server wants another configuration:
    /// then who waits goes on waiting, for a connection with that one.
    pub(super) fn note_ech_retry(&mut self, info: &ConnectionInfo, error: &NetError) -> bool {
        let Some(entry) = self.entries.get_mut(info) else { return false };
        let NetError::EchRetry(config) = error else { return false };
        log::debug!(target: "necko::mgr", "{info}: another try, with {config:?} for ECH");
        entry.ech_retry = Some(EchRetry(config.clone()));
        true
    }

    /// A host has another configuration: what is not in use is not used with the old one.
    pub(super) fn ech_config_changed(
        &mut self,
        ctx: &mut Ctx<'_>,
        host: &str,
        config: Option<EchConfigList>,
    ) {
        if !self.ech.set(host, config) {
            return;
        }
        let concerned = |info: &&ConnectionInfo| info.host().eq_ignore_ascii_case(host);
        let infos: Vec<_> = self.entries.keys().filter(concerned).cloned().collect();
        for info in infos {
            let Some(entry) = self.entries.get_mut(&info) else { continue };
            entry.ech_retry = None;
            for key in entry.connections().collect::<Vec<_>>() {
                self.give_up_if_unused(ctx, &info, key);
            }
            self.process_pending_queue(ctx, &info);
        }
    }

    /// Closes a connection that is idle or not made yet. What it was made for goes again.
    fn give_up_if_unused(&mut self, ctx: &mut Ctx<'_>, info: &ConnectionInfo, key: ConnectionKey) {
        let Some(registered) = self.connections.get(key.slot()) else { return };
        let connecting = registered.connection.is_connecting();
        let Some(entry) = self.entries.get_mut(info) else { return };
        if entry.idle.contains(&key) {
            self.remove_connection(ctx, key);
        } else if connecting {
            // Not as a failure of the entry's: another one is dialled in its place.
            entry.make_draining(key);
            let reason = "the host has another ECH configuration".into();
            self.with_connection(ctx, key, |connection, ctx| {
                connection.close_transaction(ctx, NetError::NetReset { reason });
            });
        } else if registered.connection.is_unused() {
            self.with_connection(ctx, key, |connection, _| connection.dont_reuse());
        }
    }

    /// A request that goes again over a protocol which this program does not speak ends as the server ended
    /// it.
    pub(super) fn can_be_dialled(
        &self,
        transaction: Box<HttpTransaction>,
    ) -> Option<Box<HttpTransaction>> {
        if transaction.connection_info().alpn == Alpn::Http3 || self.parts.others.is_some() {
            return Some(transaction);
        }
        transaction.fail(NetError::NetInterrupt { code: transaction::ErrorCode::VERSION_FALLBACK });
        None
    }
}
