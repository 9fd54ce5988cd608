use super::*;

type Fields = Vec<(&'static str, &'static str)>;

const GET: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/a?b=c")];

/// The request with one field replaced (or left out, with an empty value), and more behind it.
fn with(name: &'static str, value: &'static str, more: &[(&'static str, &'static str)]) -> Fields {
    let fields = GET.iter().copied().map(|f| if f.0 == name { (name, value) } else { f });
    fields.filter(|f| !f.1.is_empty()).chain(more.iter().copied()).collect()
}

#[test]
fn a_request_is_read() {
    let more = [
        ("content-length", "5"),
        ("content-length", "5"),
        ("host", "localhost"),
        ("if-none-match", "\"a\""),
        ("if-none-match", "\"b\", \"c\""),
        ("if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("priority", "u=1, i"),
        ("te", "trailers"),
        ("x-anything", ""),
    ];
    let fields: Fields = GET.into_iter().chain(more).collect();
    let request = Request::parse(&fields).unwrap();
    assert_eq!(request.method, Method::Get);
    assert_eq!(request.path, b"/a");
    assert_eq!(request.content_length, Some(5));
    let mut conditions = Conditions::default();
    for (name, value) in &more[3..6] {
        conditions.take(name.as_bytes(), value.as_bytes());
    }
    assert_eq!(request.conditions, conditions);
    assert_ne!(request.conditions, Conditions::default());
    assert_eq!(request.priority, Priority { urgency: 1, incremental: true });
}

#[test]
fn methods_are_told_apart() {
    for (name, method) in [
        ("GET", Method::Get),
        ("HEAD", Method::Head),
        ("POST", Method::Upload),
        ("PUT", Method::Upload),
        ("DELETE", Method::Unknown),
        ("get", Method::Unknown),
        ("CONNECT", Method::Unknown),
    ] {
        assert_eq!(Request::parse(&with(":method", name, &[])).unwrap().method, method, "{name}");
    }
}

#[test]
fn a_date_that_cannot_be_read_is_no_condition() {
    let request = Request::parse(&with("", "", &[("if-modified-since", "yesterday")])).unwrap();
    assert_eq!(request.conditions, Conditions::default());
}

#[test]
fn malformed_requests_are_refused() {
    let cases: [(&str, Fields); 30] = [
        ("no :method", with(":method", "", &[])),
        ("method with a space", with(":method", "GE T", &[])),
        ("no :scheme", with(":scheme", "", &[])),
        ("no :authority", with(":authority", "", &[])),
        ("no :path", with(":path", "", &[])),
        ("path with a space", with(":path", "/a b", &[])),
        ("path with a fragment", with(":path", "/a#b", &[])),
        ("path beyond ASCII", with(":path", "/ä", &[])),
        ("two paths", vec![GET[0], GET[1], GET[2], GET[3], GET[3]]),
        ("unknown pseudo", vec![GET[0], GET[1], GET[2], GET[3], (":status", "200")]),
        ("late pseudo", vec![GET[0], GET[1], GET[2], ("a", "b"), GET[3]]),
        ("authority differs", with("", "", &[("host", "elsewhere")])),
        ("two hosts", with("", "", &[("host", "localhost"), ("host", "localhost")])),
        ("upper case", with("", "", &[("Accept", "a")])),
        ("empty name", with("", "", &[("", "a")])),
        ("space in name", with("", "", &[("a b", "a")])),
        ("colon in name", with("", "", &[("a:b", "a")])),
        ("line break", with("", "", &[("a", "b\nc")])),
        ("carriage return", with("", "", &[("a", "b\rc")])),
        ("NUL", with("", "", &[("a", "b\0c")])),
        ("connection", with("", "", &[("connection", "close")])),
        ("transfer-encoding", with("", "", &[("transfer-encoding", "chunked")])),
        ("upgrade", with("", "", &[("upgrade", "h2c")])),
        ("te", with("", "", &[("te", "gzip")])),
        ("negative length", with("", "", &[("content-length", "-1")])),
        ("signed length", with("", "", &[("content-length", "+1")])),
        ("length list", with("", "", &[("content-length", "1, 1")])),
        ("huge length", with("", "", &[("content-length", "99999999999999999999")])),
        ("too long for a stream", with("", "", &[("content-length", "4611686018427387904")])),
        ("two lengths", with("", "", &[("content-length", "1"), ("content-length", "2")])),
    ];
    for (what, fields) in cases {
        assert!(Request::parse(&fields).is_err(), "{what}");
    }
    assert!(Request::parse::<(&str, &str)>(&[]).is_err());
    assert!(check_trailers(&[("a", "b")]).is_ok());
    assert!(check_trailers(&[(":path", "/")]).is_err());
}
