//! The algorithm: k steps forward, one step back.
//!
//! What else the optimizer can do is in the modules of this folder, one idea each.

mod adaptive;
mod changed_weights;
mod clipping;
mod finish;
mod invariants;
mod moments;
mod nested;
mod non_finite;
mod norms;
mod saving;
mod settings;
pub(crate) mod slow_weights;
mod tch_api;
mod workers;

use lookahead_sys::arithmetic::assign;
use lookahead_sys::sync::{self, Pair, Rule};
use tch::Tensor;

use crate::averaging::Averaging;
use crate::config::NonFinite;
use crate::mutation_detector::MutationDetector;
use crate::settings::Settings;
use crate::slow_moments::SlowMoments;
use crate::swapped_weights::SwappedWeights;
use crate::{Error, InnerOptimizer, Result, TchOptimizer};

/// The Lookahead optimizer around an inner optimizer `O`.
///
/// The inner optimizer moves the fast weights θ, which are the model's own variables. After every
/// k of its steps the slow weights φ, a copy that Lookahead keeps, take a part α of the way to
/// them, and θ restarts from φ:
///
/// ```text
/// φ ← φ + α (θ − φ)
/// θ ← φ
/// ```
///
/// The result of a training is φ: [`finish`](Self::finish) makes a last sync where one is missing and
/// leaves the model at φ. The inner optimizer's own state (momentum, moments) is kept across a sync.
///
/// Reference: M. Zhang, J. Lucas, G. Hinton, J. Ba, *Lookahead Optimizer: k steps forward, 1 step
/// back*, NeurIPS 2019, Algorithm 1.
///
/// ```
/// use lookahead_core::Lookahead;
/// use tch::{Device, Kind, nn};
///
/// let vs = nn::VarStore::new(Device::Cpu);
/// let w = vs.root().ones("w", &[1]);
/// let mut opt = Lookahead::builder(nn::Sgd::default()).k(5).alpha(0.5).build(&vs, 0.1)?;
/// for _ in 0..5 {
///     opt.backward_step(&w.sum(Kind::Float))?; // the gradient is 1: a step takes 0.1 off
/// }
/// // The fifth step reached 0.5, and the sync went half the way back from there to 1.
/// assert!((w.double_value(&[0]) - 0.75).abs() < 1e-6);
/// # Ok::<(), lookahead_core::Error>(())
/// ```
#[derive(Debug)]
pub struct Lookahead<O: InnerOptimizer = TchOptimizer> {
    inner: O,
    settings: Settings,
    cycle: Cycle,
    /// The α of the last sync, in the first parameter group.
    alpha_used: Option<f64>,
    /// How often NaN or infinity was acted on.
    non_finite: u64,
    /// Whether the gradients could not be clipped by their norm.
    unclipped: bool,
    /// φ, one tensor for each of the inner optimizer's parameters, in their order.
    slow: Vec<Tensor>,
    /// The outer optimizer's momentum buffers, as φ; empty without outer momentum.
    velocity: Vec<Tensor>,
    /// The inner optimizer's moments as they were pulled back last; empty unless they are.
    slow_moments: SlowMoments,
    /// How often φ has changed.
    slow_version: u32,
    detector: MutationDetector,
    averaging: Averaging,
    /// θ's own values, put aside while φ is in the model.
    swapped: Option<SwappedWeights>,
    /// The variable whose slow weights were written to while they were in the model.
    corrupted: Option<String>,
    /// Why the sync that is due was refused, where trying again changes nothing.
    refused: Option<Error>,
}

/// The present cycle, and counts of inner steps and syncs.
#[derive(Debug, Clone, Copy, Default)]
struct Cycle {
    /// The present cycle's k: the schedule's value where it began.
    k: u64,
    /// Inner steps since the last sync, 0..=k.
    phase: u64,
    /// Inner steps since the optimizer was built.
    steps: u64,
    syncs: u64,
    /// Inner steps that `reset_slow_weights` has dropped since the last sync.
    dropped: u64,
}

