//! The handle to a simulated network: its machines, its faults and its time.

use std::{
    cell::{Cell, RefCell},
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    rc::Rc,
    time::{Duration, Instant},
};

use super::{
    Counts, LinkConfig, SimulatedHost, Trace,
    trace::Script,
    world::{Step, World},
};
use crate::{Clock, Network, Workers};

const CENTURY: Duration = Duration::from_hours(24 * 365 * 100);

/// A network of machines that exist only in this program, in virtual time.
///
/// Thread: it belongs to the thread that made it, like everything that runs on it. Cloning is
/// cheap, and all clones are the same network.
#[derive(Clone)]
pub struct SimulatedNetwork {
    clock: Clock,
    start: Instant,
    world: Rc<RefCell<World>>,
}

/// Making a network and asking what happened in it.
impl SimulatedNetwork {
    /// A network without machines. Everything that chance decides in it follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self::with_script(seed, Script::default())
    }

    /// A network in which the packets of `trace` meet again what they met then: what was lost is
    /// lost, what arrived arrives. Packets that the trace does not know meet what its seed holds.
    pub fn replay(trace: Trace) -> Self {
        Self::with_script(trace.seed(), trace.into_script())
    }

    fn with_script(seed: u64, script: Script) -> Self {
        let time = Rc::new(Cell::new(Duration::ZERO));
        let clock = Clock::virtual_time(Rc::clone(&time));
        let start = clock.now();
        Self { clock, start, world: Rc::new(RefCell::new(World::new(time, seed, script))) }
    }

    pub(super) fn world(&self) -> &Rc<RefCell<World>> {
        &self.world
    }

    /// The seed that decides.
    pub fn seed(&self) -> u64 {
        self.world.borrow().trace.seed()
    }

    /// What every link did with every packet: the last 65,536 of them.
    pub fn trace(&self) -> Trace {
        self.world.borrow().trace.clone()
    }

    /// How many datagrams were sent from one machine to another, and what became of them.
    pub fn counts(&self, from: IpAddr, to: IpAddr) -> Counts {
        self.world.borrow().links.get(&(from, to)).map(|link| link.counts).unwrap_or_default()
    }

    /// The same for all links together.
    pub fn total_counts(&self) -> Counts {
        self.world.borrow().counts()
    }
}

/// Machines: what a service runs on.
impl SimulatedNetwork {
    /// The network as the machine with this address sees it, for one service to run on. Called
    /// again for the same address, it is the same machine: its services share its ports.
    pub fn host(&self, address: IpAddr) -> Network {
        self.host_at(vec![address])
    }

    /// A machine with an address of either family.
    pub fn dual_stack_host(&self, v4: Ipv4Addr, v6: Ipv6Addr) -> Network {
        self.host_at(vec![v4.into(), v6.into()])
    }

    fn host_at(&self, addresses: Vec<IpAddr>) -> Network {
        let id = self.world.borrow_mut().add_host(addresses);
        Network::simulated(SimulatedHost::new(self.clone(), id))
    }

    /// The addresses to which sockets are bound on the machine with this address: counted by the network,
    /// which knows nothing of the services that hold them.
    pub fn sockets(&self, machine: IpAddr) -> Vec<SocketAddr> {
        let world = self.world.borrow();
        let locals = world.endpoints.values().map(|endpoint| endpoint.local);
        let mut here: Vec<_> = locals.filter(|local| local.ip() == machine).collect();
        here.sort_unstable();
        here
    }

    /// Whether the machine leaves datagrams to ports where nothing is bound without an answer, as
    /// a firewall does. Otherwise it refuses them, which the sender hears of (see the module page).
    pub fn silent(&self, machine: IpAddr, on: bool) {
        self.world.borrow_mut().machine(machine).silent = on;
    }

    /// Whether one read may hand over several equally long datagrams of one sender, as with GRO;
    /// on by default.
    pub fn merge_reads(&self, on: bool) {
        self.world.borrow_mut().merges_reads = on;
    }

    /// How long a job given to the [`Workers`] of this network takes; one millisecond by default.
    /// Jobs end in the order in which they were given.
    pub fn job_delay(&self, delay: Duration) {
        self.world.borrow_mut().job_delay = delay;
    }

    pub(super) fn workers(&self) -> Workers {
        let world = Rc::clone(&self.world);
        Workers::simulated(move |job| world.borrow_mut().plan_job(job))
    }
}

/// Links: what is between machines.
impl SimulatedNetwork {
    /// What a link is like that nothing was said about. Links that exist already stay as they are.
    pub fn default_link(&self, config: LinkConfig) {
        self.world.borrow_mut().default_link = config;
    }

    /// What the link from one machine to another is like from now on: one direction.
    pub fn link(&self, from: IpAddr, to: IpAddr, config: LinkConfig) {
        self.world.borrow_mut().link((from, to)).reconfigure(config);
    }

    /// What both links between two machines are like from now on.
    pub fn both(&self, a: IpAddr, b: IpAddr, config: LinkConfig) {
        self.link(a, b, config.clone());
        self.link(b, a, config);
    }

    /// Whether the link from one machine to another swallows everything sent from now on.
    pub fn blackhole(&self, from: IpAddr, to: IpAddr, on: bool) {
        self.world.borrow_mut().link((from, to)).blackhole = on;
    }

    /// Makes the link from one machine to another lose the next `count` packets.
    pub fn lose_next(&self, from: IpAddr, to: IpAddr, count: u64) {
        self.world.borrow_mut().link((from, to)).losing = count;
    }

