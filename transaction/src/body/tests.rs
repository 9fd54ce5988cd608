//! Every kind of body, as the socket thread reads it and as the application writes it.

use std::{
    fs,
    io::Write as _,
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll, Wake, Waker},
    thread,
};

use super::{reader::Next, *};
use crate::{
    error::NetError,
    exchange::{Exchange, Wishes},
    pipe::CAPACITY,
};
use std::sync::Arc;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A reader, the exchange it belongs to, and how often the exchange's owner was woken.
fn reader(body: RequestBody) -> (BodyReader, Arc<Exchange>, Arc<Count>) {
    let (exchange, count) = (Exchange::new(), Arc::new(Count::default()));
    exchange.set_owner(Some(Arc::clone(&count).into()));
    (BodyReader::new(body, &exchange), exchange, count)
}

/// Takes all that is there; the flag says that it was all there will be.
fn drain(reader: &mut BodyReader) -> Result<(Vec<u8>, bool), NetError> {
    let mut bytes = Vec::new();
    loop {
        if let Some(read) = reader.take_read() {
            read.run();
        }
        let taken = match reader.next()? {
            Next::Bytes(next) => {
                bytes.extend_from_slice(next);
                next.len()
            }
            Next::Wait => 0,
            Next::End => return Ok((bytes, true)),
        };
        reader.advance(taken);
        if taken == 0 {
            let Some(read) = reader.take_read() else { return Ok((bytes, false)) };
            read.run();
        }
    }
}

fn file_of(content: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(content).unwrap();
    file
}

