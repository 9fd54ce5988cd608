//! What connections leave for later ones to begin with, and who gets it.

use http3_session::{PeerId, ResumptionToken, SslTokensCache};
use transaction::{Alpn, ConnectionInfo};

use super::ConnectionMgr;
use crate::connection::Ctx;

impl ConnectionMgr {
    /// What its connections left; it has nothing of it any more.
    pub fn take_tokens(&mut self) -> SslTokensCache {
        std::mem::take(&mut self.tokens)
    }

    /// Gives the manager what connections of another one left.
    pub fn set_tokens(&mut self, tokens: SslTokensCache) {
        self.tokens = tokens;
    }

    fn peer_id(&self, info: &ConnectionInfo) -> PeerId {
        PeerId::new(info, &self.parts.verifier.policy())
    }

    /// A connection that goes on from another one isn't verified: what is verified in a way of its own always
    /// begins anew.
    fn may_resume(&self, info: &ConnectionInfo) -> bool {
        self.parts.settings.resumption
            && self.entries.get(info).is_none_or(|entry| entry.verifier.is_none())
    }

    /// Something for a new connection to begin with. Nobody else gets the same.
    pub(super) fn take_token(
        &mut self,
        ctx: &Ctx<'_>,
        info: &ConnectionInfo,
    ) -> Option<ResumptionToken> {
        if info.alpn != Alpn::Http3 || !self.may_resume(info) {
            return None;
        }
        let peer = self.peer_id(info);
        self.tokens.get(&peer, ctx.now())
    }

    /// Keeps what a connection to `info` gave out.
    pub(super) fn keep_tokens(
        &mut self,
        ctx: &Ctx<'_>,
        info: &ConnectionInfo,
        tokens: Vec<ResumptionToken>,
    ) {
        if tokens.is_empty() || !self.may_resume(info) {
            return;
        }
        let peer = self.peer_id(info);
        for token in tokens {
            self.tokens.put(&peer, token, ctx.now());
        }
    }

    /// Something failed that may have to do with how connections to `info` begin: the next one begins anew
    /// (necko's `SSLTokensCache::RemoveAll` in a restart).
    pub(super) fn forget_tokens(&mut self, info: &ConnectionInfo) {
        let peer = self.peer_id(info);
        self.tokens.remove_all(&peer);
    }
}
