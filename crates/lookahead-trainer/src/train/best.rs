//! The best evaluation so far on validation data: its checkpoint is kept, and a training that no longer improves
//! ends.

use std::collections::BTreeMap;

use lookahead_run::event::{Evaluation, MetricInfo};
use lookahead_run::retention;
use serde::{Deserialize, Serialize};

use crate::config::task::LOSS;

/// The name in a manifest of a metric on validation data.
pub(crate) fn manifest_name(metric: &str) -> String {
    format!("validation/{metric}")
}

/// How the best checkpoint is found by a metric.
pub(crate) fn retention_by(metric: &MetricInfo) -> retention::Best {
    retention::Best { metric: manifest_name(&metric.name), highest: metric.higher_is_better }
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
    pub fn update(&mut self, by: &MetricInfo, step: u64, found: &Evaluation) -> bool {
        let value = found.value(&by.name).unwrap_or(f64::NAN);
        // The accuracy of weights that hold NaN is a number without meaning.
        let usable = value.is_finite() && found.loss.is_finite();
        let better = usable && self.value.is_none_or(|best| by.is_better(value, best));
        if better {
            *self = Best { value: Some(value), step, since: 0 };
        } else {
            self.since += 1;
        }
        better
    }
}

/// The values of an evaluation by their names in a manifest. One that is NaN is not known.
pub fn metrics(found: &Evaluation) -> BTreeMap<String, f64> {
    let all = found.metrics.iter().map(|(name, value)| (name.as_str(), *value));
    let known = all.filter(|(_, value)| !value.is_nan()).chain([(LOSS, found.loss)]);
    known.map(|(name, value)| (manifest_name(name), value)).collect()
}

#[cfg(test)]
mod tests;
