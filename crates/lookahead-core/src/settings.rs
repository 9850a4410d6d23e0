//! What a Lookahead can be told before it is built, and what of it makes no sense.

use lookahead_sys::sync::Path;

use crate::lookahead::Workers;
use crate::range::{check_period, check_slow_step_size, is_decay};
use crate::schedule::Schedule;
use crate::{Error, InnerOptimizer, Result};

/// What becomes of the inner optimizer's moments at a sync. Moments are all running averages of
/// gradients that it keeps for a parameter:
///
/// | inner optimizer | moments |
/// |---|---|
/// | SGD with momentum | the momentum buffer |
/// | Adam, AdamW | the first and the second moment; with amsgrad the second's maximum |
/// | RMSprop | the mean squared gradient; with momentum its buffer; centered: the mean gradient |
/// | one of your own | what its [`moments`](InnerOptimizer::moments) gives |
///
/// `Reset` and `Pullback` are refused at build where there is nothing for them to act on: for SGD
/// without momentum, and for optimizers whose moments can't be reached.
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
pub enum MomentumPolicy {
    /// They are kept.
    #[default]
    Maintain,
    /// They are forgotten, step counts included: for a synced parameter the inner optimizer is as
    /// before its first step. Adam's bias correction then starts anew with its moments.
    Reset,
    /// They are interpolated as the weights are, with the same α: each moment m has a slow copy
    /// m̄, 0 before the first step as m itself, and at a sync m̄ ← m̄ + α (m − m̄), m ← m̄. Step
    /// counts are kept, so that Adam's bias correction goes by the steps taken. Of the first
    /// cycles, while 1 − βᵗ is still far from 1, that makes the moments look smaller than they are.
    /// Interpolation is convex, so second moments stay at least 0, amsgrad's maximum at least the
    /// second moment, and a centered RMSprop's variance at least 0.
    Pullback,
}

impl MomentumPolicy {
    fn name(self) -> &'static str {
        match self {
            MomentumPolicy::Maintain => "maintain",
            MomentumPolicy::Reset => "reset",
            MomentumPolicy::Pullback => "pullback",
        }
    }
}

/// What to do about values that are no finite numbers: NaN and the infinities.
///
/// Every policy but `Unchecked` looks at all of θ before a sync, so that none of them ever reaches
/// φ. On the CPU that reads θ once more, a quarter of what the sync itself moves; on a GPU one
/// number is read back at each sync, for which the program waits for the device. (φ and θ that are
/// finite, and farther apart than the type's largest number, can still overflow in the sync itself.)
///
/// What [`clip_grad_norm`](crate::Lookahead::clip_grad_norm) could not clip is not stepped by, whatever
/// the policy: see there.
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
pub enum NonFinite {
    /// The sync is an error, [`Error::NonFinite`], which changes nothing: θ and φ are as they were,
    /// and [`roll_back`](crate::Lookahead::roll_back) can be called.
    #[default]
    Error,
    /// An inner step with a gradient that is not finite is not taken and not counted: θ and the
    /// inner optimizer stay as they are. This reads all gradients at each step. A θ that is not
    /// finite all the same is an error as above.
    SkipStep,
    /// In place of the sync θ goes back to φ, and moments that are not finite are reset.
    RollBack,
    /// Nobody looks.
    Unchecked,
}

/// Momentum in the outer optimizer: SGD on the difference d = φ − θ in the place of plain
/// interpolation, with the slow step size α as its learning rate.
///
/// ```text
/// v ← μ v + d                        v starts at 0
/// φ ← φ − α v                        or φ − α (d + μ v) in Nesterov's form
/// θ ← φ
/// ```
///
/// With μ = 0 that is plain Lookahead. With one worker, DiLoCo (Douillard et al., 2023) is μ = 0.9 in
/// Nesterov's form with α = 0.7, and SlowMo (Wang et al., 2020) is this form without Nesterov's at
/// a constant learning rate. It costs one more copy of the trainable parameters.
///
/// ```
/// use lookahead_core::{Lookahead, OuterMomentum, fused};
/// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
/// # let w = vs.root().ones("w", &[1]);
/// let outer = OuterMomentum { momentum: 0.9, nesterov: true };
/// let builder = Lookahead::builder(fused::Sgd::default()).k(1).alpha(0.5).outer_momentum(outer);
/// let mut opt = builder.build(&vs, 1.0)?;
/// opt.backward_step(&w.sum(tch::Kind::Float))?;
/// // d = 1 and v = 1, so φ went by 0.5 (1 + 0.9 · 1).
/// assert!((w.double_value(&[0]) - 0.05).abs() < 1e-6);
/// # Ok::<(), lookahead_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct OuterMomentum {
    /// μ, 0 ≤ μ < 1.
    pub momentum: f64,
    /// Nesterov's form.
    pub nesterov: bool,
}

