use http::{HeaderMap, Method, StatusCode};

use super::*;
use crate::command::record::ResponseRecord;

fn record() -> Record {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "text/plain".parse().unwrap());
    headers.insert("etag", "\"7\"".parse().unwrap());
    let mut record = Record::new(2, "https://Example.org", Method::PUT);
    record.url_effective = "https://example.org/".into();
    record.response = Some(ResponseRecord {
        status: StatusCode::CREATED,
        version: Version::HTTP_3,
        headers,
        time: Duration::from_micros(1_234_567),
    });
    record.file = Some("dir/a \"b\"".into());
    (record.downloaded, record.uploaded) = (1000, 3000);
    record.time_total = Duration::from_secs(2);
    record.connections = 1;
    record
}

fn shown(format: &str, record: &Record) -> (String, String) {
    WriteOut::parse(format).render(record)
}

#[test]
fn variables_are_replaced_and_escapes_are_curls() {
    let of = |format: &str| shown(format, &record()).0;
    assert_eq!(of("%{http_code} %{response_code}\\n"), "201 201\n");
    assert_eq!(of("%{size_download}\\t%{size_upload}"), "1000\t3000");
    assert_eq!(of("%{speed_download} %{speed_upload}"), "500 1500");
    assert_eq!(of("%{time_total} %{time_starttransfer}"), "2.000000 1.234567");
    assert_eq!(
        of("%{url} %{url_effective} %{urlnum}"),
        "https://Example.org https://example.org/ 2"
    );
    assert_eq!(of("%{filename_effective}|%{content_type}"), "dir/a \"b\"|text/plain");
    assert_eq!(of("%{exitcode}|%{errormsg}|%{http_version}|%{method}"), "0||3|PUT");
    assert_eq!(of("%{num_connects} %{num_headers} %{scheme}"), "1 2 https");
    assert_eq!(of("%header{ETag} %header{none}."), "\"7\" .");
    assert_eq!(of("100%% \\q \\"), "100% \\q \\");
    assert_eq!(of("%{unknown} %{open %x ü%"), "%{unknown} %{open %x ü%");
}

#[test]
fn what_follows_a_stream_goes_there() {
    let (out, err) = shown("a%{stderr}b%{http_code}%{stdout}c", &record());
    assert_eq!((out.as_str(), err.as_str()), ("ac", "b201"));
}

#[test]
fn json_is_one_object_on_one_line_with_every_variable() {
    let (out, _) = shown("%{json}\\n", &record());
    assert_eq!(out.lines().count(), 1);
    let json: Json = serde_json::from_str(&out).unwrap();
    assert_eq!(json.as_object().unwrap().len(), VARIABLES.len());
    assert_eq!(json["http_code"], 201);
    assert_eq!(json["time_starttransfer"], 1.234_567);
    assert_eq!(json["filename_effective"], "dir/a \"b\"");
    assert_eq!((&json["errormsg"], &json["exitcode"]), (&Json::Null, &0.into()));
}

#[test]
fn a_transfer_that_failed_has_no_status_but_a_reason() {
    let mut record = Record::new(0, "nonsense", Method::GET);
    record.failure = Some(Failure::new(ExitCode::MalformedUrl, "not a \"URL\"\n"));
    let (out, _) = shown("%{http_code} %{exitcode} %{json}", &record);
    let json = out.strip_prefix("000 3 ").unwrap();
    let json: Json = serde_json::from_str(json).unwrap();
    assert_eq!((&json["http_code"], &json["exitcode"]), (&0.into(), &3.into()));
    assert_eq!(json["errormsg"], "not a \"URL\"\n");
    assert_eq!(json["filename_effective"], Json::Null);
    assert_eq!((&json["scheme"], &json["num_connects"]), (&Json::Null, &0.into()));
    assert_eq!((&json["remote_ip"], &json["time_connect"]), (&Json::Null, &0.0.into()));
}

#[test]
fn the_format_may_be_in_a_file() {
    let path = std::env::temp_dir().join(format!("necko-format-{}", std::process::id()));
    fs::write(&path, "%{method}!").unwrap();
    let format: WriteOut = format!("@{}", path.display()).parse().unwrap();
    assert_eq!(format.render(&record()).0, "PUT!");
    fs::remove_file(&path).unwrap();
    let failure = format!("@{}", path.display()).parse::<WriteOut>().unwrap_err();
    assert_eq!(failure.code, ExitCode::ReadError);
}

#[test]
fn moments_count_from_the_beginning_and_are_0_where_there_was_none() {
    let mut record = record();
    let begun = socket_transport::Clock::system().now();
    let at = |millis| Some(begun + Duration::from_millis(millis));
    record.begun = Some(begun);
    record.timings.connect.domain_lookup_end = at(5);
    record.timings.connect.connect_end = at(20);
    record.timings.queued = at(1);
    record.timings.request_start = at(21);
    let of = |format: &str, record: &Record| shown(format, record).0;
    let connect = "%{time_namelookup} %{time_connect} %{time_appconnect} %{time_pretransfer}";
    assert_eq!(of(connect, &record), "0.005000 0.020000 0.020000 0.021000");
    record.timings.connect.tcp_connect_end = at(10);
    assert_eq!(of("%{time_connect} %{time_redirect}", &record), "0.010000 0.000000");
    record.redirects = 2;
    assert_eq!(of("%{time_redirect} %{num_redirects}", &record), "0.001000 2");
}

#[test]
fn ends_of_connections_and_where_a_redirect_would_lead() {
    let mut record = record();
    record.timings.local = Some(([0, 0, 0, 0], 1234).into());
    record.timings.remote = Some(([127, 0, 0, 1], 443).into());
    let of = |format: &str, record: &Record| shown(format, record).0;
    let ends = "%{local_ip}|%{local_port} %{remote_ip}|%{remote_port}";
    assert_eq!(of(ends, &record), "|1234 127.0.0.1|443");
    let response = record.response.as_mut().unwrap();
    response.headers.insert("location", "../x?y".parse().unwrap());
    assert_eq!(of("%{redirect_url}.", &record), ".", "a 201 leads nowhere");
    record.response.as_mut().unwrap().status = StatusCode::FOUND;
    assert_eq!(of("%{redirect_url}", &record), "https://example.org/x?y");
    assert_eq!(of("%{ssl_verify_result}", &record), "0");
    record.failure = Some(Failure::new(ExitCode::Certificate, ""));
    assert_eq!(of("%{ssl_verify_result}", &record), "1");
}
