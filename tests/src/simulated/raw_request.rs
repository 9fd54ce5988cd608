//! A request as a [`RawConnection`](super::RawConnection) sees it.

use neqo_common::{Decoder, Header};
use neqo_qpack::{QPackDecoder, QpackSettings};
use neqo_transport::StreamId;

pub(super) const DATA: u64 = 0x0;
pub(super) const HEADERS: u64 = 0x1;

/// A request as it came.
#[derive(Debug)]
pub struct RawRequest {
    /// Its stream.
    pub stream: StreamId,
    /// All fields; none until the head is complete.
    pub headers: Vec<Header>,
    /// Bytes of its body so far.
    pub body: u64,
    /// Whether it has ended.
    pub fin: bool,
    /// `RESET_STREAM` of the client.
    pub reset: Option<u64>,
    /// `STOP_SENDING` of the client.
    pub stopped: Option<u64>,
    /// For whoever answers it later.
    pub answered: bool,
    /// What does not make a frame yet.
    unparsed: Vec<u8>,
}

impl RawRequest {
    pub(super) fn new(stream: StreamId) -> Self {
        Self {
            stream,
            headers: Vec::new(),
            body: 0,
            fin: false,
            reset: None,
            stopped: None,
            answered: false,
            unparsed: Vec::new(),
        }
    }

    /// A field of the head.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.name() == name).map(Header::value)
    }

    /// `:path`.
    pub fn path(&self) -> &str {
        self.field(":path").unwrap_or_default()
    }

    /// Takes the next bytes of its stream.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.unparsed.extend_from_slice(bytes);
        loop {
            let mut decoder = Decoder::new(&self.unparsed);
            let Some(kind) = decoder.decode_varint() else { return };
            let Some(content) = decoder.decode_vvec() else { return };
            match kind {
                HEADERS if self.headers.is_empty() => {
                    self.headers = decode(content, self.stream);
                }
                DATA => self.body += content.len() as u64,
                _ => {}
            }
            let parsed = decoder.offset();
            self.unparsed.drain(..parsed);
        }
    }
}

fn decode(block: &[u8], stream: StreamId) -> Vec<Header> {
    let settings = QpackSettings {
        max_table_size_decoder: 0,
        max_table_size_encoder: 0,
        max_blocked_streams: 0,
    };
    let headers = QPackDecoder::new(&settings).decode_header_block(block, stream);
    headers.expect("a header block").expect("no dynamic table")
}
