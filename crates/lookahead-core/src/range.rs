//! The ranges of settings. Each is written so that NaN is refused as well, and holds for the number as the
//! kernels take it, in the weights' own type: 0.999999999 is below 1, and is 1 in single precision.

use crate::{Error, Result};

pub(crate) fn check_period(k: u64) -> Result<()> {
    if k == 0 { Err(Error::Period(k)) } else { Ok(()) }
}

pub(crate) fn check_slow_step_size(alpha: f64) -> Result<()> {
    if single(alpha) > 0.0 && alpha <= 1.0 { Ok(()) } else { Err(Error::SlowStepSize(alpha)) }
}

pub(crate) fn check_learning_rate(learning_rate: f64) -> Result<()> {
    if single(learning_rate).is_finite() && learning_rate >= 0.0 {
        Ok(())
    } else {
        Err(Error::LearningRate(learning_rate))
    }
}

pub(crate) fn check_momentum(momentum: f64) -> Result<()> {
    if is_decay(momentum) { Ok(()) } else { Err(Error::Momentum(momentum)) }
}

/// Whether it is at least 0 and below 1.
pub(crate) fn is_decay(factor: f64) -> bool {
    factor >= 0.0 && single(factor) < 1.0
}

/// As kernels on single-precision weights compute with it.
fn single(value: f64) -> f32 {
    value as f32
}

pub(crate) fn check_weight_decay(weight_decay: f64) -> Result<()> {
    let allowed = single(weight_decay).is_finite() && weight_decay >= 0.0;
    if allowed { Ok(()) } else { Err(Error::WeightDecay(weight_decay)) }
}

pub(crate) fn check_limit(max: f64) -> Result<()> {
    if max.is_finite() && max > 0.0 { Ok(()) } else { Err(Error::ClipLimit(max)) }
}

/// Counts of steps that are believed: beyond, they would not be told apart as floating-point numbers, by
/// which schedules and processes compare them.
pub(crate) const MOST_STEPS: i64 = 1 << 53;
