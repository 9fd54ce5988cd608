//! Resumption.

use http1_session::TlsState;
use rustls_glue::{RustlsConnFactory, SessionLimits};
use transaction::{CertificateProblem, ConnectionInfo, Isolation};

use crate::support::{Pair, Server, VERSIONS, factory, factory_with, info};

/// Connects, accepts the certificate if that is asked for; whether the session was resumed.
fn connect(factory: &RustlsConnFactory, info: ConnectionInfo, server: &Server) -> bool {
    let mut pair = Pair::new(factory, info, server);
    pair.exchange().unwrap();
    let resumed = pair.client.is_resumed();
    let expected = if resumed { TlsState::Connected } else { TlsState::AuthenticationNeeded };
    assert_eq!(pair.client.state(), expected, "a resumed session needs no verdict");
    pair.client.authenticated(Ok(()));
    pair.client.close_notify();
    pair.exchange().unwrap();
    resumed
}

#[test]
fn a_second_connection_resumes_the_first_ones_session() {
    for version in VERSIONS {
        let (factory, server) = (factory(), Server::http(version));
        assert!(!connect(&factory, info(), &server));
        let mut pair = Pair::new(&factory, info(), &server);
        pair.exchange().unwrap();
        assert!(pair.client.is_resumed());
        assert_eq!(pair.client.state(), TlsState::Connected);
        assert_eq!(pair.client.peer_certificates(), [server.certificate.to_vec()]);
        assert_eq!(pair.client.write_plain(b"x"), 1);
        pair.exchange().unwrap();
        assert_eq!(pair.received(), b"x");
        factory.forget_sessions();
        assert!(!connect(&factory, info(), &server));
    }
}

/// Tickets come with the handshake's last flight, before anybody has looked at the certificate.
#[test]
fn tickets_are_kept_only_after_the_verdict() {
    for version in VERSIONS {
        let (factory, server) = (factory(), Server::http(version));
        let mut unverified = Pair::new(&factory, info(), &server);
        unverified.exchange().unwrap();
        let mut refused = Pair::new(&factory, info(), &server);
        refused.exchange().unwrap();
        assert!(!refused.client.is_resumed(), "no verdict, no ticket");
        refused.client.authenticated(Err(CertificateProblem::UnknownIssuer));
        let mut third = Pair::new(&factory, info(), &server);
        third.exchange().unwrap();
        assert!(!third.client.is_resumed(), "a bad verdict, no ticket");
        unverified.client.authenticated(Ok(()));
        assert!(connect(&factory, info(), &server), "those that waited are there");
    }
}

#[test]
fn a_ticket_of_tls_1_3_is_used_once() {
    let (factory, server) = (factory(), Server::http(VERSIONS[1]));
    // It gives two tickets to this one.
    assert!(!connect(&factory, info(), &server));
    let open: Vec<_> = (0..3)
        .map(|_| {
            let mut pair = Pair::new(&factory, info(), &server);
            // The hello takes the ticket. What the server gives for it must not come.
            pair.carry_up();
            pair
        })
        .collect();
    let resumed = open.into_iter().map(|mut pair| {
        pair.exchange().unwrap();
        pair.client.is_resumed()
    });
    assert_eq!(resumed.collect::<Vec<_>>(), [true, true, false]);
}

#[test]
fn sessions_are_kept_apart_by_whose_they_are() {
    for version in VERSIONS {
        let (factory, server) = (factory(), Server::http(version));
        assert!(!connect(&factory, info(), &server));
        let isolated = |isolation| {
            let mut info = info();
            info.isolation = isolation;
            info
        };
        let others = [
            isolated(Isolation { anonymous: true, ..Isolation::default() }),
            isolated(Isolation { private: true, ..Isolation::default() }),
            isolated(Isolation { partition: "a.example".into(), ..Isolation::default() }),
            ConnectionInfo::new("example.org", 444),
            ConnectionInfo::new("example.net", 443),
        ];
        for other in others {
            assert!(!connect(&factory, other.clone(), &server), "{other}");
            assert!(connect(&factory, other.clone(), &server), "{other}");
        }
        assert!(connect(&factory, info(), &server));
    }
}

#[test]
fn what_is_kept_is_bounded() {
    for version in VERSIONS {
        let factory = factory_with("", SessionLimits { servers: 2, tickets_per_server: 1 });
        let server = Server::http(version);
        let port = |port| ConnectionInfo::new("example.org", port);
        for number in 1..=3 {
            assert!(!connect(&factory, port(number), &server));
        }
        // The third has taken the first one's place.
        for number in [2, 3] {
            assert!(connect(&factory, port(number), &server), "{number}");
        }
        assert!(!connect(&factory, port(1), &server));

        let none = factory_with("", SessionLimits { servers: 0, tickets_per_server: 1 });
        assert!(!connect(&none, info(), &server));
        assert!(!connect(&none, info(), &server));
    }
}

#[test]
fn of_many_tickets_few_are_kept() {
    let mut server = Server::http(VERSIONS[1]);
    let mut config = (*server.config).clone();
    config.send_tls13_tickets = 20;
    server.config = config.into();
    for after in [false, true] {
        let factory = factory_with("", SessionLimits { servers: 2, tickets_per_server: 3 });
        let mut pair = Pair::new(&factory, info(), &server);
        if after {
            // The verdict is there before the tickets are.
            while pair.client.state() != TlsState::AuthenticationNeeded {
                pair.carry_up();
                pair.carry_down().unwrap();
            }
            pair.client.authenticated(Ok(()));
        }
        pair.exchange().unwrap();
        pair.client.authenticated(Ok(()));
        let mut open = Vec::new();
        for _ in 0..5 {
            let mut pair = Pair::new(&factory, info(), &server);
            pair.carry_up();
            open.push(pair);
        }
        let resumed = open.into_iter().map(|mut pair| {
            pair.exchange().unwrap();
            pair.client.is_resumed()
        });
        assert_eq!(resumed.filter(|resumed| *resumed).count(), 3);
    }
}

#[test]
fn policies_keep_sessions_apart() {
    // Each factory has a store of its own; the policy is in the key for the day when that changes.
    let server = Server::http(VERSIONS[1]);
    let limits = SessionLimits::default();
    assert!(!connect(&factory_with("roots", limits), info(), &server));
    assert!(!connect(&factory_with("any", limits), info(), &server));
}
