//! A comparison for other programs: groups and runs with all digits, as CSV and as JSON.

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use serde_json::Value;

use super::comparison::{Comparison, Group};
use super::options::split_name;
use super::run::outcomes;
use super::settings;
use super::statistics::{Paired, Spread};
use super::table::{Side, Table};

/// A row: its cells with the names of their columns.
type Row<'a> = Vec<(Cow<'a, str>, Cell<'a>)>;

/// A cell of a row.
#[derive(Debug)]
enum Cell<'a> {
    Text(Cow<'a, str>),
    Count(Option<u64>),
    Number(Option<f64>),
    Flag(bool),
    /// The value of a key.
    Setting(&'a Value),
    Nothing,
}

impl Cell<'_> {
    /// As CSV: a number is the shortest text that gives it back, and what is missing is empty.
    fn text(&self) -> String {
        match self {
            Cell::Text(text) => text.clone().into_owned(),
            Cell::Count(count) => count.map_or(String::new(), |count| count.to_string()),
            Cell::Number(value) => value.map_or(String::new(), |value| value.to_string()),
            Cell::Flag(flag) => flag.to_string(),
            Cell::Setting(value) => settings::written(value),
            Cell::Nothing => String::new(),
        }
    }
}

/// NaN and infinity are the strings of the event log, and what is missing is null.
impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Cell::Text(text) => serializer.serialize_str(text),
            Cell::Count(count) => count.serialize(serializer),
            Cell::Number(value) => lookahead_run::number::option::serialize(value, serializer),
            Cell::Flag(flag) => serializer.serialize_bool(*flag),
            Cell::Setting(value) => value.serialize(serializer),
            Cell::Nothing => serializer.serialize_none(),
        }
    }
}

/// Rows as a list of objects, with the columns in their order.
fn objects<S: Serializer>(rows: &[Row<'_>], serializer: S) -> Result<S::Ok, S::Error> {
    struct Object<'a>(&'a Row<'a>);
    impl Serialize for Object<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map(self.0.iter().map(|(name, cell)| (name, cell)))
        }
    }
    serializer.collect_seq(rows.iter().map(Object))
}

/// The JSON object of a comparison.
#[derive(Debug, Serialize)]
struct Json<'a> {
    metric: &'a str,
    unit: String,
    split: &'static str,
    keys: &'a [String],
    grouped_by: &'a [String],
    baseline: Option<&'a str>,
    #[serde(serialize_with = "objects")]
    groups: Vec<Row<'a>>,
    #[serde(serialize_with = "objects")]
    runs: Vec<Row<'a>>,
    notes: Vec<String>,
}

impl Comparison {
    /// The groups with all digits, a column for each statistic.
    pub fn to_csv(&self) -> String {
        csv(self.group_rows())
    }

    /// All runs with all digits: the keys in which they differ, their numbers and outcomes.
    pub fn runs_to_csv(&self) -> String {
        csv(self.run_rows())
    }

