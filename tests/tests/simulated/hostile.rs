//! Peers that mean harm. Each of them ends in a bounded error of the right kind, and what it sends is not kept:
//! what the engine may hold is bounded by what it is given, and so is looked at here.
//!
//! Servers that are merely wrong are in `bad_input.rs` and `framing.rs`.

use neqo_common::Encoder;
use tests::simulated::{
    Ask, Bench, CLIENT, Fetch, MS, OTHER, Peer, RawConnection, RawPeer, SECOND, SERVER, Setup,
};
use transaction::{ErrorCode, NetError, TimeoutPhase};

const MIB: u64 = 1024 * 1024;
const KIB_16: [u8; 16 * 1024] = [0; 16 * 1024];

/// A request that waits for what the server does, and one to `/good` that it answers.
fn waiting(setup: Setup) -> (Bench, Peer<RawPeer>, Fetch) {
    let mut bench = setup.build();
    let server = bench.raw_server(SERVER, |parameters| parameters);
    server.tell(|server, _| {
        server.on_request(|connection, request| {
            if connection.requests[request].path() == "/good" {
                connection.answer(request, b"good");
            }
        });
    });
    let fetch = bench.get("/");
    bench.run_until("it arrives", |_| server.look(|server| server.requests() == 1));
    (bench, server, fetch)
}

/// The head of a frame that announces a gigabyte.
fn endless(kind: u64) -> Vec<u8> {
    let mut frame = Encoder::default();
    frame.encode_varint(kind);
    frame.encode_varint(1024_u64 * MIB);
    frame.into()
}

fn received(bench: &mut Bench) -> u64 {
    bench.snapshot().service.traffic.bytes_received
}

/// Has the server do something every two milliseconds until the request has ended; says how many bytes had
/// come to the client by then. (At most 100 MiB are offered.)
#[track_caller]
fn until_it_ends(
    bench: &mut Bench,
    server: &Peer<RawPeer>,
    fetch: &mut Fetch,
    mut attack: impl FnMut(&mut RawConnection),
) -> u64 {
    for _ in 0..6400 {
        if fetch.poll() {
            return received(bench);
        }
        server.tell(|server, _| attack(server.connection()));
        bench.run_for(2 * MS);
    }
    panic!("nobody minds; {} bytes came", received(bench));
}

/// The client has closed the connection for it, and goes on with another one.
#[track_caller]
fn assert_closed_with(bench: &mut Bench, server: &Peer<RawPeer>, fetch: &Fetch, code: u64) {
    let text = fetch.error().to_string();
    assert!(text.contains(&ErrorCode::new(code).to_string()), "{text}");
    bench.run_for(SECOND);
    let closed = server.look(|server| server.connections[0].closed().cloned());
    let told = neqo_transport::Error::PeerApplicationError(code);
    assert_eq!(closed, Some(neqo_transport::CloseReason::Transport(told)));
    assert_eq!((bench.snapshot().connections(), bench.engines()), (0, 0));
}

#[track_caller]
fn assert_good(bench: &mut Bench, connections: u64) {
    let good = bench.fetch("/good");
    assert_eq!((good.result(), good.body()), (Ok(()), &b"good"[..]));
    let snapshot = bench.snapshot();
    assert_eq!((snapshot.transactions(), bench.transactions()), (0, 0));
    assert_eq!(snapshot.lifetime.connections, connections);
}

/// A few bytes stand for many: each of these for field 58 of the static table, which has 69 bytes of text.
#[test]
fn a_head_that_is_small_encoded_and_large_decoded_is_an_error_of_its_request_alone() {
    let (mut bench, server, mut fetch) = waiting(Setup::new(1));
    let mut frame = Encoder::default();
    frame.encode_varint(1_u64);
    let block = [&[0, 0, 0xd9][..], &vec![0xfa; 200_000]].concat();
    frame.encode_vvec(&block);
    server.tell(|server, _| server.connection().send(0, frame.as_ref()));
    bench.finish([&mut fetch]);
    let NetError::MalformedResponse(what) = fetch.error() else { panic!("{:?}", fetch.error()) };
    assert!(what.contains("larger than"), "{what}");
    assert_good(&mut bench, 1);
}

