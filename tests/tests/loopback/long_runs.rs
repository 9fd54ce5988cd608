//! The same small thing very often, and what the process holds afterwards. A few hundred times in the
//! usual run, ten thousand times in `scripts/soak`. Each of these runs in a process of its own, so that
//! memory and descriptors are the client's alone.

use std::{net::Ipv4Addr, time::Duration};

use http::Method;
use necko::{Alpn, HttpHandler, NetError, Request};
use socket_transport::Clock;
use tests::loopback::{
    Client, DeadPort, Http1Server, Resources, ServerProcess, TestCa, fetch,
    in_a_process_of_its_own, in_soak, own_resident_memory, read_to_end, tell, wait_until_empty,
};

const LIMIT: Duration = Duration::from_mins(20);

/// What is done, how often, and whether the process is the same afterwards: its descriptors, and in the
/// last quarter the memory of the second. By then whatever is made once has been made.
fn leaves_nothing(handler: &HttpHandler, round: impl Fn()) {
    // What is made once weighs more in a short run.
    let (rounds, once) = if in_soak() { (10_000, 0) } else { (500, 1 << 18) };
    let clock = Clock::system();
    let begin = clock.now();
    round();
    wait_until_empty(handler);
    let before = Resources::now().descriptors;
    // Its own memory is all there from the beginning.
    let mut memory = vec![u64::MAX; rounds];
    for (n, memory) in memory.iter_mut().enumerate().skip(1) {
        round();
        // Connections that close at the same time need memory at the same time: so many are no more.
        if n % 10 == 0 {
            wait_until_empty(handler);
        }
        *memory = own_resident_memory();
    }
    let lifetime = wait_until_empty(handler).lifetime;
    assert_eq!((lifetime.connections, lifetime.reclaimed), (rounds as u64, rounds as u64));
    let after = Resources::now().descriptors;
    assert_eq!(after, before);
    let (second, last) = (mean(&memory[rounds / 4..rounds / 2]), mean(&memory[rounds * 3 / 4..]));
    tell(&format!(
        "{rounds} rounds in {:.1} s; {} descriptors before and after; resident memory {:.2} MiB in the \
         second quarter, {:.2} MiB in the last ({:+.2} %)",
        (clock.now() - begin).as_secs_f64(),
        after.len(),
        second / MIB,
        last / MIB,
        (last / second - 1.0) * 100.0,
    ));
    assert!(last <= second * 1.02 + mean(&[once]), "resident memory grew: {memory:?}");
}

const MIB: f64 = 1_048_576.0;

#[expect(clippy::cast_precision_loss, reason = "memory has fewer bytes than 2 to the 52nd")]
fn mean(values: &[u64]) -> f64 {
    values.iter().sum::<u64>() as f64 / values.len() as f64
}

/// <https://github.com/oven-sh/bun/pull/35745>
#[test]
fn d2_11_many_connections_later_descriptors_and_memory_are_the_same() {
    let name = "long_runs::d2_11_many_connections_later_descriptors_and_memory_are_the_same";
    in_a_process_of_its_own(name, LIMIT, || {
        let server = ServerProcess::start();
        let handler = Client::trusting(&server.ca()).to(server.address()).start();
        leaves_nothing(&handler, || {
            let body = fetch(handler.get(&server.url("/bytes/100"))).unwrap();
            assert_eq!(read_to_end(body), Ok(100));
            handler.close_persistent_connections().unwrap();
        });
    });
}

/// <https://github.com/dotnet/runtime/issues/113030>
#[test]
fn d2_12_many_refused_dials_later_descriptors_and_memory_are_the_same() {
    let name = "long_runs::d2_12_many_refused_dials_later_descriptors_and_memory_are_the_same";
    in_a_process_of_its_own(name, LIMIT, || {
        let dead = DeadPort::on(Ipv4Addr::LOCALHOST.into());
        let peer = dead.address();
        let handler = Client::trusting(&TestCa::new().file()).start();
        leaves_nothing(&handler, || {
            let error = fetch(handler.get(&format!("https://{peer}/"))).unwrap_err();
            assert_eq!(error, NetError::ConnectionRefused { peer });
        });
    });
}

/// Connections that are used again: six, whatever is asked of them.
#[test]
fn m5_ten_thousand_requests_over_six_connections_later_descriptors_and_memory_are_the_same() {
    let name = "long_runs::m5_ten_thousand_requests_over_six_connections_later_descriptors_and_memory_are_the_same";
    in_a_process_of_its_own(name, LIMIT, || {
        let ca = TestCa::new();
        let server = Http1Server::start(ca.localhost(), |connection| {
            while connection.read_request().is_some() && connection.respond(&[b'x'; 100]) {}
        });
        let handler = Client::trusting(&ca.file()).to(server.address()).start();
        let round = || {
            let get = || Request::new(Method::GET, &server.url("/")).unwrap().version(Alpn::Http11);
            let pending: Vec<_> = (0..20).map(|_| handler.fetch(get())).collect();
            for pending in pending {
                let mut body = fetch(pending).unwrap().into_body();
                let length = std::io::copy(&mut body, &mut std::io::sink()).unwrap();
                assert_eq!(length, 100);
            }
        };
        let (rounds, clock) = (500, Clock::system());
        let begin = clock.now();
        round();
        let before = Resources::now().descriptors;
        let mut memory = vec![u64::MAX; rounds];
        for memory in memory.iter_mut().skip(1) {
            round();
            *memory = own_resident_memory();
        }
        assert_eq!(Resources::now().descriptors, before);
        let snapshot = handler.snapshot().unwrap();
        assert_eq!((snapshot.lifetime.connections, snapshot.lifetime.dispatched), (6, 10_000));
        assert_eq!(server.connections(), 6);
        let (second, last) =
            (mean(&memory[rounds / 4..rounds / 2]), mean(&memory[rounds * 3 / 4..]));
        tell(&format!(
            "10000 requests over 6 connections in {:.1} s; {} descriptors before and after; resident memory \
             {:.2} MiB in the second quarter, {:.2} MiB in the last ({:+.2} %)",
            (clock.now() - begin).as_secs_f64(),
            before.len(),
            second / MIB,
            last / MIB,
            (last / second - 1.0) * 100.0,
        ));
        assert!(last <= second * 1.02 + mean(&[1 << 18]), "resident memory grew: {memory:?}");
    });
}
