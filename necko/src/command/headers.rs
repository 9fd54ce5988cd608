//! `-H`: a header field to add, or one to leave out.

use std::str::FromStr;

use http::{HeaderName, HeaderValue, header};

/// One `-H`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HeaderOption {
    Add(HeaderName, String),
    /// Leave out a field that would be there by itself.
    Without(HeaderName),
}

impl HeaderOption {
    /// The field's name.
    pub(crate) fn name(&self) -> &HeaderName {
        match self {
            Self::Add(name, _) | Self::Without(name) => name,
        }
    }
}

impl FromStr for HeaderOption {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, String> {
        let name_of = |name: &str| {
            HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| format!("{name:?} can't be a header's name"))
        };
        let (name, value) = match (line.split_once(':'), line.strip_suffix(';')) {
            (Some((name, value)), _) => (name_of(name)?, value.trim_matches([' ', '\t'])),
            (None, Some(name)) => return Ok(Self::Add(name_of(name)?, String::new())),
            (None, None) => return Err("write 'Name: value'".into()),
        };
        if name == header::HOST {
            return Err(
                "HTTP/3 has no Host field; name the host in the URL, and where it is with \
                        --resolve HOST:PORT:ADDR"
                    .into(),
            );
        }
        if value.is_empty() {
            return Ok(Self::Without(name));
        }
        HeaderValue::from_bytes(value.as_bytes())
            .map_err(|_| format!("the value of {name} has a control character"))?;
        Ok(Self::Add(name, value.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(name: &'static str, value: &str) -> HeaderOption {
        HeaderOption::Add(HeaderName::from_static(name), value.into())
    }

    #[test]
    fn curls_three_forms() {
        assert_eq!("Accept: text/html".parse(), Ok(add("accept", "text/html")));
        assert_eq!("X-Time:  12:30 ".parse(), Ok(add("x-time", "12:30")));
        assert_eq!("X-Empty;".parse(), Ok(add("x-empty", "")));
        let accept = HeaderName::from_static("accept");
        assert_eq!("Accept:".parse(), Ok(HeaderOption::Without(accept)));
    }

    #[test]
    fn nothing_gets_through_that_could_split_a_request() {
        for line in ["no colon", ": v", "a b: c", "a: b\r\nc: d", "a: b\0", "Host: other"] {
            assert!(line.parse::<HeaderOption>().is_err(), "{line:?}");
        }
    }
}