/// The algorithm.
impl<O: InnerOptimizer> Lookahead<O> {
    pub(crate) fn from_parts(inner: O, settings: Settings) -> Result<Self> {
        settings.check_inner(&inner)?;
        let mut built = Lookahead {
            inner,
            cycle: Cycle { k: settings.k_at(0), ..Cycle::default() },
            settings,
            alpha_used: None,
            non_finite: 0,
            unclipped: false,
            slow: Vec::new(),
            velocity: Vec::new(),
            slow_moments: SlowMoments::default(),
            slow_version: 0,
            detector: MutationDetector::default(),
            averaging: Averaging::default(),
            swapped: None,
            corrupted: None,
            refused: None,
        };
        built.start_together()?;
        // φ starts as θ before any step. Made later, at the first sync, it would be θ after k
        // steps, and the first sync would do nothing.
        built.record_versions()?;
        built.restart_slow_moments()?;
        Ok(built)
    }

    /// One inner step, then a sync if k inner steps have been taken since the last one. Returns
    /// whether it synced.
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

    /// One step of the inner optimizer on the fast weights. Returns whether it was taken: with the
    /// policy [`NonFinite::SkipStep`] one with a gradient that is not finite is not, and does not
    /// count.
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
    /// [`SyncIsDue`](Error::SyncIsDue) where a sync was left out, or why it was refused,
    /// [`FastWeightsChanged`](Error::FastWeightsChanged) if θ was written to from outside,
    /// [`NonFiniteGradient`](Error::NonFiniteGradient) after gradients that could not be clipped, or
    /// whatever the inner optimizer says.
    pub fn inner_step(&mut self) -> Result<bool> {
        self.check_invariants()?;
        if self.sync_is_due() {
            let refused = self.refused.as_ref().and_then(Error::repeated);
            return Err(refused.unwrap_or(Error::SyncIsDue { k: self.cycle.k }));
        }
        if self.settings.config.non_finite == NonFinite::SkipStep
            && !self.all_agree(self.gradients_are_finite()?)?
        {
            self.non_finite += 1;
            return Ok(false);
        }
        if self.unclipped && !self.may_step_unclipped()? {
            return Ok(false);
        }
        let before = self.inner.steps_taken();
        let stepped = self.inner.step();
        // libtorch's optimizers step a frozen variable that still has a gradient, and leave no trace.
        let parameters = self.inner.parameters();
        let moved = |i: &usize| !self.is_trained(*i) && parameters[*i].tensor.grad().defined();
        let moved: Vec<usize> = (0..self.detector.len()).filter(moved).collect();
        self.detector.follow(&moved);
        // Also after a failure: what the inner optimizer wrote is not from outside.
        self.record_versions()?;
        stepped?;
        if before.is_some() && before == self.inner.steps_taken() {
            return Ok(false); // a level inside left it out
        }
        self.cycle.phase += 1;
        self.cycle.steps += 1;
        Ok(true)
    }

    /// Whether k inner steps have been taken since the last sync. Between the k-th and the sync
    /// lies the instant at which θ is at its farthest from φ: see
    /// [`with_slow_weights`](Self::with_slow_weights) for comparing the two there.
    pub fn sync_is_due(&self) -> bool {
        self.cycle.phase >= self.cycle.k
    }

    /// Syncs if it is due, and returns whether it did: with the policy [`NonFinite::RollBack`] θ may
    /// have gone back to φ instead.
    ///
    /// # Errors
    /// [`FastWeightsChanged`](Error::FastWeightsChanged) if θ was written to from outside,
    /// [`NonFinite`](Error::NonFinite) if θ holds NaN or infinity. Neither changes anything.
    pub fn sync_if_due(&mut self) -> Result<bool> {
        self.restore_fast_weights()?;
        if !self.sync_is_due() {
            return Ok(false);
        }
        self.check_invariants()?;
        self.sync_now()
    }

