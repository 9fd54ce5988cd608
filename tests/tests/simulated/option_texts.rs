//! The parsers of options and of what servers say about bodies and redirects take anything without a panic,
//! and understand what they are meant to.

use std::net::SocketAddr;

use necko::{ConnectTo, FixedAddresses, Resolve as _, ResolveRule, fuzzing};
use proptest::prelude::*;

proptest! {
    #[test]
    fn any_text_is_a_rule_or_a_mistake(text in "\\PC*", like in "[-+]?[]:,.*0-9a-f\\[]{0,40}") {
        for text in [text, like] {
            let _ = text.parse::<ConnectTo>();
            let _ = text.parse::<ResolveRule>();
        }
    }

    #[test]
    fn what_a_resolve_rule_says_is_what_is_found(
        name in "[a-z]{1,10}\\.test",
        addresses in prop::collection::vec(any::<std::net::IpAddr>(), 1..4),
        port in any::<u16>(),
        brackets in any::<bool>(),
    ) {
        let written: Vec<_> = addresses
            .iter()
            .map(|address| if brackets { format!("[{address}]") } else { address.to_string() })
            .collect();
        let rule = format!("{name}:{port}:{}", written.join(","));
        let mut fixed = FixedAddresses::new();
        fixed.apply(rule.parse().unwrap());
        let expected: Vec<_> =
            addresses.iter().map(|address| SocketAddr::new(*address, port)).collect();
        prop_assert_eq!(fixed.resolve(&name, port), Ok(expected));
    }

    #[test]
    fn any_location_leads_to_https_or_nowhere(location in prop::collection::vec(any::<u8>(), 0..60)) {
        if let Some(url) = fuzzing::follow("https://a.test/b", &location) {
            prop_assert!(url.starts_with("https://"), "{}", url);
        }
    }

    #[test]
    fn any_body_in_any_coding_is_decoded_or_an_error(
        codings in "(gzip|br|zstd|x)(, ?(gzip|br|zstd|x)){0,5}",
        // What begins right comes further.
        start in prop::sample::select(vec![&b""[..], b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"\x1b\x07"]),
        rest in prop::collection::vec(any::<u8>(), 0..400),
        piece in 1_usize..50,
    ) {
        fuzzing::decode(codings.as_bytes(), &[start, &rest[..]].concat(), piece);
    }
}
