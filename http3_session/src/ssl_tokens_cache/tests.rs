use std::time::UNIX_EPOCH;

use proptest::prelude::*;
use transaction::{AddressFamily, Alpn};

use super::*;

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// Some moment; only differences count.
#[expect(clippy::disallowed_methods, reason = "an `Instant` comes from nowhere else")]
fn now() -> Instant {
    Instant::now()
}

fn wall() -> std::time::SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_750_000_000)
}

fn info(host: &str) -> ConnectionInfo {
    ConnectionInfo::new(host, 443)
}

fn peer(host: &str) -> PeerId {
    PeerId::new(&info(host), "roots")
}

fn bytes_of(token: Option<ResumptionToken>) -> Option<Vec<u8>> {
    token.map(|token| token.bytes().to_vec())
}

#[test]
fn x1_what_is_put_is_got_once_the_one_that_expires_first() {
    let (mut cache, now) = (SslTokensCache::default(), now());
    for (hours, bytes) in [(3, b"c"), (1, b"a"), (2, b"b")] {
        cache.put(&peer("a"), ResumptionToken::new(bytes.to_vec(), now + hours * HOUR), now);
    }
    assert_eq!(bytes_of(cache.get(&peer("b"), now)), None);
    for expected in [b"a", b"b", b"c"] {
        assert_eq!(bytes_of(cache.get(&peer("a"), now)), Some(expected.to_vec()));
    }
    assert_eq!(bytes_of(cache.get(&peer("a"), now)), None);
    assert_eq!((cache.len(), cache.bytes(), cache.peers.len()), (0, 0, 0));
}

#[test]
fn x1_a_peer_has_no_more_than_its_share_and_the_soonest_to_expire_goes() {
    let (mut cache, now) = (SslTokensCache::default(), now());
    for n in (1..=15_u8).rev() {
        cache.put(&peer("a"), ResumptionToken::new(vec![n], now + u32::from(n) * HOUR), now);
        assert!(cache.len() <= TokensLimits::default().per_peer);
    }
    assert_eq!(cache.len(), 10);
    // Those that came first expire last.
    assert_eq!(bytes_of(cache.get(&peer("a"), now)), Some(vec![6]));
}

#[test]
fn x1_what_is_too_much_for_all_goes_by_expiry() {
    let now = now();
    let token = |hours: u32| ResumptionToken::new(vec![7; 1000], now + hours * HOUR);
    let mut by_bytes = SslTokensCache::new(TokensLimits { bytes: 5000, ..TokensLimits::default() });
    let mut by_count = SslTokensCache::new(TokensLimits { records: 4, ..TokensLimits::default() });
    for cache in [&mut by_bytes, &mut by_count] {
        for (n, hours) in [5, 1, 4, 2, 3].into_iter().enumerate() {
            cache.put(&peer(&n.to_string()), token(hours), now);
            assert!(cache.bytes() <= 5000 && cache.len() <= 4, "{cache:?}");
        }
        assert!(cache.get(&peer("1"), now).is_none(), "it would have expired first");
        assert!(cache.get(&peer("0"), now).is_some());
    }
}

#[test]
fn x1_the_default_bounds_hold_whatever_comes() {
    let (mut cache, now) = (SslTokensCache::default(), now());
    for n in 0..3000_u32 {
        let token = ResumptionToken::new(vec![1; 2000], now + HOUR + Duration::from_secs(n.into()));
        cache.put(&peer(&n.to_string()), token, now);
        assert!(cache.bytes() <= 2 * 1024 * 1024);
    }
    assert!(cache.len() > 900);
    let small = |n: u32| ResumptionToken::new(vec![1], now + DAY + Duration::from_secs(n.into()));
    for n in 0..20_000_u32 {
        cache.put(&peer(&n.to_string()), small(n), now);
        assert!(cache.len() <= 4096);
    }
    assert!(cache.to_bytes(now, wall()).len() <= SslTokensCache::MAX_FILE);
}

#[test]
fn x1_remove_all_leaves_nothing_of_that_peer_and_clear_nothing_at_all() {
    let (mut cache, now) = (SslTokensCache::default(), now());
    for host in ["a", "a", "b"] {
        cache.put(&peer(host), ResumptionToken::new(b"t".to_vec(), now + HOUR), now);
    }
    cache.remove_all(&peer("a"));
    assert!(cache.get(&peer("a"), now).is_none());
    assert_eq!(cache.len(), 1);
    cache.clear();
    assert!(cache.is_empty() && cache.bytes() == 0);
    assert!(cache.get(&peer("b"), now).is_none());
}

