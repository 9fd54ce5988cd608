use super::*;

#[test]
fn the_closing_line_of_one_transfer() {
    let mut summary = Summary {
        wanted: 1,
        complete: 1,
        bytes: 104_857_600,
        sent: 0,
        elapsed: Duration::from_millis(420),
        versions: vec!["HTTP/3"],
        connections: Some(1),
    };
    assert_eq!(summary.to_string(), "104857600 bytes in 0.42 s (238 MiB/s), HTTP/3, 1 connection");
    summary.sent = 104_857_600;
    assert!(
        summary
            .to_string()
            .starts_with("104857600 bytes sent, 104857600 bytes in 0.42 s (476 MiB/s)")
    );
    summary.connections = None;
    assert!(summary.to_string().ends_with(", HTTP/3"));
}

#[test]
fn the_closing_line_of_several() {
    let mut summary = Summary {
        wanted: 3,
        complete: 3,
        bytes: 0,
        sent: 0,
        elapsed: Duration::from_micros(4200),
        versions: vec!["HTTP/3", "HTTP/1.1"],
        connections: Some(2),
    };
    assert_eq!(
        summary.to_string(),
        "3 transfers, 0 bytes in 0.0042 s (0 B/s), HTTP/3 and HTTP/1.1, 2 connections"
    );
    summary.complete = 2;
    assert!(summary.to_string().starts_with("2 of 3 transfers, 0 bytes"));
}

#[test]
fn rates_have_three_digits_and_never_divide_by_zero() {
    let rate = |bytes, millis| Rate::of(bytes, Duration::from_millis(millis)).to_string();
    assert_eq!(rate(999, 1000), "999 B/s");
    assert_eq!(rate(1536, 1000), "1.50 KiB/s");
    assert_eq!(rate(100_000_000, 1000), "95.3 MiB/s");
    assert_eq!(rate(1 << 30, 500), "2.00 GiB/s");
    assert!(rate(u64::MAX, 0).ends_with("GiB/s"));
}

#[test]
fn a_failure_names_cause_and_remedy() {
    let error = NetError::Certificate {
        host: "localhost".into(),
        problem: CertificateProblem::UnknownIssuer,
        detail: "UnknownIssuer".into(),
    };
    let text = Failure::from(error).to_string();
    assert!(text.starts_with("(60) certificate of localhost: no trusted root signed"), "{text}");
    assert!(text.contains("--cacert FILE") && text.contains("-k"), "{text}");

    let refused = NetError::ConnectionRefused { peer: ([127, 0, 0, 1], 4433).into() };
    let text = Failure::from(refused).of_url("https://a/").to_string();
    assert!(text.starts_with("(7) https://a/: 127.0.0.1:4433 refused the connection"), "{text}");
}

#[test]
fn a_write_error_names_cause_and_remedy() {
    let full = io::Error::from_raw_os_error(28);
    let failure = write_failure("writing to a.iso failed", &full);
    assert_eq!(
        failure.to_string(),
        "(23) writing to a.iso failed: No space left on device; free some space, or choose another place"
    );
}

#[test]
fn a_servers_words_can_not_confuse_a_terminal() {
    assert_eq!(printable("gone \u{1b}[2J\nmore ü"), "gone \\u{1b}[2J\\nmore ü");
}
