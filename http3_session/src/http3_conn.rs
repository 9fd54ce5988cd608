//! The engine as the session sees it.
//!
//! [`Http3Conn`] is one client connection of some QUIC and HTTP/3 implementation, without sockets and
//! without a clock. `neqo_glue::NeqoHttp3Conn` implements it on Mozilla's neqo; [`crate::scripted`] plays
//! any order of events into a session in tests; another engine would be one more crate.
//!
//! Its methods are of four kinds:
//!
//! * **input**: [`process_input`](Http3Conn::process_input), and time itself through the `now` arguments;
//! * **output**: [`process_output`](Http3Conn::process_output), to be called after anything else until it
//!   no longer answers [`EngineOutput::BatchFull`];
//! * **events**: [`next_event`](Http3Conn::next_event), to be drained after input and output;
//! * **commands**: everything else. A command only changes the engine's state: what it puts on the wire
//!   leaves with the next output.
//!
//! Necko's class is `NeqoHttp3Conn`, its functions those of `neqo_glue/src/lib.rs`.

use std::{
    net::SocketAddr,
    path::PathBuf,
    time::{Duration, Instant},
};

use crate::{
    ssl_tokens_cache::ResumptionToken,
    web_transport_conn::{WebTransportConn, WebTransportEvent},
};
use http::{HeaderMap, StatusCode};
use socket_transport::{ReceivedDatagrams, SendBatch};
use streams::StreamId;
use transaction::{CertificateProblem, Ech, ErrorCode, NetError, Priority, RequestHead};

/// What an engine answers to [`Http3Conn::process_output`].
///
/// In each case the batch may hold datagrams that have to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineOutput {
    /// The batch takes no more; there may be more output. Send and call again.
    BatchFull,
    /// Nothing more for now; call again after this long even if nothing happens (never zero).
    Callback(Duration),
    /// Nothing more, and no timer: the connection has ended.
    None,
}

/// What the engine reports. The session handles them in order.
#[derive(Debug, Clone)]
pub enum Http3Event {
    /// A response head, or an interim one (1xx). With `fin` there is no body.
    HeaderReady {
        /// The request's stream.
        stream: StreamId,
        /// `:status`.
        status: StatusCode,
        /// The fields, checked.
        headers: HeaderMap,
        /// Whether the response ends here.
        fin: bool,
    },
    /// A response head that breaks RFC 9114 §4.3; the stream is to be reset.
    MalformedHead {
        /// The request's stream.
        stream: StreamId,
        /// What was wrong with it.
        what: String,
    },
    /// The fields behind a response body, checked; the stream's end follows.
    Trailers(StreamId, HeaderMap),
    /// There is something to read, or the stream's end.
    DataReadable(StreamId),
    /// The stream takes body bytes again, more than one or two. A hint: it may come twice, and for nothing.
    DataWritable(StreamId),
    /// The peer gave up its response.
    Reset(StreamId, ErrorCode),
    /// The peer wants no more of the request body.
    StopSending(StreamId, ErrorCode),
    /// The peer allows more streams.
    RequestsCreatable,
    /// The handshake waits for [`Http3Conn::authenticated`].
    AuthenticationNeeded,
    /// The peer could not decrypt the hello. The handshake waits for [`Http3Conn::authenticated`], whether the
    /// peer is `public_name`; whatever the answer, it fails then.
    EchFallbackAuthenticationNeeded {
        /// Who the peer must prove to be.
        public_name: String,
    },
    /// The peer will take no new requests. Streams that it will not serve were reset with
    /// [`ErrorCode::REQUEST_REJECTED`] before this event.
    GoawayReceived,
    /// The server refused the early data: streams and their ids are void, and the engine takes no request before
    /// [`Connected`](Self::Connected).
    ZeroRttRejected,
    /// What a later connection to this server can begin with.
    ResumptionToken(ResumptionToken),
    /// The handshake is complete. What was sent as early data is accepted, unless
    /// [`ZeroRttRejected`](Self::ZeroRttRejected) came before.
    Connected,
    /// The connection is closing; `CONNECTION_CLOSE` may have to be sent again for a while.
    Closing(CloseReason),
    /// The connection has ended. Nothing more comes.
    Closed(CloseReason),
    /// Something of WebTransport.
    WebTransport(WebTransportEvent),
}

