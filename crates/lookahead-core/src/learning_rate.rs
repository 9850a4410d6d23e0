//! Schedules of the learning rate.

mod check;

use std::f64::consts::PI;

use crate::Result;
use crate::range::check_learning_rate;

/// How the learning rate changes over a training, as plain data. With the feature `serde` it is a table of these
/// keys in a config file; unknown keys are refused.
///
/// η is the learning rate, t the inner steps taken before a step, T those of the whole training, p = t / T:
///
/// | kind | learning rate of the step | source |
/// |---|---|---|
/// | constant | η | |
/// | steps | η · `factor`^(milestones passed) | torch's `MultiStepLR` |
/// | cosine | m + (η − m) (1 + cos π p) / 2, with m = `min_lr` | Loshchilov and Hutter, 2017, without restarts; torch's `CosineAnnealingLR` |
/// | linear | m + (η − m) (1 − p) | torch's `LinearLR`, from 1 to m / η |
/// | polynomial | m + (η − m) (1 − p)^`power` | torch's `PolynomialLR`, where m is 0 |
/// | wsd | η; over the last part d = `decay_fraction` of the steps m + (η − m) s(q), with q = (p − 1 + d) / d | warm-up–stable–decay: Hu et al., 2024 (MiniCPM); Hägele et al., 2024 |
/// | one_cycle | up from η / `div_factor` to η at step `pct_start` T − 1, then down to η / `div_factor` / `final_div_factor` at step T − 1 | Smith and Topin, 2017; torch's `OneCycleLR` in two phases, whose momentum does not cycle here |
///
/// `wsd` decays by the `decay_shape` s(q): linear 1 − q, sqrt 1 − √q, cosine (1 + cos π q) / 2. `one_cycle` goes up
/// and down by half a cosine, or linearly with `anneal`. Each kind is multiplied by min(1, (t + 1) / `warmup_steps`).
///
/// A key that is `None` has the default of its kind; a key of another kind is refused.
///
/// ```
/// use lookahead_core::{InnerOptimizer, LearningRateKind, LearningRateSchedule, Lookahead, fused};
/// # use tch::{Device, Kind, nn};
/// # let vs = nn::VarStore::new(Device::Cpu);
/// # let w = vs.root().ones("w", &[2]);
/// let mut opt = Lookahead::builder(fused::AdamW::default()).build(&vs, 1e-3)?;
/// let schedule = LearningRateSchedule::new(LearningRateKind::Wsd).with_warmup(10).over(1e-3, 100)?;
/// for step in 0..100 {
///     opt.set_learning_rate(schedule.at(step))?;
///     opt.backward_step(&w.square().sum(Kind::Float))?;
/// }
/// assert_eq!([0, 9, 79, 80].map(|step| schedule.at(step)), [1e-4, 1e-3, 1e-3, 1e-3]);
/// assert!((schedule.at(90) - 0.5e-3).abs() < 1e-12);
/// # Ok::<(), lookahead_core::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct LearningRateSchedule {
    /// The curve.
    pub kind: LearningRateKind,
    /// cosine, linear, polynomial, wsd: the learning rate at the end, 0 ≤ m ≤ η. Default 0.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub min_lr: Option<f64>,
    /// steps: epochs after which the learning rate is multiplied by `factor`, in increasing order from 1.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub milestones: Option<Vec<u64>>,
    /// steps: the factor at each milestone, above 0, up to 1. Default 0.1.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub factor: Option<f64>,
    /// polynomial: the exponent, above 0. Default 1.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub power: Option<f64>,
    /// wsd: the part of the steps over which it decays, above 0, up to 1. Default 0.2.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub decay_fraction: Option<f64>,
    /// wsd: the shape of the decay. Default linear.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub decay_shape: Option<DecayShape>,
    /// one_cycle: the part of the steps over which it rises, 0 to 1. Default 0.3.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub pct_start: Option<f64>,
    /// one_cycle: η divided by the learning rate of the first step, at least 1. Default 25.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub div_factor: Option<f64>,
    /// one_cycle: the learning rate of the first step divided by that of the last, at least 1. Default 10,000.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub final_div_factor: Option<f64>,
    /// one_cycle: the shape of both parts. Default cosine.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub anneal: Option<Anneal>,
    /// Steps over which the learning rate grows linearly to its full value, multiplied with the curve. Default 0.
    pub warmup_steps: u64,
}

