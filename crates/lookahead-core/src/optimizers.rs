//! Inner optimizers beside libtorch's own, each a [`StepRule`](crate::StepRule) for [`RuleOptimizer`].
//!
//! | | a step goes along | slots |
//! |---|---|---|
//! | [`Adagrad`] | the gradient, divided by the root of the sum of all squared gradients | 1 |
//! | [`Adan`] | the mean gradient and the mean change of the gradient, divided by a root of a mean square | 4 |
//! | [`CautiousAdam`] | Adam's, without what the gradient opposes | 2 |
//! | [`Lion`] | the sign of a mean gradient | 1 |
//! | [`Muon`] | the mean gradient of a matrix, orthogonalized | 1 |
//! | [`NAdam`] | Adam's, with Nesterov's momentum | 2 |
//! | [`RAdam`] | Adam's, once the mean square can be trusted | 2 |
//!
//! [`ranger`] is RAdam with Lookahead around it.
//!
//! ```
//! use lookahead_core::optimizers::Lion;
//! use lookahead_core::{InnerOptimizer, Lookahead, RuleOptimizer};
//! # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
//! # let w = vs.root().ones("w", &[2]);
//! let mut lion = RuleOptimizer::new(Lion::default().beta1(0.95), &vs, 1e-3)?;
//! lion.set_weight_decay(0.1)?;
//! let mut opt = Lookahead::around(lion).k(5).build()?;
//! opt.backward_step(&w.square().sum(tch::Kind::Float))?;
//! assert!((w.double_value(&[0]) - (1.0 - 1e-4 - 1e-3)).abs() < 1e-6);
//! # Ok::<(), lookahead_core::Error>(())
//! ```
//!
//! # What holds for all
//!
//! θ are the weights, g is the gradient, γ the learning rate, λ the weight decay, and t the number of the parameter's own
//! step, from 1. Learning rate and weight decay are those of [`RuleOptimizer`]; the default of λ is 0. λ is *decoupled* if a
//! step multiplies θ by 1 − γλ, and *L2* if it adds λθ to g.
//!
//! On the CPU a step is one pass over all parameters, two if it is cautious, without temporaries; on other devices it is a
//! fixed number of foreach operations for all parameters with equal settings and step numbers; Muon adds the products of
//! matrices. Slots have their parameter's element type, as in PyTorch. On the CPU steps of bfloat16 and half precision are computed in single precision, and only the results rounded.

use lookahead_sys::rules::Tensors;
use tch::nn;

use crate::range::{check_decay, check_single};

use crate::{
    Builder, FromOptimizer, Lookahead, ParameterStep, Preset, Result, RuleOptimizer, Step,
};

/// A method that sets a field.
macro_rules! setter {
    ($field:ident: $type:ty, $what:literal) => {
        #[doc = $what]
        #[must_use]
        pub fn $field(self, $field: $type) -> Self {
            Self { $field, ..self }
        }
    };
}

/// `StepRule::step` as a `StepRule::step_all` of one parameter.
macro_rules! step_as_all {
    () => {
        fn step(
            &self,
            weights: &mut tch::Tensor,
            gradient: &tch::Tensor,
            slots: &mut [tch::Tensor],
            step: $crate::Step,
        ) -> $crate::Result<()> {
            let gradient = gradient.shallow_clone();
            self.step_all(&mut [$crate::ParameterStep { weights, gradient, slots, step }])
        }
    };
}

mod adagrad;
mod adan;
mod cautious_adam;
mod lion;
pub mod muon;
mod nadam;
mod radam;

pub use adagrad::Adagrad;
pub use adan::Adan;
pub use cautious_adam::CautiousAdam;
pub use lion::Lion;
pub use muon::Muon;
pub use nadam::NAdam;
pub use radam::RAdam;

/// Ranger: [`RAdam::RANGER`], and Lookahead with k 6 and α 0.5, [`Preset::Ranger`], around it. The builder may still change
/// k and α.
///
/// L. Wright, *Ranger: a synergistic optimizer*, 2019, without its later gradient centralization.
///
/// ```
/// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
/// # let w = vs.root().ones("w", &[2]);
/// let mut opt = lookahead_core::optimizers::ranger(&vs, 1e-3)?.build()?;
/// opt.backward_step(&w.square().sum(tch::Kind::Float))?;
/// assert_eq!((opt.k(), opt.phase()), (6, 1));
/// # Ok::<(), lookahead_core::Error>(())
/// ```
///
/// # Errors
/// Those of [`RuleOptimizer::new`].
pub fn ranger(
    vs: &nn::VarStore,
    learning_rate: f64,
) -> Result<Builder<FromOptimizer<RuleOptimizer<RAdam>>>> {
    let radam = RuleOptimizer::new(RAdam::RANGER, vs, learning_rate)?;
    Ok(Lookahead::around(radam).config(Preset::Ranger.config()))
}

/// The parameters of a step as a kernel takes them, each with its numbers.
fn with_numbers<'a, N>(
    parameters: &'a [ParameterStep<'_>],
    mut numbers: impl FnMut(Step) -> N,
) -> Vec<(Tensors<'a>, N)> {
    let one = |parameter: &'a ParameterStep<'_>| {
        let ParameterStep { weights, gradient, slots, step } = parameter;
        (Tensors { weights, gradient, slots }, numbers(*step))
    };
    parameters.iter().map(one).collect()
}

/// The factor of the weights before the step, and what is added to the gradient as a multiple of them.
fn decay(decoupled: bool, step: Step) -> (f64, f64) {
    if decoupled {
        (1.0 - step.learning_rate * step.weight_decay, 0.0)
    } else {
        (1.0, step.weight_decay)
    }
}

fn check_beta(key: &'static str, beta: f64) -> Result<()> {
    check_decay(key, beta, "at least 0 and below 1, in single precision too")
}

fn check_eps(eps: f64) -> Result<()> {
    check_single("eps", eps)
}

#[cfg(test)]
mod tests;
