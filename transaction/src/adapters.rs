//! Bodies in the traits of the asynchronous world, each behind a feature of its name. None of them needs a
//! particular runtime: the socket thread does the work and wakes the task.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use crate::consumer::ResponseBody;

#[cfg(feature = "futures-io")]
mod io {
    use std::io;

    use futures_io::{AsyncRead, AsyncWrite};

    use super::{Context, Pin, Poll, ResponseBody};
    use crate::{body::BodyWriter, consumer::into_io};

    impl AsyncRead for ResponseBody {
        fn poll_read(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            if buffer.is_empty() {
                return Poll::Ready(Ok(0));
            }
            self.get_mut().poll_chunk(buffer.len(), cx).map(|chunk| {
                let chunk = chunk.map_err(into_io)?.unwrap_or_default();
                if let Some(start) = buffer.get_mut(..chunk.len()) {
                    start.copy_from_slice(&chunk);
                }
                Ok(chunk.len())
            })
        }
    }

    /// Closing is [`finish`](BodyWriter::finish): without it the request fails.
    impl AsyncWrite for BodyWriter {
        fn poll_write(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &[u8],
        ) -> Poll<io::Result<usize>> {
            BodyWriter::poll_write(&self, buffer, cx.waker())
        }

        fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_close(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.end();
            Poll::Ready(Ok(()))
        }
    }
}

#[cfg(feature = "http-body")]
mod body {
    use bytes::Bytes;
    use http_body::{Body, Frame};

    use super::{Context, Pin, Poll, ResponseBody};
    use crate::{consumer::CHUNK, error::NetError};

    impl Body for ResponseBody {
        type Data = Bytes;
        type Error = NetError;

        fn poll_frame(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, NetError>>> {
            let body = self.get_mut();
            body.poll_chunk(CHUNK, cx).map(|chunk| match chunk {
                Ok(Some(chunk)) => Some(Ok(Frame::data(chunk))),
                Ok(None) => body.take_trailers().map(|trailers| Ok(Frame::trailers(trailers))),
                Err(error) => Some(Err(error)),
            })
        }
    }
}

#[cfg(test)]
#[cfg(all(feature = "futures-io", feature = "http-body"))]
mod tests {
    use std::{future::poll_fn, pin::pin, task::Waker};

    use futures_io::{AsyncRead as _, AsyncWrite as _};
    use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
    use http_body::Body as _;

    use super::*;
    use crate::{
        Closed, ConnectionInfo, HttpTransaction, NetError, RequestBody, RequestHead, ResponseHead,
        Sending, TransactionId, Writing,
    };

    /// What is ready without waiting.
    fn now<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("it is not ready"),
        }
    }

    /// A transaction whose request body is `body`, and its response, which has begun.
    fn begun(body: RequestBody) -> (Box<HttpTransaction>, ResponseBody) {
        let fields = HeaderMap::new();
        let head = RequestHead::new(Method::POST, "https", "necko.test", "/", &fields).unwrap();
        let info = ConnectionInfo::new("necko.test", 443);
        let (mut transaction, response) = HttpTransaction::new(TransactionId(1), info, head, body);
        let head = ResponseHead {
            status: StatusCode::OK,
            version: Version::HTTP_3,
            headers: HeaderMap::new(),
        };
        transaction.set_response_head(head).unwrap();
        (transaction, response.wait().unwrap().into_body())
    }

    fn deliver(transaction: &mut HttpTransaction, bytes: &[u8]) {
        let written = transaction.write_segments(|buffer| {
            buffer[..bytes.len()].copy_from_slice(bytes);
            Ok(Writing::Bytes(bytes.len()))
        });
        assert!(matches!(written, Ok(Ok(_))));
    }

    #[test]
    fn a_response_body_is_an_async_reader() {
        let (mut transaction, mut body) = begun(RequestBody::Empty);
        deliver(&mut transaction, b"hello");
        let mut read = |buffer: &mut [u8]| {
            now(poll_fn(|cx| Pin::new(&mut body).poll_read(cx, buffer))).unwrap()
        };
        let mut buffer = [0; 3];
        assert_eq!((read(&mut buffer), &buffer), (3, b"hel"));
        assert_eq!((read(&mut buffer), &buffer[..2]), (2, &b"lo"[..]));
        assert!(matches!(transaction.close(Ok(())), Closed::Finished));
        assert_eq!(read(&mut buffer), 0);
    }

    #[test]
    fn a_response_body_is_an_http_body_with_trailers() {
        let (mut transaction, mut body) = begun(RequestBody::Empty);
        deliver(&mut transaction, b"hello");
        let mut trailers = HeaderMap::new();
        trailers.insert("checksum", HeaderValue::from_static("1"));
        transaction.set_trailers(trailers.clone());
        let mut frame = || now(poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)));
        assert_eq!(frame().unwrap().unwrap().into_data().unwrap(), "hello");
        assert!(matches!(transaction.close(Ok(())), Closed::Finished));
        assert_eq!(frame().unwrap().unwrap().into_trailers().unwrap(), trailers);
        assert!(frame().is_none());
    }

    #[test]
    fn a_writer_is_an_async_writer_whose_close_is_the_end() {
        let (mut writer, body) = RequestBody::pipe(None);
        let (mut transaction, _response) = begun(body);
        let mut write =
            |bytes: &[u8]| now(poll_fn(|cx| Pin::new(&mut writer).poll_write(cx, bytes))).unwrap();
        assert_eq!(write(b"abc"), 3);
        let mut sent = Vec::new();
        let mut read = |transaction: &mut HttpTransaction| {
            transaction.read_segments(|bytes| {
                sent.extend_from_slice(bytes);
                Ok(bytes.len())
            })
        };
        assert_eq!(read(&mut transaction), Ok(Sending::Wait));
        now(poll_fn(|cx| Pin::new(&mut writer).poll_close(cx))).unwrap();
        assert_eq!(read(&mut transaction), Ok(Sending::End));
        drop(writer);
        assert_eq!(read(&mut transaction), Ok(Sending::End), "dropping it changes nothing");
        assert_eq!(sent, b"abc");
        transaction.fail(NetError::Aborted);
    }
}
