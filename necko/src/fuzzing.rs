//! Doors for fuzz targets into parsers that are not part of the API.

use std::task::Poll;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use url::Url;

use crate::{decoding::Decoding, redirect::resolve};

/// Decodes a body that comes in pieces of this length, in the codings that the field names. Answers how much
/// it made of it before its end or an error, up to a mebibyte.
pub fn decode(content_encoding: &[u8], body: &[u8], piece: usize) -> usize {
    const ENOUGH: usize = 1024 * 1024;
    let Ok(value) = HeaderValue::from_bytes(content_encoding) else { return 0 };
    let headers = HeaderMap::from_iter([(header::CONTENT_ENCODING, value)]);
    let Some(mut decoding) = Decoding::of(&headers) else { return 0 };
    let mut pieces = body.chunks(piece.max(1));
    let mut pull = || Poll::Ready(Ok(pieces.next().map(Bytes::copy_from_slice)));
    let mut made = 0;
    while made < ENOUGH
        && let Poll::Ready(Ok(Some(decoded))) = decoding.next(&mut pull)
    {
        made += decoded.len();
    }
    made
}

/// Follows a `Location`. Answers where it leads, if anywhere.
pub fn follow(base: &str, location: &[u8]) -> Option<String> {
    let base = Url::parse(base).ok()?;
    let location = HeaderValue::from_bytes(location).ok()?;
    resolve(&base, &location).ok().map(Into::into)
}
