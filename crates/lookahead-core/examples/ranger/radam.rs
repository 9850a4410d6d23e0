//! RAdam: an inner optimizer that tch does not have, from the rule of its step.
//!
//! Reference: L. Liu, H. Jiang, P. He, W. Chen, X. Liu, J. Gao, J. Han, *On the Variance of the
//! Adaptive Learning Rate and Beyond*, ICLR 2020, Algorithm 2.

use lookahead_core::tch_ext::arithmetic::{lerp, scale};
use lookahead_core::{Result, Step, StepRule};
use tch::Tensor;

/// RAdam without weight decay.
#[derive(Debug)]
pub(crate) struct RAdam {
    beta1: f64,
    beta2: f64,
    eps: f64,
}

impl RAdam {
    /// With these decays of the first and the second moment; the paper's are 0.9 and 0.999.
    pub(crate) fn new(beta1: f64, beta2: f64) -> Self {
        RAdam { beta1, beta2, eps: 1e-8 }
    }
}

impl StepRule for RAdam {
    fn name(&self) -> &'static str {
        "radam"
    }

    fn slots(&self) -> Vec<&'static str> {
        vec!["exp_avg", "exp_avg_sq"]
    }

    fn second_moment(&self) -> Option<(&'static str, f64)> {
        Some(("exp_avg_sq", self.beta2))
    }

    fn step(
        &self,
        weights: &mut Tensor,
        gradient: &Tensor,
        slots: &mut [Tensor],
        step: Step,
    ) -> Result<()> {
        let [exp_avg, exp_avg_sq] = slots else { unreachable!("two slots") };
        lerp(exp_avg, gradient, 1.0 - self.beta1)?;
        lerp(exp_avg_sq, &gradient.f_square()?, 1.0 - self.beta2)?;

        let t = step.number as f64;
        let decayed = self.beta2.powf(t);
        let mut update = exp_avg.f_div(&Tensor::from(1.0 - self.beta1.powf(t)))?;
        // ρ is the present length of the second moment's average, ρ∞ its limit. Up to ρ = 5 its variance is
        // undefined, and the step does not use it.
        let rho_inf = 2.0 / (1.0 - self.beta2) - 1.0;
        let rho = rho_inf - 2.0 * t * decayed / (1.0 - decayed);
        if rho > 5.0 {
            let rectified =
                ((rho - 4.0) * (rho - 2.0) * rho_inf) / ((rho_inf - 4.0) * (rho_inf - 2.0) * rho);
            let denominator = exp_avg_sq.f_sqrt()?.f_add(&Tensor::from(self.eps))?;
            update = update.f_div(&denominator)?;
            scale(&mut update, (rectified * (1.0 - decayed)).sqrt())?;
        }
        scale(&mut update, step.learning_rate)?;
        let _ = weights.f_sub_(&update)?;
        Ok(())
    }
}