fn pattern(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

#[test]
fn what_is_written_is_read_in_order_and_ends_when_the_writer_says_so() {
    let (mut writer, body) = RequestBody::pipe(None);
    let (mut reader, exchange, count) = reader(body);
    assert_eq!(drain(&mut reader), Ok((vec![], false)));
    writer.write_all(b"abc").unwrap();
    assert_eq!(count.0.load(Ordering::Relaxed), 1, "the reader waited");
    assert!(exchange.take_wishes().send);
    writer.write_all(b"def").unwrap();
    assert_eq!(count.0.load(Ordering::Relaxed), 1, "it has not looked since");
    assert_eq!(drain(&mut reader), Ok((b"abcdef".to_vec(), false)));
    writer.finish();
    assert_eq!(count.0.load(Ordering::Relaxed), 2);
    assert_eq!(drain(&mut reader), Ok((vec![], true)));
}

#[test]
fn small_pieces_leave_together() {
    let (mut writer, body) = RequestBody::pipe(None);
    let (mut reader, ..) = reader(body);
    for n in 0..100 {
        writer.write_all(&[n]).unwrap();
    }
    assert!(matches!(reader.next(), Ok(Next::Bytes(bytes)) if bytes.len() == 100));
}

#[test]
fn p1_a_pipe_takes_no_more_than_it_holds_and_wakes_its_writer_once() {
    let (mut writer, body) = RequestBody::pipe(None);
    let (mut reader, ..) = reader(body);
    let mut piece = Bytes::from(pattern(3 * CAPACITY));
    let taken = writer.try_send(&mut piece).unwrap();
    assert!(taken <= CAPACITY && taken > CAPACITY / 2, "{taken}");
    assert_eq!(writer.try_send(&mut piece), Ok(0));
    assert_eq!(taken + piece.len(), 3 * CAPACITY);

    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    {
        let mut sending = pin!(writer.send(piece));
        let mut context = Context::from_waker(&waker);
        assert!(sending.as_mut().poll(&mut context).is_pending());
        let mut read = 0;
        loop {
            read += drain(&mut reader).unwrap().0.len();
            match sending.as_mut().poll(&mut context) {
                Poll::Ready(result) => break result.unwrap(),
                Poll::Pending => {}
            }
            assert_eq!(count.0.swap(0, Ordering::Relaxed), 1, "after {read} bytes");
        }
    }
    writer.finish();
    assert!(drain(&mut reader).unwrap().1);
}

#[test]
fn a_writer_that_blocks_goes_on_when_there_is_space() {
    let (mut writer, body) = RequestBody::pipe(None);
    let (mut reader, ..) = reader(body);
    let sent = pattern(10 * CAPACITY);
    let expected = sent.clone();
    let writing = thread::spawn(move || {
        writer.write_all(&sent).unwrap();
        writer.finish();
    });
    let mut read = Vec::new();
    loop {
        let (bytes, end) = drain(&mut reader).unwrap();
        read.extend(bytes);
        if end {
            break;
        }
        thread::yield_now();
    }
    writing.join().unwrap();
    assert_eq!(read, expected);
}

#[test]
fn d2_31_a_writer_that_is_dropped_fails_the_body_and_never_ends_it() {
    let (mut writer, body) = RequestBody::pipe(None);
    let (mut reader, exchange, _) = reader(body);
    writer.write_all(b"half of it").unwrap();
    exchange.take_wishes();
    drop(writer);
    assert!(exchange.take_wishes().send, "the socket thread is told at once");
    assert!(matches!(drain(&mut reader), Err(NetError::RequestBody(_))));
}

#[test]
fn d2_40_a_body_that_is_dropped_while_somebody_writes_it_ends_the_writer() {
    let (mut writer, body) = RequestBody::pipe(None);
    let writing = thread::spawn(move || writer.write_all(&pattern(10 * CAPACITY)));
    drop(body);
    let error = writing.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn a_writer_is_told_why_nobody_wants_more() {
    let (mut writer, body) = RequestBody::pipe(None);
    let (mut reader, ..) = reader(body);
    reader.close(NetError::Aborted);
    reader.close(NetError::ShuttingDown);
    assert_eq!(writer.try_send(&mut Bytes::from_static(b"x")), Err(NetError::Aborted));
    writer.finish();
}

#[test]
fn a_body_keeps_to_the_length_that_was_announced() {
    let (mut writer, body) = RequestBody::pipe(Some(5));
    let (mut exact, ..) = reader(body);
    let too_long = writer.try_send(&mut Bytes::from_static(b"abcdef"));
    assert!(matches!(too_long, Err(NetError::RequestBody(_))));
    assert_eq!(writer.try_send(&mut Bytes::from_static(b"abcde")), Ok(5));
    writer.finish();
    assert_eq!(drain(&mut exact), Ok((b"abcde".to_vec(), true)));

    let (mut writer, body) = RequestBody::pipe(None);
    body.expect_length(5);
    let (mut short, ..) = reader(body);
    writer.write_all(b"abc").unwrap();
    writer.finish();
    assert!(matches!(drain(&mut short), Err(NetError::RequestBody(_))));
}

#[test]
fn a_file_is_read_whole_whatever_its_length() {
    for length in [1, 1000, 256 * 1024, 256 * 1024 + 1, 1_000_000] {
        let content = pattern(length);
        let body = RequestBody::file(file_of(&content)).unwrap();
        assert_eq!(body.length(), Some(length as u64));
        let (mut reader, ..) = reader(body);
        assert_eq!(drain(&mut reader), Ok((content, true)), "{length}");
    }
    assert!(matches!(RequestBody::file(file_of(b"")), Ok(RequestBody::Empty)));
}

#[test]
fn a_file_is_read_one_chunk_ahead_and_no_further() {
    let (mut reader, exchange, count) =
        reader(RequestBody::file(file_of(&pattern(2_000_000))).unwrap());
    assert_eq!(reader.next(), Ok(Next::Wait));
    let read = reader.take_read().unwrap();
    assert!(reader.take_read().is_none(), "one read at a time");
    read.run();
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
    assert!(exchange.take_wishes().send);
    assert!(matches!(reader.next(), Ok(Next::Bytes(_))));
    reader.take_read().unwrap().run();
    assert!(reader.take_read().is_none(), "nothing more before the first is sent");
    assert!(reader.buffered() <= 2 * 256 * 1024, "{}", reader.buffered());
}

#[test]
fn a_file_goes_back_to_its_start_and_old_reads_do_not_count() {
    let content = pattern(600_000);
    let (mut reader, ..) = reader(RequestBody::file(file_of(&content)).unwrap());
    reader.take_read().unwrap().run();
    let Ok(Next::Bytes(first)) = reader.next() else { panic!("a chunk") };
    let taken = first.len();
    reader.advance(taken);
    let late = reader.take_read().unwrap();
    assert!(reader.can_rewind());
    reader.rewind();
    late.run();
    assert_eq!(drain(&mut reader), Ok((content, true)));
}

#[test]
fn a_pipe_can_be_rewound_until_its_first_byte_has_left() {
    let (mut writer, body) = RequestBody::pipe(None);
    let (mut reader, ..) = reader(body);
    writer.write_all(b"abc").unwrap();
    assert!(matches!(reader.next(), Ok(Next::Bytes(b"abc"))));
    assert!(reader.can_rewind());
    reader.rewind();
    assert!(matches!(reader.next(), Ok(Next::Bytes(b"abc"))), "nothing was lost");
    reader.advance(1);
    assert!(!reader.can_rewind());
}

#[test]
fn a_file_that_became_shorter_is_an_error_that_says_so() {
    let file = file_of(&pattern(600_000));
    let body = RequestBody::file(file.try_clone().unwrap()).unwrap();
    let (mut reader, ..) = reader(body);
    file.set_len(300_000).unwrap();
    let Err(NetError::RequestBody(what)) = drain(&mut reader) else { panic!("an error") };
    assert!(what.contains("became shorter"), "{what}");
}

#[test]
fn a_folder_is_no_body() {
    let error = RequestBody::file(fs::File::open(".").unwrap()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn a_wish_for_a_priority_carries_it() {
    let exchange = Exchange::new();
    let urgent = crate::Priority::new(0, true);
    exchange.set_priority(urgent);
    let wishes = exchange.take_wishes();
    assert_eq!(wishes, Wishes { priority: Some(urgent), ..Wishes::default() });
    assert_eq!(exchange.take_wishes(), Wishes::default(), "once");
}
