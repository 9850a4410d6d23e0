//! A hook that clips gradients, and counts how often it had to.

use lookahead_trainer::event::RunEnded;
use lookahead_trainer::{Hook, HookContext};
use tch::Tensor;

/// Scales the gradients down if their norm, over all parameters, is above a limit.
#[derive(Debug)]
pub struct ClipGradients {
    limit: f64,
    /// Steps whose gradients were clipped. Checkpoints hold it, so that a resumed run counts on.
    clipped: u64,
}

impl ClipGradients {
    /// Clips to this norm.
    pub fn new(limit: f64) -> Self {
        ClipGradients { limit, clipped: 0 }
    }
}

impl Hook for ClipGradients {
    fn name(&self) -> &'static str {
        "clip"
    }

    fn after_backward(&mut self, context: &mut HookContext<'_>) -> anyhow::Result<()> {
        let gradients =
            context.optimizer.parameters().iter().map(|parameter| parameter.tensor.grad());
        let gradients: Vec<Tensor> = gradients.filter(Tensor::defined).collect();
        let norms: Vec<Tensor> = gradients.iter().map(Tensor::norm).collect();
        let norm = f64::try_from(Tensor::f_stack(&norms, 0)?.f_norm()?)?;
        if norm > self.limit {
            self.clipped += 1;
            for mut gradient in gradients {
                let _ = gradient.f_mul_(&Tensor::from(self.limit / norm))?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, context: &mut HookContext<'_>, _: &mut RunEnded) {
        let message = format!("The gradients of {} steps were clipped.", self.clipped);
        context.note(message);
    }

    fn state(&self) -> Option<serde_json::Value> {
        Some(self.clipped.into())
    }

    fn restore(&mut self, state: serde_json::Value) -> anyhow::Result<()> {
        self.clipped = serde_json::from_value(state)?;
        Ok(())
    }
}
