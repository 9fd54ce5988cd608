//! Request bodies that are not in memory: files that workers read, pipes that the application fills.

use std::{fs::File, io::Write as _};

use bytes::Bytes;
use http3_session::{Http3Event, scripted::Call};
use neqo_common::Header;
use neqo_transport::StreamType;
use tests::simulated::{Bench, Http3ServerPeer, MS, Peer, RawPeer, SECOND, SERVER, Setup};
use transaction::{BodyWriter, ErrorCode, NetError, Priority, RequestBody, pipe::CAPACITY};

/// A file of so many bytes.
fn file(length: usize) -> RequestBody {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&vec![b'x'; length]).unwrap();
    RequestBody::file(file).unwrap()
}

/// Writes all of `bytes` while time passes.
fn write_all(bench: &mut Bench, writer: &mut BodyWriter, bytes: usize) {
    let mut rest = Bytes::from(vec![b'x'; bytes]);
    bench.run_until("the pipe takes everything", |_| {
        while writer.try_send(&mut rest).unwrap() > 0 {}
        rest.is_empty()
    });
}

/// A raw server that gives streams so much credit, and reads nothing before it is told to.
fn server_that_does_not_read(bench: &mut Bench, credit: u64) -> Peer<RawPeer> {
    bench
        .raw_server(SERVER, |parameters| parameters.max_stream_data(StreamType::BiDi, true, credit))
}

/// The first request is there, and is not read.
fn arrived(server: &Peer<RawPeer>) -> bool {
    server.tell(|server, _| match server.connections.first_mut() {
        Some(connection) => {
            connection.reads = false;
            !connection.requests.is_empty()
        }
        None => false,
    })
}

fn reset_of_first(server: &Peer<RawPeer>) -> Option<u64> {
    server.look(|server| server.connections[0].requests[0].reset)
}

#[test]
fn r1_a_file_of_any_length_is_sent_whole_and_ended_once() {
    let (mut bench, server) = Bench::with_server(1);
    for length in [0, 1, 256 * 1024, 1_000_001] {
        let mut fetch = bench.upload("/post", file(length));
        bench.finish([&mut fetch]);
        assert_eq!(fetch.header("x-data-received-length"), Some(&*length.to_string()));
    }
    assert_eq!(server.look(Http3ServerPeer::connections), 1);
    assert!(server.look(|server| server.requests.iter().all(|request| request.fin)));
}

#[test]
fn a_file_is_read_by_workers_and_never_by_the_socket_thread() {
    let (mut bench, _server) = Bench::with_server(2);
    bench.fetch("/1").expect_pattern(1);
    // Each chunk takes the worker so long; four of them are needed.
    bench.network().job_delay(SECOND);
    let start = bench.elapsed();
    let mut fetch = bench.upload("/post", file(4 * 256 * 1024));
    bench.finish([&mut fetch]);
    assert!(bench.since(start) >= 4 * SECOND, "{:?}", bench.since(start));
}

#[test]
fn a_pipe_is_sent_while_it_is_written_and_ended_when_the_writer_says_so() {
    let (mut bench, server) = Bench::with_server(3);
    let (mut writer, body) = RequestBody::pipe(None);
    let mut fetch = bench.upload("/post", body);
    for round in 1..=3 {
        write_all(&mut bench, &mut writer, 300_000);
        bench.run_for(SECOND);
        let seen = server.look(|server| server.seen("/post").clone());
        assert_eq!((seen.body, seen.fin), (300_000 * round, false));
    }
    writer.finish();
    bench.finish([&mut fetch]);
    assert_eq!(fetch.header("x-data-received-length"), Some("900000"));
}

/// <https://github.com/quinn-rs/quinn/issues/617>
#[test]
fn d2_32_a_pipe_that_ends_with_nothing_pending_still_sends_its_end() {
    let (mut bench, server) = Bench::with_server(4);
    let (mut writer, body) = RequestBody::pipe(None);
    let mut fetch = bench.upload("/post", body);
    write_all(&mut bench, &mut writer, 10);
    bench.run_for(20 * SECOND);
    assert!(!server.look(|server| server.seen("/post").fin));
    writer.finish();
    bench.finish([&mut fetch]);
    assert_eq!(fetch.header("x-data-received-length"), Some("10"));
}

#[test]
fn r2_a_pipe_without_data_waits_without_a_turn_too_many() {
    let (mut bench, _server) = Bench::with_server(5);
    let (writer, body) = RequestBody::pipe(None);
    let mut fetch = bench.upload("/post", body);
    bench.run_for(SECOND);
    let turns = bench.snapshot().service.turns;
    bench.run_for(10 * SECOND);
    let turns = bench.snapshot().service.turns - turns;
    assert!(turns < 50, "{turns} turns in ten seconds without data");
    writer.finish();
    bench.finish([&mut fetch]);
}

