//! The transfer table, played by a scripted engine and a disk that answers when the test says so.

use std::{collections::VecDeque, fs::File, io::Write, rc::Rc, sync::Arc, time::UNIX_EPOCH};

use super::*;
use crate::{
    pattern::{Pattern, byte_at},
    source::{FileSource, OpenFile, OpenFiles},
};

/// An engine with so much room, and then no more; it remembers what it was given.
#[derive(Default)]
struct Scripted {
    /// Room for bytes of bodies. Every call takes as much as there is.
    room: usize,
    /// Takes at most so many bytes in one call.
    at_once: Option<usize>,
    heads_blocked: bool,
    gone: bool,
    heads: Vec<(u64, u16, bool)>,
    body: Vec<u8>,
    /// The end of the stream was sent, after so many bytes.
    fin_at: Option<usize>,
    resets: Vec<(u64, u64)>,
    calls: usize,
}

impl TransferEngine for Scripted {
    fn send_head(&mut self, stream: u64, head: &Head, fin: bool) -> Result<(), Stop> {
        self.calls += 1;
        if self.gone {
            return Err(Stop::Gone);
        }
        if self.heads_blocked {
            return Err(Stop::Blocked);
        }
        self.heads.push((stream, head.status(), fin));
        Ok(())
    }

    fn send_body(&mut self, _: u64, data: &[u8], fin: bool) -> Result<usize, Stop> {
        self.calls += 1;
        assert_eq!(self.fin_at, None, "bytes after the end");
        if self.gone {
            return Err(Stop::Gone);
        }
        let count = data.len().min(self.room).min(self.at_once.unwrap_or(usize::MAX));
        if count == 0 {
            return Err(Stop::Blocked);
        }
        self.room -= count;
        self.body.extend_from_slice(&data[..count]);
        if fin && count == data.len() {
            self.fin_at = Some(self.body.len());
        }
        Ok(count)
    }

    fn reset(&mut self, stream: u64, code: u64) {
        self.resets.push((stream, code));
    }
}

#[derive(Default)]
struct ScriptedDisk(VecDeque<(TransferKey, ReadJob)>);

impl Disk for ScriptedDisk {
    fn read(&mut self, transfer: TransferKey, job: ReadJob) {
        self.0.push_back((transfer, job));
    }
}

/// The table with one connection's worth of everything around it.
struct Bench {
    transfers: Transfers,
    engine: Scripted,
    disk: ScriptedDisk,
    files: OpenFiles,
    pattern: Rc<Pattern>,
    owner: Owner,
    next_stream: u64,
    budget: usize,
}

impl Bench {
    fn new() -> Self {
        Self {
            transfers: Transfers::new(),
            engine: Scripted { room: usize::MAX, ..Scripted::default() },
            disk: ScriptedDisk::default(),
            files: OpenFiles::default(),
            pattern: Rc::new(Pattern::new()),
            owner: Key::for_test(1),
            next_stream: 0,
            budget: usize::MAX,
        }
    }

    fn stream(&mut self) -> u64 {
        self.next_stream += 4;
        self.next_stream - 4
    }

    fn generated(&mut self, length: u64) -> u64 {
        let response = Response::generated(length, &self.pattern, UNIX_EPOCH);
        let stream = self.stream();
        self.transfers.insert(self.owner, stream, response);
        stream
    }

    /// A response of `length` bytes from a file that has `real` of them.
    fn file(&mut self, length: u64, real: u64) -> u64 {
        let mut file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..real).map(byte_at).collect();
        file.write_all(&bytes).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        let source = FileSource::new(Arc::new(OpenFile::new(file, &self.files)), 0, length);
        let mut response = Response::text(200, "", UNIX_EPOCH);
        response.body = Source::File(source);
        let stream = self.stream();
        self.transfers.insert(self.owner, stream, response);
        stream
    }

    fn advance(&mut self, stream: u64) -> Progress {
        let Self { transfers, engine, disk, owner, budget, .. } = self;
        transfers.advance(*owner, stream, engine, disk, budget)
    }

    /// The disk does its oldest job.
    fn read(&mut self) -> Option<(Owner, u64)> {
        let (key, job) = self.disk.0.pop_front().expect("a read was asked for");
        self.transfers.read_done(key, job.run())
    }

    fn assert_empty(&self) {
        let t = &self.transfers;
        assert_eq!((t.len(), t.by_stream.len(), t.held(), self.files.count()), (0, 0, 0, 0));
    }

    fn assert_body(&self, length: usize) {
        assert_eq!(self.engine.body.len(), length);
        let wrong = (0..length).find(|n| self.engine.body[*n] != byte_at(*n as u64));
        assert_eq!(wrong, None, "first wrong byte");
        assert_eq!(self.engine.fin_at, Some(length), "the end comes with the last byte");
    }
}

