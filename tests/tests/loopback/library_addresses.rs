//! From a name to the address that answers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use necko::{HttpHandler, Settings, Verification};
use tests::loopback::{
    Client, QuinnOptions, QuinnServer, TestCa, fetch, ipv6_loopback, read_to_end, skip,
};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

fn server_on(ip: IpAddr, ca: &TestCa) -> QuinnServer {
    let address = (ip, 0).into();
    QuinnServer::start_with(QuinnOptions { address, ..QuinnOptions::new(ca.localhost()) })
}

/// A handler that finds `localhost` at these addresses, in this order.
fn handler(ca: &TestCa, server: &QuinnServer, order: [IpAddr; 2]) -> HttpHandler {
    let port = server.address().port();
    let addresses = order.map(|ip| SocketAddr::new(ip, port));
    Client::trusting(&ca.file()).at("localhost", &addresses).start()
}

#[test]
fn a_server_on_either_loopback_address_is_found_whichever_comes_first() {
    if !ipv6_loopback() {
        return skip("library_addresses", "this machine has no ::1");
    }
    let ca = TestCa::new();
    for listens_on in [V4, V6] {
        let server = server_on(listens_on, &ca);
        for order in [[V4, V6], [V6, V4]] {
            let handler = handler(&ca, &server, order);
            let response = fetch(handler.get(&server.url("/1000"))).unwrap();
            assert_eq!(read_to_end(response), Ok(1000), "{listens_on} {order:?}");
            // The second address costs a second connection, and the first one is gone by then.
            let snapshot = handler.snapshot().unwrap();
            let tried = if order[0] == listens_on { 1 } else { 2 };
            assert_eq!(snapshot.lifetime.connections, tried, "{listens_on} {order:?}");
        }
    }
}

#[test]
fn every_request_that_waits_moves_on_to_the_second_address() {
    if !ipv6_loopback() {
        return skip("library_addresses", "this machine has no ::1");
    }
    let ca = TestCa::new();
    let server = server_on(V4, &ca);
    let handler = handler(&ca, &server, [V6, V4]);
    let pending: Vec<_> = (0..20).map(|_| handler.get(&server.url("/1000"))).collect();
    for pending in pending {
        assert_eq!(read_to_end(fetch(pending).unwrap()), Ok(1000));
    }
}

/// As [`handler`], but with what the system makes of the name.
#[test]
fn localhost_is_found_by_the_systems_resolver() {
    let ca = TestCa::new();
    let server = server_on(V4, &ca);
    let verification = Verification::RootsFile(ca.file());
    let handler = HttpHandler::new(Settings { verification, ..Settings::default() }).unwrap();
    assert_eq!(read_to_end(fetch(handler.get(&server.url("/1000"))).unwrap()), Ok(1000));
}

#[test]
fn addresses_are_hosts_too() {
    let ca = TestCa::new();
    for ip in [V4, V6].into_iter().filter(|ip| ip.is_ipv4() || ipv6_loopback()) {
        let server = server_on(ip, &ca);
        let handler = Client::trusting(&ca.file()).start();
        let url = format!("https://{}/1000", server.address());
        assert_eq!(read_to_end(fetch(handler.get(&url)).unwrap()), Ok(1000), "{url}");
    }
}
