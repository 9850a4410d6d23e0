//! Values that change over a training.

use std::f64::consts::PI;

use crate::range::check_slow_step_size;
use crate::{Error, Result, State};

/// How k or α changes from its first value, by inner steps since the optimizer was built.
///
/// In a config file it is a table with its name as `kind`: `{ kind = "linear", to = 1.0, steps = 5000 }`. A curve that
/// is left without `steps` there takes all of the training's: see [`over`](Self::over).
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
/// let cubic = Schedule::Power { to: 0.0, power: 3.0, steps: 10 };
/// assert_eq!([0, 5, 10].map(|step| cubic.at(1.0, step)), [1.0, 0.875, 0.0]);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields))]
#[non_exhaustive]
pub enum Schedule {
    /// Constant.
    #[default]
    Constant,
    /// Linear to `to` in `steps` steps, then constant.
    #[allow(missing_docs)]
    Linear {
        to: f64,
        #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "is_zero"))]
        steps: u64,
    },
    /// Half a cosine to `to` in `steps` steps, then constant.
    #[allow(missing_docs)]
    Cosine {
        to: f64,
        #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "is_zero"))]
        steps: u64,
    },
    /// Multiplied by `factor` every `every` steps; `steps` in a config file.
    #[allow(missing_docs)]
    #[cfg_attr(feature = "serde", serde(rename = "steps"))]
    Step { factor: f64, every: u64 },
    /// By the power of the part of `steps` that is done, then constant: `from` + (`to` − `from`) (t / `steps`)^`power`.
    /// 1 is linear; a larger power stays near `from` for longer.
    #[allow(missing_docs)]
    Power {
        to: f64,
        power: f64,
        #[cfg_attr(feature = "serde", serde(default, skip_serializing_if = "is_zero"))]
        steps: u64,
    },
}

impl Schedule {
    /// The value after `step` inner steps, beginning with `from`.
    pub fn at(&self, from: f64, step: u64) -> f64 {
        match *self {
            Schedule::Constant => from,
            Schedule::Linear { to, steps }
            | Schedule::Cosine { to, steps }
            | Schedule::Power { to, steps, .. }
                if step >= steps =>
            {
                to
            }
            Schedule::Linear { to, steps } => between(from, to, step as f64 / steps as f64),
            Schedule::Cosine { to, steps } => {
                let done = step as f64 / steps as f64;
                between(from, to, 0.5 * (1.0 - (PI * done).cos()))
            }
            Schedule::Step { factor, every } => from * factor.powf((step / every) as f64),
            Schedule::Power { to, power, steps } => {
                between(from, to, (step as f64 / steps as f64).powf(power))
            }
        }
    }

    /// The same over `total` steps, if it has 0: what a program does with a schedule from a config file that is left
    /// without `steps`.
    ///
    /// ```
    /// use lookahead_core::Schedule;
    /// let read = Schedule::Linear { to: 1.0, steps: 0 };
    /// assert_eq!(read.over(900), Schedule::Linear { to: 1.0, steps: 900 });
    /// assert_eq!(read.over(900).over(1000), read.over(900));
    /// ```
    #[must_use]
    pub fn over(mut self, total: u64) -> Self {
        match &mut self {
            Schedule::Linear { steps, .. }
            | Schedule::Cosine { steps, .. }
            | Schedule::Power { steps, .. }
                if *steps == 0 =>
            {
                *steps = total;
            }
            _ => {}
        }
        self
    }

    /// Whether it is [`Schedule::Constant`].
    pub fn is_constant(&self) -> bool {
        *self == Schedule::Constant
    }

    /// Checks that α stays above 0 and at most `most`.
    pub(crate) fn check_slow_step_size(&self, most: f64) -> Result<()> {
        self.check_curve()?;
        match *self {
            Schedule::Constant => Ok(()),
            Schedule::Linear { to, .. }
            | Schedule::Cosine { to, .. }
            | Schedule::Power { to, .. } => check_slow_step_size(to, most),
            Schedule::Step { factor, .. } => {
                let allowed = "more than 0 and at most 1, since α must stay so";
                require("factor", factor, factor > 0.0 && factor <= 1.0, allowed)
            }
        }
    }

    /// Checks that k stays at least 1.
    pub(crate) fn check_period(&self) -> Result<()> {
        self.check_curve()?;
        match *self {
            Schedule::Constant => Ok(()),
            Schedule::Linear { to, .. }
            | Schedule::Cosine { to, .. }
            | Schedule::Power { to, .. } => {
                let allowed = "a finite number of at least 1, since k must stay so";
                require("to", to, to.is_finite() && to >= 1.0, allowed)
            }
            Schedule::Step { factor, .. } => {
                let allowed = "a finite number above 0";
                require("factor", factor, factor.is_finite() && factor > 0.0, allowed)
            }
        }
    }

    /// Checks the numbers that are not values of k or α.
    fn check_curve(&self) -> Result<()> {
        match *self {
            Schedule::Step { every, .. } => require("every", every, every > 0, "at least 1"),
            Schedule::Power { power, .. } => {
                let allowed = "a finite number above 0: 1 is linear";
                require("power", power, power.is_finite() && power > 0.0, allowed)
            }
            _ => Ok(()),
        }
    }

    /// Writes it into a state under `name`; a constant schedule writes nothing.
    pub(crate) fn save(&self, name: &str, state: &mut State) {
        let (kind, number, steps) = match *self {
            Schedule::Constant => return,
            Schedule::Linear { to, steps } => (1, to, steps),
            Schedule::Cosine { to, steps } => (2, to, steps),
            Schedule::Step { factor, every } => (3, factor, every),
            Schedule::Power { to, power, steps } => {
                state.numbers.insert(format!("{name}/power"), power);
                (4, to, steps)
            }
        };
        let steps = i64::try_from(steps).unwrap_or(i64::MAX);
        state.integers.insert(format!("{name}/kind"), kind);
        state.integers.insert(format!("{name}/steps"), steps);
        state.numbers.insert(format!("{name}/value"), number);
    }

    /// Whether [`save`](Self::save) under `name` writes an entry with this key.
    pub(crate) fn has_entry(&self, name: &str, key: &str) -> bool {
        let entry = key.strip_prefix(name).and_then(|rest| rest.strip_prefix('/'));
        match self {
            Schedule::Constant => false,
            Schedule::Power { .. } if entry == Some("power") => true,
            _ => matches!(entry, Some("kind" | "steps" | "value")),
        }
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
            4 => {
                let power = state.number(&format!("{name}/power"))?;
                Ok(Schedule::Power { to: value, power, steps })
            }
            _ => Err(Error::StateRange {
                key,
                found: kind.to_string(),
                allowed: "1 (linear), 2 (cosine), 3 (step) or 4 (power)".to_owned(),
            }),
        }
    }
}

/// Exact at `from`, and never beyond either end by rounding.
fn between(from: f64, to: f64, part: f64) -> f64 {
    (from + (to - from) * part).max(from.min(to)).min(from.max(to))
}

fn require(
    key: &'static str,
    found: impl ToString,
    holds: bool,
    allowed: &'static str,
) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::Schedule { key, found: found.to_string(), allowed }) }
}

#[cfg(feature = "serde")]
fn is_zero(steps: &u64) -> bool {
    *steps == 0
}

#[cfg(test)]
mod tests;
