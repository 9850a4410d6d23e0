//! Algorithm 1: *k steps forward, 1 step back*.
//!
//! ```text
//! for t = 1, 2, …                              outer loop
//!     θ ← φ                                    the fast weights restart from the slow ones
//!     for i = 1, 2, …, k                       inner loop: `inner_step`
//!         θ ← θ + A(L, θ, d)                   a step of the inner optimizer A on the minibatch d
//!     φ ← φ + α (θ − φ)                        outer update: `sync`
//! ```
//!
//! The modules in this folder add everything else, one idea each.

mod adaptive;
mod build;
mod changed_weights;
mod clipping;
mod finish;
mod invariants;
mod moments;
mod nested;
mod non_finite;
pub(crate) mod norms;
#[cfg(not(feature = "distributed"))]
mod one_process;
mod partial;
mod saving;
mod settings;
mod statistics;
pub(crate) mod swap;
mod tch_api;
mod velocity;
#[cfg(feature = "distributed")]
mod workers;

use lookahead_sys::arithmetic::assign;
use lookahead_sys::sync::{self, Pair, Rule};
use tch::Tensor;

#[cfg(feature = "distributed")]
use crate::averaging::Averaging;
use crate::mutation_detector::MutationDetector;
use crate::settings::Settings;
use crate::slow_moments::SlowMoments;
use crate::slow_statistics::SlowStatistics;
use crate::swapped_weights::SwappedWeights;
use crate::{AlphaPlacement, Error, InnerOptimizer, Result, TchOptimizer};

/// The Lookahead optimizer around an inner optimizer `O`.
///
/// The inner optimizer moves the fast weights θ, which are the model's own variables. After every k of its
/// steps the slow weights φ, a copy that Lookahead keeps, move a fraction α of the way to θ, and θ restarts
/// from φ:
///
/// ```text
/// φ ← φ + α (θ − φ)
/// θ ← φ
/// ```
///
/// The result of training is φ: [`finish`](Self::finish) syncs once more if needed and leaves the model at
/// φ. A sync keeps the inner optimizer's own state (momentum, moments).
///
/// Reference: M. Zhang, J. Lucas, G. Hinton, J. Ba, *Lookahead Optimizer: k steps forward, 1 step back*,
/// NeurIPS 2019, Algorithm 1.
///
/// ```
/// use lookahead_core::Lookahead;
/// use tch::{Device, Kind, nn};
///
/// let vs = nn::VarStore::new(Device::Cpu);
/// let w = vs.root().ones("w", &[1]);
/// let mut opt = Lookahead::builder(nn::Sgd::default()).k(5).alpha(0.5).build(&vs, 0.1)?;
/// for _ in 0..5 {
///     opt.backward_step(&w.sum(Kind::Float))?; // the gradient is 1: a step subtracts 0.1
/// }
/// // The fifth step reached 0.5, and the sync went halfway back to 1.
/// assert!((w.double_value(&[0]) - 0.75).abs() < 1e-6);
/// # Ok::<(), lookahead_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Lookahead<O: InnerOptimizer = TchOptimizer> {
    inner: O,
    settings: Settings,
    cycle: Cycle,
    /// φ: one tensor for each of the inner optimizer's parameters, in their order.
    slow: Vec<Tensor>,
    /// The outer optimizer's momentum buffers, like φ; empty without outer momentum.
    velocity: Vec<Tensor>,
    /// The inner optimizer's moments at the last sync; empty unless they are pulled back.
    slow_moments: SlowMoments,
    /// Those of batch normalization; none unless they are interpolated.
    slow_statistics: SlowStatistics,
    /// How often φ has changed.
    slow_version: u32,
    /// Steps skipped and cycles rolled back because of NaN or infinity.
    non_finite_count: u64,
    /// Whether the gradients could not be clipped by their norm.
    unclipped: bool,
    detector: MutationDetector,
    #[cfg(feature = "distributed")]
    averaging: Averaging,
    /// θ's own values while φ is in the model.
    swapped: Option<SwappedWeights>,
    /// The variable whose slow weights were written to while they were in the model.
    corrupted: Option<String>,
    /// Why the sync that is due was refused, if trying again would change nothing.
    refused: Option<Error>,
}