    /// The sync, whether or not it is due, unless θ holds values that must not reach φ. Returns whether
    /// it was made.
    fn sync_now(&mut self) -> Result<bool> {
        self.checked_sync().inspect_err(|error| self.refused = error.repeated())
    }

    fn checked_sync(&mut self) -> Result<bool> {
        self.average()?;
        // φ sees none of θ before all of it has been looked at.
        if let Some(name) = self.find_non_finite()? {
            if self.settings.config.non_finite != NonFinite::RollBack {
                return Err(Error::NonFinite { name });
            }
            self.non_finite += 1;
            self.roll_back()?;
            return Ok(false);
        }
        self.sync()?;
        Ok(true)
    }

    /// φ ← φ + α (θ − φ), then θ ← φ, whether or not a variable had a gradient in this step.
    ///
    /// φ is the same on all workers of a distributed training, so the mean of their differences φ − θ
    /// is φ less the mean of their θ. Using the mean in θ's place is all that Local SGD, SlowMo and
    /// DiLoCo need.
    fn sync(&mut self) -> Result<()> {
        let to_pull = self.moments_to_pull()?;
        let adaptive = match self.settings.config.adaptive_low() {
            Some(low) => Some(self.adaptive_alpha(low).and_then(|own| self.common_alpha(own))?),
            None => None,
        };
        let alpha =
            |group| adaptive.unwrap_or_else(|| self.settings.alpha_at(group, self.cycle.steps));
        let used = alpha(0);
        let parameters = self.inner.parameters();

        let (means, differences) = self.means();
        let trained = self.trained().enumerate().map(|(place, i)| Pair {
            slow: &self.slow[i],
            fast: &parameters[i].tensor,
            velocity: self.velocity.get(i),
            mean: means.get(place),
            alpha: alpha(parameters[i].group),
        });
        let pulled = to_pull.iter().map(|pulled| Pair {
            slow: &self.slow_moments[&pulled.key],
            fast: &pulled.moment,
            velocity: None,
            mean: None,
            alpha: alpha(parameters[pulled.key.0].group),
        });
        // Where variables share memory all of φ comes first, then all of θ: each is seen as the
        // inner optimizer left it.
        let restart = !self.detector.shares_memory();
        let momentum = self.settings.config.outer_momentum;
        let nesterov = self.settings.config.outer_nesterov;
        let rule = Rule { momentum, nesterov, restart, differences, path: self.settings.path };
        let apart = sync::sync(trained, rule)?;
        sync::sync(pulled, Rule { restart: true, ..rule })?;
        self.slow_version = self.slow_version.wrapping_add(1);

        // At α = 1 φ is a copy of θ, which stays as it is: then Lookahead is its inner optimizer.
        let restarts =
            self.has_others() || momentum > 0.0 || parameters.iter().any(|p| alpha(p.group) < 1.0);
        self.reset_moments_after_sync()?;
        match (restarts, restart) {
            (true, true) => self.inner.parameters_replaced()?,
            (true, false) => self.restart_from_slow_weights(self.trained().collect())?,
            (false, _) => {}
        }
        (self.cycle.syncs, self.cycle.dropped) = (self.cycle.syncs + 1, 0);
        self.set_distance_from_mean(apart);
        self.alpha_used = Some(used);
        self.begin_cycle()
    }

    /// θ ← φ, for the parameters in these places.
    fn restart_from_slow_weights(&mut self, places: Vec<usize>) -> Result<()> {
        for i in places {
            let fast = &self.inner.parameters()[i].tensor;
            assign(&mut fast.shallow_clone(), &self.slow[i])?;
        }
        self.inner.parameters_replaced()
    }

    /// Begins a cycle at the present θ.
    fn begin_cycle(&mut self) -> Result<()> {
        (self.cycle.phase, self.refused) = (0, None);
        self.cycle.k = self.settings.k_at(self.cycle.steps);
        self.record_versions()
    }
}
