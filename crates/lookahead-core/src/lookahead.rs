//! The algorithm: k steps forward, one step back.
//!
//! | module | what is in it |
//! |---|---|
//! | `settings` | k, α and the rest, read and set while running |
//! | `moments` | what becomes of the inner optimizer's moments at a sync |
//! | `non_finite` | values that are no finite numbers |
//! | `slow_weights` | φ standing in for θ, for evaluation |
//! | `recalibration` | batch normalization's statistics for φ |
//! | `verbs` | what tch's own optimizer can be told |
//! | `saving` | the state, out and in |

mod moments;
mod non_finite;
mod recalibration;
mod saving;
mod settings;
mod slow_weights;
mod verbs;

pub use recalibration::recalibrate;
pub use slow_weights::SlowWeights;

use lookahead_sys::arithmetic::assign;
use lookahead_sys::sync::{self, Pair, Rule, Term};
use tch::{Kind, Tensor, nn};

use crate::builder::{Builder, FromConfig, FromOptimizer};
use crate::inner::{Curvature, Moment};
use crate::settings::{NonFinite, Settings};
use crate::state::copy_like;
use crate::watch::Watch;
use crate::{Error, InnerOptimizer, Parameter, Result, State, TchOptimizer, WrappedOptimizer};
use moments::SlowMoments;
use slow_weights::StandIn;

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
/// The result of a training is φ: [`finish`](Self::finish) puts it into the model. The inner
/// optimizer's own state (momentum, moments) is kept across a sync.
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
    /// φ, one tensor for each of the inner optimizer's parameters, in their order.
    slow: Vec<Tensor>,
    /// The outer optimizer's momentum buffers, as φ; empty without outer momentum.
    velocity: Vec<Tensor>,
    /// The inner optimizer's moments as they were pulled back last; empty unless they are.
    slow_moments: SlowMoments,
    /// How often φ has changed.
    slow_version: u32,
    watch: Watch,
    /// θ's own values, put aside while φ stands in for them.
    stand_in: Option<StandIn>,
    /// The variable whose slow weights were written to while they stood in for θ.
    spoiled: Option<String>,
}

