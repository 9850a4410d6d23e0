//! One value for each set of weights.

use lookahead_run::event::Weights;

/// One value for the slow and one for the fast weights.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ByWeights<T> {
    pub(crate) slow: T,
    pub(crate) fast: T,
}

impl<T> ByWeights<T> {
    /// The value of these weights. No run evaluates both slow weights and an average, so they share one.
    pub(crate) fn of_mut(&mut self, weights: Weights) -> &mut T {
        match weights {
            Weights::Slow | Weights::Average => &mut self.slow,
            Weights::Fast => &mut self.fast,
        }
    }

    /// Slow, then fast.
    pub(crate) fn map<U>(&self, value: impl FnMut(&T) -> U) -> [U; 2] {
        [&self.slow, &self.fast].map(value)
    }
}