#[test]
fn what_has_expired_is_nobodys_and_no_life_is_longer_than_a_week() {
    let (mut cache, now) = (SslTokensCache::default(), now());
    cache.put(&peer("a"), ResumptionToken::new(b"t".to_vec(), now + HOUR), now);
    cache.put(&peer("b"), ResumptionToken::new(b"t".to_vec(), now + 30 * DAY), now);
    cache.put(&peer("c"), ResumptionToken::new(b"t".to_vec(), now), now);
    cache.put(&peer("d"), ResumptionToken::new(Vec::new(), now + HOUR), now);
    cache.put(&peer("e"), ResumptionToken::new(vec![0; LARGEST_TOKEN + 1], now + HOUR), now);
    assert_eq!(cache.len(), 2);
    assert!(cache.get(&peer("a"), now + HOUR).is_none());
    assert_eq!(cache.get(&peer("b"), now).map(|token| token.expires()), Some(now + 7 * DAY));
}

#[test]
fn what_keeps_connections_apart_keeps_tokens_apart_but_not_the_address_family() {
    let plain = info("a.test");
    let changed = |change: &dyn Fn(&mut ConnectionInfo)| {
        let mut info = plain.clone();
        change(&mut info);
        info
    };
    let isolated = |isolation: Isolation| changed(&|info| info.isolation = isolation.clone());
    let route = Some(Route { host: "b.test".into(), port: 443 });
    let infos = [
        plain.clone(),
        ConnectionInfo::new("a.test", 444),
        info("b.test"),
        isolated(Isolation { anonymous: true, ..Isolation::default() }),
        isolated(Isolation { private: true, ..Isolation::default() }),
        isolated(Isolation { partition: "c.test".into(), ..Isolation::default() }),
        changed(&|info| info.route = route.clone()),
    ];
    let policies = ["roots", "anything"];
    let peers = policies.iter().flat_map(|policy| infos.iter().map(|one| PeerId::new(one, policy)));
    let different: std::collections::BTreeSet<_> = peers.collect();
    assert_eq!(different.len(), infos.len() * policies.len());
    let v4 = changed(&|info| info.address_family = AddressFamily::V4);
    assert_eq!(PeerId::new(&v4, "roots"), PeerId::new(&plain, "roots"));
    let other = changed(&|info| info.alpn = Alpn::Http11);
    assert_eq!(PeerId::new(&other, "roots"), PeerId::new(&plain, "roots"), "TCP puts none in");
}

#[test]
fn a_token_is_a_secret_also_in_logs() {
    let token = ResumptionToken::new(b"secret".to_vec(), now());
    let shown = format!("{:?}", crate::Http3Event::ResumptionToken(token));
    assert_eq!(shown, "ResumptionToken(ResumptionToken)");
}

// The file.

fn filled(now: Instant) -> SslTokensCache {
    let mut cache = SslTokensCache::default();
    cache.set_engine_key(b"a key".to_vec());
    let isolation =
        Isolation { anonymous: true, partition: "site.test".into(), ..Isolation::default() };
    let route = Some(Route { host: "::1".into(), port: 8443 });
    let mut routed = info("a.test");
    (routed.isolation, routed.route) = (isolation, route);
    cache.put(&PeerId::new(&routed, "p"), ResumptionToken::new(b"one".to_vec(), now + HOUR), now);
    cache.put(&peer("b.test"), ResumptionToken::new(b"two".to_vec(), now + 2 * HOUR), now);
    cache
}

#[test]
fn what_is_written_is_read_with_its_time_by_the_wall_clock() {
    let now = now();
    let bytes = filled(now).to_bytes(now, wall());
    // An hour and a half later, in a process whose own clock says something else.
    let (later, then) = (now + 5 * DAY, wall() + HOUR + HOUR / 2);
    let mut read = SslTokensCache::from_bytes(&bytes, later, then).unwrap();
    assert_eq!(read.len(), 1);
    let token = read.get(&peer("b.test"), later).unwrap();
    assert_eq!((token.bytes(), token.expires()), (&b"two"[..], later + HOUR / 2));
    let all = SslTokensCache::from_bytes(&bytes, now, wall()).unwrap();
    assert_eq!(all.to_bytes(now, wall()), bytes);
    assert_eq!((all.by_expiry.len(), all.engine_key()), (2, &b"a key"[..]));
}

#[test]
fn private_tokens_and_those_of_a_nameless_policy_are_not_written() {
    let now = now();
    let mut cache = SslTokensCache::default();
    let isolation = Isolation { private: true, ..Isolation::default() };
    let mut private = info("private.test");
    private.isolation = isolation;
    cache.put(
        &PeerId::new(&private, "roots"),
        ResumptionToken::new(b"x".to_vec(), now + HOUR),
        now,
    );
    cache.put(&PeerId::new(&info("a"), ""), ResumptionToken::new(b"x".to_vec(), now + HOUR), now);
    let bytes = cache.to_bytes(now, wall());
    assert_eq!(bytes, SslTokensCache::default().to_bytes(now, wall()));
}