/// The curves of a [`LearningRateSchedule`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum LearningRateKind {
    /// The same in every step.
    #[default]
    Constant,
    /// Half a cosine wave from η at the first step to `min_lr` after the last.
    Cosine,
    /// Multiplied by a factor at given epochs.
    Steps,
    /// A straight line from η at the first step to `min_lr` after the last.
    Linear,
    /// A power of the remaining part of the training.
    Polynomial,
    /// Warm-up–stable–decay: constant, then a decay to `min_lr` after the last step.
    Wsd,
    /// Up to η, then down to almost 0 at the last step.
    OneCycle,
}

/// The shape of the decay of [`LearningRateKind::Wsd`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum DecayShape {
    /// 1 − q.
    #[default]
    Linear,
    /// 1 − √q (Hägele et al., 2024).
    Sqrt,
    /// (1 + cos π q) / 2.
    Cosine,
}

/// The shape of both parts of [`LearningRateKind::OneCycle`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Anneal {
    /// Half a cosine wave.
    #[default]
    Cosine,
    /// A straight line.
    Linear,
}

/// The position of a step in a training.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchedulePosition {
    /// Steps taken before it.
    pub step: u64,
    /// Steps of the whole training.
    pub total: u64,
    /// Epochs completed before it.
    pub epoch: u64,
}

/// A [`LearningRateSchedule`] for a training of known length: see [`over`](LearningRateSchedule::over).
#[derive(Debug, Clone, PartialEq)]
pub struct LearningRate {
    schedule: LearningRateSchedule,
    learning_rate: f64,
    total_steps: u64,
    steps_per_epoch: u64,
}

impl LearningRateSchedule {
    /// The schedule of this kind with its defaults; [`Steps`](LearningRateKind::Steps) needs milestones too.
    ///
    /// ```
    /// use lookahead_core::{LearningRateKind, LearningRateSchedule};
    /// let schedule = LearningRateSchedule {
    ///     power: Some(2.0),
    ///     ..LearningRateSchedule::new(LearningRateKind::Polynomial)
    /// };
    /// assert_eq!(schedule.over(0.4, 100)?.at(50), 0.1);
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    pub fn new(kind: LearningRateKind) -> Self {
        LearningRateSchedule { kind, ..Default::default() }
    }

    /// With a linear warm-up over this number of steps.
    #[must_use]
    pub fn with_warmup(self, steps: u64) -> Self {
        LearningRateSchedule { warmup_steps: steps, ..self }
    }

    /// The schedule for a training of `total_steps` optimizer steps, whose largest learning rate is
    /// `learning_rate`. Milestones are in steps until [`steps_per_epoch`](LearningRate::steps_per_epoch) is called.
    ///
    /// # Errors
    /// [`Setting`](crate::Error::Setting) for a learning rate out of range, and those of
    /// [`resolve`](Self::resolve).
    pub fn over(mut self, learning_rate: f64, total_steps: u64) -> Result<LearningRate> {
        check_learning_rate(learning_rate)?;
        self.resolve(learning_rate)?;
        Ok(LearningRate { schedule: self, learning_rate, total_steps, steps_per_epoch: 1 })
    }

    /// The learning rate of the step `at`, with `learning_rate` as η. Keys are used [unchecked](Self::resolve).
    pub fn learning_rate(&self, learning_rate: f64, at: SchedulePosition) -> f64 {
        let warm = at.step.saturating_add(1);
        let curve = self.curve(learning_rate, at);
        if warm < self.warmup_steps {
            return curve * warm as f64 / self.warmup_steps as f64;
        }
        curve
    }

