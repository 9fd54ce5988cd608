//! What a handler took from the system it gives back. Each of these runs in a process of its own, where
//! all descriptors and threads are the test's.

use tests::loopback::{
    Client, DEADLINE, QuinnServer, Resources, TestCa, fetch, in_a_process_of_its_own, read_to_end,
    wait_until, wait_until_empty,
};

#[test]
fn a_handler_leaves_no_thread_and_no_descriptor() {
    in_a_process_of_its_own(
        "library_resources::a_handler_leaves_no_thread_and_no_descriptor",
        DEADLINE,
        || {
            let ca = TestCa::new();
            let server = QuinnServer::start(&ca);
            let client = Client::trusting(&ca.file()).to(server.address());
            // What the engine opens once for the life of the process.
            drop(client.clone().start());
            let before = Resources::now();
            for _ in 0..3 {
                let handler = client.clone().start();
                let body = fetch(handler.get(&server.url("/1000000"))).unwrap();
                assert_eq!(read_to_end(body), Ok(1_000_000));
                let in_flight = fetch(handler.get(&server.url("/900000000"))).unwrap();
                assert!(Resources::now().threads.contains(&"Socket Thread".to_owned()));
                drop(handler);
                // A thread is still listed for a moment after its last instruction.
                wait_until(DEADLINE, "descriptors and threads are as before", || {
                    (Resources::now() == before).then_some(())
                });
                drop(in_flight);
            }
        },
    );
}

/// <https://github.com/oven-sh/bun/pull/35745>
#[test]
fn d2_11_two_hundred_connections_later_the_descriptors_are_the_same() {
    in_a_process_of_its_own(
        "library_resources::d2_11_two_hundred_connections_later_the_descriptors_are_the_same",
        DEADLINE,
        || {
            let ca = TestCa::new();
            let server = QuinnServer::start(&ca);
            let handler = Client::trusting(&ca.file()).to(server.address()).start();
            let mut after_the_first = None;
            for connection in 1..=200 {
                let body = fetch(handler.get(&server.url("/100"))).unwrap();
                assert_eq!(read_to_end(body), Ok(100));
                handler.close_persistent_connections().unwrap();
                if connection == 1 || connection == 200 {
                    let lifetime = wait_until_empty(&handler).lifetime;
                    assert_eq!(lifetime.connections, connection);
                    assert_eq!(lifetime.reclaimed, connection);
                    let now = Resources::now().descriptors;
                    assert_eq!(after_the_first.get_or_insert_with(|| now.clone()), &now);
                }
            }
        },
    );
}
