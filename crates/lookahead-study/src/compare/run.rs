//! One run of a comparison.

use std::collections::BTreeMap;

use lookahead_run::event::{Split, Status, Task};

use super::options::Metric;
use super::settings::Settings;
use super::stability::Stability;
use crate::summary::Summary;

/// The outcome of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It reached its end and has a result.
    Finished,
    /// Its loss or its weights became NaN or infinite.
    Diverged,
    /// It ended with another error.
    Failed,
    /// It is running, was stopped, or its process crashed.
    Unfinished,
    /// It reached its end without the evaluation that is compared.
    Unevaluated,
}

impl Outcome {
    /// As a table prints it.
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
    /// Its keys that matter, and one for each section that only some runs have.
    pub settings: Settings,
    /// Its outcome.
    pub outcome: Outcome,
    /// The last number of its final weights on validation data; only of a finished run.
    pub validation: Option<f64>,
    /// The same on the data that are reported.
    pub reported: Option<f64>,
    /// How steadily it trained.
    pub stability: Stability,
}

impl Run {
    /// A run with its settings and its numbers.
    pub(super) fn new(summary: Summary, settings: Settings, metric: &Metric, split: Split) -> Run {
        let value =
            |split| summary.last_of_final(split).map(|found| (metric.of(found), found.loss));
        let reported = value(split);
        let is_recorded = summary.info.task.kind == Task::Recorded;
        let outcome = match (&summary.ended, reported) {
            (None, _) => Outcome::Unfinished,
            (Some(ended), _) if ended.status == Status::Failed => {
                let message = ended.message.as_deref().unwrap_or("");
                let lost = summary.losses.last().is_some_and(|loss| !loss.is_finite());
                if lost || message.contains("diverged") {
                    Outcome::Diverged
                } else {
                    Outcome::Failed
                }
            }
            (Some(ended), _) if ended.status != Status::Finished => Outcome::Unfinished,
            (_, None) => Outcome::Unevaluated,
            // The accuracy of weights that are not finite is a number, but means nothing.
            // A recorded run need not log a loss.
            (_, Some((_, loss))) if !loss.is_finite() && !is_recorded => Outcome::Diverged,
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
}

/// `2 of 5 diverged, 1 unfinished`; nothing if all finished.
pub(super) fn outcomes(all: impl Iterator<Item = Outcome>, count: usize) -> String {
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