/// With a dynamic table a byte could stand for all that the table holds. There is none: who fills it errs.
#[test]
fn a_head_can_not_be_made_larger_by_what_was_sent_before() {
    let (mut bench, server, mut fetch) = waiting(Setup::new(2));
    server.tell(|server, _| {
        // The encoder's stream: a capacity of 4096, and a field.
        server.connection().open_unidirectional(&[2, 0x3f, 0xe1, 0x1f, 0x41, b'a', 1, b'b']);
    });
    bench.finish([&mut fetch]);
    assert_closed_with(&mut bench, &server, &fetch, 0x201);
    assert_good(&mut bench, 2);

    // A head that refers to it.
    let (mut bench, server, mut fetch) = waiting(Setup::new(2));
    server.tell(|server, _| server.connection().send(0, &[1, 3, 2, 0, 0x80]));
    bench.finish([&mut fetch]);
    assert_closed_with(&mut bench, &server, &fetch, 0x200);
}

/// The same as `a_head_without_end_is_cut_off_…`, while another response goes on and on: what comes of that one
/// explains nothing of the other.
#[test]
fn a_head_without_end_is_cut_off_whatever_else_comes() {
    let (mut bench, server, mut fetch) = waiting(Setup::new(3));
    let mut other = bench.get("/other");
    bench.run_until("it arrives", |_| server.look(|server| server.requests() == 2));
    server.tell(|server, _| {
        server.connection().head(1, &[(":status", "200")]);
        server.connection().send(0, &endless(1));
    });
    let bytes = until_it_ends(&mut bench, &server, &mut fetch, |connection| {
        connection.data(1, b".");
        connection.send(0, &KIB_16);
        other.poll();
    });
    // One stream with a head may hold 10 MiB, one without 256 KiB.
    assert!(bytes < 12 * MIB, "{bytes} bytes were taken");
    drop(other);
    assert_closed_with(&mut bench, &server, &fetch, ErrorCode::EXCESSIVE_LOAD.value());
}

/// Nothing but heads without end, on as many streams as there are.
#[test]
fn many_heads_without_end_are_cut_off_together() {
    let (mut bench, server, mut fetch) = waiting(Setup::new(4));
    let others: Vec<_> = (1..10).map(|_| bench.get("/other")).collect();
    bench.run_until("they arrive", |_| server.look(|server| server.requests() == 10));
    server.tell(|server, _| (0..10).for_each(|n| server.connection().send(n, &endless(1))));
    let bytes = until_it_ends(&mut bench, &server, &mut fetch, |connection| {
        (0..10).for_each(|n| connection.send(n, &KIB_16[..2000]));
    });
    assert!(bytes < 4 * MIB, "{bytes} bytes were taken");
    drop(others);
    assert_closed_with(&mut bench, &server, &fetch, ErrorCode::EXCESSIVE_LOAD.value());
}

/// Trailers, a frame of a type that nobody knows, one that nobody may send: neqo collects the first two.
#[test]
fn frames_without_end_behind_a_body_are_cut_off() {
    for kind in [1, 0x21, 5] {
        let setup = Setup::new(5).settings(|settings| settings.max_stream_data = MIB);
        let (mut bench, server, mut fetch) = waiting(setup);
        server.tell(|server, _| {
            server.connection().head(0, &[(":status", "200")]);
            server.connection().data(0, b"a body");
            server.connection().send(0, &endless(kind));
        });
        let bytes = until_it_ends(&mut bench, &server, &mut fetch, |connection| {
            connection.send(0, &KIB_16);
        });
        assert_eq!(fetch.body(), b"a body");
        assert!(bytes < 3 * MIB, "{kind}: {bytes} bytes were taken");
        assert!(matches!(fetch.error(), NetError::PartialTransfer { .. }), "{:?}", fetch.error());
        bench.run_for(SECOND);
        assert_eq!(bench.snapshot().connections(), 0);
    }
}

/// neqo collects a frame of the control stream as well, for as long as the connection lives.
#[test]
fn a_control_frame_without_end_is_cut_off() {
    for kind in [3, 7] {
        let (mut bench, server, mut fetch) = waiting(Setup::new(6));
        server.tell(|server, _| server.connection().control(&endless(kind)));
        let bytes = until_it_ends(&mut bench, &server, &mut fetch, |connection| {
            connection.control(&KIB_16);
        });
        assert!(bytes < 2 * MIB, "{kind}: {bytes} bytes were taken");
        assert_closed_with(&mut bench, &server, &fetch, ErrorCode::EXCESSIVE_LOAD.value());
    }
}

#[test]
fn a_control_stream_that_ends_ends_the_connection() {
    let (mut bench, server, mut fetch) = waiting(Setup::new(7));
    server.tell(|server, _| server.connection().end_control());
    bench.finish([&mut fetch]);
    assert_closed_with(&mut bench, &server, &fetch, 0x104);
    assert_good(&mut bench, 2);
}

