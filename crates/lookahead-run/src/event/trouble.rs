//! Events of a training that goes wrong.

use serde::{Deserialize, Serialize};

/// The fast weights went back to the slow ones, and a new cycle began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolledBack {
    /// Why.
    pub cause: RollBackCause,
    /// Why, in a sentence.
    pub message: String,
    /// Roll-backs of the run so far, without those on request.
    pub count: u64,
    /// By what the learning rate is multiplied from here on; 1 if no roll-back has cut it.
    #[serde(with = "crate::number")]
    pub lr_scale: f64,
}

/// Why the fast weights went back to the slow ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RollBackCause {
    /// A request, for example `lookahead ctl RUN roll-back`.
    Requested,
    /// The loss jumped far above the recent ones.
    Spike,
    /// The loss no longer fell.
    Plateau,
    /// A loss, a gradient or a weight was NaN or infinity.
    NonFinite,
    /// A hook of the program wanted it.
    Hook,
    /// A cause of a later version.
    #[serde(other)]
    Unknown,
}

/// A step, or a batch of an evaluation, that takes far longer than steps usually do.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Stalled {
    /// How long it has taken so far.
    #[serde(with = "crate::number")]
    pub seconds: f64,
    /// How long a step usually takes.
    #[serde(with = "crate::number")]
    pub usual_seconds: f64,
    /// Whether it is an evaluation.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_evaluation: bool,
}
