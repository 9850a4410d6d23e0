//! One step of many parameters by a rule that libtorch lacks.
//!
//! On the CPU a step is one parallel pass over all parameters, or two if it is cautious, without temporaries: bfloat16 and half precision are
//! computed in single precision, and what is not dense, or not in its parameter's order, is copied first. On other devices
//! it is a fixed number of foreach operations for all parameters with equal numbers.
//!
//! The weights and slots of a parameter must have the same type, device and shape. After an error some may have changed.

use tch::Tensor;

use crate::Result;
use crate::ffi::bridge;
use crate::sync::Path;

pub use crate::ffi::bridge::{
    AdagradNumbers, AdanNumbers, CAdamNumbers, LionNumbers, NAdamNumbers, RAdamNumbers,
};

/// The tensors of one parameter.
#[derive(Debug, Clone, Copy)]
pub struct Tensors<'a> {
    /// The parameter itself.
    pub weights: &'a Tensor,
    /// Its gradient, which is not sparse.
    pub gradient: &'a Tensor,
    /// What the rule keeps for it.
    pub slots: &'a [Tensor],
}

type Refs = Vec<bridge::TensorRef>;

/// The tensors in one list, as C++ reads them, and the numbers in another.
fn listed<'a, N>(steps: impl IntoIterator<Item = (Tensors<'a>, N)>) -> (Refs, Vec<N>) {
    let (mut tensors, mut numbers) = (Vec::new(), Vec::new());
    for (Tensors { weights, gradient, slots }, own) in steps {
        let all = [weights, gradient].into_iter().chain(slots);
        tensors.extend(all.map(|tensor| bridge::TensorRef { tensor: tensor.as_ptr().cast() }));
        numbers.push(own);
    }
    (tensors, numbers)
}

macro_rules! step {
    ($name:ident, $numbers:ident, $step:ident, $what:literal) => {
        #[doc = $what]
        pub fn $name<'a>(
            steps: impl IntoIterator<Item = (Tensors<'a>, $numbers)>,
            path: Path,
        ) -> Result<()> {
            let (tensors, numbers) = listed(steps);
            Ok(bridge::$step(&tensors, &numbers, path.is_foreach())?)
        }
    };
}

step!(adagrad, AdagradNumbers, step_adagrad, "A step of Adagrad. Slots: the sum of squares.");
step!(
    adan,
    AdanNumbers,
    step_adan,
    "A step of Adan. Slots: the means of gradient, difference and square, and the previous gradient."
);
step!(
    cautious_adam,
    CAdamNumbers,
    step_cadam,
    "A step of cautious Adam. Slots: the means of gradient and square."
);
step!(lion, LionNumbers, step_lion, "A step of Lion. Slots: the mean gradient.");
step!(nadam, NAdamNumbers, step_nadam, "A step of NAdam. Slots: the means of gradient and square.");
step!(radam, RAdamNumbers, step_radam, "A step of RAdam. Slots: the means of gradient and square.");

#[cfg(test)]
mod tests;
