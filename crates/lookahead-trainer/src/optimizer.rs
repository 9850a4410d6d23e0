//! The inner optimizer, `[optimizer]`, and Lookahead around it, `[lookahead]`.

pub(crate) mod lookahead;

use lookahead_core::{
    InnerOptimizer, Lookahead, LookaheadConfig, Parameter, State, TchOptimizer, fused,
};
use serde::{Deserialize, Serialize};
use tch::{Tensor, nn};

use crate::check::{Invalid, kind_key, require, shown};
use crate::distributed::Team;

/// `[optimizer]`. The meaning of each key is libtorch's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Which inner optimizer.
    pub kind: Kind,
    /// Learning rate, before the schedule.
    pub lr: f64,
    /// Whether it steps by kernels that take all parameters together, or by libtorch's own code.
    pub fused: bool,
    /// Weight decay: decoupled for adamw, a part of the gradient for the others. Default 0.01 for
    /// adamw, 0 for the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// sgd, rmsprop: momentum. Default 0.9 for sgd, 0 for rmsprop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// sgd: damping of the momentum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dampening: Option<f64>,
    /// sgd: Nesterov's momentum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nesterov: Option<bool>,
    /// adam, adamw: decay of the first moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta1: Option<f64>,
    /// adam, adamw: decay of the second moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta2: Option<f64>,
    /// adam, adamw, rmsprop: what is added to the denominator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eps: Option<f64>,
    /// adam, adamw: keep the maximum of the second moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amsgrad: Option<bool>,
    /// rmsprop: decay of the squared gradient's average, which libtorch calls alpha.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smoothing: Option<f64>,
    /// rmsprop: subtract the mean gradient.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub centered: Option<bool>,
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        OptimizerConfig {
            kind: Kind::Sgd,
            lr: 0.1,
            fused: true,
            weight_decay: None,
            momentum: None,
            dampening: None,
            nesterov: None,
            beta1: None,
            beta2: None,
            eps: None,
            amsgrad: None,
            smoothing: None,
            centered: None,
        }
    }
}

/// The inner optimizers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Stochastic gradient descent.
    #[default]
    Sgd,
    /// Adam (Kingma and Ba, 2015).
    Adam,
    /// Adam with decoupled weight decay (Loshchilov and Hutter, 2019).
    #[serde(rename = "adamw")]
    AdamW,
    /// RMSprop (Hinton, 2012).
    #[serde(rename = "rmsprop")]
    RmsProp,
}

/// Keys that `kind` does not have.
pub(crate) fn foreign_keys(kind: &str) -> Option<Vec<&'static str>> {
    match kind {
        "sgd" => Some(vec!["beta1", "beta2", "eps", "amsgrad", "smoothing", "centered"]),
        "adam" | "adamw" => {
            Some(vec!["momentum", "dampening", "nesterov", "smoothing", "centered"])
        }
        "rmsprop" => Some(vec!["dampening", "nesterov", "beta1", "beta2", "amsgrad"]),
        _ => None,
    }
}

impl OptimizerConfig {
    /// Fills in the kind's defaults and checks ranges.
    pub(crate) fn resolve(&mut self) -> Result<(), Invalid> {
        let sgd = self.kind == Kind::Sgd;
        let adam = matches!(self.kind, Kind::Adam | Kind::AdamW);
        let rmsprop = self.kind == Kind::RmsProp;
        let decay = if self.kind == Kind::AdamW { 0.01 } else { 0.0 };
        self.weight_decay.get_or_insert(decay);
        let momentum = if sgd { 0.9 } else { 0.0 };
        let either = "sgd and rmsprop";
        kind_key(&mut self.momentum, sgd || rmsprop, momentum, "optimizer.momentum", either)?;
        kind_key(&mut self.dampening, sgd, 0.0, "optimizer.dampening", "sgd")?;
        kind_key(&mut self.nesterov, sgd, false, "optimizer.nesterov", "sgd")?;
        kind_key(&mut self.beta1, adam, 0.9, "optimizer.beta1", "adam and adamw")?;
        kind_key(&mut self.beta2, adam, 0.999, "optimizer.beta2", "adam and adamw")?;
        kind_key(&mut self.amsgrad, adam, false, "optimizer.amsgrad", "adam and adamw")?;
        let all_but_sgd = "adam, adamw and rmsprop";
        kind_key(&mut self.eps, adam || rmsprop, 1e-8, "optimizer.eps", all_but_sgd)?;
        kind_key(&mut self.smoothing, rmsprop, 0.99, "optimizer.smoothing", "rmsprop")?;
        kind_key(&mut self.centered, rmsprop, false, "optimizer.centered", "rmsprop")?;
        self.check()
    }