/// All that a builder collects.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) k: u64,
    pub(crate) k_schedule: Schedule,
    pub(crate) alpha: f64,
    pub(crate) alpha_of_groups: Vec<(usize, f64)>,
    pub(crate) alpha_schedule: Schedule,
    /// The least α of the adaptive choice, where it is on.
    pub(crate) adaptive_low: Option<f64>,
    pub(crate) momentum_policy: MomentumPolicy,
    pub(crate) outer: OuterMomentum,
    pub(crate) non_finite: NonFinite,
    pub(crate) path: Path,
    /// The processes that train together.
    pub(crate) workers: Option<Workers>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            k: 5,
            k_schedule: Schedule::Constant,
            alpha: 0.5,
            alpha_of_groups: Vec::new(),
            alpha_schedule: Schedule::Constant,
            adaptive_low: None,
            momentum_policy: MomentumPolicy::Maintain,
            outer: OuterMomentum::default(),
            non_finite: NonFinite::Error,
            path: Path::Auto,
            workers: None,
        }
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<()> {
        check_period(self.k)?;
        check_slow_step_size(self.alpha)?;
        self.alpha_of_groups.iter().try_for_each(|(_, alpha)| check_slow_step_size(*alpha))?;
        self.k_schedule.check_period()?;
        self.alpha_schedule.check_slow_step_size()?;
        let momentum = self.outer.momentum;
        if !is_decay(momentum) {
            return Err(Error::OuterMomentum(momentum));
        }
        let Some(low) = self.adaptive_low else { return Ok(()) };
        if !(low > 0.0 && low <= 1.0) {
            return Err(Error::AdaptiveLow(low));
        }
        let other = [
            (!self.alpha_of_groups.is_empty(), "α per parameter group"),
            (self.alpha_schedule != Schedule::Constant, "an α schedule"),
            (momentum != 0.0, "outer momentum"),
        ];
        match other.into_iter().find(|(set, _)| *set) {
            Some((_, what)) => Err(Error::AdaptiveWith { what }),
            None => Ok(()),
        }
    }

    /// An error where the inner optimizer can't do what is asked.
    pub(crate) fn check_inner(&self, inner: &impl InnerOptimizer) -> Result<()> {
        let moments = inner.moment_names();
        match (self.momentum_policy, &moments) {
            (MomentumPolicy::Maintain, _) => {}
            (policy, None) => return Err(Error::NoMoments { policy: policy.name() }),
            (policy, Some(names)) if names.is_empty() => {
                return Err(Error::NothingToPull { policy: policy.name() });
            }
            _ => {}
        }
        if self.non_finite == NonFinite::RollBack && moments.is_none() {
            return Err(Error::NoMoments { policy: "roll back" });
        }
        if self.adaptive_low.is_some() && !inner.has_curvature() {
            return Err(Error::NoCurvature);
        }
        let count = inner.parameters().iter().map(|p| p.group + 1).max().unwrap_or(1);
        match self.alpha_of_groups.iter().find(|(group, _)| *group >= count) {
            Some(&(group, _)) => Err(Error::Group { group, count }),
            None => Ok(()),
        }
    }

    /// α of a group before any schedule.
    pub(crate) fn base_alpha(&self, group: usize) -> f64 {
        let own = self.alpha_of_groups.iter().find(|(of, _)| *of == group);
        own.map_or(self.alpha, |(_, alpha)| *alpha)
    }

    /// α of a group after so many inner steps.
    pub(crate) fn alpha_at(&self, group: usize, steps: u64) -> f64 {
        // Underflow would end the training without a word.
        self.alpha_schedule.at(self.base_alpha(group), steps).clamp(f64::MIN_POSITIVE, 1.0)
    }

    /// k of a cycle that begins after so many inner steps.
    pub(crate) fn k_at(&self, steps: u64) -> u64 {
        match self.k_schedule {
            Schedule::Constant => self.k,
            // A float cast to an integer stops at the type's ends.
            schedule => (schedule.at(self.k as f64, steps).round() as u64).max(1),
        }
    }
}
