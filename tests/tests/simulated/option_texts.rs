//! The parsers of options take any text without a panic, and understand what they are meant to.

use std::net::SocketAddr;

use necko::{ConnectTo, FixedAddresses, Resolve as _, ResolveRule};
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
}