#[test]
fn a_partial_send_stays_in_the_table_and_goes_on_when_writable() {
    // The seed's case: 13,304 of 1,048,576 bytes were taken, then nothing more.
    let mut bench = Bench::new();
    bench.engine.room = 13_304;
    let stream = bench.generated(1_048_576);
    assert_eq!(bench.advance(stream), Progress::Blocked);
    assert_eq!((bench.transfers.len(), bench.engine.fin_at), (1, None));
    let mut turns = 0;
    loop {
        bench.engine.room = 13_304;
        turns += 1;
        if bench.advance(stream) == Progress::Done {
            break;
        }
    }
    assert_eq!(turns, 1_048_576_usize.div_ceil(13_304) - 1);
    bench.assert_body(1_048_576);
    bench.assert_empty();
    let totals = TransferTotals { completed: 1, body_bytes: 1_048_576, ..Default::default() };
    assert_eq!(bench.transfers.totals(), totals);
}

#[test]
fn a_blocked_head_is_kept_and_sent_once() {
    let mut bench = Bench::new();
    bench.engine.heads_blocked = true;
    let stream = bench.generated(10);
    assert_eq!(bench.advance(stream), Progress::Blocked);
    assert_eq!(bench.advance(stream), Progress::Blocked);
    bench.engine.heads_blocked = false;
    assert_eq!(bench.advance(stream), Progress::Done);
    assert_eq!(bench.engine.heads, [(stream, 200, false)]);
    bench.assert_body(10);
    bench.assert_empty();
}

#[test]
fn a_response_without_a_body_ends_with_its_head() {
    let mut bench = Bench::new();
    let stream = bench.generated(0);
    assert_eq!(bench.advance(stream), Progress::Done);
    assert_eq!(bench.engine.heads, [(stream, 200, true)]);
    assert!(bench.engine.body.is_empty());
    bench.assert_empty();
}

/// `ReadSegments` with two bytes of credit, or one: whatever the engine takes moves the offset by so
/// much. Source: <https://github.com/mozilla/neqo/issues/1819>.
#[test]
fn d2_33_tiny_credit_moves_the_offset_by_what_was_taken() {
    let mut bench = Bench::new();
    let stream = bench.generated(100);
    for room in [2, 1, 2, 1, 0, 3] {
        bench.engine.room = room;
        assert_eq!(bench.advance(stream), Progress::Blocked);
    }
    assert_eq!(bench.engine.body.len(), 9);
    bench.engine.room = 91;
    bench.engine.at_once = Some(7);
    assert_eq!(bench.advance(stream), Progress::Done);
    bench.assert_body(100);
}

/// A reset in the middle of the body must never look like its end.
/// Source: <https://github.com/cloudflare/quiche/issues/2277>.
#[test]
fn d2_28_a_file_that_became_shorter_resets_the_stream() {
    let mut bench = Bench::new();
    let stream = bench.file(2 * CHUNK as u64, CHUNK as u64 + 5);
    assert_eq!(bench.advance(stream), Progress::Waiting);
    bench.read();
    assert_eq!(bench.advance(stream), Progress::Waiting);
    assert_eq!(bench.engine.body.len(), CHUNK);
    assert_eq!(bench.read(), Some((bench.owner, stream)));
    assert_eq!(bench.advance(stream), Progress::Failed);
    assert_eq!(bench.engine.resets, [(stream, H3_INTERNAL_ERROR)]);
    assert_eq!(bench.engine.fin_at, None);
    assert_eq!(bench.transfers.totals().failed, 1);
    bench.assert_empty();
}

/// A file that has grown is sent as long as it was promised.
#[test]
fn a_file_that_became_longer_is_cut_at_its_promised_length() {
    let mut bench = Bench::new();
    let stream = bench.file(1000, 5000);
    assert_eq!(bench.advance(stream), Progress::Waiting);
    bench.read();
    assert_eq!(bench.advance(stream), Progress::Done);
    bench.assert_body(1000);
    bench.assert_empty();
}

