//! The best evaluation so far on validation data: its checkpoint is kept, and a training that no longer improves
//! ends.

use std::collections::BTreeMap;

use lookahead_run::event::Evaluation;
use lookahead_run::retention;
use serde::{Deserialize, Serialize};

use crate::config::train::BestBy;

/// The name of a metric in a manifest.
pub const ACCURACY: &str = "validation/accuracy";
/// See [`ACCURACY`].
pub const LOSS: &str = "validation/loss";

impl BestBy {
    /// A value of it as text.
    pub(crate) fn format(self, value: f64) -> String {
        match self {
            BestBy::Accuracy => format!("{:.2} %", 100.0 * value),
            BestBy::Loss => crate::observer::format_loss(value),
        }
    }
}

impl From<BestBy> for retention::Best {
    fn from(by: BestBy) -> Self {
        let (name, highest) = match by {
            BestBy::Accuracy => (ACCURACY, true),
            BestBy::Loss => (LOSS, false),
        };
        retention::Best { metric: name.to_owned(), highest }
    }
}

/// The best evaluation so far, and how many came after it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Best {
    /// Its value by the metric; `None` before the first.
    pub value: Option<f64>,
    /// Its step.
    pub step: u64,
    /// Evaluations since, none of which was better.
    pub since: u64,
}

impl Best {
    /// Its step, if there is one.
    pub fn at(&self) -> Option<u64> {
        self.value.map(|_| self.step)
    }

    /// Counts an evaluation, and returns whether it is the best so far. NaN and infinity never are.
    pub fn update(&mut self, by: BestBy, step: u64, found: &Evaluation) -> bool {
        let value = match by {
            BestBy::Accuracy => found.accuracy,
            BestBy::Loss => found.loss,
        };
        // The accuracy of weights that hold NaN is a number without meaning.
        let usable = value.is_finite() && found.loss.is_finite();
        let better = self.value.is_none_or(|best| match by {
            BestBy::Accuracy => value > best,
            BestBy::Loss => value < best,
        });
        if usable && better {
            *self = Best { value: Some(value), step, since: 0 };
        } else {
            self.since += 1;
        }
        usable && better
    }
}

/// The values of an evaluation by their names in a manifest.
pub fn metrics(found: &Evaluation) -> BTreeMap<String, f64> {
    // A task without classes has no accuracy.
    let accuracy = Some((ACCURACY, found.accuracy)).filter(|(_, value)| !value.is_nan());
    let all = accuracy.into_iter().chain([(LOSS, found.loss)]);
    all.map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests;
