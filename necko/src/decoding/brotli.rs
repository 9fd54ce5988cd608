//! br (RFC 7932), by `brotli-decompressor`. The large windows of later drafts are refused.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use bytes::{Buf as _, BytesMut};

use super::{Decoder, Made};

pub(super) struct Brotli {
    state: Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>,
    complete: bool,
    written: usize,
}

impl Brotli {
    pub(super) fn new() -> Self {
        let new = StandardAlloc::default;
        let state = BrotliState::new_strict(new(), new(), new());
        Self { state: Box::new(state), complete: false, written: 0 }
    }
}

impl Decoder for Brotli {
    fn decode(&mut self, input: &mut BytesMut, _: bool, output: &mut [u8]) -> Result<Made, String> {
        if self.complete {
            return if input.is_empty() {
                Ok(Made::Nothing)
            } else {
                Err("something follows its end".into())
            };
        }
        let (mut left, mut read) = (input.len(), 0);
        let (mut space, mut made) = (output.len(), 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut read,
            input,
            &mut space,
            &mut made,
            output,
            &mut self.written,
            &mut self.state,
        );
        input.advance(read.min(input.len()));
        match result {
            BrotliResult::ResultFailure => return Err("it is malformed".into()),
            BrotliResult::ResultSuccess => self.complete = true,
            BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
        }
        match made {
            // Its end, with something behind it.
            0 if self.complete && !input.is_empty() => Err("something follows its end".into()),
            0 => Ok(Made::Nothing),
            count => Ok(Made::Bytes(count)),
        }
    }

    fn is_complete(&self) -> bool {
        self.complete
    }
}
