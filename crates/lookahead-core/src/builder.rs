//! Building a Lookahead.

#[cfg(feature = "distributed")]
use std::sync::Arc;

#[cfg(feature = "distributed")]
use lookahead_sys::distributed::ProcessGroup;
use lookahead_sys::sync::Path;
use tch::nn;

use crate::lookahead::Lookahead;
use crate::settings::Settings;
#[cfg(feature = "distributed")]
use crate::settings::Workers;
use crate::{
    AlphaPlacement, GroupOptions, InnerOptimizer, LookaheadConfig, MomentumPolicy, NonFinite,
    Result, Schedule, TchOptimizer, Variables, WrappedOptimizer,
};

/// Builds a [`Lookahead`]. By default k is 5 and α is 0.5, the paper's values.
///
/// ```
/// use lookahead_core::{Lookahead, MomentumPolicy, NonFinite, Schedule, fused};
/// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
/// let opt = Lookahead::builder(fused::AdamW::default())
///     .k(5)
///     .alpha(0.5)
///     .alpha_schedule(Schedule::Linear { to: 1.0, steps: 10_000 })
///     .momentum_policy(MomentumPolicy::Pullback)
///     .non_finite(NonFinite::RollBack)
///     .build(&vs, 1e-3)?;
/// # let _ = opt;
/// # Ok::<(), lookahead_core::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct Builder<Source> {
    source: Source,
    settings: Settings,
}

/// The configuration of an inner optimizer, and options of its groups.
#[derive(Debug, Clone)]
pub struct FromConfig<C> {
    config: C,
    groups: Vec<(usize, GroupOptions)>,
}

/// An inner optimizer that is already built.
#[derive(Debug, Clone)]
pub struct FromOptimizer<O>(pub(crate) O);

impl<Source> Builder<Source> {
    pub(crate) fn new(source: Source) -> Self {
        Builder { source, settings: Settings::default() }
    }

    /// Sets all fields of the configuration.
    pub fn config(mut self, config: LookaheadConfig) -> Self {
        self.settings.config = config;
        self
    }

    /// Sets the synchronization period: inner steps between syncs, at least 1.
    pub fn k(mut self, k: u64) -> Self {
        self.settings.config.k = k;
        self
    }

    /// Sets the schedule of k, which begins at [`k`](Self::k).
    pub fn k_schedule(mut self, schedule: Schedule) -> Self {
        self.settings.config.k_schedule = schedule;
        self
    }

    /// Sets the slow step size, 0 < α ≤ 1: the fraction of the way that a sync moves the slow weights towards the
    /// fast ones. At 1, with moments maintained, Lookahead is its inner optimizer, to the bit. With
    /// [`outer_momentum`](Self::outer_momentum) it is the outer optimizer's learning rate, up to 100.
    pub fn alpha(mut self, alpha: f64) -> Self {
        self.settings.config.alpha = alpha;
        self
    }

    /// Sets whether α may exceed 1, up to 100, without outer momentum too: φ ← φ + α (θ − φ) then moves φ beyond θ. That
    /// can make up for a learning rate that is too small (Khaled et al., 2025), and amplifies noise. Moments that are
    /// pulled back are interpolated with at most 1, so that second moments stay positive.
    ///
    /// ```
    /// use lookahead_core::{Lookahead, fused};
    /// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
    /// # let w = vs.root().ones("w", &[1]);
    /// let builder = Lookahead::builder(fused::Sgd::default()).k(1).alpha(1.5);
    /// let mut opt = builder.extrapolate(true).build(&vs, 0.5)?;
    /// opt.backward_step(&w.sum(tch::Kind::Float))?;
    /// assert_eq!(w.double_value(&[0]), 0.25); // θ reached 0.5, and φ went 1.5 times as far
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    pub fn extrapolate(mut self, extrapolate: bool) -> Self {
        self.settings.config.extrapolate = extrapolate;
        self
    }

    /// Sets the slow step size of one parameter group, which overrides [`alpha`](Self::alpha).
    pub fn alpha_of_group(mut self, group: usize, alpha: f64) -> Self {
        self.settings.set_alpha_of_group(group, alpha);
        self
    }

    /// Sets the schedule of α, which begins at [`alpha`](Self::alpha) or
    /// [`alpha_of_group`](Self::alpha_of_group).
    pub fn alpha_schedule(mut self, schedule: Schedule) -> Self {
        self.settings.config.alpha_schedule = schedule;
        self
    }

