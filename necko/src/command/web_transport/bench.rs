//! `--bench`: how fast a server is that sends everything back.

use std::{
    fmt,
    io::{self, Write as _},
    time::{Duration, Instant},
};

use bytes::Bytes;
use necko::WebTransportSession;
use serde::Serialize;

use super::{WebTransport, on_a_thread, open_bi, written};
use crate::command::{exit_code::ExitCode, report::Failure, wait::Waiter};

/// The size of what is sent at a time.
const PIECE: usize = 64 * 1024;

/// A message of a round trip.
const MESSAGE: usize = 32;

/// A datagram that is not back by then is lost.
const LOST: Duration = Duration::from_secs(1);

/// When so many were lost and none came back, none will.
const NONE_COMES: usize = 3;

/// What is sent repeats itself after so many bytes, which is no multiple of anything that matters.
const PERIOD: u64 = 251;

/// The bytes that are sent from this place on.
fn content(position: u64) -> impl Iterator<Item = u8> {
    (position..).map(|place| u8::try_from(place % PERIOD).unwrap_or_default())
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Figures {
    bytes: u64,
    seconds: f64,
    bytes_per_second: f64,
    stream_round_trips: RoundTrips,
    datagram_round_trips: RoundTrips,
}

/// Round trips, in milliseconds.
#[derive(Debug, Default, PartialEq, Serialize)]
struct RoundTrips {
    count: usize,
    lost: usize,
    min: f64,
    median: f64,
    p95: f64,
    max: f64,
}

impl RoundTrips {
    fn of(mut trips: Vec<Duration>, lost: usize) -> Self {
        trips.sort_unstable();
        let at = |place: usize| trips.get(place).map_or(0.0, |trip| trip.as_secs_f64() * 1000.0);
        let end = trips.len().saturating_sub(1);
        Self {
            count: trips.len(),
            lost,
            min: at(0),
            median: at(end / 2),
            p95: at(end * 95 / 100),
            max: at(end),
        }
    }
}

impl fmt::Display for RoundTrips {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, lost, min, median, p95, max } = self;
        write!(
            f,
            "{min:.3} / {median:.3} / {p95:.3} / {max:.3} ms ({count} round trips, {lost} lost)"
        )
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mega = |bytes: f64| bytes / 1e6;
        let (rate, seconds) = (mega(self.bytes_per_second), self.seconds);
        writeln!(f, "echo       {rate:.1} MB/s each way ({} bytes in {seconds:.3} s)", self.bytes)?;
        writeln!(f, "           min / median / 95 % / max")?;
        writeln!(f, "stream     {}", self.stream_round_trips)?;
        writeln!(f, "datagrams  {}", self.datagram_round_trips)
    }
}

pub(super) fn run(
    options: &WebTransport,
    session: &WebTransportSession,
    waiter: &mut Waiter<'_>,
) -> Result<(), Failure> {
    let rounds = usize::try_from(options.bench_rounds.get()).unwrap_or(usize::MAX);
    let took = echo(session, waiter, options.bench_bytes)?;
    let seconds = took.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate is no exact number")]
    let bytes_per_second = options.bench_bytes as f64 / seconds.max(f64::MIN_POSITIVE);
    let figures = Figures {
        bytes: options.bench_bytes,
        seconds,
        bytes_per_second,
        stream_round_trips: stream_rounds(session, waiter, rounds)?,
        datagram_round_trips: datagram_rounds(session, waiter, rounds)?,
    };
    let text = if options.json {
        let json = serde_json::to_string(&figures);
        json.map_err(|error| Failure::new(ExitCode::Internal, error.to_string()))? + "\n"
    } else {
        figures.to_string()
    };
    written(io::stdout().write_all(text.as_bytes())).map(|_| ())
}

