//! The memory behind a pipe's pieces.

use bytes::{Bytes, BytesMut};

use crate::{NetError, Writing};

/// How much is allocated at a time.
const SIZE: usize = 64 * 1024;

/// The unused rest of a piece of memory that is given away bit by bit: no byte is copied from the engine to the
/// consumer, and small pieces share one allocation.
#[derive(Debug, Default)]
pub(crate) struct Segment(BytesMut);

impl Segment {
    /// Lets `read` fill at most `space` bytes, and answers what it says and what it filled.
    pub(crate) fn fill(
        &mut self,
        space: usize,
        read: impl FnOnce(&mut [u8]) -> Result<Writing, NetError>,
    ) -> Result<(Writing, Bytes), NetError> {
        if self.0.is_empty() {
            self.0 = BytesMut::zeroed(SIZE);
        }
        let length = space.min(self.0.len());
        let written = read(self.0.get_mut(..length).unwrap_or_default())?;
        let count = match written {
            Writing::Bytes(count) | Writing::End(count) => count,
            Writing::WouldBlock => 0,
        };
        Ok((written, self.0.split_to(count.min(self.0.len())).freeze()))
    }
}
