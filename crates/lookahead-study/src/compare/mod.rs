//! Runs side by side: what differs between them, and how sure that is.
//!
//! | module | what is in it |
//! |---|---|
//! | [`settings`] | configurations as flat keys, and the names of what differs |
//! | [`statistics`] | means, spreads, paired differences, intervals |
//! | [`stability`] | how quietly a run trained towards its end |
//! | [`table`] | columns and rows for terminals, Markdown and CSV |
//! | `tables`, [`numbers`] | what the tables of a comparison say, and how they print numbers |
//! | [`figures`] | what its figures show |
//! | `read`, `error` | from paths to runs, and why that may fail |
//!
//! A *point* is all runs whose configurations are equal apart from the seed and from what does not
//! change the training. A *group* is the points that are equal in the keys of [`Options::by`]; of
//! these the best one is chosen on validation data, and its numbers on test data are reported: what
//! chose may not report.
//!
//! ```no_run
//! use lookahead_study::compare::{Options, compare};
//!
//! let comparison = compare(&["sweeps/rates".into()], &Options::default())?;
//! println!("{}", comparison.to_terminal(100));
//! # Ok::<(), lookahead_study::error::Error>(())
//! ```

mod error;
#[cfg(test)]
mod figure_tests;
pub mod figures;
#[cfg(test)]
mod made;
pub mod numbers;
mod read;
pub mod settings;
pub mod stability;
pub mod statistics;
pub mod table;
mod tables;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::PathBuf;

use lookahead_run::event::{Evaluation, Split, Status, Task};
use serde_json::Value;

pub use error::CompareError;
pub use read::planned;
use settings::Settings;
use stability::Stability;
use statistics::{Better, Paired, Spread};

use crate::error::Result;
use crate::summary::Summary;

/// The number by which runs are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// The fraction of samples classified right, shown in per cent.
    Accuracy,
    /// The mean loss.
    Loss,
    /// e to the mean loss, of models of text.
    Perplexity,
}

impl Metric {
    /// As a sentence has it.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Accuracy => "accuracy",
            Metric::Loss => "loss",
            Metric::Perplexity => "perplexity",
        }
    }

    /// As a column or an axis has it.
    pub fn title(self) -> &'static str {
        match self {
            Metric::Accuracy => "accuracy in %",
            _ => self.name(),
        }
    }

    /// Which way it is good.
    pub fn better(self) -> Better {
        match self {
            Metric::Accuracy => Better::Higher,
            _ => Better::Lower,
        }
    }

    /// Its value at an evaluation, in the unit of [`Metric::title`].
    pub fn of(self, found: &Evaluation) -> f64 {
        match self {
            Metric::Accuracy => found.accuracy * 100.0,
            Metric::Loss => found.loss,
            Metric::Perplexity => found.loss.exp(),
        }
    }
}

/// What is compared, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The number; of none the accuracy, the perplexity of texts, or the loss where no run has either.
    pub metric: Option<Metric>,
    /// On which data the numbers are that are reported; the choice within a group is always made on
    /// validation data. Where no run was evaluated on it, the validation data take its place.
    pub split: Split,
    /// The keys by which points are grouped. Of none, all that differ; without `optimizer.lr`, so
    /// that each group has its best one, unless nothing else differs.
    pub by: Vec<String>,
    /// The label of the group that the others are compared with, or words of it. Of none, that of
    /// the first path if this is a run, else the first of the table.
    pub baseline: Option<String>,
    /// Whether runs on different data may be compared.
    pub mixed_data: bool,
}

impl Default for Options {
    fn default() -> Self {
        let by = Vec::new();
        Options { metric: None, split: Split::Test, by, baseline: None, mixed_data: false }
    }
}

/// How a run went, as far as its number is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It reached its end and has a number.
    Finished,
    /// Its loss or its weights became no finite numbers.
    Diverged,
    /// It ended by another error.
    Failed,
    /// It lives, was stopped, or its process crashed.
    Unfinished,
    /// It reached its end without the evaluation that is asked for.
    Unevaluated,
}

