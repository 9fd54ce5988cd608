use std::{
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddr},
};

use super::*;
use crate::{Ecn, Route};

#[cfg(unix)]
const EIO: i32 = 5;
#[cfg(target_os = "linux")]
const ENOBUFS: i32 = 105;
#[cfg(target_os = "linux")]
const EMSGSIZE: i32 = 90;

/// Answers sends as it was told, `Ok` when nothing is left, and keeps what it sent.
struct Script {
    answers: VecDeque<io::Result<()>>,
    max_segments: usize,
    queue: Drained,
    sent: Vec<Vec<u8>>,
}

impl Script {
    fn new(answers: impl IntoIterator<Item = io::Result<()>>) -> Self {
        let answers = answers.into_iter().collect();
        Self { answers, max_segments: 64, queue: Drained::default(), sent: Vec::new() }
    }
}

impl Sender for Script {
    fn max_segments(&self) -> usize {
        self.max_segments
    }

    fn send(&mut self, transmit: &RawTransmit<'_>) -> io::Result<()> {
        let answer = self.answers.pop_front().unwrap_or(Ok(()));
        match &answer {
            Ok(()) => self.sent.push(transmit.contents.to_vec()),
            // As quinn-udp does: from now on datagrams are sent one by one.
            #[cfg(unix)]
            Err(error) if error.raw_os_error() == Some(EIO) => self.max_segments = 1,
            Err(_) => {}
        }
        answer
    }

    fn drain_errors(&mut self) -> Drained {
        std::mem::take(&mut self.queue)
    }
}

fn batch_of(contents: &[u8]) -> SendBatch {
    let mut batch = SendBatch::default();
    let destination = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
    assert!(batch.push_run(Route { destination, source: None, ecn: Ecn::Ect0 }, contents, 2));
    batch
}

struct Flushed {
    result: io::Result<SendOutcome>,
    traffic: Traffic,
    stray: Option<io::Error>,
}

fn flush_to(script: &mut Script, batch: &mut SendBatch) -> Flushed {
    let (mut traffic, mut stray) = (Traffic::default(), None);
    let result = flush(script, batch, &mut traffic, &mut stray);
    Flushed { result, traffic, stray }
}

#[test]
fn a_batch_goes_out_with_one_send() {
    let (mut script, mut batch) = (Script::new([]), batch_of(b"aabbc"));
    let flushed = flush_to(&mut script, &mut batch);
    assert_eq!(flushed.result.unwrap(), SendOutcome::Sent);
    assert_eq!(script.sent, [b"aabbc"]);
    let Traffic { datagrams_sent, bytes_sent, gso_sends, .. } = flushed.traffic;
    assert_eq!((datagrams_sent, bytes_sent, gso_sends), (3, 5, 1));
}

/// <https://github.com/quinn-rs/quinn/issues/2399>
#[cfg(unix)]
#[test]
fn d2_47_a_refused_batch_is_sent_one_by_one_and_so_are_those_after_it() {
    let mut script = Script::new([Err(io::Error::from_raw_os_error(EIO))]);
    for _ in 0..2 {
        let flushed = flush_to(&mut script, &mut batch_of(b"aabbc"));
        assert_eq!(flushed.result.unwrap(), SendOutcome::Sent);
        assert_eq!((flushed.traffic.datagrams_sent, flushed.traffic.gso_sends), (3, 0));
    }
    assert_eq!(script.sent, [&b"aa"[..], b"bb", b"c", b"aa", b"bb", b"c"]);
}

/// <https://github.com/mozilla/neqo/pull/3482>
#[cfg(target_os = "linux")]
#[test]
fn d2_47_no_buffer_space_is_a_loss_and_not_would_block() {
    for errno in [ENOBUFS, EMSGSIZE] {
        let mut script = Script::new([Err(io::Error::from_raw_os_error(errno))]);
        script.max_segments = 1;
        let mut batch = batch_of(b"aabb");
        let flushed = flush_to(&mut script, &mut batch);
        assert_eq!(flushed.result.unwrap(), SendOutcome::Sent);
        assert_eq!(script.sent, [b"bb"]);
        assert_eq!((flushed.traffic.dropped_sends, flushed.traffic.datagrams_sent), (1, 1));
    }
}

#[test]
fn u7_what_is_blocked_goes_out_later_once_and_in_order() {
    let mut script = Script::new([Ok(()), Err(io::ErrorKind::WouldBlock.into())]);
    script.max_segments = 2;
    let mut batch = batch_of(b"aabbccdde");
    let flushed = flush_to(&mut script, &mut batch);
    assert_eq!(flushed.result.unwrap(), SendOutcome::Blocked);
    assert_eq!((flushed.traffic.would_blocks, batch.datagrams()), (1, 3));

    assert_eq!(flush_to(&mut script, &mut batch).result.unwrap(), SendOutcome::Sent);
    assert_eq!(script.sent, [&b"aabb"[..], b"ccdd", b"e"]);
}

#[test]
fn an_answer_to_an_earlier_datagram_does_not_swallow_this_one() {
    let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
    let mut script = Script::new([Err(refused())]);
    script.queue = Drained { any: true, about_a_peer: Some(refused()) };
    let flushed = flush_to(&mut script, &mut batch_of(b"aa"));
    assert_eq!(flushed.result.unwrap(), SendOutcome::Sent);
    assert_eq!(flushed.stray.unwrap().kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(script.sent, [b"aa"]);
}

#[test]
fn an_error_that_stays_is_believed_the_second_time() {
    let unreachable = || Err(io::ErrorKind::HostUnreachable.into());
    let mut script = Script::new([unreachable(), unreachable()]);
    script.queue.any = true;
    let flushed = flush_to(&mut script, &mut batch_of(b"aa"));
    assert_eq!(flushed.result.unwrap_err().kind(), io::ErrorKind::HostUnreachable);
}

#[test]
fn another_error_is_returned_and_the_batch_is_lost() {
    let mut script = Script::new([Err(io::ErrorKind::NetworkUnreachable.into())]);
    let mut batch = batch_of(b"aabb");
    let flushed = flush_to(&mut script, &mut batch);
    assert_eq!(flushed.result.unwrap_err().kind(), io::ErrorKind::NetworkUnreachable);
    assert!(batch.is_empty() && script.sent.is_empty() && flushed.stray.is_none());
}
