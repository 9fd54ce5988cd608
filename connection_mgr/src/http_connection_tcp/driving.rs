//! Bytes between the socket, TLS and HTTP.
//!
//! ```text
//!   socket ──read──► sealed ──► TLS ──► plain ──► Http1Session ──► pipe of the response
//!   socket ◄─write─────────────  TLS ◄──────────  Http1Session ◄── head and body of the request
//! ```
//!
//! Each step takes what the next one has room for, so a consumer that doesn't read holds the server back by
//! TCP's window. `sealed` and `plain` hold one piece at most.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
};

use bytes::Buf as _;
use http1_session::{PlainRead, TlsState};
use socket_transport::{
    StreamIo, StreamRead,
    walk::{Step, step},
};
use transaction::{NetError, VerificationRequest};

use super::{HttpConnectionTcp, TcpState};
use crate::connection::{Ctx, HttpConnection as _};

/// What is read at once.
const PIECE: usize = 16 * 1024;

/// A failure to connect, in the manager's terms.
pub(super) fn connect_error(
    peer: SocketAddr,
    operation: &'static str,
    error: &io::Error,
) -> NetError {
    match error.kind() {
        ErrorKind::ConnectionRefused => NetError::ConnectionRefused { peer },
        ErrorKind::TimedOut => NetError::NetTimeout(transaction::TimeoutPhase::Connect),
        kind => NetError::Socket { operation, kind },
    }
}

/// A failure of a connection that was there.
fn stream_error(operation: &'static str, error: &io::Error) -> NetError {
    match error.kind() {
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            NetError::NetReset { reason: "the server reset the TCP connection".into() }
        }
        ErrorKind::TimedOut => NetError::NetTimeout(transaction::TimeoutPhase::Idle),
        kind => NetError::Socket { operation, kind },
    }
}

impl HttpConnectionTcp {
    /// Moves whatever can be moved, and finds out what came of it.
    pub(super) fn drive(&mut self, ctx: &mut Ctx<'_>) {
        if self.closed {
            return;
        }
        step(Step::RecvData);
        if self.state != TcpState::Closed
            && let Err(error) = self.drive_once(ctx)
        {
            self.fail(error);
        }
        if let Some(read) = self.session.take_body_read() {
            ctx.workers().run(Box::new(move || read.run()));
        }
        self.take_finished();
        self.arm_timer(ctx);
    }

    fn drive_once(&mut self, ctx: &mut Ctx<'_>) -> Result<(), NetError> {
        if self.state == TcpState::Connecting && !self.poll_connect(ctx)? {
            return Ok(());
        }
        self.receive(ctx)?;
        let Err(error) = self.send(ctx) else { return Ok(()) };
        // A server that answers before it has the whole request, and lets go, makes writing fail. Its answer
        // may be there still, and is worth more; also when it is the consumer that can't have it yet.
        if self.receive(ctx)? { Err(error) } else { Ok(()) }
    }

    fn poll_connect(&mut self, ctx: &mut Ctx<'_>) -> Result<bool, NetError> {
        let peer = self.peer;
        let Some(mut io) = ctx.stream_io(self.socket) else { return Ok(false) };
        let connected =
            io.connect_result().map_err(|error| connect_error(peer, "connecting", &error))?;
        if connected {
            self.local = Some(io.local_addr());
            self.state = TcpState::Handshaking;
            self.timings.secure_connection_start = Some(ctx.now());
        }
        Ok(connected)
    }

    /// Reads until nothing is left, the turn's budget is used, or nobody has room for more. Answers whether
    /// nothing is left.
    fn receive(&mut self, ctx: &mut Ctx<'_>) -> Result<bool, NetError> {
        let mut piece = [0; PIECE];
        loop {
            self.unseal(ctx)?;
            // Whoever has no room for more makes the server wait.
            if !self.sealed.is_empty() || !self.plain.is_empty() || self.state == TcpState::Closed {
                return Ok(false);
            }
            let Some(mut io) = ctx.stream_io(self.socket) else { return Ok(true) };
            match read(&mut io, &mut piece)? {
                StreamRead::Bytes(count) => {
                    self.sealed.extend_from_slice(piece.get(..count).unwrap_or_default());
                }
                StreamRead::Blocked => return Ok(!io.budget_exhausted()),
                StreamRead::End => {
                    self.tls.read_tls_end();
                    self.unseal(ctx)?;
                    return self.ended_by_the_server().map(|()| true);
                }
            }
        }
    }

    /// What was read goes through TLS to the session.
    fn unseal(&mut self, ctx: &mut Ctx<'_>) -> Result<(), NetError> {
        loop {
            // Also when nothing was read: a verdict is a step of TLS as well, and perhaps the last thing that
            // happens until a request leaves.
            self.follow_tls(ctx);
            self.hand_over(ctx)?;
            if self.sealed.is_empty() || !self.plain.is_empty() {
                return Ok(());
            }
            let taken = self.tls.read_tls(&self.sealed)?;
            self.sealed.advance(taken.min(self.sealed.len()));
            if taken == 0 {
                // It waits for the verdict.
                return Ok(());
            }
        }
    }

