//! The request that a redirect leads to.

use http::{HeaderValue, StatusCode};
use transaction::{RedirectProblem, RequestBody};
use url::Url;

use super::Request;
use crate::redirect::{OF_BODIES, drop_credentials, next_method, resolve};

impl Request {
    /// What is kept of it in case that it is redirected: all but a body that can be sent once.
    pub(crate) fn keep_for_redirects(&self) -> Self {
        let (body, body_is_gone) = match self.body.try_clone() {
            Some(body) => (body, self.body_is_gone),
            None => (RequestBody::Empty, true),
        };
        Self { body_is_gone, ..self.with_body(body) }
    }

    /// The next request.
    ///
    /// # Errors
    /// It may not lead there, or the body that has to be sent again can't be.
    pub(crate) fn redirected(
        &self,
        status: StatusCode,
        location: &HeaderValue,
    ) -> Result<Self, RedirectProblem> {
        let url = resolve(&self.url, location)?;
        let mut next = self.keep_for_redirects();
        next.method = next_method(status, &self.method);
        if next.method != self.method {
            next.body = RequestBody::Empty;
            next.body_is_gone = false;
            for name in OF_BODIES {
                next.headers.remove(name);
            }
        }
        if next.body_is_gone {
            return Err(RedirectProblem::BodyGone);
        }
        if !same_origin(&self.url, &url) {
            // Where to connect was said for the first one.
            next.route = None;
            if !self.redirects.trusted {
                drop_credentials(&mut next.headers);
            }
        }
        next.url = url;
        Ok(next)
    }
}

fn same_origin(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

#[cfg(test)]
mod tests {
    use http::Method;
    use transaction::{Isolation, Route};

    use super::*;

    fn request(method: Method) -> Request {
        let request = Request::new(method, "https://a.test/form").unwrap().body("x=1");
        let request = request.header("content-type", "text/plain").unwrap();
        let request = request.header("authorization", "Basic x").unwrap();
        let request = request.sensitive_header("x-key", "secret").unwrap();
        request.header("accept-language", "de").unwrap()
    }

    fn redirected(request: &Request, code: u16, to: &str) -> Result<Request, RedirectProblem> {
        let status = StatusCode::from_u16(code).unwrap();
        request.redirected(status, &HeaderValue::from_str(to).unwrap())
    }

    fn names(request: &Request) -> Vec<String> {
        let head = request.head().unwrap();
        let mut names: Vec<_> = head.headers().keys().map(ToString::to_string).collect();
        names.sort();
        names
    }

    #[test]
    fn a_post_that_becomes_a_get_loses_its_body_and_what_describes_it() {
        let next = redirected(&request(Method::POST), 302, "/next").unwrap();
        let head = next.head().unwrap();
        assert_eq!((head.method(), head.path()), (&Method::GET, "/next"));
        assert_eq!(
            names(&next),
            ["accept", "accept-language", "authorization", "user-agent", "x-key"]
        );
    }

    #[test]
    fn a_body_that_can_be_sent_again_is() {
        let next = redirected(&request(Method::POST), 307, "https://a.test/next").unwrap();
        assert_eq!(next.head().unwrap().content_length(), Some(3));
        assert_eq!(next.body.length(), Some(3));
        assert!(names(&next).contains(&"content-type".to_owned()));
    }

    #[test]
    fn a_body_that_can_be_sent_once_ends_it_where_it_is_wanted_again() {
        let (writer, body) = RequestBody::pipe(None);
        let request = request(Method::POST).body(body);
        let kept = request.keep_for_redirects();
        drop((writer, request));
        assert_eq!(redirected(&kept, 308, "/").unwrap_err(), RedirectProblem::BodyGone);
        let next = redirected(&kept, 303, "/").unwrap();
        assert!(redirected(&next, 307, "/again").is_ok(), "the GET has none");
    }

    #[test]
    fn scheme_host_and_port_make_an_origin_and_credentials_do_not_leave_it() {
        let request = request(Method::GET);
        for same in ["/x", "https://a.test:443/", "https://A.TEST/"] {
            assert!(names(&redirected(&request, 301, same).unwrap()).contains(&"x-key".to_owned()));
        }
        for other in ["https://b.test/", "https://a.test:444/", "https://www.a.test/"] {
            let next = redirected(&request, 301, other).unwrap();
            let names = names(&next);
            assert!(!names.contains(&"authorization".to_owned()), "{other}: {names:?}");
            assert!(!names.contains(&"x-key".to_owned()), "{other}: {names:?}");
            assert!(names.contains(&"accept-language".to_owned()));
            // What was lost does not come back.
            let back = redirected(&next, 301, "https://a.test/").unwrap();
            assert!(!self::names(&back).contains(&"authorization".to_owned()));
        }
        let trusting = request.try_clone().unwrap().trust_redirects(true);
        let next = redirected(&trusting, 301, "https://b.test/").unwrap();
        assert!(names(&next).contains(&"authorization".to_owned()));
    }

    #[test]
    fn what_keeps_contexts_apart_stays_and_a_route_is_for_its_origin() {
        let isolation = Isolation { private: true, ..Isolation::default() };
        let route = Route { host: "r.test".into(), port: 1 };
        let request = request(Method::GET).isolation(isolation.clone()).route(route.clone());
        let same = redirected(&request, 301, "/x").unwrap().connection_info();
        assert_eq!((same.isolation, same.route), (isolation.clone(), Some(route)));
        let other = redirected(&request, 301, "https://b.test/").unwrap().connection_info();
        assert_eq!((other.isolation, other.route), (isolation, None));
    }
}
