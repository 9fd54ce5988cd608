//! What a handler took from the system it gives back. This runs in a process of its own, where all
//! descriptors and threads are the test's.

use tests::loopback::{
    Client, DEADLINE, QuinnServer, Resources, TestCa, fetch, in_a_process_of_its_own, read_to_end,
    wait_until,
};

fn is_necko(thread: &str) -> bool {
    ["Socket Thread", "necko worker"].contains(&thread)
}

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
            // A thread is still listed for a moment after its last instruction.
            let before = wait_until(DEADLINE, "no thread of the handler is left", || {
                Some(Resources::now()).filter(|now| now.threads.iter().all(|name| !is_necko(name)))
            });
            for _ in 0..3 {
                let handler = client.clone().start();
                let body = fetch(handler.get(&server.url("/1000000"))).unwrap();
                assert_eq!(read_to_end(body), Ok(1_000_000));
                let in_flight = fetch(handler.get(&server.url("/900000000"))).unwrap();
                assert!(Resources::now().threads.contains(&"Socket Thread".to_owned()));
                drop(handler);
                wait_until(DEADLINE, "descriptors and threads are as before", || {
                    (Resources::now() == before).then_some(())
                });
                drop(in_flight);
            }
        },
    );
}
