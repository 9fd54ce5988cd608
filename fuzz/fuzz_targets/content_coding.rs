//! Bodies in content codings: decoded or refused, and no memory for what is only announced.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (coding, piece, body) = input;
    let codings = ["gzip", "br", "zstd", "gzip, br", "zstd, gzip", "x-gzip", "identity"];
    let coding = codings[usize::from(coding) % codings.len()];
    necko::fuzzing::decode(coding.as_bytes(), body, usize::from(piece));
});
