//! Heads as HTTP/1.1 would write them, the way curl shows them, and where they go: `-v`, `-i` and `-D`.

use std::{
    fs::File,
    io::{self, Write as _},
    os::fd::AsFd as _,
    path::Path,
};

use http::{HeaderMap, StatusCode, Version};
use necko::{Redirect, RequestHead, Response};
use parking_lot::Mutex;

use super::report::{Failure, version_name, write_failure};

/// A response's head, with the empty line that ends it.
pub(crate) fn response_head(version: Version, status: StatusCode, fields: &HeaderMap) -> Vec<u8> {
    let mut text = Vec::new();
    // Writing to memory can't fail.
    let _ = write!(text, "{} {} \r\n", version_name(version), status.as_u16());
    for (name, value) in fields {
        let _ = write!(text, "{name}: ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
    text
}

pub(crate) fn of_response(response: &Response) -> Vec<u8> {
    response_head(response.version(), response.status(), response.headers())
}

pub(crate) fn of_redirect(redirect: &Redirect) -> Vec<u8> {
    response_head(redirect.version, redirect.status, &redirect.headers)
}

/// How long a request's head would be.
pub(crate) fn request_length(head: &RequestHead) -> u64 {
    let first = head.method().as_str().len() + head.path().len() + " HTTP/1.1\r\n ".len();
    let host = "Host: \r\n".len() + head.authority().len();
    let field = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        name.as_str().len() + value.len() + ": \r\n".len()
    };
    (first + host + head.headers().iter().map(field).sum::<usize>() + "\r\n".len()) as u64
}

/// `-D`: one file for the heads of all transfers, each written when it comes.
pub(crate) struct Dump {
    file: Mutex<File>,
    name: String,
}

impl Dump {
    /// Opens it. What is there is replaced.
    ///
    /// # Errors
    /// It can't be written.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let name = path.display().to_string();
        let file = if name == "-" {
            io::stdout().as_fd().try_clone_to_owned().map(File::from)
        } else {
            File::create(path)
        };
        let file =
            file.map_err(|error| write_failure(&format!("opening {name} failed"), &error))?;
        Ok(Self { file: Mutex::new(file), name })
    }

    /// Writes a head.
    ///
    /// # Errors
    /// It can't be written.
    pub(crate) fn write(&self, head: &[u8]) -> Result<(), Failure> {
        self.file
            .lock()
            .write_all(head)
            .map_err(|error| write_failure(&format!("writing to {} failed", self.name), &error))
    }
}
