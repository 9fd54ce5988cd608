//! The library follows redirects when it is asked to.

use std::{thread, time::Duration};

use http::{Method, StatusCode};
use necko::{HttpHandler, NetError, RedirectProblem, Request, RequestBody, Response, TimeoutPhase};
use tests::loopback::{
    ChosenAnswer, Client, DEADLINE, QuinnServer, ServerEvent, TestCa, fetch, read_all, within,
};

struct Setup {
    server: QuinnServer,
    /// Of another port, and so another origin.
    other: QuinnServer,
    handler: HttpHandler,
}

impl Setup {
    fn new() -> Self {
        let ca = TestCa::new();
        let (server, other) = (QuinnServer::start(&ca), QuinnServer::start(&ca));
        let client = Client::trusting(&ca.file());
        let handler = client.to(server.address()).to(other.address()).start();
        Self { server, other, handler }
    }

    fn request(&self, method: Method, path: &str) -> Request {
        Request::new(method, &self.server.url(path)).unwrap().follow_redirects(5)
    }

    fn get(&self, path: &str) -> Result<Response, NetError> {
        fetch(self.handler.fetch(self.request(Method::GET, path)))
    }
}

fn text(response: Response) -> String {
    String::from_utf8(read_all(&mut response.into_body()).unwrap()).unwrap()
}

fn problem(result: Result<Response, NetError>) -> RedirectProblem {
    match result.unwrap_err() {
        NetError::Redirect { problem, .. } => problem,
        error => panic!("{error}"),
    }
}

#[test]
fn a_chain_is_followed_and_told_of_over_one_connection() {
    let setup = Setup::new();
    let response = setup.get("/count/3#part").unwrap();
    assert_eq!(
        (response.status(), response.url()),
        (200.try_into().unwrap(), &*setup.server.url("/count/0#part"))
    );
    let urls: Vec<_> = response.redirects().iter().map(|redirect| &redirect.url).collect();
    let expected = ["/count/3#part", "/count/2#part", "/count/1#part"];
    assert_eq!(urls, expected.map(|path| setup.server.url(path)).iter().collect::<Vec<_>>());
    for redirect in response.redirects() {
        assert_eq!((redirect.status.as_u16(), redirect.received), (301, 9));
        assert!(redirect.timings.response_start.is_some());
    }
    assert!(response.timings().queued >= response.redirects()[2].timings.response_start);
    let snapshot = setup.handler.snapshot().unwrap().lifetime;
    assert_eq!((snapshot.connections, snapshot.transactions), (1, 4));
}

#[test]
fn nothing_is_followed_unasked_and_no_more_than_was_allowed() {
    let setup = Setup::new();
    let plain = Request::new(Method::GET, &setup.server.url("/to/302/headers")).unwrap();
    let response = fetch(setup.handler.fetch(plain)).unwrap();
    assert_eq!((response.status().as_u16(), response.redirects().len()), (302, 0));
    assert_eq!(setup.get("/count/5").unwrap().redirects().len(), 5);
    assert_eq!(problem(setup.get("/count/6")), RedirectProblem::TooMany(5));
    assert_eq!(problem(setup.get("/loop/1")), RedirectProblem::TooMany(5));
    let none = setup.request(Method::GET, "/count/1").follow_redirects(0);
    assert_eq!(problem(fetch(setup.handler.fetch(none))), RedirectProblem::TooMany(0));
    assert_eq!(setup.get("/to/304/headers").unwrap().status().as_u16(), 304);
}

#[test]
fn blocking_needs_no_runtime_and_no_poll_of_the_socket_thread() {
    let setup = Setup::new();
    let request = setup.request(Method::GET, "/count/3");
    let response = within(DEADLINE, move || {
        let response = setup.handler.fetch(request).unwrap().wait();
        response.map(|response| response.redirects().len())
    });
    assert_eq!(response, Ok(3));
}

