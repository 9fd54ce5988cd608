//! Hosts and ports in the texts of options: pure functions, for any input.

use url::Host;

/// What stands before the first colon that is not in brackets, and what follows it. With nothing behind the
/// host the rest is none.
///
/// `None` when a bracket is not closed, or something other than a colon follows it.
pub(crate) fn split_host(text: &str) -> Option<(&str, Option<&str>)> {
    let end = if text.starts_with('[') {
        text.find(']')? + 1
    } else {
        text.find(':').unwrap_or(text.len())
    };
    let (host, rest) = text.split_at_checked(end)?;
    match rest.strip_prefix(':') {
        Some(rest) => Some((host, Some(rest))),
        None if rest.is_empty() => Some((host, None)),
        None => None,
    }
}

/// A host as a URL writes it: lower case, international names in their ASCII form. IPv6 addresses, which
/// stand in brackets, lose them.
pub(crate) fn parse_host(text: &str) -> Result<String, String> {
    match Host::parse(text) {
        Ok(Host::Ipv6(address)) => Ok(address.to_string()),
        Ok(host) => Ok(host.to_string()),
        Err(error) => Err(format!("{text:?} is not a host: {error}")),
    }
}

pub(crate) fn parse_port(text: &str) -> Result<u16, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse().ok().filter(|_| digits);
    port.ok_or_else(|| format!("{text:?} is not a port number"))
}
