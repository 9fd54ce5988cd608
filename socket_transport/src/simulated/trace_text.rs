//! The decision trace as text: written for people, read back to be played again.

use std::{
    error::Error,
    fmt,
    str::{FromStr, SplitWhitespace},
    time::Duration,
};

use super::{Chance, Fate, Record, Trace};

/// A text that is not a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotATrace {
    /// The line that could not be read, from 1.
    pub line: usize,
}

impl fmt::Display for NotATrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} is not one of a trace", self.line)
    }
}

impl Error for NotATrace {}

/// Seconds with all nine decimals, so that nothing is lost.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.0.as_secs(), self.0.subsec_nanos())
    }
}

pub(super) fn write(trace: &Trace, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "necko-trace seed {} omitted {}", trace.seed, trace.omitted)?;
    trace.records().try_for_each(|record| write_record(record, f))
}

fn write_record(record: &Record, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Record { at, from, to, ordinal, length, chance, fate } = record;
    write!(f, "{} {from} > {to} #{ordinal} {length} bytes ", Seconds(*at))?;
    match fate {
        Fate::Arrives(at) => write!(f, "arrives {}", Seconds(*at))?,
        Fate::Lost => f.write_str("lost")?,
        Fate::QueueFull => f.write_str("queue-full")?,
        Fate::TooLarge => f.write_str("too-large")?,
        Fate::Blackholed => f.write_str("blackholed")?,
    }
    write_chance(chance, *fate, f)?;
    writeln!(f)
}

fn write_chance(chance: &Chance, fate: Fate, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if !chance.jitter.is_zero() {
        write!(f, " jitter {}", Seconds(chance.jitter))?;
    }
    // Dropped for another reason before the loss that chance had in store for it could.
    let unlucky = chance.lost && fate != Fate::Lost;
    for (yes, word) in [
        (unlucky, " unlucky"),
        (chance.duplicated, " duplicated"),
        (chance.reordered, " reordered"),
        (chance.marked, " marked"),
    ] {
        if yes {
            f.write_str(word)?;
        }
    }
    chance.corrupted.map_or(Ok(()), |number| write!(f, " corrupted {number}"))
}

impl FromStr for Trace {
    type Err = NotATrace;

    fn from_str(text: &str) -> Result<Self, NotATrace> {
        let mut lines = (1..).zip(text.lines());
        let mut trace = lines
            .next()
            .and_then(|(_, line)| read_head(line.split_whitespace()))
            .ok_or(NotATrace { line: 1 })?;
        for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
            let record = read_record(line.split_whitespace()).ok_or(NotATrace { line: number })?;
            trace.push(record);
        }
        Ok(trace)
    }
}

fn read_head(mut words: SplitWhitespace<'_>) -> Option<Trace> {
    expect(&mut words, "necko-trace")?;
    expect(&mut words, "seed")?;
    let mut trace = Trace::new(number(&mut words)?);
    expect(&mut words, "omitted")?;
    trace.omitted = number(&mut words)?;
    Some(trace)
}

fn read_record(mut words: SplitWhitespace<'_>) -> Option<Record> {
    let at = seconds(&mut words)?;
    let from = number(&mut words)?;
    expect(&mut words, ">")?;
    let to = number(&mut words)?;
    let ordinal = words.next()?.strip_prefix('#')?.parse().ok()?;
    let length = number(&mut words)?;
    expect(&mut words, "bytes")?;
    let fate = match words.next()? {
        "arrives" => Fate::Arrives(seconds(&mut words)?),
        "lost" => Fate::Lost,
        "queue-full" => Fate::QueueFull,
        "too-large" => Fate::TooLarge,
        "blackholed" => Fate::Blackholed,
        _ => return None,
    };
    let chance = read_chance(words, fate)?;
    Some(Record { at, from, to, ordinal, length, chance, fate })
}

fn read_chance(mut words: SplitWhitespace<'_>, fate: Fate) -> Option<Chance> {
    let mut chance = Chance { lost: fate == Fate::Lost, ..Chance::default() };
    while let Some(word) = words.next() {
        match word {
            "jitter" => chance.jitter = seconds(&mut words)?,
            "unlucky" => chance.lost = true,
            "duplicated" => chance.duplicated = true,
            "reordered" => chance.reordered = true,
            "marked" => chance.marked = true,
            "corrupted" => chance.corrupted = Some(number(&mut words)?),
            _ => return None,
        }
    }
    Some(chance)
}

fn expect(words: &mut SplitWhitespace<'_>, word: &str) -> Option<()> {
    (words.next()? == word).then_some(())
}

fn number<T: FromStr>(words: &mut SplitWhitespace<'_>) -> Option<T> {
    words.next()?.parse().ok()
}

fn seconds(words: &mut SplitWhitespace<'_>) -> Option<Duration> {
    let (whole, nanos) = words.next()?.split_once('.')?;
    let exact = nanos.len() == 9 && nanos.bytes().all(|digit| digit.is_ascii_digit());
    exact.then_some(Duration::new(whole.parse().ok()?, nanos.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let text = "necko-trace seed 42 omitted 3\n\
            0.000000000 10.0.0.1 > 10.0.0.2 #3 1252 bytes arrives 0.010000007\n\
            1.000000001 fd00::1 > fd00::2 #0 0 bytes lost jitter 0.000000120 duplicated marked\n\
            2.000000000 10.0.0.1 > 10.0.0.2 #4 9 bytes blackholed unlucky reordered\n\
            3.000000000 10.0.0.1 > 10.0.0.2 #5 9 bytes queue-full\n\
            4.000000000 10.0.0.1 > 10.0.0.2 #6 9 bytes too-large corrupted 18446744073709551615\n";
        let trace: Trace = text.parse().unwrap();
        assert_eq!(trace.records().count(), 5);
        assert_eq!(trace.to_string(), text);
    }

    #[test]
    fn another_text_is_refused_with_its_line() {
        let refused = |text: &str| text.parse::<Trace>().unwrap_err().line;
        assert_eq!(refused(""), 1);
        assert_eq!(refused("necko-trace seed x omitted 0"), 1);
        let head = "necko-trace seed 1 omitted 0\n\n";
        for line in [
            "nonsense",
            "0.0 10.0.0.1 > 10.0.0.2 #3 1252 bytes lost",
            "0.+00000001 10.0.0.1 > 10.0.0.2 #3 1252 bytes lost",
            "0.000000000 10.0.0.1 > 10.0.0.2 #3 1252 bytes stolen",
            "0.000000000 10.0.0.1 > 10.0.0.2 #3 1252 bytes arrives",
            "0.000000000 10.0.0.1 > 10.0.0.2 #3 1252 bytes lost jitter",
        ] {
            assert_eq!(refused(&format!("{head}{line}")), 3, "{line}");
        }
    }
}
