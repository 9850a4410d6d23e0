//! What came of the runs: one row each, as comma-separated values and as lines of JSON.

use std::collections::{BTreeMap, BTreeSet};

use lookahead_run::event::{Evaluation, Split, Weights};
use lookahead_run::open_plain;
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use toml::Value;

use super::error::SweepError;
use super::folder::SweepFolder;
use super::plan::Planned;
use crate::summary::Summary;

/// The status of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowStatus {
    /// It took all its steps, or ended by early stopping.
    Finished,
    /// It was stopped on request, and is resumed with the sweep.
    Stopped,
    /// It failed, and is not tried again.
    Failed,
}

impl RowStatus {
    fn word(self) -> &'static str {
        match self {
            RowStatus::Finished => "finished",
            RowStatus::Stopped => "stopped",
            RowStatus::Failed => "failed",
        }
    }
}

/// One run's results.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its status.
    pub status: RowStatus,
    /// How often it failed.
    pub failures: u32,
    /// Why, if it did not finish.
    pub message: Option<String>,
    /// Its numbers, if it has begun.
    pub numbers: Option<Numbers>,
}

/// A run's numbers.
#[derive(Debug, Clone)]
pub struct Numbers {
    steps: u64,
    seconds: f64,
    seed: u64,
    /// By names such as `test_loss_slow`.
    evaluations: BTreeMap<String, f64>,
    best: Option<Best>,
}

/// The best evaluation on validation data.
#[derive(Debug, Clone)]
struct Best {
    metric: &'static str,
    value: f64,
    step: u64,
}

/// A word as the event log has it.
fn word(of: impl Serialize) -> String {
    let value = serde_json::to_value(of).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

impl Numbers {
    /// The numbers of a run.
    pub fn of(summary: &Summary) -> Numbers {
        let mut evaluations = BTreeMap::new();
        // A later one takes the place of an earlier one.
        for found in summary.results() {
            let (split, weights) = (word(found.split), word(found.weights));
            evaluations.insert(format!("{split}_loss_{weights}"), found.loss);
            evaluations.insert(format!("{split}_accuracy_{weights}"), found.accuracy);
        }
        Numbers {
            steps: summary.steps,
            seconds: summary.seconds,
            seed: summary.info.seed,
            evaluations,
            best: best(summary),
        }
    }
}

/// The best evaluation of the final model on validation data, by the metric of the run's config:
/// of φ, or of θ if the inner optimizer trained alone. The first of several that are equal.
fn best(summary: &Summary) -> Option<Best> {
    let final_weights =
        if summary.info.lookahead.is_some() { Weights::Slow } else { Weights::Fast };
    let by_loss = summary.info.config["train"]["best_by"] == "loss";
    let metric = if by_loss { "loss" } else { "accuracy" };
    let value = |found: &Evaluation| if by_loss { found.loss } else { found.accuracy };
    let is_meant = |found: &Evaluation| {
        found.split == Split::Validation
            && found.weights == final_weights
            && value(found).is_finite()
    };
    let mut best: Option<Best> = None;
    for (step, found) in summary.evaluations.iter().filter(|(_, found)| is_meant(found)) {
        let value = value(found);
        let is_better = |best: &Best| if by_loss { value < best.value } else { value > best.value };
        if best.as_ref().is_none_or(is_better) {
            best = Some(Best { metric, value, step: *step });
        }
    }
    best
}

/// The value of a column.
enum Cell<'a> {
    Text(&'a str),
    Whole(u64),
    Number(f64),
    Value(&'a Value),
}

impl Cell<'_> {
    fn csv(&self) -> String {
        match self {
            Cell::Text(text) => (*text).to_owned(),
            Cell::Whole(number) => number.to_string(),
            Cell::Number(number) if number.is_finite() => number.to_string(),
            // As in the event log.
            Cell::Number(number) => word(Number(*number)),
            Cell::Value(Value::String(text)) => text.clone(),
            Cell::Value(value) => value.to_string(),
        }
    }
}

#[derive(Serialize)]
struct Number(#[serde(with = "lookahead_run::number")] f64);

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Cell::Text(text) => serializer.serialize_str(text),
            Cell::Whole(number) => serializer.serialize_u64(*number),
            Cell::Number(number) => Number(*number).serialize(serializer),
            Cell::Value(value) => value.serialize(serializer),
        }
    }
}

/// One line of JSON, with the columns in their order.
struct Line<'a>(&'a [(String, Cell<'a>)]);

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, cell) in self.0 {
            map.serialize_entry(key, cell)?;
        }
        map.end()
    }
}

