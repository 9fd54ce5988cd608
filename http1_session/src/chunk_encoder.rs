//! A request body in chunks (RFC 9112 §7.1).
//!
//! Each chunk is put together before it leaves, so that it becomes one TLS record and not three.

/// What a chunk carries at most. With its frame it fits into one TLS record.
const LARGEST: usize = 16 * 1024 - 16;

/// Frames a body. Holds one chunk.
#[derive(Debug, Default)]
pub(crate) struct ChunkEncoder {
    /// A chunk on its way out.
    chunk: Vec<u8>,
    /// So much of it has left.
    sent: usize,
}

impl ChunkEncoder {
    /// Whether a chunk waits to be sent.
    pub(crate) fn is_pending(&self) -> bool {
        self.sent < self.chunk.len()
    }

    /// Bytes that wait to be sent.
    pub(crate) fn buffered(&self) -> usize {
        self.chunk.len().saturating_sub(self.sent)
    }

    /// Sends what waits. Answers whether all of it has left.
    pub(crate) fn flush(&mut self, send: &mut dyn FnMut(&[u8]) -> usize) -> bool {
        send_all(&self.chunk, &mut self.sent, send)
    }

    /// Makes a chunk of the start of `piece` and sends what it can. Answers how many bytes of `piece` it took:
    /// none while an earlier chunk waits.
    pub(crate) fn encode(&mut self, piece: &[u8], send: &mut dyn FnMut(&[u8]) -> usize) -> usize {
        if piece.is_empty() || !self.flush(send) {
            return 0;
        }
        let data = piece.get(..LARGEST).unwrap_or(piece);
        self.begin();
        self.chunk.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
        self.chunk.extend_from_slice(data);
        self.chunk.extend_from_slice(b"\r\n");
        self.flush(send);
        data.len()
    }

    /// The last chunk, to be flushed. Only when nothing [waits](Self::is_pending).
    pub(crate) fn end(&mut self) {
        self.begin();
        self.chunk.extend_from_slice(b"0\r\n\r\n");
    }

    fn begin(&mut self) {
        self.chunk.clear();
        self.sent = 0;
    }
}

/// Sends what follows the first `at` of `bytes`, and moves `at` on. Answers whether all of it has left.
pub(crate) fn send_all(bytes: &[u8], at: &mut usize, send: &mut dyn FnMut(&[u8]) -> usize) -> bool {
    while let Some(rest) = bytes.get(*at..)
        && !rest.is_empty()
    {
        match send(rest) {
            0 => return false,
            taken => *at += taken.min(rest.len()),
        }
    }
    true
}
