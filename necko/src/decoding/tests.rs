use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};
use http::HeaderValue;

use super::*;

const BR: &str = "1b0707f89d07762c06d6ece06caf25151a5d9399a5b9499031b92e7b5b73091b70a40171a0194fa8370f\
                  edfc439015ebd502caff6a29afd41e00";
/// Of zstd's own making, with a checksum.
const ZSTD: &str = "28b52ffd0458b50100d402546865206e65636b6f20636f6d6d616e64206465636f6465732077686174206\
                    9742061736b656420666f722e200100c516feaa0cdf56eb05";
/// In gzip, then in br.
const GZIP_BR: &str = "0b27801f8b0800000000000003edcad109c0200c04d0556e02a77181909c5844032a74fdee51ee7dbfd\
                       a89451f09cf396d05829ec183b7dbc573616730d07217546565656565e57fe50f7a95b34d0807000003";
/// With a window of 64 MiB, which RFC 7932 has not.
const LARGE_BR: &str = "115a1c1ce0771ed8b11858b383b3bd965468744d6696e62641c6e4baec6dcd256cc09106c481663ca1d\
                        e3c68c73f0862c57ab580f2bf5aca2bb507";
/// With a window of 128 MiB.
const LARGE_ZSTD: &str = "28b52ffd0488640000206162630a0100f9fff24b";

