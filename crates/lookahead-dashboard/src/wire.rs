//! What goes through the pipe between a dashboard and a run on another machine: lines of JSON.
//!
//! | direction | line |
//! |---|---|
//! | to the dashboard, first | a [`Greeting`] |
//! | to the dashboard, then | updates of the run: [`RunUpdate`] |
//! | to the run | a [`Command`](lookahead_run::command::Command), or an empty line as a sign of life |
//!
//! Nothing in a line is trusted: its length is bounded, and what is not understood ends the connection.

use std::fmt::{self, Display};
use std::io::{self, BufRead, ErrorKind, Read};
use std::str::FromStr;
use std::time::Duration;

use lookahead_run::log;
use serde::{Deserialize, Serialize};

use crate::message::RunUpdate;

/// The version of these lines. It changes if an older program would misread them.
pub(crate) const PROTOCOL: u32 = 1;
/// Most bytes of a line with an update. A record may be longer than in its log, since it is written anew.
pub(crate) const LARGEST_UPDATE: usize = 4 * log::LARGEST_LINE;
/// The time between two signs of life of a dashboard.
pub(crate) const SIGN_OF_LIFE: Duration = Duration::from_secs(20);
/// After this time without one the relay ends. A dashboard may be suspended for some minutes.
pub(crate) const SILENCE: Duration = Duration::from_secs(15 * 60);

/// The first line of a relay.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Greeting {
    /// Its [`PROTOCOL`].
    pub(crate) lookahead_relay: u32,
    /// Why it can't relay the run, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

/// How much of a run's log a dashboard has, so that a new connection continues there. Written as COUNT:HASH.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bookmark {
    /// The number of lines of the log.
    pub(crate) lines: u64,
    /// Their times and steps, by which a log with another beginning is recognized.
    hash: u64,
}

impl Bookmark {
    /// Accounts for an update that the dashboard got.
    pub(crate) fn add(&mut self, update: &RunUpdate) {
        match update {
            RunUpdate::Restarted => *self = Bookmark::default(),
            RunUpdate::Record(record) => self.add_line([record.time.to_bits(), record.step]),
            RunUpdate::Damaged { line, .. } => self.add_line([u64::MAX, *line]),
            _ => {}
        }
    }

    fn add_line(&mut self, words: [u64; 2]) {
        self.lines += 1;
        // As FNV-1a, by words; the rotation brings high bits, which a product doesn't move down, into the low ones.
        for word in words {
            self.hash = (self.hash ^ word).wrapping_mul(0x100_0000_01b3).rotate_left(29);
        }
    }
}

impl Display for Bookmark {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{:x}", self.lines, self.hash)
    }
}

impl FromStr for Bookmark {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (lines, hash) = text.split_once(':')?;
            let hash = u64::from_str_radix(hash, 16).ok()?;
            Some(Bookmark { lines: lines.parse().ok()?, hash })
        };
        parse().ok_or_else(|| format!("`{text}` is not a bookmark. Use for example 0:0."))
    }
}

/// Reads a line without its line feed into `line`; false at the end.
///
/// # Errors
/// If the pipe can't be read, or the line has more than `largest` bytes.
pub(crate) fn read_line(
    reader: &mut impl BufRead,
    largest: usize,
    line: &mut Vec<u8>,
) -> io::Result<bool> {
    line.clear();
    reader.take(largest as u64 + 1).read_until(b'\n', line)?;
    match line.pop() {
        Some(b'\n') => Ok(true),
        Some(_) if line.len() >= largest => Err(io::Error::new(
            ErrorKind::InvalidData,
            format!("a line is longer than {largest} bytes"),
        )),
        // Half a line, because the sender is gone.
        _ => Ok(false),
    }
}

#[cfg(test)]
mod tests;
