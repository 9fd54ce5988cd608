//! The connection manager, the connections that it registers, and the handle whose drop reclaims them.
//!
//! ```text
//!  ConnectionMgr (the SocketHandler of the socket thread)
//!   ├─ ConnectionEntry per ConnectionInfo
//!   │    ├─ active:    connections in use, usable, or being made; of HTTP/3 at most one
//!   │    ├─ idle:      to be used again (never HTTP/3)
//!   │    ├─ draining:  connections that finish what runs on them (necko's mPendingConns)
//!   │    ├─ coalesced: another entry's connection, if its server is this host's as well
//!   │    ├─ half-open: a name look-up that will become a connection
//!   │    └─ PendingTransactionQueue
//!   ├─ CoalescingTable: who may be joined
//!   ├─ HttpConnectionUdp ─► Http3Session ─► ConnectionHandle
//!   │                                           │ Drop
//!   │     removed from entry and table ◄────────┘ posts reclaim_connection
//!   │
//!   └─ HttpConnectionTcp ─► Http1Session   ConnectionHandle, one for each request
//!                                               │ Drop
//!         the idle list, or removed ◄───────────┘ posts reclaim_connection
//! ```
//!
//! Ownership is a tree: the manager owns the connections, a connection its session, the session its streams
//! and the handle. What points upwards is a key with a generation; one that is stale finds nothing. Where
//! necko has a cycle of references that the last step of `Close` cuts by hand, the handle here holds only a
//! posted event, reserved when it was made, so posting it from `Drop` can't fail.
//!
//! # The way of a request
//!
//! ```text
//!  NewTransaction ─► pending queue ─► a usable connection? ──────────────────────► activate
//!                        ▲              │ no
//!                        │              ├─ one is being made: wait for it
//!                        │              ├─ no room: stand in line, an unused connection is closed
//!   reclaim, connected, ─┘              └─ resolve ─► join another host's, or connect
//!   room, a verdict
//! ```

#[cfg(debug_assertions)]
mod accounts;
mod addresses;
mod coalescing;
mod connection;
mod entry;
mod half_open;
mod handle;
mod http_connection_tcp;
mod http_connection_udp;
mod limits;
mod mgr;
mod pending;
mod resolver;
mod snapshot;
mod target;
mod time_limits;

pub use connection::{Aftermath, Ctx, Dial, HttpConnection, HttpConnectionFactory};
pub use handle::ConnectionHandle;
pub use http_connection_tcp::{Http11ConnectionFactory, HttpConnectionTcp, TcpState};
pub use http_connection_udp::HttpConnectionUdp;
pub use limits::ConnectionLimits;
pub use mgr::{ConnectionMgr, Parts};
pub use resolver::{Resolve, SystemResolver};
pub use snapshot::{
    ConnectionSnapshot, EntrySnapshot, HalfOpenState, Http1Snapshot, Lifetime, Snapshot,
};
pub use target::{ConnectionKey, Event, Target};
pub use transaction::ConnectionInfo;
