//! Heads in both directions, between `http`'s checked types and neqo's plain strings.
//!
//! neqo sends what it is given (a wrong name is an assertion in debug builds and goes out in release
//! builds) and hands over what the peer sent, line breaks included. So both directions are checked here.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http3_session::FetchError;
use neqo_common::Header;
use transaction::RequestHead;

/// The largest response head, counted as in RFC 9114 §4.2.2: lengths of names and values and 32 for each
/// field. neqo has no limit of its own. Firefox's preference is
/// `network.http.max_response_header_size`, which counts the text only.
const MAX_RESPONSE_HEAD: usize = 393_216;

/// What a field adds to the count besides its text.
const FIELD_OVERHEAD: usize = 32;

/// The pseudo-header field of every response.
const STATUS: &str = ":status";

/// The `priority` request header (RFC 9218 §5).
const PRIORITY: &str = "priority";

/// The priority as neqo takes it.
pub(crate) fn priority(priority: transaction::Priority) -> neqo_http3::Priority {
    // neqo asserts an urgency below eight.
    neqo_http3::Priority::new(priority.urgency().min(7), priority.incremental())
}

/// The header fields of a request; neqo makes the pseudo-header fields itself.
///
/// neqo knows the priority for its `PRIORITY_UPDATE` frames but doesn't add the `priority` header: that
/// is done here, unless the application gave one. The default priority has no header.
///
/// # Errors
/// A value that isn't text: neqo's strings can't hold it.
pub(crate) fn request(head: &RequestHead) -> Result<Vec<Header>, FetchError> {
    let mut headers = Vec::with_capacity(head.headers().len() + 1);
    for (name, value) in head.headers() {
        let value = std::str::from_utf8(value.as_bytes()).map_err(|_| {
            FetchError::Rejected(format!("the value of header {name} is not UTF-8"))
        })?;
        headers.push(Header::new(name.as_str(), value));
    }
    if !head.headers().contains_key(PRIORITY) {
        headers.extend(priority(head.priority).header());
    }
    Ok(headers)
}

/// The status and the fields of a response.
///
/// # Errors
/// Says what breaks RFC 9114 §4.3 or the limit.
pub(crate) fn response(headers: &[Header]) -> Result<(StatusCode, HeaderMap), String> {
    let mut status = None;
    let mut fields = HeaderMap::with_capacity(headers.len().min(64));
    let mut size = 0_usize;
    for header in headers {
        size = size
            .saturating_add(header.name().len())
            .saturating_add(header.value().len())
            .saturating_add(FIELD_OVERHEAD);
        if size > MAX_RESPONSE_HEAD {
            return Err(format!("the response head is larger than {MAX_RESPONSE_HEAD} bytes"));
        }
        if header.name() == STATUS {
            if status.replace(status_code(header.value())?).is_some() {
                return Err("the response has more than one :status".to_owned());
            }
        } else {
            let (name, value) = field(header)?;
            // A map has a largest number of fields, and `append` would panic there.
            fields
                .try_append(name, value)
                .map_err(|_| "the response has too many header fields".to_owned())?;
        }
    }
    let status = status.ok_or_else(|| "the response has no :status".to_owned())?;
    Ok((status, fields))
}

/// Three digits from 100 to 599. neqo parses it as a number, and so lets `+200` and `0200` pass.
fn status_code(value: &str) -> Result<StatusCode, String> {
    StatusCode::from_bytes(value.as_bytes())
        .ok()
        .filter(|status| status.as_u16() < 600)
        .ok_or_else(|| format!("the :status {value:?} is not a status code"))
}

/// One field. The names of pseudo-header fields are no field names, so they fail as well.
fn field(header: &Header) -> Result<(HeaderName, HeaderValue), String> {
    let name = HeaderName::from_lowercase(header.name().as_bytes())
        .map_err(|_| format!("the response has a header field named {:?}", header.name()))?;
    let value = HeaderValue::from_bytes(header.value().as_bytes())
        .map_err(|_| format!("the value of header {name} has a control character"))?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use http::{Method, header::ACCEPT};
    use transaction::Priority;

    use super::*;

    fn parse(fields: &[(&str, &str)]) -> Result<(StatusCode, HeaderMap), String> {
        let headers: Vec<_> = fields.iter().map(|(n, v)| Header::new(*n, *v)).collect();
        response(&headers)
    }

    fn head() -> RequestHead {
        RequestHead::new(Method::GET, "https", "example.org", "/", &HeaderMap::new()).unwrap()
    }

    #[test]
    fn a_good_head_keeps_its_fields_in_order() {
        let fields = [(":status", "200"), ("set-cookie", "a=1"), ("set-cookie", "b=2")];
        let (status, headers) = parse(&fields).unwrap();
        assert_eq!(status, StatusCode::OK);
        let cookies: Vec<_> = headers.get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a=1", "b=2"]);
    }

    #[test]
    fn exactly_one_status_of_three_digits_from_100_to_599() {
        for status in ["100", "200", "599"] {
            assert!(parse(&[(":status", status)]).is_ok(), "{status}");
        }
        for status in ["", "+200", "0200", "20", "099", "600", "999", "2x0", " 200"] {
            assert!(parse(&[(":status", status)]).is_err(), "{status:?}");
        }
        assert!(parse(&[("server", "x")]).is_err());
        assert!(parse(&[(":status", "200"), (":status", "200")]).is_err());
    }

    #[test]
    fn names_are_lower_case_tokens_and_no_pseudo_header_fields() {
        for name in ["Server", "a b", "", "a\r\nb", ":path", ":", "ä"] {
            assert!(parse(&[(":status", "200"), (name, "x")]).is_err(), "{name:?}");
        }
    }

    #[test]
    fn values_hold_no_line_break_and_no_nul() {
        for value in ["a\r\nb: c", "a\nb", "a\rb", "a\0b", "a\x7fb"] {
            assert!(parse(&[(":status", "200"), ("x", value)]).is_err(), "{value:?}");
        }
        for value in ["", "a\tb", "grüße"] {
            assert!(parse(&[(":status", "200"), ("x", value)]).is_ok(), "{value:?}");
        }
    }

    #[test]
    fn a_head_above_the_limit_is_refused() {
        let status = MAX_RESPONSE_HEAD - (":status200".len() + 32) - ("x".len() + 32);
        let fits = "a".repeat(status);
        assert!(parse(&[(":status", "200"), ("x", &fits)]).is_ok());
        let large = "a".repeat(status + 1);
        assert!(parse(&[(":status", "200"), ("x", &large)]).is_err());
        let many = vec![(":status", "200"); 1].into_iter().chain(vec![("x", ""); 40_000]);
        assert!(parse(&many.collect::<Vec<_>>()).is_err());
    }

    #[test]
    fn the_priority_header_is_added_unless_the_application_gave_one() {
        let mut head = head();
        assert!(request(&head).unwrap().is_empty());
        head.priority = Priority::new(1, true);
        assert_eq!(request(&head).unwrap(), [Header::new("priority", "u=1,i")]);
        head.set_default(HeaderName::from_static(PRIORITY), HeaderValue::from_static("u=6"));
        assert_eq!(request(&head).unwrap(), [Header::new("priority", "u=6")]);
    }

    #[test]
    fn a_request_value_that_is_no_text_is_refused() {
        let mut head = head();
        head.set_default(ACCEPT, HeaderValue::from_bytes(b"\xff").unwrap());
        assert!(matches!(request(&head), Err(FetchError::Rejected(_))));
    }
}
