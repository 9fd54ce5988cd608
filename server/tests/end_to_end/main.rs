//! The server over real sockets, with a client on the same engine: one program, so that the engine
//! is linked once.
//!
//! Clients of other implementations are in the `tests` crate.

#[cfg(test)]
mod admission;
#[cfg(test)]
mod command;
#[cfg(test)]
mod common;
#[cfg(test)]
mod downloads;
#[cfg(test)]
mod lifecycle;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod many;
#[cfg(test)]
mod ranges;
#[cfg(test)]
mod slowness;
#[cfg(test)]
mod stored;
#[cfg(test)]
mod streams;
#[cfg(test)]
mod uploads;
