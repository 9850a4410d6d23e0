//! **Lookahead** for any [`tch`] program: *k steps forward, 1 step back*.
//!
//! Lookahead (Zhang, Lucas, Hinton, Ba, 2019) trains with two sets of weights. An *inner
//! optimizer*, such as SGD or Adam, moves the *fast weights* θ, which are the model's own
//! variables. After every `k` of its steps the *slow weights* φ go a part `α` of the way to them,
//! φ ← φ + α(θ − φ), and θ restarts from φ. The final model is φ.
//!
//! ```
//! use lookahead_core::{Lookahead, fused};
//! use tch::{Device, Kind, Tensor, nn, nn::Module};
//!
//! tch::manual_seed(0);
//! let vs = nn::VarStore::new(Device::cuda_if_available());
//! let net = nn::linear(vs.root(), 4, 3, Default::default());
//! # let x = Tensor::randn([32, 4], (Kind::Float, vs.device()));
//! # let y = Tensor::randint(3, [32], (Kind::Int64, vs.device()));
//! let mut opt = Lookahead::builder(fused::sgd(0.9, 0., 0., false)).k(5).alpha(0.5).build(&vs, 0.1)?;
//! for _ in 0..100 {
//!     opt.backward_step(&net.forward(&x).cross_entropy_for_logits(&y))?; // tch's own verbs
//! }
//! let accuracy = opt.with_slow_weights(|| net.forward(&x).accuracy_for_logits(&y))?;
//! opt.finish()?; // a last sync of the cycle so far; `vs` now holds φ
//! # assert!(f64::try_from(accuracy)? > 0.3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What to know
//!
//! * φ is made when the optimizer is built, so build it *after* loading weights. Weights that are
//!   loaded, moved or cast later are noticed at the next step: an error that names
//!   [`reset_slow_weights`](Lookahead::reset_slow_weights). After changing weights on purpose as a
//!   part of each step, such as clipping them, call
//!   [`accept_fast_weights`](Lookahead::accept_fast_weights).
//! * The first sync comes after the k-th step. [`step`](Lookahead::step) returns whether it synced;
//!   it is [`inner_step`](Lookahead::inner_step), then [`sync_if_due`](Lookahead::sync_if_due).
//! * Evaluate at φ with [`with_slow_weights`](Lookahead::with_slow_weights), which copies nothing.
//! * End with [`finish`](Lookahead::finish), which makes a last sync if the training ends inside a
//!   cycle and leaves the model at φ. [`discard_cycle`](Lookahead::discard_cycle) drops the cycle
//!   instead.
//! * With an equal learning rate Lookahead makes smaller net steps than its inner optimizer; it
//!   usually wants a larger one.
//! * k counts steps of the optimizer: with gradient accumulation not backward passes.
//! * Every trainable variable is synced, whether or not it had a gradient. Variables added later
//!   join at the next step, with slow weights equal to their first values. Frozen ones
//!   (`requires_grad` false) are left alone: θ stays, φ is θ from the next call on, and others may
//!   write to them. While all of several are frozen, as for an evaluation, none counts as frozen.
//!   Tied ones are one parameter.
//! * bfloat16 and half-precision weights have slow weights in single precision.
//! * NaN and infinity never reach φ: a sync that would bring them there is an error, unless another
//!   [`NonFinite`] policy is chosen.
//! * Buffers, such as batch normalization's running statistics, belong to θ. [`recalibrate`] and
//!   [`SlowWeights::recalibrate`] compute those of φ. Trained on a batch with one value per channel, such as
//!   a leftover batch of one row, they become NaN without an error of libtorch's:
//!   see [`fewest_values_per_channel`].
//! * Sparse gradients are for SGD without weight decay, and complex variables for SGD in one process; the
//!   rest is refused with the variable's name.
//!
//! # What can be chosen
//!
//! | | on the builder | while running |
//! |---|---|---|
//! | synchronization period k | [`k`](Builder::k), [`k_schedule`](Builder::k_schedule) | [`set_k`](Lookahead::set_k), [`set_k_schedule`](Lookahead::set_k_schedule) |
//! | slow step size α | [`alpha`](Builder::alpha), [`alpha_of_group`](Builder::alpha_of_group), [`alpha_schedule`](Builder::alpha_schedule) | [`set_alpha`](Lookahead::set_alpha), [`set_alpha_of_group`](Lookahead::set_alpha_of_group), [`set_alpha_schedule`](Lookahead::set_alpha_schedule) |
//! | α chosen at each sync | [`adaptive_alpha`](Builder::adaptive_alpha) | [`sync_with`](Lookahead::sync_with), [`alpha_used`](Lookahead::alpha_used) |
//! | the inner optimizer's moments at a sync: kept, reset, pulled back | [`momentum_policy`](Builder::momentum_policy) | |
//! | momentum in the outer step (DiLoCo, SlowMo) | [`outer_momentum`](Builder::outer_momentum) | |
//! | NaN and infinity: error, skip the step, roll back to φ | [`non_finite`](Builder::non_finite) | [`roll_back`](Lookahead::roll_back) |
//!
//! # Inner optimizers
//!
//! [`Lookahead::builder`] takes the configuration of any tch optimizer, such as [`tch::nn::Sgd`], or
//! one of [`fused`], which are the same optimizers on faster kernels, useful without Lookahead too.
//! [`Lookahead::around`] takes whatever implements [`InnerOptimizer`]: a Lookahead, which makes it
//! a nested one, or an optimizer of your own. `examples/ranger` in this crate's folder writes RAdam
//! on tensors and puts Lookahead around it. [`Lookahead::wrap`] takes a [`tch::nn::Optimizer`] that
//! is already built; it can't give its state.
//!
//! ```
//! use lookahead_core::{InnerOptimizer, Lookahead, fused};
//! # use tch::{Device, Kind, nn};
//! # let vs = nn::VarStore::new(Device::Cpu);
//! # let w = vs.root().ones("w", &[2]);
//! // k 5 inside k 30; all levels count the innermost steps.
//! let inner = Lookahead::builder(fused::AdamW::default()).k(5).build(&vs, 1e-3)?;
//! let mut outer = Lookahead::around(inner).k(30).alpha(0.8).build()?;
//! outer.backward_step(&w.square().sum(Kind::Float))?;
//! assert_eq!((outer.phase(), outer.inner().phase()), (1, 1));
//! # Ok::<(), lookahead_core::Error>(())
//! ```
//!
//! # Saving and resuming
//!
//! Save the model's variables *and* [`state`](Lookahead::state), which is plain named tensors and
//! numbers for whatever file format. To resume, load the variables, build the optimizer, then
//! [`load_state`](Lookahead::load_state): the training continues bit for bit, with the generator's
//! state from [`tch_ext::generator`] where there is dropout.
//!
//! ```
//! use lookahead_core::{Lookahead, State, fused};
//! # use tch::{Device, Kind, Tensor, nn};
//! # let folder = std::env::temp_dir().join(format!("lookahead-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! let build = |vs: &nn::VarStore| Lookahead::builder(fused::sgd(0.9, 0., 0., false)).build(vs, 0.1);
//! let vs = nn::VarStore::new(Device::Cpu);
//! let w = vs.root().ones("w", &[2]);
//! let mut opt = build(&vs)?;
//! opt.backward_step(&w.square().sum(Kind::Float))?;
//!
//! vs.save(folder.join("theta.safetensors"))?;
//! let State { tensors, integers, numbers } = opt.state()?;
//! let tensors: Vec<(&String, &Tensor)> = tensors.iter().collect();
//! Tensor::write_safetensors(&tensors, folder.join("state.safetensors"))?;
//! // … `integers` and `numbers` into a manifest of your own …
//!
//! let mut vs = nn::VarStore::new(Device::Cpu);
//! let v = vs.root().zeros("w", &[2]);
//! vs.load(folder.join("theta.safetensors"))?;
//! let mut resumed = build(&vs)?;
//! let tensors = Tensor::read_safetensors(folder.join("state.safetensors"))?.into_iter().collect();
//! resumed.load_state(&State { tensors, integers, numbers })?;
//! # std::fs::remove_dir_all(&folder)?;
//!
//! opt.backward_step(&w.square().sum(Kind::Float))?;
//! resumed.backward_step(&v.square().sum(Kind::Float))?;
//! assert_eq!(w, v);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it costs
//!
//! φ is one copy of the trainable parameters. Outer momentum is another, pulling moments back one of
//! each moment. A sync is one pass over φ and θ on the CPU, 16 bytes for an `f32` parameter, and before
//! it one over θ that looks for NaN; on CUDA it is two foreach operations, and the look reads one number
//! back. Nothing else is allocated in a step around the optimizers of tch, but where the foreach operations
//! meet half-precision weights or outer momentum: they need a temporary copy.
//!
//! # Where things are
//!
//! | item | what it is |
//! |---|---|
//! | [`Lookahead`], [`Builder`] | the optimizer and how it is put together |
//! | [`LookaheadConfig`], [`MomentumPolicy`], [`NonFinite`], [`Schedule`] | what can be chosen |
//! | [`SlowWeights`], [`recalibrate`] | φ standing in for θ, for evaluation |
//! | [`fewest_values_per_channel`] | whether a batch is too small for batch normalization |
//! | [`fused`] | tch's optimizers on faster kernels |
//! | [`TchOptimizer`] | any optimizer that tch can build, with its state |
//! | [`WrappedOptimizer`] | a [`tch::nn::Optimizer`] that is already built, without its state |
//! | [`InnerOptimizer`], [`Parameter`], [`Moment`], [`Curvature`], [`Variables`] | what an inner optimizer of your own is made of |
//! | [`State`] | what an optimizer remembers, as named tensors and numbers |
//! | [`Error`] | what can go wrong, in full sentences |
//! | [`distributed`], [`TransferDtype`], [`GradientAverage`] | the same training in several processes |
//! | [`tch_ext`] | what tch lacks and is not an optimizer: autocast, inference mode, generator state, memory format, … |
//!
//! Methods that only read a setting, or set one, have no example of their own; those of
//! [`Lookahead::set_alpha`] and [`Lookahead::steps`] stand for them.
//!
//! # Linking
//!
//! Every package with a program, test or example that reaches this crate needs a `build.rs`, since
//! tch can't pass on where libtorch is, and the linker drops a CUDA build of libtorch unless it is
//! told not to. Without one, a program builds and does not start: *libtorch_cpu.so: cannot open shared
//! object file*. This one has both right:
//!
//! ```no_run
//! // build.rs
//! fn main() {
//!     println!("cargo:rerun-if-changed=build.rs");
//!     let Ok(arguments) = std::env::var("DEP_LOOKAHEAD_CORE_LINK_ARGS") else {
//!         println!(
//!             "cargo::error=This package does not depend on lookahead-core directly, and cargo passes \
//!              link arguments to direct dependents only: add lookahead-core to its [dependencies]."
//!         );
//!         return;
//!     };
//!     for argument in arguments.split('\u{1f}') {
//!         println!("cargo:rustc-link-arg={argument}");
//!     }
//! }
//! ```
//!
//! Cargo sets the variable for packages that list `lookahead-core` under `[dependencies]` themselves, so a
//! program that reaches it through another crate lists it too.

// The example of a build.rs has one.
#![allow(clippy::needless_doctest_main)]

mod averaging;
mod builder;
mod config;
mod error;
mod inner;
mod lookahead;
mod mutation_detector;
mod range;
mod running_statistics;
mod schedule;
mod settings;
mod slow_moments;
mod state;
mod swapped_weights;
pub mod tch_ext;
mod tch_optimizer;
mod variables;
mod wrapped;

pub use averaging::GradientAverage;
pub use builder::{Builder, FromConfig, FromOptimizer};
pub use config::{LookaheadConfig, MomentumPolicy, NonFinite, TransferDtype};
pub use error::{Error, Result};
pub use inner::{Curvature, InnerOptimizer, Moment, Parameter};
pub use lookahead::Lookahead;
pub use lookahead::slow_weights::SlowWeights;
pub use lookahead_sys::sync::Path as SyncPath;
pub use lookahead_sys::{distributed, fused};
pub use range::check_learning_rate;
pub use running_statistics::{fewest_values_per_channel, recalibrate};
pub use schedule::Schedule;
pub use state::State;
pub use tch_optimizer::TchOptimizer;
pub use variables::Variables;
pub use wrapped::WrappedOptimizer;
