//! zstd (RFC 8878, and RFC 9659 for its window), by `ruzstd`.
//!
//! ```text
//!  BetweenFrames ──► InFrame: one block at a time, when all of it is there ──► BetweenFrames
//!        │ ▲            └─ what is decoded is taken before the next block is
//!        ▼ │
//!      Skipping (a skippable frame)
//! ```
//!
//! The library decodes all blocks that it is given before anybody can take what they made, and a block of
//! four bytes makes 128 KiB; hence one at a time.

use std::io::Read as _;

use bytes::{Buf as _, BytesMut};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

use super::{Decoder, Made};

/// RFC 9659: no more is needed for a content coding, and no more is to be accepted.
const MAX_WINDOW: u64 = 8 * 1024 * 1024;

/// RFC 8878 §3.1.1.2.4.
const MAX_BLOCK: usize = 128 * 1024;

const MAGIC: u32 = 0xfd2f_b528;
/// The last four bits are free.
const SKIPPABLE: u32 = 0x184d_2a50;

pub(super) struct Zstd {
    decoder: FrameDecoder,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    BetweenFrames,
    Skipping(u32),
    InFrame { checksum: bool },
}

/// Enough of it is there, or not yet.
type Enough<T> = Option<T>;

impl Zstd {
    pub(super) fn new() -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MAX_WINDOW);
        Self { decoder, stage: Stage::BetweenFrames }
    }

    /// The head of a frame, once all of it is there.
    fn begin_frame(&mut self, input: &mut BytesMut) -> Result<Enough<()>, String> {
        let Some(magic) = number(input, 0, 4) else { return Ok(None) };
        if magic & !0xf == SKIPPABLE {
            let Some(length) = number(input, 4, 4) else { return Ok(None) };
            input.advance(8);
            self.stage = Stage::Skipping(length);
            return Ok(Some(()));
        }
        if magic != MAGIC {
            return Err("it has no frame where one should be".into());
        }
        let Some(&descriptor) = input.get(4) else { return Ok(None) };
        let length = frame_header_length(descriptor);
        let Some(mut header) = input.get(..length) else { return Ok(None) };
        self.decoder.reset(&mut header).map_err(|error| error.to_string())?;
        input.advance(length);
        self.stage = Stage::InFrame { checksum: descriptor & 4 != 0 };
        Ok(Some(()))
    }

    /// One block, once all of it is there; behind the last one its checksum.
    fn decode_block(&mut self, input: &mut BytesMut, checksum: bool) -> Result<Enough<()>, String> {
        let Some(header) = number(input, 0, 3) else { return Ok(None) };
        let (last, kind) = (header & 1 == 1, (header >> 1) & 3);
        let size = usize::try_from(header >> 3).unwrap_or(usize::MAX);
        if size > MAX_BLOCK {
            return Err("a block is too large".into());
        }
        let content = if kind == 1 { 1 } else { size };
        let length = 3 + content + if last && checksum { 4 } else { 0 };
        let Some(mut block) = input.get(..length) else { return Ok(None) };
        self.decoder
            .decode_blocks(&mut block, BlockDecodingStrategy::UptoBlocks(1))
            .map_err(|error| error.to_string())?;
        input.advance(length);
        Ok(Some(()))
    }

    /// All of a frame was decoded and taken.
    fn end_frame(&mut self) -> Result<(), String> {
        let (stated, is) =
            (self.decoder.get_checksum_from_data(), self.decoder.get_calculated_checksum());
        if stated.is_some() && stated != is {
            return Err("its checksum is wrong".into());
        }
        self.stage = Stage::BetweenFrames;
        Ok(())
    }

    /// Takes a step. Answers none when it needs more input.
    fn step(&mut self, input: &mut BytesMut) -> Result<Enough<()>, String> {
        match self.stage {
            Stage::BetweenFrames if input.is_empty() => Ok(None),
            Stage::BetweenFrames => self.begin_frame(input),
            Stage::Skipping(0) => {
                self.stage = Stage::BetweenFrames;
                Ok(Some(()))
            }
            Stage::Skipping(_) if input.is_empty() => Ok(None),
            Stage::Skipping(left) => {
                let skipped = input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                input.advance(skipped);
                let skipped = u32::try_from(skipped).unwrap_or(left);
                self.stage = Stage::Skipping(left.saturating_sub(skipped));
                Ok(Some(()))
            }
            Stage::InFrame { .. } if self.decoder.is_finished() => self.end_frame().map(Some),
            Stage::InFrame { checksum } => self.decode_block(input, checksum),
        }
    }
}

impl Decoder for Zstd {
    fn decode(&mut self, input: &mut BytesMut, _: bool, output: &mut [u8]) -> Result<Made, String> {
        loop {
            if matches!(self.stage, Stage::InFrame { .. }) {
                let count = self.decoder.read(output).map_err(|error| error.to_string())?;
                if count > 0 {
                    return Ok(Made::Bytes(count));
                }
            }
            if self.step(input)?.is_none() {
                return Ok(Made::Nothing);
            }
        }
    }

    fn is_complete(&self) -> bool {
        self.stage == Stage::BetweenFrames
    }
}

/// A number of so many bytes, the lowest first.
fn number(input: &[u8], at: usize, length: usize) -> Option<u32> {
    let bytes = input.get(at..at.checked_add(length)?)?;
    Some(bytes.iter().rev().fold(0, |number, byte| (number << 8) | u32::from(*byte)))
}

/// With its magic number (RFC 8878 §3.1.1.1.1).
fn frame_header_length(descriptor: u8) -> usize {
    let single_segment = descriptor & 0x20 != 0;
    let window = usize::from(!single_segment);
    let dictionary = match descriptor & 3 {
        3 => 4,
        bytes => usize::from(bytes),
    };
    let content_size = match descriptor >> 6 {
        0 => usize::from(single_segment),
        1 => 2,
        2 => 4,
        _ => 8,
    };
    4 + 1 + window + dictionary + content_size
}