    /// Puts the socket address `local` behind a NAT, as `seen_as`, or gives it another address
    /// there: what the socket sends comes from `seen_as`, and what is sent to `seen_as` reaches
    /// the socket over the links of its machine. What is sent to the address that it was seen as
    /// before is lost, also if it is on its way already. `seen_as` equal to `local` ends it.
    ///
    /// # Errors
    /// `AddrInUse` if another socket address is seen as `seen_as`.
    pub fn rebind(&self, local: SocketAddr, seen_as: SocketAddr) -> io::Result<()> {
        let mut world = self.world.borrow_mut();
        let taken = seen_as != local && world.bound.contains_key(&seen_as);
        let mapped = !taken && world.nat.map(local, seen_as);
        mapped.then_some(()).ok_or(io::ErrorKind::AddrInUse.into())
    }
}

/// Sockets: faults on demand.
impl SimulatedNetwork {
    /// Makes the machine's next `count` sends, and writes to streams, answer `WouldBlock`. The socket can be written again
    /// after [`write_delay`](Self::write_delay); its sends until then are not counted.
    pub fn would_block_next(&self, machine: IpAddr, count: u32) {
        self.world.borrow_mut().machine(machine).blocking_sends = count;
    }

    /// How long a socket stays blocked; one millisecond by default.
    pub fn write_delay(&self, delay: Duration) {
        self.world.borrow_mut().write_delay = delay;
    }

    /// Makes one send of the machine fail; called several times, as many sends, in this order.
    pub fn fail_next_send(&self, machine: IpAddr, kind: io::ErrorKind) {
        self.world.borrow_mut().machine(machine).failing_sends.push_back(kind);
    }

    /// Makes one bind of the machine fail, or the opening of a stream; called several times, as many.
    pub fn fail_next_bind(&self, machine: IpAddr, kind: io::ErrorKind) {
        self.world.borrow_mut().machine(machine).failing_binds.push_back(kind);
    }

    /// Takes back the faults that were ordered for the machine and have not come: sends that would block
    /// or fail, binds that would fail.
    pub fn forgive(&self, machine: IpAddr) {
        let mut world = self.world.borrow_mut();
        let machine = world.machine(machine);
        machine.blocking_sends = 0;
        machine.failing_sends.clear();
        machine.failing_binds.clear();
    }

    /// Reports the sockets bound to `local` as ready with an error, which their next read returns; for a
    /// stream that connects it is the result.
    pub fn fail_next_receive(&self, local: SocketAddr, kind: io::ErrorKind) {
        self.world.borrow_mut().fail_receive(local, kind);
    }

    /// Breaks the descriptors of the sockets bound to `local`, as if they were closed behind the
    /// service's back: from now on they are reported as broken and neither send nor receive.
    pub fn break_socket(&self, local: SocketAddr) {
        self.world.borrow_mut().break_down(local);
    }
}

/// Streams.
impl SimulatedNetwork {
    /// How many bytes a machine keeps of what was written to a stream and is not acknowledged, and of
    /// what arrived and is not read: for streams opened from now on. 64 KiB each by default.
    pub fn stream_buffers(&self, send: usize, receive: usize) {
        let mut world = self.world.borrow_mut();
        (world.tcp.send_buffer, world.tcp.receive_buffer) = (send.max(1), receive.max(1));
    }

    /// How many bytes one read or write of a stream hands over at most: with 1, every byte comes for
    /// itself. Without a limit by default.
    pub fn stream_call_limit(&self, bytes: usize) {
        self.world.borrow_mut().tcp.call_limit = bytes.max(1);
    }

    /// Resets all connections between two machines at both ends and at once, as somebody on the way may.
    pub fn reset_streams(&self, a: IpAddr, b: IpAddr) {
        self.world.borrow_mut().cut(|connection| connection.is_between(a, b));
    }
}

/// Time.
impl SimulatedNetwork {
    /// The virtual clock. It stands still except in [`advance_to`](Self::advance_to).
    pub fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// Virtual time since the network began.
    pub fn elapsed(&self) -> Duration {
        self.world.borrow().now()
    }

    /// When the next thing happens in the network: a datagram or an error arrives, a socket can be
    /// written again, a worker finishes a job.
    pub fn next_arrival(&self) -> Option<Instant> {
        let at = self.world.borrow().schedule.next()?;
        self.start.checked_add(at)
    }

    /// Moves the clock, and lets everything that is due by then happen in its order and each at its
    /// time. A time that has passed is no error: what is due happens, the clock stays.
    pub fn advance_to(&self, time: Instant) {
        let limit = time.saturating_duration_since(self.start);
        loop {
            let step = self.world.borrow_mut().step(limit);
            match step {
                Step::Happened => {}
                Step::Job(job) => job(),
                Step::Over => break,
            }
        }
    }

    /// Moves the clock by `span`, see [`advance_to`](Self::advance_to).
    pub fn advance(&self, span: Duration) {
        self.advance_to(self.after(span));
    }

    /// The time a span from now; a span without end is a century.
    pub(super) fn after(&self, span: Duration) -> Instant {
        self.clock.now() + span.min(CENTURY)
    }
}

impl fmt::Debug for SimulatedNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("SimulatedNetwork");
        if let Ok(world) = self.world.try_borrow() {
            debug.field("seed", &world.trace.seed()).field("elapsed", &world.now());
        }
        debug.finish_non_exhaustive()
    }
}
