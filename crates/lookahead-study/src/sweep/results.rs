//! The results of the runs: one row each, as comma-separated values and as lines of JSON.

use std::collections::{BTreeMap, BTreeSet};

use lookahead_run::event::{Evaluation, MetricInfo, Split};
use lookahead_run::open_plain;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value as Json;
use toml::Value;

use super::error::SweepError;
use super::folder::SweepFolder;
use super::plan::Planned;
use crate::summary::Summary;

/// The status of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RowStatus {
    /// It took all its steps, or ended by early stopping.
    Finished,
    /// It was stopped on request, and is resumed with the sweep.
    Stopped,
    /// It failed, and is not tried again.
    Failed,
}

/// One run's results.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) status: RowStatus,
    /// The number of failures, and the reason of the last one.
    pub(super) failures: u32,
    pub(super) message: Option<String>,
    /// None if it has not started.
    pub(super) numbers: Option<Numbers>,
}

/// A run's numbers.
#[derive(Debug, Clone)]
pub(super) struct Numbers {
    steps: u64,
    seconds: f64,
    seed: u64,
    /// By names like `test_loss_slow`.
    evaluations: BTreeMap<String, f64>,
    best: Option<Best>,
}

/// The best evaluation on validation data.
#[derive(Debug, Clone)]
struct Best {
    metric: String,
    value: f64,
    step: u64,
}

/// An enum as the event log writes it.
fn word(of: impl Serialize) -> String {
    let value = serde_json::to_value(of).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

impl Numbers {
    /// The numbers of a run.
    pub(super) fn of(summary: &Summary) -> Numbers {
        let mut evaluations = BTreeMap::new();
        // A later one replaces an earlier one.
        for found in summary.results() {
            let (split, weights) = (word(found.split), word(found.weights));
            evaluations.insert(format!("{split}_loss_{weights}"), found.loss);
            evaluations.insert(format!("{split}_accuracy_{weights}"), found.accuracy);
            for (metric, value) in &found.metrics {
                evaluations.insert(format!("{split}_{metric}_{weights}"), *value);
            }
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
/// of the result of `[averaging]`, else of φ, else of θ if the inner optimizer trained alone. The first of several that are equal.
fn best(summary: &Summary) -> Option<Best> {
    let info = &summary.info;
    let final_weights = info.final_weights();
    let by = info.config["train"]["best_by"].as_str().and_then(|name| info.task.metric(name));
    let by = by.unwrap_or_else(MetricInfo::accuracy);
    let is_meant =
        |found: &Evaluation| found.split == Split::Validation && found.weights == final_weights;
    let all = summary.evaluations.iter().filter(|(_, found)| is_meant(found));
    let all = all.filter_map(|(step, found)| {
        let value = found.value(&by.name).filter(|value| value.is_finite())?;
        Some(Best { metric: by.name.clone(), value, step: *step })
    });
    all.reduce(|best, next| if by.is_better(next.value, best.value) { next } else { best })
}

/// The value of a column, for JSON and for CSV.
struct Cell {
    json: Json,
    csv: String,
}

type Cells = Vec<(String, Cell)>;

#[derive(Serialize)]
struct Number(#[serde(with = "lookahead_run::number")] f64);

impl Cell {
    fn text(text: &str) -> Cell {
        Cell { json: text.into(), csv: text.to_owned() }
    }

    fn whole(number: u64) -> Cell {
        Cell { json: number.into(), csv: number.to_string() }
    }

    /// NaN and infinity as in the event log.
    fn number(number: f64) -> Cell {
        let json = serde_json::to_value(Number(number)).unwrap_or_default();
        let csv = json.as_str().map_or_else(|| number.to_string(), str::to_owned);
        Cell { json, csv }
    }

    fn setting(value: &Value) -> Cell {
        let csv = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Cell { json: serde_json::to_value(value).unwrap_or_default(), csv }
    }
}

/// One line of JSON, with the columns in their order.
struct JsonLine<'a>(&'a Cells);

impl Serialize for JsonLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, cell)| (key, &cell.json)))
    }
}

fn cells(planned: &Planned, row: &Row) -> Cells {
    let point = &planned.point;
    let mut cells = Vec::new();
    let mut add = |key: &str, cell| cells.push((key.to_owned(), cell));
    add("name", Cell::text(&point.name));
    if let Some(variant) = &point.variant {
        add("variant", Cell::text(variant));
    }
    add("status", Cell::text(&word(row.status)));
    let attempts = row.failures + u32::from(row.status != RowStatus::Failed);
    add("attempts", Cell::whole(attempts.into()));
    let seed = row.numbers.as_ref().map(|numbers| numbers.seed);
    if let Some(seed) = seed.or(planned.config["train"]["seed"].as_u64()) {
        add("seed", Cell::whole(seed));
    }
    for (key, value) in &point.varied {
        add(key, Cell::setting(value));
    }
    if let Some(numbers) = &row.numbers {
        add("steps", Cell::whole(numbers.steps));
        add("seconds", Cell::number(numbers.seconds));
        for (name, value) in &numbers.evaluations {
            add(name, Cell::number(*value));
        }
        if let Some(best) = &numbers.best {
            add("best_by", Cell::text(&best.metric));
            add("best_validation", Cell::number(best.value));
            add("best_step", Cell::whole(best.step));
        }
    }
    if let Some(message) = &row.message {
        add("message", Cell::text(message));
    }
    cells
}

/// Writes both files, in the order of the points; a point without a row is left out.
pub(super) fn write(
    folder: &SweepFolder,
    points: &[Planned],
    rows: &[Option<Row>],
) -> Result<(), SweepError> {
    let all = points.iter().zip(rows);
    let all: Vec<Cells> =
        all.filter_map(|(planned, row)| Some(cells(planned, row.as_ref()?))).collect();
    let lines = all.iter().filter_map(|row| serde_json::to_string(&JsonLine(row)).ok());
    let json: String = lines.map(|line| line + "\n").collect();
    folder.write("results.jsonl", json.as_bytes())?;

    let columns = columns(points, &all);
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Writing to memory does not fail.
    let _ = writer.write_record(&columns);
    for row in &all {
        let cell = |column: &String| row.iter().find(|(key, _)| key == column);
        let texts = columns.iter().map(|column| cell(column).map_or("", |(_, cell)| &cell.csv));
        let _ = writer.write_record(texts);
    }
    folder.write("results.csv", &writer.into_inner().unwrap_or_default())
}

/// The columns of all rows: those of every sweep, with the keys and evaluations of this one.
fn columns(points: &[Planned], rows: &[Cells]) -> Vec<String> {
    let mut columns: Vec<String> = Vec::new();
    let mut add = |key: &str| {
        if !columns.iter().any(|column| column == key) {
            columns.push(key.to_owned());
        }
    };
    add("name");
    if points.iter().any(|planned| planned.point.variant.is_some()) {
        add("variant");
    }
    ["status", "attempts", "seed"].into_iter().for_each(&mut add);
    points.iter().flat_map(|planned| &planned.point.varied).for_each(|(key, _)| add(key));
    ["steps", "seconds"].into_iter().for_each(&mut add);
    let last = ["best_by", "best_validation", "best_step", "message"];
    let other: BTreeSet<&str> = rows.iter().flatten().map(|(key, _)| key.as_str()).collect();
    other.into_iter().filter(|key| !last.contains(key)).for_each(&mut add);
    last.into_iter().for_each(&mut add);
    columns
}

/// How often each run had failed when the results were last written, and why. What can't be read
/// does not count: a run is then tried once more than necessary.
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

#[cfg(test)]
mod tests;