fn cells<'a>(planned: &'a Planned, row: &'a Row) -> Vec<(String, Cell<'a>)> {
    let point = &planned.point;
    let mut cells = vec![("name".to_owned(), Cell::Text(&point.name))];
    let mut add = |key: &str, cell| cells.push((key.to_owned(), cell));
    if let Some(variant) = &point.variant {
        add("variant", Cell::Text(variant));
    }
    add("status", Cell::Text(row.status.word()));
    let attempts = row.failures + u32::from(row.status != RowStatus::Failed);
    add("attempts", Cell::Whole(attempts.into()));
    let seed = row.numbers.as_ref().map(|numbers| numbers.seed);
    let seed = seed.or(planned.config["train"]["seed"].as_u64());
    if let Some(seed) = seed {
        add("seed", Cell::Whole(seed));
    }
    for (key, value) in &point.varied {
        add(key, Cell::Value(value));
    }
    if let Some(numbers) = &row.numbers {
        add("steps", Cell::Whole(numbers.steps));
        add("seconds", Cell::Number(numbers.seconds));
        for (name, value) in &numbers.evaluations {
            add(name, Cell::Number(*value));
        }
        if let Some(best) = &numbers.best {
            add("best_by", Cell::Text(best.metric));
            add("best_validation", Cell::Number(best.value));
            add("best_step", Cell::Whole(best.step));
        }
    }
    if let Some(message) = &row.message {
        add("message", Cell::Text(message));
    }
    cells
}

/// Writes both files, in the order of the points; a point without a row is left out.
pub(super) fn write(
    folder: &SweepFolder,
    points: &[Planned],
    rows: &[Option<Row>],
) -> Result<(), SweepError> {
    let all: Vec<Vec<(String, Cell)>> = points
        .iter()
        .zip(rows)
        .filter_map(|(planned, row)| Some(cells(planned, row.as_ref()?)))
        .collect();
    let mut json = Vec::new();
    for row in &all {
        // Nothing in a row can't be said in JSON.
        if serde_json::to_writer(&mut json, &Line(row)).is_ok() {
            json.push(b'\n');
        }
    }
    folder.write("results.jsonl", &json)?;
    folder.write("results.csv", &csv(points, &all))
}

fn csv(points: &[Planned], rows: &[Vec<(String, Cell)>]) -> Vec<u8> {
    let columns = columns(points, rows);
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Writing to memory does not fail.
    let _ = writer.write_record(&columns);
    for row in rows {
        let cell = |column: &String| {
            row.iter()
                .find(|(key, _)| key == column)
                .map(|(_, cell)| cell.csv())
                .unwrap_or_default()
        };
        let _ = writer.write_record(columns.iter().map(cell));
    }
    writer.into_inner().unwrap_or_default()
}

/// The columns of all rows: those of every sweep, and among them the keys and evaluations of this
/// one.
fn columns(points: &[Planned], rows: &[Vec<(String, Cell)>]) -> Vec<String> {
    let mut columns: Vec<String> = vec!["name".into()];
    if points.iter().any(|planned| planned.point.variant.is_some()) {
        columns.push("variant".into());
    }
    columns.extend(["status", "attempts", "seed"].map(String::from));
    for (key, _) in points.iter().flat_map(|planned| &planned.point.varied) {
        if !columns.contains(key) {
            columns.push(key.clone());
        }
    }
    columns.extend(["steps", "seconds"].map(String::from));
    let last = ["best_by", "best_validation", "best_step", "message"].map(String::from);
    let other: BTreeSet<&String> = rows.iter().flatten().map(|(key, _)| key).collect();
    let other: Vec<String> = other
        .into_iter()
        .filter(|key| !columns.contains(key) && !last.contains(key))
        .cloned()
        .collect();
    columns.extend(other);
    columns.extend(last);
    columns
}

/// How often each run had failed when the results were last written, and why. What can't be read
/// does not count: then a run is tried once too often.
pub(super) fn failures(folder: &SweepFolder) -> BTreeMap<String, (u32, Option<String>)> {
    #[derive(Deserialize)]
    struct Written {
        name: String,
        status: RowStatus,
        attempts: u32,
        message: Option<String>,
    }

    let mut text = String::new();
    let read = open_plain(&folder.json_lines())
        .and_then(|mut file| std::io::Read::read_to_string(&mut file, &mut text));
    if read.is_err() {
        return BTreeMap::new();
    }
    let rows = text.lines().filter_map(|line| serde_json::from_str::<Written>(line).ok());
    rows.map(|row| {
        let failures = row.attempts.saturating_sub(u32::from(row.status != RowStatus::Failed));
        (row.name, (failures, row.message))
    })
    .collect()
}
