//! Clipping gradients, with a limit that is checked.

use lookahead_sys::{arithmetic, norm};
use tch::Tensor;

use crate::range::check_limit;
use crate::{Result, SyncPath};

/// Scales the gradients of these variables so that their joint norm is at most `max`, and returns the norm before.
pub(crate) fn clip_norm<'a>(
    variables: impl IntoIterator<Item = &'a Tensor>,
    max: f64,
    path: SyncPath,
) -> Result<f64> {
    check_limit(max)?;
    Ok(norm::clip_norm(variables, max, path)?)
}

/// Clips the elements of the gradients of these variables to `-max..=max`.
pub(crate) fn clip_value<'a>(
    variables: impl IntoIterator<Item = &'a Tensor>,
    max: f64,
    path: SyncPath,
) -> Result<()> {
    check_limit(max)?;
    Ok(arithmetic::clip_value(variables, max, path)?)
}