/// Why a connection ended, in the terms of RFC 9000 §10.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseReason {
    /// One side closed with `H3_NO_ERROR` or `NO_ERROR`.
    NoError {
        /// Whether it was the peer.
        by_peer: bool,
    },
    /// The idle timeout ran out; before the handshake it means that nobody answered.
    IdleTimeout,
    /// The peer lost its state of this connection (RFC 9000 §10.3).
    StatelessReset,
    /// An HTTP/3 or QPACK error.
    Application {
        /// The code.
        code: ErrorCode,
        /// Whether the peer closed.
        by_peer: bool,
        /// The reason phrase, if the engine tells it.
        reason: String,
    },
    /// A QUIC transport error.
    Transport {
        /// The engine's name of it.
        name: String,
        /// Whether the peer closed.
        by_peer: bool,
    },
    /// The peer could not decrypt the hello, and proved to be the public name if
    /// [`Http3Event::EchFallbackAuthenticationNeeded`] was answered with yes.
    EchRetry {
        /// The configurations to be used instead; empty if none.
        config: Vec<u8>,
    },
    /// A TLS alert.
    TlsAlert {
        /// Its number.
        alert: u8,
        /// Whether the peer sent it.
        by_peer: bool,
    },
}

/// Why a request got no stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchError {
    /// The peer's limit of streams is reached; [`Http3Event::RequestsCreatable`] will come.
    StreamLimit,
    /// The handshake isn't far enough; [`Http3Event::Connected`] will come.
    NotConnected,
    /// The connection takes no more requests.
    Closing,
    /// The engine doesn't take this request.
    Rejected(String),
}

/// A stream isn't there (any more): its reset or its connection's end is among the events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamGone;

/// The answer to [`Http3Event::AuthenticationNeeded`] and to [`Http3Event::EchFallbackAuthenticationNeeded`].
pub type CertificateVerdict = Result<(), CertificateProblem>;

/// One client connection of a QUIC and HTTP/3 engine.
///
/// Lives on the socket thread. Time is an argument and never runs backwards. No method panics, whatever
/// the peer sent and in whatever state the connection is.
pub trait Http3Conn: WebTransportConn {
    /// Takes received datagrams. Events follow.
    fn process_input(&mut self, received: &mut ReceivedDatagrams<'_>, now: Instant);

    /// Writes datagrams into `batch`, which holds one run for one send.
    fn process_output(&mut self, batch: &mut SendBatch, now: Instant) -> EngineOutput;

    /// The next event, or `None` when all are taken.
    fn next_event(&mut self) -> Option<Http3Event>;

    /// Opens a stream and sends the head. The sending side stays open for a body: even without one it
    /// must be closed by [`close_send`](Self::close_send).
    fn fetch(&mut self, head: &RequestHead, now: Instant) -> Result<StreamId, FetchError>;

    /// Gives body bytes to a stream; answers how many it took. Less than all means that it is blocked
    /// and that [`Http3Event::DataWritable`] will come.
    fn send_data(&mut self, stream: StreamId, data: &[u8]) -> Result<usize, StreamGone>;

    /// Ends the request: the peer sees its end after the last byte.
    fn close_send(&mut self, stream: StreamId) -> Result<(), StreamGone>;

    /// Reads response bytes; the flag says that these were the last. `(0, false)` means that nothing is
    /// there now and that [`Http3Event::DataReadable`] will come. Not reading holds the sender back.
    fn read_data(
        &mut self,
        stream: StreamId,
        buffer: &mut [u8],
        now: Instant,
    ) -> Result<(usize, bool), StreamGone>;

    /// Gives a stream the window of [`Http3Settings::max_stream_data`]: its consumer keeps up. Unknown: no-op.
    fn widen_window(&mut self, stream: StreamId);

    /// Gives a stream up in both directions (`RESET_STREAM` and `STOP_SENDING`). Unknown: no-op.
    fn cancel_fetch(&mut self, stream: StreamId, code: ErrorCode);

    /// Tells the peer a new priority (`PRIORITY_UPDATE`, RFC 9218). Unknown: no-op.
    fn priority_update(&mut self, stream: StreamId, priority: Priority);

    /// Sends something that the peer has to acknowledge, for a stream of this priority whose response waits
    /// for its consumer. An engine keeps a connection alive by itself while a response is on its way, but
    /// not while one that has arrived is being read: without this, silence would end the connection, and
    /// with it what was not read. Unknown: no-op.
    fn keep_alive(&mut self, stream: StreamId, priority: Priority);

    /// Whether requests can be sent although the handshake isn't complete: the connection was made with a
    /// token that allows it, and the server has not refused yet.
    fn is_zero_rtt(&self) -> bool;

    /// A token for a later connection that has not become an event yet: engines may wait for more to put into
    /// it. To be asked before the connection is closed.
    fn take_resumption_token(&mut self, now: Instant) -> Option<ResumptionToken>;

    /// The peer's certificates in DER, its own first. On a resumed connection perhaps its own alone, as it was
    /// when the token was given.
    fn peer_certificates(&self) -> Vec<Vec<u8>>;

    /// Ends the wait of [`Http3Event::AuthenticationNeeded`] or
    /// [`Http3Event::EchFallbackAuthenticationNeeded`]; a no-op when nothing waits.
    fn authenticated(&mut self, verdict: CertificateVerdict, now: Instant);

    /// Begins to close: `CONNECTION_CLOSE` leaves with the next output. A no-op when closing already.
    fn close(&mut self, code: ErrorCode, reason: &str, now: Instant);

    /// How many of the peer's packets were taken as such so far: others were garbage, or had come before. Asked
    /// for when somebody is suspected, not for every packet.
    fn packets_accepted(&self) -> u64;

    /// Figures for `-v` and snapshots. Not for every packet.
    fn stats(&self) -> ConnStats;
}

/// What an engine counts about a connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnStats {
    /// QUIC packets received.
    pub packets_received: u64,
    /// QUIC packets sent.
    pub packets_sent: u64,
    /// Packets thought lost.
    pub packets_lost: u64,
    /// Smoothed round-trip time.
    pub round_trip_time: Duration,
    /// The TLS key exchange, by name; empty before the handshake.
    pub key_exchange: String,
    /// The TLS cipher suite, by name; empty before the handshake.
    pub cipher: String,
    /// The handshake went on from an earlier connection's: no certificate was asked for.
    pub resumed: bool,
    /// Whether the server took the encrypted hello.
    pub ech_accepted: bool,
}

