//! Muon's step, on many matrices together.
//!
//! Matrices of one shape go through the Newton–Schulz iteration in batched products. In bfloat16, a processor that
//! has no such products takes those of single precision and rounds each result, which gives the same up to the order of
//! the sums and is much faster there than libtorch's own.

use tch::Tensor;

use crate::Result;
use crate::ffi::bridge;
use crate::handle::{cpp, owned};

pub use crate::ffi::bridge::MuonRule as Rule;

/// A matrix to move. A tensor of more dimensions is a matrix whose rows are its slices along the first.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// θ.
    pub weights: &'a Tensor,
    /// Its gradient.
    pub gradient: &'a Tensor,
    /// The mean gradient, like θ.
    pub momentum: &'a Tensor,
    /// The learning rate, before it is scaled by the shape.
    pub learning_rate: f64,
    /// The weight decay.
    pub weight_decay: f64,
}

/// Moves all parts: the momentum m ← m + (1 − μ)(g − m), then θ ← (1 − γλ) θ − γ′ O, where O is m, or
/// g + μ (m − g) in Nesterov's form, orthogonalized, and γ′ the scaled learning rate.
///
/// Refuses a tensor of fewer than two dimensions. After an error some parts may have moved.
pub fn step<'a>(parts: impl IntoIterator<Item = Part<'a>>, rule: Rule) -> Result<()> {
    let parts = parts.into_iter().map(|part| bridge::MuonPart {
        weights: part.weights.as_ptr().cast(),
        gradient: part.gradient.as_ptr().cast(),
        momentum: part.momentum.as_ptr().cast(),
        learning_rate: part.learning_rate,
        weight_decay: part.weight_decay,
    });
    Ok(bridge::muon_step(&parts.collect::<Vec<_>>(), rule)?)
}

/// The result of the iteration on one matrix, in its element type. Refuses a tensor of fewer than two dimensions.
pub fn orthogonalized(matrix: &Tensor, rule: Rule) -> Result<Tensor> {
    Ok(owned(bridge::muon_orthogonalized(cpp(matrix), rule)?))
}

#[cfg(test)]
mod tests;
