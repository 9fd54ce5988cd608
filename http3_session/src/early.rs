//! Early data and tokens for later connections, as the session sees them (necko's `Finish0Rtt`).
//!
//! ```text
//!  in ZeroRtt    may go early ──► sent, has an id ─┬─ Connected ───────► goes on
//!                                                  └─ ZeroRttRejected ─► no id, from the start ─┐
//!                may not ───────► WaitingForConnection ──────── Connected ─► ReadyForWrite ◄────┘
//! ```

use socket_transport::walk::{Step, step};
use transaction::EarlyData;

use crate::{
    session::SessionState, ssl_tokens_cache::ResumptionToken, stream_table::Queue, turn::Turn,
};

/// A server gives out a few tokens; more of them between two looks are of no use.
const MAX_TOKENS: usize = 16;

impl Turn<'_, '_> {
    /// The server threw away what was sent early: those streams begin anew. Each that has an id by now was
    /// sent early.
    pub(crate) fn zero_rtt_rejected(&mut self) {
        if self.core.state != SessionState::ZeroRtt {
            return;
        }
        log::debug!(target: "necko::session", "{}: early data rejected", self.core.host);
        step(Step::ZeroRttRejected);
        self.core.state = SessionState::Initializing;
        self.core.early_data = EarlyData::Rejected;
        for key in self.core.streams.forget_ids() {
            let Some(stream) = self.core.streams.http_mut(key) else { continue };
            match stream.early_data_rejected() {
                Ok(()) => self.core.streams.enqueue(Queue::ReadyForWrite, key),
                Err(error) => self.close_stream(key, Err(error)),
            }
        }
        for queue in [Queue::QueuedStreams, Queue::WaitingForConnection] {
            self.core.streams.requeue(queue, Queue::ReadyForWrite);
        }
    }

    /// The handshake is complete and nothing was said against early data: it is the server's.
    pub(crate) fn early_data_accepted(&mut self) {
        if self.core.state != SessionState::ZeroRtt {
            return;
        }
        self.core.early_data = EarlyData::Accepted;
        for key in self.core.streams.with_ids() {
            if let Some(stream) = self.core.streams.http_mut(key) {
                stream.early_data_accepted();
            }
        }
    }

    pub(crate) fn keep_token(&mut self, token: Option<ResumptionToken>) {
        if self.core.tokens.len() < MAX_TOKENS {
            self.core.tokens.extend(token);
        }
    }
}
