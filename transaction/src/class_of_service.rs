//! How urgent a request is among those that wait for a connection. Necko's class is `ClassOfService`.

/// The browser tab that a request belongs to, or whatever else the application shows one of at a time
/// (necko's browser id). Zero is no tab in particular.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TabId(pub u64);

/// Where a request stands in the queue for a connection. Once it is on one, its
/// [`Priority`](crate::Priority) counts alone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClassOfService {
    /// The user waits for it: before all others (necko's `UrgentStart`).
    pub urgent_start: bool,
    /// Its tab. The one in front goes before the others, which take turns.
    pub tab: TabId,
}
