//! Priorities of requests (RFC 9218): the `priority` header and `PRIORITY_UPDATE` frames.

/// How urgent a response is, and whether parts of it are of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Priority {
    /// 0, the most urgent, to 7.
    pub(crate) urgency: u8,
    /// Responses of one urgency share the connection, instead of going out one after the other.
    pub(crate) incremental: bool,
}

impl Default for Priority {
    fn default() -> Self {
        Self { urgency: 3, incremental: false }
    }
}

impl Priority {
    /// Reads the field value: a dictionary of which `u` and `i` matter. What is not understood has
    /// its default, as the RFC wants it.
    pub(crate) fn parse(value: &[u8]) -> Self {
        let mut priority = Self::default();
        for member in value.split(|byte| *byte == b',') {
            // Parameters of a member mean nothing here.
            let member = member.split(|byte| *byte == b';').next().unwrap_or_default();
            match member.trim_ascii() {
                [b'u', b'=', urgency @ b'0'..=b'7'] => priority.urgency = *urgency - b'0',
                b"i" | b"i=?1" => priority.incremental = true,
                b"i=?0" => priority.incremental = false,
                _ => {}
            }
        }
        priority
    }

    /// For the engine's calls of HTTP/3.
    pub(crate) fn http(self) -> quiche::h3::Priority {
        quiche::h3::Priority::new(self.urgency, self.incremental)
    }

    /// For the engine's transport, where request streams have the urgencies from 124 on and 0 is for
    /// the control streams.
    pub(crate) fn transport_urgency(self) -> u8 {
        self.urgency.saturating_add(124)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn field_values_are_read() {
        for (value, urgency, incremental) in [
            ("", 3, false),
            ("u=0", 0, false),
            ("u=7,i", 7, true),
            ("i, u=5", 5, true),
            ("i=?1;x=1 , u=2", 2, true),
            ("i=?0", 3, false),
            ("u=8", 3, false),
            ("u=-1, nonsense, i", 3, true),
            ("u=11", 3, false),
        ] {
            assert_eq!(
                Priority::parse(value.as_bytes()),
                Priority { urgency, incremental },
                "{value}"
            );
        }
    }
}