    fn check(&self) -> Result<(), Invalid> {
        let lr = self.lr;
        // libtorch takes single precision for what multiplies weights of single precision.
        let range = 0.0..=f64::from(f32::MAX);
        let allowed = "a number from 0 to 3.4e38";
        require(range.contains(&lr), "optimizer.lr", shown(lr), allowed)?;
        let at_least_0 = |value: Option<f64>, key| match value {
            Some(value) => require(range.contains(&value), key, shown(value), allowed),
            None => Ok(()),
        };
        at_least_0(self.weight_decay, "optimizer.weight_decay")?;
        at_least_0(self.eps, "optimizer.eps")?;
        let fraction = |value: Option<f64>, key| match value {
            Some(value) => {
                require((0.0..1.0).contains(&value), key, shown(value), "at least 0 and below 1")
            }
            None => Ok(()),
        };
        fraction(self.momentum, "optimizer.momentum")?;
        fraction(self.dampening, "optimizer.dampening")?;
        fraction(self.beta1, "optimizer.beta1")?;
        fraction(self.beta2, "optimizer.beta2")?;
        fraction(self.smoothing, "optimizer.smoothing")?;
        if self.nesterov == Some(true)
            && (self.momentum == Some(0.0) || self.dampening != Some(0.0))
        {
            return Err(Invalid::new(
                "optimizer.nesterov",
                "`optimizer.nesterov` needs a momentum above 0 and a dampening of 0: set those, or \
                 take nesterov out.",
            ));
        }
        Ok(())
    }
}

/// So that one type builds all four, fused or not.
impl nn::OptimizerConfig for &OptimizerConfig {
    fn build_copt(&self, lr: f64) -> Result<tch::COptimizer, tch::TchError> {
        let number = |value: Option<f64>| value.unwrap_or(0.0);
        let wd = number(self.weight_decay);
        let (momentum, dampening) = (number(self.momentum), number(self.dampening));
        let nesterov = self.nesterov == Some(true);
        let (beta1, beta2) = (number(self.beta1), number(self.beta2));
        let (eps, amsgrad) = (number(self.eps), self.amsgrad == Some(true));
        let (alpha, centered) = (number(self.smoothing), self.centered == Some(true));
        match (self.kind, self.fused) {
            (Kind::Sgd, true) => fused::sgd(momentum, dampening, wd, nesterov).build_copt(lr),
            (Kind::Sgd, false) => nn::sgd(momentum, dampening, wd, nesterov).build_copt(lr),
            (Kind::Adam, true) => fused::Adam { beta1, beta2, wd, eps, amsgrad }.build_copt(lr),
            (Kind::Adam, false) => nn::Adam { beta1, beta2, wd, eps, amsgrad }.build_copt(lr),
            (Kind::AdamW, true) => fused::AdamW { beta1, beta2, wd, eps, amsgrad }.build_copt(lr),
            (Kind::AdamW, false) => nn::AdamW { beta1, beta2, wd, eps, amsgrad }.build_copt(lr),
            (Kind::RmsProp, true) => {
                fused::RmsProp { alpha, eps, wd, momentum, centered }.build_copt(lr)
            }
            (Kind::RmsProp, false) => {
                nn::RmsProp { alpha, eps, wd, momentum, centered }.build_copt(lr)
            }
        }
    }
}

/// What trains: the inner optimizer alone, or Lookahead around it.
#[derive(Debug)]
pub enum Optimizer {
    /// No `[lookahead]` section.
    Bare(TchOptimizer),
    /// With one; boxed, because it is three times as large as the other.
    Lookahead(Box<Lookahead<TchOptimizer>>),
}

