//! What the requests of many programs came to: a generator whose programs all end alike tests nothing.

use std::{collections::BTreeMap, fmt};

use super::request::Request;

/// How often which end was reached.
#[derive(Debug, Default)]
pub struct Tally {
    programs: u64,
    ends: BTreeMap<String, u64>,
}

impl Tally {
    /// Programs that were played.
    pub fn programs(&self) -> u64 {
        self.programs
    }

    /// How many requests came to an end of this name: `complete`, `dropped`, or the name of an error.
    pub fn count(&self, end: &str) -> u64 {
        self.ends.get(end).copied().unwrap_or_default()
    }

    pub(super) fn add(&mut self, requests: &[Request], others: Vec<String>) {
        self.programs += 1;
        for end in requests.iter().map(name).chain(others) {
            *self.ends.entry(end).or_default() += 1;
        }
    }
}

/// The name of an error.
pub(super) fn first_word(error: &impl fmt::Debug) -> String {
    let text = format!("{error:?}");
    text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned()
}

fn name(request: &Request) -> String {
    let Some(fetch) = &request.fetch else { return "dropped".into() };
    match fetch.result() {
        Ok(()) => "complete".into(),
        Err(error) => first_word(&error),
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} programs;", self.programs)?;
        for (end, count) in &self.ends {
            write!(f, " {count} {end}")?;
        }
        Ok(())
    }
}
