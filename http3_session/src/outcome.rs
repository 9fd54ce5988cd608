//! What a session's entry methods answer.

use transaction::NetError;

/// Why a session has to be closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseCause {
    /// It failed, or was told to end, with this error for what was running on it.
    Failed(NetError),
    /// It was closing and the engine says that it has ended.
    Ended,
}

/// The answer of a session's entry methods; the connection turns a close into one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a session that asks to be closed must be closed, or nothing on it ever ends"]
pub enum Outcome {
    /// Goes on.
    Open,
    /// To be closed now.
    Close(CloseCause),
}

impl From<Result<(), CloseCause>> for Outcome {
    fn from(result: Result<(), CloseCause>) -> Self {
        match result {
            Ok(()) => Self::Open,
            Err(cause) => Self::Close(cause),
        }
    }
}

impl From<NetError> for CloseCause {
    fn from(error: NetError) -> Self {
        Self::Failed(error)
    }
}
