//! The fast and the slow loss around a sync: `[probe]`.

use serde::{Deserialize, Serialize};

use super::issue::{ConfigIssue, require};
use super::key::Key;

/// `[probe]`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProbeConfig {
    /// Syncs from one probe to the next; 0 is off. By default, probes are 1.5 % of the work.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_syncs: Option<u64>,
    /// Validation samples in the fixed probe batch. Default 128, or all if there are fewer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub samples: Option<usize>,
    /// Whether a probe also measures the distance and the gradient of each layer.
    pub layers: bool,
}

/// The keys of the section.
pub(super) const KEYS: &[Key] = &[

    Key::whole(
        "every_syncs",
        "probe every N syncs; 0 is off. With k 5 and 128 samples the default is 18 for batches of 64 and 36 for \
         batches of 32",
    )
    .at_least(0.0)
    .default("so that probes take 1.5 % of the arithmetic")
    .example("1"),
    Key::whole("samples", "validation samples in the probe batch")
        .at_least(1.0)
        .allowed("1 to `data.validation`")
        .default("128, or all if fewer")
        .example("128"),
    Key::switch(
        "layers",
        "at each probe, measure ‖θ − φ‖ and the gradient norm of each layer, for the heat maps of the dashboard and \
         of `lookahead plot`, and for `lookahead export`. Its line in the log has about 40 bytes for each layer",
    )
    .example("true"),
];

/// The part of a training's arithmetic that probes take by default.
const SHARE: f64 = 0.015;

/// The backward pass has two matrix products for each one of the forward pass.
const FORWARD_PASSES_OF_A_STEP: f64 = 3.0;

/// Syncs from one probe, of two forward passes, to the next, so that probes take at most [`SHARE`] of the
/// arithmetic of the steps between.
fn usual_interval(samples: usize, in_a_step: usize, k: u64) -> u64 {
    let probe = 2.0 * samples as f64;
    let cycle = FORWARD_PASSES_OF_A_STEP * in_a_step as f64 * k as f64;
    (probe / (SHARE * cycle)).ceil().max(1.0) as u64
}

impl ProbeConfig {
    /// Fills in defaults and checks ranges, for this number of training samples in a step.
    pub(crate) fn resolve(
        &mut self,
        validation: usize,
        in_a_step: usize,
        k: u64,
    ) -> Result<(), ConfigIssue> {
        let samples = *self.samples.get_or_insert(validation.clamp(1, 128));
        let usual = usual_interval(samples, in_a_step, k);
        if *self.every_syncs.get_or_insert(usual) > 0 && validation == 0 {
            return Err(ConfigIssue::new(
                "data.validation",
                "`data.validation` is 0, but probes need validation data. Set it to 1 or more, or \
                 `probe.every_syncs` to 0.",
            ));
        }
        let fits = self.every_syncs() == 0 || samples <= validation;
        let allowed = format!("at most `data.validation`, {validation}: probes are on that data");
        require(fits, "probe.samples", samples, &allowed)
    }

    /// Syncs from one probe to the next; 0 is off.
    pub fn every_syncs(&self) -> u64 {
        self.every_syncs.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
