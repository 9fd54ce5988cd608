//! `--ech`: what a handshake says about Encrypted Client Hello.

use std::str::FromStr;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use necko::{EchConfigList, Settings};
use url::Url;

/// `ECHConfigList` has a length of two bytes; this is what that makes in base64, and some.
const LONGEST: usize = 90_000;

/// One `--ech`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EchOption {
    /// `false`: nothing.
    Off,
    /// `grease`: something random, as without the option.
    Grease,
    /// `ecl:BASE64`: with this configuration, for the hosts of the URLs.
    Config(EchConfigList),
}

impl FromStr for EchOption {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "false" => Ok(Self::Off),
            "grease" => Ok(Self::Grease),
            _ => {
                let list = text.strip_prefix("ecl:").ok_or_else(|| {
                    "write false, grease, or ecl:BASE64 (configurations are not looked up)"
                        .to_owned()
                })?;
                parse_list(list).map(Self::Config)
            }
        }
    }
}

/// A list in base64, as an HTTPS record shows it.
fn parse_list(text: &str) -> Result<EchConfigList, String> {
    if text.len() > LONGEST {
        return Err("that is too long for an ECH configuration".into());
    }
    let bytes = BASE64_STANDARD.decode(text).map_err(|error| format!("no base64: {error}"))?;
    EchConfigList::parse(bytes).map_err(|error| error.to_string())
}

impl EchOption {
    /// Puts it into the settings.
    pub(crate) fn apply<'u>(
        &self,
        settings: &mut Settings,
        urls: impl IntoIterator<Item = &'u String>,
    ) {
        match self {
            Self::Off => settings.http3.ech_grease = false,
            Self::Grease => settings.http3.ech_grease = true,
            Self::Config(list) => {
                // A URL that is none is complained about elsewhere.
                let urls = urls.into_iter().filter_map(|url| Url::parse(url).ok());
                let hosts = urls.filter_map(|url| url.host_str().map(str::to_owned));
                settings.ech_configs.extend(hosts.map(|host| (host, list.clone())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The outline of one: a key of one byte, the public name `p`.
    const LIST: &str = "ABX+DQARBwAhAAEJAAQAAQABQAFwAAA=";

    #[test]
    fn what_is_no_configuration_is_said_to_be_none() {
        assert_eq!("false".parse(), Ok(EchOption::Off));
        assert_eq!("grease".parse(), Ok(EchOption::Grease));
        let long = format!("ecl:{}", "A".repeat(1 << 20));
        for (text, expected) in [
            ("true", "ecl:BASE64"),
            ("", "ecl:BASE64"),
            ("ecl:", "ends before"),
            ("ecl:%%", "base64"),
            ("ecl:AAAA", "follows"),
            (&long, "too long"),
        ] {
            let error = text.parse::<EchOption>().unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_configuration_is_for_the_hosts_of_the_urls() {
        let option: EchOption = format!("ecl:{LIST}").parse().unwrap();
        let urls = ["https://Example.org:8443/a", "nonsense", "https://example.net/"];
        let urls = urls.map(str::to_owned);
        let mut settings = Settings::default();
        option.apply(&mut settings, &urls);
        let hosts: Vec<_> = settings.ech_configs.keys().map(String::as_str).collect();
        assert_eq!(hosts, ["example.net", "example.org"]);
        EchOption::Off.apply(&mut settings, &urls);
        assert!(!settings.http3.ech_grease);
    }
}
