//! The algorithm: k steps forward, one step back.
//!
//! | module | what is in it |
//! |---|---|
//! | `settings` | k, α and the rest, read and set while running |
//! | `adaptive` | α chosen at each sync |
//! | `moments` | what becomes of the inner optimizer's moments at a sync |
//! | `clipping` | gradients clipped before a step |
//! | `non_finite` | values that are no finite numbers |
//! | `norms` | of θ − φ, and of the gradient |
//! | `slow_weights` | φ standing in for θ, for evaluation |
//! | `recalibration` | batch normalization's statistics for φ |
//! | `verbs` | what tch's own optimizer can be told |
//! | `saving` | the state, out and in |
//! | `ending` | the last sync, and the model at φ |
//! | `outside` | θ changed by others than the optimizer: taken as it is, or φ restarted from it |
//! | `upkeep` | what must hold between two calls; frozen variables |
//! | `nested` | Lookahead as an inner optimizer |
//! | `workers` | θ of several processes, averaged |

mod adaptive;
mod clipping;
mod ending;
mod moments;
mod nested;
mod non_finite;
mod norms;
mod outside;
mod recalibration;
mod saving;
mod settings;
mod slow_weights;
mod upkeep;
mod verbs;
mod workers;

pub use recalibration::{fewest_values_per_channel, recalibrate};
pub use slow_weights::SlowWeights;
pub use workers::GradientAverage;

use lookahead_sys::arithmetic::assign;
use lookahead_sys::sync::{self, Pair, Rule};
use tch::{Kind, Tensor, nn};

use crate::builder::{Builder, FromConfig, FromOptimizer};
use crate::config::NonFinite;
use crate::settings::Settings;
use crate::state::copy_like;
use crate::watch::Watch;
use crate::{Error, InnerOptimizer, Parameter, Result, TchOptimizer, WrappedOptimizer};
use moments::SlowMoments;
use slow_weights::StandIn;
use workers::Averaging;

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
    /// The present cycle's k: the schedule's value where it began.
    k: u64,
    /// Inner steps since the last sync, 0..=k.
    phase: u64,
    /// Inner steps since the optimizer was built.
    steps: u64,
    syncs: u64,
    /// The α of the last sync, in the first parameter group.
    alpha_used: Option<f64>,
    /// How often values that are no finite numbers were acted on.
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
    watch: Watch,
    averaging: Averaging,
    /// θ's own values, put aside while φ stands in for them.
    stand_in: Option<StandIn>,
    /// The variable whose slow weights were written to while they stood in for θ.
    spoiled: Option<String>,
    /// Why the sync that is due was refused, where trying again changes nothing.
    refused: Option<Error>,
    /// Inner steps that `reset_slow_weights` has dropped since the last sync.
    dropped: u64,
}

impl Lookahead<TchOptimizer> {
    /// Starts from the configuration of any tch optimizer, or one of [`fused`](crate::fused);
    /// [`build`](Builder::build) then makes the optimizer. An example is in [`Builder`].
    pub fn builder<C: nn::OptimizerConfig>(config: C) -> Builder<FromConfig<C>> {
        Builder::new(FromConfig(config))
    }
}

impl Lookahead<WrappedOptimizer> {
    /// Starts from a tch optimizer that is already built, for the same store. It trains like any
    /// other; [`state`](Lookahead::state) refuses, since tch keeps the state of a finished
    /// optimizer to itself.
    ///
    /// # Errors
    /// [`OtherStore`](Error::OtherStore) where the optimizer moves other variables than the store's.
    ///
    /// ```
    /// use lookahead_core::Lookahead;
    /// use tch::nn::{self, OptimizerConfig};
    ///
    /// let vs = nn::VarStore::new(tch::Device::Cpu);
    /// let w = vs.root().ones("w", &[2]);
    /// let adam = nn::Adam::default().build(&vs, 1e-3)?;
    /// let mut opt = Lookahead::wrap(adam, &vs)?.k(5).alpha(0.5).build()?;
    /// opt.backward_step(&w.square().sum(tch::Kind::Float))?;
    /// assert!(opt.state().unwrap_err().to_string().contains("Lookahead::builder"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wrap(
        optimizer: nn::Optimizer,
        vs: &nn::VarStore,
    ) -> Result<Builder<FromOptimizer<WrappedOptimizer>>> {
        Ok(Builder::new(FromOptimizer(WrappedOptimizer::new(optimizer, vs)?)))
    }
}

