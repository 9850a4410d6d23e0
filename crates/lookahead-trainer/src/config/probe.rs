//! The two curves around a sync: `[probe]`.

use serde::{Deserialize, Serialize};

use super::check::{ConfigIssue, require};

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
    /// Fills in defaults, and checks them against the number of validation samples, the batch size and
    /// Lookahead's period.
    pub(crate) fn resolve(
        &mut self,
        validation: usize,
        batch_size: usize,
        k: u64,
    ) -> Result<(), ConfigIssue> {
        let samples = *self.samples.get_or_insert(validation.clamp(1, 128));
        require(samples >= 1, "probe.samples", samples, "at least 1")?;
        let usual = usual_interval(samples, batch_size, k);
        if *self.every_syncs.get_or_insert(usual) > 0 && validation == 0 {
            return Err(ConfigIssue::new(
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

    /// Syncs from probe to probe; 0 is off.
    pub fn every_syncs(&self) -> u64 {
        self.every_syncs.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
