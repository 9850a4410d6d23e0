//! The model on a whole split.

use std::time::Instant;

use lookahead_run::event::{Evaluation, Split, Weights};

use crate::data::Samples;
use crate::model::Model;

/// Mean loss and accuracy of the weights that are in the model, in evaluation mode. Draws no
/// random number, so that evaluating changes nothing. `None` where `stop` says so between two
/// batches: a run that is asked to end does not wait for the rest.
///
/// # Errors
/// What libtorch says.
pub fn evaluate(
    model: &Model,
    samples: &dyn Samples,
    split: Split,
    weights: Weights,
    mut stop: impl FnMut() -> bool,
) -> anyhow::Result<Option<Evaluation>> {
    let _guard = tch::no_grad_guard();
    let started = Instant::now();
    let (mut loss, mut right, mut count) = (0.0, 0.0, 0);
    let mut start = 0;
    while start < samples.len() {
        if stop() {
            return Ok(None);
        }
        let end = (start + samples.at_once()).min(samples.len());
        let score = model.score(&samples.slice(start..end, model.vs.device()))?;
        loss += score.count as f64 * score.loss;
        right += score.right;
        count += score.count;
        start = end;
    }
    Ok(Some(Evaluation {
        weights,
        split,
        loss: loss / count as f64,
        accuracy: right / count as f64,
        samples: count as u64,
        seconds: started.elapsed().as_secs_f64(),
    }))
}
