//! The peers of a random program: machines on which servers come and go.

use std::net::{IpAddr, Ipv4Addr};

use neqo_transport::ConnectionParameters;
use socket_transport::simulated::LinkConfig;

use super::{
    program::{Conditions, Kind},
    sessions::ServerStep,
    step::{PeerStep, Weather},
};
use crate::{
    loopback::pattern,
    simulated::{Bench, CLIENT, Http3ServerPeer, MS, Peer, RawConnection, RawPeer},
};

/// A machine where nobody listens, and one that does not even say so.
pub(super) const BARE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 8));
pub(super) const BARE_AND_SILENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9));

/// A machine, and the servers that it has had.
pub(super) struct Machine {
    pub(super) ip: IpAddr,
    pub(super) kind: Kind,
    /// The last is the present one.
    servers: Vec<Server>,
    alive: bool,
    streams: u64,
    idle_timeout: std::time::Duration,
    ml_kem: bool,
    web_transport: bool,
}

enum Server {
    Http3(Peer<Http3ServerPeer>),
    Raw(Peer<RawPeer>),
}

impl Machine {
    pub(super) fn new(bench: &mut Bench, place: usize, conditions: &Conditions) -> Self {
        let ip = Ipv4Addr::new(10, 0, 0, u8::try_from(place + 2).unwrap_or_default());
        let mut machine = Self {
            ip: ip.into(),
            kind: conditions.peers[place],
            servers: Vec::new(),
            alive: false,
            streams: conditions.streams,
            idle_timeout: conditions.peers_idle_timeout,
            ml_kem: conditions.ml_kem,
            web_transport: conditions.web_transport,
        };
        machine.weather(bench, conditions.weather[place]);
        machine.start(bench);
        machine
    }

    fn start(&mut self, bench: &mut Bench) {
        let (streams, idle_timeout, ml_kem) = (self.streams, self.idle_timeout, self.ml_kem);
        let parameters = |parameters: ConnectionParameters| {
            let streams_of = neqo_transport::StreamType::BiDi;
            parameters.max_streams(streams_of, streams).idle_timeout(idle_timeout).mlkem(ml_kem)
        };
        let datagrams = if self.web_transport { 65_535 } else { 0 };
        let parameters = |given| parameters(given).datagram_size(datagrams);
        bench.network().silent(self.ip, false);
        self.servers.push(match self.kind {
            Kind::Http3 => Server::Http3(bench.http3_server(self.ip, parameters)),
            Kind::Raw => {
                let server = bench.raw_server(self.ip, parameters);
                server.tell(|server, _| server.on_request(answer));
                Server::Raw(server)
            }
        });
        self.alive = true;
    }

    fn kill(&mut self, bench: &mut Bench, silent: bool) {
        match self.servers.last() {
            Some(Server::Http3(server)) => server.kill(),
            Some(Server::Raw(server)) => server.kill(),
            None => {}
        }
        self.alive = false;
        bench.network().silent(self.ip, silent);
        bench.run_for(std::time::Duration::ZERO);
    }

    /// Does what a program says.
    pub(super) fn does(&mut self, bench: &mut Bench, step: PeerStep) {
        let network = bench.network().clone();
        let client = IpAddr::from(CLIENT);
        match step {
            PeerStep::Kill { silent } => self.kill(bench, silent),
            PeerStep::Restart => {
                self.kill(bench, false);
                self.start(bench);
            }
            PeerStep::Cut { to, from } => {
                network.blackhole(client, self.ip, to);
                network.blackhole(self.ip, client, from);
            }
            PeerStep::Mend => {
                network.blackhole(client, self.ip, false);
                network.blackhole(self.ip, client, false);
            }
            PeerStep::Weather(weather) => self.weather(bench, weather),
            PeerStep::LoseNext { to: true, packets } => network.lose_next(client, self.ip, packets),
            PeerStep::LoseNext { to: false, packets } => {
                network.lose_next(self.ip, client, packets);
            }
            PeerStep::Silent(on) => network.silent(self.ip, on),
            _ if !self.alive => {}
            step => match &self.servers[self.servers.len() - 1] {
                Server::Http3(server) => http3_does(server, step),
                Server::Raw(server) => server.tell(|server, _| raw_does(server, step)),
            },
        }
    }

    pub(super) fn weather(&self, bench: &Bench, weather: Weather) {
        bench.network().both(CLIENT.into(), self.ip, link(weather));
    }

    /// Does something in a session, if there is a server that has some.
    pub(super) fn does_in_a_session(&self, step: &ServerStep) {
        if let Some(Server::Http3(server)) = self.servers.last()
            && self.alive
        {
            server.tell(|server, _| step.play(server));
        }
    }

    /// Answers uploads that are complete, where the server doesn't by itself.
    pub(super) fn tick(&self) {
        if let Some(Server::Raw(server)) = self.servers.last()
            && self.alive
        {
            server.tell(|server, _| server.connections.iter_mut().for_each(answer_uploads));
        }
    }

