//! The model on a whole split.

use std::time::Instant;

use lookahead_run::event::{Evaluation, Split, Weights};

use crate::data::Images;
use crate::model::Model;

/// Images in one forward pass.
const BATCH: usize = 1000;

/// Mean loss and accuracy of the weights that are in the model, in evaluation mode. Draws no
/// random number, so that evaluating changes nothing. `None` where `stop` says so between two
/// batches: a run that is asked to end does not wait for the rest.
///
/// # Errors
/// What libtorch says.
pub fn evaluate(
    model: &Model,
    images: &Images,
    split: Split,
    weights: Weights,
    mut stop: impl FnMut() -> bool,
) -> anyhow::Result<Option<Evaluation>> {
    let _guard = tch::no_grad_guard();
    let started = Instant::now();
    let (mut loss, mut right) = (0.0, 0.0);
    let mut start = 0;
    while start < images.len() {
        if stop() {
            return Ok(None);
        }
        let end = (start + BATCH).min(images.len());
        let (pixels, labels) = images.slice(start..end, model.vs.device());
        let logits = model.forward(&pixels, false);
        let count = (end - start) as f64;
        loss += count * f64::try_from(logits.cross_entropy_for_logits(&labels))?;
        right += count * f64::try_from(logits.accuracy_for_logits(&labels))?;
        start = end;
    }
    let samples = images.len();
    Ok(Some(Evaluation {
        weights,
        split,
        loss: loss / samples as f64,
        // Each batch's accuracy came as an f32 fraction of whole images.
        accuracy: right.round() / samples as f64,
        samples: samples as u64,
        seconds: started.elapsed().as_secs_f64(),
    }))
}
