//! Clipping gradients, with a limit that is checked.

use lookahead_sys::{arithmetic, norm};
use tch::Tensor;

use crate::Result;
use crate::range::check_limit;

/// Scales the gradients of these variables so that their joint norm is at most `max`, and returns the norm before.
pub(crate) fn clip_norm<'a>(
    variables: impl IntoIterator<Item = &'a Tensor>,
    max: f64,
) -> Result<f64> {
    check_limit(max)?;
    Ok(norm::clip_norm(variables, max)?)
}

/// Clips the elements of the gradients of these variables to `-max..=max`.
pub(crate) fn clip_value<'a>(
    variables: impl IntoIterator<Item = &'a Tensor>,
    max: f64,
) -> Result<()> {
    check_limit(max)?;
    Ok(arithmetic::clip_value(variables, max)?)
}
