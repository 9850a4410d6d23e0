//! Values that change over a training.

use std::f64::consts::PI;

use crate::range::check_slow_step_size;
use crate::{Error, Result, State};

/// How k or α changes from its first value, by inner steps since the optimizer was built.
///
/// α is read at each sync. k is read when a cycle begins, because it can't change inside one, and rounded to a
/// whole number of at least 1.
///
/// ```
/// use lookahead_core::Schedule;
/// let linear = Schedule::Linear { to: 1.0, steps: 100 };
/// assert_eq!([0, 50, 100, 500].map(|step| linear.at(0.5, step)), [0.5, 0.75, 1.0, 1.0]);
/// let halved = Schedule::Step { factor: 0.5, every: 30 };
/// assert_eq!([0, 29, 30, 60].map(|step| halved.at(0.8, step)), [0.8, 0.8, 0.4, 0.2]);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Schedule {
    /// Constant.
    #[default]
    Constant,
    /// Linear to `to` in `steps` steps, then constant.
    #[allow(missing_docs)]
    Linear { to: f64, steps: u64 },
    /// Half a cosine to `to` in `steps` steps, then constant.
    #[allow(missing_docs)]
    Cosine { to: f64, steps: u64 },
    /// Multiplied by `factor` every `every` steps.
    #[allow(missing_docs)]
    Step { factor: f64, every: u64 },
}

impl Schedule {
    /// The value after `step` inner steps, beginning with `from`.
    pub fn at(&self, from: f64, step: u64) -> f64 {
        match *self {
            Schedule::Constant => from,
            Schedule::Linear { to, steps } | Schedule::Cosine { to, steps } if step >= steps => to,
            Schedule::Linear { to, steps } => between(from, to, step as f64 / steps as f64),
            Schedule::Cosine { to, steps } => {
                let done = step as f64 / steps as f64;
                between(from, to, 0.5 * (1.0 - (PI * done).cos()))
            }
            Schedule::Step { factor, every } => from * factor.powf((step / every) as f64),
        }
    }

    /// Checks that α stays above 0 and at most `most`.
    pub(crate) fn check_slow_step_size(&self, most: f64) -> Result<()> {
        match *self {
            Schedule::Constant => Ok(()),
            Schedule::Linear { to, .. } | Schedule::Cosine { to, .. } => {
                check_slow_step_size(to, most)
            }
            Schedule::Step { factor, every } => {
                let allowed = "more than 0 and at most 1, since α must stay so";
                check_factor(factor, every, factor > 0.0 && factor <= 1.0, allowed)
            }
        }
    }

    pub(crate) fn check_period(&self) -> Result<()> {
        match *self {
            Schedule::Constant => Ok(()),
            Schedule::Linear { to, .. } | Schedule::Cosine { to, .. } => {
                if to.is_finite() && to >= 1.0 {
                    return Ok(());
                }
                let allowed = "a finite number of at least 1, since k must stay so";
                Err(Error::Schedule { key: "to", found: to.to_string(), allowed })
            }
            Schedule::Step { factor, every } => {
                let allowed = "a finite number above 0";
                check_factor(factor, every, factor.is_finite() && factor > 0.0, allowed)
            }
        }
    }

    /// Writes it into a state under `name`; a constant schedule writes nothing.
    pub(crate) fn save(&self, name: &str, state: &mut State) {
        let (kind, number, steps) = match *self {
            Schedule::Constant => return,
            Schedule::Linear { to, steps } => (1, to, steps),
            Schedule::Cosine { to, steps } => (2, to, steps),
            Schedule::Step { factor, every } => (3, factor, every),
        };
        let steps = i64::try_from(steps).unwrap_or(i64::MAX);
        state.integers.insert(format!("{name}/kind"), kind);
        state.integers.insert(format!("{name}/steps"), steps);
        state.numbers.insert(format!("{name}/value"), number);
    }

    /// Whether [`save`](Self::save) under `name` writes an entry with this key.
    pub(crate) fn has_entry(&self, name: &str, key: &str) -> bool {
        let entry = key.strip_prefix(name).and_then(|rest| rest.strip_prefix('/'));
        *self != Schedule::Constant && matches!(entry, Some("kind" | "steps" | "value"))
    }

    /// Reads what [`save`](Self::save) wrote, unchecked.
    pub(crate) fn load(name: &str, state: &State) -> Result<Self> {
        let key = format!("{name}/kind");
        let Some(&kind) = state.integers.get(&key) else { return Ok(Schedule::Constant) };
        let steps_key = format!("{name}/steps");
        let value = state.number(&format!("{name}/value"))?;
        let found = state.integer(&steps_key)?;
        let steps = u64::try_from(found).map_err(|_| Error::StateRange {
            key: steps_key,
            found: found.to_string(),
            allowed: "at least 0".to_owned(),
        })?;
        match kind {
            1 => Ok(Schedule::Linear { to: value, steps }),
            2 => Ok(Schedule::Cosine { to: value, steps }),
            3 => Ok(Schedule::Step { factor: value, every: steps }),
            _ => Err(Error::StateRange {
                key,
                found: kind.to_string(),
                allowed: "1 (linear), 2 (cosine) or 3 (step)".to_owned(),
            }),
        }
    }
}

/// Exact at `from`, and never beyond either end by rounding.
fn between(from: f64, to: f64, part: f64) -> f64 {
    (from + (to - from) * part).max(from.min(to)).min(from.max(to))
}

fn check_factor(factor: f64, every: u64, allowed: bool, range: &'static str) -> Result<()> {
    if !allowed {
        return Err(Error::Schedule { key: "factor", found: factor.to_string(), allowed: range });
    }
    match every {
        0 => Err(Error::Schedule { key: "every", found: "0".to_owned(), allowed: "at least 1" }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
