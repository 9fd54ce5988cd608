//! What connections cost that nobody uses: next to nothing, and they end by themselves.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::Command,
    time::Duration,
};

use necko::{ConnectionLimits, HttpHandler};
use tests::loopback::{
    Client, Resources, ServerProcess, TestCa, allow_all_descriptors, fetch,
    in_a_process_of_its_own, in_soak, own_processor_time, pause, read_to_end, tell, wait_until,
};

/// So many connections, their idle timeout, and how long they are watched.
struct Plan {
    connections: u16,
    timeout: Duration,
    silence: Duration,
    /// The processor time that the client's process may use meanwhile.
    budget: Duration,
}

impl Plan {
    fn new() -> Self {
        if in_soak() {
            Self {
                connections: 1000,
                timeout: Duration::from_mins(2),
                silence: Duration::from_mins(1),
                budget: Duration::from_millis(50),
            }
        } else {
            Self {
                connections: 100,
                timeout: Duration::from_secs(12),
                silence: Duration::from_secs(4),
                budget: Duration::from_millis(5),
            }
        }
    }
}

/// Each has a key of its own, and an address of its own, so that none can serve another's host as well.
fn host(n: u16) -> (String, IpAddr) {
    let [high, low] = n.to_be_bytes();
    (format!("h{n}.necko.test"), Ipv4Addr::new(127, 1, high, low).into())
}

/// The sockets of this process.
fn sockets() -> usize {
    Resources::now().descriptors.iter().filter(|target| target.starts_with("socket:")).count()
}

fn connect_all(handler: &HttpHandler, connections: u16, port: u16) {
    // A few at once: the server is one process.
    let hosts: Vec<_> = (0..connections).map(host).collect();
    for some in hosts.chunks(20) {
        let url = |host: &str| format!("https://{host}:{port}/bytes/1");
        let pending: Vec<_> = some.iter().map(|(host, _)| handler.get(&url(host))).collect();
        for pending in pending {
            assert_eq!(read_to_end(fetch(pending).unwrap()), Ok(1));
        }
    }
}

/// <https://github.com/seanmonstar/reqwest/pull/2434>
#[test]
fn d2_14_a_thousand_idle_connections_cost_nothing_and_end_by_their_own_timers() {
    let name = "idle_connections::\
                d2_14_a_thousand_idle_connections_cost_nothing_and_end_by_their_own_timers";
    in_a_process_of_its_own(name, Duration::from_mins(5), || {
        let Plan { connections, timeout, silence, budget } = Plan::new();
        allow_all_descriptors();
        let ca = TestCa::new();
        let patient = |command: &mut Command| _ = command.args(["--idle-timeout", "600"]);
        let any = Ipv4Addr::UNSPECIFIED.into();
        let server = ServerProcess::start_as(&ca.issue(&["*.necko.test"]), &ca, any, patient);
        let port = server.address().port();
        let limits = ConnectionLimits { max_connections: 2000, ..ConnectionLimits::default() };
        let mut client = Client::trusting(&ca.file()).idle_timeout(timeout);
        client = client.max_sockets(2000).connections(limits);
        for (host, address) in (0..connections).map(host) {
            client = client.at(&host, &[SocketAddr::new(address, port)]);
        }
        let before = sockets();
        let handler = client.start();
        connect_all(&handler, connections, port);
        let snapshot = handler.snapshot().unwrap();
        assert_eq!(snapshot.connections(), usize::from(connections));
        assert_eq!(sockets() - before, usize::from(connections));

        let begin = own_processor_time();
        pause(silence);
        let used = own_processor_time().saturating_sub(begin);
        let later = handler.snapshot().unwrap();
        assert_eq!(later.connections(), usize::from(connections), "watched for too long");
        let turns = later.service.turns - snapshot.service.turns;
        tell(&format!(
            "{connections} idle connections used {used:?} of processor time in {silence:?}; the socket \
             thread made {turns} turns"
        ));
        assert!(used <= budget, "{used:?} of processor time, {turns} turns");

        // Nothing is sent, received or asked from here on: only their timers can end them.
        wait_until(timeout + Duration::from_mins(1), "all sockets are closed", || {
            (sockets() <= before).then_some(())
        });
        let end = handler.snapshot().unwrap();
        assert_eq!(end.expect_empty(), Ok(()));
        assert_eq!(end.lifetime.reclaimed, u64::from(connections));
    });
}
