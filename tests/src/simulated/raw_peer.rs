//! A server that can do what neqo's HTTP/3 server can't: see [`RawConnection`].

use std::time::{Duration, Instant};

use neqo_common::Datagram;
use neqo_transport::{ConnectionParameters, Output};

use super::{Endpoint, RawConnection};

type Answer = Box<dyn FnMut(&mut RawConnection, usize)>;

/// Any number of [`RawConnection`]s, one for each address that speaks to it.
pub struct RawPeer {
    /// In the order in which they came.
    pub connections: Vec<RawConnection>,
    /// Those that it has [forgotten](Self::forget).
    pub forgotten: Vec<RawConnection>,
    alpn: &'static str,
    parameters: ConnectionParameters,
    answer: Option<Answer>,
}

impl RawPeer {
    /// A server of this protocol, with these transport parameters.
    pub(super) fn new(alpn: &'static str, parameters: ConnectionParameters) -> Self {
        let parameters = parameters.pmtud_iface_mtu(false);
        let (connections, forgotten) = (Vec::new(), Vec::new());
        Self { connections, forgotten, alpn, parameters, answer: None }
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

    fn connection_of(&mut self, datagram: &Datagram) -> Option<&mut RawConnection> {
        let client = datagram.source();
        let known = self.connections.iter().position(|connection| connection.client == client);
        let is_long = datagram.first().is_some_and(|byte| byte & 0x80 != 0);
        let place = match known {
            Some(place) => place,
            None if is_long => {
                let parameters = self.parameters.clone();
                self.connections.push(RawConnection::new(client, self.alpn, parameters));
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
