//! The settings of a Lookahead as plain data.

use crate::range::{MOST_ALPHA, check_decay, check_period, check_slow_step_size, require};
use crate::schedule::Schedule;
use crate::{Error, Result};

/// The settings of a [`Lookahead`](crate::Lookahead) as plain data. With the feature `serde` it is a table of
/// these keys in a config file; each has a default, and unknown keys are refused.
/// [`Builder::config`](crate::Builder::config) sets all of it, the builder's other methods one field each.
///
/// ```
/// use lookahead_core::{Lookahead, LookaheadConfig, fused};
/// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
/// # let _ = vs.root().ones("w", &[1]);
/// let config = LookaheadConfig { k: 10, alpha: 0.8, ..Default::default() };
/// let opt = Lookahead::builder(fused::Sgd::default()).config(config).build(&vs, 0.1)?;
/// assert_eq!((opt.k(), opt.alpha()), (10, 0.8));
/// # Ok::<(), lookahead_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
pub struct LookaheadConfig {
    /// Synchronization period k: inner steps between syncs, at least 1. Default 5.
    pub k: u64,
    /// Slow step size α, 0 < α ≤ 1, or up to 100 with outer momentum or [`extrapolate`](Self::extrapolate).
    /// Default 0.5.
    pub alpha: f64,
    /// Whether α may exceed 1 in plain interpolation, which then extrapolates: φ moves beyond θ. See
    /// [`Builder::extrapolate`](crate::Builder::extrapolate).
    pub extrapolate: bool,
    /// Smallest adaptive α, up to 1; 0, the default, turns it off. See
    /// [`Builder::adaptive_alpha`](crate::Builder::adaptive_alpha).
    pub adaptive_alpha: f64,
    /// What a sync does to the inner optimizer's moments.
    pub momentum_policy: MomentumPolicy,
    /// Momentum μ of the outer optimizer, 0 ≤ μ < 1, with `alpha` as its learning rate; 0, the default, is plain
    /// interpolation. See [`Builder::outer_momentum`](crate::Builder::outer_momentum).
    pub outer_momentum: f64,
    /// Nesterov's form of the outer momentum.
    pub outer_nesterov: bool,
    /// Where α is in the outer momentum. It matters where α changes.
    pub alpha_placement: AlphaPlacement,
    /// Syncs after which the outer momentum restarts from 0; 0, the default, never restarts it. See
    /// [`Builder::restart_every`](crate::Builder::restart_every).
    pub restart_every: u64,
    /// What to do about NaN and infinity.
    pub non_finite: NonFinite,
    /// Whether [`finish`](crate::Lookahead::finish) syncs if the training ends inside a cycle. Otherwise it
    /// discards that cycle's steps. Default true.
    pub final_sync: bool,
    /// The number of training batches with which to recalibrate batch normalization for φ before evaluating or
    /// saving it; 0, the default, keeps θ's statistics. The optimizer has no batches: the evaluating program
    /// reads this and calls [`SlowWeights::recalibrate`](crate::SlowWeights::recalibrate).
    pub recalibrate: usize,
    /// Whether a sync interpolates batch normalization's running statistics with the weights. See
    /// [`Builder::interpolate_statistics`](crate::Builder::interpolate_statistics).
    pub interpolate_statistics: bool,
    /// How α changes over the training, from [`alpha`](Self::alpha) on. Default constant.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Schedule::is_constant"))]
    pub alpha_schedule: Schedule,
    /// How k changes over the training, from [`k`](Self::k) on. Default constant.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Schedule::is_constant"))]
    pub k_schedule: Schedule,
}

impl Default for LookaheadConfig {
    fn default() -> Self {
        LookaheadConfig {
            k: 5,
            alpha: 0.5,
            extrapolate: false,
            adaptive_alpha: 0.0,
            momentum_policy: MomentumPolicy::Maintain,
            outer_momentum: 0.0,
            outer_nesterov: false,
            alpha_placement: AlphaPlacement::Outside,
            restart_every: 0,
            non_finite: NonFinite::Error,
            final_sync: true,
            recalibrate: 0,
            interpolate_statistics: false,
            alpha_schedule: Schedule::Constant,
            k_schedule: Schedule::Constant,
        }
    }
}

