//! A request of a random program, and what it may come to.

use http::Method;
use transaction::BodyWriter;

use super::{
    program::Kind,
    step::{Path, What},
    troubles::{Own, Troubles},
};
use crate::{loopback::pattern, simulated::Fetch};

/// A request under way, or ended.
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) host: usize,
    pub(super) path: String,
    /// None once the program has dropped it.
    pub(super) fetch: Option<Fetch>,
    pub(super) writer: Option<Writer>,
    /// Whether the program reads what comes.
    pub(super) reading: bool,
    pub(super) own: Own,
    /// Status and length of a response that is complete; none if it never is.
    pub(super) complete: Option<(u16, u64)>,
    /// Bytes of its body, where all of them were written.
    pub(super) sent: Option<u64>,
}

/// The writing half of an upload.
pub(super) struct Writer {
    pub(super) body: BodyWriter,
    pub(super) written: u64,
    pub(super) length: u64,
    pub(super) announced: bool,
}

impl Path {
    /// The path of the request with this number: no other request has it.
    pub(super) fn of(self, number: usize) -> String {
        match self {
            Self::Bytes(length) => format!("/{length}/{number}"),
            Self::Drip { length, piece, pause } => {
                format!("/drip/{length}/{piece}/{pause}/{number}")
            }
            Self::ResetAfter(length) => format!("/reset_after/{length}/{number}"),
            Self::Post(_) => format!("/upload/{number}"),
            Self::Silent => format!("/silent/{number}"),
            Self::Named(name) => format!("/{name}/{number}"),
        }
    }
}

/// What the server's answer is when nothing goes wrong, and what of it is wrong by nature.
pub(super) fn promise(kind: Kind, what: &What, stranger: bool) -> (Option<(u16, u64)>, Own) {
    let is_head = what.method == Method::HEAD;
    let mut own = Own { stranger, ..Own::default() };
    let complete = match (what.path, kind) {
        (Path::Silent, _) => None,
        (Path::Post(_), _) => Some((200, 0)),
        (Path::Bytes(length), _) => Some((200, length)),
        (_, Kind::Raw) => Some((404, 0)),
        (Path::Drip { length, .. }, _) => Some((200, length)),
        (Path::ResetAfter(_), _) => {
            own.cut = true;
            None
        }
        (Path::Named(name), _) => match name {
            "no_body" => Some((200, 0)),
            "no_content" => Some((204, 0)),
            "no_content_length" => Some((200, 4000)),
            "103_response" | "EarlyResponse" => Some((200, 1000)),
            "missing" => Some((404, 9)),
            "content_length_smaller" => {
                own.too_long = !is_head;
                is_head.then_some((200, 0))
            }
            "content_length_larger" => {
                own.cut = !is_head;
                is_head.then_some((200, 0))
            }
            code => {
                own.reset = match code {
                    "RequestCancelled" => Some(0x10c),
                    "RequestRejected" => Some(0x10b),
                    _ => Some(0x110),
                };
                None
            }
        },
    };
    let complete = complete.filter(|_| !stranger);
    (complete.map(|(status, length)| (status, if is_head { 0 } else { length })), own)
}

impl Request {
    pub(super) fn is_done(&self) -> bool {
        self.fetch.as_ref().is_none_or(Fetch::is_done)
    }

    /// A response that the program holds and has not read to its end.
    pub(super) fn holds_a_response(&self) -> bool {
        !self.is_done()
    }

    /// Drops a response that is not complete.
    pub(super) fn give_up(&mut self) {
        if !self.is_done() {
            self.fetch = None;
        }
    }

    pub(super) fn poll(&mut self) {
        if let Some(fetch) = &mut self.fetch
            && self.reading
        {
            fetch.poll();
        }
    }

    /// Writes so many bytes of the pattern, or fewer.
    pub(super) fn feed(&mut self, bytes: u64) {
        let Some(writer) = &mut self.writer else { return };
        let until = writer.length.min(writer.written.saturating_add(bytes));
        while writer.written < until {
            let piece = pattern::piece(writer.written, until - writer.written);
            match writer.body.try_send(&mut piece.into()) {
                // Full, or nobody wants more.
                Ok(0) | Err(_) => return,
                Ok(taken) => writer.written += taken as u64,
            }
        }
    }

    /// Ends the body here. One that was announced longer is given up so.
    pub(super) fn finish_body(&mut self) {
        if let Some(writer) = self.writer.take() {
            self.own.given_up |= writer.announced && writer.written < writer.length;
            self.sent = Some(writer.written);
            writer.body.finish();
        }
    }

    pub(super) fn drop_writer(&mut self) {
        if self.writer.take().is_some() {
            self.own.given_up = true;
            self.sent = None;
        }
    }

    /// Its end is one that can be explained.
    pub(super) fn check_end(&self, troubles: &Troubles) {
        let Some(fetch) = self.fetch.as_ref().filter(|fetch| fetch.is_done()) else { return };
        let path = &self.path;
        match fetch.result() {
            Ok(()) => {
                let Some((status, length)) = self.complete else {
                    panic!("{path} succeeded, which it can't");
                };
                assert_eq!((fetch.status(), fetch.received()), (status, length), "{path}");
                if path.starts_with("/upload") {
                    let received = fetch.header("x-data-received-length");
                    let received = received.and_then(|text| text.parse::<u64>().ok());
                    // A server that wants no more answers what it has, also before all is written.
                    let part = troubles.stops && self.sent.is_none_or(|sent| received < Some(sent));
                    assert!(received == self.sent || part, "{path}: {received:?} {:?}", self.sent);
                }
            }
            Err(error) => {
                let explained = troubles.explain(error, self.own, fetch.received());
                assert!(
                    explained,
                    "{path}: nothing explains {error:?}; {troubles:?} {:?}",
                    self.own
                );
            }
        }
    }
}