impl Lookahead<TchOptimizer> {
    /// Starts from the configuration of any tch optimizer; `build` then makes the optimizer.
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
            slow: Vec::new(),
            velocity: Vec::new(),
            slow_moments: SlowMoments::default(),
            slow_version: 0,
            watch: Watch::default(),
            stand_in: None,
            spoiled: None,
        };
        // φ starts as θ before any step. Made later, at the first sync, it would be θ after k
        // steps, and the first sync would do nothing.
        built.remember_fast_weights()?;
        built.restart_slow_moments()?;
        Ok(built)
    }

    /// One inner step, then a sync if k inner steps have been taken since the last one. Tells
    /// whether it synced.
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
    /// # Errors
    /// [`SyncIsDue`](Error::SyncIsDue) where a sync was left out,
    /// [`FastWeightsChanged`](Error::FastWeightsChanged) where somebody else wrote to θ, or
    /// whatever the inner optimizer says.
    pub fn inner_step(&mut self) -> Result<bool> {
        self.ready()?;
        if self.sync_is_due() {
            return Err(Error::SyncIsDue { k: self.k });
        }
        if self.settings.non_finite == NonFinite::SkipStep && !self.gradients_are_finite()? {
            self.non_finite += 1;
            return Ok(false);
        }
        let stepped = self.inner.step();
        // Also after a failure: what the inner optimizer wrote is not from outside.
        self.remember_fast_weights()?;
        stepped?;
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
    /// [`FastWeightsChanged`](Error::FastWeightsChanged) where somebody else wrote to θ,
    /// [`NonFinite`](Error::NonFinite) where θ holds values that are no finite numbers. Neither
    /// changes anything.
    pub fn sync_if_due(&mut self) -> Result<bool> {
        self.put_fast_weights_back()?;
        if !self.sync_is_due() {
            return Ok(false);
        }
        self.ready()?;
        // φ sees none of θ before all of it has been looked at.
        if let Some(name) = self.find_non_finite()? {
            if self.settings.non_finite != NonFinite::RollBack {
                return Err(Error::NonFinite { name });
            }
            self.non_finite += 1;
            self.roll_back()?;
            return Ok(false);
        }
        self.sync()?;
        Ok(true)
    }

    /// As [`sync_if_due`](Self::sync_if_due), with a fresh gradient for the adaptive α: where a sync
    /// is due, `loss` is called with θ in the model, and its gradient taken. It is forgotten after.
    ///
    /// ```
    /// use lookahead_core::{Lookahead, fused};
    /// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
    /// # let w = vs.root().ones("w", &[2]);
    /// # let loss = || w.square().sum(tch::Kind::Float);
    /// let mut opt = Lookahead::builder(fused::Adam::default()).adaptive_alpha(0.2).build(&vs, 0.1)?;
    /// for _ in 0..10 {
    ///     opt.zero_grad()?;
    ///     loss().backward();
    ///     opt.inner_step()?;
    ///     opt.sync_with(&loss)?; // does nothing but in every k-th step
    /// }
    /// assert!(opt.alpha_used().unwrap() >= 0.2);
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`sync_if_due`](Self::sync_if_due), and what libtorch says of the loss.
    pub fn sync_with(&mut self, loss: impl FnOnce() -> Tensor) -> Result<bool> {
        self.put_fast_weights_back()?;
        if !self.sync_is_due() {
            return Ok(false);
        }
        self.inner.zero_grad()?;
        loss().f_backward()?;
        let synced = self.sync_if_due()?;
        self.inner.zero_grad()?;
        Ok(synced)
    }

    /// φ ← φ + α (θ − φ), then θ ← φ, whether or not a variable had a gradient in this step.
    fn sync(&mut self) -> Result<()> {
        let to_pull = self.moments_to_pull()?;
        let adaptive =
            self.settings.adaptive_low.map(|low| self.adaptive_alpha(low)).transpose()?;
        let alpha = |group| adaptive.unwrap_or_else(|| self.settings.alpha_at(group, self.steps));
        let used = alpha(0);
        let parameters = self.inner.parameters();

        let weights = parameters.iter().enumerate().map(|(i, parameter)| Pair {
            slow: &self.slow[i],
            fast: &parameter.tensor,
            velocity: self.velocity.get(i),
            alpha: alpha(parameter.group),
        });
        let trained = weights.zip(parameters).filter(|(_, p)| is_trained(p)).map(|(pair, _)| pair);
        let pulled = to_pull.iter().map(|pulled| Pair {
            slow: &self.slow_moments[&pulled.key],
            fast: &pulled.moment,
            velocity: None,
            alpha: alpha(parameters[pulled.key.0].group),
        });
        // Where variables share memory all of φ comes first, then all of θ: each is seen as the
        // inner optimizer left it.
        let restart = !self.watch.shares_memory();
        let outer = self.settings.outer;
        let (momentum, nesterov) = (outer.momentum, outer.nesterov);
        let rule = Rule { momentum, nesterov, restart, path: self.settings.path };
        sync::sync(trained, rule)?;
        sync::sync(pulled, Rule { restart: true, ..rule })?;
        self.slow_version = self.slow_version.wrapping_add(1);

        // At α = 1 φ is a copy of θ, which stays as it is: then Lookahead is its inner optimizer.
        let restarts = momentum > 0.0 || parameters.iter().any(|p| alpha(p.group) < 1.0);
        self.reset_moments_after_sync()?;
        match (restarts, restart) {
            (true, true) => self.inner.parameters_replaced()?,
            (true, false) => self.restart_from_slow_weights(is_trained)?,
            (false, _) => {}
        }
        self.phase = 0;
        self.syncs += 1;
        self.alpha_used = Some(used);
        self.k = self.settings.k_at(self.steps);
        self.remember_fast_weights()
    }

    /// The best α on the quadratic model, at least `low` and at most 1.
    fn adaptive_alpha(&mut self, low: f64) -> Result<f64> {
        let mut curvatures = Vec::with_capacity(self.slow.len());
        for i in 0..self.slow.len() {
            curvatures.push(self.inner.curvature(i)?);
        }
        let all = self.inner.parameters().iter().zip(&self.slow).zip(&curvatures);
        let terms = all.filter(|((parameter, _), _)| is_trained(parameter)).filter_map(
            |((parameter, slow), curvature)| {
                let Curvature { second_moment, scale } = curvature.as_ref()?;
                Some(Term { slow, fast: &parameter.tensor, second_moment, scale: *scale })
            },
        );
        let best = sync::adaptive_slow_step_size(terms)?;
        // Where θ has not moved every α is as good; the clip leaves NaN as it is.
        Ok(if best.is_nan() { low } else { best.clamp(low, 1.0) })
    }

    /// θ ← φ, for the parameters that `which` names.
    fn restart_from_slow_weights(&mut self, which: impl Fn(&Parameter) -> bool) -> Result<()> {
        for (parameter, slow) in self.inner.parameters().iter().zip(&self.slow) {
            if which(parameter) {
                assign(&mut parameter.tensor.shallow_clone(), slow)?;
            }
        }
        self.inner.parameters_replaced()
    }

    /// Puts the slow weights into the model, which is the result of the training. What the fast
    /// weights did since the last sync is dropped; save a checkpoint before, not after, to be able
    /// to go on with it. Another step after this starts a new cycle from φ.
    ///
    /// # Errors
    /// [`FastWeightsChanged`](Error::FastWeightsChanged) where somebody else wrote to θ, which
    /// this would undo.
    pub fn finish(&mut self) -> Result<()> {
        self.ready()?;
        // Also where a variable was frozen since it was trained: the result is φ.
        self.restart_from_slow_weights(|_| true)?;
        self.begin_cycle()
    }

    /// θ stands where a cycle begins.
    fn begin_cycle(&mut self) -> Result<()> {
        self.phase = 0;
        self.k = self.settings.k_at(self.steps);
        self.remember_fast_weights()
    }

    /// Makes the slow weights a fresh copy of the fast ones and starts a new cycle. What to call
    /// after loading, copying, moving or casting the model's variables. Outer momentum starts
    /// again from 0, and moments that are pulled back from where they are.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn reset_slow_weights(&mut self) -> Result<()> {
        self.velocity.clear();
        self.restart_from_fast_weights()
    }

    /// φ ← θ, whatever θ has become.
    fn restart_from_fast_weights(&mut self) -> Result<()> {
        self.put_fast_weights_back()?;
        self.inner.join_new_parameters()?;
        self.inner.parameters_recast()?;
        self.slow = self.inner.parameters().iter().map(slow_copy).collect::<Result<_>>()?;
        self.slow_version = self.slow_version.wrapping_add(1);
        self.spoiled = None;
        self.begin_cycle()?;
        self.restart_slow_moments()
    }
}