    /// What the servers know of a request, in words.
    pub(super) fn describe(&self, path: &str) -> String {
        let describe = |server: &Server| match server {
            Server::Http3(server) => server.look(|server| {
                let requests = server.requests.iter().filter(|request| request.path == path);
                format!("{:?}", requests.collect::<Vec<_>>())
            }),
            Server::Raw(server) => server.look(|server| {
                let connections = server.connections.iter().chain(&server.forgotten);
                let requests = connections.flat_map(|connection| &connection.requests);
                format!("{:?}", requests.filter(|one| one.path() == path).collect::<Vec<_>>())
            }),
        };
        self.servers.iter().map(describe).collect::<Vec<_>>().join(", ")
    }

    /// How often a request has been looked at, by all servers that this machine has had.
    pub(super) fn count(&self, path: &str) -> usize {
        let count = |server: &Server| match server {
            Server::Http3(server) => server.look(|server| server.count(path)),
            Server::Raw(server) => server.look(|server| {
                let connections = server.connections.iter().chain(&server.forgotten);
                let requests = connections.flat_map(RawConnection::served);
                requests.filter(|request| request.path() == path).count()
            }),
        };
        self.servers.iter().map(count).sum()
    }
}

fn http3_does(server: &Peer<Http3ServerPeer>, step: PeerStep) {
    server.tell(|server, now| match step {
        PeerStep::Close(code) => server.close(code, now),
        PeerStep::Reset { request, code } => server.try_reset(request, code),
        PeerStep::StopSending { request, code } => server.try_stop_sending(request, code),
        // neqo's server can't do the others.
        _ => {}
    });
}

fn raw_does(server: &mut RawPeer, step: PeerStep) {
    if matches!(step, PeerStep::Forget) {
        server.forget();
    }
    for connection in &mut server.connections {
        let requests = connection.requests.len();
        match step {
            PeerStep::Goaway => connection.goaway_now(),
            PeerStep::Close(code) => connection.close(code),
            PeerStep::Reads(true) => connection.read_everything(),
            PeerStep::Reads(false) => connection.reads = false,
            PeerStep::Reset { request, code } if requests > 0 => {
                connection.try_reset(request % requests, code);
            }
            PeerStep::StopSending { request, code } if requests > 0 => {
                connection.stop_sending(request % requests, code);
            }
            // DATA before HEADERS.
            PeerStep::Nonsense { request } if requests > 0 => {
                connection.data(request % requests, b"nonsense");
            }
            _ => {}
        }
    }
}

/// What a raw server does with a request whose head is complete.
fn answer(connection: &mut RawConnection, request: usize) {
    let path = connection.requests[request].path().to_owned();
    let is_head = connection.requests[request].field(":method") == Some("HEAD");
    let name = path.split('/').nth(1).unwrap_or_default();
    match (name, name.parse::<u64>()) {
        ("upload" | "silent", _) => {}
        (_, Ok(length)) => {
            let text = length.to_string();
            connection.head(request, &[(":status", "200"), ("content-length", &text)]);
            if !is_head {
                connection.data(request, &pattern::body(length));
            }
            connection.finish(request);
        }
        (_, Err(_)) => {
            connection.head(request, &[(":status", "404")]);
            connection.finish(request);
        }
    }
}

fn answer_uploads(connection: &mut RawConnection) {
    // What GOAWAY refused comes behind all others.
    for request in 0..connection.served().count() {
        let asked = &mut connection.requests[request];
        if asked.fin && !asked.answered && asked.path().starts_with("/upload/") {
            asked.answered = true;
            let length = asked.body.to_string();
            connection.head(request, &[(":status", "200"), ("x-data-received-length", &length)]);
            connection.finish(request);
        }
    }
}

fn link(weather: Weather) -> LinkConfig {
    let link = LinkConfig::new();
    match weather {
        Weather::Fine => link,
        Weather::Lossy => link.loss(0.05),
        Weather::Bursts => link.loss(0.01).burst(8),
        Weather::Doubling => link.duplicate(0.2),
        Weather::Reordering => link.reorder(0.2, 15 * MS).jitter(3 * MS),
        Weather::Corrupting => link.corrupt(0.05),
        Weather::Narrow => link.rate_bits_per_second(2_000_000).queue_bytes(15_000),
        Weather::SmallMtu => link.mtu(1280),
        Weather::Marking => link.ecn_mark(0.2),
        Weather::Bleaching => link.ecn_bleach(true),
        Weather::Far => link.delay(300 * MS),
        Weather::Storm => link
            .loss(0.15)
            .burst(3)
            .duplicate(0.1)
            .reorder(0.1, 40 * MS)
            .corrupt(0.05)
            .jitter(20 * MS)
            .ecn_mark(0.05),
    }
}
