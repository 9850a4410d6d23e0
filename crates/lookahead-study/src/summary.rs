//! A run in the numbers by which runs are compared, read from its event log.

use std::path::{Path, PathBuf};

use lookahead_run::event::{Evaluation, Event, Probe, RunEnded, RunInfo, Split, Weights};
use lookahead_run::{RunFolder, log};

use crate::error::{Error, Result};

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
    /// From the first event to the last, in seconds.
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
        let mut began = f64::NAN;
        for record in log::read(&folder.events_path())? {
            if began.is_nan() {
                began = record.time;
            }
            let info = match &record.event {
                Event::RunStarted(info) => Some(info),
                Event::Resumed(resumed) => Some(&resumed.info),
                _ => None,
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
                    seconds: 0.0,
                });
                known.info = info.clone();
                known.ended = None;
            }
            let Some(known) = &mut summary else { continue };
            known.seconds = record.time - began;
            match record.event {
                Event::Step(step) => {
                    let place = usize::try_from(record.step).unwrap_or(usize::MAX);
                    if place >= 1 && place <= known.losses.len() + 1_000_000 {
                        known.losses.resize(place.max(known.losses.len()), f32::NAN);
                        known.losses[place - 1] = step.loss as f32;
                    }
                    known.steps = record.step;
                }
                Event::Evaluation(found) => known.evaluations.push((record.step, found)),
                Event::Probe(probe) => known.probes.push((record.step, probe)),
                Event::RunEnded(ended) => known.ended = Some(ended),
                _ => {}
            }
        }
        summary.ok_or_else(|| Error::NotBegun(folder.path().to_owned()))
    }

    /// The last evaluation of some weights on a split.
    pub fn last(&self, split: Split, weights: Weights) -> Option<&Evaluation> {
        let all = self.evaluations.iter().rev().map(|(_, found)| found);
        all.into_iter().find(|found| found.split == split && found.weights == weights)
    }
}
