//! The runs of one sweep, and how to select some of them.

use std::collections::BTreeMap;
use std::path::Path;

use lookahead_run::event::{Evaluation, MetricInfo, Split, Weights};
use serde_json::Value;

use crate::error::Result;
use lookahead_study::Summary;
use lookahead_study::compare::settings::Settings;
use lookahead_study::compare::stability::Stability;
use lookahead_study::compare::statistics::{Better, Paired};
use lookahead_study::compare::{ComparedPoint, Comparison, Metric, Options, Outcome, Run, compare};

/// A sweep, compared.
#[derive(Debug)]
pub(super) struct Study {
    pub(super) name: String,
    pub(super) runs: Comparison,
}

/// What sweeps were run on, and how many runs there were.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) sweep: String,
    pub(super) runs: usize,
    pub(super) failed: usize,
    pub(super) hours: f64,
    pub(super) libtorch: String,
    pub(super) capability: String,
    pub(super) threads: u32,
}

/// The inner optimizer's name in the report.
pub(super) fn inner(settings: &Settings) -> &'static str {
    let momentum = number(settings, "optimizer.momentum").unwrap_or(0.0);
    match settings.get("optimizer.kind").and_then(Value::as_str) {
        Some("sgd") if momentum > 0.0 => "SGD with momentum",
        Some("sgd") => "SGD",
        Some("adam") => "Adam",
        Some("adamw") => "AdamW",
        Some("rmsprop") => "RMSprop",
        _ => "another optimizer",
    }
}

/// In the order of the tables.
pub(super) const INNER: [&str; 5] = ["SGD", "SGD with momentum", "Adam", "AdamW", "RMSprop"];

/// What wraps an inner optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Around {
    Nothing,
    Lookahead,
    Polyak,
    Ema,
}

impl Around {
    pub(super) fn of(settings: &Settings) -> Self {
        if settings.contains_key("lookahead.k") {
            return Around::Lookahead;
        }
        match settings.get("averaging.kind").and_then(Value::as_str) {
            Some("polyak") => Around::Polyak,
            Some("ema") => Around::Ema,
            _ => Around::Nothing,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Around::Nothing => "alone",
            Around::Lookahead => "Lookahead",
            Around::Polyak => "Polyak average",
            Around::Ema => "exponential average",
        }
    }
}

pub(super) fn number(settings: &Settings, key: &str) -> Option<f64> {
    settings.get(key).and_then(Value::as_f64)
}

/// A number as people write learning rates.
pub(super) fn written(value: f64) -> String {
    format!("{value}")
}

impl Study {
    pub(super) fn read(name: &str, folder: &Path) -> Result<Study> {
        let runs = compare(&[folder.to_owned()], &Options::default())?;
        Ok(Study { name: name.to_owned(), runs })
    }

    /// The data that its runs were trained on.
    pub(super) fn data(&self) -> &str {
        self.runs.runs.first().map_or("", |run| &run.summary.info.data)
    }

    /// The best points, by validation data, of the groups whose settings are wanted.
    pub(super) fn best(&self, wanted: impl Fn(&Settings) -> bool) -> Option<&ComparedPoint> {
        let mut all = self.runs.groups.iter().map(|group| self.runs.best_of(group));
        all.find(|point| wanted(&point.settings))
    }

    /// All points whose settings are wanted, by their learning rate.
    pub(super) fn points(&self, wanted: impl Fn(&Settings) -> bool) -> Vec<&ComparedPoint> {
        let mut all: Vec<&ComparedPoint> =
            self.runs.points.iter().filter(|point| wanted(&point.settings)).collect();
        let rate = |point: &ComparedPoint| number(&point.settings, "optimizer.lr").unwrap_or(0.0);
        all.sort_by(|a, b| rate(a).total_cmp(&rate(b)));
        all
    }

    /// A number of each finished run of a point, by seed.
    pub(super) fn values(
        &self,
        point: &ComparedPoint,
        value: impl Fn(&Summary) -> Option<f64>,
    ) -> BTreeMap<u64, f64> {
        self.by_seed(point, |run| value(&run.summary))
    }

    /// The same of a run's steadiness.
    pub(super) fn steadiness(
        &self,
        point: &ComparedPoint,
        value: impl Fn(&Stability) -> Option<f64>,
    ) -> BTreeMap<u64, f64> {
        self.by_seed(point, |run| value(&run.stability))
    }

    fn by_seed(
        &self,
        point: &ComparedPoint,
        value: impl Fn(&Run) -> Option<f64>,
    ) -> BTreeMap<u64, f64> {
        let of = |run: &Run| Some((run.summary.info.seed, value(run)?));
        self.runs.finished(point).filter_map(of).filter(|(_, value)| value.is_finite()).collect()
    }

    pub(super) fn machine(&self) -> Machine {
        let runs = &self.runs.runs;
        let seconds: f64 = runs.iter().map(|run| run.summary.seconds).sum();
        let failed = runs.iter().filter(|run| run.outcome != Outcome::Finished).count();
        let info = runs.first().map(|run| &run.summary.info);
        Machine {
            sweep: self.name.clone(),
            runs: runs.len(),
            failed,
            hours: seconds / 3600.0,
            libtorch: info.map_or_else(String::new, |info| info.software.versions.libtorch.clone()),
            capability: info.map_or_else(String::new, |info| info.compute.cpu_capability.clone()),
            threads: info.map_or(0, |info| info.compute.threads),
        }
    }
}

/// The last evaluation of some weights, or of the final ones, on test data.
fn test(run: &Summary, weights: Option<Weights>) -> Option<&Evaluation> {
    match weights {
        Some(weights) => run.last(Split::Test, weights),
        None => run.last_of_final(Split::Test),
    }
}

pub(super) fn accuracy(run: &Summary) -> Option<f64> {
    accuracy_at(None)(run)
}

/// The test accuracy of some weights, or of the final ones, in per cent.
pub(super) fn accuracy_at(weights: Option<Weights>) -> impl Fn(&Summary) -> Option<f64> {
    move |run| test(run, weights).map(|found| Metric::from(MetricInfo::accuracy()).of(found))
}

pub(super) fn loss(run: &Summary) -> Option<f64> {
    test(run, None).map(|found| found.loss)
}

/// The first less the second on the seeds that both have.
pub(super) fn paired(
    first: &BTreeMap<u64, f64>,
    second: &BTreeMap<u64, f64>,
    better: Better,
) -> Option<Paired> {
    let pairs: Vec<(f64, f64)> =
        first.iter().filter_map(|(seed, a)| Some((*a, *second.get(seed)?))).collect();
    Paired::of(&pairs, better)
}
