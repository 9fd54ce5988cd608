//! Uploads, with a disk that does its jobs when the test says so.

use std::{collections::VecDeque, fs, path::PathBuf};

use super::*;
use crate::{
    Config,
    intake::Intake,
    keyed::Key,
    pattern::byte_at,
    source::OpenFiles,
    transfers::{CHUNK, PLENTY, SMALL_CHUNK},
};

/// Jobs that wait for a worker.
#[derive(Default)]
struct SlowDisk(VecDeque<(Place, Job)>);

impl Store for SlowDisk {
    fn submit(&mut self, place: Place, job: Job) {
        self.0.push_back((place, job));
    }
}

struct Bench {
    directory: tempfile::TempDir,
    intake: Intake,
    disk: SlowDisk,
    files: OpenFiles,
    next_stream: u64,
}

impl Bench {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = ([127, 0, 0, 1], 0).into();
        let mut config = Config::new(PathBuf::new(), address, PathBuf::new(), PathBuf::new());
        change(&mut config);
        let files = OpenFiles::default();
        let root = directory.path().canonicalize().unwrap();
        let intake = Intake::new(&config, Some(&root), files.clone());
        Self { directory, intake, disk: SlowDisk::default(), files, next_stream: 0 }
    }

    fn begin(&mut self, method: &str, more: &[(&str, &str)]) -> Result<Upload, Failure> {
        let mut fields =
            vec![(":method", method), (":scheme", "https"), (":authority", "localhost")];
        let path = format!("/{}", self.next_stream);
        fields.push((":path", if method == "POST" { "/" } else { &path }));
        fields.extend_from_slice(more);
        let request = Request::parse(&fields).unwrap();
        let place = (Key::for_test(1), self.next_stream);
        self.next_stream += 4;
        self.intake.begin(place, &request, &mut self.disk)
    }

    fn put(&mut self, more: &[(&str, &str)]) -> Upload {
        self.begin("PUT", more).unwrap()
    }

    /// Gives an upload bytes of the pattern, as many as it takes but at most up to `end`.
    fn feed(&mut self, upload: &mut Upload, end: u64) -> Result<(), Failure> {
        loop {
            let allowance = self.intake.allowance();
            let left = usize::try_from(end - upload.received).unwrap();
            let count = upload.room(allowance).min(left).min(64 * 1024);
            if count == 0 {
                if left == 0 {
                    upload.drained(&mut self.disk);
                }
                return Ok(());
            }
            upload.readable = true;
            let bytes: Vec<u8> = (upload.received..).take(count).map(byte_at).collect();
            upload.take(&bytes, allowance, &mut self.disk)?;
        }
    }

    fn end(&mut self, upload: &mut Upload) -> Result<End, Failure> {
        upload.end(&mut self.disk)
    }

    /// The disk does its oldest job.
    fn work(&mut self, upload: &mut Upload) -> Next {
        let (place, job) = self.disk.0.pop_front().expect("the disk has a job");
        assert_eq!(place, upload.place);
        upload.on_done(job.run(), self.intake.allowance(), &mut self.disk)
    }

    /// ... for an upload that is gone.
    fn work_for_nobody(&mut self) {
        while let Some((place, job)) = self.disk.0.pop_front() {
            Intake::nobody_waits(place, job.run(), &mut self.disk);
        }
    }

    fn assert_file(&self, name: &str, length: u64) {
        let bytes = fs::read(self.directory.path().join(name)).unwrap();
        assert_eq!(bytes.len() as u64, length);
        let wrong = bytes.iter().zip(0..).find(|(byte, at)| **byte != byte_at(*at));
        assert_eq!(wrong, None, "first wrong byte");
    }

    /// Nothing is left but so many whole files.
    fn assert_left(&self, files: usize) {
        assert_eq!(fs::read_dir(self.directory.path()).unwrap().count(), files);
        let counts = (self.files.count(), self.intake.unfinished(), self.intake.held());
        assert_eq!((self.disk.0.len(), counts), (0, (0, 0, 0)));
    }
}

fn counting(more: &[(&str, &str)], max: u64) -> Upload {
    let head =
        [(":method", "POST"), (":scheme", "https"), (":authority", "localhost"), (":path", "/")];
    let fields = [&head, more].concat();
    Upload::counting((Key::for_test(1), 0), &Request::parse(&fields).unwrap(), max)
}

