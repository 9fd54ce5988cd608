//! All sockets of a service, and the lists that they are in.
//!
//! ```text
//!   slots       every socket, by key
//!   idle        opened, not polled yet       necko's idle list; all others are its active list
//!   ready set   served in the next turn without a new edge
//!   condemned   their condition is set; they wait to be detached
//! ```

use std::{collections::VecDeque, io, mem, net::SocketAddr};

use crate::{
    Clock, Detached, Limits, Ready, SendBatch, ServiceSnapshot, SocketKey, StreamIo, Traffic,
    attached::{Attached, Kind, Socket},
    network::Poller,
    receive::ReceiveBuffer,
    slots::{Key, Slots},
    socket_io::{Buffers, SocketIo},
    tcp::TcpStream,
};

/// The sockets of a service.
pub(crate) struct Sockets<T> {
    slots: Slots<Attached<T>>,
    idle: Vec<SocketKey>,
    ready_set: Vec<SocketKey>,
    /// Each once, in the order in which they were condemned.
    condemned: VecDeque<SocketKey>,
    buffers: Buffers,
    /// Traffic of sockets that are gone.
    past_traffic: Traffic,
    /// The number of the turn, with which budgets begin anew.
    turn: u64,
}

/// They come, and are asked for.
impl<T: Copy> Sockets<T> {
    pub(crate) fn new() -> Self {
        Self {
            slots: Slots::new(),
            idle: Vec::new(),
            ready_set: Vec::new(),
            condemned: VecDeque::new(),
            buffers: Buffers { receive: ReceiveBuffer::new(), send: SendBatch::default() },
            past_traffic: Traffic::default(),
            turn: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether the next turn finds something to do here.
    pub(crate) fn have_work(&self) -> bool {
        !(self.idle.is_empty() && self.ready_set.is_empty() && self.condemned.is_empty())
    }

    /// The key of the next socket; its index is the token for the network.
    pub(crate) fn next_key(&self) -> Key {
        self.slots.next_key()
    }

    /// Takes a socket into the idle list (S1).
    pub(crate) fn attach(&mut self, target: T, kind: Kind) -> SocketKey {
        let socket = Socket::new(kind);
        let key = SocketKey(self.slots.insert(Attached { target, socket }));
        self.idle.push(key);
        key
    }

    pub(crate) fn get(&self, key: SocketKey) -> Option<&Socket> {
        self.slots.get(key.0).map(|attached| &attached.socket)
    }

    /// The socket and its target, unless its condition is set.
    fn sound(&mut self, key: SocketKey) -> Option<&mut Attached<T>> {
        sound(&mut self.slots, key)
    }

    pub(crate) fn io<'a>(
        &'a mut self,
        key: SocketKey,
        poller: &'a Poller,
        clock: &'a Clock,
        limits: &Limits,
    ) -> Option<SocketIo<'a>> {
        let Socket { common, kind } = &mut sound(&mut self.slots, key)?.socket;
        let Kind::Datagrams(datagrams) = kind else { return None };
        common.enter_turn(self.turn);
        let budget = limits.datagrams_per_turn.max(1);
        let (buffers, ready_set) = (&mut self.buffers, &mut self.ready_set);
        Some(SocketIo { key, common, datagrams, buffers, ready_set, poller, clock, budget })
    }

    pub(crate) fn stream_io<'a>(
        &'a mut self,
        key: SocketKey,
        poller: &'a Poller,
        clock: &'a Clock,
        limits: &Limits,
    ) -> Option<StreamIo<'a>> {
        let Socket { common, kind } = &mut sound(&mut self.slots, key)?.socket;
        let Kind::Stream(stream) = kind else { return None };
        common.enter_turn(self.turn);
        let budget = limits.stream_bytes_per_turn.max(1);
        let ready_set = &mut self.ready_set;
        Some(StreamIo { key, common, stream, ready_set, poller, clock, budget })
    }

    /// The next connection of a listening socket, within its budget. It is not attached yet.
    pub(crate) fn accept(
        &mut self,
        listener: SocketKey,
        limits: &Limits,
    ) -> io::Result<Option<(TcpStream, SocketAddr)>> {
        let token = self.slots.next_key().index();
        let Some(Attached { socket, .. }) = sound(&mut self.slots, listener) else {
            return Ok(None);
        };
        let Socket { common, kind: Kind::Listener(tcp) } = socket else { return Ok(None) };
        common.enter_turn(self.turn);
        if common.used_in_turn >= limits.accepts_per_turn.max(1) {
            common.stay_ready(listener, &mut self.ready_set);
            return Ok(None);
        }
        common.used_in_turn += 1;
        tcp.accept(token)
    }

    pub(crate) fn stay_ready(&mut self, key: SocketKey) {
        if let Some(attached) = sound(&mut self.slots, key) {
            attached.socket.common.stay_ready(key, &mut self.ready_set);
        }
    }

    pub(crate) fn describe(&self, snapshot: &mut ServiceSnapshot) {
        snapshot.turns = self.turn;
        snapshot.sockets = self.slots.len();
        snapshot.idle_sockets = self.idle.len();
        snapshot.ready_sockets = self.ready_set.len();
        snapshot.traffic = self.past_traffic;
        for (_, Attached { socket, .. }) in self.slots.iter() {
            socket.describe(snapshot);
        }
    }
}