    /// Takes the step that TLS has made, if it has.
    fn follow_tls(&mut self, ctx: &mut Ctx<'_>) {
        match (self.state, self.tls.state()) {
            (TcpState::Handshaking, TlsState::AuthenticationNeeded) => {
                self.state = TcpState::Verifying;
                let (host, chain) = (self.info.host().to_owned(), self.tls.peer_certificates());
                self.report.verification = Some(VerificationRequest { host, chain });
            }
            (TcpState::Handshaking | TcpState::Verifying, TlsState::Connected) => {
                self.connected(ctx);
            }
            _ => {}
        }
    }

    /// Decrypted bytes go to the session, as long as it takes them.
    fn hand_over(&mut self, ctx: &Ctx<'_>) -> Result<(), NetError> {
        if self.state != TcpState::Ready {
            return Ok(());
        }
        let mut piece = [0; PIECE];
        loop {
            if !self.plain.is_empty() {
                let taken = self.session.receive(&self.plain, ctx.now());
                self.plain.advance(taken.min(self.plain.len()));
                self.take_finished();
                if !self.plain.is_empty() || self.state != TcpState::Ready {
                    return Ok(());
                }
            }
            match self.tls.read_plain(&mut piece)? {
                PlainRead::Bytes(count) => {
                    if self.is_unused() {
                        // Nobody asked for anything.
                        self.become_closed();
                        return Ok(());
                    }
                    self.plain.extend_from_slice(piece.get(..count).unwrap_or_default());
                }
                PlainRead::Blocked => return Ok(()),
                PlainRead::End => {
                    self.session.receive_end(true, ctx.now());
                    return self.ended_by_the_server();
                }
                PlainRead::Truncated => {
                    self.session.receive_end(false, ctx.now());
                    return self.ended_by_the_server();
                }
            }
        }
    }

    /// Nothing more comes. An exchange that is not over now will never be.
    fn ended_by_the_server(&mut self) -> Result<(), NetError> {
        self.take_finished();
        if self.state < TcpState::Ready || !self.is_unused() {
            let reason = "the server closed the connection".into();
            return Err(NetError::NetReset { reason });
        }
        if self.state == TcpState::Ready {
            self.become_closed();
        }
        Ok(())
    }

    /// TLS's own words, head and body go through TLS to the socket.
    fn send(&mut self, ctx: &mut Ctx<'_>) -> Result<(), NetError> {
        let now = ctx.now();
        self.flush(ctx)?;
        while self.state == TcpState::Ready && self.session.wants_send() {
            let tls = &mut self.tls;
            let mut sealed = 0;
            self.session.send(now, &mut |bytes| {
                let taken = tls.write_plain(bytes);
                sealed += taken;
                taken
            });
            self.flush(ctx)?;
            // No room, or nothing there.
            if sealed == 0 || self.tls.wants_write() {
                break;
            }
        }
        Ok(())
    }

    fn flush(&mut self, ctx: &mut Ctx<'_>) -> Result<(), NetError> {
        if self.state == TcpState::Connecting || !self.tls.wants_write() {
            return Ok(());
        }
        let Some(mut io) = ctx.stream_io(self.socket) else { return Ok(()) };
        self.tls
            .write_tls(&mut |bytes| io.write(bytes))
            .map_err(|error| stream_error("sending to the network", &error))
    }

    /// TLS's farewell, as far as there is room for it.
    pub(super) fn flush_last_words(&mut self, ctx: &mut Ctx<'_>) {
        if self.timings.secure_connection_start.is_none() {
            return;
        }
        self.tls.close_notify();
        let Some(mut io) = ctx.stream_io(self.socket) else { return };
        if let Err(error) = self.tls.write_tls(&mut |bytes| io.write(bytes)) {
            log::debug!(target: "necko::connection", "{}: no farewell: {error}", self.peer);
        }
    }

    /// What the application wishes of the request that runs.
    pub(super) fn hear_wishes(&mut self) {
        let first = self.first.as_deref_mut();
        let Some(transaction) = first.or_else(|| self.session.transaction_mut()) else { return };
        let wishes = transaction.take_wishes();
        if wishes.send {
            self.session.resume_body();
        }
        if !wishes.cancel {
            return;
        }
        step(Step::CloseStream);
        if let Some(first) = self.first.take() {
            first.fail(NetError::Aborted);
            self.handle = None;
        } else {
            self.session.abort(NetError::Aborted);
        }
    }
}

fn read(io: &mut StreamIo<'_>, piece: &mut [u8]) -> Result<StreamRead, NetError> {
    io.read(piece).map_err(|error| stream_error("receiving from the network", &error))
}