#[test]
fn bytes_are_counted_and_compared_with_what_was_announced() {
    let mut disk = SlowDisk::default();
    let allowance = Allowance { chunk: CHUNK, ahead: true };
    let mut take = |upload: &mut Upload, bytes: &[u8]| {
        upload.take(bytes, allowance, &mut disk).map_err(|failure| failure.status)
    };
    let mut none = SlowDisk::default();
    let mut exact = counting(&[("content-length", "5")], u64::MAX);
    assert_eq!(exact.room(allowance), usize::MAX);
    assert_eq!(take(&mut exact, b"abc"), Ok(()));
    assert_eq!(exact.end(&mut none).unwrap_err().status, 400, "too short");
    assert_eq!(take(&mut exact, b"de"), Ok(()));
    assert_eq!(exact.end(&mut none), Ok(End::Counted(5)));
    assert_eq!(take(&mut exact, b"f"), Err(400), "too long");

    let mut unknown = counting(&[], 1000);
    assert_eq!(unknown.end(&mut none), Ok(End::Counted(0)));
    assert_eq!(take(&mut unknown, &[0; 1000]), Ok(()));
    assert_eq!(unknown.end(&mut none), Ok(End::Counted(1000)));
    assert_eq!(take(&mut unknown, &[0]), Err(413), "larger than the server takes");
}

/// What a client has sent waits in the engine when the disk is slow, and the engine's window holds the
/// client. Memory does not depend on the length of the body.
#[test]
fn a_slow_disk_holds_the_client_back_in_bounded_memory() {
    const LENGTH: u64 = 10_000_000;
    const WINDOW: u64 = 1024 * 1024;
    let mut bench = Bench::new();
    let mut upload = bench.put(&[("content-length", "10000000")]);
    let (mut most, mut jobs) = (0, 0);
    loop {
        // The client sends as much as the window lets it; the upload is fed with that.
        let sent = LENGTH.min(upload.received + WINDOW);
        bench.feed(&mut upload, sent).unwrap();
        assert!(bench.disk.0.len() <= 1, "one job at a time");
        most = most.max(bench.intake.held());
        if upload.received == LENGTH {
            break;
        }
        // Nothing moves until the disk does.
        assert_eq!(upload.room(bench.intake.allowance()), 0);
        let held_back = upload.received;
        bench.feed(&mut upload, sent).unwrap();
        assert_eq!(upload.received, held_back);
        jobs += 1;
        assert_eq!(bench.work(&mut upload), Next::GoOn);
        assert!(bench.intake.held() <= 2 * CHUNK);
    }
    assert!(most <= 2 * CHUNK, "{most}");
    assert!(jobs <= LENGTH / CHUNK as u64 + 2, "{jobs} jobs: chunks are full");
    assert_eq!(bench.end(&mut upload), Ok(End::Storing));
    let stored = loop {
        match bench.work(&mut upload) {
            Next::GoOn => {}
            Next::Stored(stored) => break stored,
            Next::Failed(failure) => panic!("{failure:?}"),
        }
    };
    assert_eq!((stored.created, stored.length), (true, LENGTH));
    drop(upload);
    bench.assert_file("0", LENGTH);
    bench.assert_left(1);
}

#[test]
fn many_uploads_hold_small_chunks() {
    let mut bench = Bench::new();
    let many = 1000;
    let mut uploads: Vec<Upload> = (0..many).map(|_| bench.put(&[])).collect();
    for upload in &mut uploads {
        bench.feed(upload, 10_000_000).unwrap();
        let (_, job) = bench.disk.0.pop_front().unwrap();
        upload.on_done(job.run(), bench.intake.allowance(), &mut bench.disk);
        bench.feed(upload, 10_000_000).unwrap();
    }
    let bound = PLENTY + 2 * CHUNK + many * SMALL_CHUNK;
    let held = bench.intake.held();
    assert!(held <= bound && held > PLENTY, "{held} of {bound}");
    for upload in uploads {
        upload.abandon(&mut bench.disk);
    }
    bench.work_for_nobody();
    bench.assert_left(0);
}

#[test]
fn an_upload_without_bytes_is_a_file_without_bytes() {
    let mut bench = Bench::new();
    let mut upload = bench.put(&[("content-length", "0")]);
    assert_eq!(bench.end(&mut upload), Ok(End::Storing));
    assert_eq!(bench.work(&mut upload), Next::GoOn);
    assert!(matches!(bench.work(&mut upload), Next::Stored(Stored { length: 0, .. })));
    drop(upload);
    bench.assert_file("0", 0);
    bench.assert_left(1);
}