/// An unfinished transfer that is dropped leaves nothing behind, and sends no end.
/// Sources: <https://github.com/saorsa-labs/ant-quic/issues/244>,
/// <https://github.com/dfinity/ic/pull/1346>.
#[test]
fn d2_31_a_cancelled_transfer_never_sends_an_end() {
    let mut bench = Bench::new();
    bench.engine.room = 10;
    let stream = bench.generated(100);
    assert_eq!(bench.advance(stream), Progress::Blocked);
    assert!(bench.transfers.cancel(bench.owner, stream));
    assert!(!bench.transfers.cancel(bench.owner, stream));
    bench.engine.room = 100;
    assert_eq!(bench.advance(stream), Progress::Unknown);
    assert_eq!((bench.engine.fin_at, bench.engine.body.len()), (None, 10));
    assert_eq!(bench.transfers.totals().cancelled, 1);
    bench.assert_empty();
}

/// A cancelled request counts until its work has stopped: rapid resets must not pile up jobs.
/// (CVE-2023-44487, CVE-2025-8671.)
#[test]
fn a_cancelled_transfer_counts_until_its_job_is_done() {
    let mut bench = Bench::new();
    let stream = bench.file(3 * CHUNK as u64, 3 * CHUNK as u64);
    assert_eq!(bench.advance(stream), Progress::Waiting);
    assert!(bench.transfers.has_job(bench.owner, stream));
    assert!(bench.transfers.cancel(bench.owner, stream));
    assert!(!bench.transfers.has_job(bench.owner, stream));
    assert_eq!(bench.transfers.abandoned_jobs(bench.owner), 1);
    assert_eq!(bench.transfers.abandoned_jobs(Key::for_test(77)), 0);
    assert_eq!(bench.read(), None);
    assert_eq!(bench.transfers.abandoned_jobs(bench.owner), 0);

    // One that only waits for the engine has no job.
    bench.engine.room = 10;
    let stream = bench.generated(100);
    assert_eq!(bench.advance(stream), Progress::Blocked);
    assert!(bench.transfers.cancel(bench.owner, stream));
    assert_eq!(bench.transfers.abandoned_jobs(bench.owner), 0);
    bench.assert_empty();
}

/// A late writable event for a finished stream is ignored.
/// Source: <https://github.com/mozilla/neqo/pull/1564>.
#[test]
fn d2_30_a_late_writable_event_is_ignored() {
    let mut bench = Bench::new();
    let stream = bench.generated(5);
    assert_eq!(bench.advance(stream), Progress::Done);
    let calls = bench.engine.calls;
    assert_eq!(bench.advance(stream), Progress::Unknown);
    assert_eq!(bench.engine.calls, calls, "the engine is not touched");
}

/// The client stops the stream: removed at once, file closed.
/// Source: <https://github.com/cloudflare/quiche/issues/2524>.
#[test]
fn d2_16_a_stopped_stream_frees_its_transfer_at_once() {
    let mut bench = Bench::new();
    let stream = bench.file(3 * CHUNK as u64, 3 * CHUNK as u64);
    bench.advance(stream);
    bench.read();
    bench.engine.gone = true;
    assert_eq!(bench.advance(stream), Progress::Ended);
    assert_eq!((bench.transfers.len(), bench.transfers.held()), (0, 0));
    assert_eq!(bench.transfers.totals().cancelled, 1);
    bench.assert_empty();
}

#[test]
fn a_stop_before_the_head_ends_the_transfer_too() {
    let mut bench = Bench::new();
    bench.engine.gone = true;
    let stream = bench.generated(5);
    assert_eq!(bench.advance(stream), Progress::Ended);
    bench.assert_empty();
}

