//! From runs to a comparison, and the notes that a reader needs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lookahead_run::event::{Evaluation, MetricInfo, Split, Task};
use serde_json::Value;

use super::comparison::{ComparedPoint, Comparison, Group};
use super::error::CompareError;
use super::options::{Metric, Options, split_name};
use super::run::{Outcome, Run, outcomes};
use super::settings::{self, Settings};
use super::statistics::Paired;
use super::{grouping, read};
use crate::error::Result;
use crate::summary::Summary;

/// Compares the runs at these paths, each the folder of a run or of a sweep.
///
/// # Errors
/// If a path is neither, or a run that was named can't be read; [`CompareError`] for what can't
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
            "{} in the folders of sweeps are no longer points of theirs, and are in no table: {}.",
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

/// As [`compare`], of runs that were read before; with `first_is_baseline` the group of the first run is the
/// baseline unless the options name another.
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
    let metric = metric(&summaries, options)?;
    let has = |split| summaries.iter().any(|run| run.last_of_final(split).is_some());
    let mut split = options.split;
    if split == Split::Test && !has(Split::Test) && has(Split::Validation) {
        split = Split::Validation;
        let recorded = summaries.iter().all(|run| run.info.task.kind == Task::Recorded);
        let note = if recorded {
            "The runs were recorded by a program of their own: the numbers are the last that each of them logged."
        } else {
            "No run was evaluated on test data: the numbers are those on validation data, and, if \
             something was chosen on them, better than they would be on new data."
        };
        notes.push(note.to_owned());
    }
    let mut settings: Vec<Settings> = summaries.iter().map(settings_of).collect();
    settings::add_sections(&mut settings);
    let runs: Vec<Run> = summaries
        .into_iter()
        .zip(settings)
        .map(|(summary, settings)| Run::new(summary, settings, &metric, split))
        .collect();
    if runs.iter().all(|run| run.reported.is_none()) {
        return Err(no_values(&runs, &metric, split).into());
    }
    let (keys, points) = grouping::points(&runs);
    let by = grouping::by(&keys, options, &runs)?;
    let mut groups = grouping::groups(&points, &by, &metric);
    let baseline = grouping::baseline(&groups, &points, options, first_is_baseline)?;
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
    Ok(())
}

/// The settings of a run. A recorded one without a seed and a configuration has its name: nothing shows that another one
/// repeats it.
fn settings_of(run: &Summary) -> Settings {
    let is_known = run.info.config.as_object().is_none_or(|config| !config.is_empty());
    if run.info.task.kind == Task::Recorded && !is_known {
        return Settings::from([("run".to_owned(), run.info.run.clone().into())]);
    }
    settings::flat(&run.info.config)
}

/// The data that a run was trained on: texts differ by their files.
fn data_of(run: &Summary) -> String {
    match run.info.config.pointer("/data/file").and_then(Value::as_str) {
        Some(file) => format!("`{}` {file}", run.info.data),
        None => format!("`{}`", run.info.data),
    }
}

fn counted(runs: usize) -> String {
    if runs == 1 { "1 run".to_owned() } else { format!("{runs} runs") }
}

/// The requested metric, or the default.
fn metric(summaries: &[Summary], options: &Options) -> Result<Metric> {
    let mut common = summaries[0].info.task.metrics();
    common.retain(|metric| {
        summaries.iter().all(|run| run.info.task.metric(&metric.name).as_ref() == Some(metric))
    });
    let Some(name) = &options.metric else {
        let first = common.into_iter().next().unwrap_or_else(MetricInfo::loss);
        let mut all = summaries.iter().flat_map(|run| &run.evaluations).peekable();
        let was_measured = |found: &Evaluation| found.value(&first.name).is_some();
        // Earlier versions named the accuracy of classes for every task.
        let lacking = all.peek().is_some() && !all.any(|(_, found)| was_measured(found));
        return Ok(if lacking { MetricInfo::loss() } else { first }.into());
    };
    common.push(MetricInfo::loss());
    let found = common.iter().find(|metric| &metric.name == name).cloned();
    found.map(Metric::from).ok_or_else(|| {
        let known = common.into_iter().map(|metric| metric.name).collect();
        CompareError::Metric { metric: name.clone(), known }.into()
    })
}

fn no_values(runs: &[Run], metric: &Metric, split: Split) -> CompareError {
    let unevaluated = runs.iter().any(|run| run.outcome == Outcome::Unevaluated);
    let remedy = match (unevaluated, metric.name()) {
        (true, "loss") => "Train with evaluations: `train.evaluate_every_epochs=1`.",
        (true, _) => {
            "If they did not measure it, use `--metric loss`. Otherwise train with evaluations: \
             `train.evaluate_every_epochs=1`."
        }
        (false, _) => "Wait until they have finished, or resume them.",
    };
    let failed = outcomes(runs.iter().map(|run| run.outcome), runs.len());
    let (metric, split) = (metric.name().to_owned(), split_name(split));
    CompareError::NoValues { runs: runs.len(), metric, split, failed, remedy }
}

fn name_of(path: &Path) -> String {
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
        let runs = |wanted: &dyn Fn(&Run) -> bool| -> Vec<String> {
            let runs = self.runs.iter().filter(|run| wanted(run));
            runs.map(|run| run.summary.info.run.clone()).collect()
        };
        let mut notes = Vec::new();
        for outcome in
            [Outcome::Diverged, Outcome::Failed, Outcome::Unfinished, Outcome::Unevaluated]
        {
            let names = runs(&|run| run.outcome == outcome);
            let (count, total) = (names.len(), self.runs.len());
            let verb = match (outcome, count) {
                (Outcome::Diverged | Outcome::Failed, _) => "",
                (_, 1) => "is ",
                _ => "are ",
            };
            let outcome = outcome.name();
            add(&mut notes, names, |names| {
                format!("{count} of {total} runs {verb}{outcome}: {names}.")
            });
        }
        add(&mut notes, runs(&|run| run.summary.changed), |names| {
            format!(
                "Settings of {names} were changed during training: they are sorted by the last ones."
            )
        });
        let is_repeated =
            |point: &&ComparedPoint| point.reported.len() + point.failed.len() < point.runs.len();
        let repeated = self.points.iter().filter(is_repeated).map(|point| point.label.clone());
        add(&mut notes, repeated.collect(), |names| {
            format!("Some seeds were run more than once and count once, with their mean: {names}.")
        });
        let is_unvalidated = |point: &ComparedPoint| point.validation.len() < point.reported.len();
        if self.split == Split::Test
            && self.groups.iter().any(|group| group.points.len() > 1)
            && self.points.iter().any(is_unvalidated)
        {
            notes.push(
                "Some runs have no number on validation data: for such points the choice within \
                 the group was made on test data, which flatters it."
                    .to_owned(),
            );
        }
        let is_partial = |group: &&Group| {
            let point = &self.points[group.best];
            !point.failed.is_empty() && !point.reported.is_empty()
        };
        let partial = self.groups.iter().filter(is_partial).map(|group| group.label.clone());
        add(&mut notes, partial.collect(), |names| {
            format!(
                "The numbers of {names} are those of the runs that finished, and so better than a new run's."
            )
        });
        self.notes.append(&mut notes);
    }
}

/// Adds a note about these names, if there are any.
fn add(notes: &mut Vec<String>, names: Vec<String>, note: impl Fn(String) -> String) {
    if !names.is_empty() {
        notes.push(note(named(&names)));
    }
}