impl Outcome {
    /// As a table has it.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Finished => "finished",
            Outcome::Diverged => "diverged",
            Outcome::Failed => "failed",
            Outcome::Unfinished => "unfinished",
            Outcome::Unevaluated => "not evaluated",
        }
    }
}

/// One run of a comparison.
#[derive(Debug, Clone)]
pub struct Run {
    /// What is known of it.
    pub summary: Summary,
    /// Its keys that matter, with those that tell whether it has a section that others lack.
    pub settings: Settings,
    /// How it went.
    pub outcome: Outcome,
    /// The last number of its final weights on validation data; only of a finished run.
    pub validation: Option<f64>,
    /// The same on the data that are reported.
    pub reported: Option<f64>,
    /// How quietly it trained.
    pub stability: Stability,
}

/// Runs that differ in nothing but their seeds.
#[derive(Debug, Clone)]
pub struct Point {
    /// `optimizer.kind=adam lookahead.k=5`: the keys in which the compared points differ; `all runs`
    /// where there is only one point.
    pub label: String,
    /// All keys.
    pub settings: Settings,
    /// Places of its runs in [`Comparison::runs`].
    pub runs: Vec<usize>,
    /// Numbers on validation data by seed, of the runs that have one.
    pub validation: BTreeMap<u64, f64>,
    /// Numbers on the reported data by seed.
    pub reported: BTreeMap<u64, f64>,
    /// Places of the runs without a number, which are never left out in silence.
    pub failed: Vec<usize>,
}

impl Point {
    /// The numbers on the reported data in short; none if no run has one.
    pub fn spread(&self) -> Option<Spread> {
        spread(&self.reported)
    }

    /// Those on validation data.
    pub fn validation_spread(&self) -> Option<Spread> {
        spread(&self.validation)
    }
}

fn spread(values: &BTreeMap<u64, f64>) -> Option<Spread> {
    Spread::of(&values.values().copied().collect::<Vec<_>>())
}

/// Points that are equal in the keys by which is grouped.
#[derive(Debug, Clone)]
pub struct Group {
    /// Its values of these keys; `all runs` where there is only one group.
    pub label: String,
    /// Places of its points in [`Comparison::points`].
    pub points: Vec<usize>,
    /// The one that is best on validation data: what is reported of the group.
    pub best: usize,
    /// The best one against that of the baseline, over the seeds that both have; none for the
    /// baseline itself and without common seeds.
    pub against: Option<Paired>,
}

/// Runs, sorted into points and groups, with what there is to say of them.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// What the numbers are.
    pub metric: Metric,
    /// On which data the reported ones are.
    pub split: Split,
    /// The keys in which points differ.
    pub keys: Vec<String>,
    /// The keys by which they are grouped.
    pub by: Vec<String>,
    /// All runs.
    pub runs: Vec<Run>,
    /// In the order of their settings.
    pub points: Vec<Point>,
    /// In the order of their settings.
    pub groups: Vec<Group>,
    /// The place of the group that the others are compared with.
    pub baseline: usize,
    /// What a reader must know: sentences.
    pub notes: Vec<String>,
}

/// Compares the runs at these paths, each the folder of a run or of a sweep.
///
/// # Errors
/// Where a path is neither, or a run that was named can't be read; [`CompareError`] for what can't
/// be compared.
pub fn compare(paths: &[PathBuf], options: &Options) -> Result<Comparison> {
    let found = read::read(paths)?;
    let mut notes = Vec::new();
    if !found.unread.is_empty() {
        let names: Vec<String> = found
            .unread
            .iter()
            .map(|(path, cause)| format!("{} ({})", name_of(path), cause.trim_end_matches('.')))
            .collect();
        notes.push(format!(
            "{} of the sweep could not be read and are in no table: {}.",
            counted(names.len()),
            named(&names)
        ));
    }
    if !found.stale.is_empty() {
        notes.push(format!(
            "{} in the folders of sweeps are none of their points any more, and are in no table: {}.",
            counted(found.stale.len()),
            named(&found.stale)
        ));
    }
    let first = found.first_is_a_run;
    let mut comparison = of_summaries(found.runs, options, first)?;
    notes.append(&mut comparison.notes);
    comparison.notes = notes;
    Ok(comparison)
}

