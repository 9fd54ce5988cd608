//! Bytes of request bodies on their way to the disk, counted wherever they are.

use crate::counter::{Counted, Counter};

/// A buffer that a counter knows of.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    total: Counter,
    counted: Counted,
}

impl Buffer {
    /// An empty buffer without memory.
    pub(crate) fn new(total: &Counter) -> Self {
        Self { bytes: Vec::new(), total: total.clone(), counted: total.add(0) }
    }

    /// Another one that the same counter knows of.
    pub(crate) fn another(&self) -> Self {
        Self::new(&self.total)
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    /// Adds bytes. The memory grows by doubling, but not beyond `limit` unless it has to.
    pub(crate) fn push(&mut self, bytes: &[u8], limit: usize) {
        let needed = self.bytes.len().saturating_add(bytes.len());
        if needed > self.bytes.capacity() {
            let wanted = self.bytes.capacity().saturating_mul(2).min(limit).max(needed);
            self.bytes.reserve_exact(wanted.saturating_sub(self.bytes.len()));
            self.counted.set(self.bytes.capacity());
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Forgets the bytes and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_grows_up_to_the_limit_and_is_counted() {
        let total = Counter::default();
        let mut buffer = Buffer::new(&total);
        while buffer.len() < 1000 {
            buffer.push(b"0123456789", 1000);
            assert!((buffer.len()..=1000).contains(&total.count()), "{}", total.count());
        }
        buffer.push(b"more", 1000);
        assert_eq!((buffer.len(), total.count()), (1004, 1004));
        buffer.clear();
        assert!(buffer.is_empty() && buffer.as_slice().is_empty());
        assert_eq!(total.count(), 1004);
        drop(buffer);
        assert_eq!(total.count(), 0);
    }
}