#[test]
fn a_file_with_a_token_of_a_nameless_policy_is_refused_although_its_sum_is_right() {
    let now = now();
    let mut cache = SslTokensCache::default();
    cache.put(&PeerId::new(&info("a"), "p"), token_of(b"x", now), now);
    let bytes = cache.to_bytes(now, wall());
    // The policy is the first text behind the magic, the version and an empty key.
    let policy = file_magic() + 2 + 2;
    assert_eq!(bytes[policy..policy + 3], [0, 1, b'p']);
    let mut forged = bytes[..policy].to_vec();
    forged.extend([0, 0]);
    forged.extend(&bytes[policy + 3..bytes.len() - 8]);
    forged.extend(super::file::checksum(&forged).to_be_bytes());
    let read = SslTokensCache::from_bytes(&forged, now, wall()).map(|cache| cache.len());
    assert_eq!(read, Err(TokensFileError::Damaged));
}

fn token_of(bytes: &[u8], now: Instant) -> ResumptionToken {
    ResumptionToken::new(bytes.to_vec(), now + HOUR)
}

#[test]
fn what_is_not_such_a_file_is_refused_for_the_right_reason() {
    let now = now();
    let read =
        |bytes: &[u8]| SslTokensCache::from_bytes(bytes, now, wall()).map(|cache| cache.len());
    let bytes = filled(now).to_bytes(now, wall());
    assert_eq!(read(&bytes), Ok(2));
    assert_eq!(read(b""), Err(TokensFileError::Foreign));
    assert_eq!(read(b"# Netscape HTTP Cookie File\n"), Err(TokensFileError::Foreign));
    for length in file_magic()..bytes.len() {
        let error = read(&bytes[..length]).unwrap_err();
        assert_eq!(error, TokensFileError::Damaged, "cut at {length}");
    }
    for at in file_magic() + 2..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        assert_eq!(read(&changed), Err(TokensFileError::Damaged), "changed at {at}");
    }
    let mut newer = bytes.clone();
    newer[file_magic() + 1] = 2;
    assert_eq!(read(&newer), Err(TokensFileError::Version(2)));
    newer.resize(SslTokensCache::MAX_FILE + 1, 0);
    assert_eq!(read(&newer), Err(TokensFileError::TooLarge));
}

fn file_magic() -> usize {
    "necko tokens\n".len()
}

/// Makes the checksum right, so that what is behind it is tried as well.
fn sealed(content: &[u8]) -> Vec<u8> {
    let mut bytes = [b"necko tokens\n", &[0, 1][..], content].concat();
    let sum = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
    });
    bytes.extend(sum.to_be_bytes());
    bytes
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_fall(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let now = now();
        let _ = SslTokensCache::from_bytes(&bytes, now, wall());
        if let Ok(cache) = SslTokensCache::from_bytes(&sealed(&bytes), now, wall()) {
            prop_assert!(cache.len() <= bytes.len());
        }
        // Almost right.
        let mut almost = filled(now).to_bytes(now, wall());
        almost.truncate(almost.len() - 8);
        let mut content = almost.split_off(15);
        for (at, byte) in bytes.iter().enumerate() {
            let at = (at * 31 + usize::from(*byte)) % content.len();
            content[at] ^= byte;
        }
        let _ = SslTokensCache::from_bytes(&sealed(&content), now, wall());
    }

    /// Against a model: a list that is searched.
    #[test]
    fn x1_bounds_and_books_hold_after_every_step(
        steps in prop::collection::vec((0..6_u8, 0..5_u8, 1..200_u64), 1..200)
    ) {
        let limits = TokensLimits { per_peer: 3, records: 8, bytes: 4000 };
        let (mut cache, start) = (SslTokensCache::new(limits), now());
        let mut now = start;
        for (what, host, number) in steps {
            let peer = peer(&host.to_string());
            match what {
                0..=2 => {
                    let length = usize::try_from(number * 7).unwrap();
                    let expires = now + Duration::from_secs(number);
                    cache.put(&peer, ResumptionToken::new(vec![1; length], expires), now);
                }
                3 => {
                    let first = cache.peers.get(&peer).and_then(|records| {
                        records.iter().map(|one| one.token.expires).filter(|at| *at > now).min()
                    });
                    prop_assert_eq!(cache.get(&peer, now).map(|token| token.expires()), first);
                }
                4 => now += Duration::from_secs(number),
                _ => cache.remove_all(&peer),
            }
            let records = || cache.peers.iter().flat_map(|(peer, all)| all.iter().map(move |one| (peer, one)));
            prop_assert_eq!(records().count(), cache.len());
            prop_assert_eq!(records().map(|(peer, one)| one.size(peer)).sum::<usize>(), cache.bytes());
            prop_assert!(records().all(|(peer, one)| cache.by_expiry.get(&one.place()) == Some(peer)));
            prop_assert!(cache.len() <= 8 && cache.bytes() <= 4000);
            prop_assert!(cache.peers.values().all(|all| (1..=3).contains(&all.len())));
        }
    }
}
