//! The norms of each layer at a sync.

use serde::{Deserialize, Serialize};

/// The distance and the gradient of each layer just before a sync, if `probe.layers` asks for them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Layers {
    /// The number of the sync.
    pub sync: u64,
    /// The names of the layers in the order of the model: those of its variables without what follows the last dot,
    /// for example `conv1` for `conv1.weight` and `conv1.bias`.
    pub names: Vec<String>,
    /// ‖θ − φ‖ of each of them, to six digits.
    #[serde(with = "crate::number::list")]
    pub distance: Vec<f64>,
    /// The norm of the last inner step's gradient of each of them, after clipping, to six digits.
    #[serde(with = "crate::number::list")]
    pub gradient_norm: Vec<f64>,
}
