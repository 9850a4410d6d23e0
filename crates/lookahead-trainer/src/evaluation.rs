//! The model on a whole split.

use std::time::Instant;

use lookahead_run::event::{Evaluation, Split, Weights};

use crate::data::Samples;
use crate::model::{Model, Score};

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
    let at_once = model.at_once();
    let mut total: Option<Score> = None;
    let mut start = 0;
    while start < samples.len() {
        if stop() {
            return Ok(None);
        }
        let end = (start + at_once).min(samples.len());
        let score = model.score(&samples.slice(start..end, model.vs.device()))?;
        total = Some(match total {
            Some(before) => before.and(&score)?,
            None => score,
        });
        start = end;
    }
    let none = (f64::NAN, f64::NAN, 0);
    let (loss, accuracy, count) = total.map_or(Ok(none), |total| total.read())?;
    Ok(Some(Evaluation {
        weights,
        split,
        loss,
        accuracy,
        samples: count as u64,
        seconds: started.elapsed().as_secs_f64(),
    }))
}
