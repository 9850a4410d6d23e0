//! How a Lookahead is put together and checked.

use tch::nn;

use crate::lookahead::Lookahead;
use crate::{Error, InnerOptimizer, Result, TchOptimizer};

/// Settings of a [`Lookahead`] that is about to be built: k is 5 and α is 0.5 unless set, the
/// paper's values.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct Builder<Source> {
    source: Source,
    k: u64,
    alpha: f64,
}

/// An inner optimizer that is still a configuration.
#[derive(Debug, Clone)]
pub struct FromConfig<C>(pub(crate) C);

/// An inner optimizer that is built.
#[derive(Debug, Clone)]
pub struct FromOptimizer<O>(pub(crate) O);

impl<Source> Builder<Source> {
    pub(crate) fn new(source: Source) -> Self {
        Builder { source, k: 5, alpha: 0.5 }
    }

    /// Sets the synchronization period: inner steps between syncs, at least 1.
    pub fn k(mut self, k: u64) -> Self {
        self.k = k;
        self
    }

    /// Sets the slow step size, 0 < α ≤ 1: how far the slow weights go towards the fast ones at a
    /// sync. At 1 Lookahead is its inner optimizer, to the bit.
    pub fn alpha(mut self, alpha: f64) -> Self {
        self.alpha = alpha;
        self
    }

    fn check(&self) -> Result<()> {
        check_period(self.k)?;
        check_slow_step_size(self.alpha)
    }
}

impl<C: nn::OptimizerConfig> Builder<FromConfig<C>> {
    /// Builds the inner optimizer for the trainable variables of `vs`, and the slow weights as a
    /// copy of them as they are now.
    ///
    /// # Errors
    /// [`Period`](Error::Period), [`SlowStepSize`](Error::SlowStepSize) and
    /// [`LearningRate`](Error::LearningRate) for values out of range, or what libtorch says of the
    /// configuration.
    pub fn build(self, vs: &nn::VarStore, learning_rate: f64) -> Result<Lookahead<TchOptimizer>> {
        self.check()?;
        let inner = TchOptimizer::new(self.source.0, vs, learning_rate)?;
        Lookahead::from_parts(inner, self.k, self.alpha)
    }
}

impl<O: InnerOptimizer> Builder<FromOptimizer<O>> {
    /// Takes the inner optimizer, and the slow weights as a copy of its parameters as they are now.
    ///
    /// # Errors
    /// [`Period`](Error::Period) and [`SlowStepSize`](Error::SlowStepSize) for values out of range.
    pub fn build(self) -> Result<Lookahead<O>> {
        self.check()?;
        Lookahead::from_parts(self.source.0, self.k, self.alpha)
    }
}

pub(crate) fn check_period(k: u64) -> Result<()> {
    if k == 0 { Err(Error::Period(k)) } else { Ok(()) }
}

pub(crate) fn check_slow_step_size(alpha: f64) -> Result<()> {
    // Written so that NaN is refused as well.
    if alpha > 0.0 && alpha <= 1.0 { Ok(()) } else { Err(Error::SlowStepSize(alpha)) }
}