/// Compares runs that were read before, as [`compare`]; `first_is_baseline` says that the group of
/// the first one is the baseline unless the options name another.
///
/// # Errors
/// [`CompareError`] for what can't be compared.
pub fn of_summaries(
    summaries: Vec<Summary>,
    options: &Options,
    first_is_baseline: bool,
) -> Result<Comparison> {
    if summaries.is_empty() {
        return Err(CompareError::NoRuns(vec![]).into());
    }
    check_data(&summaries, options)?;
    let mut notes = Vec::new();
    let metric = options.metric.unwrap_or_else(|| default_metric(&summaries));
    let has = |split| summaries.iter().any(|run| run.last_of_final(split).is_some());
    let mut split = options.split;
    if split == Split::Test && !has(Split::Test) && has(Split::Validation) {
        split = Split::Validation;
        notes.push(
            "No run was evaluated on test data: the numbers are those on validation data, and, where \
             something was chosen on them, better than they would be on new data."
                .to_owned(),
        );
    }
    let mut settings: Vec<Settings> =
        summaries.iter().map(|run| settings::flat(&run.info.config)).collect();
    settings::add_sections(&mut settings);
    let runs: Vec<Run> = summaries
        .into_iter()
        .zip(settings)
        .map(|(summary, settings)| run(summary, settings, metric, split))
        .collect();
    if runs.iter().all(|run| run.reported.is_none()) {
        return Err(no_values(&runs, metric, split).into());
    }
    let (keys, points) = points(&runs);
    let by = by(&keys, options, &runs)?;
    let mut groups = groups(&points, &by, metric);
    let baseline = baseline(&groups, &points, options, first_is_baseline)?;
    let base = points[groups[baseline].best].reported.clone();
    for (index, group) in groups.iter_mut().enumerate() {
        if index != baseline {
            let ours = &points[group.best].reported;
            let pairs: Vec<(f64, f64)> =
                ours.iter().filter_map(|(seed, a)| Some((*a, *base.get(seed)?))).collect();
            group.against = Paired::of(&pairs, metric.better());
        }
    }
    let mut comparison =
        Comparison { metric, split, keys, by, runs, points, groups, baseline, notes };
    comparison.add_notes();
    Ok(comparison)
}

fn check_data(summaries: &[Summary], options: &Options) -> Result<()> {
    let mut data: BTreeMap<String, usize> = BTreeMap::new();
    for run in summaries {
        *data.entry(data_of(run)).or_default() += 1;
    }
    if data.len() > 1 && !options.mixed_data {
        let data = data.into_iter().map(|(data, count)| format!("{data} ({})", counted(count)));
        return Err(CompareError::MixedData(data.collect()).into());
    }
    let text = |run: &Summary| run.info.task == Task::Language;
    match options.metric == Some(Metric::Perplexity) && !summaries.iter().all(text) {
        true => Err(CompareError::NoText.into()),
        false => Ok(()),
    }
}

/// The data that a run was trained on: texts are told apart by their files.
fn data_of(run: &Summary) -> String {
    match run.info.config.pointer("/data/file").and_then(Value::as_str) {
        Some(file) => format!("`{}` {file}", run.info.data),
        None => format!("`{}`", run.info.data),
    }
}

fn counted(runs: usize) -> String {
    if runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") }
}

fn default_metric(summaries: &[Summary]) -> Metric {
    if summaries.iter().all(|run| run.info.task == Task::Language) {
        return Metric::Perplexity;
    }
    let all = summaries.iter().flat_map(|run| &run.evaluations);
    let mut accuracies = all.map(|(_, found)| found.accuracy).peekable();
    let lacking = accuracies.peek().is_some() && accuracies.all(f64::is_nan);
    if lacking { Metric::Loss } else { Metric::Accuracy }
}

