//! The trait of losses.

use std::fmt;

use tch::Tensor;

/// What is minimized.
///
/// Outputs and targets have these shapes, for n samples, or n tokens of texts:
///
/// | task | outputs | targets |
/// |---|---|---|
/// | classification, language | (n, classes), logits | (n), `i64` |
/// | regression | (n, values), `f32` | (n, values), `f32`, standardized as the data's spec says |
/// | multilabel | (n, labels), `f32`, logits | (n, labels), `f32`, 0 or 1 |
/// | quadratic | as the network returns them | empty |
pub trait Loss: fmt::Debug {
    /// The mean loss: a scalar in `f32` with a gradient.
    ///
    /// # Errors
    /// Those of libtorch.
    fn mean(&self, outputs: &Tensor, targets: &Tensor) -> anyhow::Result<Tensor>;

    /// The sum of the samples' weights by which [`mean`](Self::mean) divides. `None` if all samples count the same.
    ///
    /// # Errors
    /// Those of libtorch.
    fn weight(&self, _targets: &Tensor) -> anyhow::Result<Option<Tensor>> {
        Ok(None)
    }

    /// The mean loss of a model that guesses without looking at the inputs. A training whose loss stays there has
    /// learned nothing, and is reported. `None` if that is not known.
    fn of_guessing(&self) -> Option<f64> {
        None
    }
}
