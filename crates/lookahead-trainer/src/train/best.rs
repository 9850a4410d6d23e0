//! The best so far on validation data: by it a checkpoint is kept, and a training that gets no better
//! is ended.

use lookahead_run::event::Evaluation;
use lookahead_run::retention;

use crate::config::train::BestBy;

/// Names of what is measured at a checkpoint's step, in its manifest.
pub const ACCURACY: &str = "validation/accuracy";
/// See [`ACCURACY`].
pub const LOSS: &str = "validation/loss";

impl BestBy {
    /// A value of it, for people.
    pub fn shown(self, value: f64) -> String {
        match self {
            BestBy::Accuracy => format!("{:.2} %", 100.0 * value),
            BestBy::Loss => crate::observer::lines::loss(value),
        }
    }
}

impl From<BestBy> for retention::Best {
    fn from(metric: BestBy) -> Self {
        let (name, highest) = match metric {
            BestBy::Accuracy => (ACCURACY, true),
            BestBy::Loss => (LOSS, false),
        };
        retention::Best { metric: name.to_owned(), highest }
    }
}

/// The best evaluation so far, and how many came after it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Best {
    /// Its value by the metric; `None` before the first.
    pub value: Option<f64>,
    /// Its step.
    pub step: u64,
    /// Evaluations since, none of which was better.
    pub since: u64,
}

impl Best {
    /// Its step, where there is one.
    pub fn at(&self) -> Option<u64> {
        self.value.map(|_| self.step)
    }

    /// Takes an evaluation in; tells whether it is the best so far. What is no finite number is never
    /// the best.
    pub fn take(&mut self, by: BestBy, step: u64, found: &Evaluation) -> bool {
        let value = match by {
            BestBy::Accuracy => found.accuracy,
            BestBy::Loss => found.loss,
        };
        // An accuracy of weights that are not finite is a number, and means nothing.
        let usable = value.is_finite() && found.loss.is_finite();
        let better = self.value.is_none_or(|best| match by {
            BestBy::Accuracy => value > best,
            BestBy::Loss => value < best,
        });
        match usable && better {
            true => *self = Best { value: Some(value), step, since: 0 },
            false => self.since += 1,
        }
        usable && better
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lookahead_run::event::{Split, Weights};

    fn found(loss: f64, accuracy: f64) -> Evaluation {
        let (weights, split) = (Weights::Slow, Split::Validation);
        Evaluation { weights, split, loss, accuracy, samples: 10, seconds: 0.0, model_step: None }
    }

    #[test]
    fn the_first_of_equal_ones_is_the_best_and_nan_never_is() {
        let mut best = Best::default();
        let values = [(f64::NAN, 0.9), (1.0, 0.5), (0.5, 0.5), (2.0, 0.6), (f64::INFINITY, 0.9)];
        let taken = |best: &mut Best, by| {
            let all = values.iter().zip(1..);
            all.map(|(&(loss, accuracy), step)| best.take(by, step, &found(loss, accuracy)))
                .collect::<Vec<_>>()
        };
        assert_eq!(taken(&mut best, BestBy::Accuracy), [false, true, false, true, false]);
        assert_eq!(best, Best { value: Some(0.6), step: 4, since: 1 });
        let mut best = Best::default();
        assert_eq!(taken(&mut best, BestBy::Loss), [false, true, true, false, false]);
        assert_eq!(best, Best { value: Some(0.5), step: 3, since: 2 });
    }
}
