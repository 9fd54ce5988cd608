//! The decision trace: what every link did with every packet, to be read, kept and played again.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt, fs, io,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use super::Chance;

/// How many records a network keeps; the oldest go first.
const CAPACITY: usize = 1 << 16;

/// What became of a packet on its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives (if duplicated, twice) at this virtual time since the network began.
    Arrives(Duration),
    /// Chance lost it.
    Lost,
    /// The link's queue was full.
    QueueFull,
    /// It was larger than the link's MTU.
    TooLarge,
    /// The link was a blackhole at that time.
    Blackholed,
}

/// One packet on one link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The virtual time, since the network began, at which the packet was sent.
    pub at: Duration,
    /// The machine that sent it.
    pub from: IpAddr,
    /// The machine that it was sent to.
    pub to: IpAddr,
    /// The packet's number on this link, from 0.
    pub ordinal: u64,
    /// The length of the datagram.
    pub length: usize,
    /// What chance decided.
    pub chance: Chance,
    /// What became of the packet.
    pub fate: Fate,
}

/// What the links of a network did, oldest first: the last 65,536 packets.
///
/// As text it is one line a packet, for people as well as for [`Trace::load`]:
///
/// ```text
/// necko-trace seed 42 omitted 0
/// 0.000000000 10.0.0.1 > 10.0.0.2 #0 1252 bytes arrives 0.010000000
/// 0.000200000 10.0.0.1 > 10.0.0.2 #1 1252 bytes lost jitter 0.000120000 duplicated
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    pub(super) seed: u64,
    pub(super) omitted: u64,
    pub(super) records: VecDeque<Record>,
}

impl Trace {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, omitted: 0, records: VecDeque::new() }
    }

    pub(super) fn push(&mut self, record: Record) {
        if self.records.len() >= CAPACITY {
            self.records.pop_front();
            self.omitted += 1;
        }
        self.records.push_back(record);
    }

    /// The seed of the network that this happened in.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How many older packets the trace no longer knows.
    pub fn omitted(&self) -> u64 {
        self.omitted
    }

    /// What happened, oldest first.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.iter()
    }

    /// Writes the trace to a file.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        fs::write(path, self.to_string())
    }

    /// Reads a trace from a file.
    ///
    /// # Errors
    /// As the file system says, or `InvalidData` for a file that is not a trace.
    pub fn load(path: &Path) -> io::Result<Self> {
        fs::read_to_string(path)?
            .parse()
            .map_err(|error: super::NotATrace| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Writes the trace to the directory for temporary files, under a name that is still free.
    pub(super) fn save_somewhere(&self) -> io::Result<PathBuf> {
        let folder = std::env::temp_dir();
        let process = std::process::id();
        for number in 0..10_000 {
            let path = folder.join(format!("necko-trace-{}-{process}-{number}.txt", self.seed));
            match fs::OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(mut file) => {
                    io::Write::write_all(&mut file, self.to_string().as_bytes())?;
                    return Ok(path);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// The records by packet, to be played again.
    pub(super) fn into_script(self) -> Script {
        let packet = |record: &Record| (record.from, record.to, record.ordinal);
        Script(self.records.iter().map(|record| (packet(record), *record)).collect())
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        super::trace_text::write(self, f)
    }
}

/// A recorded trace that decides in place of chance, as far as it goes.
#[derive(Default)]
pub(super) struct Script(BTreeMap<(IpAddr, IpAddr, u64), Record>);

impl Script {
    pub(super) fn of(&self, from: IpAddr, to: IpAddr, ordinal: u64) -> Option<&Record> {
        self.0.get(&(from, to, ordinal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_are_kept() {
        let ip = IpAddr::from([10, 0, 0, 1]);
        let mut trace = Trace::new(1);
        for ordinal in 0..CAPACITY as u64 + 5 {
            trace.push(Record {
                at: Duration::ZERO,
                from: ip,
                to: ip,
                ordinal,
                length: 0,
                chance: Chance::default(),
                fate: Fate::Lost,
            });
        }
        assert_eq!(trace.records().count(), CAPACITY);
        assert_eq!(trace.omitted(), 5);
        assert_eq!(trace.records().next().unwrap().ordinal, 5);
    }
}
