//! The progress bar: one for all transfers, on a terminal only.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;

/// Counts what arrives and, when it is to be seen, shows it. Any thread.
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    transfers: Mutex<Transfers>,
}

#[derive(Debug)]
struct Transfers {
    wanted: usize,
    ended: usize,
    /// Bytes that the bodies so far announced; unknown once one of them didn't.
    announced: Option<u64>,
}

impl Transfers {
    fn announce(&mut self, length: Option<u64>) {
        self.announced = self.announced.zip(length).and_then(|(sum, one)| sum.checked_add(one));
    }
}

const KNOWN: &str =
    "{prefix}{wide_bar} {bytes:>11}/{total_bytes} {binary_bytes_per_sec:>13} {eta:>4}";
const UNKNOWN: &str = "{prefix}{spinner} {bytes} {binary_bytes_per_sec} {elapsed}";
const REDRAWS_PER_SECOND: u8 = 10;

impl Progress {
    /// For `wanted` transfers; `visible` where a person wants to see it.
    pub(crate) fn new(wanted: usize, visible: bool) -> Self {
        let bar = visible.then(|| {
            let target = ProgressDrawTarget::stderr_with_hz(REDRAWS_PER_SECOND);
            ProgressBar::with_draw_target(None, target).with_style(style(UNKNOWN))
        });
        Self { bar, transfers: Mutex::new(Transfers { wanted, ended: 0, announced: Some(0) }) }
    }

    /// Whether somebody sees it.
    pub(crate) fn is_visible(&self) -> bool {
        self.bar.is_some()
    }

    /// A body begins: a response's, or an upload.
    pub(crate) fn begin(&self, length: Option<u64>) {
        let Some(bar) = &self.bar else { return };
        let mut transfers = self.transfers.lock();
        transfers.announce(length);
        match transfers.announced {
            Some(announced) => {
                bar.set_length(announced);
                bar.set_style(style(KNOWN));
            }
            None => bar.set_style(style(UNKNOWN)),
        }
    }

    /// Bytes of a body arrived, or left.
    pub(crate) fn add(&self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(bytes);
        }
    }

    /// A transfer ended, well or not.
    pub(crate) fn end_one(&self) {
        let Some(bar) = &self.bar else { return };
        let mut transfers = self.transfers.lock();
        transfers.ended += 1;
        if transfers.wanted > 1 {
            bar.set_prefix(format!("[{}/{}] ", transfers.ended, transfers.wanted));
        }
    }

    /// Writes to standard error without disturbing the bar.
    pub(crate) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Leaves no trace.
    pub(crate) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// Keeps the clock of a stalled transfer going.
    pub(crate) fn show(&self) {
        if let Some(bar) = &self.bar {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_known_while_every_response_announces_its_length() {
        let mut transfers = Transfers { wanted: 3, ended: 0, announced: Some(0) };
        transfers.announce(Some(10));
        transfers.announce(Some(5));
        assert_eq!(transfers.announced, Some(15));
        transfers.announce(None);
        transfers.announce(Some(5));
        assert_eq!(transfers.announced, None);
    }

    #[test]
    fn the_templates_are_valid() {
        for template in [KNOWN, UNKNOWN] {
            ProgressStyle::with_template(template).unwrap();
        }
    }
}
