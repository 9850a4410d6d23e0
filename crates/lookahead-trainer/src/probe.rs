//! The two curves around a sync, and the norms at it: `[probe]`.

use lookahead_core::{Lookahead, TchOptimizer, inference};

use crate::config::probe::ProbeConfig;
use crate::data::{Batch, Dataset};
use crate::model::Model;

/// One fixed batch of validation data, on which θ and φ are compared at syncs.
#[derive(Debug)]
pub struct Probe {
    every_syncs: u64,
    batch: Batch,
}

impl Probe {
    /// The first `samples` validation samples, on the model's device; `None` where probes are off.
    pub fn new(config: &ProbeConfig, data: &Dataset, device: tch::Device) -> Option<Self> {
        (config.every_syncs() > 0).then(|| {
            let samples = config.samples.unwrap_or(128).min(data.validation.len());
            let batch = data.validation.slice(0..samples, device);
            Probe { every_syncs: config.every_syncs(), batch }
        })
    }

    /// Whether sync number `sync`, counted from 1, is probed.
    pub fn is_due(&self, sync: u64) -> bool {
        sync.is_multiple_of(self.every_syncs)
    }

    /// The mean loss on the probe batch in evaluation mode, at the weights that are in the model.
    /// Draws no random number, so that probing changes nothing.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn loss(&self, model: &Model) -> anyhow::Result<f64> {
        let _guard = inference::guard();
        Ok(f64::try_from(model.loss(&self.batch, false))?)
    }
}

/// How far the training went in a cycle, and how steep the loss is, just before a sync.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Norms {
    /// ‖θ − φ‖.
    pub distance: Option<f64>,
    /// That of the last inner step's gradient, where this process has taken that step.
    pub gradient: Option<f64>,
}

impl Norms {
    /// Those of an optimizer that is about to sync. Changes nothing, and draws no random number.
    ///
    /// # Errors
    /// What the optimizer or libtorch says.
    pub fn now(lookahead: &mut Lookahead<TchOptimizer>) -> lookahead_core::Result<Self> {
        Ok(Norms { distance: Some(lookahead.distance()?), gradient: lookahead.gradient_norm()? })
    }
}