#[test]
fn a_stream_that_a_server_may_not_open_ends_the_connection() {
    let (mut bench, server, mut fetch) = waiting(Setup::new(8));
    server.tell(|server, _| server.connection().open_bidirectional(&[0, 0]));
    bench.finish([&mut fetch]);
    assert_closed_with(&mut bench, &server, &fetch, 0x103);
}

/// Of types that nobody knows, one after the other: refused one by one, and forgotten.
#[test]
fn streams_of_unknown_types_are_refused_for_ever() {
    let (mut bench, server, mut fetch) = waiting(Setup::new(9));
    let mut opened = 0;
    for n in 0..300_u64 {
        server.tell(|server, _| {
            let mut kind = Encoder::default();
            kind.encode_varint(0x21 + 0x1f * n);
            let bytes = [kind.as_ref(), &KIB_16[..100]].concat();
            while let Some(stream) = server.connection().try_open_unidirectional(&bytes) {
                opened += 1;
                if opened % 2 == 0 {
                    server.connection().end(stream);
                }
            }
        });
        bench.run_for(50 * MS);
    }
    assert!(opened >= 300, "{opened} streams were opened");
    server.tell(|server, _| server.connection().answer(0, b"still there"));
    bench.finish([&mut fetch]);
    assert_eq!((fetch.result(), fetch.body()), (Ok(()), &b"still there"[..]));
    let turns = bench.snapshot().service.turns;
    assert!(turns < 20_000, "{turns} turns");
    assert_good(&mut bench, 1);
}

/// Room for more streams and `DataWritable` cost a peer next to nothing, and must not explain anything.
#[test]
fn limits_that_are_raised_again_and_again_cost_no_more_than_their_turns() {
    let (mut bench, server, mut fetch) = waiting(Setup::new(10));
    for credit in 1..200 {
        server.tell(|server, _| server.connection().raise(0, 10_000_000 + credit));
        bench.run_for(5 * MS);
    }
    server.tell(|server, _| server.connection().answer(0, b"done"));
    bench.finish([&mut fetch]);
    assert_eq!(fetch.body(), b"done");
    let turns = bench.snapshot().service.turns;
    assert!(turns < 3000, "{turns} turns");
}

/// A server that refuses every request on every connection is asked six times in all.
#[test]
fn a_goaway_for_everything_on_every_connection_is_given_up() {
    let (mut bench, server) = Bench::with_raw(11);
    server.tell(|server, _| {
        server.on_request(|connection, _| connection.goaway(0));
    });
    let mut fetch = bench.get("/");
    bench.finish([&mut fetch]);
    let NetError::NetInterrupt { code } = fetch.error() else { panic!("{:?}", fetch.error()) };
    assert_eq!(*code, ErrorCode::REQUEST_REJECTED);
    assert_eq!(server.look(|server| server.connections.len()), 6);
    bench.run_for(5 * SECOND);
    assert_eq!(bench.snapshot().connections(), 0);
}

/// Marsaglia's xorshift: the same numbers in each run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 8
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = self.next() % 1400;
        (0..length).map(|_| u8::try_from(self.next() % 256).unwrap()).collect()
    }
}

/// A version negotiation packet that offers what nobody speaks, for the connection ids of `datagram`.
fn version_negotiation(datagram: &[u8]) -> Vec<u8> {
    let their_id = usize::from(datagram[5]);
    let our_id = usize::from(datagram[6 + their_id]);
    let (dcid, rest) = datagram[6..].split_at(their_id);
    let scid = &rest[1..=our_id];
    let mut packet = vec![0x80, 0, 0, 0, 0];
    for id in [scid, dcid] {
        packet.push(u8::try_from(id.len()).unwrap());
        packet.extend_from_slice(id);
    }
    packet.extend_from_slice(&[0x1a, 0x2a, 0x3a, 0x4a]);
    packet
}

/// A server that answers the first packet with a version that nobody speaks ends the attempt at once; one whose
/// answer is not about this connection doesn't.
#[test]
fn versions_that_nobody_speaks_end_the_attempt_and_forged_ones_do_not() {
    let mut bench = Bench::new(13);
    let server = bench.babbling_server(SERVER);
    server.tell(|server, _| server.on_datagram(|datagram| vec![version_negotiation(datagram)]));
    let fetch = bench.fetch("/");
    let error = fetch.error();
    assert!(matches!(error, NetError::QuicTransport { by_peer: false, .. }), "{error:?}");
    assert!(bench.elapsed() < SECOND, "{:?}", bench.elapsed());

    let mut bench = Bench::new(13);
    let server = bench.babbling_server(SERVER);
    server.tell(|server, _| {
        server.on_datagram(|datagram| {
            // Of the two ids that must be those of the first packet, the one that nobody else can know.
            let mut forged = version_negotiation(datagram);
            let id = 6 + usize::from(forged[5]) + 1;
            forged[id] ^= 1;
            vec![forged]
        });
    });
    let fetch = bench.fetch("/");
    assert_eq!(fetch.error(), &NetError::NetTimeout(TimeoutPhase::Connect));
}