#[test]
fn a_slow_server_holds_the_writer_back() {
    let mut bench = Bench::new(6);
    let server = server_that_does_not_read(&mut bench, 10_000);
    let (mut writer, body) = RequestBody::pipe(None);
    let mut fetch = bench.upload("/", body);
    bench.run_until("it arrives", |_| arrived(&server));
    let mut rest = Bytes::from(vec![b'x'; 1_000_000]);
    for _ in 0..10 {
        while writer.try_send(&mut rest).unwrap() > 0 {}
        bench.run_for(SECOND);
    }
    let taken = 1_000_000 - rest.len();
    assert!(taken <= 10_000 + 2 * CAPACITY, "{taken} bytes were taken of a server that reads none");

    server.tell(|server, _| server.connection().read_everything());
    write_all(&mut bench, &mut writer, rest.len());
    writer.finish();
    bench.run_until("the upload ends", |_| {
        server.look(|server| server.connections[0].requests[0].fin)
    });
    assert_eq!(server.look(|server| server.connections[0].requests[0].body), 1_000_000);
    server.tell(|server, _| server.connection().answer(0, b"thanks"));
    bench.finish([&mut fetch]);
    assert_eq!(fetch.body(), b"thanks");
}

/// <https://github.com/saorsa-labs/ant-quic/issues/244>, <https://github.com/dfinity/ic/pull/1346>
#[test]
fn d2_31_a_writer_that_gives_up_resets_the_stream_and_never_ends_it() {
    let (mut bench, server) = Bench::with_raw(7);
    let (mut writer, body) = RequestBody::pipe(Some(1_000_000));
    let mut fetch = bench.upload("/", body);
    write_all(&mut bench, &mut writer, 200_000);
    bench.run_for(SECOND);
    drop(writer);
    bench.finish([&mut fetch]);
    assert!(matches!(fetch.error(), NetError::RequestBody(_)), "{:?}", fetch.error());
    bench.run_for(SECOND);
    assert_eq!(reset_of_first(&server), Some(ErrorCode::REQUEST_CANCELLED.value()));
    assert!(!server.look(|server| server.connections[0].requests[0].fin));
    // The connection is as good as before.
    server.tell(|server, _| {
        server.on_request(|connection, request| connection.answer(request, b"here"));
    });
    assert_eq!(bench.fetch("/another").body(), b"here");
    assert_eq!(bench.snapshot().lifetime.connections, 1);
}

#[test]
fn d2_31_a_writer_that_ends_before_the_announced_length_resets_the_stream() {
    let (mut bench, server) = Bench::with_raw(8);
    let (mut writer, body) = RequestBody::pipe(Some(1000));
    let mut fetch = bench.upload("/", body);
    write_all(&mut bench, &mut writer, 999);
    writer.finish();
    bench.finish([&mut fetch]);
    let NetError::RequestBody(what) = fetch.error() else { panic!("{:?}", fetch.error()) };
    assert!(what.contains("after 999 of the 1000"), "{what}");
    bench.run_for(SECOND);
    assert_eq!(reset_of_first(&server), Some(ErrorCode::REQUEST_CANCELLED.value()));
}

#[test]
fn h30_a_file_that_becomes_shorter_resets_the_stream() {
    let (mut bench, server) = Bench::with_raw(9);
    let path = tempfile::NamedTempFile::new().unwrap();
    path.as_file().set_len(3_000_000).unwrap();
    let body = RequestBody::file(File::open(path.path()).unwrap()).unwrap();
    path.as_file().set_len(100_000).unwrap();
    let mut fetch = bench.upload("/", body);
    bench.finish([&mut fetch]);
    let NetError::RequestBody(what) = fetch.error() else { panic!("{:?}", fetch.error()) };
    assert!(what.contains("became shorter"), "{what}");
    bench.run_for(SECOND);
    assert_eq!(reset_of_first(&server), Some(ErrorCode::REQUEST_CANCELLED.value()));
}

#[test]
fn h30_a_dropped_response_stops_its_writer_and_resets_the_stream() {
    let (mut bench, server) = Bench::with_raw(10);
    let (mut writer, body) = RequestBody::pipe(None);
    let fetch = bench.upload("/", body);
    write_all(&mut bench, &mut writer, 50_000);
    bench.run_for(SECOND);
    drop(fetch);
    bench.run_for(SECOND);
    assert_eq!(writer.try_send(&mut Bytes::from_static(b"x")), Err(NetError::Aborted));
    assert_eq!(reset_of_first(&server), Some(ErrorCode::REQUEST_CANCELLED.value()));
}

/// <https://github.com/seanmonstar/reqwest/pull/2978>, <https://github.com/curl/curl/issues/9122>
#[test]
fn r4_d2_34_d2_35_an_early_response_stops_the_writer_and_arrives_whole() {
    let (mut bench, server) = Bench::with_server(11);
    let (mut writer, body) = RequestBody::pipe(None);
    let mut fetch = bench.upload("/EarlyResponse", body);
    write_all(&mut bench, &mut writer, 50_000);
    bench.finish([&mut fetch]);
    fetch.expect_pattern(1000);
    let told = writer.try_send(&mut Bytes::from_static(b"x"));
    assert!(matches!(told, Err(NetError::RequestBody(_))), "{told:?}");
    let turns = bench.snapshot().service.turns;
    bench.run_for(5 * SECOND);
    assert!(bench.snapshot().service.turns - turns < 50);
    assert_eq!(server.look(Http3ServerPeer::connections), 1);
}