fn run(summary: Summary, settings: Settings, metric: Metric, split: Split) -> Run {
    let value = |split| summary.last_of_final(split).map(|found| (metric.of(found), found.loss));
    let reported = value(split);
    let outcome = match (&summary.ended, reported) {
        (None, _) => Outcome::Unfinished,
        (Some(ended), _) if ended.status == Status::Failed => {
            let message = ended.message.as_deref().unwrap_or("");
            let lost = summary.losses.last().is_some_and(|loss| !loss.is_finite());
            if lost || message.contains("diverged") { Outcome::Diverged } else { Outcome::Failed }
        }
        (Some(ended), _) if ended.status != Status::Finished => Outcome::Unfinished,
        (_, None) => Outcome::Unevaluated,
        // The accuracy of weights that are not finite is a number, and means nothing.
        (_, Some((_, loss))) if !loss.is_finite() => Outcome::Diverged,
        (_, Some((value, _))) if value.is_nan() => Outcome::Unevaluated,
        (_, Some((value, _))) if value.is_infinite() => Outcome::Diverged,
        _ => Outcome::Finished,
    };
    let of_finished = |value: Option<(f64, f64)>| {
        value
            .map(|(value, _)| value)
            .filter(|value| outcome == Outcome::Finished && value.is_finite())
    };
    let (validation, reported) = (of_finished(value(Split::Validation)), of_finished(reported));
    let stability = Stability::of(&summary);
    Run { summary, settings, outcome, validation, reported, stability }
}

fn no_values(runs: &[Run], metric: Metric, split: Split) -> CompareError {
    let unevaluated = runs.iter().any(|run| run.outcome == Outcome::Unevaluated);
    let remedy = match (unevaluated, metric) {
        (true, Metric::Accuracy) => {
            "A task without classes has no accuracy: compare losses. Or train with evaluations: \
             `train.evaluate_every_epochs=1`."
        }
        (true, _) => "Train with evaluations: `train.evaluate_every_epochs=1`.",
        (false, _) => "Wait until they have finished, or resume them.",
    };
    let failed = outcomes(runs.iter().map(|run| run.outcome), runs.len());
    CompareError::NoValues { runs: runs.len(), metric, split: split_name(split), failed, remedy }
}

/// All runs by their settings.
fn points(runs: &[Run]) -> (Vec<String>, Vec<Point>) {
    let mut by_settings: Vec<(String, Vec<usize>)> = Vec::new();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for (index, run) in runs.iter().enumerate() {
        let code = serde_json::to_string(&run.settings).unwrap_or_default();
        let place = *places.entry(code.clone()).or_insert_with(|| {
            by_settings.push((code, Vec::new()));
            by_settings.len() - 1
        });
        by_settings[place].1.push(index);
    }
    let all: Vec<&Settings> =
        by_settings.iter().map(|(_, members)| &runs[members[0]].settings).collect();
    let keys = settings::differing(&all);
    let mut points: Vec<Point> = by_settings
        .into_iter()
        .map(|(_, members)| {
            let settings = runs[members[0]].settings.clone();
            let label = whole(settings::label(&settings, &keys), keys.is_empty(), "all runs");
            let failed =
                members.iter().copied().filter(|index| runs[*index].reported.is_none()).collect();
            let validation = by_seed(runs, &members, |run| run.validation);
            let reported = by_seed(runs, &members, |run| run.reported);
            Point { label, settings, runs: members, validation, reported, failed }
        })
        .collect();
    points.sort_by(|a, b| settings::order(&a.settings, &b.settings, &keys));
    (keys, points)
}

/// A label that may be empty: where there is only one, or where it lacks all of the keys.
fn whole(label: String, only: bool, name: &str) -> String {
    match (label.is_empty(), only) {
        (true, true) => name.to_owned(),
        (true, false) => "(none of these keys)".to_owned(),
        _ => label,
    }
}

