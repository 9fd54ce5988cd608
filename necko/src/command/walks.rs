//! The walk through the layers, told once.
//!
//! The log carries single steps: the names of `socket_transport::walk::Step`. A download makes millions. Here
//! they are put together to walks (a datagram's, a timer's, a request's), and a walk is shown only from where
//! it takes a turn that no walk took before. So the output is bounded by the number of turns, a few dozen,
//! and each way through the layers is seen.

use std::collections::BTreeSet;

/// Where a step is at home, and how deep that is below the socket service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    layer: &'static str,
    depth: usize,
    /// What a walk that begins here came from; `None` if none does.
    cause: Option<&'static str>,
}

fn place(step: &str) -> Place {
    let (layer, depth, cause) = match step {
        "on_socket_ready" => ("socket_transport", 0, Some("a datagram, or room to send")),
        "on_socket_detached" => ("socket_transport", 0, Some("a socket is gone")),
        "on_quic_timeout_expired" => ("connection_mgr", 1, Some("a timer")),
        "activate" => ("connection_mgr", 1, Some("a request")),
        "transaction_has_data_to_recv" => ("connection_mgr", 1, Some("the reader made room")),
        "transaction_has_data_to_write" => ("connection_mgr", 1, Some("the writer has more")),
        "reclaim_connection" => ("connection_mgr", 1, Some("posted: reclaim")),
        "on_packet_received"
        | "on_stop_listening"
        | "close_transaction"
        | "handle_dropped"
        | "connection_close"
        | "process_pending_queue" => ("connection_mgr", 1, None),
        "recv_data" => ("http3_session", 2, Some("posted: receive")),
        "send_data" => ("http3_session", 2, Some("posted: send")),
        "zero_rtt_rejected" | "session_connected" | "session_close" | "session_closed" => {
            ("http3_session", 2, None)
        }
        "write_segments" | "read_segments" => ("streams", 4, None),
        _ => ("http3_session", 3, None),
    };
    Place { layer, depth, cause }
}

/// Steps on their way to lines.
#[derive(Debug, Default)]
pub(crate) struct Walks {
    /// The walk that is going on.
    current: Vec<String>,
    /// How much of it was told.
    told: usize,
    /// It takes a turn that is new.
    telling: bool,
    /// Turns that some walk took: from a step to the next one.
    turns: BTreeSet<(String, String)>,
    steps: u64,
    begun: u64,
}

/// A walk longer than this goes on without being remembered.
const LONGEST: usize = 64;

impl Walks {
    /// Takes a step; answers the lines that tell of it.
    pub(crate) fn step(&mut self, step: &str) -> Vec<String> {
        self.steps += 1;
        if self.begins_with(step) {
            self.begun += 1;
            self.current.clear();
            self.told = 0;
            self.telling = false;
        }
        let last = self.current.last().map_or("", String::as_str);
        if last == step || self.current.len() == LONGEST {
            return Vec::new();
        }
        let new_turn = self.turns.insert((last.to_owned(), step.to_owned()));
        self.current.push(step.to_owned());
        self.telling |= new_turn;
        if self.telling { self.tell() } else { Vec::new() }
    }

    /// Whether a step begins a walk, or belongs to the one that is going on.
    fn begins_with(&self, step: &str) -> bool {
        let Some(last) = self.current.last() else { return true };
        let before = |wanted: &str| self.current.iter().any(|step| step == wanted);
        match step {
            // Both are called by the step before them, or posted.
            "recv_data" => last != "on_packet_received",
            "send_data" => {
                let by_recv_data = before("recv_data") && !before("send_data");
                let closing = ["close_transaction", "session_close", "close_stream"];
                !(by_recv_data || closing.contains(&last.as_str()))
            }
            _ => place(step).cause.is_some(),
        }
    }

    fn tell(&mut self) -> Vec<String> {
        let untold = self.current.get(self.told..).unwrap_or_default();
        let mut lines = Vec::with_capacity(untold.len() + 1);
        for (n, step) in untold.iter().enumerate() {
            let place = place(step);
            if self.told + n == 0 {
                let cause = place.cause.unwrap_or("elsewhere");
                lines.push(format!("{:<16} [{cause}]", "walk"));
            }
            let indent = 2 * place.depth;
            lines.push(format!("{:<16} {:indent$}{step}", place.layer, ""));
        }
        self.told = self.current.len();
        lines
    }

    /// The closing words.
    pub(crate) fn summary(&self) -> Option<String> {
        (self.steps > 0).then(|| {
            format!(
                "{:<16} {} steps in {} walks; each turn was shown once (all of them with -vv)",
                "walk", self.steps, self.begun
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a datagram with a response in it does.
    const DATAGRAM: [&str; 11] = [
        "on_socket_ready",
        "on_packet_received",
        "recv_data",
        "process_slow_consumers",
        "process_input",
        "process_events",
        "write_segments",
        "send_data",
        "ready_for_write",
        "process_output",
        "process_events",
    ];

    fn walk(walks: &mut Walks, steps: &[&str]) -> Vec<String> {
        steps.iter().flat_map(|step| walks.step(step)).collect()
    }

    #[test]
    fn a_walk_is_told_once_and_counted_after_that() {
        let mut walks = Walks::default();
        let lines = walk(&mut walks, &DATAGRAM);
        assert_eq!(lines.len(), DATAGRAM.len() + 1);
        assert_eq!(lines[0], "walk             [a datagram, or room to send]");
        assert_eq!(lines[1], "socket_transport on_socket_ready");
        assert_eq!(lines[2], "connection_mgr     on_packet_received");
        assert_eq!(lines[3], "http3_session        recv_data");
        assert_eq!(lines[7], "streams                  write_segments");
        for _ in 0..1000 {
            assert!(walk(&mut walks, &DATAGRAM).is_empty());
        }
        let summary = walks.summary().unwrap();
        assert!(summary.contains("11011 steps in 1001 walks"), "{summary}");
    }

    #[test]
    fn a_walk_with_a_new_turn_is_told_from_its_beginning() {
        let mut walks = Walks::default();
        walk(&mut walks, &DATAGRAM);
        let lines = walk(&mut walks, &["on_socket_ready", "on_packet_received", "recv_data"]);
        assert!(lines.is_empty());
        let lines = walk(&mut walks, &["close_transaction"]);
        assert_eq!(lines.len(), 5);
        assert!(lines[1].contains("on_socket_ready"));
        assert!(lines[4].contains("close_transaction"));
    }

    #[test]
    fn a_posted_send_is_a_walk_of_its_own() {
        let mut walks = Walks::default();
        walk(&mut walks, &["activate"]);
        let lines = walk(&mut walks, &["send_data", "ready_for_write", "read_segments"]);
        assert_eq!(lines[0], "walk             [posted: send]");
        let lines = walk(&mut walks, &["on_quic_timeout_expired", "process_output"]);
        assert_eq!(lines[0], "walk             [a timer]");
        assert_eq!(walks.begun, 3);
    }

    #[test]
    fn repeated_steps_are_one() {
        let mut walks = Walks::default();
        let lines =
            walk(&mut walks, &["recv_data", "process_events", "write_segments", "write_segments"]);
        assert_eq!(lines.len(), 4);
        let endless = vec!["write_segments"; 10_000];
        assert!(walk(&mut walks, &endless).is_empty());
    }
}
