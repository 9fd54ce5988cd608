//! Segments travel and arrive; timers expire.

use std::{io, net::SocketAddr, time::Duration};

use super::{
    BACKLOG, Connection, ConnectionId, Flag, MEMORY, Pair, Segment,
    connection::{Expired, Owner, Stage, Verdict},
    headers,
};
use crate::simulated::{
    Fate,
    endpoint::{EndpointId, Kind},
    link::Size,
    sending::Writing,
    world::{Event, Way, World},
};

/// They travel.
impl World {
    /// Sends all that a connection may send now, and waits for what it is owed.
    pub(super) fn transmit(&mut self, id: ConnectionId) {
        // As much as the two buffers hold, at most.
        while let Some((way, segment)) = self.next_segment(id) {
            let back = &self.link((way.1, way.0)).config;
            let back = back.delay.saturating_add(back.jitter);
            let due = self.launch(way, segment).saturating_add(back);
            if let Some(connection) = self.tcp.connections.get_mut(&id) {
                connection.due = connection.due.max(due);
            }
        }
        self.set_timer(id);
    }

    fn next_segment(&mut self, id: ConnectionId) -> Option<(Way, Segment)> {
        let Connection { local, peer, .. } = self.tcp.connections.get(&id)?;
        let (local, peer) = (*local, *peer);
        let most = self.segment_size(local, peer);
        let segment = self.tcp.connections.get_mut(&id)?.next_segment(most)?;
        Some((self.way(local, peer), segment))
    }

    fn way(&self, local: SocketAddr, peer: SocketAddr) -> Way {
        (local.ip(), self.nat.machine(peer))
    }

    /// The bytes of a segment for which the link has room.
    fn segment_size(&mut self, local: SocketAddr, peer: SocketAddr) -> usize {
        let way = self.way(local, peer);
        self.link(way).config.mtu.saturating_sub(headers(peer)).max(1)
    }

    /// Puts a segment on its way; answers when it arrives, or would have.
    fn launch(&mut self, way: Way, mut segment: Segment) -> Duration {
        segment.from = self.nat.outside(segment.from);
        let size = Size { bytes: segment.bytes(), divisible: true };
        let (chance, fate) = self.judge(way, segment.payload.len(), size);
        let Fate::Arrives(at) = fate else {
            let delay = self.link(way).config.delay;
            return self.now().saturating_add(delay);
        };
        segment.corrupted = chance.corrupted.is_some();
        if chance.duplicated {
            self.schedule.plan(at, Event::Segment { way, segment: segment.clone() });
        }
        self.schedule.plan(at, Event::Segment { way, segment });
        at
    }

    fn set_timer(&mut self, id: ConnectionId) {
        let now = self.now();
        let Some(connection) = self.tcp.connections.get_mut(&id) else { return };
        if let Some(timer) = connection.timer.take() {
            self.schedule.cancel(timer);
        }
        if let Some(patience) = connection.patience() {
            let at = now.max(connection.due).saturating_add(patience);
            connection.timer = Some(self.schedule.plan(at, Event::StreamTimer(id)));
        }
    }

    pub(in crate::simulated) fn stream_timer(&mut self, id: ConnectionId) {
        let Some(Connection { local, peer, .. }) = self.tcp.connections.get(&id) else { return };
        let segment = self.segment_size(*local, *peer);
        let Some(connection) = self.tcp.connections.get_mut(&id) else { return };
        connection.timer = None;
        match connection.expire(segment) {
            Expired::Repeats => self.transmit(id),
            Expired::GivesUp => self.die(id, io::ErrorKind::TimedOut),
            Expired::Forgotten => self.forget(id),
        }
    }
}

/// They arrive.
impl World {
    pub(in crate::simulated) fn segment_arrives(&mut self, way: Way, segment: &Segment) {
        let inside = self.nat.inside(segment.to);
        let counts = if segment.corrupted {
            &mut self.link(way).counts.delivered
        } else if let Some(local) = inside.filter(|local| local.ip() == way.1) {
            match self.hand_over((local, segment.from), segment) {
                Taken::Yes => &mut self.link(way).counts.delivered,
                Taken::NoRoom => &mut self.link(way).counts.overflowed,
                Taken::No if self.refuse_segment((local, way.0), segment) => {
                    &mut self.link(way).counts.refused
                }
                Taken::No => &mut self.link(way).counts.unheard,
            }
        } else {
            &mut self.link(way).counts.unheard
        };
        *counts += 1;
    }

    /// Gives it to its connection, or makes one of it.
    fn hand_over(&mut self, pair: Pair, segment: &Segment) -> Taken {
        let begins = segment.flag == Flag::Syn && segment.ack.is_none();
        if let Some(&id) = self.tcp.pairs.get(&pair) {
            let origin = self.tcp.connections.get(&id).map(|connection| connection.origin);
            if origin == Some(segment.origin) {
                self.input(id, segment);
                return Taken::Yes;
            }
            // The peer has forgotten the old one.
            if begins {
                self.die(id, io::ErrorKind::ConnectionReset);
            }
        }
        let listener = self.tcp.listeners.get(&pair.0).copied();
        match listener.filter(|_| begins) {
            Some(listener) => self.begin(listener, pair, segment),
            None if self.has_ended(pair, segment) => {
                self.reply((pair.0, segment.from), segment.acknowledgement());
                Taken::Yes
            }
            None => Taken::No,
        }
    }