/// One number a seed: a seed that was run twice counts once, with the mean.
fn by_seed(
    runs: &[Run],
    members: &[usize],
    value: impl Fn(&Run) -> Option<f64>,
) -> BTreeMap<u64, f64> {
    let mut all: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for run in members.iter().map(|index| &runs[*index]) {
        if let Some(value) = value(run) {
            all.entry(run.summary.info.seed).or_default().push(value);
        }
    }
    all.into_iter().map(|(seed, values)| (seed, statistics::mean(&values))).collect()
}

const RATE: &str = "optimizer.lr";

fn by(keys: &[String], options: &Options, runs: &[Run]) -> Result<Vec<String>> {
    if options.by.is_empty() {
        let other: Vec<String> = keys.iter().filter(|key| *key != RATE).cloned().collect();
        return Ok(if other.is_empty() { keys.to_vec() } else { other });
    }
    for key in &options.by {
        if !runs.iter().any(|run| run.settings.contains_key(key)) {
            let (key, known) = (key.clone(), keys.to_vec());
            return Err(CompareError::Key { key, known }.into());
        }
    }
    Ok(options.by.clone())
}

fn groups(points: &[Point], by: &[String], metric: Metric) -> Vec<Group> {
    let values = |point: &Point| -> Vec<Option<Value>> {
        by.iter().map(|key| point.settings.get(key).cloned()).collect()
    };
    let mut sorted: Vec<(Vec<Option<Value>>, Vec<usize>)> = Vec::new();
    for (index, point) in points.iter().enumerate() {
        let values = values(point);
        match sorted.iter_mut().find(|(known, _)| *known == values) {
            Some((_, members)) => members.push(index),
            None => sorted.push((values, vec![index])),
        }
    }
    sorted.sort_by(|a, b| settings::order(&points[a.1[0]].settings, &points[b.1[0]].settings, by));
    let only = sorted.len() == 1;
    sorted
        .into_iter()
        .map(|(_, members)| {
            let best = best(points, &members, metric);
            let label = settings::label(&points[members[0]].settings, by);
            Group { label: whole(label, only, "all runs"), points: members, best, against: None }
        })
        .collect()
}

/// The point with the best mean on validation data among those without a failed run; with fewer
/// failures first where each has some. Without validation data on the reported ones.
fn best(points: &[Point], members: &[usize], metric: Metric) -> usize {
    let mean = |index: usize| {
        let point = &points[index];
        point.validation_spread().or_else(|| point.spread()).map(|spread| spread.mean)
    };
    let order = |a: &usize, b: &usize| {
        let failed = |index: &usize| {
            let point = &points[*index];
            // Parts of all: one of two seeds lost is worse than one of five.
            point.failed.len() as f64 / point.runs.len() as f64
        };
        failed(a).total_cmp(&failed(b)).then_with(|| match (mean(*a), mean(*b)) {
            (Some(a), Some(b)) if metric.better().than(a, b) => Ordering::Less,
            (Some(a), Some(b)) if a != b => Ordering::Greater,
            (a, b) => b.is_some().cmp(&a.is_some()),
        })
    };
    members.iter().copied().min_by(order).unwrap_or(0)
}

fn baseline(
    groups: &[Group],
    points: &[Point],
    options: &Options,
    first_is_baseline: bool,
) -> Result<usize> {
    let Some(wanted) = &options.baseline else {
        let has_first =
            |group: &Group| group.points.iter().any(|point| points[*point].runs.contains(&0));
        let first = groups.iter().position(has_first).unwrap_or(0);
        return Ok(if first_is_baseline { first } else { 0 });
    };
    if let Some(exact) = groups.iter().position(|group| group.label == *wanted) {
        return Ok(exact);
    }
    let words: Vec<&str> = wanted.split_whitespace().collect();
    let fits = |group: &Group| {
        let has: Vec<&str> = group.label.split_whitespace().collect();
        !words.is_empty() && words.iter().all(|word| has.contains(word))
    };
    let fitting: Vec<usize> = groups
        .iter()
        .enumerate()
        .filter(|(_, group)| fits(group))
        .map(|(index, _)| index)
        .collect();
    match fitting[..] {
        [only] => Ok(only),
        _ => {
            let (wanted, found) = (wanted.clone(), fitting.len());
            let labels = groups.iter().map(|group| group.label.clone()).collect();
            Err(CompareError::Baseline { wanted, found, labels }.into())
        }
    }
}

