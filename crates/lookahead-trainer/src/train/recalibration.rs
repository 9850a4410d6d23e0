//! Batch normalization's statistics for φ. Those in the model are θ's; with `lookahead.recalibrate`, φ's are
//! computed from the first training batches, and θ's are restored.

use std::collections::BTreeMap;

use lookahead_core::{InnerOptimizer, LookaheadConfig, SlowWeights};
use tch::Tensor;

use super::setup::Training;
use crate::config::Config;
use crate::data::{Batch, Dataset};
use crate::models::Model;

/// Computes the statistics of batch normalization for φ, which is in the model, from the first training batches in
/// the order of the file, if the config wants that.
pub(crate) fn recalibrate(
    at_phi: &mut SlowWeights<'_, impl InnerOptimizer>,
    model: &Model,
    data: &Dataset,
    config: &Config,
) -> anyhow::Result<()> {
    let count = config.lookahead.as_ref().map_or(0, |lookahead| lookahead.recalibrate);
    if count == 0 || model.buffers().is_empty() {
        return Ok(());
    }
    let size = config.data.batch_size;
    let whole = (data.train.len() / size).max(1);
    let mut unread = Ok(());
    let batches = (0..count.min(whole)).map_while(|i| {
        let end = data.train.len().min((i + 1) * size);
        let batch = data.train.slice(i * size..end, model.vs.device());
        batch.map_err(|error| unread = Err(error)).ok()
    });
    let forward = |batch: &Batch| drop(model.forward(&batch.inputs, true));
    let outcome = at_phi.recalibrate(&model.vs, batches, forward);
    unread?;
    outcome?;
    Ok(())
}

/// Whether φ has statistics of its own.
fn has_own_buffers(config: &LookaheadConfig) -> bool {
    config.recalibrate > 0 || config.interpolate_statistics
}

/// The buffers that belong to φ; none if they are θ's.
pub(crate) fn buffers_of_phi(t: &mut Training) -> anyhow::Result<BTreeMap<String, Tensor>> {
    let Training { optimizer, model, data, config, .. } = t;
    let wanted = config.lookahead.as_ref().is_some_and(has_own_buffers);
    let Some(lookahead) = optimizer.lookahead().filter(|_| wanted) else {
        return Ok(BTreeMap::new());
    };
    let mut at_phi = lookahead.slow_weights()?;
    recalibrate(&mut at_phi, model, data, config)?;
    let copies = model.buffers().into_iter().map(|(name, buffer)| (name, buffer.copy())).collect();
    at_phi.end()?;
    Ok(copies)
}
