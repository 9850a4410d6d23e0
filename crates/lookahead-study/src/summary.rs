//! A run in the numbers by which runs are compared, read from its event log.

use std::path::{Path, PathBuf};

use lookahead_run::event::{Evaluation, Event, Probe, RunEnded, RunInfo, Split, Weights};
use lookahead_run::{RunFolder, log};

use crate::error::{Error, Result};

/// Most steps that a log may leave out at once.
const LARGEST_GAP: usize = 1_000_000;

/// What is known of a run from its folder.
#[derive(Debug, Clone)]
pub struct Summary {
    /// Where it lies.
    pub folder: PathBuf,
    /// What it is; its `config` has every key resolved.
    pub info: RunInfo,
    /// How it ended; `None` while it lives and after a crash.
    pub ended: Option<RunEnded>,
    /// Inner steps taken.
    pub steps: u64,
    /// Evaluations with their steps, in their order.
    pub evaluations: Vec<(u64, Evaluation)>,
    /// Probes with their steps, in their order.
    pub probes: Vec<(u64, Probe)>,
    /// The loss of each step, of step 1 first; NaN where a step has none.
    pub losses: Vec<f32>,
    /// The phase of each step, as in [`Step`](lookahead_run::event::Step), of step 1 first.
    pub phases: Vec<u16>,
    /// Whether its settings were changed on the way, so that its `config` is that of its end only.
    pub changed: bool,
    /// From the first event to the last, in seconds, without the time between its processes.
    pub seconds: f64,
}

impl Summary {
    /// Reads a run.
    ///
    /// # Errors
    /// Where the folder is none of a run or its log can't be read or does not tell what the run is.
    pub fn read(folder: &Path) -> Result<Summary> {
        let folder = RunFolder::open(folder)?;
        let mut summary: Option<Summary> = None;
        let (mut began, mut last) = (f64::NAN, f64::NAN);
        // One by one: a long log held as events takes many times what is kept of it here.
        for record in log::records(&folder.events_path())? {
            let record = record?;
            if began.is_nan() {
                began = record.time;
            }
            let (info, changed) = match &record.event {
                Event::RunStarted(info) => (Some(info), false),
                Event::Resumed(resumed) => (Some(&resumed.info), !resumed.changes.is_empty()),
                _ => (None, false),
            };
            if let Some(info) = info {
                let known = summary.get_or_insert_with(|| Summary {
                    folder: folder.path().to_owned(),
                    info: info.clone(),
                    ended: None,
                    steps: 0,
                    evaluations: Vec::new(),
                    probes: Vec::new(),
                    losses: Vec::new(),
                    phases: Vec::new(),
                    changed: false,
                    seconds: 0.0,
                });
                known.info = info.clone();
                known.ended = None;
                known.changed |= changed;
                known.go_back_to(record.step);
                // Nothing ran between the end of one process and the start of the next.
                if !last.is_nan() {
                    began += (record.time - last).max(0.0);
                }
            }
            last = record.time;
            let Some(known) = &mut summary else { continue };
            known.seconds = record.time - began;
            match record.event {
                Event::Step(step) => {
                    let place = usize::try_from(record.step).unwrap_or(usize::MAX);
                    // A step far beyond the others is a fault of the log, and no reason to take
                    // memory for all before it.
                    if place >= 1 && place <= known.losses.len() + LARGEST_GAP {
                        known.losses.resize(place.max(known.losses.len()), f32::NAN);
                        known.losses[place - 1] = step.loss as f32;
                        known.phases.resize(known.losses.len(), 0);
                        known.phases[place - 1] = u16::try_from(step.phase).unwrap_or(u16::MAX);
                    }
                    known.steps = record.step;
                }
                Event::Evaluation(found) => known.evaluations.push((record.step, found)),
                Event::Probe(probe) => known.probes.push((record.step, probe)),
                Event::Changed(_) => known.changed = true,
                Event::RunEnded(ended) => known.ended = Some(ended),
                _ => {}
            }
        }
        summary.ok_or_else(|| Error::NotBegun(folder.path().to_owned()))
    }

    /// Drops what an abandoned line of time left behind that step.
    fn go_back_to(&mut self, step: u64) {
        let kept = usize::try_from(step).unwrap_or(usize::MAX);
        self.losses.truncate(kept);
        self.phases.truncate(kept);
        self.evaluations.retain(|(at, _)| *at <= step);
        self.probes.retain(|(at, _)| *at <= step);
        self.steps = self.steps.min(step);
    }

    /// The weights that the run is judged by: the slow ones where it has any, else others than the
    /// fast ones, such as a running average, else the fast ones. `None` without evaluations.
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

#[cfg(test)]
mod tests {
    use lookahead_run::EventLog;
    use lookahead_run::event::{Changed, Record, Resumed, Status, Step};
    use serde_json::{Map, json};

    use super::*;
    use crate::compare::testing::Made;

