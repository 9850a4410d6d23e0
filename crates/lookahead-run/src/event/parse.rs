//! Reading a line, in less time than serde takes for a tagged enum, of which it buffers all fields.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Event, Record, Scalars, Step};

/// The kind of an event of scalars in JSON.
const SCALARS: &[u8] = b"\"scalars\"";

/// The record in a line of a log, as by `serde_json::from_slice`, and in about half the time if it is a
/// step or has scalars, as nearly all lines of a long log do.
pub(crate) fn parse(line: &[u8]) -> serde_json::Result<Record> {
    // A JSON list would pass for the fields in their order, and is not a record.
    if line.starts_with(b"{")
        && let Some(record) = step(line).or_else(|| scalars(line))
    {
        return Ok(record);
    }
    serde_json::from_slice(line)
}

/// The kinds of event that are parsed here.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Step,
    Scalars,
}

fn step(line: &[u8]) -> Option<Record> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct StepLine {
        time: f64,
        step: u64,
        event: Kind,
        epoch: u64,
        #[serde(with = "crate::number")]
        loss: f64,
        #[serde(with = "crate::number")]
        learning_rate: f64,
        #[serde(with = "crate::number")]
        samples_per_second: f64,
        phase: u64,
    }

    let line: StepLine = serde_json::from_slice(line).ok()?;
    let StepLine { time, step, event: Kind::Step, epoch, loss, learning_rate, .. } = line else {
        return None;
    };
    let StepLine { samples_per_second, phase, .. } = line;
    let event = Step { epoch, loss, learning_rate, samples_per_second, phase };
    Some(Record { time, step, event: Event::Step(event) })
}

fn scalars(line: &[u8]) -> Option<Record> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct ScalarsLine {
        time: f64,
        step: u64,
        event: Kind,
        #[serde(with = "crate::number::map")]
        values: BTreeMap<String, f64>,
    }

    // Cheaper than parsing the line of another event twice; it comes before the names.
    line.windows(SCALARS.len()).take(80).find(|bytes| *bytes == SCALARS)?;
    let line: ScalarsLine = serde_json::from_slice(line).ok()?;
    let ScalarsLine { time, step, event: Kind::Scalars, values } = line else { return None };
    Some(Record { time, step, event: Event::Scalars(Scalars { values }) })
}