/// `2 of 5 diverged, 1 unfinished`; nothing where all finished.
pub(crate) fn outcomes(all: impl Iterator<Item = Outcome>, count: usize) -> String {
    let mut counts: BTreeMap<Outcome, usize> = BTreeMap::new();
    for outcome in all.filter(|outcome| *outcome != Outcome::Finished) {
        *counts.entry(outcome).or_default() += 1;
    }
    let mut words: Vec<String> =
        counts.iter().map(|(outcome, number)| format!("{number} {}", outcome.name())).collect();
    if let (Some(first), Some((outcome, number))) = (words.first_mut(), counts.iter().next()) {
        *first = format!("{number} of {count} {}", outcome.name());
    }
    words.join(", ")
}

pub(crate) fn split_name(split: Split) -> &'static str {
    match split {
        Split::Validation => "validation",
        Split::Test => "test",
    }
}

fn name_of(path: &std::path::Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// The first names of many.
fn named(names: &[String]) -> String {
    const MOST: usize = 12;
    let shown = names.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > MOST { format!("{shown} and {} more", names.len() - MOST) } else { shown }
}

impl Comparison {
    fn add_notes(&mut self) {
        let mut notes = Vec::new();
        let of = |wanted: &dyn Fn(&Run) -> bool| -> Vec<String> {
            let runs = self.runs.iter().filter(|run| wanted(run));
            runs.map(|run| run.summary.info.run.clone()).collect()
        };
        for outcome in
            [Outcome::Diverged, Outcome::Failed, Outcome::Unfinished, Outcome::Unevaluated]
        {
            let names = of(&|run| run.outcome == outcome);
            if !names.is_empty() {
                let verb = match outcome {
                    Outcome::Diverged | Outcome::Failed => outcome.name().to_owned(),
                    _ => format!(
                        "{} {}",
                        if names.len() == 1 { "is" } else { "are" },
                        outcome.name()
                    ),
                };
                notes.push(format!(
                    "{} of {} runs {verb}: {}.",
                    names.len(),
                    self.runs.len(),
                    named(&names)
                ));
            }
        }
        let changed = of(&|run| run.summary.changed);
        if !changed.is_empty() {
            notes.push(format!(
                "Settings were changed on the way of {}: they are sorted by those of their end.",
                named(&changed)
            ));
        }
        let again: Vec<String> = self
            .points
            .iter()
            .filter(|point| point.reported.len() + point.failed.len() < point.runs.len())
            .map(|point| point.label.clone())
            .collect();
        if !again.is_empty() {
            notes.push(format!(
                "Some seeds were run more than once, and count once, with their mean: {}.",
                named(&again)
            ));
        }
        if self.groups.iter().any(|group| group.points.len() > 1) {
            let unvalidated =
                self.points.iter().any(|point| point.validation.len() < point.reported.len());
            if unvalidated && self.split == Split::Test {
                notes.push(
                    "Some runs have no number on validation data: where a point lacks them, the \
                     choice within its group was made on test data, which flatters it."
                        .to_owned(),
                );
            }
        }
        let lost = self.groups.iter().filter(|group| {
            let point = &self.points[group.best];
            !point.failed.is_empty() && !point.reported.is_empty()
        });
        let lost: Vec<String> = lost.map(|group| group.label.clone()).collect();
        if !lost.is_empty() {
            notes.push(format!(
                "The numbers of {} are of the runs that came through, and so better than a new run's.",
                named(&lost)
            ));
        }
        self.notes.append(&mut notes);
    }

    /// The best point of a group.
    pub fn best_of(&self, group: &Group) -> &Point {
        &self.points[group.best]
    }

    /// The runs of a point that finished.
    pub fn finished(&self, point: &Point) -> impl Iterator<Item = &Run> {
        point.runs.iter().map(|index| &self.runs[*index]).filter(|run| run.reported.is_some())
    }
}
