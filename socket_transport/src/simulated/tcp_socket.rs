//! Placeholder.

use std::{io, net::SocketAddr};

use crate::StreamRead;

#[derive(Debug)]
pub(crate) enum SimulatedStream {}

impl SimulatedStream {
    pub(crate) fn local_addr(&self) -> SocketAddr {
        match *self {}
    }

    pub(crate) fn poll_connect(&mut self) -> io::Result<bool> {
        match *self {}
    }

    pub(crate) fn read(&mut self, _: &mut [u8]) -> io::Result<StreamRead> {
        match *self {}
    }

    pub(crate) fn write(&mut self, _: &[u8]) -> io::Result<Option<usize>> {
        match *self {}
    }

    pub(crate) fn shutdown_write(&mut self) -> io::Result<()> {
        match *self {}
    }

    pub(crate) fn reset_when_closed(&mut self) -> io::Result<()> {
        match *self {}
    }
}

#[derive(Debug)]
pub(crate) enum SimulatedListener {}

impl SimulatedListener {
    pub(crate) fn local_addr(&self) -> SocketAddr {
        match *self {}
    }

    pub(crate) fn accept(&mut self, _: usize) -> io::Result<Option<(SimulatedStream, SocketAddr)>> {
        match *self {}
    }
}