/// Where the training is in its cycle of k inner steps and a sync.
#[derive(Debug, Clone, Copy, Default)]
struct Cycle {
    /// The k of this cycle: the schedule's value at its beginning.
    k: u64,
    /// Inner steps since the last sync, 0..=k.
    phase: u64,
    /// Inner steps since the optimizer was built.
    steps: u64,
    syncs: u64,
    /// Inner steps that `reset_slow_weights` has dropped since the last sync.
    dropped: u64,
    /// The α of the last sync, in the first parameter group.
    alpha_used: Option<f64>,
}

/// Algorithm 1.
impl<O: InnerOptimizer> Lookahead<O> {
    /// One inner step, then a sync if it is the k-th since the last one. Returns whether it synced.
    ///
    /// ```
    /// # use lookahead_core::Lookahead;
    /// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
    /// # let w = vs.root().ones("w", &[1]);
    /// let mut opt = Lookahead::builder(tch::nn::Sgd::default()).k(2).build(&vs, 0.1)?;
    /// let mut synced = Vec::new();
    /// for _ in 0..4 {
    ///     opt.zero_grad()?;
    ///     w.sum(tch::Kind::Float).backward();
    ///     synced.push(opt.step()?);
    /// }
    /// assert_eq!(synced, [false, true, false, true]);
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`inner_step`](Self::inner_step) and [`sync_if_due`](Self::sync_if_due).
    pub fn step(&mut self) -> Result<bool> {
        self.inner_step()?;
        self.sync_if_due()
    }

    /// θ ← θ + A(L, θ, d): one step of the inner optimizer on the fast weights. Returns whether it was taken:
    /// the policy [`NonFinite::SkipStep`](crate::NonFinite::SkipStep) skips, and does not count, a step with a NaN or
    /// infinite gradient; [`NonFinite::RollBack`](crate::NonFinite::RollBack) sets θ back to φ if such gradients
    /// could not be clipped.
    ///
    /// ```
    /// # use lookahead_core::Lookahead;
    /// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
    /// # let w = vs.root().ones("w", &[1]);
    /// let mut opt = Lookahead::builder(tch::nn::Sgd::default()).k(1).alpha(0.5).build(&vs, 0.2)?;
    /// w.sum(tch::Kind::Float).backward();
    /// opt.inner_step()?;
    /// assert!(opt.sync_is_due());
    /// let farthest = w.double_value(&[0]); // θ just before the sync
    /// assert!(opt.sync_if_due()?);
    /// assert!(farthest < 0.81 && w.double_value(&[0]) > 0.89);
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`SyncIsDue`](Error::SyncIsDue) if a sync is due, or the error of that sync if it was refused,
    /// [`FastWeightsChanged`](Error::FastWeightsChanged) if other code wrote to θ,
    /// [`NonFiniteGradient`](Error::NonFiniteGradient) after gradients that could not be clipped, or the inner
    /// optimizer's own error.
    pub fn inner_step(&mut self) -> Result<bool> {
        self.check_invariants()?;
        if self.sync_is_due() {
            let refused = self.refused.as_ref().and_then(Error::repeated);
            return Err(refused.unwrap_or(Error::SyncIsDue { k: self.cycle.k }));
        }
        if !self.may_step()? || !self.step_inner()? {
            return Ok(false);
        }
        self.cycle.phase += 1;
        self.cycle.steps += 1;
        Ok(true)
    }

    /// Whether k inner steps have been taken since the last sync. Between the k-th step and the sync θ is
    /// farthest from φ: see [`with_slow_weights`](Self::with_slow_weights) to compare the two there.
    pub fn sync_is_due(&self) -> bool {
        self.cycle.phase >= self.cycle.k
    }

    /// Syncs if it is due, and returns whether it did: the policy
    /// [`NonFinite::RollBack`](crate::NonFinite::RollBack) may have set θ back to φ instead.
    ///
    /// # Errors
    /// [`FastWeightsChanged`](Error::FastWeightsChanged) if other code wrote to θ,
    /// [`NonFinite`](Error::NonFinite) or [`NonFiniteGradient`](Error::NonFiniteGradient) if θ, or a gradient that
    /// chooses α, holds NaN or infinity, [`Diverged`](Error::Diverged) if the workers differ. None of these
    /// changes θ or φ.
    pub fn sync_if_due(&mut self) -> Result<bool> {
        self.restore_fast_weights()?;
        if !self.sync_is_due() {
            return Ok(false);
        }
        self.check_invariants()?;
        self.sync_now()
    }

    /// Syncs, due or not, unless θ holds NaN or infinity. Returns whether it did.
    fn sync_now(&mut self) -> Result<bool> {
        let may_sync = self.average().and_then(|()| self.may_sync());
        let synced =
            may_sync.and_then(|may| if may { self.sync().map(|()| true) } else { Ok(false) });
        synced.inspect_err(|error| self.refused = error.repeated())
    }

    /// The outer update: φ ← φ + α (θ − φ), then θ ← φ. It moves every trainable parameter, even if it had no
    /// gradient in this step.
    ///
    /// # With several workers
    /// φ is equal on all workers, so the mean of their differences θ − φ is the mean of their θ minus φ.
    /// Replacing θ by its mean is all that Local SGD, SlowMo and DiLoCo need besides the outer momentum.
    ///
    /// # At α = 1
    /// φ becomes a copy of θ, and θ stays: Lookahead is then its inner optimizer, to the bit. Outer momentum,
    /// several workers and a reset of the moments each make a difference all the same.
    fn sync(&mut self) -> Result<()> {
        let to_pull = self.moments_to_pull()?;
        let alphas = self.alphas_of_sync()?;
        let parameters = self.inner.parameters();
        let (means, differences) = self.means();
        let weights = self.trained().enumerate().map(|(nth, i)| Pair {
            slow: &self.slow[i],
            fast: &parameters[i].tensor,
            velocity: self.velocity.get(i),
            mean: means.get(nth),
            alpha: alphas[parameters[i].group],
        });
        let moments = to_pull.iter().map(|moment| Pair {
            slow: &self.slow_moments[&moment.key],
            fast: &moment.tensor,
            velocity: None,
            mean: None,
            alpha: alphas[parameters[moment.key.0].group].min(1.0), // second moments stay positive
        });
        // θ ← φ in the same pass, unless variables share memory: then all of φ is computed before any of θ is
        // written, so that each θ is read as the inner optimizer left it.
        let restart = !self.detector.shares_memory();
        let config = &self.settings.config;
        let (momentum, nesterov) = (config.outer_momentum, config.outer_nesterov);
        let alpha_inside = config.alpha_placement == AlphaPlacement::Inside;
        let foreach = self.settings.path.is_foreach();
        let rule = Rule { momentum, nesterov, alpha_inside, restart, differences, foreach };
        let squared_distance = sync::sync(weights, rule)?; // φ ← φ + α (θ − φ); θ ← φ
        sync::sync(moments, Rule { restart: true, ..rule })?;
        self.slow_version = self.slow_version.wrapping_add(1);

        let theta_changed = self.has_others()
            || momentum > 0.0
            || parameters.iter().any(|parameter| alphas[parameter.group] != 1.0);
        self.reset_moments_after_sync()?;
        self.sync_statistics(&alphas)?;
        if theta_changed && restart {
            self.inner.parameters_replaced()?;
        } else if theta_changed {
            self.restart_from_slow_weights()?;
        }
        self.cycle.syncs += 1;
        self.cycle.dropped = 0;
        self.restart_velocity_if_due()?;
        self.cycle.alpha_used = alphas.first().copied();
        self.set_distance_from_mean(squared_distance);
        self.begin_cycle()
    }

    /// θ ← φ.
    fn restart_from_slow_weights(&mut self) -> Result<()> {
        for i in self.trained() {
            let mut fast = self.inner.parameters()[i].tensor.shallow_clone();
            assign(&mut fast, &self.slow[i])?;
        }
        self.slow_statistics.restart_from_slow()?;
        self.inner.parameters_replaced()
    }

    /// Begins a cycle at the present θ.
    fn begin_cycle(&mut self) -> Result<()> {
        (self.cycle.phase, self.refused) = (0, None);
        self.cycle.k = self.settings.k_at(self.cycle.steps);
        self.record_versions()
    }
}
