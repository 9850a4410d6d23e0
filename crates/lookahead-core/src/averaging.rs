//! Means over the processes that train together.

use std::sync::Arc;

use lookahead_sys::distributed::{Buckets, ProcessGroup};
use lookahead_sys::tensor::set_gradient;
use tch::Tensor;

use crate::Result;

/// What is kept from one averaging of θ to the next.
#[derive(Debug, Default)]
pub(crate) struct Averaging {
    pub(crate) buckets: Buckets,
    /// How long the last one took.
    pub(crate) seconds: f64,
    /// How far θ was from the mean.
    pub(crate) distance: Option<f64>,
}

/// Averages gradients over the processes that train together: data-parallel training, like PyTorch's
/// DistributedDataParallel, with one transfer of the model's size per step. Call [`average`](Self::average)
/// between the backward pass and the step. Everything after it, including the check for NaN, is then equal on
/// all ranks. Between GPUs it uses NCCL once the ranks have agreed on it ([`ProcessGroup::agree_on_gpus`]).
///
/// ```
/// use std::sync::Arc;
/// use lookahead_core::distributed::ProcessGroup;
/// use lookahead_core::{GradientAverage, InnerOptimizer, TchOptimizer, fused};
/// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
/// # let w = vs.root().ones("w", &[2]);
///
/// let mut opt = TchOptimizer::new(fused::Sgd::default(), &vs, 0.1)?;
/// let mut gradients = GradientAverage::new(Arc::new(ProcessGroup::single()));
/// w.square().sum(tch::Kind::Float).backward();
/// gradients.average(&opt.parameters().iter().map(|p| &p.tensor).collect::<Vec<_>>(), 1.0)?;
/// opt.step()?;
/// # Ok::<(), lookahead_core::Error>(())
/// ```
#[derive(Debug)]
pub struct GradientAverage {
    group: Arc<ProcessGroup>,
    buckets: Buckets,
}

impl GradientAverage {
    /// For the processes of this group.
    pub fn new(group: Arc<ProcessGroup>) -> Self {
        GradientAverage { group, buckets: Buckets::default() }
    }

    /// Replaces the gradients of all trained parameters with their mean over the ranks. All ranks give the
    /// parameters in the same order. One without a gradient counts as zeros, and has one afterwards. `weight`
    /// is this rank's weight in the mean: its share of the samples times the number of ranks, 1 if all have
    /// the same number of samples.
    ///
    /// # Errors
    /// As [`ProcessGroup::all_reduce`].
    pub fn average(&mut self, parameters: &[&Tensor], weight: f64) -> Result<()> {
        if self.group.is_single() {
            return Ok(());
        }
        let _guard = tch::no_grad_guard();
        let mut gradients = Vec::with_capacity(parameters.len());
        for parameter in parameters.iter().filter(|parameter| parameter.requires_grad()) {
            let gradient = parameter.f_grad()?;
            if !gradient.defined() {
                set_gradient(parameter, &parameter.f_zeros_like()?)?;
            } else if gradient.is_sparse() {
                // Other ranks may have other rows.
                set_gradient(parameter, &gradient.f_to_dense(None, false)?)?;
            }
            gradients.push(parameter.f_grad()?);
        }
        let gradients: Vec<&Tensor> = gradients.iter().collect();
        self.buckets.mean(&self.group, &gradients, weight)?;
        self.buckets.copy_to(&gradients)?;
        Ok(())
    }
}