    /// Chooses α at each sync as the best one on a quadratic model of the loss between φ and θ,
    /// clipped to `low ..= 1` (Zhang et al., 2019, section 3.1); a `low` of 0 turns it off:
    ///
    /// ```text
    /// α = 1 + gᵀd / dᵀÂd        d = φ − θ, g the gradient at θ
    /// ```
    ///
    /// The diagonal Â approximates the curvature: Adam's bias-corrected second moment, or RMSprop's mean squared
    /// gradient. It is the diagonal of the empirical Fisher information, the expected Hessian if the loss is a
    /// log-likelihood and the model fits. (Its square root, by which Adam divides, is not a curvature: it scales
    /// with the gradient.) Refused at build for optimizers without second moments.
    ///
    /// g is the gradient of the last inner step, one step before θ: an approximation that costs nothing.
    /// [`sync_with`](Lookahead::sync_with) computes a fresh one. Each sync reads one number back from the device,
    /// and allocates temporary tensors. If α is undefined, for example without a gradient or at θ = φ, it is
    /// `low`.
    pub fn adaptive_alpha(mut self, low: f64) -> Self {
        self.settings.config.adaptive_alpha = low;
        self
    }

    /// Sets what a sync does to the inner optimizer's moments.
    pub fn momentum_policy(mut self, policy: MomentumPolicy) -> Self {
        self.settings.config.momentum_policy = policy;
        self
    }

    /// Sets the momentum μ of the outer optimizer, 0 ≤ μ < 1: SGD on the difference d = φ − θ instead of
    /// plain interpolation, with the slow step size α as its learning rate.
    ///
    /// ```text
    /// v ← μ v + d                        v starts at 0
    /// φ ← φ − α v                        or φ − α (d + μ v) in Nesterov's form
    /// θ ← φ
    /// ```
    ///
    /// μ = 0 is plain Lookahead. With one worker, Nesterov's form is SNOO (Kallusky et al., 2025) and DiLoCo (Douillard
    /// et al., 2023), and with α [inside](AlphaPlacement::Inside) the velocity MuLoCo; the other form is SlowMo (Wang et
    /// al., 2020) at a constant learning rate. It costs one more copy of the trainable parameters.
    ///
    /// ```
    /// use lookahead_core::{Lookahead, fused};
    /// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
    /// # let w = vs.root().ones("w", &[1]);
    /// let builder = Lookahead::builder(fused::Sgd::default()).k(1).alpha(0.5);
    /// let mut opt = builder.outer_momentum(0.9).outer_nesterov(true).build(&vs, 1.0)?;
    /// opt.backward_step(&w.sum(tch::Kind::Float))?;
    /// // d = 1 and v = 1, so φ moved by 0.5 (1 + 0.9 · 1).
    /// assert!((w.double_value(&[0]) - 0.05).abs() < 1e-6);
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    pub fn outer_momentum(mut self, momentum: f64) -> Self {
        self.settings.config.outer_momentum = momentum;
        self
    }

    /// Sets whether the outer momentum uses Nesterov's form.
    pub fn outer_nesterov(mut self, nesterov: bool) -> Self {
        self.settings.config.outer_nesterov = nesterov;
        self
    }

    /// Sets where the outer momentum has α: outside or inside the velocity.
    pub fn alpha_placement(mut self, placement: AlphaPlacement) -> Self {
        self.settings.config.alpha_placement = placement;
        self
    }

    /// Sets the velocity v of the outer momentum back to 0 after every `syncs` syncs, counted from the start; 0 never
    /// does. Restarts allow larger outer learning rates and momenta. With 1 there is no memory: a sync moves φ by
    /// α (1 + μ) d in Nesterov's form, and by α d in the other.
    ///
    /// ```
    /// use lookahead_core::{Lookahead, fused};
    /// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
    /// # let w = vs.root().ones("w", &[1]);
    /// let builder = Lookahead::builder(fused::Sgd::default()).k(1).alpha(0.5);
    /// let mut opt = builder.outer_momentum(0.5).restart_every(2).build(&vs, 1.0)?;
    /// let mut sync = || -> lookahead_core::Result<f64> {
    ///     opt.backward_step(&w.sum(tch::Kind::Float))?; // d = 1
    ///     Ok(w.double_value(&[0]))
    /// };
    /// // v is 1, then 1½, then 1 again.
    /// assert_eq!([sync()?, sync()?, sync()?], [0.5, -0.25, -0.75]);
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    pub fn restart_every(mut self, syncs: u64) -> Self {
        self.settings.config.restart_every = syncs;
        self
    }

    /// Sets what to do about NaN and infinity.
    pub fn non_finite(mut self, policy: NonFinite) -> Self {
        self.settings.config.non_finite = policy;
        self
    }

    /// Trains in several processes, each on its own data: at a sync the mean of all their θ replaces θ. This is
    /// Local SGD; with [`outer_momentum`](Self::outer_momentum) it is SlowMo (Wang et al., 2020), in Nesterov's
    /// form DiLoCo (Douillard et al., 2023). Between syncs the processes don't wait for each other. A group of
    /// one changes nothing, to the bit.
    ///
    /// All processes build the same optimizer for the same model, and start from rank 0's weights. Each keeps its
    /// own moments. They must take the same steps: each sync compares their steps, k and a part of φ. The policy
    /// `NonFinite::SkipStep` makes them agree in each step.
    #[cfg(feature = "distributed")]
    pub fn workers(mut self, group: Arc<ProcessGroup>, dtype: crate::TransferDtype) -> Self {
        self.settings.workers = Some(Workers { group, dtype });
        self
    }

