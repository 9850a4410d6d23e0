//! The two curves around a sync, and the norms at it: `[probe]`.

use lookahead_core::{Lookahead, LookaheadConfig, TchOptimizer, inference};
use serde::{Deserialize, Serialize};

use crate::check::{Invalid, require};
use crate::data::{Batch, DataConfig, Dataset};
use crate::model::Model;

/// `[probe]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProbeConfig {
    /// A probe at every so many syncs; 0 is off. Default: so many that probes are 1.5 % of the work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_syncs: Option<u64>,
    /// Validation samples in the fixed probe batch. Default 128, or all where there are fewer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<usize>,
}

/// Probes take about so large a part of a training's arithmetic, where it is not said how many there are.
const SHARE: f64 = 0.015;

/// The backward pass has two matrix products for each of the forward pass.
const FORWARD_PASSES_OF_A_STEP: f64 = 3.0;

/// Syncs from one probe to the next of two forward passes each, so that probes take [`SHARE`] of the
/// arithmetic of the steps between, or a little less.
fn usual_interval(samples: usize, batch_size: usize, k: u64) -> u64 {
    let probe = 2.0 * samples as f64;
    let cycle = FORWARD_PASSES_OF_A_STEP * batch_size as f64 * k as f64;
    (probe / (SHARE * cycle)).ceil().max(1.0) as u64
}

impl ProbeConfig {
    /// Fills in defaults, and checks them against the data and Lookahead's section.
    pub(crate) fn resolve(
        &mut self,
        data: &DataConfig,
        lookahead: Option<&LookaheadConfig>,
    ) -> Result<(), Invalid> {
        let validation = data.validation();
        let samples = *self.samples.get_or_insert(validation.clamp(1, 128));
        require(samples >= 1, "probe.samples", samples, "at least 1")?;
        let k = lookahead.map_or(LookaheadConfig::default().k, |lookahead| lookahead.k);
        let usual = usual_interval(samples, data.batch_size, k);
        if *self.every_syncs.get_or_insert(usual) > 0 && validation == 0 {
            return Err(Invalid::new(
                "data.validation",
                "`data.validation` is 0, and probes are taken on validation data: hold out at \
                 least 1 sample, or set `probe.every_syncs` to 0.",
            ));
        }
        let allowed = format!(
            "at most `data.validation`, {validation}, since probes are taken on validation data"
        );
        require(
            self.every_syncs() == 0 || samples <= validation,
            "probe.samples",
            samples,
            &allowed,
        )
    }
}

impl ProbeConfig {
    /// Syncs from probe to probe; 0 is off.
    pub fn every_syncs(&self) -> u64 {
        self.every_syncs.unwrap_or_default()
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_take_a_small_part_of_the_work_by_default() {
        for (samples, batch_size, k) in [(128, 64, 5), (128, 32, 5), (1, 100, 5), (128, 1, 1)] {
            let interval = usual_interval(samples, batch_size, k);
            let share = |interval: u64| {
                2.0 * samples as f64 / (3.0 * batch_size as f64 * (k * interval) as f64)
            };
            assert!(share(interval) <= SHARE, "{samples} {batch_size} {k}");
            assert!(interval == 1 || share(interval - 1) > SHARE, "no fewer than that asks for");
        }
        assert_eq!(usual_interval(128, 64, 5), 18);
    }
}