impl Optimizer {
    /// Builds it for the trainable variables of `vs`.
    ///
    /// # Errors
    /// What the optimizer refuses.
    pub fn new(
        inner: &OptimizerConfig,
        lookahead: Option<&LookaheadConfig>,
        team: &Team,
        vs: &nn::VarStore,
    ) -> lookahead_core::Result<Self> {
        let Some(config) = lookahead else {
            return Ok(Optimizer::Bare(TchOptimizer::new(inner, vs, inner.lr)?));
        };
        let mut builder = Lookahead::builder(inner).config(config.clone());
        if let Some((group, dtype)) = team.averages_weights() {
            builder = builder.workers(group, dtype);
        }
        Ok(Optimizer::Lookahead(Box::new(builder.build(vs, inner.lr)?)))
    }

    /// What is trained, in the order of the inner optimizer.
    pub fn parameters(&self) -> &[Parameter] {
        match self {
            Optimizer::Bare(inner) => inner.parameters(),
            Optimizer::Lookahead(lookahead) => lookahead.inner().parameters(),
        }
    }

    /// Name of the inner optimizer, such as `adamw`.
    pub fn name(&self) -> &'static str {
        match self {
            Optimizer::Bare(inner) => inner.name(),
            Optimizer::Lookahead(lookahead) => lookahead.inner().name(),
        }
    }

    /// Computes the gradients of `loss`.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn backward(&mut self, loss: &Tensor) -> anyhow::Result<()> {
        match self {
            Optimizer::Bare(inner) => inner.zero_grad()?,
            Optimizer::Lookahead(lookahead) => lookahead.zero_grad()?,
        }
        Ok(loss.f_backward()?)
    }

    /// One step of the inner optimizer; tells whether it was taken, or skipped for gradients that
    /// are no finite numbers.
    ///
    /// # Errors
    /// What the optimizer refuses.
    pub fn inner_step(&mut self) -> lookahead_core::Result<bool> {
        match self {
            Optimizer::Bare(inner) => inner.step().map(|()| true),
            Optimizer::Lookahead(lookahead) => lookahead.inner_step(),
        }
    }

    /// The Lookahead around the inner optimizer, where there is one.
    pub fn lookahead(&mut self) -> Option<&mut Lookahead<TchOptimizer>> {
        match self {
            Optimizer::Bare(_) => None,
            Optimizer::Lookahead(lookahead) => Some(lookahead),
        }
    }

    /// Inner steps since the last sync; 0 without Lookahead.
    pub fn phase(&self) -> u64 {
        match self {
            Optimizer::Bare(_) => 0,
            Optimizer::Lookahead(lookahead) => lookahead.phase(),
        }
    }

    /// Sets the learning rate.
    ///
    /// # Errors
    /// What the optimizer refuses.
    pub fn set_learning_rate(&mut self, lr: f64) -> lookahead_core::Result<()> {
        match self {
            Optimizer::Bare(inner) => inner.set_learning_rate(lr),
            Optimizer::Lookahead(lookahead) => lookahead.set_lr(lr),
        }
    }

    /// Sets the weight decay.
    ///
    /// # Errors
    /// What the optimizer refuses.
    pub fn set_weight_decay(&mut self, weight_decay: f64) -> lookahead_core::Result<()> {
        match self {
            Optimizer::Bare(inner) => inner.set_weight_decay(weight_decay),
            Optimizer::Lookahead(lookahead) => lookahead.set_weight_decay(weight_decay),
        }
    }

    /// All that decides the next steps apart from the model's variables.
    ///
    /// # Errors
    /// What the optimizer refuses.
    pub fn state(&mut self) -> lookahead_core::Result<State> {
        match self {
            Optimizer::Bare(inner) => inner.state(),
            Optimizer::Lookahead(lookahead) => lookahead.state(),
        }
    }

    /// As [`state`](Self::state), in the memory of an earlier state.
    ///
    /// # Errors
    /// What the optimizer refuses.
    pub fn state_into(&mut self, state: &mut State) -> lookahead_core::Result<()> {
        match self {
            Optimizer::Bare(inner) => inner.state_into(state),
            Optimizer::Lookahead(lookahead) => lookahead.state_into(state),
        }
    }

    /// Takes on a saved state.
    ///
    /// # Errors
    /// Where it does not fit; nothing is changed then.
    pub fn load_state(&mut self, state: &State) -> lookahead_core::Result<()> {
        match self {
            Optimizer::Bare(inner) => inner.load_state(state),
            Optimizer::Lookahead(lookahead) => lookahead.load_state(state),
        }
    }
}
