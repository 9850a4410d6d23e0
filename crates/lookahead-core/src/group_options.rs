//! Options of one parameter group.

use crate::range::{check_learning_rate, check_momentum, check_weight_decay};
use crate::{InnerOptimizer, Result};

/// Options of a parameter group that differ from the optimizer's own. What is not set stays as it is.
///
/// A variable's group is that of its path ([`set_group`](tch::nn::Path::set_group)), or the one that
/// [`Variables::group_by`](crate::Variables::group_by) assigns. Without weight decay on biases and norms, which are the
/// variables of one dimension:
///
/// ```
/// use lookahead_core::{GroupOptions, InnerOptimizer, Lookahead, Variables, fused};
/// use tch::{Device, nn};
///
/// let vs = nn::VarStore::new(Device::Cpu);
/// let _ = nn::linear(vs.root(), 4, 2, Default::default());
/// let variables = Variables::new(&vs).group_by(|p| usize::from(p.tensor.dim() <= 1));
/// let mut opt = Lookahead::builder(fused::AdamW::default())
///     .group(1, GroupOptions::new().weight_decay(0.0))
///     .alpha_of_group(1, 0.8)
///     .build(variables, 1e-3)?;
/// opt.set_weight_decay_of_group(0, 0.05)?; // while running
/// assert_eq!(opt.state()?.numbers["inner/adamw/weight_decay/1"], 0.0);
/// # Ok::<(), lookahead_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[must_use]
pub struct GroupOptions {
    learning_rate: Option<f64>,
    weight_decay: Option<f64>,
    momentum: Option<f64>,
    trainable: Option<bool>,
}

impl GroupOptions {
    /// None set.
    pub fn new() -> Self {
        GroupOptions::default()
    }

    /// Sets the learning rate.
    pub fn learning_rate(self, learning_rate: f64) -> Self {
        GroupOptions { learning_rate: Some(learning_rate), ..self }
    }

    /// Sets the weight decay.
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        GroupOptions { weight_decay: Some(weight_decay), ..self }
    }

    /// Sets the momentum; of Adam and AdamW β₁.
    pub fn momentum(self, momentum: f64) -> Self {
        GroupOptions { momentum: Some(momentum), ..self }
    }

    /// Sets whether the group is trained: see [`TchOptimizer::set_trainable`](crate::TchOptimizer::set_trainable).
    pub fn trainable(self, trainable: bool) -> Self {
        GroupOptions { trainable: Some(trainable), ..self }
    }

    pub(crate) fn check(&self) -> Result<()> {
        self.learning_rate.map_or(Ok(()), check_learning_rate)?;
        self.weight_decay.map_or(Ok(()), check_weight_decay)?;
        self.momentum.map_or(Ok(()), check_momentum)
    }

    /// Sets all but [`trainable`](Self::trainable), which it returns, in a group that exists.
    pub(crate) fn apply(
        self,
        optimizer: &mut impl InnerOptimizer,
        group: usize,
    ) -> Result<Option<bool>> {
        // The momentum first: some optimizers refuse it.
        if let Some(momentum) = self.momentum {
            optimizer.set_momentum_of_group(group, momentum)?;
        }
        if let Some(weight_decay) = self.weight_decay {
            optimizer.set_weight_decay_of_group(group, weight_decay)?;
        }
        if let Some(learning_rate) = self.learning_rate {
            optimizer.set_learning_rate_group(group, learning_rate)?;
        }
        Ok(self.trainable)
    }
}
