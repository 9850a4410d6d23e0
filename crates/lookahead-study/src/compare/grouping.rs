//! Points, groups, the best point of a group, and the baseline.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde_json::Value;

use super::comparison::{ComparedPoint, Group};
use super::error::CompareError;
use super::options::{Metric, Options};
use super::run::Run;
use super::settings::{self, Settings};
use super::statistics;
use crate::error::Result;

/// All runs by their settings.
pub(super) fn points(runs: &[Run]) -> (Vec<String>, Vec<ComparedPoint>) {
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
    let mut points: Vec<ComparedPoint> = by_settings
        .into_iter()
        .map(|(_, members)| {
            let settings = runs[members[0]].settings.clone();
            let label = whole(settings::label(&settings, &keys), keys.is_empty(), "all runs");
            let failed =
                members.iter().copied().filter(|index| runs[*index].reported.is_none()).collect();
            let validation = by_seed(runs, &members, |run| run.validation);
            let reported = by_seed(runs, &members, |run| run.reported);
            ComparedPoint { label, settings, runs: members, validation, reported, failed }
        })
        .collect();
    points.sort_by(|a, b| settings::order(&a.settings, &b.settings, &keys));
    (keys, points)
}

/// A label, or a name for it if it is empty: there is only one, or it lacks all of the keys.
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

pub(super) fn by(keys: &[String], options: &Options, runs: &[Run]) -> Result<Vec<String>> {
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

pub(super) fn groups(points: &[ComparedPoint], by: &[String], metric: &Metric) -> Vec<Group> {
    let values = |point: &ComparedPoint| -> Vec<Option<Value>> {
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

/// The point with the best mean on validation data among those without a failed run; the
/// one with the smallest part of failures if each has some. Without validation data on the reported ones.
pub(super) fn best(points: &[ComparedPoint], members: &[usize], metric: &Metric) -> usize {
    let mean = |index: usize| {
        let point = &points[index];
        point.validation_spread().or_else(|| point.spread()).map(|spread| spread.mean)
    };
    let order = |a: &usize, b: &usize| {
        let failed = |index: &usize| {
            let point = &points[*index];
            // One of two seeds is worse than one of five.
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

pub(super) fn baseline(
    groups: &[Group],
    points: &[ComparedPoint],
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
