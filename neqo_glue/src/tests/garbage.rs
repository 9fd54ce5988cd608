//! Bytes that no server should send: the connection may end, the program may not.

use std::time::Duration;

use http3_session::{Http3Conn as _, Http3Event};
use neqo_transport::StreamType;
use transaction::ErrorCode;

use super::raw_server;
use crate::testing::{pair::get, peers::headers_frame};

/// Marsaglia's xorshift: the same numbers in each run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % below
    }

    /// Good frames in any order, some with changed bytes, some cut short.
    fn frames(&mut self) -> Vec<u8> {
        let good = [
            headers_frame(&[(b":status", b"200"), (b"content", b"x")]),
            headers_frame(&[(b":status", b"103")]),
            vec![0x00, 0x05, b'h', b'e', b'l', b'l', b'o'],
            vec![0x00, 0x00],
            // CANCEL_PUSH, SETTINGS, PUSH_PROMISE, GOAWAY, MAX_PUSH_ID, grease, WebTransport.
            vec![0x03, 0x01, 0x00],
            vec![0x04, 0x00],
            vec![0x05, 0x04, 0x00, 0x00, 0x00, 0xd1],
            vec![0x07, 0x01, 0x04],
            vec![0x0d, 0x01, 0x01],
            vec![0x21, 0x02, 0x00, 0x00],
            vec![0x40, 0x41, 0x00],
            // A head that refers to the dynamic table, and the instructions for it.
            vec![0x01, 0x03, 0x02, 0x00, 0x80],
            vec![0x3f, 0xe1, 0x1f, 0x42, b'a', b'b', 0x01, b'c'],
        ];
        let mut bytes = Vec::new();
        for _ in 0..self.next(5) {
            bytes.extend_from_slice(&good[self.next(good.len())]);
        }
        for _ in 0..self.next(4) {
            if !bytes.is_empty() {
                let place = self.next(bytes.len());
                bytes[place] = u8::try_from(self.next(256)).unwrap();
            }
        }
        let keep = if self.next(3) == 0 { self.next(bytes.len() + 1) } else { bytes.len() };
        bytes.truncate(keep);
        bytes
    }
}

#[test]
fn no_bytes_of_a_server_end_the_program() {
    for seed in 1..=150 {
        let mut numbers = Numbers(seed * 0x9e37_79b9);
        let mut pair = raw_server();
        let streams: Vec<_> =
            (0..3).map(|_| pair.client.fetch(&get("/"), pair.now).unwrap()).collect();
        pair.run(Duration::from_millis(50));
        for _ in 0..6 {
            let bytes = numbers.frames();
            let connection = &mut pair.peer.connection;
            let stream = match numbers.next(4) {
                0 => connection.stream_create(StreamType::UniDi).ok(),
                1 => connection.stream_create(StreamType::BiDi).ok(),
                _ => pair.peer.requests.get(numbers.next(3)).copied(),
            };
            if let Some(stream) = stream {
                // A stream that has ended refuses: so be it. A unidirectional one begins with its type.
                let kind = [0x00, 0x02, 0x03, 0x54, 0x01][numbers.next(5)];
                if stream.is_uni() {
                    let _ = connection.stream_send(stream, &[kind]);
                }
                if !bytes.is_empty() {
                    let _ = connection.stream_send(stream, &bytes);
                }
                match numbers.next(6) {
                    0 => drop(connection.stream_close_send(stream)),
                    1 => drop(connection.stream_reset_send(stream, 0x10b)),
                    2 => drop(connection.stream_stop_sending(stream, 0x100)),
                    _ => {}
                }
            }
            pair.run(Duration::from_millis(30));
            for stream in &streams {
                let mut space = [0; 3];
                while let Ok((1.., false)) = pair.client.read_data(*stream, &mut space, pair.now) {}
                let _ = pair.client.send_data(*stream, b"body");
            }
            if numbers.next(4) == 0 {
                pair.client.cancel_fetch(streams[0], ErrorCode::REQUEST_CANCELLED);
            }
        }
        pair.run(Duration::from_secs(40));
        let closed = pair.events.iter().filter(|event| matches!(event, Http3Event::Closed(_)));
        assert!(closed.count() <= 1, "seed {seed}: {:?}", pair.events);
    }
}
