//! What people, scripts and servers write: options, pins, ECH configurations, locations.
#![no_main]

use libfuzzer_sys::fuzz_target;
use necko::{CertificateHashes, ConnectTo, EchConfigList, PinnedKeys, ResolveRule};

fuzz_target!(|input: (u8, &[u8])| {
    let (which, bytes) = input;
    let text = String::from_utf8_lossy(bytes);
    match which % 6 {
        0 => drop(text.parse::<ConnectTo>()),
        1 => drop(text.parse::<ResolveRule>()),
        2 => drop(text.parse::<PinnedKeys>()),
        3 => drop(text.parse::<CertificateHashes>()),
        4 => drop(EchConfigList::parse(bytes.to_vec())),
        _ => {
            if let Some(url) = necko::fuzzing::follow("https://a.example/b/c?d", bytes) {
                assert!(url.starts_with("https://"), "{url}");
            }
        }
    }
});