    /// All of it as one JSON object: `groups` and `runs`, whose objects have the columns of
    /// [`to_csv`](Self::to_csv) and [`runs_to_csv`](Self::runs_to_csv), and what they have in common.
    ///
    /// # Errors
    /// If a value can't be encoded.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string(&Json {
            metric: self.metric.name(),
            unit: self.metric.title(),
            split: split_name(self.split),
            keys: &self.keys,
            grouped_by: &self.by,
            baseline: self.groups.get(self.baseline).map(|group| &*group.label),
            groups: self.group_rows(),
            runs: self.run_rows(),
            notes: self.words(),
        })
    }

    fn group_rows(&self) -> Vec<Row<'_>> {
        self.groups.iter().enumerate().map(|(index, group)| self.group_row(index, group)).collect()
    }

    fn group_row<'a>(&'a self, index: usize, group: &'a Group) -> Row<'a> {
        let point = self.best_of(group);
        let (spread, paired) = (point.spread(), group.against.as_ref());
        let of = |value: fn(Spread) -> Option<f64>| Cell::Number(spread.and_then(value));
        let failures =
            outcomes(point.failed.iter().map(|run| self.runs[*run].outcome), point.runs.len());
        let interval = paired.and_then(Paired::interval);
        let number = |value: fn(&Paired) -> f64| Cell::Number(paired.map(value));
        let count =
            |value: fn(&Paired) -> usize| Cell::Count(paired.map(|paired| value(paired) as u64));
        let validation = point.validation_spread().map(|spread| spread.mean);
        let verdict = paired.map_or(Cell::Nothing, |paired| text(paired.verdict().name()));
        named([
            ("group", text(&*group.label)),
            ("best_point", text(&*point.label)),
            ("split", text(split_name(self.split))),
            ("metric", text(self.metric.title())),
            ("runs", size(point.runs.len())),
            ("failed", size(point.failed.len())),
            ("failures", text(failures)),
            ("seeds", size(spread.map_or(0, |spread| spread.n))),
            ("mean", of(|spread| Some(spread.mean))),
            ("sd", of(|spread| spread.deviation)),
            ("se", of(|spread| spread.standard_error())),
            ("min", of(|spread| Some(spread.min))),
            ("median", of(|spread| Some(spread.median))),
            ("max", of(|spread| Some(spread.max))),
            ("validation_mean", Cell::Number(validation)),
            ("baseline", Cell::Flag(index == self.baseline)),
            ("common_seeds", count(|paired| paired.n)),
            ("difference", number(|paired| paired.mean)),
            ("low", Cell::Number(interval.map(|(low, _)| low))),
            ("high", Cell::Number(interval.map(|(_, high)| high))),
            ("bootstrap_low", number(|paired| paired.bootstrap.0)),
            ("bootstrap_high", number(|paired| paired.bootstrap.1)),
            ("wins", count(|paired| paired.wins)),
            ("ties", count(|paired| paired.ties)),
            ("losses", count(|paired| paired.losses)),
            ("verdict", verdict),
        ])
    }

    fn run_rows(&self) -> Vec<Row<'_>> {
        let (metric, split) = (self.metric.name(), split_name(self.split));
        let (validation, reported) =
            (format!("validation_{metric}"), format!("reported_{split}_{metric}"));
        let mut rows = Vec::new();
        for point in &self.points {
            for run in point.runs.iter().map(|index| &self.runs[*index]) {
                let (info, stability) = (&run.summary.info, &run.stability);
                let mut row = named([
                    ("run", text(&*info.run)),
                    ("folder", text(run.summary.folder.display().to_string())),
                    ("point", text(&*point.label)),
                    ("seed", Cell::Count(Some(info.seed))),
                    ("outcome", text(run.outcome.name())),
                    ("steps", Cell::Count(Some(run.summary.steps))),
                    ("seconds", Cell::Number(Some(run.summary.seconds))),
                ]);
                row.extend(self.keys.iter().map(|key| {
                    let value = run.settings.get(key).map_or(Cell::Nothing, Cell::Setting);
                    (Cow::from(key), value)
                }));
                row.push((validation.clone().into(), Cell::Number(run.validation)));
                row.push((reported.clone().into(), Cell::Number(run.reported)));
                row.extend(named([
                    ("last_epoch_loss_variance", Cell::Number(stability.loss_variance)),
                    ("probe_gain", Cell::Number(stability.gain)),
                    ("probe_gain_sd", Cell::Number(stability.gain_deviation)),
                    ("probe_fast_sd", Cell::Number(stability.fast_deviation)),
                    ("probe_slow_sd", Cell::Number(stability.slow_deviation)),
                ]));
                rows.push(row);
            }
        }
        rows
    }
}

fn named<'a, const N: usize>(cells: [(&'a str, Cell<'a>); N]) -> Row<'a> {
    cells.into_iter().map(|(name, cell)| (name.into(), cell)).collect()
}

fn text<'a>(text: impl Into<Cow<'a, str>>) -> Cell<'a> {
    Cell::Text(text.into())
}

fn size(count: usize) -> Cell<'static> {
    Cell::Count(Some(count as u64))
}

/// Rows of the same columns as CSV.
fn csv(rows: Vec<Row<'_>>) -> String {
    let mut table = Table::default();
    for (name, _) in rows.first().into_iter().flatten() {
        table.column(&**name, Side::Left, 0);
    }
    let texts = |row: Row<'_>| row.into_iter().map(|(_, cell)| cell.text()).collect();
    table.rows = rows.into_iter().map(texts).collect();
    table.to_csv()
}
