//! The connection manager, the connections that it registers, and the handle whose drop reclaims them.
//!
//! ```text
//!  ConnectionMgr (the SocketHandler of the socket thread)
//!   ├─ ConnectionEntry per ConnectionInfo
//!   │    ├─ active:   the one connection that is usable or being made
//!   │    ├─ draining: connections that finish what runs on them (necko's mPendingConns)
//!   │    ├─ half-open: a name look-up that will become a connection
//!   │    └─ PendingTransactionQueue
//!   └─ HttpConnectionUdp ─► Http3Session ─► ConnectionHandle
//!                                               │ Drop
//!         removed from entry and table ◄────────┘ posts reclaim_connection
//! ```
//!
//! Ownership is a tree: the manager owns the connections, a connection its session, the session its streams
//! and the handle. What points upwards is a key with a generation; one that is stale finds nothing. Where
//! necko has a cycle of references that the last step of `Close` cuts by hand, the handle here holds only a
//! posted event, reserved when it was made, so posting it from `Drop` can't fail.

mod entry;
mod half_open;
mod handle;
mod http_connection_udp;
mod info;
mod mgr;
mod pending;
mod resolver;
mod snapshot;
mod target;

pub use handle::ConnectionHandle;
pub use http_connection_udp::HttpConnectionUdp;
pub use info::ConnectionInfo;
pub use mgr::{ConnectionMgr, Parts};
pub use resolver::{Resolve, SystemResolver};
pub use snapshot::{ConnectionSnapshot, EntrySnapshot, Lifetime, Snapshot};
pub use target::{ConnectionKey, Event, Target};
