//! Using the model at a mean that a program makes itself.

use tch::Tensor;

use super::WeightAverage;
use crate::swapped_weights::{SwappedWeights, of_result};
use crate::{Parameter, Result};

impl WeightAverage {
    /// Runs `f` with the mean in `weights`, which are the model's, then restores their own values, even if `f` panics.
    /// Those without a mean stay as they are. An optimizer around them notices nothing, and if the mean has their
    /// element type nothing is copied.
    ///
    /// ```
    /// use lookahead_core::{TailMean, WeightAverage};
    /// use tch::{Kind, Tensor};
    ///
    /// let w = Tensor::from_slice(&[2.0f32]);
    /// let weights = || [("w".to_owned(), w.shallow_clone())];
    /// let mut average = WeightAverage::new(TailMean::uniform(), weights())?;
    /// average.update(1, [("w".to_owned(), Tensor::from_slice(&[1.0f32]))])?;
    /// assert_eq!(average.with_mean(weights(), || w.double_value(&[0]))?, 1.0);
    /// assert_eq!(w.double_value(&[0]), 2.0);
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ResultChanged`](crate::Error::ResultChanged) if `f` wrote to the weights, which are the mean's memory then,
    /// [`WeightsReplaced`](crate::Error::WeightsReplaced) if it cast or replaced them.
    pub fn with_mean<T>(
        &self,
        weights: impl IntoIterator<Item = (String, Tensor)>,
        f: impl FnOnce() -> T,
    ) -> Result<T> {
        let mut parameters = Vec::new();
        let mut means = Vec::new();
        for (name, tensor) in weights {
            if let Some(mean) = self.mean.get(&name) {
                means.push(mean.shallow_clone());
                parameters.push(Parameter { name, group: 0, tensor });
            }
        }
        let indices = (0..parameters.len()).collect();
        let swapped = SwappedWeights::begin(&parameters, indices, &means, self.updates)?;
        swapped.during(&parameters, f).map_err(of_result)
    }
}
