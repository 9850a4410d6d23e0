//! The model on a whole split.

use std::ops::Range;
use std::time::Instant;

use lookahead_core::tch_ext::inference;
use lookahead_run::event::{Evaluation, Split, Weights};

use crate::config::Config;
use crate::config::averaging::AveragingKind;
use crate::data::Samples;
use crate::distributed::WorkerGroup;
use crate::models::Model;
use crate::objective::{Objective, Sums};
use crate::train::watchdog::stall::StepClock;

impl Config {
    /// Which weights are the final model.
    pub fn final_weights(&self) -> Weights {
        match (&self.lookahead, self.averaging.kind) {
            (_, kind) if kind != AveragingKind::None => Weights::Average,
            (Some(_), _) => Weights::Slow,
            (None, _) => Weights::Fast,
        }
    }
}

/// The loss and the metrics of the weights in the model, in evaluation mode. Draws no random number, so that
/// evaluating changes nothing. `None` if `stop` returns true between two batches: a run that is requested to stop
/// does not wait for the rest.
///
/// # Errors
/// Those of libtorch, of samples that can't be read, and of outputs that don't fit their targets.
pub fn evaluate(
    objective: &Objective,
    model: &Model,
    samples: &dyn Samples,
    split: Split,
    weights: Weights,
    stop: impl FnMut() -> bool,
) -> anyhow::Result<Option<Evaluation>> {
    let evaluating = Evaluating { objective, model, samples, split, clock: None };
    evaluate_alone(evaluating, weights, stop)
}

fn evaluate_alone(
    evaluating: Evaluating<'_>,
    weights: Weights,
    mut stop: impl FnMut() -> bool,
) -> anyhow::Result<Option<Evaluation>> {
    let started = Instant::now();
    let Evaluating { objective, samples, split, .. } = evaluating;
    let Some(own) = evaluating.sums(0..samples.len(), &mut stop)? else { return Ok(None) };
    let mut found = objective.evaluation(&own.sums, own.samples, split, weights);
    found.seconds = started.elapsed().as_secs_f64();
    Ok(Some(found))
}

/// As [`evaluate`]; several processes evaluate a share each, and do not stop between two batches. All get the same
/// result.
pub(crate) fn evaluate_with_workers(
    workers: &WorkerGroup,
    evaluating: Evaluating<'_>,
    weights: Weights,
    stop: impl FnMut() -> bool,
) -> anyhow::Result<Option<Evaluation>> {
    if workers.is_single() {
        return evaluate_alone(evaluating, weights, stop);
    }
    let started = Instant::now();
    let Evaluating { objective, samples, split, clock, .. } = evaluating;
    let own = evaluating.sums(workers.share(samples.len()), &mut || false)?;
    let Some(OwnSums { mut sums, samples }) = own else { return Ok(None) };
    // The others may need as long again for their shares.
    if let Some(clock) = clock {
        clock.part_begins(samples);
    }
    sums.push(samples as f64);
    let all = workers.gather(&sums)?;
    let mut total: Vec<f64> =
        (0..sums.len()).map(|i| all.iter().map(|values| values[i]).sum()).collect();
    let samples = total.pop().unwrap_or(0.0) as usize;
    let mut found = objective.evaluation(&total, samples, split, weights);
    found.seconds = started.elapsed().as_secs_f64();
    Ok(Some(found))
}

/// What is evaluated, by what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evaluating<'a> {
    pub(crate) objective: &'a Objective,
    pub(crate) model: &'a Model,
    pub(crate) samples: &'a dyn Samples,
    pub(crate) split: Split,
    /// Gets the beginning of each batch, if someone watches.
    pub(crate) clock: Option<&'a StepClock>,
}

/// The sums over one process's share of the samples.
struct OwnSums {
    sums: Vec<f64>,
    samples: usize,
}

impl Evaluating<'_> {
    /// The sums over a range of the samples; `None` if it was stopped.
    fn sums(
        &self,
        range: Range<usize>,
        stop: &mut dyn FnMut() -> bool,
    ) -> anyhow::Result<Option<OwnSums>> {
        let Evaluating { objective, model, samples, split, clock } = *self;
        let _guard = tch::no_grad_guard();
        let at_once = model.evaluation_batch_size();
        let mut total: Option<Sums> = None;
        let mut start = range.start;
        while start < range.end {
            if stop() {
                return Ok(None);
            }
            let end = (start + at_once).min(range.end);
            if let Some(clock) = clock {
                clock.part_begins(end - start);
            }
            // Before inference mode: what a data set caches must be usable in training too.
            let batch = samples.slice(start..end, model.vs.device())?;
            let _guard = inference::guard();
            let sums = objective.sums(model, &batch, split)?;
            total = Some(match total {
                Some(before) => before.and(&sums)?,
                None => sums,
            });
            start = end;
        }
        let (sums, samples) = match total {
            Some(total) => total.read()?,
            None => (vec![0.0; objective.number_of_sums(split)], 0),
        };
        Ok(Some(OwnSums { sums, samples }))
    }
}

#[cfg(test)]
mod tests;
