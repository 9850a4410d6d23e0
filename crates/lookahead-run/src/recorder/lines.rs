//! Lines of the log that wait for its writer, in bounded memory.

use serde::{Serialize, Serializer};

use crate::event::{Event, Record};
use crate::lines::LARGEST_LINE;

/// Most bytes that wait for a disk that takes nothing: some hundred thousand calls of
/// [`log`](super::Recorder::log).
pub(super) const MOST: usize = 32 << 20;
/// How many of them are for rare events, for example warnings.
const RESERVED: usize = 1 << 20;

/// Whole lines that wait.
#[derive(Debug, Default)]
pub(super) struct WaitingLines {
    pub(super) bytes: Vec<u8>,
    pub(super) count: u64,
    /// Bytes that the writer has taken, and that are not written, and how many lines they are.
    pub(super) taken: usize,
    pub(super) taken_count: u64,
    /// Lines that were dropped, and of which no line of the log tells yet.
    pub(super) lost: u64,
}

impl WaitingLines {
    /// Adds a line of scalars; whether it is not too long for a line. If there is no room it is dropped, and counted.
    pub(super) fn add_scalars(&mut self, time: f64, step: u64, values: &[(&str, f64)]) -> bool {
        let line = ScalarsLine { time, step, event: "scalars", values: Values(values) };
        self.add(&line, MOST - RESERVED)
    }

    /// Adds the line of an event, as [`add_scalars`](Self::add_scalars).
    pub(super) fn add_event(&mut self, step: u64, event: Event) -> bool {
        self.add(&Record::now(step, event), MOST)
    }

    fn add(&mut self, line: &impl Serialize, most: usize) -> bool {
        let before = self.bytes.len();
        // Writing JSON of numbers and strings to memory can't fail.
        let encoded = serde_json::to_writer(&mut self.bytes, line).is_ok();
        self.bytes.push(b'\n');
        let fits = encoded && self.bytes.len() - before <= LARGEST_LINE;
        if fits && self.bytes.len() + self.taken <= most {
            self.count += 1;
        } else {
            self.bytes.truncate(before);
            self.lost += u64::from(fits);
        }
        fits
    }
}

/// As a [`Record`] of [`Scalars`](crate::event::Scalars) is written, without making one.
#[derive(Serialize)]
struct ScalarsLine<'a> {
    time: f64,
    step: u64,
    event: &'static str,
    values: Values<'a>,
}

struct Values<'a>(&'a [(&'a str, f64)]);

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, Number(*value))))
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Number(#[serde(with = "crate::number")] f64);
