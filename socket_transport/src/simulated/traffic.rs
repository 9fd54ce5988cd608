//! How a packet travels: out of a socket, over a link, to another socket or to nobody.

use std::{net::SocketAddr, time::Duration};

use super::{
    Chance, Fate, Record,
    chance::Dice,
    link::Size,
    packet::Packet,
    world::{Event, Way, World},
};
use crate::datagrams::Ecn;

impl World {
    /// Sends one datagram of the socket bound to `local`.
    pub(super) fn dispatch(&mut self, local: SocketAddr, mut packet: Packet) {
        packet.source = self.nat.outside(local);
        let way = (local.ip(), self.nat.machine(packet.destination));
        let size = Size { bytes: packet.bytes(), divisible: packet.divisible };
        let (chance, fate) = self.judge(way, packet.payload.len(), size);
        let Fate::Arrives(at) = fate else { return };
        chance.corrupt(&mut packet.payload);
        packet.ecn = self.ecn_after(way, &chance, packet.ecn);
        if chance.duplicated {
            self.schedule.plan(at, Event::Arrival { way, packet: packet.clone() });
        }
        self.schedule.plan(at, Event::Arrival { way, packet });
    }

    /// Decides what becomes of the way's next packet, and keeps a record of it.
    pub(super) fn judge(&mut self, way: Way, length: usize, size: Size) -> (Chance, Fate) {
        let (from, to) = way;
        let now = self.now();
        let dice = Dice::new(self.trace.seed(), from, to);
        let ordinal = self.link(way).next_ordinal();
        let played = self.script.of(from, to, ordinal).copied();
        let link = self.link(way);
        let (chance, fate) = match played {
            None => {
                let chance = link.throw(dice, ordinal);
                (chance, link.pass(now, size, &chance))
            }
            // What arrived then arrives again, at the time that the link needs now.
            Some(Record { chance, fate: Fate::Arrives(_), .. }) => {
                (chance, link.carry(now, size.bytes, &chance))
            }
            Some(Record { chance, fate, .. }) => (chance, fate),
        };
        link.counts.note(length, &chance, fate);
        self.trace.push(Record { at: now, from, to, ordinal, length, chance, fate });
        (chance, fate)
    }

    fn ecn_after(&mut self, way: Way, chance: &Chance, ecn: Ecn) -> Ecn {
        if self.link(way).config.ecn_bleach {
            Ecn::NotEct
        } else if chance.marked && matches!(ecn, Ecn::Ect0 | Ecn::Ect1) {
            Ecn::Ce
        } else {
            ecn
        }
    }

    /// A datagram has come to the end of its way.
    pub(super) fn arrive(&mut self, way: Way, packet: Packet) {
        // Translated now and not when it was sent: a mapping may have ended in between.
        let inside = self.nat.inside(packet.destination);
        let id = inside.and_then(|address| self.bound_at(address));
        let (_, machine) = way;
        let counts = match id {
            Some(id) => {
                let taken = self.put(id, packet);
                let counts = &mut self.link(way).counts;
                if taken { &mut counts.delivered } else { &mut counts.overflowed }
            }
            // An ended mapping's packets are nobody's; the NAT says nothing about them.
            None if inside.is_some_and(|address| address.ip() == machine)
                && self.machines.get(&machine).is_some_and(|machine| !machine.silent) =>
            {
                self.refuse(way, &packet);
                &mut self.link(way).counts.refused
            }
            None => &mut self.link(way).counts.unheard,
        };
        *counts += 1;
    }

    /// Sends the word that nothing is bound there back to the sender. It takes the delay of the
    /// way back, but is a matter of course: it has no ordinal, and chance does not touch it.
    fn refuse(&mut self, (from, to): Way, packet: &Packet) {
        let back = self.link((to, from));
        if !back.blackhole {
            let delay: Duration = back.config.delay;
            let (sender, refused_by) = (packet.source, packet.destination);
            self.plan_after(delay, Event::Refusal { sender, refused_by });
        }
    }
}
