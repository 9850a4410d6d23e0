//! The numbers by which runs are compared, read from a run's event log.

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use lookahead_run::event::{
    Evaluation, Event, Probe, RunEnded, RunInfo, Scalars, Split, Task, Weights,
};
use lookahead_run::{RunFolder, RunSummary, log};

use crate::error::{Error, Result};

/// Most steps that a log may skip at once.
const LARGEST_GAP: usize = 1_000_000;

/// What is known of a run from its folder.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Its folder.
    pub folder: PathBuf,
    /// What it is; its `config` has every key resolved.
    pub info: RunInfo,
    /// How it ended; `None` while it is running and after a crash.
    pub ended: Option<RunEnded>,
    /// Inner steps taken.
    pub steps: u64,
    /// Evaluations with their steps, in their order. Of a recorded run, one: the last of each number that it logged, as
    /// if evaluated on validation data, with NaN as the loss if it logged none.
    pub evaluations: Vec<(u64, Evaluation)>,
    /// Probes with their steps, in their order.
    pub probes: Vec<(u64, Probe)>,
    /// The loss of each step, of step 1 first; NaN if a step has none.
    pub losses: Vec<f32>,
    /// The phase of each step, as in [`Step`](lookahead_run::event::Step), of step 1 first.
    pub phases: Vec<u16>,
    /// Whether its settings were changed while it ran, so that its `config` is only the last one.
    pub changed: bool,
    /// From the first event to the last, in seconds, without the time between its processes.
    pub seconds: f64,
}

impl Summary {
    /// Reads a run.
    ///
    /// # Errors
    /// If the folder is not a run's, or its log can't be read or does not start with what the run is.
    pub fn read(folder: &Path) -> Result<Summary> {
        let folder = RunFolder::open(folder)?;
        let mut run = RunSummary::default();
        let (mut evaluations, mut probes) = (Vec::new(), Vec::new());
        let (mut losses, mut phases) = (Vec::new(), Vec::new());
        let mut logged = Scalars::default();
        // One by one: the events of a long log take many times the memory of this summary.
        for record in log::records(&folder.events_path())? {
            let record = record?;
            run.apply(&record);
            match record.event {
                Event::Step(step) => {
                    let place = usize::try_from(record.step).unwrap_or(usize::MAX);
                    // A step far beyond the others is a fault of the log, not a reason to allocate
                    // memory for all before it.
                    if place >= 1 && place <= losses.len() + LARGEST_GAP {
                        losses.resize(place.max(losses.len()), f32::NAN);
                        losses[place - 1] = step.loss as f32;
                        phases.resize(losses.len(), 0);
                        phases[place - 1] = u16::try_from(step.phase).unwrap_or(u16::MAX);
                    }
                }
                Event::Evaluation(found) => evaluations.push((record.step, found)),
                Event::Probe(probe) => probes.push((record.step, probe)),
                Event::Scalars(scalars) => logged.values.extend(scalars.values),
                _ => {}
            }
        }
        let ended = run.ended().cloned();
        let RunSummary { info, step: steps, changed, seconds, .. } = run;
        let folder = folder.path().to_owned();
        let Some(info) = info else { return Err(Error::NotBegun(folder)) };
        if info.task.kind == Task::Recorded && !logged.values.is_empty() {
            let loss = logged.values.remove(Scalars::LOSS).unwrap_or(f64::NAN);
            let last = Evaluation::new(Weights::Fast, Split::Validation);
            evaluations.push((steps, Evaluation { loss, metrics: logged.values, ..last }));
        }
        Ok(Summary {
            folder,
            info,
            ended,
            steps,
            evaluations,
            probes,
            losses,
            phases,
            changed,
            seconds,
        })
    }

    /// The weights by which the run is judged: the slow ones if it has any, else a running average,
    /// else the fast ones. `None` without evaluations.
    pub fn final_weights(&self) -> Option<Weights> {
        let of = |wanted: fn(Weights) -> bool| {
            self.evaluations.iter().map(|(_, found)| found.weights).find(|weights| wanted(*weights))
        };
        of(|weights| weights == Weights::Slow)
            .or_else(|| of(|weights| weights != Weights::Fast))
            .or_else(|| of(|_| true))
    }

    /// The last evaluation of the final weights on a split.
    pub fn last_of_final(&self, split: Split) -> Option<&Evaluation> {
        self.last(split, self.final_weights()?)
    }

    /// The last evaluation of some weights on a split.
    pub fn last(&self, split: Split, weights: Weights) -> Option<&Evaluation> {
        self.results().filter(|found| found.split == split && found.weights == weights).last()
    }

    /// The evaluations in their order, up to the model that is the run's result: after early stopping that
    /// is the best one, which is tested, and what came later on validation data is another model's.
    pub fn results(&self) -> impl Iterator<Item = &Evaluation> {
        let best = self.ended.as_ref().and_then(|ended| ended.best_step);
        let counts = move |step: u64, found: &Evaluation| {
            found.split == Split::Test || best.is_none_or(|best| step <= best)
        };
        let all = self.evaluations.iter();
        all.filter(move |(step, found)| counts(*step, found)).map(|(_, found)| found)
    }
}
