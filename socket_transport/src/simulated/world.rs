//! Everything that the handles of one simulated network share: time, machines, links, sockets, and
//! what is on its way. How packets travel is in `traffic`, what sockets do in `endpoint`.

use std::{
    cell::Cell,
    collections::{BTreeMap, VecDeque},
    io,
    net::{IpAddr, SocketAddr},
    rc::Rc,
    time::Duration,
};

use super::{
    Counts, LinkConfig, Trace,
    endpoint::{Endpoint, EndpointId, Host, HostId},
    link::Link,
    nat::Nat,
    packet::Packet,
    schedule::Schedule,
    tcp::{ConnectionId, Segment, Tcp},
    trace::Script,
};
use crate::workers::Job;

/// Where the ports for sockets without a wish begin.
const FIRST_EPHEMERAL_PORT: u16 = 49152;

/// From one machine to another.
pub(super) type Way = (IpAddr, IpAddr);

/// What will happen.
pub(super) enum Event {
    /// A datagram reaches its destination.
    Arrival { way: Way, packet: Packet },
    /// The word that a datagram was refused reaches the address that it came from.
    Refusal { sender: SocketAddr, refused_by: SocketAddr },
    /// The same for a segment of TCP.
    Segment { way: Way, segment: Segment },
    /// A connection has waited long enough for an answer.
    StreamTimer(ConnectionId),
    /// A blocked socket can be written again.
    Writable(EndpointId),
    /// A worker is done with what it had to wait for.
    Job(Job),
}

/// What came of [`World::step`].
pub(super) enum Step {
    /// The earliest event happened.
    Happened,
    /// It is a job: the caller's to run, when the world is not borrowed.
    Job(Job),
    /// Nothing more was due; it is the time that was asked for.
    Over,
}

/// What a machine is like, apart from its sockets.
pub(super) struct Machine {
    /// Whether it leaves datagrams to unbound ports without an answer.
    pub(super) silent: bool,
    /// How many sends from now on would block.
    pub(super) blocking_sends: u32,
    pub(super) failing_sends: VecDeque<io::ErrorKind>,
    pub(super) failing_binds: VecDeque<io::ErrorKind>,
    /// The port that the next socket without a wish gets, if it is free.
    pub(super) next_port: u16,
}

impl Default for Machine {
    fn default() -> Self {
        Self {
            silent: false,
            blocking_sends: 0,
            failing_sends: VecDeque::new(),
            failing_binds: VecDeque::new(),
            next_port: FIRST_EPHEMERAL_PORT,
        }
    }
}

impl Machine {
    /// The next port in the range for sockets without a wish.
    pub(super) fn take_port(&mut self) -> u16 {
        let port = self.next_port;
        self.next_port = port.checked_add(1).unwrap_or(FIRST_EPHEMERAL_PORT);
        port
    }
}

pub(super) struct World {
    /// Virtual time since the network began: what the clock adds to its base.
    time: Rc<Cell<Duration>>,
    pub(super) schedule: Schedule<Event>,
    pub(super) machines: BTreeMap<IpAddr, Machine>,
    pub(super) hosts: BTreeMap<HostId, Host>,
    pub(super) endpoints: BTreeMap<EndpointId, Endpoint>,
    /// UDP sockets.
    pub(super) bound: BTreeMap<SocketAddr, EndpointId>,
    pub(super) tcp: Tcp,
    pub(super) nat: Nat,
    pub(super) links: BTreeMap<Way, Link>,
    pub(super) default_link: LinkConfig,
    /// Whether a read may hand over several datagrams.
    pub(super) merges_reads: bool,
    /// How long a blocked socket stays blocked.
    pub(super) write_delay: Duration,
    /// How long a worker's job takes.
    pub(super) job_delay: Duration,
    last_job: Duration,
    ids: u64,
    pub(super) trace: Trace,
    pub(super) script: Script,
}

impl World {
    pub(super) fn new(time: Rc<Cell<Duration>>, seed: u64, script: Script) -> Self {
        Self {
            time,
            schedule: Schedule::new(),
            machines: BTreeMap::new(),
            hosts: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            bound: BTreeMap::new(),
            tcp: Tcp::default(),
            nat: Nat::default(),
            links: BTreeMap::new(),
            default_link: LinkConfig::default(),
            merges_reads: true,
            write_delay: Duration::from_millis(1),
            job_delay: Duration::from_millis(1),
            last_job: Duration::ZERO,
            ids: 0,
            trace: Trace::new(seed),
            script,
        }
    }

    pub(super) fn now(&self) -> Duration {
        self.time.get()
    }

    /// A number that nothing else in this world has.
    pub(super) fn new_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    pub(super) fn plan_after(&mut self, delay: Duration, event: Event) {
        self.schedule.plan(self.now().saturating_add(delay), event);
    }

    /// Plans a job. None overtakes another, whatever the delay was changed to between them.
    pub(super) fn plan_job(&mut self, job: Job) {
        self.last_job = self.now().saturating_add(self.job_delay).max(self.last_job);
        self.schedule.plan(self.last_job, Event::Job(job));
    }

    /// Lets the earliest event that is due by `limit` happen, at its time.
    pub(super) fn step(&mut self, limit: Duration) -> Step {
        let Some((at, event)) = self.schedule.take_due(limit) else {
            self.move_clock(limit);
            return Step::Over;
        };
        self.move_clock(at);
        match event {
            Event::Arrival { way, packet } => self.arrive(way, packet),
            Event::Segment { way, segment } => self.segment_arrives(way, &segment),
            Event::StreamTimer(id) => self.stream_timer(id),
            Event::Refusal { sender, refused_by } => self.tell_refused(sender, refused_by),
            Event::Writable(id) => self.unblock(id),
            Event::Job(job) => return Step::Job(job),
        }
        Step::Happened
    }

    fn move_clock(&self, at: Duration) {
        self.time.set(self.time.get().max(at));
    }

    pub(super) fn machine(&mut self, ip: IpAddr) -> &mut Machine {
        self.machines.entry(ip).or_default()
    }

    pub(super) fn link(&mut self, way: Way) -> &mut Link {
        let Self { links, default_link, .. } = self;
        links.entry(way).or_insert_with(|| Link::new(default_link.clone()))
    }

    pub(super) fn counts(&self) -> Counts {
        let mut total = Counts::default();
        self.links.values().for_each(|link| total += link.counts);
        total
    }
}

/// A test that fails leaves its seed and its trace behind.
impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        let (seed, now) = (self.trace.seed(), self.now());
        eprintln!("simulated network: seed {seed}, at virtual time {now:?}");
        if self.trace.records().next().is_none() {
            return;
        }
        match self.trace.save_somewhere() {
            Ok(path) => eprintln!("its decision trace was saved as {}", path.display()),
            Err(error) => eprintln!("its decision trace could not be saved: {error}"),
        }
    }
}
