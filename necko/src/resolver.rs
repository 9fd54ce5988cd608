//! Addresses that the application knows better than the resolver (curl's `--resolve`).

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    str::FromStr,
    sync::Arc,
};

use connection_mgr::{Resolve, SystemResolver};

use crate::host_text::{parse_host, parse_port, split_host};

/// A host, or any that has no entry of its own, and a port.
type Place = (Option<String>, u16);

/// Fixed addresses for some hosts, another resolver for the rest.
#[derive(Clone)]
pub struct FixedAddresses {
    fixed: BTreeMap<Place, Vec<SocketAddr>>,
    rest: Arc<dyn Resolve>,
}

impl FixedAddresses {
    /// None fixed yet; the system's resolver for the rest.
    pub fn new() -> Self {
        Self { fixed: BTreeMap::new(), rest: Arc::new(SystemResolver) }
    }

    /// Fixes the addresses of `host` on `port`.
    pub fn set(&mut self, host: &str, port: u16, addresses: Vec<SocketAddr>) {
        self.fixed.insert((Some(host.to_ascii_lowercase()), port), addresses);
    }

    /// Does what a rule says. A later rule for the same host and port counts.
    pub fn apply(&mut self, rule: ResolveRule) {
        match rule.addresses {
            Some(addresses) => self.fixed.insert(rule.place, addresses),
            None => self.fixed.remove(&rule.place),
        };
    }

    fn find(&self, host: &str, port: u16) -> Option<&Vec<SocketAddr>> {
        let own = self.fixed.get(&(Some(host.to_ascii_lowercase()), port));
        own.or_else(|| self.fixed.get(&(None, port)))
    }
}

impl Default for FixedAddresses {
    fn default() -> Self {
        Self::new()
    }
}

impl Resolve for FixedAddresses {
    fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
        match self.find(host, port) {
            Some(addresses) => Ok(addresses.clone()),
            None => self.rest.resolve(host, port),
        }
    }
}

/// One rule `[+]HOST:PORT:ADDR[,ADDR]...`, or `-HOST:PORT` to take one back. `*` is any host that has no
/// rule of its own. IPv6 addresses may stand in brackets; as a host they must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolveRule {
    place: Place,
    /// None: as if there were no rule.
    addresses: Option<Vec<SocketAddr>>,
}

impl FromStr for ResolveRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || "write HOST:PORT:ADDRESS, or several addresses with commas".to_owned();
        let removed = text.strip_prefix('-');
        // curl's '+' lets an entry expire after a minute; here each lasts as long as the program.
        let rule = removed.or_else(|| text.strip_prefix('+')).unwrap_or(text);
        let (host, rest) = split_host(rule).ok_or_else(form)?;
        let rest = rest.ok_or_else(form)?;
        let (port, addresses) = match (removed, rest.split_once(':')) {
            (Some(_), _) => (rest, None),
            (None, Some((port, addresses))) => (port, Some(addresses)),
            (None, None) => return Err(form()),
        };
        let port = parse_port(port)?;
        let host = if host == "*" { None } else { Some(parse_host(host)?) };
        let addresses = addresses.map(|addresses| parse_addresses(addresses, port)).transpose()?;
        Ok(Self { place: (host, port), addresses })
    }
}

fn parse_addresses(text: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    text.split(',').map(|address| Ok(SocketAddr::new(parse_address(address)?, port))).collect()
}

fn parse_address(text: &str) -> Result<IpAddr, String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| format!("{text:?} is not an IP address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What these rules, one after the other, say about `host` and `port`.
    fn found(rules: &[&str], host: &str, port: u16) -> Option<Vec<String>> {
        let mut fixed = FixedAddresses::new();
        for rule in rules {
            fixed.apply(rule.parse().unwrap());
        }
        Some(fixed.find(host, port)?.iter().map(ToString::to_string).collect())
    }

    #[expect(clippy::unnecessary_wraps, reason = "to be compared with what was found")]
    fn addresses(addresses: &[&str]) -> Option<Vec<String>> {
        Some(addresses.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn one_address_or_more_of_either_family() {
        let one = found(&["example.org:443:127.0.0.1"], "example.org", 443);
        assert_eq!(one, addresses(&["127.0.0.1:443"]));
        let three = found(&["a.test:4433:::1,[2001:db8::1],10.0.0.1"], "a.test", 4433);
        assert_eq!(three, addresses(&["[::1]:4433", "[2001:db8::1]:4433", "10.0.0.1:4433"]));
        assert_eq!(found(&["a.test:4433:::1"], "a.test", 443), None);
        assert_eq!(found(&["a.test:443:::1"], "b.test", 443), None);
    }

    #[test]
    fn hosts_are_written_as_a_url_writes_them() {
        let there = addresses(&["127.0.0.1:1"]);
        assert_eq!(found(&["+EXAMPLE.org:1:127.0.0.1"], "example.org", 1), there);
        assert_eq!(found(&["[0:0::1]:1:127.0.0.1"], "::1", 1), there);
        assert_eq!(found(&["bücher.example:1:127.0.0.1"], "xn--bcher-kva.example", 1), there);
    }

    #[test]
    fn the_last_rule_for_a_host_counts_and_a_hyphen_takes_one_back() {
        let first = "a.test:1:127.0.0.1";
        assert_eq!(found(&[first, "a.test:1:127.0.0.2"], "a.test", 1), addresses(&["127.0.0.2:1"]));
        assert_eq!(found(&[first, "-a.test:1"], "a.test", 1), None);
        assert_eq!(found(&[first, "-a.test:2"], "a.test", 1), addresses(&["127.0.0.1:1"]));
        assert_eq!(found(&["-[::1]:1"], "::1", 1), None);
    }

    #[test]
    fn a_star_is_for_hosts_without_a_rule_on_that_port() {
        let rules = ["*:1:127.0.0.1", "a.test:1:127.0.0.2"];
        assert_eq!(found(&rules, "a.test", 1), addresses(&["127.0.0.2:1"]));
        assert_eq!(found(&rules, "b.test", 1), addresses(&["127.0.0.1:1"]));
        assert_eq!(found(&rules, "b.test", 2), None);
        assert_eq!(found(&["*:1:127.0.0.1", "-*:1"], "b.test", 1), None);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, word) in [
            ("", "HOST:PORT:ADDRESS"),
            ("example.org", "HOST:PORT:ADDRESS"),
            ("example.org:443", "HOST:PORT:ADDRESS"),
            ("[::1:443:::1", "HOST:PORT:ADDRESS"),
            ("-example.org", "HOST:PORT:ADDRESS"),
            ("-example.org:443:127.0.0.1", "not a port number"),
            ("example.org:https:::1", "not a port number"),
            ("example.org:70000:::1", "not a port number"),
            ("example.org:443:", "not an IP address"),
            ("example.org:443:localhost", "not an IP address"),
            ("a b:443:::1", "not a host"),
        ] {
            let error = text.parse::<ResolveRule>().unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
