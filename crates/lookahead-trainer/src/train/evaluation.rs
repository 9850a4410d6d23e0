//! The model on a whole split.

use std::ops::Range;
use std::time::Instant;

use lookahead_core::tch_ext::inference;
use lookahead_run::event::{Evaluation, Split, Weights};

use crate::config::Config;
use crate::config::averaging::AveragingKind;
use crate::data::Samples;
use crate::distributed::WorkerGroup;
use crate::models::{Model, Score};

impl Config {
    /// Which weights are the final model.
    pub fn final_weights(&self) -> Weights {
        match (&self.lookahead, self.averaging.kind) {
            (Some(_), _) => Weights::Slow,
            (None, AveragingKind::None) => Weights::Fast,
            (None, _) => Weights::Average,
        }
    }
}

/// Mean loss and accuracy of the weights in the model, in evaluation mode. Draws no random number, so that
/// evaluating changes nothing. `None` if `stop` returns true between two batches: a run that is requested to stop
/// does not wait for the rest.
///
/// # Errors
/// Those of libtorch.
pub fn evaluate(
    model: &Model,
    samples: &dyn Samples,
    split: Split,
    weights: Weights,
    mut stop: impl FnMut() -> bool,
) -> anyhow::Result<Option<Evaluation>> {
    let started = Instant::now();
    let Some(total) = score(model, samples, 0..samples.len(), &mut stop)? else { return Ok(None) };
    let none = (f64::NAN, f64::NAN, 0);
    let (loss, accuracy, count) = total.map_or(Ok(none), |total| total.read())?;
    Ok(Some(Evaluation {
        loss,
        accuracy,
        samples: count as u64,
        seconds: started.elapsed().as_secs_f64(),
        ..Evaluation::new(weights, split)
    }))
}

/// As [`evaluate`]; several processes evaluate a share each, and do not stop between two batches.
pub(crate) fn evaluate_with_workers(
    workers: &WorkerGroup,
    model: &Model,
    samples: &dyn Samples,
    split: Split,
    weights: Weights,
    stop: impl FnMut() -> bool,
) -> anyhow::Result<Option<Evaluation>> {
    if workers.is_single() {
        return evaluate(model, samples, split, weights, stop);
    }
    evaluate_shared(workers, model, samples, split, weights).map(Some)
}

/// Each process evaluates its share with the weights in its own model; all get the same result.
fn evaluate_shared(
    workers: &WorkerGroup,
    model: &Model,
    samples: &dyn Samples,
    split: Split,
    weights: Weights,
) -> anyhow::Result<Evaluation> {
    let started = Instant::now();
    let own = score(model, samples, workers.share(samples.len()), &mut || false)?.flatten();
    let (loss, right, count) = own.map_or(Ok((0.0, None, 0)), |own| own.sums())?;
    // A process without samples can't know whether there are classes.
    let right = [right.unwrap_or(0.0), f64::from(u8::from(right.is_some()))];
    let all = workers.gather(&[loss, right[0], right[1], count as f64])?;
    let sum = |i: usize| all.iter().map(|values| values[i]).sum::<f64>();
    let accuracy = if sum(2) > 0.0 { sum(1) / sum(3) } else { f64::NAN };
    Ok(Evaluation {
        loss: sum(0) / sum(3),
        accuracy,
        samples: sum(3) as u64,
        seconds: started.elapsed().as_secs_f64(),
        ..Evaluation::new(weights, split)
    })
}

/// The score of some samples, which is `None` for no samples; `None` if it was stopped.
fn score(
    model: &Model,
    samples: &dyn Samples,
    range: Range<usize>,
    stop: &mut dyn FnMut() -> bool,
) -> anyhow::Result<Option<Option<Score>>> {
    let _guard = tch::no_grad_guard();
    let at_once = model.evaluation_batch_size();
    let mut total: Option<Score> = None;
    let mut start = range.start;
    while start < range.end {
        if stop() {
            return Ok(None);
        }
        let end = (start + at_once).min(range.end);
        // Before inference mode: what a data set caches must be usable in training too.
        let batch = samples.slice(start..end, model.vs.device())?;
        let _guard = inference::guard();
        let score = model.score(&batch)?;
        total = Some(match total {
            Some(before) => before.and(&score)?,
            None => score,
        });
        start = end;
    }
    Ok(Some(total))
}

#[cfg(test)]
mod tests;
