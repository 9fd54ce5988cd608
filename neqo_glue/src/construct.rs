//! Making a connection: neqo's knobs as Firefox turns them.

use std::{cell::RefCell, io, net::SocketAddr, rc::Rc, time::Duration, time::Instant};

use http3_session::{ConnectParameters, Http3Conn, Http3ConnFactory, Http3Settings};
use neqo_common::MAX_VARINT;
use neqo_crypto::{
    TLS_GRP_EC_SECP256R1, TLS_GRP_EC_SECP384R1, TLS_GRP_EC_SECP521R1, TLS_GRP_EC_X25519,
    TLS_GRP_KEM_MLKEM768X25519,
};
use neqo_http3::{Http3Client, Http3Parameters};
use neqo_transport::{
    CongestionControlAlgorithm, Connection, ConnectionParameters, RandomConnectionIdGenerator,
    StreamType, Version,
};
use transaction::{Ech, NetError};

use crate::{NeqoHttp3Conn, input::PathKey, nss, output::Outlet, qlog, web_transport};

/// HTTP/3 over QUIC version 1.
const ALPN: &str = "h3";

/// Length of the connection ids that peers address us with.
const CONNECTION_ID_LEN: usize = 3;

/// QPACK's dynamic table for requests (`network.http.http3.default-qpack-table-size`).
const QPACK_TABLE: u64 = 65_536;

/// There is none for responses, as with quic-go and quiche (Firefox: the same as for requests, and 20 streams
/// that may wait for it). neqo decodes a head whole before anybody can measure it: with a table, a byte of
/// the head stands for as much as the table holds, and 100 KB for gigabytes. Without, for a field of the
/// static table.
const QPACK_RESPONSE_TABLE: u64 = 0;
const QPACK_BLOCKED_STREAMS: u16 = 0;

/// How many streams of each kind the peer may have open in WebTransport sessions.
const INCOMING_STREAMS: u64 = 100;

/// Makes [`NeqoHttp3Conn`]s.
#[derive(Debug, Clone, Copy, Default)]
pub struct NeqoHttp3ConnFactory;

impl Http3ConnFactory for NeqoHttp3ConnFactory {
    fn connect(
        &self,
        parameters: &ConnectParameters,
        now: Instant,
    ) -> Result<Box<dyn Http3Conn>, NetError> {
        Ok(Box::new(NeqoHttp3Conn::new(parameters, now)?))
    }
}

impl NeqoHttp3Conn {
    /// Makes a client connection.
    ///
    /// QUIC version 1 only, Cubic, pacing and ECN on, no push, random connection ids of three bytes. A
    /// resumption token is the last that it is told: that begins the handshake. Of the settings,
    ///
    /// * `ech_grease` is for whoever makes the parameters: here `ech` counts;
    /// * `ml_kem` puts X25519MLKEM768 first and adds key shares for X25519 and P-256, which makes a
    ///   `ClientHello` of two datagrams; without it, and for a retry, the shares are X25519 and P-256;
    /// * `max_data` isn't tuned at run time: it bounds what one round trip can bring;
    ///   neqo tunes a stream's window, from `initial_max_stream_data` on, but slowly: hence
    ///   `max_stream_data` for the streams whose consumers keep up;
    /// * `max_datagram_size` is the size of an IP packet, headers included. neqo tries its fixed steps
    ///   (1280, 1380, 1420, 1472 or 1470, 1500, 2047 and so on) and knows no upper limit; a step above
    ///   the setting is not sent, which costs neqo three lost probes every ten minutes. Less than 1,280
    ///   counts as 1,280;
    /// * `qlog_dir` gets a file `{host}_{original connection id}.sqlog`, written on this thread.
    ///
    /// # Errors
    /// NSS can't be started or configured, the host holds a NUL, or NSS can't use the ECH configuration.
    pub fn new(parameters: &ConnectParameters, now: Instant) -> Result<Self, NetError> {
        nss::init()?;
        let settings = &parameters.settings;
        let host = server_name(&parameters.host)?;
        let path = PathKey { local: parameters.local, remote: parameters.remote };
        let mut client = client(host, path, parameters, now)?;
        if let Some(token) = &parameters.resumption_token
            && let Err(error) = client.enable_resumption(now, token.bytes())
        {
            // A token of another version of neqo or NSS: the connection has failed of it, and begins anew.
            log::debug!("a token for {host} is of no use: {error}");
            client = self::client(host, path, parameters, now)?;
        }
        if let Some(dir) = &settings.qlog_dir {
            let id = client.connection_id().to_string();
            client.set_qlog(qlog::open(dir, host, &id, now));
        }
        let outlet = Outlet::new(settings.max_datagram_size);
        let window = settings.max_stream_data.min(MAX_VARINT);
        Ok(Self::from_client(client, path, outlet, window))
    }
}

/// A client that has done nothing yet. Whatever else the handshake is to be like has to be said before it gets a
/// token, which begins it.
fn client(
    host: &str,
    path: PathKey,
    parameters: &ConnectParameters,
    now: Instant,
) -> Result<Http3Client, NetError> {
    let ml_kem = parameters.settings.ml_kem && !parameters.is_retry;
    let mut knobs = connection_parameters(&parameters.settings);
    if parameters.web_transport {
        knobs = web_transport_parameters(knobs, &parameters.settings);
    }
    let connection = connection(host, path.local, path.remote, knobs.clone(), ml_kem, now)
        .map_err(|error| {
            log::error!("no connection to {host} could be made: {error}");
            let operation = "setting up TLS and QUIC";
            NetError::Socket { operation, kind: io::ErrorKind::Other }
        })?;
    let mut client = Http3Client::new_with_conn(
        connection,
        http3_parameters(knobs)
            .webtransport(parameters.web_transport)
            .http3_datagram(parameters.web_transport),
    );
    // The order counts (H13, neqo's issue 2442): ECH first, the resumption token after it.
    enable_ech(&mut client, host, &parameters.ech)?;
    Ok(client)
}