    /// Interpolates batch normalization's running means and variances in `vs` with the weights, as K. Jordan's airbench
    /// does: each statistic s has a slow copy s̄, and a sync does s̄ ← s̄ + α (s − s̄), s ← s̄, with the α of the first
    /// group, or 1 if that is larger. In an evaluation at φ the model has s̄. It costs no forward pass, while
    /// [`SlowWeights::recalibrate`](crate::SlowWeights::recalibrate) computes the statistics that φ would see.
    ///
    /// Several processes interpolate their own. Buffers are recognized by tch's names for them, `running_mean` and
    /// `running_var`.
    ///
    /// ```
    /// use lookahead_core::{Lookahead, fused};
    /// use tch::{Device, Kind, Tensor, nn, nn::ModuleT};
    ///
    /// let vs = nn::VarStore::new(Device::Cpu);
    /// let config = nn::BatchNormConfig { momentum: 1.0, ..Default::default() };
    /// let norm = nn::batch_norm1d(vs.root(), 1, config);
    /// let builder = Lookahead::builder(fused::Sgd::default()).k(1).alpha(0.5);
    /// let mut opt = builder.interpolate_statistics(&vs).build(&vs, 0.1)?;
    /// let batch = Tensor::full([4, 1], 8.0, (Kind::Float, Device::Cpu));
    /// opt.backward_step(&norm.forward_t(&batch, true).sum(Kind::Float))?;
    /// assert_eq!(norm.running_mean.double_value(&[0]), 4.0); // half the way from 0 to 8
    /// # Ok::<(), lookahead_core::Error>(())
    /// ```
    pub fn interpolate_statistics(mut self, vs: &nn::VarStore) -> Self {
        self.settings.config.interpolate_statistics = true;
        self.settings.statistics = Some(vs.variables_.clone());
        self
    }

    /// Sets which operations do the sync. Only comparisons and tests need this.
    pub fn sync_path(mut self, path: Path) -> Self {
        self.settings.path = path;
        self
    }
}

impl<C: nn::OptimizerConfig> Builder<FromConfig<C>> {
    /// Sets options of one parameter group of the inner optimizer; variables added to the group later have them too.
    /// [`GroupOptions`] has an example.
    pub fn group(mut self, group: usize, options: GroupOptions) -> Self {
        self.source.groups.push((group, options));
        self
    }

    /// Builds the inner optimizer for `variables`, a `&VarStore` or a selection of its [`Variables`], and copies them
    /// to the slow weights.
    ///
    /// # Errors
    /// For settings that are out of range or that the inner optimizer does not support.
    pub fn build(
        self,
        variables: impl Into<Variables>,
        learning_rate: f64,
    ) -> Result<Lookahead<TchOptimizer>> {
        self.settings.check()?;
        let mut inner = TchOptimizer::new(self.source.config, variables, learning_rate)?;
        for (group, options) in self.source.groups {
            inner.set_group_options(group, options)?;
        }
        Lookahead::from_parts(inner, self.settings)
    }
}

impl<O: InnerOptimizer> Builder<FromOptimizer<O>> {
    /// Copies the inner optimizer's parameters to the slow weights.
    ///
    /// # Errors
    /// For settings that are out of range or that the inner optimizer does not support.
    pub fn build(self) -> Result<Lookahead<O>> {
        self.settings.check()?;
        Lookahead::from_parts(self.source.0, self.settings)
    }
}

impl Lookahead<TchOptimizer> {
    /// A builder from the configuration of a tch optimizer or of one in [`fused`](crate::fused), which
    /// [`build`](Builder::build) then builds. [`Builder`] has an example.
    pub fn builder<C: nn::OptimizerConfig>(config: C) -> Builder<FromConfig<C>> {
        Builder::new(FromConfig { config, groups: Vec::new() })
    }
}

impl Lookahead<WrappedOptimizer> {
    /// A builder from a tch optimizer that is already built, for the same store. It trains like any other, but
    /// [`state`](Lookahead::state) fails, because tch keeps the state of a built optimizer private.
    ///
    /// # Errors
    /// [`OtherStore`](crate::Error::OtherStore) if the optimizer's variables are not the store's.
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

impl<O: InnerOptimizer> Lookahead<O> {
    /// A builder from any inner optimizer, even another Lookahead.
    ///
    /// ```
    /// use lookahead_core::{InnerOptimizer, Lookahead, TchOptimizer, fused};
    /// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
    /// # let _ = vs.root().ones("w", &[1]);
    /// // Choose the kind at run time.
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
}
