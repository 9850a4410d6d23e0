//! The trait of metrics.

use std::fmt;

use lookahead_core::tch_ext::arithmetic::fill;
use tch::{Device, Kind as Element, Tensor};

/// What an evaluation measures besides the loss.
///
/// A metric is a function of sums over samples, so that batches, and the shares of several processes, can be added.
/// Outputs and targets have the shapes that [`Loss`](super::Loss) describes.
pub trait Metric: fmt::Debug {
    /// Whether more is better.
    fn higher_is_better(&self) -> bool;

    /// Whether values are fractions from 0 to 1, to be printed in percent.
    fn is_fraction(&self) -> bool {
        false
    }

    /// How many sums there are. It may not depend on the batch.
    fn number_of_sums(&self) -> usize;

    /// The sums over a batch: a tensor of shape ([`number_of_sums`](Self::number_of_sums)) and type `f64`, on the
    /// device of the outputs. Reading a value here would make the program wait for a GPU in each batch.
    ///
    /// # Errors
    /// Those of libtorch.
    fn sums(&self, outputs: &Tensor, targets: &Tensor) -> anyhow::Result<Tensor>;

    /// The value, from the sums over all batches. NaN without samples.
    fn value(&self, sums: &[f64]) -> f64;
}

/// A tensor of this shape with the same number everywhere, on a device. The program doesn't wait for a GPU.
pub(super) fn filled(shape: &[i64], number: usize, device: Device) -> anyhow::Result<Tensor> {
    let mut tensor = Tensor::f_zeros(shape, (Element::Double, device))?;
    fill(&mut tensor, number as f64)?;
    Ok(tensor)
}
