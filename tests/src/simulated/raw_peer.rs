//! A server that can do what neqo's HTTP/3 server can't: see [`RawConnection`].

use std::time::{Duration, Instant};

use neqo_common::{Datagram, Decoder};
use neqo_transport::{ConnectionParameters, Output};

use super::{Endpoint, RawConnection};

type Answer = Box<dyn FnMut(&mut RawConnection, usize)>;

/// Any number of [`RawConnection`]s, one for each address that speaks to it.
pub struct RawPeer {
    /// In the order in which they came.
    pub connections: Vec<RawConnection>,
    /// Sends of each datagram but the first packet, and only if that is an Initial one: the handshake gets
    /// as far as the server's hello.
    pub only_initials: bool,
    /// Sends nothing, and puts it here instead.
    pub diverted: Option<Vec<Vec<u8>>>,
    /// Those that it has [forgotten](Self::forget).
    pub forgotten: Vec<RawConnection>,
    /// Its SETTINGS say that it takes WebTransport sessions.
    pub web_transport: bool,
    /// It never sends its SETTINGS.
    pub speechless: bool,
    alpn: &'static str,
    parameters: ConnectionParameters,
    answer: Option<Answer>,
}

impl RawPeer {
    /// A server of this protocol, with these transport parameters.
    pub(super) fn new(alpn: &'static str, parameters: ConnectionParameters) -> Self {
        let parameters = parameters.pmtud_iface_mtu(false);
        Self {
            connections: Vec::new(),
            forgotten: Vec::new(),
            only_initials: false,
            diverted: None,
            web_transport: false,
            speechless: false,
            alpn,
            parameters,
            answer: None,
        }
    }

    /// What to do from now on with each request whose head is complete.
    pub fn on_request(&mut self, answer: impl FnMut(&mut RawConnection, usize) + 'static) {
        self.answer = Some(Box::new(answer));
    }

    /// Forgets its connections, as if its program had started anew. (It sends no stateless resets: neqo tells
    /// no token to the client that it would know.)
    pub fn forget(&mut self) {
        self.forgotten.append(&mut self.connections);
    }

    /// The first connection.
    #[track_caller]
    pub fn connection(&mut self) -> &mut RawConnection {
        self.connections.first_mut().expect("a connection")
    }

    /// How many requests have come, on all connections.
    pub fn requests(&self) -> usize {
        self.connections.iter().map(|connection| connection.requests.len()).sum()
    }

    /// What is to be sent of a datagram.
    fn pass(&mut self, datagram: Datagram) -> Option<Datagram> {
        if let Some(diverted) = &mut self.diverted {
            diverted.push(datagram.to_vec());
            return None;
        }
        if !self.only_initials {
            return Some(datagram);
        }
        let initial = first_initial(&datagram)?.to_vec();
        Some(Datagram::new(datagram.source(), datagram.destination(), datagram.tos(), initial))
    }

    fn connection_of(&mut self, datagram: &Datagram) -> Option<&mut RawConnection> {
        let client = datagram.source();
        let known = self.connections.iter().position(|connection| connection.client == client);
        let is_long = datagram.first().is_some_and(|byte| byte & 0x80 != 0);
        let place = match known {
            Some(place) => place,
            None if is_long => {
                let parameters = self.parameters.clone();
                let mut connection = RawConnection::new(client, self.alpn, parameters);
                connection.web_transport = self.web_transport;
                connection.speechless = self.speechless;
                self.connections.push(connection);
                self.connections.len() - 1
            }
            // Of a connection that this server never had.
            None => return None,
        };
        self.connections.get_mut(place)
    }
}

impl Endpoint for RawPeer {
    fn input(&mut self, datagram: Datagram, now: Instant) -> Option<Datagram> {
        let connection = self.connection_of(&datagram)?;
        connection.quic.process_input(datagram, now);
        connection.take_events();
        None
    }

    fn output(&mut self, now: Instant) -> Output {
        loop {
            match self.any_output(now) {
                Output::Datagram(datagram) => {
                    if let Some(datagram) = self.pass(datagram) {
                        return Output::Datagram(datagram);
                    }
                }
                output => return output,
            }
        }
    }
}

impl RawPeer {
    fn any_output(&mut self, now: Instant) -> Output {
        let mut callback: Option<Duration> = None;
        for connection in &mut self.connections {
            connection.take_events();
            while let Some(request) = connection.arrived.pop_front() {
                if let Some(answer) = &mut self.answer {
                    answer(connection, request);
                }
            }
            match connection.process_output(now) {
                Output::Datagram(datagram) => return Output::Datagram(datagram),
                Output::Callback(delay) => {
                    callback = Some(callback.map_or(delay, |earlier| earlier.min(delay)));
                }
                Output::None => {}
            }
        }
        callback.map_or(Output::None, Output::Callback)
    }
}

/// The first packet of a datagram, if it is an Initial one (RFC 9000 §17.2.2). Its fixed bit may have any value
/// (RFC 9287).
fn first_initial(datagram: &[u8]) -> Option<&[u8]> {
    let mut decoder = Decoder::new(datagram);
    let is_initial = decoder.decode_uint::<u8>()? & 0xb0 == 0x80;
    decoder.skip(4);
    decoder.decode_vec(1)?;
    decoder.decode_vec(1)?;
    decoder.decode_vvec()?;
    decoder.decode_vvec()?;
    datagram.get(..decoder.offset()).filter(|_| is_initial)
}