/// From the server's address, before the handshake: nothing is believed, and the attempt ends in time.
#[test]
fn garbage_instead_of_a_handshake_is_a_timeout() {
    let mut bench = Bench::new(14);
    let server = bench.babbling_server(SERVER);
    server.tell(|server, _| {
        let mut numbers = Numbers(14);
        server.on_datagram(move |datagram| {
            let mut echo = datagram.to_vec();
            let place = usize::try_from(numbers.next()).unwrap() % echo.len();
            echo[place] ^= 0x55;
            let half = datagram[..datagram.len() / 2].to_vec();
            vec![numbers.bytes(), Vec::new(), datagram.to_vec(), echo, half, vec![0xff; 21]]
        });
    });
    let fetch = bench.fetch("/");
    assert_eq!(fetch.error(), &NetError::NetTimeout(TimeoutPhase::Connect));
    let elapsed = bench.elapsed();
    assert!((29 * SECOND..40 * SECOND).contains(&elapsed), "{elapsed:?}");
    assert!(bench.snapshot().service.traffic.datagrams_sent < 50);
}

/// Somebody else sends to the client's socket: garbage, what the server sent, and what it was going to send.
#[test]
fn datagrams_from_elsewhere_get_no_answer_and_change_nothing() {
    let (mut bench, server, mut fetch) = waiting(Setup::new(15));
    let stranger = bench.babbling_server(OTHER);
    let client = (CLIENT, 49152).into();
    server.tell(|server, _| {
        server.diverted = Some(Vec::new());
        server.connection().head(0, &[(":status", "200")]);
        server.connection().data(0, b"from the right place");
    });
    bench.run_for(MS);
    let diverted = server.tell(|server, _| server.diverted.take()).unwrap();
    assert!(!diverted.is_empty());
    let mut numbers = Numbers(15);
    for _ in 0..2000 {
        let garbage = numbers.bytes();
        stranger.tell(|stranger, _| {
            stranger.say(client, garbage);
            for packet in &diverted {
                stranger.say(client, packet.clone());
                stranger.say(client, packet[..packet.len() / 2].to_vec());
            }
        });
        bench.run_for(MS);
    }
    assert_eq!(bench.network().counts(CLIENT.into(), OTHER).sent, 0, "no answer");
    server.tell(|server, _| server.connection().finish(0));
    bench.finish([&mut fetch]);
    assert_eq!((fetch.result(), fetch.body()), (Ok(()), &b"from the right place"[..]));
    assert_good(&mut bench, 1);
    let mut upload = bench.ask(Ask::post("/good", vec![b'x'; 100_000]));
    bench.finish([&mut upload]);
    assert_eq!(upload.result(), Ok(()));
}
/// neqo 0.13.4 made room for it, and so ended the process; set-up mends that.
#[test]
fn a_length_that_is_only_announced_is_not_made_room_for() {
    let (mut bench, server, mut fetch) = waiting(Setup::new(20));
    server.tell(|server, _| {
        let half_a_petabyte = [2, 0x5f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
        server.connection().open_unidirectional(&half_a_petabyte);
    });
    bench.finish([&mut fetch]);
    assert_closed_with(&mut bench, &server, &fetch, 0x201);
}
/// The server's hello comes again and again, and nothing behind it: what keeps the connection from being idle
/// must not keep it from being given up.
///
/// <https://github.com/threefoldtech/mycelium/issues/309>
#[test]
fn d2_13_a_handshake_that_never_ends_is_given_up() {
    let (mut bench, server) = Bench::with_raw(12);
    server.tell(|server, _| server.only_initials = true);
    let mut fetch = bench.get("/");
    bench.finish([&mut fetch]);
    assert_eq!(fetch.error(), &NetError::NetTimeout(TimeoutPhase::Connect));
    assert_eq!(server.look(|server| server.connections.len()), 1);
    let heard = bench.snapshot().service.traffic.datagrams_received;
    assert!(heard > 3, "it was heard of {heard} times");
    let waited = bench.run_until_empty();
    assert!(waited < SECOND, "a closing period, not {waited:?}");
}
