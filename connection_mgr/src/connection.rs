//! What the manager knows of a connection, whatever it speaks. Necko's class is `HttpConnectionBase`.

use std::{net::SocketAddr, time::Duration};

use http3_session::{ResumptionToken, StreamKey, VerificationError, VerificationRequest};
use socket_transport::Context;
use transaction::{ConnectTimings, ConnectionInfo, HttpTransaction, NetError, Restarts};

use crate::{
    ech::DialEch,
    handle::ConnectionHandle,
    snapshot::ConnectionSnapshot,
    target::{ConnectionKey, Event, Target},
};

/// The context of the manager's socket service.
pub type Ctx<'a> = Context<'a, Target, Event>;

/// A connection in the manager's table. There are two kinds:
///
/// | | carries | when its last handle is gone |
/// |---|---|---|
/// | HTTP/3 | many requests at once, under one handle that its session keeps | it is removed |
/// | HTTP/1.1 | one request at a time, each under a handle of its own | it may be used again |
///
/// Socket thread. Every method is called by the manager alone, and none calls the manager: what it has to
/// do afterwards is told by [`aftermath`](Self::aftermath).
pub trait HttpConnection {
    /// Takes a handle into keeping. Dropping it is how the connection says that nobody uses it any more.
    fn hold(&mut self, handle: ConnectionHandle);

    /// Whether it keeps a handle.
    fn holds_handle(&self) -> bool;

    /// Whether a transaction can be activated on it now (necko's `CanDirectlyActivate`).
    fn can_activate(&self) -> bool;

    /// Takes a transaction over. Also before it is connected, when it is made for this transaction.
    ///
    /// # Errors
    /// The transaction, when it takes none.
    fn activate(
        &mut self,
        ctx: &Ctx<'_>,
        transaction: Box<HttpTransaction>,
    ) -> Result<(), Box<HttpTransaction>>;

    /// Its socket is readable, or writable again.
    fn on_packet_received(&mut self, ctx: &mut Ctx<'_>);

    /// Its timer ran out.
    fn on_timer(&mut self, ctx: &mut Ctx<'_>);

    /// It posted that it wants to read.
    fn recv_data(&mut self, ctx: &mut Ctx<'_>);

    /// It posted that it wants to send.
    fn send_data(&mut self, ctx: &mut Ctx<'_>);

    /// Its socket is gone: no farewell is possible.
    fn on_stop_listening(&mut self, ctx: &mut Ctx<'_>, error: NetError);

    /// The application wishes something of a request on it.
    fn stream_wishes(&mut self, stream: StreamKey);

    /// The verdict on the server's certificate.
    fn authenticated(&mut self, verdict: Result<(), VerificationError>);

    /// Takes no new requests, and closes when the last one is done.
    fn dont_reuse(&mut self);

    /// Ends what runs on it with `error`, and begins to close.
    fn close_transaction(&mut self, ctx: &mut Ctx<'_>, error: NetError);

    /// As [`close_transaction`](Self::close_transaction), and lets go of everything in this call.
    fn shutdown(&mut self, ctx: &mut Ctx<'_>, error: NetError);

    /// Lets go of timer and socket. Idempotent.
    fn close(&mut self, ctx: &mut Ctx<'_>);

    /// What the manager has to do now; asked after everything that may have changed the connection.
    fn aftermath(&mut self) -> Aftermath;

    /// Whether it goes to the idle list (true) or is removed (false), now that its last handle is gone.
    fn may_be_used_again(&self) -> bool;

    /// Whether no request is on it.
    fn is_unused(&self) -> bool;

    /// Whether its handshake is not done yet, so that nothing of a request has left.
    fn is_connecting(&self) -> bool {
        false
    }

    /// Where it goes.
    fn peer(&self) -> SocketAddr;

    /// The server's certificates, its own first, if another host's requests might join this connection.
    fn certificates(&self) -> Vec<Vec<u8>> {
        Vec::new()
    }

    /// Bytes of responses that came over it. Among idle connections the one with the most, whose congestion
    /// window is likely the largest, is used first.
    fn bytes_read(&self) -> u64 {
        0
    }

    /// What is alive of it.
    fn snapshot(&self) -> ConnectionSnapshot;
}

/// What the manager has to do after a connection was driven.
#[derive(Debug, Default)]
#[must_use]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct Aftermath {
    /// Nobody has answered yet, but it takes requests: as early data, or to wait in it.
    pub early: bool,
    /// The handshake was completed in this turn.
    pub connected: bool,
    /// It takes no more requests.
    pub draining: bool,
    /// It failed before it was connected, with this.
    pub failed_to_connect: Option<NetError>,
    /// Nothing is left of it. If no handle's reclaim is on its way to say so, because it ended while it was idle,
    /// it is removed now.
    pub ended: bool,
    /// Transactions that are to be dispatched again.
    pub restarts: Restarts,
    /// A certificate to be verified.
    pub verification: Option<VerificationRequest>,
    /// What later connections to this server can begin with.
    pub tokens: Vec<ResumptionToken>,
}

impl Aftermath {
    /// Whether there is nothing to do.
    pub(crate) fn is_nothing(&self) -> bool {
        let Self { early, connected, draining, failed_to_connect, .. } = self;
        let Self { ended, restarts, verification, tokens, .. } = self;
        !(*early || *connected || *draining || *ended)
            && failed_to_connect.is_none()
            && restarts.is_empty()
            && verification.is_none()
            && tokens.is_empty()
    }
}

/// What a connection is made for.
#[derive(Debug)]
pub struct Dial<'a> {
    /// Its key in the manager's table, for sockets, timers and wakers.
    pub key: ConnectionKey,
    /// Whom it must reach.
    pub info: &'a ConnectionInfo,
    /// At which address.
    pub peer: SocketAddr,
    /// How long it may take until it is connected.
    pub connect_timeout: Duration,
    /// What an earlier connection left to begin with.
    pub resumption_token: Option<ResumptionToken>,
    /// It is made for a request that failed before: nothing new is tried.
    pub is_retry: bool,
    /// What came before: the look-up of the name. The connection adds the rest.
    pub timings: ConnectTimings,
    /// What its hello says about ECH.
    pub ech: &'a DialEch,
}

/// Makes connections of one kind.
pub trait HttpConnectionFactory {
    /// Makes one, which is not connected yet.
    ///
    /// # Errors
    /// It can't be made. Nothing is left behind.
    fn connect(
        &self,
        ctx: &mut Ctx<'_>,
        dial: &Dial<'_>,
    ) -> Result<Box<dyn HttpConnection>, NetError>;
}
