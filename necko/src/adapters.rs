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
