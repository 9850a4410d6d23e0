//! The ranges of settings. All refuse NaN, and check the number as the kernels use it, in the weights' own type:
//! 0.999999999 is below 1, but equals 1 in single precision.

use std::fmt;

use crate::{Error, Result};

/// An error unless the setting `key` is within the range that `allowed` describes.
pub(crate) fn require(
    holds: bool,
    key: &'static str,
    found: impl fmt::LowerExp + fmt::Display + Copy,
    allowed: &'static str,
) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::Setting { key, found: short(found), allowed }) }
}

/// In plain digits, or with an exponent if that is much shorter: 1e30 instead of 31 digits.
pub(crate) fn short(number: impl fmt::LowerExp + fmt::Display) -> String {
    let (plain, exponent) = (number.to_string(), format!("{number:e}"));
    if exponent.len() + 4 < plain.len() { exponent } else { plain }
}

pub(crate) fn check_period(k: u64) -> Result<()> {
    require(k >= 1, "k", k, "at least 1: inner steps between syncs")
}

/// The largest α of an outer step that may exceed 1. Values that are used stay below 2.
pub(crate) const MOST_ALPHA: f64 = 100.0;

/// Checks an α that may be at most `most`: 1 or [`MOST_ALPHA`].
pub(crate) fn check_slow_step_size(alpha: f64, most: f64) -> Result<()> {
    let allowed = if most > 1.0 {
        "more than 0 and at most 100: it is the learning rate of the outer step"
    } else {
        "more than 0 and at most 1: at 0 the slow weights never move, at 1 Lookahead is exactly its inner optimizer, \
         and above 1 it extrapolates, which needs `extrapolate` or outer momentum"
    };
    require(single(alpha) > 0.0 && alpha <= most, "alpha", alpha, allowed)
}

/// Checks a learning rate, for your own inner optimizer.
///
/// # Errors
/// [`Setting`](Error::Setting) if it is negative, NaN, or overflows single precision.
///
/// ```
/// use lookahead_core::check_learning_rate;
/// assert!(check_learning_rate(0.1).is_ok() && check_learning_rate(f64::NAN).is_err());
/// ```
pub fn check_learning_rate(learning_rate: f64) -> Result<()> {
    check_single("learning_rate", learning_rate)
}

pub(crate) fn check_weight_decay(weight_decay: f64) -> Result<()> {
    check_single("weight_decay", weight_decay)
}

pub(crate) fn check_momentum(momentum: f64) -> Result<()> {
    check_decay("momentum", momentum, "at least 0 and below 1, in single precision too")
}

/// A factor by which something decays.
pub(crate) fn check_decay(key: &'static str, factor: f64, allowed: &'static str) -> Result<()> {
    require(factor >= 0.0 && single(factor) < 1.0, key, factor, allowed)
}

pub(crate) fn check_limit(max: f64) -> Result<()> {
    let allowed = "a finite number above 0, to clip gradients to";
    require(max.is_finite() && max > 0.0, "max", max, allowed)
}

pub(crate) fn check_single(key: &'static str, value: f64) -> Result<()> {
    let allowed = "at least 0 and at most 3.4e38, the largest number of single precision";
    require(value >= 0.0 && single(value).is_finite(), key, value, allowed)
}

/// The number as kernels on single-precision weights use it.
fn single(value: f64) -> f32 {
    value as f32
}

/// The largest count of steps in a state. Schedules and processes compare counts as floating-point numbers, which
/// are exact up to here.
pub(crate) const MOST_STEPS: i64 = 1 << 53;