/// Sends so much and takes it back; says how long that took.
fn echo(
    session: &WebTransportSession,
    waiter: &Waiter<'_>,
    bytes: u64,
) -> Result<Duration, Failure> {
    let (mut send, mut receive) = open_bi(session, waiter)?;
    let begun = waiter.now();
    on_a_thread(move || {
        let period = usize::try_from(PERIOD).unwrap_or_default();
        let pattern: Bytes = content(0).take(PIECE + period).collect();
        let mut position = 0;
        while position < bytes {
            let offset = usize::try_from(position % PERIOD).unwrap_or_default();
            let count = usize::try_from(bytes - position).unwrap_or(PIECE).min(PIECE);
            // Whoever reads learns of what goes wrong.
            if send.wait_send(pattern.slice(offset..offset + count)).is_err() {
                return;
            }
            position += count as u64;
        }
        send.finish();
    })?;
    let mut back = 0_u64;
    while let Some(piece) = waiter.wait(receive.chunk())?? {
        if !piece.iter().copied().eq(content(back).take(piece.len())) {
            let what = format!("behind {back} bytes something else came back than was sent");
            return Err(Failure::new(ExitCode::PartialTransfer, what));
        }
        back = back.saturating_add(piece.len() as u64);
    }
    if back != bytes {
        let what =
            format!("of {bytes} bytes {back} came back: the server sends not everything back");
        return Err(Failure::new(ExitCode::PartialTransfer, what));
    }
    Ok(since(begun, waiter))
}

fn since(begun: Instant, waiter: &Waiter<'_>) -> Duration {
    waiter.now().saturating_duration_since(begun)
}

fn stream_rounds(
    session: &WebTransportSession,
    waiter: &Waiter<'_>,
    rounds: usize,
) -> Result<RoundTrips, Failure> {
    let (mut send, mut receive) = open_bi(session, waiter)?;
    let mut trips = Vec::new();
    for _ in 0..rounds {
        let begun = waiter.now();
        waiter.wait(send.send(Bytes::from_static(&[0; MESSAGE])))??;
        let mut back = 0;
        while back < MESSAGE {
            let Some(piece) = waiter.wait(receive.chunk())?? else {
                let what = "the server ended the stream in the middle of the measurement";
                return Err(Failure::new(ExitCode::PartialTransfer, what));
            };
            back += piece.len();
        }
        trips.push(since(begun, waiter));
    }
    send.finish();
    Ok(RoundTrips::of(trips, 0))
}

fn datagram_rounds(
    session: &WebTransportSession,
    waiter: &mut Waiter<'_>,
    rounds: usize,
) -> Result<RoundTrips, Failure> {
    let (mut trips, mut lost) = (Vec::new(), 0);
    // A server that takes none has no figures.
    let rounds = if session.max_datagram_size() < MESSAGE { 0 } else { rounds };
    for round in 0..rounds {
        if lost == NONE_COMES && trips.is_empty() {
            break;
        }
        let mut message = [0; MESSAGE];
        for (to, from) in message.iter_mut().zip(round.to_be_bytes()) {
            *to = from;
        }
        let begun = waiter.now();
        session.send_datagram(Bytes::copy_from_slice(&message))?;
        if comes_back(session, waiter, &message)? {
            trips.push(since(begun, waiter));
        } else {
            lost += 1;
        }
    }
    Ok(RoundTrips::of(trips, lost))
}

/// Late ones of earlier rounds are passed over.
fn comes_back(
    session: &WebTransportSession,
    waiter: &mut Waiter<'_>,
    message: &[u8],
) -> Result<bool, Failure> {
    waiter.begin(Some(LOST), None);
    let found = loop {
        match waiter.wait(session.recv_datagram()) {
            Ok(Ok(datagram)) if datagram == message => break Ok(true),
            Ok(Ok(_)) => {}
            Ok(Err(error)) => break Err(error.into()),
            Err(failure) if failure.code == ExitCode::Timeout => break Ok(false),
            Err(failure) => break Err(failure),
        }
    };
    waiter.begin(None, None);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_are_told_by_their_order() {
        let trips = (1..=100).rev().map(Duration::from_millis).collect();
        let figures = RoundTrips::of(trips, 2);
        let expected =
            RoundTrips { count: 100, lost: 2, min: 1.0, median: 50.0, p95: 95.0, max: 100.0 };
        assert_eq!(figures, expected);
        assert_eq!(RoundTrips::of(Vec::new(), 3).lost, 3);
        assert!(figures.to_string().starts_with("1.000 / 50.000 / 95.000 / 100.000 ms"));
    }
}
