//! The session file: whatever is in it, it is read or refused; what is read is written as it was.
#![no_main]

use http3_session::SslTokensCache;
use libfuzzer_sys::fuzz_target;
use socket_transport::Clock;

fuzz_target!(|bytes: &[u8]| {
    let clock = Clock::system();
    let (now, wall) = (clock.now(), clock.wall());
    if let Ok(cache) = SslTokensCache::from_bytes(bytes, now, wall) {
        let written = cache.to_bytes(now, wall);
        let again = SslTokensCache::from_bytes(&written, now, wall).expect("it was written here");
        assert_eq!(again.len(), cache.len());
    }
});