/// Whether a sync moves the variable: frozen ones are left alone.
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

/// What keeps θ and φ in order.
impl<O: InnerOptimizer> Lookahead<O> {
    /// What must hold before θ or φ is used: θ in its place, written to by nobody else, and a slow
    /// copy for every parameter.
    fn ready(&mut self) -> Result<()> {
        self.put_fast_weights_back()?;
        self.refuse_spoiled()?;
        let (known, now) = (self.slow.len(), self.inner.parameters().len());
        if now < known {
            return Err(Error::ParametersGone { known, now });
        }
        if let Some(parameter) = self.watch.changed(self.inner.parameters())? {
            return Err(Error::FastWeightsChanged { name: parameter.name.clone() });
        }
        InnerOptimizer::join_new_parameters(self)
    }

    fn refuse_spoiled(&self) -> Result<()> {
        match &self.spoiled {
            Some(name) => Err(Error::SlowWeightsChanged { name: name.clone() }),
            None => Ok(()),
        }
    }

    /// Takes θ as it is now for what Lookahead left, after giving parameters that have joined
    /// their slow copies.
    fn remember_fast_weights(&mut self) -> Result<()> {
        for parameter in &self.inner.parameters()[self.slow.len()..] {
            self.slow.push(slow_copy(parameter)?);
        }
        if self.settings.outer.momentum > 0.0 {
            for slow in &self.slow[self.velocity.len()..] {
                self.velocity.push(slow.f_zeros_like()?);
            }
        }
        self.watch.remember(self.inner.parameters())
    }

