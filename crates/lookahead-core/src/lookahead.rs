//! The algorithm: k steps forward, one step back.
//!
//! | module | what is in it |
//! |---|---|
//! | `slow_weights` | φ standing in for θ, for evaluation |
//! | `verbs` | what tch's own optimizer can be told |
//! | `saving` | the state, out and in |

mod saving;
mod slow_weights;
mod verbs;

pub use slow_weights::SlowWeights;

use lookahead_sys::arithmetic::{assign, interpolate};
use tch::{Kind, Tensor, nn};

use crate::builder::{Builder, FromConfig, FromOptimizer, check_period, check_slow_step_size};
use crate::state::copy_like;
use crate::watch::Watch;
use crate::{Error, InnerOptimizer, Parameter, Result, State, TchOptimizer, WrappedOptimizer};
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
    k: u64,
    alpha: f64,
    /// Inner steps since the last sync, 0..=k.
    phase: u64,
    syncs: u64,
    /// φ, one tensor for each of the inner optimizer's parameters, in their order.
    slow: Vec<Tensor>,
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

    pub(crate) fn from_parts(inner: O, k: u64, alpha: f64) -> Result<Self> {
        let mut built = Lookahead {
            inner,
            k,
            alpha,
            phase: 0,
            syncs: 0,
            slow: Vec::new(),
            slow_version: 0,
            watch: Watch::default(),
            stand_in: None,
            spoiled: None,
        };
        // φ starts as θ before any step. Made later, at the first sync, it would be θ after k
        // steps, and the first sync would do nothing.
        built.remember_fast_weights()?;
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

    /// One step of the inner optimizer on the fast weights.
    ///
    /// # Errors
    /// [`SyncIsDue`](Error::SyncIsDue) where a sync was left out,
    /// [`FastWeightsChanged`](Error::FastWeightsChanged) where somebody else wrote to θ, or
    /// whatever the inner optimizer says.
    pub fn inner_step(&mut self) -> Result<()> {
        self.ready()?;
        if self.sync_is_due() {
            return Err(Error::SyncIsDue { k: self.k });
        }
        let stepped = self.inner.step();
        // Also after a failure: what the inner optimizer wrote is not from outside.
        self.remember_fast_weights()?;
        stepped?;
        self.phase += 1;
        Ok(())
    }

    /// Whether k inner steps have been taken since the last sync. Between the k-th and the sync
    /// lies the instant at which θ is at its farthest from φ: see
    /// [`with_slow_weights`](Self::with_slow_weights) for comparing the two there.
    pub fn sync_is_due(&self) -> bool {
        self.phase >= self.k
    }

    /// Syncs if it is due, and tells whether it did.
    ///
    /// # Errors
    /// [`FastWeightsChanged`](Error::FastWeightsChanged) where somebody else wrote to θ.
    pub fn sync_if_due(&mut self) -> Result<bool> {
        self.put_fast_weights_back()?;
        if !self.sync_is_due() {
            return Ok(false);
        }
        self.ready()?;
        self.sync()?;
        Ok(true)
    }

    fn sync(&mut self) -> Result<()> {
        // All of φ first, then all of θ: two variables on one storage are both seen as the inner
        // optimizer left them.
        for (parameter, slow) in self.inner.parameters().iter().zip(&mut self.slow) {
            if is_trained(parameter) {
                interpolate(slow, &parameter.tensor, self.alpha)?;
            }
        }
        self.slow_version = self.slow_version.wrapping_add(1);
        // At α = 1 φ is a copy of θ, which stays as it is: then Lookahead is its inner optimizer.
        if self.alpha < 1.0 {
            self.restart_from_slow_weights(is_trained)?;
        }
        self.phase = 0;
        self.syncs += 1;
        self.remember_fast_weights()
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
        self.phase = 0;
        self.remember_fast_weights()
    }

    /// Makes the slow weights a fresh copy of the fast ones and starts a new cycle. What to call
    /// after loading, copying, moving or casting the model's variables.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn reset_slow_weights(&mut self) -> Result<()> {
        self.put_fast_weights_back()?;
        self.inner.join_new_parameters()?;
        self.inner.parameters_recast()?;
        self.slow = self.inner.parameters().iter().map(slow_copy).collect::<Result<_>>()?;
        self.slow_version = self.slow_version.wrapping_add(1);
        self.spoiled = None;
        self.phase = 0;
        self.remember_fast_weights()
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

/// Where it stands.
impl<O: InnerOptimizer> Lookahead<O> {
    /// The synchronization period: inner steps between syncs.
    pub fn k(&self) -> u64 {
        self.k
    }

    /// Sets the synchronization period.
    ///
    /// # Errors
    /// [`Period`](Error::Period) for 0, and [`PeriodInsideCycle`](Error::PeriodInsideCycle)
    /// anywhere but just after a sync.
    pub fn set_k(&mut self, k: u64) -> Result<()> {
        check_period(k)?;
        if self.phase != 0 && k != self.k {
            return Err(Error::PeriodInsideCycle { k, phase: self.phase });
        }
        self.k = k;
        Ok(())
    }

    /// The slow step size.
    pub fn alpha(&self) -> f64 {
        self.alpha
    }

    /// Sets the slow step size of the syncs to come.
    ///
    /// # Errors
    /// [`SlowStepSize`](Error::SlowStepSize) outside 0 < α ≤ 1.
    pub fn set_alpha(&mut self, alpha: f64) -> Result<()> {
        check_slow_step_size(alpha)?;
        self.alpha = alpha;
        Ok(())
    }

    /// Inner steps since the last sync, 0 to k; k only between the last inner step and its sync.
    pub fn phase(&self) -> u64 {
        self.phase
    }

    /// Syncs so far.
    pub fn syncs(&self) -> u64 {
        self.syncs
    }

    /// The inner optimizer.
    pub fn inner(&self) -> &O {
        &self.inner
    }

    /// The inner optimizer, to change its settings. Steps that it takes by itself are not counted,
    /// and the next step through Lookahead refuses what they did.
    pub fn inner_mut(&mut self) -> &mut O {
        &mut self.inner
    }

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
        self.reset_slow_weights()
    }

    fn parameters_recast(&mut self) -> Result<()> {
        self.reset_slow_weights()
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
