//! Address validation (RFC 9000, 8.1): tokens for Retry packets.
//!
//! ```text
//!   token = age mark (8) | length of id (1) | original destination id | HMAC-SHA-256 (32)
//!                                                                        over all of it, the
//!                                                                        client's address, and
//!                                                                        the id of the Retry
//! ```
//!
//! The server keeps nothing for a client until the token has come back from the address it was sent
//! to. The key lives as long as the process.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use boring::{error::ErrorStack, hash::hmac_sha256, memcmp, rand::rand_bytes};

/// How long a client may take to come back with its token.
const LIFETIME: Duration = Duration::from_secs(30);
const MAC_LENGTH: usize = 32;

/// Makes and checks tokens.
pub(crate) struct RetryTokens {
    key: [u8; 32],
    start: Instant,
}

impl RetryTokens {
    pub(crate) fn new(now: Instant) -> Result<Self, ErrorStack> {
        let mut key = [0; 32];
        rand_bytes(&mut key)?;
        Ok(Self { key, start: now })
    }

    /// A token for a client whose first packet went to the id `original`, and that is told to go on
    /// with the id `retry`.
    pub(crate) fn make(
        &self,
        client: SocketAddr,
        original: &[u8],
        retry: &[u8],
        now: Instant,
    ) -> Option<Vec<u8>> {
        let age = now.saturating_duration_since(self.start).as_millis();
        let mut token = u64::try_from(age).ok()?.to_be_bytes().to_vec();
        token.push(u8::try_from(original.len()).ok()?);
        token.extend_from_slice(original);
        let mac = self.mac(&token, client, retry)?;
        token.extend_from_slice(&mac);
        Some(token)
    }

    /// The original id in a token of ours that is fresh and comes from where it was sent to.
    pub(crate) fn check<'a>(
        &self,
        token: &'a [u8],
        client: SocketAddr,
        retry: &[u8],
        now: Instant,
    ) -> Option<&'a [u8]> {
        let (claims, mac) = token.split_at_checked(token.len().checked_sub(MAC_LENGTH)?)?;
        if !memcmp::eq(mac, &self.mac(claims, client, retry)?) {
            return None;
        }
        let (made, id) = claims.split_first_chunk::<8>()?;
        let age = now.saturating_duration_since(self.start);
        let fresh = age.checked_sub(Duration::from_millis(u64::from_be_bytes(*made)))? <= LIFETIME;
        let (length, id) = id.split_first()?;
        (fresh && id.len() == usize::from(*length)).then_some(id)
    }

    fn mac(&self, claims: &[u8], client: SocketAddr, retry: &[u8]) -> Option<[u8; MAC_LENGTH]> {
        let mut text = claims.to_vec();
        match client.ip() {
            IpAddr::V4(ip) => text.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => text.extend_from_slice(&ip.octets()),
        }
        text.extend_from_slice(&client.port().to_be_bytes());
        text.extend_from_slice(retry);
        hmac_sha256(&self.key, &text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_one_client_one_id_and_a_while() {
        let start = socket_transport::Clock::system().now();
        let tokens = RetryTokens::new(start).unwrap();
        let client = SocketAddr::from(([127, 0, 0, 1], 4433));
        let later = start + Duration::from_secs(5);
        let token = tokens.make(client, b"original", b"retry", later).unwrap();
        let check = |token: &[u8], client, retry, now| {
            tokens.check(token, client, retry, now).map(<[u8]>::to_vec)
        };

        assert_eq!(check(&token, client, b"retry", later).unwrap(), b"original");
        assert_eq!(check(&token, client, b"retry", later + LIFETIME).unwrap(), b"original");

        let too_late = later + LIFETIME + Duration::from_millis(1);
        assert_eq!(check(&token, client, b"retry", too_late), None);
        assert_eq!(check(&token, client, b"other", later), None);
        let elsewhere = SocketAddr::from(([127, 0, 0, 1], 4434));
        assert_eq!(check(&token, elsewhere, b"retry", later), None);
        let other_keys = RetryTokens::new(start).unwrap();
        assert_eq!(other_keys.check(&token, client, b"retry", later), None);
        for at in 0..token.len() {
            let mut forged = token.clone();
            forged[at] ^= 1;
            assert_eq!(check(&forged, client, b"retry", later), None, "byte {at}");
            assert_eq!(check(&token[..at], client, b"retry", later), None, "cut at {at}");
        }
    }
}
