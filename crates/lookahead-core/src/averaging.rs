//! Means over the processes that train together.

use std::sync::Arc;
use std::time::Duration;

use lookahead_sys::distributed::{Buckets, ProcessGroup};
use tch::Tensor;

use crate::Result;

/// What is kept from one averaging to the next.
#[derive(Debug, Default)]
pub(crate) struct Averaging {
    pub(crate) buckets: Buckets,
    /// How long the last one took.
    pub(crate) took: Duration,
    /// How far θ was from the mean.
    pub(crate) distance: Option<f64>,
}

/// Averages gradients over the processes that train together: data-parallel training, as PyTorch's
/// DistributedDataParallel does it, with one transfer of the model's size in every step. Call
/// [`average`](Self::average) between the backward pass and the step; all that comes after it, the look
/// for NaN included, is then the same on all ranks. Between GPUs it goes through NCCL once they have
/// agreed on that ([`ProcessGroup::agree_on_gpus`]).
///
/// ```
/// use std::sync::Arc;
/// use lookahead_core::distributed::ProcessGroup;
/// use lookahead_core::{GradientAverage, InnerOptimizer, TchOptimizer, fused};
/// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
/// # let w = vs.root().ones("w", &[2]);
///
/// let mut opt = TchOptimizer::new(fused::Sgd::default(), &vs, 0.1)?;
/// let mut gradients = GradientAverage::new(Arc::new(ProcessGroup::alone()));
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

    /// Puts the mean of all ranks' gradients in the place of this rank's, of all parameters that are
    /// trained, in the same order on all ranks; one without a gradient counts as zeros, and has one
    /// afterwards. `weight` is what this rank's counts in the mean: its share of the samples times the
    /// number of ranks, 1 where all have as many.
    ///
    /// # Errors
    /// As [`ProcessGroup::all_reduce`], and what libtorch says.
    pub fn average(&mut self, parameters: &[&Tensor], weight: f64) -> Result<()> {
        if self.group.is_alone() {
            return Ok(());
        }
        let _guard = tch::no_grad_guard();
        let mut gradients = Vec::with_capacity(parameters.len());
        for parameter in parameters.iter().filter(|parameter| parameter.requires_grad()) {
            let gradient = parameter.f_grad()?;
            if !gradient.defined() {
                lookahead_sys::tensor::set_gradient(parameter, &parameter.f_zeros_like()?)?;
            } else if gradient.is_sparse() {
                // The ranks have other rows, and the mean has those of all of them.
                let dense = gradient.f_to_dense(None, false)?;
                lookahead_sys::tensor::set_gradient(parameter, &dense)?;
            }
            gradients.push(parameter.f_grad()?);
        }
        let gradients: Vec<&Tensor> = gradients.iter().collect();
        self.buckets.mean(&self.group, &gradients, weight)?;
        self.buckets.put_into(&gradients)?;
        Ok(())
    }
}
