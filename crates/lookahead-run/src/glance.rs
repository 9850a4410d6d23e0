//! A run at a glance: from its folder and the two ends of its log, in a time that does not depend on how long it
//! trained.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

mod end;

pub use end::End;

use crate::error::Error;
use crate::event::{
    Evaluation, Event, MetricInfo, Reason, Record, RunInfo, Scalars, Split, Task, Weights,
};
use crate::folder::{RunFolder, Writer};
use crate::summary::{RunSummary, State};
use crate::{log, number};

/// How many bytes at the end of a log are read: first, and at most if they have no evaluation.
const FIRST: u64 = 64 << 10;
const MOST: u64 = 16 << 20;
/// How many of the last steps' losses are averaged.
const LOSSES: usize = 100;

/// A run at a glance.
#[derive(Debug, Serialize)]
pub struct Glance {
    /// What it is doing, or how it ended.
    pub state: RunState,
    /// Why it ended, as in the event `run_ended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Inner steps taken.
    pub step: u64,
    /// Inner steps that it will have taken at its end, if that is known.
    pub total_steps: Option<u64>,
    /// The last evaluation of its final model.
    pub evaluation: Option<Evaluated>,
    /// The last numbers of a recorded run.
    #[serde(with = "number::map", skip_serializing_if = "BTreeMap::is_empty")]
    pub logged: BTreeMap<String, f64>,
    /// Unix time of the last event.
    pub last_event: Option<f64>,
    /// Unix time of the first event.
    #[serde(skip)]
    pub first_event: Option<f64>,
    /// The mean training loss of the last steps, of 100 at most.
    #[serde(skip)]
    pub loss: Option<f64>,
    /// What it is; its `config` has every key resolved.
    #[serde(skip)]
    pub info: Option<RunInfo>,
    /// Why nothing is known of it, as a sentence: its log can't be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// The last evaluation of a run's final model.
#[derive(Debug, Serialize)]
pub struct Evaluated {
    /// The step of the model.
    pub step: u64,
    /// The data.
    pub split: Split,
    /// The weights.
    pub weights: Weights,
    /// The loss on the data.
    #[serde(with = "number")]
    pub loss: f64,
    /// The most important metric.
    #[serde(flatten)]
    pub metric: Option<Measured>,
}

/// A metric and its value.
#[derive(Debug, Serialize)]
pub struct Measured {
    /// The metric.
    #[serde(rename = "metric", serialize_with = "name")]
    pub info: MetricInfo,
    /// Its value.
    #[serde(with = "number")]
    pub value: f64,
}

fn name<S: serde::Serializer>(info: &MetricInfo, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&info.name)
}

/// What a run is doing, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// A process trains it.
    Running,
    /// It waits, on request.
    Paused,
    /// Its log has no event yet, and no process trains it.
    Waiting,
    /// None of its log can be read.
    Unreadable,
    /// See [`End`].
    #[serde(untagged)]
    Ended(End),
}

impl RunState {
    /// The state in a word or two.
    pub fn label(self, reason: Option<Reason>) -> &'static str {
        match self {
            RunState::Running | RunState::Ended(End::Deaf) => "running",
            RunState::Paused => "paused",
            RunState::Waiting => "waiting",
            RunState::Unreadable => "unreadable",
            RunState::Ended(End::Finished) if reason == Some(Reason::EarlyStopping) => {
                "stopped early"
            }
            RunState::Ended(End::Finished) => "finished",
            RunState::Ended(End::Stopped) => "stopped",
            RunState::Ended(End::Failed) => "failed",
            RunState::Ended(End::Crashed) => "crashed",
            RunState::Ended(End::Elsewhere) => "elsewhere",
        }
    }
}

impl Glance {
    /// Reads a run. What can't be read counts as missing, and [`fault`](Self::fault) says so if that is the whole log.
    pub fn read(folder: &RunFolder) -> Glance {
        Glance::within(folder, MOST)
    }

    /// As [`read`](Self::read), in less time: there is no [`evaluation`](Self::evaluation) if the last one is further back
    /// than 64 KiB.
    pub fn read_ends(folder: &RunFolder) -> Glance {
        Glance::within(folder, FIRST)
    }

    fn within(folder: &RunFolder, most: u64) -> Glance {
        let writer = folder.writer().unwrap_or(Writer::Unknown);
        let Ends { log, evaluation, logged, losses, has_start, fault } = Ends::read(folder, most);
        let state = match End::of(writer, &log) {
            _ if fault.is_some() => RunState::Unreadable,
            End::Crashed if log.events == 0 => RunState::Waiting,
            End::Deaf if log.state == State::Paused => RunState::Paused,
            End::Deaf => RunState::Running,
            end => RunState::Ended(end),
        };
        let end = log.ended().filter(|_| writer != Writer::Alive);
        let info = log.info.as_ref();
        // A start that was not read may have changed it.
        let total = info.map(|info| info.total_steps);
        let total = if has_start { total } else { total_by_config(folder, info).or(total) };
        let mean = losses.iter().sum::<f64>() / losses.len() as f64;
        Glance {
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
            loss: Some(mean).filter(|_| !losses.is_empty()).or(logged.get(Scalars::LOSS).copied()),
            logged,
            last_event: log.last_time,
            first_event: log.first_time,
            info: log.info,
            fault,
        }
    }

    /// The most important metrics of its evaluations, the first one first.
    pub fn metrics(&self) -> Vec<MetricInfo> {
        self.info.as_ref().map(|info| info.task.metrics()).unwrap_or_default()
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

/// What the two ends of a log show.
#[derive(Debug, Default)]
struct Ends {
    log: RunSummary,
    /// The last evaluation of the final weights, and its step.
    evaluation: Option<(u64, Evaluation)>,
    /// The last numbers by name, if the run logs nothing else.
    logged: BTreeMap<String, f64>,
    /// Of the last steps.
    losses: VecDeque<f64>,
    /// Whether the start of the run's last process was read.
    has_start: bool,
    /// Why none of its events could be read.
    fault: Option<String>,
}

impl Ends {
    /// Those of a run, up to its last evaluation or `limit` bytes of its end.
    fn read(folder: &RunFolder, limit: u64) -> Ends {
        let path = folder.events_path();
        let length = path.metadata().map_or(0, |found| found.len());
        let mut most = FIRST;
        loop {
            let mut ends = Ends::default();
            if most < length {
                log::first(&path).ok().flatten().iter().for_each(|record| ends.apply(record));
                ends.has_start = false;
            }
            match log::last(&path, most) {
                Ok(records) => {
                    let mut records = records.skipping_damaged();
                    records.by_ref().for_each(|record| match record {
                        Ok(record) => ends.apply(&record),
                        Err(error) => ends.fault = Some(error.to_string()),
                    });
                    ends.fault = ends.fault.or(records.damage().map(|damage| damage.to_string()));
                }
                Err(Error::LogMissing(_)) => {}
                Err(error) => ends.fault = Some(error.to_string()),
            }
            ends.fault.take_if(|_| ends.log.events > 0);
            let has_result = ends.evaluation.is_some() || !ends.logged.is_empty();
            if has_result || most >= length.min(limit) {
                return ends;
            }
            most *= 8;
        }
    }

    fn apply(&mut self, record: &Record) {
        self.log.apply(record);
        match &record.event {
            Event::RunStarted(_) | Event::Resumed(_) => self.has_start = true,
            Event::Step(step) => {
                self.losses.push_back(step.loss);
                let surplus = self.losses.len().saturating_sub(LOSSES);
                self.losses.drain(..surplus);
            }
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
