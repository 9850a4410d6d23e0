//! The algorithm: k steps forward, one step back.

use lookahead_sys::tensor::{Fingerprint, fingerprints};
use tch::{Kind, Tensor, nn};

use crate::builder::{Builder, FromConfig, FromOptimizer, check_period, check_slow_step_size};
use crate::slow_weights::StandIn;
use crate::state::{copy_like, expect_like};
use crate::{
    Error, InnerOptimizer, Parameter, Result, State, TchOptimizer, WrappedOptimizer, gradients,
};

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
    /// What θ looked like when Lookahead or the inner optimizer last touched it.
    fast_as_left: Vec<Fingerprint>,
    /// θ's own values, put aside while φ stands in for them.
    pub(crate) stand_in: Option<StandIn>,
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
    /// ```
    /// use lookahead_core::Lookahead;
    /// use tch::nn::{self, OptimizerConfig};
    ///
    /// let vs = nn::VarStore::new(tch::Device::Cpu);
    /// let w = vs.root().ones("w", &[2]);
    /// let adam = nn::Adam::default().build(&vs, 1e-3)?;
    /// let mut opt = Lookahead::wrap(adam, &vs).k(5).alpha(0.5).build()?;
    /// opt.backward_step(&w.square().sum(tch::Kind::Float))?;
    /// assert!(opt.state().unwrap_err().to_string().contains("Lookahead::builder"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn wrap(
        optimizer: nn::Optimizer,
        vs: &nn::VarStore,
    ) -> Builder<FromOptimizer<WrappedOptimizer>> {
        Builder::new(FromOptimizer(WrappedOptimizer::new(optimizer, vs)))
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
            fast_as_left: Vec::new(),
            stand_in: None,
            spoiled: None,
        };
        // φ starts as θ before any step. Made later, at the first sync, it would be θ after k
        // steps, and the first sync would do nothing.
        built.join_new_parameters()?;
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
        if !self.sync_is_due() {
            return Ok(false);
        }
        self.ready()?;
        self.sync()?;
        Ok(true)
    }

    fn sync(&mut self) -> Result<()> {
        let _guard = tch::no_grad_guard();
        for (parameter, slow) in self.inner.parameters().iter().zip(&mut self.slow) {
            if !parameter.tensor.requires_grad() {
                continue; // frozen: nobody moves it
            }
            let mut fast = parameter.tensor.shallow_clone();
            interpolate(slow, &mut fast, self.alpha)?;
        }
        self.phase = 0;
        self.syncs += 1;
        self.inner.parameters_replaced()?;
        self.remember_fast_weights()
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
        {
            let _guard = tch::no_grad_guard();
            for (parameter, slow) in self.inner.parameters().iter().zip(&self.slow) {
                if parameter.tensor.requires_grad() {
                    parameter.tensor.shallow_clone().f_copy_(slow)?;
                }
            }
        }
        self.phase = 0;
        self.inner.parameters_replaced()?;
        self.remember_fast_weights()
    }

    /// Makes the slow weights a fresh copy of the fast ones and starts a new cycle. What to call
    /// after loading, copying, moving or casting the model's variables.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn reset_slow_weights(&mut self) -> Result<()> {
        self.put_fast_weights_back()?;
        self.spoiled = None;
        self.inner.join_new_parameters()?;
        self.slow = self.inner.parameters().iter().map(slow_copy).collect::<Result<_>>()?;
        self.phase = 0;
        self.inner.parameters_replaced()?;
        self.remember_fast_weights()
    }
}

/// φ ← φ + α (θ − φ), then θ ← φ, in place.
///
/// `lerp` is exact at θ = φ, where the formula as written is not always. At α = 1 φ becomes a copy
/// of θ, which stays as it is: then Lookahead is its inner optimizer to the bit, down to the sign
/// of zero.
fn interpolate(slow: &mut Tensor, fast: &mut Tensor, alpha: f64) -> Result<()> {
    if alpha == 1.0 {
        slow.f_copy_(fast)?;
        return Ok(());
    }
    if slow.kind() == fast.kind() {
        let _ = slow.f_lerp_(fast, alpha)?;
    } else {
        let _ = slow.f_lerp_(&fast.f_to_kind(slow.kind())?, alpha)?;
    }
    fast.f_copy_(slow)?;
    Ok(())
}

/// A slow copy of a variable, beside it on its device. Half precision can't hold φ: a step of
/// α (θ − φ) is often below its resolution, and φ would stand still.
fn slow_copy(parameter: &Parameter) -> Result<Tensor> {
    let _guard = tch::no_grad_guard();
    let fast = &parameter.tensor;
    match fast.kind() {
        Kind::Half | Kind::BFloat16 => Ok(fast.f_to_kind(Kind::Float)?),
        _ => copy_like(fast, fast),
    }
}

