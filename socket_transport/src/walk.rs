//! The walk: the chain of calls that a datagram, a timer or a cancellation makes through the layers.
//!
//! ```text
//!   on_socket_ready → on_packet_received → recv_data → process_slow_consumers → process_input
//!     → process_events → write_segments → … → process_output → ready_for_write → send_data → …
//! ```
//!
//! And the end of a connection, whose five variants `tests/tests/simulated/five_endings.rs` tells:
//!
//! ```text
//!   close_transaction → session_close (each of its streams: close_stream) → close_engine: CONNECTION_CLOSE
//!     is the next output → … the closing period … → session_closed → handle_dropped → connection_close:
//!     timer and socket are let go → on_socket_detached → reclaim_connection → process_pending_queue
//! ```
//!
//! Each layer calls [`step`] where the walk enters it. The steps go to the log (`debug`, target
//! `necko::walk`; the program's `-v` shows them), and to a recorder with which a test compares the
//! order. The service itself records [`Step::OnSocketReady`] and [`Step::OnSocketDetached`].

use std::{
    cell::{Cell, RefCell},
    fmt, mem,
};

/// A place on the walk. Displayed under necko's name in Rust's case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is the method of that name")]
pub enum Step {
    OnSocketReady,
    OnSocketDetached,
    OnPacketReceived,
    OnStopListening,
    Activate,
    RecvData,
    ProcessSlowConsumers,
    ProcessInput,
    ProcessEvents,
    WriteSegments,
    ProcessOutput,
    ReadyForWrite,
    SendData,
    ReadSegments,
    OnQuicTimeoutExpired,
    TransactionHasDataToWrite,
    TransactionHasDataToRecv,
    CloseTransaction,
    CloseStream,
    ZeroRttRejected,
    SessionConnected,
    SessionClose,
    CloseEngine,
    SessionClosed,
    HandleDropped,
    ConnectionClose,
    ReclaimConnection,
    ProcessPendingQueue,
    /// A place without a name of its own here.
    Other(&'static str),
}

impl Step {
    /// The method's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::OnSocketReady => "on_socket_ready",
            Self::OnSocketDetached => "on_socket_detached",
            Self::OnPacketReceived => "on_packet_received",
            Self::OnStopListening => "on_stop_listening",
            Self::Activate => "activate",
            Self::RecvData => "recv_data",
            Self::ProcessSlowConsumers => "process_slow_consumers",
            Self::ProcessInput => "process_input",
            Self::ProcessEvents => "process_events",
            Self::WriteSegments => "write_segments",
            Self::ProcessOutput => "process_output",
            Self::ReadyForWrite => "ready_for_write",
            Self::SendData => "send_data",
            Self::ReadSegments => "read_segments",
            Self::OnQuicTimeoutExpired => "on_quic_timeout_expired",
            Self::TransactionHasDataToWrite => "transaction_has_data_to_write",
            Self::TransactionHasDataToRecv => "transaction_has_data_to_recv",
            Self::CloseTransaction => "close_transaction",
            Self::CloseStream => "close_stream",
            Self::ZeroRttRejected => "zero_rtt_rejected",
            Self::SessionConnected => "session_connected",
            Self::SessionClose => "session_close",
            Self::CloseEngine => "close_engine",
            Self::SessionClosed => "session_closed",
            Self::HandleDropped => "handle_dropped",
            Self::ConnectionClose => "connection_close",
            Self::ReclaimConnection => "reclaim_connection",
            Self::ProcessPendingQueue => "process_pending_queue",
            Self::Other(name) => name,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

thread_local! {
    /// Whether [`record`] runs on this thread: one byte to look at for each step.
    static RECORDING: Cell<bool> = const { Cell::new(false) };
    static STEPS: RefCell<Vec<Step>> = const { RefCell::new(Vec::new()) };
}

/// Marks a place on the walk. With neither log nor recorder on it costs two comparisons.
#[inline]
pub fn step(step: Step) {
    log::debug!(target: "necko::walk", "{step}");
    if RECORDING.get() {
        STEPS.with_borrow_mut(|steps| steps.push(step));
    }
}

/// Runs `f` and returns the steps that this thread made meanwhile. May be nested: the inner call
/// takes its steps out of the outer one.
pub fn record(f: impl FnOnce()) -> Vec<Step> {
    let _recording = Recording::start();
    f();
    STEPS.take()
}

/// The recorder while it is on; dropping it puts the outer one back, also when `f` panics.
struct Recording {
    outer: Vec<Step>,
    was_on: bool,
}

impl Recording {
    fn start() -> Self {
        Self { outer: STEPS.take(), was_on: RECORDING.replace(true) }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        STEPS.set(mem::take(&mut self.outer));
        RECORDING.set(self.was_on);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_steps_of_this_thread_in_order() {
        step(Step::RecvData);
        let steps = record(|| {
            step(Step::OnSocketReady);
            std::thread::spawn(|| step(Step::SendData)).join().unwrap();
            step(Step::Other("elsewhere"));
        });
        assert_eq!(steps, [Step::OnSocketReady, Step::Other("elsewhere")]);
        assert_eq!(record(|| ()), []);
    }

    #[test]
    fn a_nested_recorder_keeps_its_steps_to_itself() {
        let mut inner = Vec::new();
        let outer = record(|| {
            step(Step::Activate);
            inner = record(|| step(Step::RecvData));
            step(Step::SendData);
        });
        assert_eq!(inner, [Step::RecvData]);
        assert_eq!(outer, [Step::Activate, Step::SendData]);
    }

    #[test]
    fn names_are_neckos() {
        assert_eq!(Step::OnQuicTimeoutExpired.to_string(), "on_quic_timeout_expired");
    }
}