#[test]
fn where_nobody_may_be_led_is_an_error_that_says_so() {
    let setup = Setup::new();
    for (path, expected) in [
        ("/to/302?http://localhost/", RedirectProblem::Protocol),
        ("/to/302?file:///etc/passwd", RedirectProblem::Protocol),
        ("/to/302?https://:1/", RedirectProblem::Malformed),
    ] {
        assert_eq!(problem(setup.get(path)), expected, "{path}");
    }
}

#[test]
fn bodies_go_again_where_they_must_and_can() {
    let setup = Setup::new();
    let post = |path: &str| setup.request(Method::POST, path).body("x=1");
    let send = |request| fetch(setup.handler.fetch(request));
    let seen = text(send(post("/to/302/headers")).unwrap());
    assert!(seen.starts_with("GET ") && !seen.contains("content-"), "{seen}");
    assert_eq!(text(send(post("/to/307/echo")).unwrap()), "x=1");
    assert_eq!(text(send(post("/to/308/to/307/echo")).unwrap()), "x=1");
    let (writer, body) = RequestBody::pipe(None);
    writer.finish();
    let piped = setup.request(Method::POST, "/to/307/echo").body(body);
    assert_eq!(problem(send(piped)), RedirectProblem::BodyGone);
}

#[test]
fn credentials_stay_with_their_origin() {
    let setup = Setup::new();
    let url = setup.other.url("/headers");
    let request = |trusted: bool| {
        let request = setup.request(Method::GET, &format!("/to/302?{url}"));
        let request = request.header("authorization", "Basic c2VjcmV0").unwrap();
        let request = request.header("cookie", "secret=1").unwrap();
        let request = request.sensitive_header("x-key", "secret").unwrap();
        request.header("accept-language", "de").unwrap().trust_redirects(trusted)
    };
    let seen = text(fetch(setup.handler.fetch(request(false))).unwrap());
    assert!(!seen.to_lowercase().contains("secret") && !seen.contains("c2VjcmV0"), "{seen}");
    assert!(seen.contains("accept-language: de") && !seen.contains("referer"), "{seen}");
    let seen = text(fetch(setup.handler.fetch(request(true))).unwrap());
    assert!(
        seen.contains("c2VjcmV0") && seen.contains("secret=1") && seen.contains("x-key"),
        "{seen}"
    );
    let same = setup.request(Method::GET, "/count/1").header("cookie", "secret=1").unwrap();
    assert!(text(fetch(setup.handler.fetch(same)).unwrap()).contains("secret=1"));
}

#[test]
fn a_redirects_body_without_end_is_given_up() {
    let setup = Setup::new();
    setup.server.choose_answer(ChosenAnswer {
        status: StatusCode::FOUND,
        fields: vec![("location", "/headers".into())],
        body: vec![b'x'; 10_000_000].into(),
    });
    let response = setup.get("/answer").unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.redirects()[0].received < 200_000);
    setup.server.wait_for(|event| match event {
        ServerEvent::Cancelled(path, 0x10c) if path == "/answer" => Some(()),
        _ => None,
    });
}

#[test]
fn one_time_limit_and_one_canceller_are_for_the_whole_chain() {
    let setup = Setup::new();
    let request = setup.request(Method::GET, "/to/302/hang");
    let limited = request.try_clone().unwrap().timeout(Duration::from_millis(500));
    let error = fetch(setup.handler.fetch(limited)).unwrap_err();
    assert_eq!(error, NetError::NetTimeout(TimeoutPhase::Whole));
    let pending = setup.handler.fetch(request).unwrap();
    let canceller = pending.canceller();
    let waiting = thread::spawn(move || pending.wait().map(|_| ()));
    let hangs =
        |event: &ServerEvent| (*event == ServerEvent::Request("/hang".into())).then_some(());
    setup.server.wait_for(hangs);
    setup.server.wait_for(hangs);
    canceller.cancel();
    assert_eq!(waiting.join().unwrap(), Err(NetError::Aborted));
}
