//! Request bodies.

use bytes::Bytes;

/// What an application sends with a request.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum RequestBody {
    /// Nothing: the request ends with its head.
    #[default]
    Empty,
    /// Bytes in memory; can be sent again from the start.
    Bytes(Bytes),
}

impl RequestBody {
    /// How many bytes it has, where that is known before it is sent.
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::Empty => Some(0),
            Self::Bytes(bytes) => Some(bytes.len() as u64),
        }
    }
}

impl<T: Into<Bytes>> From<T> for RequestBody {
    fn from(bytes: T) -> Self {
        let bytes = bytes.into();
        if bytes.is_empty() { Self::Empty } else { Self::Bytes(bytes) }
    }
}

/// A body on its way out: what it is and how far it got.
#[derive(Debug)]
pub(crate) struct BodyReader {
    body: RequestBody,
    sent: usize,
}

impl BodyReader {
    pub(crate) fn new(body: RequestBody) -> Self {
        Self { body, sent: 0 }
    }

    /// The bytes that come next; none when the body is at its end.
    pub(crate) fn next_bytes(&self) -> &[u8] {
        match &self.body {
            RequestBody::Empty => &[],
            RequestBody::Bytes(bytes) => bytes.get(self.sent..).unwrap_or_default(),
        }
    }

    pub(crate) fn advance(&mut self, taken: usize) {
        self.sent += taken.min(self.next_bytes().len());
    }

    pub(crate) fn rewind(&mut self) {
        self.sent = 0;
    }
}
