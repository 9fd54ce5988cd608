//! The ECH configurations that the application gave, and what a connection's hello says of them.

use std::collections::BTreeMap;

use transaction::{ConnectionInfo, Ech, EchConfigList};

/// By host, lower case.
#[derive(Debug, Default)]
pub(crate) struct EchConfigs(BTreeMap<String, EchConfigList>);

impl EchConfigs {
    /// Takes or forgets a host's configuration; answers whether that changed anything.
    pub(crate) fn set(&mut self, host: &str, config: Option<EchConfigList>) -> bool {
        let host = host.to_ascii_lowercase();
        let changes = self.0.get(&host) != config.as_ref();
        match config {
            Some(config) => self.0.insert(host, config),
            None => self.0.remove(&host),
        };
        changes
    }

    /// What a hello to this key's origin says.
    fn ech(&self, info: &ConnectionInfo, grease: bool) -> Ech {
        match self.0.get(info.host()) {
            Some(config) => Ech::Config(config.clone()),
            None if grease => Ech::Grease,
            None => Ech::Off,
        }
    }

    /// What the next connection's hello says: what the server asked for when it refused the last one, else what
    /// the application wants.
    pub(crate) fn choose(
        &self,
        info: &ConnectionInfo,
        retry: Option<&EchRetry>,
        grease: bool,
    ) -> DialEch {
        match retry {
            // Not even random: the server said that it does without.
            Some(EchRetry(None)) => DialEch { ech: Ech::Off, is_retry: true },
            Some(EchRetry(Some(config))) => {
                DialEch { ech: Ech::Config(config.clone()), is_retry: true }
            }
            None => DialEch { ech: self.ech(info, grease), is_retry: false },
        }
    }
}

/// What a server gave instead of the configuration that it refused, or nothing: for the entry's next connection
/// alone. Later ones begin with the application's again, so that a server can't mark a client with a
/// configuration made for it (RFC 9849 §6.1.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EchRetry(pub(crate) Option<EchConfigList>);

/// What a connection's hello says about ECH.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DialEch {
    /// That.
    pub ech: Ech,
    /// The server asked for it when it refused another connection: if it refuses again, that is an error.
    pub is_retry: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> EchConfigList {
        // A key of a kind that nobody looks into.
        let contents = [7, 0, 0x21, 0, 1, 9, 0, 4, 0, 1, 0, 1, 64, 1, b'p', 0, 0];
        let length = u8::try_from(contents.len()).unwrap();
        let bytes = [&[0, length + 4, 0xfe, 0x0d, 0, length][..], &contents].concat();
        EchConfigList::parse(bytes).unwrap()
    }

    #[test]
    fn a_server_s_wish_counts_before_the_application_s_and_grease_fills_in() {
        let (info, list) = (ConnectionInfo::new("Necko.test", 443), list());
        let mut configs = EchConfigs::default();
        let ech = |configs: &EchConfigs, retry, grease| configs.choose(&info, retry, grease).ech;
        assert_eq!(ech(&configs, None, true), Ech::Grease);
        assert_eq!(ech(&configs, None, false), Ech::Off);
        assert!(configs.set("NECKO.test", Some(list.clone())));
        assert!(!configs.set("necko.test", Some(list.clone())), "nothing new");
        assert_eq!(ech(&configs, None, true), Ech::Config(list.clone()));
        let none = EchRetry(None);
        assert_eq!(ech(&configs, Some(&none), true), Ech::Off);
        assert!(configs.choose(&info, Some(&none), true).is_retry);
        assert!(configs.set("necko.test", None) && !configs.set("necko.test", None));
        assert_eq!(ech(&configs, Some(&EchRetry(Some(list.clone()))), true), Ech::Config(list));
    }
}
