//! Whether a pipe still exists: what a test asks that nothing is left.

use std::{
    any::Any,
    fmt,
    sync::{Arc, Weak},
};

/// Tells whether a pipe is still held by anybody. It keeps nothing alive, and counts nothing itself: it
/// asks the reference count, so it can't agree with a snapshot by sharing its mistake.
#[derive(Clone)]
pub struct Witness(Weak<dyn Any + Send + Sync>);

impl Witness {
    pub(crate) fn of<P: Any + Send + Sync>(pipe: &Arc<P>) -> Self {
        let weak: Weak<P> = Arc::downgrade(pipe);
        Self(weak)
    }

    /// Whether anybody holds an end of the pipe.
    pub fn is_alive(&self) -> bool {
        self.0.strong_count() > 0
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Witness").field("is_alive", &self.is_alive()).finish()
    }
}