/// The algorithm.
impl<O: InnerOptimizer> Lookahead<O> {
    /// Starts from any inner optimizer, which may be a Lookahead itself.
    ///
    /// ```
    /// use lookahead_core::{InnerOptimizer, Lookahead, TchOptimizer, fused};
    /// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
    /// # let _ = vs.root().ones("w", &[1]);
    /// // The kind can be chosen while running.
    /// let inner: Box<dyn InnerOptimizer> = match "adam" {
    ///     "adam" => Box::new(TchOptimizer::new(fused::Adam::default(), &vs, 1e-3)?),
    ///     _ => Box::new(TchOptimizer::new(fused::Sgd::default(), &vs, 0.1)?),
    /// };
    /// let opt = Lookahead::around(inner).k(5).build()?;
    /// assert_eq!(opt.inner().learning_rates()?, [1e-3]);
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    pub fn around(inner: O) -> Builder<FromOptimizer<O>> {
        Builder::new(FromOptimizer(inner))
    }

    pub(crate) fn from_parts(inner: O, settings: Settings) -> Result<Self> {
        settings.check_inner(&inner)?;
        let mut built = Lookahead {
            inner,
            k: settings.k_at(0),
            settings,
            phase: 0,
            steps: 0,
            syncs: 0,
            alpha_used: None,
            non_finite: 0,
            unclipped: false,
            slow: Vec::new(),
            velocity: Vec::new(),
            slow_moments: SlowMoments::default(),
            slow_version: 0,
            watch: Watch::default(),
            averaging: Averaging::default(),
            stand_in: None,
            spoiled: None,
            refused: None,
            dropped: 0,
        };
        built.start_together()?;
        // φ starts as θ before any step. Made later, at the first sync, it would be θ after k
        // steps, and the first sync would do nothing.
        built.remember_fast_weights()?;
        built.restart_slow_moments()?;
        Ok(built)
    }

    /// One inner step, then a sync if k inner steps have been taken since the last one. Tells
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

    /// One step of the inner optimizer on the fast weights. Tells whether it was taken: with the
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
        self.ready()?;
        if self.sync_is_due() {
            let refused = self.refused.as_ref().and_then(Error::repeated);
            return Err(refused.unwrap_or(Error::SyncIsDue { k: self.k }));
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
        let moved: Vec<usize> = (0..self.watch.len()).filter(moved).collect();
        self.watch.follow(&moved);
        // Also after a failure: what the inner optimizer wrote is not from outside.
        self.remember_fast_weights()?;
        stepped?;
        if before.is_some() && before == self.inner.steps_taken() {
            return Ok(false); // a level inside left it out
        }
        self.phase += 1;
        self.steps += 1;
        Ok(true)
    }

    /// Whether k inner steps have been taken since the last sync. Between the k-th and the sync
    /// lies the instant at which θ is at its farthest from φ: see
    /// [`with_slow_weights`](Self::with_slow_weights) for comparing the two there.
    pub fn sync_is_due(&self) -> bool {
        self.phase >= self.k
    }

    /// Syncs if it is due, and tells whether it did: with the policy [`NonFinite::RollBack`] θ may
    /// have gone back to φ instead.
    ///
    /// # Errors
    /// [`FastWeightsChanged`](Error::FastWeightsChanged) if θ was written to from outside,
    /// [`NonFinite`](Error::NonFinite) where θ holds values that are no finite numbers. Neither
    /// changes anything.
    pub fn sync_if_due(&mut self) -> Result<bool> {
        self.put_fast_weights_back()?;
        if !self.sync_is_due() {
            return Ok(false);
        }
        self.ready()?;
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
    /// is φ less the mean of their θ: that the mean stands in θ's place is all that Local SGD, SlowMo
    /// and DiLoCo need.
    fn sync(&mut self) -> Result<()> {
        let to_pull = self.moments_to_pull()?;
        let adaptive = match self.settings.config.adaptive_low() {
            Some(low) => Some(self.adaptive_alpha(low).and_then(|own| self.common_alpha(own))?),
            None => None,
        };
        let alpha = |group| adaptive.unwrap_or_else(|| self.settings.alpha_at(group, self.steps));
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
        let restart = !self.watch.shares_memory();
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
        (self.syncs, self.dropped) = (self.syncs + 1, 0);
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

    /// θ stands where a cycle begins.
    fn begin_cycle(&mut self) -> Result<()> {
        (self.phase, self.refused) = (0, None);
        self.k = self.settings.k_at(self.steps);
        self.remember_fast_weights()
    }
}

/// Whether the variable takes gradients.
fn is_trained(parameter: &Parameter) -> bool {
    parameter.tensor.requires_grad()
}

/// A slow copy of a variable, beside it on its device. Half precision can't hold φ: a step of
/// α (θ − φ) is often below its resolution, and φ would stand still.
fn slow_copy(parameter: &Parameter) -> Result<Tensor> {
    let fast = &parameter.tensor;
    if !fast.defined() {
        return Err(Error::Undefined { name: parameter.name.clone() });
    }
    let _guard = tch::no_grad_guard();
    match fast.kind() {
        Kind::Half | Kind::BFloat16 => Ok(fast.f_to_kind(Kind::Float)?),
        _ => copy_like(fast, fast),
    }
}