    /// A peer wants to connect.
    fn begin(&mut self, listener: EndpointId, pair: Pair, segment: &Segment) -> Taken {
        let Some(backlog) = self.backlog(listener) else { return Taken::No };
        if backlog.pending >= BACKLOG {
            return Taken::NoRoom;
        }
        backlog.pending += 1;
        let owner = Owner::Backlog(listener);
        let id = self.add_connection(segment.origin, pair, owner, Stage::SynReceived);
        self.transmit(id);
        Taken::Yes
    }

    fn input(&mut self, id: ConnectionId, segment: &Segment) {
        let Some(Connection { local, peer, .. }) = self.tcp.connections.get(&id) else { return };
        let size = self.segment_size(*local, *peer);
        let Some(connection) = self.tcp.connections.get_mut(&id) else { return };
        match connection.input(segment, size) {
            Verdict::Dies(kind) => return self.die(id, kind),
            Verdict::Unwanted => return self.reset(id),
            Verdict::GoesOn { connected, readable } => {
                let (owner, has_room) = (connection.owner, connection.send.has_much_room());
                self.tell(owner, id, connected, readable, has_room);
            }
        }
        self.transmit(id);
        self.bury(id);
    }

    /// Tells the owner of a connection what is new.
    fn tell(
        &mut self,
        owner: Owner,
        id: ConnectionId,
        connected: bool,
        readable: bool,
        room: bool,
    ) {
        match owner {
            Owner::Backlog(listener) if connected => {
                if let Some(backlog) = self.backlog(listener) {
                    backlog.ready.push_back(id);
                    self.touch(listener, |_| ());
                }
            }
            Owner::User(socket) => {
                let full = |world: &Self| {
                    world.endpoints.get(&socket).is_some_and(|end| end.writing == Writing::Full)
                };
                if (connected || room) && full(self) {
                    self.unblock(socket);
                }
                if readable {
                    self.touch(socket, |_| ());
                }
            }
            Owner::Backlog(_) | Owner::Nobody => {}
        }
    }

    pub(super) fn backlog(&mut self, listener: EndpointId) -> Option<&mut super::Backlog> {
        match &mut self.endpoints.get_mut(&listener)?.kind {
            Kind::Listener(backlog) => Some(backlog),
            Kind::Datagrams { .. } | Kind::Stream(_) => None,
        }
    }

    /// Answers a segment that is nobody's with a reset. False: there is nobody to do so.
    fn refuse_segment(
        &mut self,
        (local, _): (SocketAddr, std::net::IpAddr),
        segment: &Segment,
    ) -> bool {
        let machine = self.machines.get(&local.ip());
        if machine.is_none_or(|machine| machine.silent) {
            return false;
        }
        if segment.flag != Flag::Reset {
            self.reply((local, segment.from), segment.refusal());
        }
        true
    }

    fn reply(&mut self, (local, peer): Pair, segment: Segment) {
        let way = self.way(local, peer);
        self.launch(way, Segment { from: local, ..segment });
    }
}

/// Whether there was somebody to take a segment.
enum Taken {
    Yes,
    No,
    NoRoom,
}

/// Connections end.
impl World {
    /// It has failed.
    pub(in crate::simulated) fn die(&mut self, id: ConnectionId, kind: io::ErrorKind) {
        let Some(connection) = self.tcp.connections.get_mut(&id) else { return };
        connection.stage = Stage::Dead(Some(kind));
        let pair = (connection.local, connection.peer);
        let owner = connection.owner;
        self.set_timer(id);
        self.tcp.pairs.remove(&pair);
        match owner {
            Owner::User(socket) => self.unblock(socket),
            Owner::Backlog(_) | Owner::Nobody => self.forget(id),
        }
    }

    /// Sends a reset, and knows nothing of it any more.
    pub(super) fn reset(&mut self, id: ConnectionId) {
        let Some(connection) = self.tcp.connections.get_mut(&id) else { return };
        let (local, peer) = (connection.local, connection.peer);
        let segment = connection.reset();
        self.reply((local, peer), segment);
        self.forget(id);
    }

    /// Knows nothing of it any more.
    pub(super) fn forget(&mut self, id: ConnectionId) {
        let Some(connection) = self.tcp.connections.remove(&id) else { return };
        if let Some(timer) = connection.timer {
            self.schedule.cancel(timer);
        }
        let pair = (connection.local, connection.peer);
        if self.tcp.pairs.get(&pair) == Some(&id) {
            self.tcp.pairs.remove(&pair);
        }
        if let Owner::Backlog(listener) = connection.owner
            && let Some(backlog) = self.backlog(listener)
        {
            backlog.pending = backlog.pending.saturating_sub(1);
            backlog.ready.retain(|ready| *ready != id);
        }
    }

    /// Forgets one that both sides have ended, but remembers that it was there: the last
    /// acknowledgement may be lost, and the FIN come again (TCP's TIME-WAIT).
    pub(super) fn bury(&mut self, id: ConnectionId) {
        let Some(connection) = self.tcp.connections.get(&id).filter(|it| it.is_over()) else {
            return;
        };
        let (pair, origin) = ((connection.local, connection.peer), connection.origin);
        let now = self.now();
        self.tcp.ended.retain(|_, (_, until)| *until > now);
        self.tcp.ended.insert(pair, (origin, now.saturating_add(MEMORY)));
        self.forget(id);
    }

    fn has_ended(&self, pair: Pair, segment: &Segment) -> bool {
        let ended = self.tcp.ended.get(&pair);
        segment.flag == Flag::Fin
            && ended.is_some_and(|(origin, until)| *origin == segment.origin && *until > self.now())
    }
}
