//! `--resolve`: addresses that the user knows better than the resolver.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
};

use url::Host;

/// One `--resolve HOST:PORT:ADDR[,ADDR]`. IPv6 addresses may stand in brackets; as a host they must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FixedAddress {
    /// As a URL writes it: lower case, international names in their ASCII form; no brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) addresses: Vec<SocketAddr>,
}

impl FromStr for FixedAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form = || "write HOST:PORT:ADDRESS, or several addresses with commas".to_owned();
        // curl's '+' lets an entry expire after a minute; here each lasts as long as the program.
        let (host, rest) = split_host(text.strip_prefix('+').unwrap_or(text)).ok_or_else(form)?;
        let (port, addresses) = rest.split_once(':').ok_or_else(form)?;
        let port = port.parse().map_err(|_| format!("{port:?} is not a port number"))?;
        let addresses = addresses
            .split(',')
            .map(|address| parse_address(address).map(|ip| SocketAddr::new(ip, port)))
            .collect::<Result<_, _>>()?;
        Ok(Self { host: parse_host(host)?, port, addresses })
    }
}

fn split_host(text: &str) -> Option<(&str, &str)> {
    if text.starts_with('[') {
        let (host, rest) = text.split_at(text.find(']')? + 1);
        return Some((host, rest.strip_prefix(':')?));
    }
    text.split_once(':')
}

fn parse_host(text: &str) -> Result<String, String> {
    if text == "*" {
        return Err("'*' is not supported: name each host".into());
    }
    match Host::parse(text) {
        Ok(Host::Ipv6(address)) => Ok(address.to_string()),
        Ok(host) => Ok(host.to_string()),
        Err(error) => Err(format!("{text:?} is not a host: {error}")),
    }
}

fn parse_address(text: &str) -> Result<IpAddr, String> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().map_err(|_| format!("{text:?} is not an IP address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, u16, Vec<String>) {
        let fixed: FixedAddress = text.parse().unwrap();
        (fixed.host, fixed.port, fixed.addresses.iter().map(ToString::to_string).collect())
    }

    fn expected(host: &str, port: u16, addresses: &[&str]) -> (String, u16, Vec<String>) {
        (host.into(), port, addresses.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn one_address_or_more_of_either_family() {
        assert_eq!(
            parsed("example.org:443:127.0.0.1"),
            expected("example.org", 443, &["127.0.0.1:443"])
        );
        assert_eq!(
            parsed("a.test:4433:::1,[2001:db8::1],10.0.0.1"),
            expected("a.test", 4433, &["[::1]:4433", "[2001:db8::1]:4433", "10.0.0.1:4433"])
        );
    }

    #[test]
    fn hosts_are_written_as_a_url_writes_them() {
        assert_eq!(parsed("+EXAMPLE.org:1:::1").0, "example.org");
        assert_eq!(parsed("[0:0::1]:1:127.0.0.1").0, "::1");
        assert_eq!(parsed("bücher.example:1:::1").0, "xn--bcher-kva.example");
    }

    #[test]
    fn mistakes_are_named() {
        for (text, word) in [
            ("", "HOST:PORT:ADDRESS"),
            ("example.org", "HOST:PORT:ADDRESS"),
            ("example.org:443", "HOST:PORT:ADDRESS"),
            ("[::1:443:::1", "HOST:PORT:ADDRESS"),
            ("example.org:https:::1", "not a port number"),
            ("example.org:70000:::1", "not a port number"),
            ("example.org:443:", "not an IP address"),
            ("example.org:443:localhost", "not an IP address"),
            ("*:443:::1", "'*'"),
            ("a b:443:::1", "not a host"),
        ] {
            let error = text.parse::<FixedAddress>().unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