fn text() -> Vec<u8> {
    "The necko command decodes what it asked for. ".repeat(40).into_bytes()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |byte: u8| u8::try_from((byte as char).to_digit(16).unwrap()).unwrap();
    hex.as_bytes().chunks(2).map(|pair| (digit(pair[0]) << 4) | digit(pair[1])).collect()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn fields(values: &[&str]) -> HeaderMap {
    let value = |value: &&str| (header::CONTENT_ENCODING, HeaderValue::from_str(value).unwrap());
    values.iter().map(value).collect()
}

/// What was decoded, and how it ended, when the body comes in such pieces.
fn decode_pieces(coding: &str, body: &[u8], piece: usize) -> (Vec<u8>, Result<(), NetError>) {
    let mut decoding = Decoding::of(&fields(&[coding])).unwrap();
    let mut pieces = body.chunks(piece);
    let mut decoded = Vec::new();
    // Each piece is waited for once.
    let mut waited = false;
    let mut pull = || {
        waited = !waited;
        if waited {
            Poll::Pending
        } else {
            Poll::Ready(Ok(pieces.next().map(Bytes::copy_from_slice)))
        }
    };
    loop {
        match decoding.next(&mut pull) {
            Poll::Pending => {}
            Poll::Ready(Ok(Some(made))) => {
                assert!(!made.is_empty() && made.len() <= PIECE);
                decoded.extend_from_slice(&made);
            }
            Poll::Ready(Ok(None)) => return (decoded, Ok(())),
            Poll::Ready(Err(error)) => return (decoded, Err(error)),
        }
    }
}

fn decode(coding: &str, body: &[u8]) -> (Vec<u8>, Result<(), NetError>) {
    decode_pieces(coding, body, body.len().max(1))
}

#[track_caller]
fn assert_malformed(coding: &str, body: &[u8]) {
    let (_, end) = decode(coding, body);
    assert!(matches!(end, Err(NetError::ContentEncoding(_))), "{end:?}");
}

fn encoded() -> [(&'static str, Vec<u8>); 4] {
    [
        ("gzip", gzip(&text())),
        ("br", bytes(BR)),
        ("zstd", bytes(ZSTD)),
        ("gzip, br", bytes(GZIP_BR)),
    ]
}

#[test]
fn each_coding_is_undone_however_the_body_is_cut() {
    for (coding, body) in encoded() {
        for piece in [1, 2, 7, 64, body.len()] {
            assert_eq!(decode_pieces(coding, &body, piece), (text(), Ok(())), "{coding} {piece}");
        }
    }
}

#[test]
fn codings_are_undone_from_the_last_to_the_first_and_four_at_most() {
    let twice = gzip(&gzip(&text()));
    assert_eq!(decode("gzip,x-gzip", &twice), (text(), Ok(())));
    let mut decoding = Decoding::of(&fields(&["gzip", "identity, BR"])).unwrap();
    let mut pull = || Poll::Ready(Ok(Some(Bytes::from(bytes(GZIP_BR)))));
    assert_eq!(decoding.next(&mut pull), Poll::Ready(Ok(Some(text().into()))));
    let four = gzip(&gzip(&twice));
    assert_eq!(decode("gzip, gzip, gzip, gzip", &four), (text(), Ok(())));
    assert_malformed("gzip, gzip, gzip, gzip, gzip", &gzip(&four));
    assert_malformed("br, gzip", &bytes(GZIP_BR));
}

#[test]
fn what_is_not_known_is_an_error_unless_there_is_no_body() {
    for coding in ["deflate", "compress", "gzip;q=1", "gzip, nonsense"] {
        assert_malformed(coding, b"x");
        assert_eq!(decode(coding, b""), (Vec::new(), Ok(())), "{coding}");
    }
    assert!(Decoding::of(&fields(&[])).is_none());
    assert!(Decoding::of(&fields(&["identity", ""])).is_none());
    for (coding, _) in encoded() {
        assert_eq!(decode(coding, b""), (Vec::new(), Ok(())), "as of a HEAD: {coding}");
    }
}

#[test]
fn members_and_frames_follow_each_other() {
    let members = [gzip(b"one "), gzip(b""), gzip(b"two")].concat();
    let skippable = bytes("5a2a4d1803000000aabbcc");
    let frames = [bytes(ZSTD), skippable.clone(), bytes(ZSTD), skippable].concat();
    for piece in [1, 3, 1000] {
        assert_eq!(decode_pieces("gzip", &members, piece), (b"one two".to_vec(), Ok(())));
        let (decoded, end) = decode_pieces("zstd", &frames, piece);
        assert_eq!((decoded, end), (text().repeat(2), Ok(())));
    }
}

#[test]
fn a_body_that_is_cut_off_is_a_partial_transfer_at_every_length() {
    for (coding, body) in encoded() {
        for length in 1..body.len() {
            let (decoded, end) = decode(coding, &body[..length]);
            let whole = text();
            assert_eq!(decoded, whole[..decoded.len()], "{coding} {length}");
            let Err(NetError::PartialTransfer { received, .. }) = end else {
                panic!("{coding} {length}: {end:?}");
            };
            assert_eq!(received, length as u64);
        }
    }
}

#[test]
fn what_is_damaged_or_followed_by_something_is_an_error() {
    for (coding, body) in encoded() {
        assert_malformed(coding, b"This is not encoded at all, and long enough to see it.");
        let mut longer = body.clone();
        longer.extend_from_slice(b"rest of something");
        assert_malformed(coding, &longer);
        for at in 0..body.len() {
            let mut damaged = body.clone();
            damaged[at] ^= 0x10;
            // gzip's time of change, and what its checksum does not cover, may be anything.
            let (decoded, end) = decode(coding, &damaged);
            if end.is_ok() && coding != "br" {
                assert_eq!(decoded, text(), "{coding} {at}");
            }
        }
    }
    let mut wrong = bytes(ZSTD);
    *wrong.last_mut().unwrap() ^= 1;
    assert_malformed("zstd", &wrong);
}

#[test]
fn windows_larger_than_they_may_be_are_refused_before_there_is_memory_for_them() {
    assert_malformed("br", &bytes(LARGE_BR));
    assert_malformed("zstd", &bytes(LARGE_ZSTD));
    // A frame that is one segment states its whole length as its window: 1 GiB.
    assert_malformed("zstd", &bytes("28b52ffda000000040"));
}

/// Blocks of four bytes, each of which stands for 128 KiB.
fn zstd_bomb(blocks: usize) -> Vec<u8> {
    let mut bomb = bytes("28b52ffd0058");
    for n in 1..=blocks {
        let header = (u32::try_from(MAX_ZSTD_BLOCK).unwrap() << 3) | 2 | u32::from(n == blocks);
        bomb.extend_from_slice(&header.to_le_bytes()[..3]);
        bomb.push(0);
    }
    bomb
}

const MAX_ZSTD_BLOCK: usize = 128 * 1024;

#[test]
fn a_bomb_is_decoded_as_far_as_it_is_read_and_no_further() {
    let zeros = vec![0; 32 << 20];
    for (coding, body, length) in
        [("zstd", zstd_bomb(2048), 256 << 20), ("gzip", gzip(&zeros), zeros.len())]
    {
        let mut decoding = Decoding::of(&fields(&[coding])).unwrap();
        let (mut pulled, mut decoded) = (0, 0);
        let mut pieces = body.chunks(1000);
        while decoded < length {
            let mut pull = || {
                let piece = pieces.next().map(Bytes::copy_from_slice);
                pulled += piece.as_ref().map_or(0, Bytes::len);
                Poll::Ready(Ok(piece))
            };
            match decoding.next(&mut pull) {
                Poll::Ready(Ok(Some(piece))) => decoded += piece.len(),
                other => panic!("{coding}: {other:?} after {decoded}"),
            }
            // In proportion to what was read, a piece of input ahead, and a window and a block behind.
            let due = body.len() as u64 * decoded as u64 / length as u64;
            assert!(pulled as u64 <= due + 2000, "{coding}: {pulled} for {decoded}");
        }
        let mut pull = || Poll::Ready(Ok(pieces.next().map(Bytes::copy_from_slice)));
        assert_eq!(decoding.next(&mut pull), Poll::Ready(Ok(None)), "{coding}");
    }
}