    /// Puts φ in θ's place, until [`put_fast_weights_back`](Self::put_fast_weights_back).
    fn put_slow_weights_in(&mut self) -> Result<()> {
        self.ready()?;
        let stand_in = StandIn::begin(self.inner.parameters(), &self.slow, self.slow_version)?;
        self.stand_in = Some(stand_in);
        Ok(())
    }

    /// Puts θ back where φ stands in for it.
    ///
    /// An error tells of a variable that was written to or replaced meanwhile. θ is back then too.
    fn put_fast_weights_back(&mut self) -> Result<()> {
        let Some(stand_in) = self.stand_in.take() else { return Ok(()) };
        let told = stand_in.end(self.inner.parameters());
        if let Err(Error::SlowWeightsChanged { name }) = &told {
            self.spoiled = Some(name.clone());
        }
        told
    }
}

/// Lookahead is an inner optimizer like any other: one around another is a nested Lookahead, whose
/// outer level counts the steps of the inner one.
impl<O: InnerOptimizer> InnerOptimizer for Lookahead<O> {
    fn step(&mut self) -> Result<()> {
        Lookahead::step(self).map(drop)
    }

    fn zero_grad(&mut self) -> Result<()> {
        Lookahead::zero_grad(self)
    }

    fn parameters(&self) -> &[Parameter] {
        self.inner.parameters()
    }

    fn join_new_parameters(&mut self) -> Result<()> {
        self.inner.join_new_parameters()?;
        if self.inner.parameters().len() > self.slow.len() {
            self.remember_fast_weights()?;
        }
        Ok(())
    }

    fn parameters_replaced(&mut self) -> Result<()> {
        self.restart_from_fast_weights()
    }

    fn parameters_recast(&mut self) -> Result<()> {
        self.reset_slow_weights()
    }

    fn moment_names(&self) -> Option<Vec<&'static str>> {
        self.inner.moment_names()
    }

    fn moments(&mut self, parameter: usize) -> Result<Vec<Moment>> {
        self.inner.moments(parameter)
    }

    fn reset_moments(&mut self, parameter: usize) -> Result<()> {
        self.slow_moments.retain(|(of, _), _| *of != parameter);
        self.inner.reset_moments(parameter)
    }

    fn has_curvature(&self) -> bool {
        self.inner.has_curvature()
    }

    fn curvature(&mut self, parameter: usize) -> Result<Option<Curvature>> {
        self.inner.curvature(parameter)
    }

    fn learning_rates(&self) -> Result<Vec<f64>> {
        self.inner.learning_rates()
    }

    fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        self.set_lr(learning_rate)
    }

    fn set_learning_rate_group(&mut self, group: usize, learning_rate: f64) -> Result<()> {
        self.set_lr_group(group, learning_rate)
    }

    fn state(&mut self) -> Result<State> {
        Lookahead::state(self)
    }

    fn load_state(&mut self, state: &State) -> Result<()> {
        Lookahead::load_state(self, state)
    }
}