/// The verbs of [`nn::Optimizer`].
impl<O: InnerOptimizer> Lookahead<O> {
    /// Forgets the gradients of the fast weights.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn zero_grad(&mut self) -> Result<()> {
        self.inner.zero_grad()
    }

    /// Computes the gradients of `loss` and takes a [`step`](Self::step) with them; tells whether
    /// it synced.
    ///
    /// # Errors
    /// As [`step`](Self::step), and what libtorch says of a loss that is no scalar or has no graph.
    pub fn backward_step(&mut self, loss: &Tensor) -> Result<bool> {
        self.backward(loss)?;
        self.step()
    }

    /// As [`backward_step`](Self::backward_step), with each gradient's elements clipped to
    /// `-max..=max` first.
    ///
    /// # Errors
    /// As [`backward_step`](Self::backward_step).
    pub fn backward_step_clip(&mut self, loss: &Tensor, max: f64) -> Result<bool> {
        self.backward(loss)?;
        self.clip_grad_value(max)?;
        self.step()
    }

    /// As [`backward_step`](Self::backward_step), with the gradients' norm clipped to `max` first.
    ///
    /// # Errors
    /// As [`backward_step`](Self::backward_step).
    pub fn backward_step_clip_norm(&mut self, loss: &Tensor, max: f64) -> Result<bool> {
        self.backward(loss)?;
        self.clip_grad_norm(max)?;
        self.step()
    }

    fn backward(&mut self, loss: &Tensor) -> Result<()> {
        self.zero_grad()?;
        loss.f_backward()?;
        Ok(())
    }

    /// Clips the elements of every gradient to `-max..=max`. Variables without one are passed over.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn clip_grad_value(&mut self, max: f64) -> Result<()> {
        self.inner.join_new_parameters()?;
        gradients::clip_value(self.inner.parameters(), max)
    }

    /// Scales all gradients by one factor so that their L2 norm, taken over all of them together,
    /// is at most `max`, and returns the norm before: 0 where no variable has a gradient. A norm
    /// that is not finite is returned and the gradients left as they are, for the caller to act on.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn clip_grad_norm(&mut self, max: f64) -> Result<f64> {
        self.inner.join_new_parameters()?;
        gradients::clip_norm(self.inner.parameters(), max)
    }

    /// Sets the learning rate of all parameter groups.
    ///
    /// # Errors
    /// [`LearningRate`](Error::LearningRate) for a negative or non-finite one.
    pub fn set_lr(&mut self, learning_rate: f64) -> Result<()> {
        self.inner.set_learning_rate(learning_rate)
    }

    /// Sets the learning rate of one parameter group.
    ///
    /// # Errors
    /// As [`set_lr`](Self::set_lr), and [`Group`](Error::Group) where there is no such group.
    pub fn set_lr_group(&mut self, group: usize, learning_rate: f64) -> Result<()> {
        self.inner.set_learning_rate_group(group, learning_rate)
    }

    /// The fast weights, in the inner optimizer's order.
    pub fn trainable_variables(&self) -> Vec<Tensor> {
        self.inner.parameters().iter().map(|parameter| parameter.tensor.shallow_clone()).collect()
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
        if let Some(name) = &self.spoiled {
            return Err(Error::SlowWeightsChanged { name: name.clone() });
        }
        let known = self.slow.len();
        let now = self.fast_fingerprints(known)?;
        if let Some(i) = (0..known).find(|&i| now[i] != self.fast_as_left[i]) {
            let name = self.inner.parameters()[i].name.clone();
            return Err(Error::FastWeightsChanged { name });
        }
        self.inner.join_new_parameters()?;
        self.admit_new_parameters()
    }

    /// Gives parameters that joined since the last call their slow copies.
    fn admit_new_parameters(&mut self) -> Result<()> {
        let known = self.slow.len();
        if self.inner.parameters().len() == known {
            return Ok(());
        }
        for parameter in &self.inner.parameters()[known..] {
            self.slow.push(slow_copy(parameter)?);
        }
        self.remember_fast_weights()
    }

    fn fast_fingerprints(&self, count: usize) -> Result<Vec<Fingerprint>> {
        Ok(fingerprints(self.inner.parameters()[..count].iter().map(|p| &p.tensor))?)
    }

    fn remember_fast_weights(&mut self) -> Result<()> {
        // A parameter that joined within the inner step has no slow copy yet.
        self.admit_without_remembering()?;
        self.fast_as_left = self.fast_fingerprints(self.slow.len())?;
        Ok(())
    }

    fn admit_without_remembering(&mut self) -> Result<()> {
        for parameter in &self.inner.parameters()[self.slow.len()..] {
            self.slow.push(slow_copy(parameter)?);
        }
        Ok(())
    }

    /// Puts φ in θ's place, until [`put_fast_weights_back`](Self::put_fast_weights_back).
    pub(crate) fn put_slow_weights_in(&mut self) -> Result<()> {
        self.ready()?;
        self.stand_in = Some(StandIn::begin(self.inner.parameters(), &self.slow)?);
        Ok(())
    }

    /// Puts θ back where φ stands in for it. Remembers, for the next call to report, a slow weight
    /// that was written to meanwhile.
    pub(crate) fn put_fast_weights_back(&mut self) -> Result<()> {
        let Some(stand_in) = self.stand_in.take() else { return Ok(()) };
        if let Some(changed) = stand_in.end(self.inner.parameters())? {
            self.spoiled = Some(self.inner.parameters()[changed].name.clone());
        }
        Ok(())
    }

    /// The error of a slow weight that was written to while it stood in for θ, if one was.
    pub(crate) fn spoiled(&self) -> Result<()> {
        match &self.spoiled {
            Some(name) => Err(Error::SlowWeightsChanged { name: name.clone() }),
            None => Ok(()),
        }
    }
}

