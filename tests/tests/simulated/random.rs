//! Thousands of random lifecycles: see [`tests::simulated::random`].

use std::env;

use tests::simulated::random::{self, Tally};

/// How many programs each test plays.
const COUNT: u64 = 2_500;

/// The programs did not all do the same: their requests came to all of these ends.
#[track_caller]
fn assert_varied(tally: &Tally, complete: u64, ends: &[&str]) {
    // Whoever chooses the programs knows what they do.
    if env::var_os("NECKO_RANDOM_COUNT").is_some() || env::var_os("NECKO_RANDOM_FIRST").is_some() {
        return;
    }
    assert_eq!(tally.programs(), COUNT);
    for end in ends {
        assert!(tally.count(end) > 0, "none came to {end}: {tally}");
    }
    assert!(tally.count("complete") > complete, "{tally}");
}

const ON_NEQO: [&str; 13] = [
    "dropped",
    "Certificate",
    "ConnectionRefused",
    "Http3Protocol",
    "MalformedResponse",
    "NetInterrupt",
    "NetReset",
    "NetTimeout",
    "PartialTransfer",
    "RequestBody",
    "ShuttingDown",
    "Socket",
    "UnknownHost",
];

const ON_SCRIPTS: [&str; 11] = [
    "dropped",
    "Http3Protocol",
    "MalformedResponse",
    "NetInterrupt",
    "NetReset",
    "NetTimeout",
    "PartialTransfer",
    "QuicTransport",
    "RequestBody",
    "ShuttingDown",
    "Tls",
];

#[test]
fn neqo_1() {
    assert_varied(&random::on_neqo(0..COUNT), 2 * COUNT, &ON_NEQO);
}

#[test]
fn neqo_2() {
    assert_varied(&random::on_neqo(COUNT..2 * COUNT), 2 * COUNT, &ON_NEQO);
}

const ON_WEB_TRANSPORT: [&str; 8] = [
    "session_closed",
    "session_closed_by_server",
    "session_Http3Protocol",
    "session_NetTimeout",
    "session_ShuttingDown",
    "Certificate",
    "UnknownHost",
    "WebTransportRefused",
];

#[test]
fn web_transport() {
    assert_varied(&random::on_web_transport(0..COUNT), COUNT / 4, &ON_WEB_TRANSPORT);
}

#[test]
fn scripted_1() {
    assert_varied(&random::on_scripts(0..COUNT), COUNT / 4, &ON_SCRIPTS);
}

#[test]
fn scripted_2() {
    assert_varied(&random::on_scripts(COUNT..2 * COUNT), COUNT / 4, &ON_SCRIPTS);
}
