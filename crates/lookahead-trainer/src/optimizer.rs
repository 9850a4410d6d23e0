//! The inner optimizer, `[optimizer]`, and Lookahead around it, `[lookahead]`.

use lookahead_core::{
    InnerOptimizer, Lookahead, LookaheadConfig, Parameter, State, TchOptimizer, fused,
};
use tch::{Tensor, nn};

use crate::config::optimizer::{OptimizerConfig, OptimizerKind};
use crate::distributed::WorkerGroup;

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
            (OptimizerKind::Sgd, true) => {
                fused::sgd(momentum, dampening, wd, nesterov).build_copt(lr)
            }
            (OptimizerKind::Sgd, false) => {
                nn::sgd(momentum, dampening, wd, nesterov).build_copt(lr)
            }
            (OptimizerKind::Adam, true) => {
                fused::Adam { beta1, beta2, wd, eps, amsgrad }.build_copt(lr)
            }
            (OptimizerKind::Adam, false) => {
                nn::Adam { beta1, beta2, wd, eps, amsgrad }.build_copt(lr)
            }
            (OptimizerKind::AdamW, true) => {
                fused::AdamW { beta1, beta2, wd, eps, amsgrad }.build_copt(lr)
            }
            (OptimizerKind::AdamW, false) => {
                nn::AdamW { beta1, beta2, wd, eps, amsgrad }.build_copt(lr)
            }
            (OptimizerKind::RmsProp, true) => {
                fused::RmsProp { alpha, eps, wd, momentum, centered }.build_copt(lr)
            }
            (OptimizerKind::RmsProp, false) => {
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
        workers: &WorkerGroup,
        vs: &nn::VarStore,
    ) -> lookahead_core::Result<Self> {
        let Some(config) = lookahead else {
            return Ok(Optimizer::Bare(TchOptimizer::new(inner, vs, inner.lr)?));
        };
        let mut builder = Lookahead::builder(inner).config(config.clone());
        if let Some((group, dtype)) = workers.averages_weights() {
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

    /// Whether the next [`sync_if_due`](Self::sync_if_due) syncs; never without Lookahead.
    pub fn sync_is_due(&self) -> bool {
        match self {
            Optimizer::Bare(_) => false,
            Optimizer::Lookahead(lookahead) => lookahead.sync_is_due(),
        }
    }

    /// The slow weights move, and the fast ones restart from them, if k inner steps have been taken since
    /// the last sync. False if not, or if θ went back to φ instead.
    ///
    /// # Errors
    /// What the optimizer refuses.
    pub fn sync_if_due(&mut self) -> lookahead_core::Result<bool> {
        match self {
            Optimizer::Bare(_) => Ok(false),
            Optimizer::Lookahead(lookahead) => lookahead.sync_if_due(),
        }
    }

    /// As [`sync_if_due`](Self::sync_if_due), at the end of a run, inside a cycle too.
    ///
    /// # Errors
    /// What the optimizer refuses.
    pub fn finish(&mut self) -> lookahead_core::Result<bool> {
        match self {
            Optimizer::Bare(_) => Ok(false),
            Optimizer::Lookahead(lookahead) => Lookahead::finish(lookahead),
        }
    }

    /// The Lookahead around the inner optimizer, where there is one.
    pub fn lookahead(&mut self) -> Option<&mut Lookahead<TchOptimizer>> {
        match self {
            Optimizer::Bare(_) => None,
            Optimizer::Lookahead(lookahead) => Some(lookahead),
        }
    }

    /// The synchronization period of the present cycle, and the one that was set for the next if it
    /// differs; none without Lookahead.
    pub fn k(&self) -> (Option<u64>, Option<u64>) {
        match self {
            Optimizer::Bare(_) => (None, None),
            Optimizer::Lookahead(lookahead) => (Some(lookahead.k()), lookahead.pending_k()),
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