    /// Without the warm-up.
    fn curve(&self, lr: f64, at: SchedulePosition) -> f64 {
        let (step, total) = (at.step as f64, at.total.max(1) as f64);
        let least = self.min_lr.unwrap_or(MIN_LR);
        let progress = (step / total).min(1.0);
        match self.kind {
            LearningRateKind::Constant => lr,
            LearningRateKind::Cosine => least + (lr - least) * 0.5 * (1.0 + (PI * progress).cos()),
            LearningRateKind::Steps => {
                let passed = self.milestones.iter().flatten().filter(|&&epoch| epoch <= at.epoch);
                lr * self.factor.unwrap_or(FACTOR).powi(passed.count() as i32)
            }
            LearningRateKind::Linear => least + (lr - least) * (1.0 - progress),
            LearningRateKind::Polynomial => {
                least + (lr - least) * (1.0 - progress).powf(self.power.unwrap_or(POWER))
            }
            LearningRateKind::Wsd => {
                let steps = self.decay_fraction.unwrap_or(DECAY_FRACTION) * total;
                let decayed = (step - (total - steps)) / steps;
                if decayed <= 0.0 {
                    return lr;
                }
                let shape = self.decay_shape.unwrap_or_default();
                least + (lr - least) * shape.remaining(decayed.min(1.0))
            }
            LearningRateKind::OneCycle => self.one_cycle(lr, step, total),
        }
    }

    /// torch counts so that the last step has the smallest rate, and the peak lies one step before `pct_start` T.
    fn one_cycle(&self, lr: f64, step: f64, total: f64) -> f64 {
        let first = lr / self.div_factor.unwrap_or(DIV_FACTOR);
        let least = first / self.final_div_factor.unwrap_or(FINAL_DIV_FACTOR);
        let peak = self.pct_start.unwrap_or(PCT_START) * total - 1.0;
        let last = total - 1.0;
        let anneal = self.anneal.unwrap_or_default();
        if step > peak {
            return anneal.between(lr, least, part(step - peak, last - peak));
        }
        anneal.between(first, lr, part(step, peak))
    }

    /// The steps after which the learning rate has reached its largest value for the first time, in a training of
    /// `total` steps.
    pub fn rising_steps(&self, total: u64) -> u64 {
        let rising = match self.kind {
            LearningRateKind::OneCycle => self.pct_start.unwrap_or(PCT_START) * total as f64,
            _ => 0.0,
        };
        self.warmup_steps.max(rising as u64)
    }

    /// Steps before which the length of the training makes no difference to the learning rate.
    pub fn steps_before_decay(&self, total: u64) -> u64 {
        match self.kind {
            LearningRateKind::Constant | LearningRateKind::Steps => total,
            LearningRateKind::Wsd => {
                let fraction = self.decay_fraction.unwrap_or(DECAY_FRACTION);
                ((1.0 - fraction) * total as f64).floor() as u64
            }
            _ => 0,
        }
    }
}

const MIN_LR: f64 = 0.0;
const FACTOR: f64 = 0.1;
const POWER: f64 = 1.0;
const DECAY_FRACTION: f64 = 0.2;
const PCT_START: f64 = 0.3;
const DIV_FACTOR: f64 = 25.0;
const FINAL_DIV_FACTOR: f64 = 1e4;

/// The part that is done, up to 1. A phase of no steps is done.
fn part(done: f64, all: f64) -> f64 {
    if all > 0.0 { (done / all).min(1.0) } else { 1.0 }
}

impl LearningRate {
    /// Counts [milestones](LearningRateSchedule::milestones) in epochs of this number of steps. 0 is as 1.
    #[must_use]
    pub fn steps_per_epoch(self, steps: u64) -> Self {
        LearningRate { steps_per_epoch: steps.max(1), ..self }
    }

    /// The learning rate of the step after `step` steps; after the last step as at its end.
    pub fn at(&self, step: u64) -> f64 {
        let (total, epoch) = (self.total_steps, step / self.steps_per_epoch);
        self.schedule.learning_rate(self.learning_rate, SchedulePosition { step, total, epoch })
    }
}

impl DecayShape {
    /// The part that remains after the part `q` of the decay.
    fn remaining(self, q: f64) -> f64 {
        match self {
            DecayShape::Linear => 1.0 - q,
            DecayShape::Sqrt => 1.0 - q.sqrt(),
            DecayShape::Cosine => 0.5 * (1.0 + (PI * q).cos()),
        }
    }
}

impl Anneal {
    fn between(self, from: f64, to: f64, part: f64) -> f64 {
        match self {
            Anneal::Cosine => to + (from - to) / 2.0 * (1.0 + (PI * part).cos()),
            Anneal::Linear => (to - from) * part + from,
        }
    }
}

#[cfg(test)]
mod tests;
