//! A run at a glance: from its folder and the two ends of its log, in a time that does not depend on how long it
//! trained.

use std::collections::BTreeMap;

use lookahead_run::event::{
    Evaluation, Event, MetricInfo, Reason, Record, RunInfo, Split, Task, Weights,
};
use lookahead_run::summary::State;
use lookahead_run::{RunFolder, RunSummary, Writer, log, number};
use serde::Serialize;

use super::super::end::End;

/// How many bytes at the end of a log are read: first, and at most if they have no evaluation.
const FIRST: u64 = 64 << 10;
const MOST: u64 = 16 << 20;

/// The row of a run.
#[derive(Debug, Serialize)]
pub(super) struct RunRow {
    /// As it can be typed for a command.
    pub(super) name: String,
    pub(super) state: RunState,
    /// Why it ended, as in the event `run_ended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<Reason>,
    pub(super) step: u64,
    pub(super) total_steps: Option<u64>,
    pub(super) evaluation: Option<Evaluated>,
    /// The last numbers of a recorded run.
    #[serde(with = "number::map", skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) logged: BTreeMap<String, f64>,
    /// How to read the most important of them.
    #[serde(skip)]
    pub(super) metrics: Vec<MetricInfo>,
    /// Unix time of the last event.
    pub(super) last_event: Option<f64>,
}

/// The last evaluation of a run's final model.
#[derive(Debug, Serialize)]
pub(super) struct Evaluated {
    pub(super) step: u64,
    pub(super) split: Split,
    pub(super) weights: Weights,
    #[serde(with = "number")]
    pub(super) loss: f64,
    /// The most important metric.
    #[serde(flatten)]
    pub(super) metric: Option<Measured>,
}

/// A metric and its value.
#[derive(Debug, Serialize)]
pub(super) struct Measured {
    #[serde(rename = "metric", serialize_with = "name")]
    pub(super) info: MetricInfo,
    #[serde(with = "number")]
    pub(super) value: f64,
}

fn name<S: serde::Serializer>(info: &MetricInfo, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&info.name)
}

/// What a run is doing, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RunState {
    /// A process trains it.
    Running,
    /// It waits, on request.
    Paused,
    /// See [`End`].
    #[serde(untagged)]
    Ended(End),
}

impl RunRow {
    /// Reads a run. What can't be read counts as missing.
    pub(super) fn read(name: String, folder: &RunFolder) -> RunRow {
        let writer = folder.writer().unwrap_or(Writer::Unknown);
        let Glance { log, evaluation, logged, has_start } = Glance::read(folder);
        let state = match End::of(writer, &log) {
            End::Deaf if log.state == State::Paused => RunState::Paused,
            End::Deaf => RunState::Running,
            end => RunState::Ended(end),
        };
        let end = log.ended().filter(|_| writer != Writer::Alive);
        let info = log.info.as_ref();
        // A start that was not read may have changed it.
        let total = info.map(|info| info.total_steps);
        let total = if has_start { total } else { total_by_config(folder, info).or(total) };
        RunRow {
            name,
            state,
            reason: end.and_then(|end| end.reason),
            step: log.step,
            total_steps: total,
            evaluation: evaluation.map(|(step, found)| Evaluated {
                step: found.model_step.unwrap_or(step),
                split: found.split,
                weights: found.weights,
                loss: found.loss,
                metric: info.and_then(|info| {
                    let info = info.task.metrics().into_iter().next()?;
                    let value = found.value(&info.name)?;
                    Some(Measured { info, value })
                }),
            }),
            metrics: info.map(|info| info.task.metrics()).unwrap_or_default(),
            logged,
            last_event: log.last_time,
        }
    }
}

/// The steps that a run will have taken at its end, by the config in its folder.
fn total_by_config(folder: &RunFolder, info: Option<&RunInfo>) -> Option<u64> {
    let config: toml::Table = folder.read_config().ok()?.parse().ok()?;
    let train = config.get("train")?;
    let number = |key| u64::try_from(train.get(key)?.as_integer()?).ok();
    let by_epochs = || number("epochs")?.checked_mul(info?.steps_per_epoch);
    number("max_steps").or_else(by_epochs)
}

/// What the ends of a log show.
#[derive(Debug, Default)]
struct Glance {
    log: RunSummary,
    /// The last evaluation of the final weights, and its step.
    evaluation: Option<(u64, Evaluation)>,
    /// The last numbers by name, if the run logs nothing else.
    logged: BTreeMap<String, f64>,
    /// Whether the start of the run's last process was read.
    has_start: bool,
}

impl Glance {
    fn read(folder: &RunFolder) -> Glance {
        let path = folder.events_path();
        let length = path.metadata().map_or(0, |found| found.len());
        let mut most = FIRST;
        loop {
            let mut glance = Glance::default();
            if most < length {
                log::first(&path).ok().flatten().iter().for_each(|record| glance.apply(record));
                glance.has_start = false;
            }
            // Up to a damaged line.
            let records = log::last(&path, most).into_iter().flatten().map_while(Result::ok);
            records.for_each(|record| glance.apply(&record));
            let has_result = glance.evaluation.is_some() || !glance.logged.is_empty();
            if has_result || most >= length.min(MOST) {
                return glance;
            }
            most *= 8;
        }
    }

    fn apply(&mut self, record: &Record) {
        self.log.apply(record);
        match &record.event {
            Event::RunStarted(_) | Event::Resumed(_) => self.has_start = true,
            Event::Evaluation(found) => {
                let is_less = |(_, kept): &(u64, Evaluation)| {
                    finality(found.weights) < finality(kept.weights)
                };
                if !self.evaluation.as_ref().is_some_and(is_less) {
                    self.evaluation = Some((record.step, found.clone()));
                }
            }
            Event::Scalars(scalars) if self.is_recorded() => {
                self.logged.extend(scalars.values.clone());
            }
            _ => {}
        }
    }

    fn is_recorded(&self) -> bool {
        self.log.info.as_ref().is_some_and(|info| info.task.kind == Task::Recorded)
    }
}

/// The weights of the final model: the slow ones of a run that has them, else a running average, else the fast ones.
fn finality(weights: Weights) -> u8 {
    match weights {
        Weights::Slow => 2,
        Weights::Average => 1,
        Weights::Fast => 0,
    }
}

#[cfg(test)]
mod tests;