const PHASE: &str = "phase";
const SYNCS: &str = "syncs";
const PERIOD: &str = "k";
const ALPHA: &str = "alpha";
const SLOW: &str = "slow";
const INNER: &str = "inner";

impl<O: InnerOptimizer> Lookahead<O> {
    /// All that decides the next steps apart from the fast weights, which are the model's own: φ
    /// as `slow/<variable>`, the phase, k and α, and the inner optimizer's state under `inner/`.
    /// Shares no memory with the optimizer.
    ///
    /// # Errors
    /// [`NoState`](Error::NoState) where the inner optimizer can't give its own.
    pub fn state(&mut self) -> Result<State> {
        self.ready()?;
        let mut state = State::default();
        for (parameter, slow) in self.inner.parameters().iter().zip(&self.slow) {
            state.tensors.insert(format!("{SLOW}/{}", parameter.name), copy_like(slow, slow)?);
        }
        state.integers.insert(PHASE.to_owned(), to_i64(self.phase));
        state.integers.insert(SYNCS.to_owned(), to_i64(self.syncs));
        state.integers.insert(PERIOD.to_owned(), to_i64(self.k));
        state.numbers.insert(ALPHA.to_owned(), self.alpha);
        state.nest(INNER, self.inner.state()?);
        Ok(state)
    }

    /// Takes on a state that [`state`](Self::state) gave for the same model and the same kind of
    /// inner optimizer, k, α and learning rates included. Load the model's fast weights first: the
    /// weights that are in the model now are taken as those that belong to the state.
    ///
    /// # Errors
    /// Where an entry is missing, unexpected, out of range or of the wrong shape. Then nothing was
    /// changed.
    pub fn load_state(&mut self, state: &State) -> Result<()> {
        self.put_fast_weights_back()?;
        self.inner.join_new_parameters()?;
        let k = in_range(state, PERIOD, 1, i64::MAX)?;
        // A state taken between the k-th step and its sync has phase k.
        let phase = in_range(state, PHASE, 0, to_i64(k))?;
        let syncs = in_range(state, SYNCS, 0, i64::MAX)?;
        let alpha = state.number(ALPHA)?;
        check_slow_step_size(alpha)?;

        let slow = self.inner.parameters().iter().map(|parameter| read_slow(state, parameter));
        let slow = slow.collect::<Result<Vec<_>>>()?;
        let names: std::collections::HashSet<&str> =
            self.inner.parameters().iter().map(|parameter| parameter.name.as_str()).collect();
        state.refuse_unknown(|key| match key.split_once('/') {
            Some((SLOW, name)) => names.contains(name),
            Some((INNER, _)) => true, // the inner optimizer judges its own
            _ => matches!(key, PHASE | SYNCS | PERIOD | ALPHA),
        })?;
        // The last that can fail, and it changes nothing when it does.
        self.inner.load_state(&state.part(INNER))?;

        (self.k, self.alpha, self.phase, self.syncs) = (k, alpha, phase, syncs);
        self.slow = slow;
        self.spoiled = None;
        self.remember_fast_weights()
    }
}

/// A parameter's slow weights out of a state, in the parameter's layout and on its device.
fn read_slow(state: &State, parameter: &Parameter) -> Result<Tensor> {
    let key = format!("{SLOW}/{}", parameter.name);
    let Some(saved) = state.tensors.get(&key) else { return Err(Error::StateMissing { key }) };
    let slow = slow_copy(parameter)?;
    expect_like(&key, saved, &slow)?;
    copy_like(&slow, saved)
}

fn in_range(state: &State, key: &str, least: i64, most: i64) -> Result<u64> {
    let found = state.integer(key)?;
    if !(least..=most).contains(&found) {
        let allowed = match most {
            i64::MAX => format!("at least {least}"),
            _ => format!("from {least} to {most}"),
        };
        return Err(Error::StateRange { key: key.to_owned(), found: found.to_string(), allowed });
    }
    Ok(found.unsigned_abs())
}

/// Counts of steps; more than `i64` holds can't be taken.
fn to_i64(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
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
        self.admit_new_parameters()
    }

    fn parameters_replaced(&mut self) -> Result<()> {
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