/// They are polled and served.
impl<T: Copy> Sockets<T> {
    /// A turn begins: from now on the idle sockets are polled. True if there were any.
    pub(crate) fn promote_idle(&mut self, poller: &Poller) -> bool {
        self.turn += 1;
        let mut idle = mem::take(&mut self.idle);
        let any = !idle.is_empty();
        for key in idle.drain(..) {
            let Some(attached) = self.sound(key) else { continue };
            if let Err(error) = attached.socket.register(poller, key.0.index()) {
                log::error!("a socket can't be polled: {error}");
                self.condemn(key, Detached::Failed(error.kind()));
            }
        }
        self.idle = idle;
        any
    }

    /// Writes down whom to serve: `edges` in index order, then the ready-set. The ready-set is empty
    /// then: who joins it while the others are served has to wait for the next turn.
    pub(crate) fn line_up(
        &mut self,
        edges: &mut [(usize, Ready)],
        serving: &mut Vec<(SocketKey, Ready)>,
    ) {
        edges.sort_unstable_by_key(|(token, _)| *token);
        serving.clear();
        for &(token, ready) in edges.iter() {
            serving.extend(self.slots.key_at(token).map(|key| (SocketKey(key), ready)));
        }
        // A system may report reading and writing apart.
        serving.dedup_by(|later, first| {
            let same = later.0 == first.0;
            first.1 = if same { first.1.merge(later.1) } else { first.1 };
            same
        });
        let with_edges = serving.len();
        for key in self.ready_set.drain(..) {
            let Some(attached) = self.slots.get_mut(key.0) else { continue };
            attached.socket.common.stays_ready = false;
            let (edges, _) = serving.split_at_mut(with_edges);
            match edges.binary_search_by_key(&key, |(key, _)| *key).map(|at| edges.get_mut(at)) {
                Ok(Some((_, ready))) => *ready = ready.merge(Ready::READABLE),
                _ => serving.push((key, Ready::READABLE)),
            }
        }
    }

    /// Before its handler is called: sends the blocked batch, sees whether a stream has connected.
    /// Returns whom to call, and with what; None if there is nothing to call for.
    pub(crate) fn prepare(
        &mut self,
        key: SocketKey,
        ready: Ready,
        poller: &Poller,
    ) -> Option<(T, Ready)> {
        if ready.is_broken() {
            self.condemn(key, Detached::Failed(io::ErrorKind::BrokenPipe));
            return None;
        }
        let turn = self.turn;
        let Attached { target, socket } = self.sound(key)?;
        let target = *target;
        socket.common.enter_turn(turn);
        match socket.settle(ready, key.0.index(), poller) {
            Ok(ready) => (ready.readable || ready.writable).then_some((target, ready)),
            Err(error) => {
                self.condemn(key, Detached::Failed(error.kind()));
                None
            }
        }
    }
}

/// They go.
impl<T: Copy> Sockets<T> {
    /// Sets the socket's condition; the first one counts.
    pub(crate) fn condemn(&mut self, key: SocketKey, reason: Detached) {
        if let Some(attached) = self.sound(key) {
            attached.socket.common.condition = Some(reason);
            self.condemned.push_back(key);
        }
    }

    /// Sets the condition of all sockets; going offline, of all that are not local (S10).
    pub(crate) fn condemn_all(&mut self, reason: Detached) {
        let concerns = |socket: &Socket| reason != Detached::Offline || !socket.is_local();
        let keys = self.slots.iter().filter(|(_, attached)| concerns(&attached.socket));
        let keys: Vec<_> = keys.map(|(key, _)| SocketKey(key)).collect();
        for key in keys {
            self.condemn(key, reason);
        }
    }

    /// How many sockets wait to be detached.
    pub(crate) fn condemned(&self) -> usize {
        self.condemned.len()
    }

    /// Closes the next condemned socket (S5). Whoever calls this must tell the application.
    pub(crate) fn detach_next(&mut self, poller: &Poller) -> Option<(T, Detached)> {
        let key = self.condemned.pop_front()?;
        let Attached { target, socket } = self.slots.remove(key.0)?;
        let condition = socket.common.condition.unwrap_or(Detached::Closed);
        self.idle.retain(|idle| *idle != key);
        self.ready_set.retain(|ready| *ready != key);
        self.past_traffic.add(&socket.common.traffic);
        log::debug!("socket {}: {condition}", socket.local_addr());
        socket.close(poller);
        Some((target, condition))
    }
}

/// The socket and its target, unless its condition is set.
fn sound<T>(slots: &mut Slots<Attached<T>>, key: SocketKey) -> Option<&mut Attached<T>> {
    slots.get_mut(key.0).filter(|attached| attached.socket.common.condition.is_none())
}
