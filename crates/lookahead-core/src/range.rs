//! The ranges of settings. Each is written so that NaN is refused as well.

use crate::{Error, Result};

pub(crate) fn check_period(k: u64) -> Result<()> {
    if k == 0 { Err(Error::Period(k)) } else { Ok(()) }
}

pub(crate) fn check_slow_step_size(alpha: f64) -> Result<()> {
    if alpha > 0.0 && alpha <= 1.0 { Ok(()) } else { Err(Error::SlowStepSize(alpha)) }
}

pub(crate) fn check_learning_rate(learning_rate: f64) -> Result<()> {
    if learning_rate.is_finite() && learning_rate >= 0.0 {
        Ok(())
    } else {
        Err(Error::LearningRate(learning_rate))
    }
}

pub(crate) fn check_momentum(momentum: f64) -> Result<()> {
    if (0.0..1.0).contains(&momentum) { Ok(()) } else { Err(Error::Momentum(momentum)) }
}

pub(crate) fn check_weight_decay(weight_decay: f64) -> Result<()> {
    let allowed = weight_decay.is_finite() && weight_decay >= 0.0;
    if allowed { Ok(()) } else { Err(Error::WeightDecay(weight_decay)) }
}

pub(crate) fn check_limit(max: f64) -> Result<()> {
    if max.is_finite() && max > 0.0 { Ok(()) } else { Err(Error::ClipLimit(max)) }
}