    fn step(loss: f64, phase: u64) -> Event {
        Event::Step(Step { epoch: 0, loss, learning_rate: 0.1, samples_per_second: 1.0, phase })
    }

    fn evaluation(weights: Weights, accuracy: f64) -> Event {
        let (split, loss) = (Split::Validation, 1.0 - accuracy);
        Event::Evaluation(Evaluation {
            weights,
            split,
            loss,
            accuracy,
            samples: 1,
            seconds: 0.0,
            model_step: None,
        })
    }

    /// A run of 40 steps in cycles of 5, then what is appended.
    fn read(more: impl Fn(&RunInfo) -> Vec<(u64, Event)>) -> Summary {
        let folder = tempfile::tempdir().unwrap();
        let config = json!({"lookahead": {"k": 5, "alpha": 0.5}});
        let path = Made::new(config, 0, 0.9, 0.8).write(folder.path(), "run");
        let info = Summary::read(&path).unwrap().info;
        let mut log = EventLog::open(&path.join("events.jsonl")).unwrap();
        for (step, event) in more(&info) {
            log.append(&Record { time: 1000.0, step, event }).unwrap();
        }
        Summary::read(&path).unwrap()
    }

    /// The model that is tested is the best one: what is known of it on validation data counts.
    #[test]
    fn after_early_stopping_the_best_model_counts() {
        let ended =
            |best_step| Event::RunEnded(RunEnded { best_step, ..RunEnded::new(Status::Finished) });
        let more = |best_step| {
            let (slow, end) = (Weights::Slow, ended(best_step));
            vec![(44, evaluation(slow, 0.95)), (48, evaluation(slow, 0.5)), (48, end)]
        };
        let validation = |best_step| {
            let run = read(|_| more(best_step));
            run.last_of_final(Split::Validation).unwrap().accuracy
        };
        assert_eq!([validation(None), validation(Some(44))], [0.5, 0.95]);
    }

    #[test]
    fn a_run_is_read_with_its_phases() {
        let run = read(|_| vec![]);
        assert_eq!((run.steps, run.losses.len(), run.phases.len()), (40, 40, 40));
        assert_eq!(run.phases[..7], [1, 2, 3, 4, 5, 1, 2]);
        assert_eq!((run.probes.len(), run.evaluations.len()), (8, 5));
        assert!(run.ended.is_some() && !run.changed);
        assert_eq!(run.last_of_final(Split::Test).unwrap().accuracy, 0.8);
    }

    #[test]
    fn what_a_resumed_run_left_behind_is_dropped() {
        let run = read(|info| {
            let (checkpoint, changes) = ("step-00000023".to_owned(), Map::new());
            let resumed = Resumed { checkpoint, changes, info: info.clone() };
            vec![(23, Event::Resumed(resumed)), (24, step(7.0, 4)), (26, step(8.0, 1))]
        });
        assert_eq!((run.steps, run.losses.len()), (26, 26));
        assert_eq!((run.losses[23], run.losses[25]), (7.0, 8.0));
        assert!(run.losses[24].is_nan());
        assert_eq!(run.phases[22..], [3, 4, 0, 1]);
        // Those of steps 10 and 20, and four syncs.
        assert_eq!((run.evaluations.len(), run.probes.len()), (2, 4));
        assert!(run.ended.is_none() && !run.changed);
    }

    #[test]
    fn settings_that_changed_on_the_way_are_known() {
        let changes = || json!({"optimizer.lr": 0.5}).as_object().unwrap().clone();
        assert!(read(|_| vec![(40, Event::Changed(Changed { changes: changes() }))]).changed);
        let resumed = |info: &RunInfo| Resumed {
            checkpoint: "step-00000040".to_owned(),
            changes: changes(),
            info: info.clone(),
        };
        assert!(read(|info| vec![(40, Event::Resumed(resumed(info)))]).changed);
    }

    #[test]
    fn slow_weights_are_final_where_there_are_any() {
        let fast = |_: &RunInfo| vec![(40, evaluation(Weights::Fast, 0.1))];
        assert_eq!(read(fast).final_weights(), Some(Weights::Slow));
        let mut run = read(fast);
        run.evaluations.retain(|(_, found)| found.weights == Weights::Fast);
        assert_eq!(run.final_weights(), Some(Weights::Fast));
        assert_eq!(run.last_of_final(Split::Validation).unwrap().accuracy, 0.1);
        run.evaluations.clear();
        assert_eq!(run.final_weights(), None);
        assert!(run.last_of_final(Split::Validation).is_none());
    }

    /// A step far beyond the last is a damaged line, and takes no memory for what lies between.
    #[test]
    fn a_leap_is_left_out() {
        let run = read(|_| vec![(u64::MAX, step(1.0, 1)), (41, step(1.0, 70_000))]);
        assert_eq!(run.losses.len(), 41);
        assert_eq!(run.phases[40], u16::MAX);
    }
}