/// What an engine is told to connect to, and how.
#[derive(Debug, Clone)]
pub struct ConnectParameters {
    /// Server name for TLS.
    pub host: String,
    /// Where our packets come from: the local address of the socket.
    pub local: SocketAddr,
    /// Where they go.
    pub remote: SocketAddr,
    /// What an earlier connection to this server left to begin with. Each can be used once.
    pub resumption_token: Option<ResumptionToken>,
    /// It is made for a request that failed before: nothing new is tried, such as ML-KEM (necko's `IS_RETRY`).
    pub is_retry: bool,
    /// What the hello says about ECH.
    pub ech: Ech,
    /// Offer WebTransport, and datagrams with it.
    pub web_transport: bool,
    /// Knobs.
    pub settings: Http3Settings,
}

/// The engine's knobs, with necko's defaults where nothing else is said.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches")]
pub struct Http3Settings {
    /// The connection ends after this much silence.
    pub idle_timeout: Duration,
    /// Receive window of a connection, bytes: what all its consumers together can leave unread. (Necko:
    /// 24 MiB.)
    pub max_data: u64,
    /// The window with which a stream's begins, bytes. Small, so that a hundred consumers that don't read
    /// leave room in the connection's window for one that does. (Necko has the next one from the start, so
    /// that two consumers can stop all others.)
    pub initial_max_stream_data: u64,
    /// Receive window of a stream whose consumer keeps up, bytes. (Necko: 12 MiB. neqo's own tuning goes to 10
    /// and takes back what is above, for which its arithmetic isn't made.)
    pub max_stream_data: u64,
    /// Offer the post-quantum key exchange ML-KEM beside X25519.
    pub ml_kem: bool,
    /// Go on from earlier connections: keep the tokens that servers give out, and begin with them.
    pub resumption: bool,
    /// Send safe requests before the handshake is complete, where a token allows it.
    pub early_data: bool,
    /// Send something random in place of ECH where no configuration is known (GREASE).
    pub ech_grease: bool,
    /// Where to write a qlog file per connection.
    pub qlog_dir: Option<PathBuf>,
    /// Search for a larger datagram size than 1,280 bytes, up to this many.
    pub max_datagram_size: Option<u16>,
}

impl Default for Http3Settings {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(30),
            max_data: 32 * 1024 * 1024,
            initial_max_stream_data: 256 * 1024,
            max_stream_data: 10 * 1024 * 1024,
            ml_kem: true,
            resumption: true,
            early_data: true,
            ech_grease: true,
            qlog_dir: None,
            max_datagram_size: None,
        }
    }
}

/// Makes engines; the front door plugs one in.
pub trait Http3ConnFactory {
    /// Makes a client connection, whose first datagrams come with the first output.
    fn connect(
        &self,
        parameters: &ConnectParameters,
        now: Instant,
    ) -> Result<Box<dyn Http3Conn>, NetError>;
}
