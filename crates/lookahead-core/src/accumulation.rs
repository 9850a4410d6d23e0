//! One step from the gradients of several batches.

use tch::Tensor;

use crate::range::require;
use crate::{InnerOptimizer, Result};

/// Gradient accumulation: several backward passes for one step of the optimizer, for batches that don't fit into
/// memory at once.
///
/// A batch of n samples with the mean loss L is divided into micro-batches of nᵢ samples with the mean losses Lᵢ.
/// The gradients of (nᵢ / n) Lᵢ add up to that of L, whatever the sizes. What is not a mean over the samples of a
/// batch alone differs: batch normalization takes its statistics from each micro-batch, and a loss with class
/// weights divides by the weights of each.
///
/// ```
/// use lookahead_core::{Accumulation, InnerOptimizer, Lookahead, fused};
/// # use tch::{Device, Kind, Tensor, nn};
/// # let vs = nn::VarStore::new(Device::Cpu);
/// # let w = vs.root().zeros("w", &[2]);
/// # let inputs = Tensor::randn([20, 2], (Kind::Float, Device::Cpu));
/// let mut opt = Lookahead::builder(fused::sgd(0.9, 0., 0., false)).build(&vs, 0.1)?;
/// let mut step = Accumulation::new(20);
/// for batch in inputs.split(8, 0) {
///     // 8, 8 and 4 samples
///     let loss = (batch.matmul(&w) - 1.0).square().mean(Kind::Float);
///     if step.backward(&mut opt, &loss, batch.size()[0] as u64)? {
///         opt.clip_grad_norm(1.0)?;
///         opt.step()?;
///     }
/// }
/// assert_eq!(opt.steps(), 1);
/// assert_eq!(f64::try_from(step.loss().unwrap())?, 1.0); // the mean over all 20 samples
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Accumulation {
    samples: u64,
    /// Of the step that has begun.
    seen: u64,
    loss: Option<Tensor>,
}

impl Accumulation {
    /// For steps on `samples` samples each.
    pub fn new(samples: u64) -> Self {
        Accumulation { samples, seen: 0, loss: None }
    }

    /// Adds the gradients of a micro-batch of `samples` samples, whose mean loss is `loss`. The first of a step
    /// clears the optimizer's gradients. Returns whether the step's samples are complete: then step the optimizer.
    /// A step of one micro-batch is exactly a backward pass.
    ///
    /// # Errors
    /// [`Setting`](crate::Error::Setting) for no samples, or more than the step lacks; libtorch's for a loss that
    /// is not a scalar or has no graph. After an error of libtorch begin the step again with
    /// [`restart`](Self::restart).
    pub fn backward(
        &mut self,
        optimizer: &mut (impl InnerOptimizer + ?Sized),
        loss: &Tensor,
        samples: u64,
    ) -> Result<bool> {
        let done = if self.is_complete() { 0 } else { self.seen };
        let fits = samples >= 1 && samples <= self.samples - done;
        let allowed = "at least 1, and in all micro-batches of a step the number given to `new`";
        require(fits, "samples", samples as f64, allowed)?;
        if done == 0 {
            self.restart();
            optimizer.zero_grad()?;
        }
        let part = if samples == self.samples {
            loss.shallow_clone()
        } else {
            let share = Tensor::from(samples as f64 / self.samples as f64);
            loss.f_mul(&share.f_to_kind(loss.kind())?)?
        };
        part.f_backward()?;
        let part = part.f_detach()?;
        self.loss = Some(match self.loss.take() {
            Some(sum) => sum.f_add(&part)?,
            None => part,
        });
        self.seen = done + samples;
        Ok(self.is_complete())
    }

    /// Whether all samples of the step have been seen. The next micro-batch begins another step.
    pub fn is_complete(&self) -> bool {
        self.seen == self.samples
    }

    /// The mean loss of the step, once it is [complete](Self::is_complete), without its graph. Before that, the part
    /// of it that has been seen.
    pub fn loss(&self) -> Option<&Tensor> {
        self.loss.as_ref()
    }

    /// Forgets the micro-batches of a step that has begun.
    pub fn restart(&mut self) {
        self.seen = 0;
        self.loss = None;
    }
}

#[cfg(test)]
mod tests;