impl LookaheadConfig {
    /// Checks all ranges and combinations.
    ///
    /// # Errors
    /// [`Setting`](Error::Setting) or [`Schedule`](Error::Schedule) for the first value out of range,
    /// [`AdaptiveWith`](Error::AdaptiveWith) for adaptive α together with outer momentum or a schedule of α.
    ///
    /// ```
    /// # use lookahead_core::LookaheadConfig;
    /// let refused = LookaheadConfig { k: 0, ..Default::default() }.check().unwrap_err();
    /// assert!(refused.to_string().starts_with("`k` is 0, and it must be at least 1"));
    /// ```
    pub fn check(&self) -> Result<()> {
        check_period(self.k)?;
        check_slow_step_size(self.alpha, self.largest_alpha())?;
        let low = self.adaptive_alpha;
        let allowed = "from 0, which is off, to 1: the smallest α that may be chosen";
        require((0.0..=1.0).contains(&low), "adaptive_alpha", low, allowed)?;
        let allowed =
            "at least 0, which is plain interpolation, and below 1, in single precision too";
        check_decay("outer_momentum", self.outer_momentum, allowed)?;
        if low > 0.0 && self.outer_momentum > 0.0 {
            return Err(Error::AdaptiveWith { what: "outer momentum" });
        }
        self.k_schedule.check_period()?;
        self.alpha_schedule.check_slow_step_size(self.largest_alpha())?;
        if low > 0.0 && !self.alpha_schedule.is_constant() {
            return Err(Error::AdaptiveWith { what: "an α schedule" });
        }
        Ok(())
    }

    /// The largest α of the outer step. Interpolation ends at θ.
    pub(crate) fn largest_alpha(&self) -> f64 {
        if self.extrapolate || self.outer_momentum > 0.0 { MOST_ALPHA } else { 1.0 }
    }

    /// The smallest adaptive α, if it is on.
    pub(crate) fn adaptive_low(&self) -> Option<f64> {
        (self.adaptive_alpha > 0.0).then_some(self.adaptive_alpha)
    }
}

/// Where the outer momentum has the slow step size α, its learning rate. With d = φ − θ:
///
/// | | `Outside` the velocity | `Inside` |
/// |---|---|---|
/// | velocity | v ← μ v + d | v ← μ v + α d |
/// | heavy ball | φ ← φ − α v | φ ← φ − v |
/// | Nesterov | φ ← φ − α (d + μ v) | φ ← φ − (α d + μ v) |
///
/// At a constant α both are the same up to rounding. Where α changes, `Inside` keeps the size of the steps that the
/// velocity has collected, and `Outside` scales them with the new α.
///
/// ```
/// use lookahead_core::{AlphaPlacement, Lookahead, fused};
/// # use tch::Kind;
/// let run = |placement| -> lookahead_core::Result<f64> {
///     let vs = tch::nn::VarStore::new(tch::Device::Cpu);
///     let w = vs.root().ones("w", &[1]);
///     let builder = Lookahead::builder(fused::Sgd::default()).k(1).alpha(0.8);
///     let builder = builder.outer_momentum(0.75).outer_nesterov(true).alpha_placement(placement);
///     let mut opt = builder.build(&vs, 0.2)?;
///     for alpha in [0.8, 0.4, 0.2] {
///         opt.set_alpha(alpha)?;
///         opt.backward_step(&w.sum(Kind::Float))?; // d = 0.2
///     }
///     Ok((w.double_value(&[0]) * 1e6).round() / 1e6)
/// };
/// assert_eq!(run(AlphaPlacement::Outside)?, 0.425625);
/// assert_eq!(run(AlphaPlacement::Inside)?, 0.3075);
/// # Ok::<(), lookahead_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum AlphaPlacement {
    /// A factor of the step, as in torch's SGD, SNOO and DiLoCo.
    #[default]
    Outside,
    /// A factor of what enters the velocity, as in MuLoCo.
    Inside,
}