/// An engine that takes nothing and does not say so must not make the server go round.
/// Sources: <https://github.com/cloudflare/quiche/commit/54cefab4>,
/// <https://github.com/cloudflare/quiche/commit/c73ceef2>.
#[test]
fn d2_44_taking_nothing_counts_as_blocked() {
    struct TakesNothing(usize);
    impl TransferEngine for TakesNothing {
        fn send_head(&mut self, _: u64, _: &Head, _: bool) -> Result<(), Stop> {
            Ok(())
        }
        fn send_body(&mut self, _: u64, _: &[u8], _: bool) -> Result<usize, Stop> {
            self.0 += 1;
            Ok(0)
        }
        fn reset(&mut self, _: u64, _: u64) {}
    }
    let mut bench = Bench::new();
    let stream = bench.generated(5);
    let mut engine = TakesNothing(0);
    let (owner, mut budget) = (bench.owner, usize::MAX);
    let progress =
        bench.transfers.advance(owner, stream, &mut engine, &mut bench.disk, &mut budget);
    assert_eq!((progress, engine.0), (Progress::Blocked, 1));
}

#[test]
fn a_file_is_read_in_chunks_one_ahead_and_closed_after_the_last() {
    let mut bench = Bench::new();
    let length = 5 * CHUNK + 77;
    let stream = bench.file(length as u64, length as u64);
    let mut most = 0;
    while bench.advance(stream) != Progress::Done {
        assert!(bench.disk.0.len() <= 1, "one read at a time");
        most = most.max(bench.transfers.held());
        bench.read();
        most = most.max(bench.transfers.held());
    }
    assert!(most <= 2 * CHUNK, "{most}");
    bench.assert_body(length);
    bench.assert_empty();
}

#[test]
fn nothing_is_read_ahead_for_a_stream_that_waits_for_its_turn() {
    let mut bench = Bench::new();
    let stream = bench.file(4 * CHUNK as u64, 4 * CHUNK as u64);
    bench.engine.room = 0;
    bench.advance(stream);
    bench.read();
    assert_eq!(bench.advance(stream), Progress::Blocked);
    assert!(bench.disk.0.is_empty());
    // As soon as it moves, the next chunk is fetched beside the sending.
    bench.engine.room = 1;
    assert_eq!(bench.advance(stream), Progress::Blocked);
    assert_eq!(bench.disk.0.len(), 1);
}

#[test]
fn many_transfers_read_small_chunks() {
    let mut bench = Bench::new();
    bench.engine.room = 0;
    let many = 2000;
    for _ in 0..many {
        let file = OpenFile::new(File::open("/dev/zero").unwrap(), &bench.files);
        let mut response = Response::text(200, "", UNIX_EPOCH);
        response.body = Source::File(FileSource::new(Arc::new(file), 0, 1 << 40));
        let stream = bench.stream();
        bench.transfers.insert(bench.owner, stream, response);
        bench.advance(stream);
        bench.read();
        bench.advance(stream);
    }
    let bound = PLENTY + CHUNK + many * SMALL_CHUNK;
    assert!(bench.transfers.held() <= bound, "{} > {bound}", bench.transfers.held());
    for stream in 0..many as u64 {
        bench.transfers.cancel(bench.owner, stream * 4);
    }
    bench.assert_empty();
}

/// The connection goes while a worker reads: the reply finds nothing, and the file is closed.
#[test]
fn a_reply_of_the_disk_may_come_too_late() {
    let mut bench = Bench::new();
    let stream = bench.file(10, 10);
    assert_eq!(bench.advance(stream), Progress::Waiting);
    bench.transfers.cancel(bench.owner, stream);
    assert_eq!(bench.files.count(), 1, "the worker still has it");
    assert_eq!(bench.read(), None);
    bench.assert_empty();
}

#[test]
fn a_file_that_is_found_too_late_is_closed() {
    let mut bench = Bench::new();
    let key = bench.transfers.insert_opening(bench.owner, 0);
    assert_eq!(bench.advance(0), Progress::Waiting);
    assert!(bench.transfers.contains(bench.owner, 0));
    bench.transfers.cancel(bench.owner, 0);
    let response = Response::text(200, "late", UNIX_EPOCH);
    assert_eq!(bench.transfers.opened(key, response), None);
    bench.assert_empty();
}

#[test]
fn the_budget_interrupts_and_loses_nothing() {
    let mut bench = Bench::new();
    let stream = bench.generated(1000);
    let mut visits = 0;
    loop {
        bench.budget = 64;
        visits += 1;
        match bench.advance(stream) {
            Progress::Budget => assert!(bench.engine.fin_at.is_none()),
            other => break assert_eq!(other, Progress::Done),
        }
    }
    assert_eq!(visits, 16);
    bench.assert_body(1000);
}

