//! libtorch's optimizers, stepping with kernels that take all parameters together.
//!
//! Each configuration replaces tch's of the same name, with the same fields and defaults: `fused::Sgd` for
//! [`nn::Sgd`]. They build subclasses of libtorch's own optimizers with another `step`, so options, state
//! and, up to rounding, results are the same, and tch's `set_lr` and the rest work on them.
//!
//! On the CPU a step is one parallel pass over all parameters. On a GPU, ATen's fused kernels take it, and RMSprop
//! uses foreach operations. libtorch's own step takes
//! over for sparse gradients, tensors that are not dense, bfloat16 and half precision on the CPU, and
//! parameters that are listed twice. SGD's momentum of a sparse gradient is dense. Complex parameters are
//! for SGD only. Unlike libtorch's own, these leave a frozen parameter alone even if it has a gradient.
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

use cxx::UniquePtr;
use tch::{COptimizer, TchError, nn};

use crate::ffi::bridge;
use crate::optimizer::owner_of;

/// Stochastic gradient descent; replaces [`nn::Sgd`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sgd {
    /// Momentum.
    pub momentum: f64,
    /// Dampening of the momentum.
    pub dampening: f64,
    /// Weight decay.
    pub wd: f64,
    /// Nesterov's momentum.
    pub nesterov: bool,
}

/// [`Sgd`] with all settings; replaces [`nn::sgd`].
pub fn sgd(momentum: f64, dampening: f64, wd: f64, nesterov: bool) -> Sgd {
    Sgd { momentum, dampening, wd, nesterov }
}

macro_rules! setter {
    ($field:ident: $type:ty, $what:literal) => {
        #[doc = $what]
        #[must_use]
        pub fn $field(self, $field: $type) -> Self {
            Self { $field, ..self }
        }
    };
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
            /// The term added to the denominator.
            pub eps: f64,
            /// Whether to keep and use the maximum of the second moment.
            pub amsgrad: bool,
        }

        impl Default for $name {
            fn default() -> Self {
                $function(0.9, 0.999, $decay)
            }
        }

        #[doc = concat!("[`", stringify!($name), "`] with these decays; replaces [`nn::", stringify!($function), "`].")]
        pub fn $function(beta1: f64, beta2: f64, wd: f64) -> $name {
            $name { beta1, beta2, wd, eps: 1e-8, amsgrad: false }
        }

        impl $name {
            setter!(beta1: f64, "Sets the decay of the first moment.");
            setter!(beta2: f64, "Sets the decay of the second moment.");
            setter!(wd: f64, "Sets the weight decay.");
            setter!(eps: f64, "Sets the term added to the denominator.");
            setter!(amsgrad: bool, "Sets whether to keep and use the maximum of the second moment.");
        }

        impl nn::OptimizerConfig for $name {
            fn build_copt(&self, lr: f64) -> Result<COptimizer, TchError> {
                let Self { beta1, beta2, wd, eps, amsgrad } = *self;
                built($build(lr, beta1, beta2, wd, eps, amsgrad))
            }
        }
    };
}

adam_like!(Adam, adam, 0.0, bridge::fused_adam, "Adam; replaces [`nn::Adam`].");
adam_like!(
    AdamW,
    adamw,
    0.01,
    bridge::fused_adamw,
    "Adam with decoupled weight decay; replaces [`nn::AdamW`]."
);

/// RMSprop; replaces [`nn::RmsProp`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RmsProp {
    /// Decay of the mean squared gradient.
    pub alpha: f64,
    /// The term added to the denominator.
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

/// [`RmsProp`] with all settings; replaces [`nn::rms_prop`].
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
    optimizer: Result<UniquePtr<bridge::Optimizer>, cxx::Exception>,
) -> Result<COptimizer, TchError> {
    optimizer.map(owner_of).map_err(|refused| TchError::Torch(refused.what().to_owned()))
}

#[cfg(test)]
mod tests;