#[test]
fn few_bytes_are_written_when_no_more_come() {
    let mut bench = Bench::new();
    let mut upload = bench.put(&[]);
    assert_eq!(bench.work(&mut upload), Next::GoOn);
    for end in [10, 20, 30] {
        bench.feed(&mut upload, end).unwrap();
        assert_eq!(bench.work(&mut upload), Next::GoOn);
        // Nothing is kept for a client that is slow.
        assert_eq!(bench.intake.held(), 0);
    }
    assert_eq!(bench.end(&mut upload), Ok(End::Storing));
    assert!(matches!(bench.work(&mut upload), Next::Stored(Stored { length: 30, .. })));
    drop(upload);
    bench.assert_file("0", 30);
    bench.assert_left(1);
}

/// Given up at every point of its life, an upload leaves nothing, whichever comes first: the end of
/// the upload or the reply of the disk. Source: <https://github.com/saorsa-labs/ant-quic/issues/244>.
#[test]
fn d2_31_an_upload_that_is_given_up_at_any_point_leaves_nothing() {
    let steps: [fn(&mut Bench, &mut Upload); 6] = [
        |bench, upload| drop(bench.work(upload)),
        |bench, upload| bench.feed(upload, 100_000).unwrap(),
        |bench, upload| drop(bench.work(upload)),
        |bench, upload| bench.feed(upload, 900_000).unwrap(),
        |bench, upload| drop(bench.work(upload)),
        |bench, upload| assert_eq!(bench.end(upload), Ok(End::Storing)),
    ];
    for count in 0..=steps.len() {
        for is_dropped in [false, true] {
            let mut bench = Bench::new();
            let mut upload = bench.put(&[]);
            for step in &steps[..count] {
                step(&mut bench, &mut upload);
            }
            if is_dropped {
                // What is not handed to the disk goes by itself.
                drop(upload);
            } else {
                upload.abandon(&mut bench.disk);
            }
            bench.work_for_nobody();
            bench.assert_left(0);
        }
    }
}

#[test]
fn lengths_that_lie_leave_nothing() {
    for (announced, length, fails_at_end) in [("10", 11, false), ("10", 9, true), ("0", 1, false)] {
        let mut bench = Bench::new();
        let mut upload = bench.put(&[("content-length", announced)]);
        bench.work(&mut upload);
        let result = bench.feed(&mut upload, length).and_then(|()| {
            assert!(fails_at_end);
            bench.end(&mut upload).map(drop)
        });
        assert_eq!(result.unwrap_err().status, 400);
        upload.abandon(&mut bench.disk);
        bench.work_for_nobody();
        bench.assert_left(0);
    }
}

#[test]
fn what_can_be_seen_to_fail_is_refused_at_once() {
    let mut bench = Bench::with(|config| {
        config.max_upload = Some(100);
        config.max_transfers = 2;
    });
    let status = |result: Result<Upload, Failure>| result.map(drop).unwrap_err().status;
    assert_eq!(status(bench.begin("PUT", &[("content-length", "101")])), 413);
    assert_eq!(status(bench.begin("PUT", &[("content-range", "bytes 0-1/2")])), 400);
    assert!(bench.disk.0.is_empty());

    let mut first = bench.put(&[("content-length", "100")]);
    let second = bench.put(&[]);
    assert_eq!(status(bench.begin("PUT", &[])), 503);
    // One that is given up counts until the disk is done with it.
    second.abandon(&mut bench.disk);
    assert_eq!(status(bench.begin("PUT", &[])), 503);
    let (_, open_first) = bench.disk.0.pop_front().unwrap();
    first.on_done(open_first.run(), bench.intake.allowance(), &mut bench.disk);
    bench.work_for_nobody();
    let mut third = bench.put(&[]);
    bench.work(&mut third);
    assert_eq!(bench.feed(&mut third, 101).unwrap_err().status, 413);
    first.abandon(&mut bench.disk);
    third.abandon(&mut bench.disk);
    bench.work_for_nobody();
    bench.assert_left(0);
}

/// The folder is refused while the body is on its way already.
#[test]
fn a_failure_of_the_disk_ends_the_upload() {
    let mut bench = Bench::new();
    let gone = bench.directory.path().join("gone");
    fs::create_dir(&gone).unwrap();
    let root = gone.canonicalize().unwrap();
    let address = ([127, 0, 0, 1], 0).into();
    let config = Config::new(root.clone(), address, PathBuf::new(), PathBuf::new());
    bench.intake = Intake::new(&config, Some(&root), bench.files.clone());
    let mut upload = bench.put(&[]);
    bench.feed(&mut upload, 1000).unwrap();
    fs::remove_dir(&gone).unwrap();
    let next = bench.work(&mut upload);
    assert!(matches!(next, Next::Failed(Failure { status: 409, .. })), "{next:?}");
    upload.abandon(&mut bench.disk);
    bench.assert_left(0);
}
