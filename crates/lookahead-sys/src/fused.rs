//! libtorch's optimizers, stepping by kernels that take all parameters together.
//!
//! Each is a configuration in the place of tch's of the same name, with the same fields and
//! defaults: `fused::Sgd` for [`nn::Sgd`]. The optimizers they build are libtorch's own classes with
//! another `step`, so that they have the same options, the same state, and, up to rounding, the
//! same results; tch's `set_lr` and the rest work on them. Adam and AdamW step by ATen's fused
//! kernels, SGD too on a GPU, and RMSprop by foreach operations there; on the CPU these two take one
//! parallel pass over all parameters. Sparse gradients, tensors that are not dense, and bfloat16
//! and half precision on the CPU go through libtorch's own step, and so does a parameter that is listed
//! twice; SGD's momentum of a sparse gradient is dense. Complex parameters are for SGD only. Unlike libtorch's own they leave a frozen parameter alone that still has a gradient.
//!
//! ```
//! use lookahead_sys::fused;
//! use tch::nn::{self, OptimizerConfig};
//!
//! let vs = nn::VarStore::new(tch::Device::Cpu);
//! let w = vs.root().ones("w", &[2]);
//! let mut opt = fused::Sgd::default().build(&vs, 0.1)?; // a tch::nn::Optimizer
//! opt.backward_step(&w.square().sum(tch::Kind::Float));
//! assert!((w.double_value(&[0]) - 0.8).abs() < 1e-6);
//! # Ok::<(), tch::TchError>(())
//! ```

use tch::{COptimizer, TchError, nn};

use crate::ffi::bridge;
use crate::optimizer::owner_of;

/// Stochastic gradient descent, in the place of [`nn::Sgd`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sgd {
    /// Momentum.
    pub momentum: f64,
    /// Damping of the momentum.
    pub dampening: f64,
    /// Weight decay.
    pub wd: f64,
    /// Nesterov's momentum.
    pub nesterov: bool,
}

/// [`Sgd`] with all settings, in the place of [`nn::sgd`].
pub fn sgd(momentum: f64, dampening: f64, wd: f64, nesterov: bool) -> Sgd {
    Sgd { momentum, dampening, wd, nesterov }
}

/// Settings of [`Adam`] and [`AdamW`], whose builder methods are [`nn::Adam`]'s.
macro_rules! adam_like {
    ($name:ident, $function:ident, $decay:expr, $build:path, $what:literal) => {
        #[doc = $what]
        #[derive(Debug, Clone, Copy, PartialEq)]
        pub struct $name {
            /// Decay of the first moment.
            pub beta1: f64,
            /// Decay of the second moment.
            pub beta2: f64,
            /// Weight decay.
            pub wd: f64,
            /// What is added to the denominator.
            pub eps: f64,
            /// Whether the maximum of the second moment is kept and used.
            pub amsgrad: bool,
        }

        impl Default for $name {
            fn default() -> Self {
                $function(0.9, 0.999, $decay)
            }
        }

        #[doc = concat!("[`", stringify!($name), "`] with these decays, in the place of [`nn::", stringify!($function), "`].")]
        pub fn $function(beta1: f64, beta2: f64, wd: f64) -> $name {
            $name { beta1, beta2, wd, eps: 1e-8, amsgrad: false }
        }

        impl $name {
            /// Sets the decay of the first moment.
            #[must_use]
            pub fn beta1(self, beta1: f64) -> Self {
                Self { beta1, ..self }
            }

            /// Sets the decay of the second moment.
            #[must_use]
            pub fn beta2(self, beta2: f64) -> Self {
                Self { beta2, ..self }
            }

            /// Sets the weight decay.
            #[must_use]
            pub fn wd(self, wd: f64) -> Self {
                Self { wd, ..self }
            }

            /// Sets what is added to the denominator.
            #[must_use]
            pub fn eps(self, eps: f64) -> Self {
                Self { eps, ..self }
            }

            /// Sets whether the maximum of the second moment is kept and used.
            #[must_use]
            pub fn amsgrad(self, amsgrad: bool) -> Self {
                Self { amsgrad, ..self }
            }
        }

        impl nn::OptimizerConfig for $name {
            fn build_copt(&self, lr: f64) -> Result<COptimizer, TchError> {
                let Self { beta1, beta2, wd, eps, amsgrad } = *self;
                built($build(lr, beta1, beta2, wd, eps, amsgrad))
            }
        }
    };
}

adam_like!(Adam, adam, 0.0, bridge::fused_adam, "Adam, in the place of [`nn::Adam`].");
adam_like!(
    AdamW,
    adamw,
    0.01,
    bridge::fused_adamw,
    "Adam with decoupled weight decay, in the place of [`nn::AdamW`]."
);

/// RMSprop, in the place of [`nn::RmsProp`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RmsProp {
    /// Decay of the mean squared gradient.
    pub alpha: f64,
    /// What is added to the denominator.
    pub eps: f64,
    /// Weight decay.
    pub wd: f64,
    /// Momentum.
    pub momentum: f64,
    /// Whether the mean gradient is subtracted.
    pub centered: bool,
}

impl Default for RmsProp {
    fn default() -> Self {
        rms_prop(0.99, 1e-8, 0.0, 0.0, false)
    }
}

/// [`RmsProp`] with all settings, in the place of [`nn::rms_prop`].
pub fn rms_prop(alpha: f64, eps: f64, wd: f64, momentum: f64, centered: bool) -> RmsProp {
    RmsProp { alpha, eps, wd, momentum, centered }
}

impl nn::OptimizerConfig for Sgd {
    fn build_copt(&self, lr: f64) -> Result<COptimizer, TchError> {
        let Sgd { momentum, dampening, wd, nesterov } = *self;
        built(bridge::fused_sgd(lr, momentum, dampening, wd, nesterov))
    }
}

impl nn::OptimizerConfig for RmsProp {
    fn build_copt(&self, lr: f64) -> Result<COptimizer, TchError> {
        let RmsProp { alpha, eps, wd, momentum, centered } = *self;
        built(bridge::fused_rmsprop(lr, alpha, eps, wd, momentum, centered))
    }
}

fn built(
    optimizer: Result<*mut bridge::Optimizer, cxx::Exception>,
) -> Result<COptimizer, TchError> {
    match optimizer {
        // SAFETY: the shim made the object with `new` for us alone.
        Ok(pointer) => Ok(unsafe { owner_of(pointer) }),
        Err(refused) => Err(TchError::Torch(refused.what().to_owned())),
    }
}

#[cfg(test)]
mod tests;
