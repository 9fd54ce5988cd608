//! What can be said about a link.

use std::time::Duration;

/// How one direction of the way between two machines behaves. By default a packet of up to 1500
/// bytes arrives after ten milliseconds, in order, whole and once.
///
/// ```
/// # use std::time::Duration;
/// # use socket_transport::simulated::LinkConfig;
/// let mobile = LinkConfig::new()
///     .delay(Duration::from_millis(60))
///     .jitter(Duration::from_millis(20))
///     .rate_bits_per_second(5_000_000)
///     .loss(0.01);
/// ```
///
/// Sizes are those of IP packets: a datagram of *n* bytes counts as *n* + 28 on IPv4 and *n* + 48
/// on IPv6. Chances are between 0 (never) and 1 (always).
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct LinkConfig {
    pub(super) delay: Duration,
    pub(super) jitter: Duration,
    pub(super) rate: Option<u64>,
    pub(super) queue_bytes: usize,
    pub(super) loss: f64,
    pub(super) burst: u32,
    pub(super) duplicate: f64,
    pub(super) reorder: f64,
    pub(super) reorder_delay: Duration,
    pub(super) corrupt: f64,
    pub(super) ecn_mark: f64,
    pub(super) ecn_bleach: bool,
    pub(super) mtu: usize,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            delay: Duration::from_millis(10),
            jitter: Duration::ZERO,
            rate: None,
            queue_bytes: 256 * 1024,
            loss: 0.0,
            burst: 1,
            duplicate: 0.0,
            reorder: 0.0,
            reorder_delay: Duration::from_millis(5),
            corrupt: 0.0,
            ecn_mark: 0.0,
            ecn_bleach: false,
            mtu: 1500,
        }
    }
}

impl LinkConfig {
    /// The default link.
    pub fn new() -> Self {
        Self::default()
    }

    /// The time that every packet travels.
    pub fn delay(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    /// Extra delay, evenly distributed between nothing and `jitter`. It never reorders packets: a
    /// quicker packet waits for the slower one before it. Use [`reorder`](Self::reorder) for that.
    pub fn jitter(self, jitter: Duration) -> Self {
        Self { jitter, ..self }
    }

    /// How fast packets leave the link's queue. Without a rate (the default) nothing ever queues.
    pub fn rate_bits_per_second(self, rate: u64) -> Self {
        Self { rate: Some(rate.max(1)), ..self }
    }

    /// How many bytes wait for the rate, the packet being sent included, before packets are
    /// dropped. 256 KiB by default; without meaning where there is no rate.
    pub fn queue_bytes(self, queue_bytes: usize) -> Self {
        Self { queue_bytes, ..self }
    }

    /// The chance that a packet is lost (with [`burst`](Self::burst): that a burst starts with it).
    pub fn loss(self, loss: f64) -> Self {
        Self { loss, ..self }
    }

    /// How many packets in a row a loss takes: 1 by default.
    pub fn burst(self, packets: u32) -> Self {
        Self { burst: packets.max(1), ..self }
    }

    /// The chance that a packet arrives twice, the second time directly after the first.
    pub fn duplicate(self, duplicate: f64) -> Self {
        Self { duplicate, ..self }
    }

    /// The chance that a packet is held back by `delay` more while later ones overtake it.
    pub fn reorder(self, reorder: f64, delay: Duration) -> Self {
        Self { reorder, reorder_delay: delay, ..self }
    }

    /// The chance that one byte of a packet is another one when it arrives.
    pub fn corrupt(self, corrupt: f64) -> Self {
        Self { corrupt, ..self }
    }

    /// The chance that an ECN-capable packet arrives marked as having met congestion.
    pub fn ecn_mark(self, ecn_mark: f64) -> Self {
        Self { ecn_mark, ..self }
    }

    /// Whether the link clears the ECN bits of every packet, as some routers do.
    pub fn ecn_bleach(self, ecn_bleach: bool) -> Self {
        Self { ecn_bleach, ..self }
    }

    /// The largest IP packet that passes. A larger one is dropped without a word, as behind a
    /// router whose ICMP is filtered; without
    /// [`dont_fragment`](crate::UdpOptions::dont_fragment) it passes, in fragments.
    pub fn mtu(self, mtu: usize) -> Self {
        Self { mtu, ..self }
    }

    /// How long a packet occupies the sender.
    pub(super) fn transmission(&self, bytes: usize) -> Duration {
        let Some(rate) = self.rate else { return Duration::ZERO };
        let bits = u128::try_from(bytes).unwrap_or(u128::MAX).saturating_mul(8);
        let nanos = bits.saturating_mul(1_000_000_000).div_ceil(u128::from(rate));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}