/// A file goes again from its start; a pipe of which bytes have left can't.
#[test]
fn t3_a_rejected_upload_goes_again_if_its_body_can() {
    let (mut bench, server) = Bench::with_raw(12);
    server.tell(|server, _| {
        let mut first = true;
        server.on_request(move |connection, request| {
            if std::mem::take(&mut first) {
                connection.stop_sending(request, ErrorCode::REQUEST_REJECTED.value());
                connection.reset(request, ErrorCode::REQUEST_REJECTED.value());
            } else {
                connection.answer(request, b"thanks");
            }
        });
    });
    let mut fetch = bench.upload("/", file(600_000));
    bench.finish([&mut fetch]);
    assert_eq!(fetch.body(), b"thanks");

    server.tell(|server, _| server.on_request(|_, _| {}));
    let (mut writer, body) = RequestBody::pipe(None);
    let mut fetch = bench.upload("/", body);
    write_all(&mut bench, &mut writer, 1000);
    bench.run_for(SECOND);
    let place = server.look(RawPeer::requests) - 1;
    server.tell(|server, _| {
        server.connection().reset(place, ErrorCode::REQUEST_REJECTED.value());
    });
    bench.finish([&mut fetch]);
    let code = ErrorCode::REQUEST_REJECTED;
    let rejected = NetError::NetInterrupt { code };
    assert_eq!(fetch.error(), &NetError::BodyNotRewindable(Box::new(rejected)));
}

#[test]
fn early_hints_come_before_the_response_and_end_with_it() {
    let (mut bench, _server) = Bench::with_server(13);
    let mut fetch = bench.get("/103_response");
    let mut hints = Vec::new();
    bench.run_until("the hints arrive", |_| {
        hints.extend(fetch.take_early_hints());
        hints.len() == 2
    });
    assert!(hints.iter().all(|head| head.status == 103), "{hints:?}");
    bench.finish([&mut fetch]);
    fetch.expect_pattern(1000);
    assert!(fetch.take_early_hints().is_empty());
}

#[test]
fn more_interim_heads_than_anybody_needs_are_an_error() {
    let (mut bench, server) = Bench::with_raw(14);
    server.tell(|server, _| {
        server.on_request(|connection, request| {
            for _ in 0..100 {
                connection.head(request, &[(":status", "103")]);
            }
        });
    });
    let fetch = bench.fetch("/");
    assert!(matches!(fetch.error(), NetError::MalformedResponse(_)), "{:?}", fetch.error());
    bench.run_for(SECOND);
    let stopped = server.look(|server| server.connections[0].requests[0].stopped);
    assert_eq!(stopped, Some(ErrorCode::MESSAGE_ERROR.value()));
}

#[test]
fn a_priority_is_in_the_request_or_follows_in_an_update() {
    let (mut bench, server) = Bench::with_server(15);
    let urgent = Priority::new(0, true);
    // Before it has left: in the head.
    let mut early = bench.get("/10");
    early.set_priority(urgent);
    bench.finish([&mut early]);
    let seen = server.look(|server| server.seen("/10").clone());
    let field = seen.headers.iter().find(|header| header.name() == "priority");
    assert_eq!(field.map(Header::value), Some("u=0,i"));
    assert_eq!(server.look(|server| server.priorities.len()), 0);

    let mut late = bench.get("/drip/20/10/500");
    bench.run_until("the head arrives", |_| late.poll_head());
    late.set_priority(urgent);
    bench.finish([&mut late]);
    assert_eq!(server.look(|server| server.priorities.len()), 1);
}

#[test]
fn trailers_are_told_at_the_end_when_an_engine_has_them() {
    let script = http3_session::scripted::Script::default();
    script.callback(Some(MS));
    let mut bench = Setup::new(16).scripts([script.clone()]).build();
    script.event(Http3Event::Connected);
    let mut fetch = bench.get("/");
    bench.run_for(10 * MS);
    assert!(script.take_calls().iter().any(|call| matches!(call, Call::Fetch { .. })));
    let stream = http3_session::StreamId::new(0);
    let (status, headers) = (http::StatusCode::OK, http::HeaderMap::new());
    script.event(Http3Event::HeaderReady { stream, status, headers, fin: false });
    bench.run_for(10 * MS);
    let mut trailers = http::HeaderMap::new();
    trailers.insert("checksum", http::HeaderValue::from_static("1"));
    script.event(Http3Event::Trailers(stream, trailers.clone()));
    script.data(stream, b"body", true);
    bench.finish([&mut fetch]);
    assert_eq!((fetch.body(), fetch.trailers()), (&b"body"[..], Some(&trailers)));
}