/// What a sync does to the inner optimizer's moments: all running averages of gradients that it keeps per
/// parameter.
///
/// | inner optimizer | moments |
/// |---|---|
/// | SGD with momentum | the momentum buffer |
/// | Adam, AdamW | the first and the second moment; with amsgrad the second's maximum |
/// | RMSprop | the mean squared gradient; with momentum its buffer; centered: the mean gradient |
/// | your own | those of its [`moments`](crate::InnerOptimizer::moments) |
///
/// `Reset` and `Pullback` are refused at build for SGD without momentum, and for optimizers that don't give their
/// moments.
///
/// ```
/// use lookahead_core::{InnerOptimizer, Lookahead, MomentumPolicy, fused};
/// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
/// # let w = vs.root().ones("w", &[1]);
/// let mut opt = Lookahead::builder(fused::sgd(0.5, 0., 0., false))
///     .k(2)
///     .alpha(0.5)
///     .momentum_policy(MomentumPolicy::Pullback)
///     .build(&vs, 0.1)?;
/// for _ in 0..2 {
///     opt.backward_step(&w.sum(tch::Kind::Float))?; // the gradient is 1: m goes 1, 1½
/// }
/// assert_eq!(opt.inner_mut().moments(0)?[0].tensor.double_value(&[0]), 0.75); // half the way to 1½
/// # Ok::<(), lookahead_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum MomentumPolicy {
    /// They are kept.
    #[default]
    Maintain,
    /// They are reset, including step counts, to the state before the first step. Adam's bias correction
    /// restarts with them.
    Reset,
    /// They are interpolated like the weights, with the same α, or with 1 if α is larger: each moment m has a slow copy m̄, 0 before the
    /// first step like m, and at a sync m̄ ← m̄ + α (m − m̄), m ← m̄. Step counts are kept, so Adam's bias
    /// correction uses the steps taken, which makes the moments of the first cycles too small while 1 − βᵗ is
    /// far from 1. Interpolation is convex: second moments and a centered RMSprop's variance stay at least 0,
    /// and amsgrad's maximum at least the second moment.
    Pullback,
}

impl MomentumPolicy {
    pub(crate) fn name(self) -> &'static str {
        match self {
            MomentumPolicy::Maintain => "maintain",
            MomentumPolicy::Reset => "reset",
            MomentumPolicy::Pullback => "pullback",
        }
    }
}

/// What to do about NaN and infinity.
///
/// Every policy but `Unchecked` checks all of θ before a sync, so that NaN and infinity never reach φ. On the CPU
/// this reads θ once more, a quarter of what the sync itself moves; on a GPU it reads one number back, and the
/// program waits. (If finite φ and θ are farther apart than the type's largest number, the sync itself can still
/// overflow.)
///
/// No policy steps with gradients that [`clip_grad_norm`](crate::Lookahead::clip_grad_norm) could not clip: see
/// there.
///
/// ```
/// use lookahead_core::{Lookahead, NonFinite, fused};
/// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
/// # let w = vs.root().ones("w", &[1]);
/// let builder = Lookahead::builder(fused::Adam::default()).non_finite(NonFinite::SkipStep);
/// let mut opt = builder.build(&vs, 0.1)?;
/// opt.backward_step(&(&w * f64::INFINITY).sum(tch::Kind::Float))?;
/// assert_eq!((opt.non_finite(), opt.phase(), w.double_value(&[0])), (1, 0, 1.0));
/// # Ok::<(), lookahead_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum NonFinite {
    /// The sync fails with [`Error::NonFinite`] and changes nothing. Call
    /// [`roll_back`](crate::Lookahead::roll_back) to continue.
    #[default]
    Error,
    /// An inner step with a NaN or infinite gradient is skipped and not counted: θ and the inner optimizer stay
    /// as they are. This reads all gradients at each step. NaN or infinity in θ is an error as above.
    SkipStep,
    /// Instead of the sync, θ is set back to φ, and moments with NaN or infinity are reset.
    RollBack,
    /// Nothing is checked. Not available in config files.
    #[cfg_attr(feature = "serde", serde(skip))]
    Unchecked,
}

/// The element type in which θ is sent between processes.
#[cfg(feature = "distributed")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum TransferDtype {
    /// θ's own type; `f32` for half precision.
    #[default]
    Full,
    /// The difference θ − φ in bfloat16, which has three significant digits: half the bytes.
    #[cfg_attr(feature = "serde", serde(rename = "bf16"))]
    BFloat16,
}
