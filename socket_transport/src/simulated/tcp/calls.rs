//! What streams are asked for: to read, to write, to end.

use std::io;

use super::{
    Connection, ConnectionId,
    connection::{Owner, Stage},
};
use crate::{
    StreamRead,
    simulated::{
        endpoint::{EndpointId, Kind},
        sending::Writing,
        world::World,
    },
};

impl World {
    pub(in crate::simulated) fn stream_connected(&mut self, id: EndpointId) -> io::Result<bool> {
        self.take_error(id)?;
        match self.connection(id)?.1.stage {
            Stage::SynSent | Stage::SynReceived => Ok(false),
            Stage::Established => Ok(true),
            Stage::Dead(kind) => Err(kind.unwrap_or(io::ErrorKind::NotConnected).into()),
        }
    }

    pub(in crate::simulated) fn stream_read(
        &mut self,
        id: EndpointId,
        buffer: &mut [u8],
    ) -> io::Result<StreamRead> {
        self.take_error(id)?;
        let most = buffer.len().min(self.tcp.call_limit);
        let (key, connection) = self.connection(id)?;
        if connection.receive.is_empty() {
            return Self::nothing_to_read(connection);
        }
        let count = connection.receive.read(buffer.get_mut(..most).unwrap_or_default());
        if connection.receive.has_much_news() {
            connection.owes = true;
            self.transmit(key);
        }
        Ok(StreamRead::Bytes(count))
    }

    /// As with the operating system, an error is told once; behind it there is the end.
    fn nothing_to_read(connection: &mut Connection) -> io::Result<StreamRead> {
        if let Stage::Dead(kind) = &mut connection.stage {
            return kind.take().map_or(Ok(StreamRead::End), |kind| Err(kind.into()));
        }
        Ok(if connection.receive.is_finished() { StreamRead::End } else { StreamRead::Blocked })
    }

    /// None: there is no room.
    pub(in crate::simulated) fn stream_write(
        &mut self,
        id: EndpointId,
        bytes: &[u8],
    ) -> io::Result<Option<usize>> {
        let (_, connection) = self.connection(id)?;
        if let Stage::Dead(kind) = &mut connection.stage {
            return Err(kind.take().unwrap_or(io::ErrorKind::BrokenPipe).into());
        }
        if connection.send.is_finishing() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        match self.allow_send(id) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            allowed => allowed?,
        }
        let most = bytes.len().min(self.tcp.call_limit);
        let (key, connection) = self.connection(id)?;
        let count = connection.send.write(bytes.get(..most).unwrap_or_default());
        if count == 0 {
            self.set_writing(id, Writing::Full);
            return Ok(None);
        }
        self.transmit(key);
        Ok(Some(count))
    }

    pub(in crate::simulated) fn stream_shutdown(&mut self, id: EndpointId) -> io::Result<()> {
        let (key, connection) = self.connection(id)?;
        if let Stage::Dead(_) = connection.stage {
            return Err(io::ErrorKind::NotConnected.into());
        }
        connection.send.finish();
        self.transmit(key);
        Ok(())
    }

    pub(in crate::simulated) fn stream_resets_when_closed(
        &mut self,
        id: EndpointId,
    ) -> io::Result<()> {
        self.connection(id)?.1.resets_when_closed = true;
        Ok(())
    }

    /// The socket is closed: what was written is delivered still, unless something was not read.
    pub(in crate::simulated) fn close_stream(&mut self, key: ConnectionId) {
        let Some(connection) = self.tcp.connections.get_mut(&key) else { return };
        connection.owner = Owner::Nobody;
        match connection.stage {
            // An answer will find nobody, and be refused.
            Stage::SynSent | Stage::SynReceived | Stage::Dead(_) => self.forget(key),
            Stage::Established
                if connection.resets_when_closed || !connection.receive.is_empty() =>
            {
                self.reset(key);
            }
            Stage::Established => {
                connection.send.finish();
                self.transmit(key);
                self.bury(key);
            }
        }
    }

    /// The socket is closed: nobody will accept what waits.
    pub(in crate::simulated) fn close_listener(&mut self, listener: EndpointId) {
        self.tcp.listeners.retain(|_, id| *id != listener);
        let waiting = self.tcp.connections.iter();
        let waiting =
            waiting.filter(|(_, connection)| connection.owner == Owner::Backlog(listener));
        let waiting: Vec<_> = waiting.map(|(key, _)| *key).collect();
        for key in waiting {
            self.reset(key);
        }
    }

    /// Somebody on the way resets a connection at both ends.
    pub(in crate::simulated) fn cut(&mut self, concerns: impl Fn(&Connection) -> bool) {
        let cut = self.tcp.connections.iter().filter(|(_, connection)| concerns(connection));
        let cut: Vec<_> = cut.map(|(key, _)| *key).collect();
        for key in cut {
            self.die(key, io::ErrorKind::ConnectionReset);
        }
    }

    fn connection(&mut self, id: EndpointId) -> io::Result<(ConnectionId, &mut Connection)> {
        let Kind::Stream(key) = self.working(id)?.kind else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        let connection = self.tcp.connections.get_mut(&key).ok_or(io::ErrorKind::NotConnected)?;
        Ok((key, connection))
    }
}

impl Connection {
    /// The addresses of its two ends, this one's first.
    pub(in crate::simulated) fn is_between(
        &self,
        one: std::net::IpAddr,
        other: std::net::IpAddr,
    ) -> bool {
        let ends = (self.local.ip(), self.peer.ip());
        ends == (one, other) || ends == (other, one)
    }

    /// Whether there is something to read for its user: bytes, the end, or an error.
    pub(in crate::simulated) fn is_readable(&self) -> bool {
        !self.receive.is_empty()
            || self.receive.is_finished()
            || matches!(self.stage, Stage::Dead(_))
    }

    pub(in crate::simulated) fn has_failed(&self) -> bool {
        matches!(self.stage, Stage::Dead(Some(_)))
    }
}
