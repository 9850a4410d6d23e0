//! Numbers by name, which a program logs besides the events that this crate knows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Named numbers at one step, for example `grad_norm` or `reward/mean`: of a [`Recorder`](crate::Recorder), or of a
/// hook of the trainer. In a recorded run ([`Task::Recorded`](super::Task::Recorded)) `loss` is the training loss, and
/// `lr` the learning rate.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Scalars {
    /// The numbers by their names, which may hold any characters.
    #[serde(with = "crate::number::map")]
    pub values: BTreeMap<String, f64>,
}

impl Scalars {
    /// The name of the training loss in a recorded run.
    pub const LOSS: &str = "loss";
    /// The name of the learning rate in a recorded run.
    pub const LEARNING_RATE: &str = "lr";

    /// Numbers by their names.
    ///
    /// ```
    /// use lookahead_run::event::Scalars;
    ///
    /// let scalars = Scalars::new([("reward", 3.5), ("episode length", 120.0)]);
    /// assert_eq!(scalars.values["reward"], 3.5);
    /// ```
    pub fn new<N: Into<String>>(values: impl IntoIterator<Item = (N, f64)>) -> Self {
        Scalars { values: values.into_iter().map(|(name, value)| (name.into(), value)).collect() }
    }
}
