//! Header blocks that no encoder would write: names and values are bytes, and nothing is checked.

/// A QPACK header block (RFC 9204 §4.5.6) without table and without Huffman code.
pub fn header_block<'a>(fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Vec<u8> {
    // No dynamic table: required insert count and base are zero.
    let mut block = vec![0, 0];
    for (name, value) in fields {
        integer(&mut block, 0b0010_0000, 3, name.len());
        block.extend_from_slice(name);
        integer(&mut block, 0, 7, value.len());
        block.extend_from_slice(value);
    }
    block
}

/// An integer with a prefix of some bits (RFC 7541 §5.1), the bits above it from `first`.
fn integer(out: &mut Vec<u8>, first: u8, prefix: u32, number: usize) {
    let low = |number: usize| u8::try_from(number).expect("it fits");
    let most = (1_usize << prefix) - 1;
    if number < most {
        out.push(first | low(number));
        return;
    }
    out.push(first | low(most));
    let mut rest = number - most;
    while rest >= 128 {
        out.push(low(rest % 128) | 0x80);
        rest /= 128;
    }
    out.push(low(rest));
}

#[cfg(test)]
mod tests {
    use neqo_common::Header;
    use neqo_qpack::{QPackDecoder, QpackSettings};
    use neqo_transport::StreamId;

    use super::*;

    #[test]
    fn neqo_reads_it() {
        let long = "v".repeat(1000);
        let fields = [(":status", "200"), ("x", ""), ("a-name-of-some-length", long.as_str())];
        let block = header_block(fields.map(|(name, value)| (name.as_bytes(), value.as_bytes())));
        let settings = QpackSettings {
            max_table_size_decoder: 0,
            max_table_size_encoder: 0,
            max_blocked_streams: 0,
        };
        let read = QPackDecoder::new(&settings).decode_header_block(&block, StreamId::new(0));
        assert_eq!(read.unwrap().unwrap(), fields.map(|(name, value)| Header::new(name, value)));
    }
}