/// What the hello says about ECH.
fn enable_ech(client: &mut Http3Client, host: &str, ech: &Ech) -> Result<(), NetError> {
    let list = match ech {
        Ech::Off => return Ok(()),
        // That is what neqo takes an empty list for.
        Ech::Grease => &[],
        Ech::Config(list) => list.as_bytes(),
    };
    client.enable_ech(list).map_err(|error| {
        NetError::InvalidRequest(format!("the ECH configuration of {host} can't be used: {error}"))
    })
}

/// The host as TLS's server name: without brackets, without the root's dot (RFC 6066 §3). NSS itself
/// leaves the extension out for an address.
fn server_name(host: &str) -> Result<&str, NetError> {
    if host.contains('\0') {
        return Err(NetError::InvalidUrl(format!("{host:?} is not a host name")));
    }
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Ok(host.strip_suffix('.').unwrap_or(host))
}

fn connection(
    host: &str,
    local: SocketAddr,
    remote: SocketAddr,
    knobs: ConnectionParameters,
    ml_kem: bool,
    now: Instant,
) -> Result<Connection, neqo_transport::Error> {
    let ids = Rc::new(RefCell::new(RandomConnectionIdGenerator::new(CONNECTION_ID_LEN)));
    let mut connection = Connection::new_client(host, &[ALPN], ids, local, remote, knobs, now)?;
    // The first group has a key share anyway; these are the additional ones. P-256 is there because
    // some servers know nothing else, and asking again costs them and us a round trip.
    if ml_kem {
        connection.set_groups(&[
            TLS_GRP_KEM_MLKEM768X25519,
            TLS_GRP_EC_X25519,
            TLS_GRP_EC_SECP256R1,
            TLS_GRP_EC_SECP384R1,
            TLS_GRP_EC_SECP521R1,
        ])?;
        connection.send_additional_key_shares(2)?;
    } else {
        connection.send_additional_key_shares(1)?;
    }
    Ok(connection)
}

/// neqo panics on numbers that QUIC can't carry, hence the bounds.
fn connection_parameters(settings: &Http3Settings) -> ConnectionParameters {
    let longest = Duration::from_millis(MAX_VARINT);
    ConnectionParameters::default()
        // neqo's default would switch to version 2 with a willing peer.
        .versions(Version::Version1, vec![Version::Version1])
        .cc_algorithm(CongestionControlAlgorithm::Cubic)
        .max_data(settings.max_data.min(MAX_VARINT))
        .max_stream_data(StreamType::BiDi, false, settings.initial_max_stream_data.min(MAX_VARINT))
        .idle_timeout(settings.idle_timeout.min(longest))
        .pacing(true)
        .pmtud(settings.max_datagram_size.is_some())
        // Looking up the interface asks the kernel, for each path; the simulated network has none.
        .pmtud_iface_mtu(false)
        // Its own list of groups has one additional key share; see `connection`.
        .mlkem(false)
}

/// Streams that the peer opens, and datagrams.
fn web_transport_parameters(
    knobs: ConnectionParameters,
    settings: &Http3Settings,
) -> ConnectionParameters {
    let window = settings.initial_max_stream_data.min(MAX_VARINT);
    knobs
        .max_streams(StreamType::BiDi, INCOMING_STREAMS)
        // Three of them are HTTP/3's own.
        .max_streams(StreamType::UniDi, INCOMING_STREAMS + 3)
        .max_stream_data(StreamType::BiDi, true, window)
        .max_stream_data(StreamType::UniDi, true, window)
        .datagram_size(web_transport::DATAGRAM_SIZE)
        .outgoing_datagram_queue(web_transport::OUTGOING_DATAGRAMS)
        .incoming_datagram_queue(web_transport::INCOMING_DATAGRAMS)
}

fn http3_parameters(knobs: ConnectionParameters) -> Http3Parameters {
    Http3Parameters::default()
        .connection_parameters(knobs)
        .max_table_size_encoder(QPACK_TABLE)
        .max_table_size_decoder(QPACK_RESPONSE_TABLE)
        .max_blocked_streams(QPACK_BLOCKED_STREAMS)
        .max_concurrent_push_streams(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_name_is_bare() {
        assert_eq!(server_name("example.org."), Ok("example.org"));
        assert_eq!(server_name("[::1]"), Ok("::1"));
        assert!(server_name("a\0b").is_err());
    }

    #[test]
    fn numbers_that_quic_can_not_carry_are_bounded() {
        let settings = Http3Settings {
            idle_timeout: Duration::MAX,
            max_data: u64::MAX,
            initial_max_stream_data: u64::MAX,
            ..Http3Settings::default()
        };
        let knobs = connection_parameters(&settings);
        assert_eq!(knobs.get_max_data(), MAX_VARINT);
        assert_eq!(knobs.get_max_stream_data(StreamType::BiDi, false), MAX_VARINT);
    }

    #[test]
    fn only_version_1_is_offered() {
        let knobs = connection_parameters(&Http3Settings::default());
        assert_eq!(knobs.get_versions().initial(), Version::Version1);
        assert_eq!(knobs.get_versions().all(), [Version::Version1]);
        assert!(!knobs.pmtud_enabled() && !knobs.pmtud_iface_mtu_enabled());
    }
}
