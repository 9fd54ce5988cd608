//! The response body in the traits of the asynchronous world, each behind a feature of its name. None of
//! them needs a particular runtime.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use crate::response::ResponseBody;

#[cfg(feature = "futures-io")]
impl futures_io::AsyncRead for ResponseBody {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<std::io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.get_mut().poll_chunk(buffer.len(), cx).map(|chunk| {
            let chunk = chunk.map_err(transaction::consumer::into_io)?.unwrap_or_default();
            if let Some(start) = buffer.get_mut(..chunk.len()) {
                start.copy_from_slice(&chunk);
            }
            Ok(chunk.len())
        })
    }
}

#[cfg(feature = "http-body")]
impl http_body::Body for ResponseBody {
    type Data = bytes::Bytes;
    type Error = transaction::NetError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<bytes::Bytes>, transaction::NetError>>> {
        let body = self.get_mut();
        body.poll_chunk(transaction::consumer::CHUNK, cx).map(|chunk| match chunk {
            Ok(Some(chunk)) => Some(Ok(http_body::Frame::data(chunk))),
            Ok(None) => {
                body.take_trailers().map(|trailers| Ok(http_body::Frame::trailers(trailers)))
            }
            Err(error) => Some(Err(error)),
        })
    }
}

#[cfg(test)]
#[cfg(all(feature = "futures-io", feature = "http-body"))]
mod tests {
    use std::{future::poll_fn, pin::pin, task::Waker};

    use futures_io::AsyncRead as _;
    use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
    use http_body::Body as _;
    use transaction::{
        Closed, ConnectionInfo, HttpTransaction, RequestBody, RequestHead, ResponseHead,
        TransactionId, Writing,
    };

    use super::*;
    use crate::response::Response;

    fn now<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("it is not ready"),
        }
    }

    /// A response that has arrived: these bytes, in this coding, and a trailer field.
    fn arrived(coding: &'static str, bytes: &[u8]) -> ResponseBody {
        let head =
            RequestHead::new(Method::GET, "https", "a.test", "/", &HeaderMap::new()).unwrap();
        let info = ConnectionInfo::new("a.test", 443);
        let (mut transaction, response) =
            HttpTransaction::new(TransactionId(1), info, head, RequestBody::Empty);
        let fields = [(http::header::CONTENT_ENCODING, HeaderValue::from_static(coding))];
        let headers = HeaderMap::from_iter(fields);
        let head = ResponseHead { status: StatusCode::OK, version: Version::HTTP_3, headers };
        transaction.set_response_head(head).unwrap();
        let written = transaction.write_segments(|buffer| {
            buffer[..bytes.len()].copy_from_slice(bytes);
            Ok(Writing::Bytes(bytes.len()))
        });
        assert!(matches!(written, Ok(Ok(_))));
        let trailer = (http::header::EXPIRES, HeaderValue::from_static("0"));
        transaction.set_trailers(HeaderMap::from_iter([trailer]));
        assert!(matches!(transaction.close(Ok(())), Closed::Finished));
        Response::new(response.wait().unwrap(), String::new(), Vec::new(), true).into_body()
    }

    /// "hello", stored in a gzip member.
    const HELLO: &[u8] =
        b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x01\x05\0\xfa\xffhello\x86\xa6\x106\x05\0\0\0";

    #[test]
    fn an_async_reader_reads_what_was_decoded() {
        for mut body in [arrived("identity", b"hello"), arrived("gzip", HELLO)] {
            let mut read = |buffer: &mut [u8]| {
                now(poll_fn(|cx| Pin::new(&mut body).poll_read(cx, buffer))).unwrap()
            };
            let mut buffer = [0; 3];
            assert_eq!((read(&mut buffer), &buffer), (3, b"hel"));
            assert_eq!((read(&mut buffer), &buffer[..2]), (2, &b"lo"[..]));
            assert_eq!(read(&mut buffer), 0);
        }
    }

    #[test]
    fn an_http_body_has_what_was_decoded_and_the_trailers() {
        for mut body in [arrived("identity", b"hello"), arrived("gzip", HELLO)] {
            let mut frame = || now(poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)));
            assert_eq!(frame().unwrap().unwrap().into_data().unwrap(), "hello");
            assert!(frame().unwrap().unwrap().into_trailers().unwrap().contains_key("expires"));
            assert!(frame().is_none());
        }
    }
}
