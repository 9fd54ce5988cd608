use std::net::Ipv4Addr;

use super::*;

const MANY: usize = 64;

fn peer(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn route(port: u16) -> Route {
    Route { destination: peer(port), source: None, ecn: Ecn::Ect0 }
}

fn batch(max_datagrams: usize) -> SendBatch {
    let mut batch = SendBatch::default();
    batch.set_max_datagrams(max_datagrams);
    batch
}

fn push(batch: &mut SendBatch, port: u16, datagram: &[u8]) -> bool {
    batch.push(peer(port), None, Ecn::Ect0, datagram)
}

/// Port, contents and segment size of all that goes out.
fn drain(batch: &mut SendBatch, max_datagrams: usize) -> Vec<(u16, Vec<u8>, Option<usize>)> {
    let mut sent = Vec::new();
    while let Some(transmit) = batch.next_transmit(max_datagrams) {
        let contents = transmit.contents.to_vec();
        sent.push((transmit.destination.port(), contents, transmit.segment_size));
        let len = transmit.contents.len();
        batch.advance(len);
    }
    assert!(batch.is_empty());
    assert_eq!(batch.datagrams(), 0);
    sent
}

#[test]
fn a_run_has_one_size_and_a_shorter_datagram_ends_it() {
    let mut batch = batch(MANY);
    assert!(push(&mut batch, 1, b"aaa"));
    assert!(!push(&mut batch, 1, b"longer"), "larger than the run");
    assert!(!push(&mut batch, 2, b"bbb"), "another peer");
    assert!(!batch.push(peer(1), None, Ecn::NotEct, b"bbb"), "another mark");
    assert!(push(&mut batch, 1, b"bbb"));
    assert!(push(&mut batch, 1, b"c"));
    assert!(!push(&mut batch, 1, b"d"), "after the shorter one");
    assert_eq!(batch.datagrams(), 3);
    assert_eq!(drain(&mut batch, MANY), [(1, b"aaabbbc".to_vec(), Some(3))]);
}

#[test]
fn an_empty_batch_always_accepts() {
    let mut batch = batch(1);
    assert!(push(&mut batch, 1, b""));
    assert!(!push(&mut batch, 1, b""));
    assert_eq!(drain(&mut batch, 1), [(1, Vec::new(), None)]);
    assert!(push(&mut batch, 1, &vec![0; MAX_RUN + 1]));
}

#[test]
fn a_batch_is_bounded_in_datagrams_and_bytes() {
    let mut few = batch(2);
    assert!(push(&mut few, 1, b"a") && push(&mut few, 1, b"b"));
    assert!(!push(&mut few, 1, b"c"));

    let mut large = batch(MANY);
    let pushed = (0..MANY).take_while(|_| push(&mut large, 1, &[0; 9000])).count();
    assert_eq!(pushed, MAX_RUN / 9000);
}

#[test]
fn a_run_is_sent_in_pieces_where_the_network_takes_few() {
    let mut batch = batch(MANY);
    assert!(batch.push_run(route(1), b"aabbccd", 2));
    assert_eq!(batch.datagrams(), 4);
    let sent = drain(&mut batch, 2);
    assert_eq!(sent, [(1, b"aabb".to_vec(), Some(2)), (1, b"ccd".to_vec(), Some(2))]);
}

#[test]
fn pieces_are_counted_until_they_are_done_with() {
    let mut batch = batch(MANY);
    assert!(batch.push_run(route(1), b"aabbc", 2));
    batch.advance(2);
    assert_eq!(batch.datagrams(), 2);
    let rest = batch.next_transmit(1).unwrap();
    assert_eq!((rest.contents, rest.segment_size), (&b"bb"[..], None));
    batch.advance(2);
    batch.advance(1);
    assert!(batch.is_empty());
}

#[test]
fn runs_join_only_if_they_are_of_one_size() {
    let mut batch = batch(4);
    assert!(batch.push_run(route(1), b"aabb", 2));
    assert!(!batch.push_run(route(1), b"ccc", 3));
    assert!(!batch.push_run(route(1), b"ccddeeff", 2), "six are too many");
    assert!(batch.push_run(route(1), b"ccd", 2));
    assert!(!batch.push_run(route(1), b"ee", 2), "the run has ended");
    assert_eq!(drain(&mut batch, MANY), [(1, b"aabbccd".to_vec(), Some(2))]);
}

#[test]
fn a_run_of_one_short_datagram_may_be_followed_by_others_of_its_size() {
    let mut batch = batch(MANY);
    assert!(batch.push_run(route(1), b"ab", 1200));
    assert!(push(&mut batch, 1, b"cd"));
    assert_eq!(drain(&mut batch, MANY), [(1, b"abcd".to_vec(), Some(2))]);
}

#[test]
fn writing_in_place_keeps_what_does_not_fit_the_run() {
    let mut batch = batch(MANY);
    let write = |batch: &mut SendBatch, port: u16, text: &[u8]| {
        batch.write(10, |buffer| {
            assert_eq!(buffer.len(), 10);
            buffer[..text.len()].copy_from_slice(text);
            Some((text.len(), route(port)))
        })
    };
    assert_eq!(write(&mut batch, 1, b"aaa"), Written::Added);
    assert_eq!(batch.write(10, |_| None), Written::Nothing);
    assert_eq!(write(&mut batch, 1, b"bbb"), Written::Added);
    assert_eq!(write(&mut batch, 2, b"other"), Written::Full);
    assert_eq!(batch.write(10, |_| panic!("no room: not called")), Written::Full);
    assert!(!push(&mut batch, 1, b"ccc"));
    assert_eq!(batch.datagrams(), 3);
    let sent = drain(&mut batch, MANY);
    assert_eq!(sent, [(1, b"aaabbb".to_vec(), Some(3)), (2, b"other".to_vec(), None)]);
}

#[test]
fn writing_in_place_ends_with_a_shorter_datagram() {
    let mut batch = batch(MANY);
    for text in [&b"aaa"[..], b"b"] {
        let written = batch.write(3, |buffer| {
            buffer[..text.len()].copy_from_slice(text);
            Some((text.len(), route(1)))
        });
        assert_eq!(written, Written::Added);
    }
    assert_eq!(batch.write(3, |_| panic!("the run has ended")), Written::Full);
    batch.clear();
    assert!(batch.is_empty());
}
