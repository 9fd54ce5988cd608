//! Other hosts to connect to than those that URLs name (curl's `--connect-to`).

use std::str::FromStr;

use transaction::{ConnectionInfo, Route};

use crate::host_text::{parse_host, parse_port, split_host};

/// One rule `HOST1:PORT1:HOST2:PORT2`: requests for the first go to the second, which must prove to be the
/// first. An empty part of the first is any, an empty part of the second is what the URL says. IPv6
/// addresses stand in brackets.
///
/// ```
/// let rule: necko::ConnectTo = "example.org::[::1]:4433".parse()?;
/// assert!("example.org".parse::<necko::ConnectTo>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectTo {
    from: HostAndPort,
    to: HostAndPort,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct HostAndPort {
    host: Option<String>,
    port: Option<u16>,
}

impl FromStr for ConnectTo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || "write HOST1:PORT1:HOST2:PORT2, where each may be empty".to_owned();
        let (host, rest) = split_host(text).ok_or_else(form)?;
        let (port, rest) = rest.and_then(|rest| rest.split_once(':')).ok_or_else(form)?;
        let from = HostAndPort::parse(host, port)?;
        let (host, port) = split_host(rest).ok_or_else(form)?;
        Ok(Self { from, to: HostAndPort::parse(host, port.unwrap_or_default())? })
    }
}

impl HostAndPort {
    fn parse(host: &str, port: &str) -> Result<Self, String> {
        let host = (!host.is_empty()).then(|| parse_host(host)).transpose()?;
        let port = (!port.is_empty()).then(|| parse_port(port)).transpose()?;
        Ok(Self { host, port })
    }
}

/// Rules of which the first that fits counts.
#[derive(Debug, Clone, Default)]
pub struct Routes(Vec<ConnectTo>);

impl Routes {
    /// None.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a rule behind the others.
    pub fn push(&mut self, rule: ConnectTo) {
        self.0.push(rule);
    }

    /// Sets where to connect for `info`, unless that was said already.
    pub(crate) fn apply(&self, info: &mut ConnectionInfo) {
        if info.route.is_none() {
            info.route = self.find(info.host(), info.port());
        }
    }

    fn find(&self, host: &str, port: u16) -> Option<Route> {
        let fits = |rule: &&ConnectTo| {
            rule.from.host.as_deref().is_none_or(|from| from == host)
                && rule.from.port.is_none_or(|from| from == port)
        };
        let to = &self.0.iter().find(fits)?.to;
        let route = Route {
            host: to.host.clone().unwrap_or_else(|| host.to_owned()),
            port: to.port.unwrap_or(port),
        };
        // A way that leads to the same place is none: it would only make another key.
        (route.host != host || route.port != port).then_some(route)
    }
}

impl FromIterator<ConnectTo> for Routes {
    fn from_iter<I: IntoIterator<Item = ConnectTo>>(rules: I) -> Self {
        Self(rules.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where a request for `host` and `port` goes under these rules.
    fn to(rules: &[&str], host: &str, port: u16) -> String {
        let routes: Routes = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        let mut info = ConnectionInfo::new(host, port);
        routes.apply(&mut info);
        let (host, port) = info.endpoint();
        format!("{host} {port}")
    }

    #[test]
    fn every_part_may_be_empty_as_with_curl() {
        assert_eq!(to(&["a.test:443:b.test:8443"], "a.test", 443), "b.test 8443");
        assert_eq!(to(&["a.test:443:b.test:8443"], "a.test", 444), "a.test 444");
        assert_eq!(to(&["a.test:443:b.test:8443"], "c.test", 443), "c.test 443");
        assert_eq!(to(&["::b.test:8443"], "c.test", 443), "b.test 8443");
        assert_eq!(to(&["a.test:::8443"], "a.test", 1), "a.test 8443");
        assert_eq!(to(&[":443:b.test:"], "c.test", 443), "b.test 443");
        assert_eq!(to(&[":443:b.test"], "c.test", 443), "b.test 443");
    }

    #[test]
    fn addresses_stand_in_brackets_and_names_are_written_as_in_urls() {
        assert_eq!(to(&["[::1]:443:[0:0::2]:8443"], "::1", 443), "::2 8443");
        assert_eq!(to(&["A.Test:443:127.0.0.1:1"], "a.test", 443), "127.0.0.1 1");
        assert_eq!(to(&["bücher.example:443:b.test:1"], "xn--bcher-kva.example", 443), "b.test 1");
    }

    #[test]
    fn the_first_rule_that_fits_counts_also_when_it_changes_nothing() {
        let rules = ["a.test:443::", "::b.test:1"];
        assert_eq!(to(&rules, "a.test", 443), "a.test 443");
        assert_eq!(to(&rules, "c.test", 443), "b.test 1");
        let routes: Routes = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        let mut info = ConnectionInfo::new("a.test", 443);
        routes.apply(&mut info);
        assert_eq!(info.route, None, "the key is the usual one");
    }

    #[test]
    fn a_requests_own_route_goes_first() {
        let routes: Routes = [":::8443".parse().unwrap()].into_iter().collect();
        let own = Some(Route { host: "own.test".into(), port: 1 });
        let mut info = ConnectionInfo::new("a.test", 443);
        info.route.clone_from(&own);
        routes.apply(&mut info);
        assert_eq!(info.route, own);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, word) in [
            ("", "HOST1:PORT1"),
            ("a.test", "HOST1:PORT1"),
            ("a.test:443", "HOST1:PORT1"),
            ("[::1:443:b.test:1", "HOST1:PORT1"),
            ("[::1]x:443:b.test:1", "HOST1:PORT1"),
            ("a.test:https:b.test:1", "not a port number"),
            ("a.test:443:b.test:70000", "not a port number"),
            ("a.test:443:b.test:+1", "not a port number"),
            ("a.test:443:b.test:1:2", "not a port number"),
            ("a b:443:b.test:1", "not a host"),
            ("a.test:443:::1:1", "not a port number"),
        ] {
            let error = text.parse::<ConnectTo>().unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