#[test]
fn streams_of_different_connections_do_not_mix() {
    let mut bench = Bench::new();
    bench.engine.room = 0;
    let stream = bench.generated(7);
    let other = Key::for_test(2);
    let response = Response::generated(9, &bench.pattern, UNIX_EPOCH);
    bench.transfers.insert(other, stream, response);
    assert!(bench.transfers.cancel(other, stream));
    bench.engine.room = 100;
    assert_eq!(bench.advance(stream), Progress::Done);
    bench.assert_body(7);
    bench.assert_empty();
}

/// A response of two texts around two parts of a file of `length` bytes.
fn parts(bench: &mut Bench, length: usize) -> (u64, Vec<u8>) {
    let mut file = tempfile::tempfile().unwrap();
    let bytes: Vec<u8> = (0..length as u64).map(byte_at).collect();
    file.write_all(&bytes).unwrap();
    let file = Arc::new(OpenFile::new(file, &bench.files));
    let (half, quarter) = (length / 2, length / 4);
    let part = |start: usize, length: usize| {
        Source::File(FileSource::new(Arc::clone(&file), start as u64, length as u64))
    };
    let mut response = Response::text(206, "", UNIX_EPOCH);
    response.body = Source::parts([
        Source::bytes("first: "),
        part(half, half),
        Source::empty(),
        Source::bytes(" second: "),
        part(1, quarter),
        Source::bytes(" end"),
    ]);
    let stream = bench.stream();
    bench.transfers.insert(bench.owner, stream, response);
    let expected = [b"first: ", &bytes[half..2 * half], b" second: ", &bytes[1..=quarter], b" end"];
    (stream, expected.concat())
}

#[test]
fn parts_of_a_file_go_out_in_a_row_with_the_memory_of_one() {
    for at_once in [None, Some(1000)] {
        let mut bench = Bench::new();
        bench.engine.at_once = at_once;
        let (stream, expected) = parts(&mut bench, 8 * CHUNK);
        let mut most = 0;
        loop {
            bench.engine.room = 100_000;
            match bench.advance(stream) {
                Progress::Done => break,
                Progress::Waiting => drop(bench.read()),
                other => assert_eq!(other, Progress::Blocked),
            }
            assert!(bench.disk.0.len() <= 1, "one read at a time");
            assert!(bench.files.count() <= 1, "all parts share one file");
            most = most.max(bench.transfers.held());
            if bench.engine.body.len().is_multiple_of(3) && !bench.disk.0.is_empty() {
                bench.read();
            }
        }
        assert!(most <= 2 * CHUNK + 64, "{most}");
        assert!(bench.engine.body == expected, "the parts are not what was wanted");
        assert_eq!(bench.engine.fin_at, Some(expected.len()));
        bench.assert_empty();
    }
}

/// One byte of credit at a time: no byte and no end is lost between two parts.
#[test]
fn d2_33_tiny_credit_crosses_the_borders_of_parts() {
    let mut bench = Bench::new();
    let (stream, expected) = parts(&mut bench, 40);
    loop {
        bench.engine.room = 1;
        match bench.advance(stream) {
            Progress::Done => break,
            Progress::Waiting => drop(bench.read()),
            other => assert_eq!(other, Progress::Blocked),
        }
        assert_eq!(bench.engine.fin_at, None);
    }
    assert_eq!(bench.engine.body, expected);
    assert_eq!(bench.engine.fin_at, Some(expected.len()));
    bench.assert_empty();
}

/// A part whose bytes are gone resets the stream, whatever has been sent.
#[test]
fn d2_28_a_part_that_cannot_be_read_resets_the_stream() {
    let mut bench = Bench::new();
    let file = Arc::new(OpenFile::new(tempfile::tempfile().unwrap(), &bench.files));
    let mut response = Response::text(206, "", UNIX_EPOCH);
    response.body =
        Source::parts([Source::bytes("first: "), Source::File(FileSource::new(file, 5, 10))]);
    let stream = bench.stream();
    bench.transfers.insert(bench.owner, stream, response);
    assert_eq!(bench.advance(stream), Progress::Waiting);
    bench.read();
    assert_eq!(bench.advance(stream), Progress::Failed);
    assert_eq!(bench.engine.resets, [(stream, H3_INTERNAL_ERROR)]);
    assert_eq!(bench.engine.fin_at, None);
    bench.assert_empty();
}
