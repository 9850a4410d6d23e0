//! **Lookahead** for any [`tch`] program: *k steps forward, 1 step back*.
//!
//! Lookahead (Zhang, Lucas, Hinton, Ba, 2019) trains with two sets of weights. An *inner optimizer*, SGD or Adam
//! for example, moves the *fast weights* θ, the model's own variables. After every `k` of its steps the *slow
//! weights* φ move a fraction `α` of the way to them, φ ← φ + α(θ − φ), and θ restarts from φ. The final model is φ.
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
//!     opt.backward_step(&net.forward(&x).cross_entropy_for_logits(&y))?; // tch's own methods
//! }
//! let accuracy = opt.with_slow_weights(|| net.forward(&x).accuracy_for_logits(&y))?;
//! opt.finish()?; // a last sync if needed; `vs` now holds φ
//! # assert!(f64::try_from(accuracy)? > 0.3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What to know
//!
//! * φ is a copy made when the optimizer is built, so build it *after* loading weights. Weights that are loaded,
//!   moved or cast later are an error at the next step, until you call
//!   [`reset_slow_weights`](Lookahead::reset_slow_weights). If each step of the training changes the weights, for
//!   example by clipping, call [`accept_fast_weights`](Lookahead::accept_fast_weights) after each change.
//! * The first sync comes after the k-th step. [`step`](Lookahead::step) returns whether it synced; it is
//!   [`inner_step`](Lookahead::inner_step), then [`sync_if_due`](Lookahead::sync_if_due).
//! * Evaluate at φ with [`with_slow_weights`](Lookahead::with_slow_weights), which copies nothing.
//! * End with [`finish`](Lookahead::finish), which syncs if the training ends inside a cycle and leaves the model
//!   at φ. [`discard_cycle`](Lookahead::discard_cycle) discards the cycle instead.
//! * At an equal learning rate Lookahead makes smaller net steps than its inner optimizer; it usually needs a
//!   larger one.
//! * k counts optimizer steps: with gradient accumulation ([`Accumulation`]), not backward passes.
//! * Every trainable variable is synced, even without a gradient. Variables added later join at the next step,
//!   with slow weights equal to their first values. Frozen ones (`requires_grad` false) are left alone: φ is θ,
//!   and other code may write to them. If all of several are frozen, for example during an evaluation, none counts
//!   as frozen. Tied weights are one parameter.
//! * bfloat16 and half-precision weights have slow weights in single precision. Their own steps and moments are as
//!   coarse as they are, unless they have [`MasterWeights`].
//! * NaN and infinity never reach φ: a sync that would bring them there fails, unless another [`NonFinite`] policy
//!   is chosen.
//! * Buffers, for example batch normalization's running statistics, belong to θ. [`recalibrate`] and
//!   [`SlowWeights::recalibrate`] compute those of φ, and
//!   [`interpolate_statistics`](Builder::interpolate_statistics) interpolates them with the weights. Training on a batch with one value per channel, for example a
//!   leftover batch of one row, silently makes them NaN: see [`fewest_values_per_channel`].
//! * Sparse gradients work with SGD without weight decay, and complex variables with SGD in one process. Everything
//!   else is refused with the variable's name.
//!
//! # Options
//!
//! | | on the builder | during training |
//! |---|---|---|
//! | synchronization period k | [`k`](Builder::k), [`k_schedule`](Builder::k_schedule) | [`set_k`](Lookahead::set_k), [`set_k_schedule`](Lookahead::set_k_schedule) |
//! | slow step size α | [`alpha`](Builder::alpha), [`alpha_of_group`](Builder::alpha_of_group), [`alpha_schedule`](Builder::alpha_schedule) | [`set_alpha`](Lookahead::set_alpha), [`set_alpha_of_group`](Lookahead::set_alpha_of_group), [`set_alpha_schedule`](Lookahead::set_alpha_schedule) |
//! | α chosen at each sync | [`adaptive_alpha`](Builder::adaptive_alpha) | [`sync_with`](Lookahead::sync_with), [`alpha_used`](Lookahead::alpha_used) |
//! | the inner optimizer's moments at a sync: kept, reset or pulled back | [`momentum_policy`](Builder::momentum_policy) | |
//! | momentum in the outer step (SNOO, DiLoCo, MuLoCo, SlowMo) | [`outer_momentum`](Builder::outer_momentum), [`outer_nesterov`](Builder::outer_nesterov), [`alpha_placement`](Builder::alpha_placement), [`restart_every`](Builder::restart_every) | |
//! | α above 1 without momentum | [`extrapolate`](Builder::extrapolate) | |
//! | options of a parameter group: learning rate, weight decay, momentum, frozen | [`group`](Builder::group) | [`set_lr_group`](Lookahead::set_lr_group), [`set_weight_decay_of_group`](InnerOptimizer::set_weight_decay_of_group), [`set_momentum_of_group`](InnerOptimizer::set_momentum_of_group), [`set_trainable`](TchOptimizer::set_trainable) |
//! | NaN and infinity: fail, skip the step, or roll back to φ | [`non_finite`](Builder::non_finite) | [`roll_back`](Lookahead::roll_back) |
//!
//! # Inner optimizers
//!
//! [`Lookahead::builder`] takes the configuration of a tch optimizer ([`tch::nn::Sgd`]) or of one in [`fused`]: the
//! same optimizers on faster kernels, useful without Lookahead too. [`Lookahead::around`] takes any
//! [`InnerOptimizer`]: a Lookahead, to nest them, or your own optimizer, for which a [`StepRule`] of some 20 lines is
//! enough; those in [`optimizers`] are such rules, with kernels of their own. [`Lookahead::wrap`] takes a
//! [`tch::nn::Optimizer`] that is already built; it can't give its state. The repository's `docs/optimizers.md` has
//! the formula, state, defaults and source of each, and when to use it.
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
//! Save the model's variables *and* the optimizer's [`state`](Lookahead::state), each in one call. To resume, load the
//! variables, build the optimizer, then call [`load_state`](Lookahead::load_state), which returns the settings of the
//! builder that it [replaced](Replaced) by those of the state. The training continues bit for bit; with dropout also save
//! the generator's state ([`tch_ext::generator`]). The two files belong together: write them to a new folder, and rename
//! that, if a crash between them would matter.
//!
//! ```
//! use lookahead_core::{Lookahead, State, fused};
//! # use tch::{Device, Kind, nn};
//! # let folder = std::env::temp_dir().join(format!("lookahead-doc-{}", std::process::id()));
//! # std::fs::create_dir_all(&folder)?;
//! let build = |vs: &nn::VarStore| Lookahead::builder(fused::sgd(0.9, 0., 0., false)).build(vs, 0.1);
//! let vs = nn::VarStore::new(Device::Cpu);
//! let w = vs.root().ones("w", &[2]);
//! let mut opt = build(&vs)?;
//! opt.backward_step(&w.square().sum(Kind::Float))?;
//!
//! vs.save(folder.join("theta.safetensors"))?;
//! opt.state()?.save(folder.join("state.safetensors"))?;
//!
//! let mut vs = nn::VarStore::new(Device::Cpu);
//! let v = vs.root().zeros("w", &[2]);
//! vs.load(folder.join("theta.safetensors"))?;
//! let mut resumed = build(&vs)?;
//! resumed.load_state(&State::load(folder.join("state.safetensors"))?)?;
//! # std::fs::remove_dir_all(&folder)?;
//!
//! opt.backward_step(&w.square().sum(Kind::Float))?;
//! resumed.backward_step(&v.square().sum(Kind::Float))?;
//! assert_eq!(w, v);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A state of another model, for example of one that has gained or lost a layer, is loaded by
//! [`load_partial`](Lookahead::load_partial), which returns what it has [taken](Taken).
//!
//! # What it costs
//!
//! φ is one copy of the trainable parameters, outer momentum another, pulling moments back one of each moment. On
//! the CPU a sync is one pass over φ and θ, 16 bytes per `f32` parameter, after one pass over θ that checks for NaN.
//! On CUDA it is two foreach operations, and the check reads one number back. A step allocates nothing else, except
//! temporary copies for foreach operations on half-precision weights or with outer momentum.
//!
//! # Contents
//!
//! | item | what it is |
//! |---|---|
//! | [`Lookahead`], [`Builder`] | the optimizer and its builder |
//! | [`LookaheadConfig`], [`AlphaPlacement`], [`MomentumPolicy`], [`NonFinite`], [`Preset`], [`Schedule`] | its options |
//! | [`LearningRateSchedule`], [`LearningRate`] | the learning rate over time: cosine, linear, one-cycle, … |
//! | [`Accumulation`] | one step from the gradients of several batches |
//! | [`SlowWeights`], [`recalibrate`] | the model at φ, for evaluation |
//! | [`fewest_values_per_channel`] | whether a batch is too small for batch normalization |
//! | [`PrimalAveraging`] with [`Primal`], [`PrimalMean`] | an average of each step from which the next gradient is computed: GPA, Schedule-Free |
//! | [`EmaNesterov`] with [`Extrapolation`], [`Nesterov`] | steps from a point ahead of the weights |
//! | [`TailAverage`] with [`TailMean`], [`Tail`]; [`WeightAverage`] | a mean of the weights beside the training |
//! | [`AveragedOptimizer`], [`AveragingRule`], [`ResultWeights`] | what these three share |
//! | [`fused`] | tch's optimizers on faster kernels |
//! | [`optimizers`] | Adagrad, Adan, cautious Adam, Lion, Muon, NAdam, RAdam, Ranger |
//! | [`TchOptimizer`] | any optimizer that tch can build, with its state |
//! | [`WrappedOptimizer`] | a [`tch::nn::Optimizer`] that is already built, without its state |
//! | [`MasterWeights`] | bfloat16 and half-precision weights, trained in single precision |
//! | [`StepRule`], [`ParameterStep`], [`RuleOptimizer`] | an inner optimizer of your own from the rule of its step |
//! | [`laws`] | a test for one |
//! | [`Composite`] | an optimizer for each of several parts of the parameters |
//! | [`GroupOptions`] | options of one parameter group |
//! | [`Variables`] | an optimizer's variables: all of a store or some of them, and their groups |
//! | [`InnerOptimizer`], [`Parameter`], [`Moment`], [`Curvature`] | what an inner optimizer is, if a rule for one parameter at a time is not enough |
//! | [`State`], [`Replaced`], [`Taken`] | an optimizer's state, as named tensors and numbers; what loading one, or a part of one, has replaced and taken |
//! | [`Error`] | what can go wrong |
//! | [`distributed`], [`TransferDtype`], [`GradientAverage`] | training in several processes, by the feature `distributed` |
//! | [`tch`](https://docs.rs/tch/0.26) | the crate that this one is written for |
//! | [`tch_ext`] | what tch lacks besides optimizers: autocast, inference mode, generator state, memory format, … |
//!
//! Functions that return a [`Result`] also fail if libtorch refuses; their documentation names only further errors.
//!
//! # Use it in your crate
//!
//! ```toml
//! [dependencies]
//! lookahead-core = "0.1" # tch comes with it, as `lookahead_core::tch`
//!
//! [build-dependencies]
//! lookahead-build = "0.1"
//! ```
//!
//! ```ignore
//! // build.rs
//! fn main() {
//!     lookahead_build::link();
//! }
//! ```
//!
//! The build needs a C++ compiler and libtorch 2.13.0:
//!
//! | where libtorch is | what to set |
//! |---|---|
//! | nowhere yet | the feature `download-libtorch`: tch downloads it for the CPU, or for CUDA with `TORCH_CUDA_VERSION=cu128` |
//! | in a folder with `lib` and `include` | `LIBTORCH=/that/folder` |
//! | in the PyTorch of the current Python | `LIBTORCH_USE_PYTORCH=1` |
//!
//! ## `libtorch_cpu.so: cannot open shared object file`
//!
//! The program was built but does not find libtorch when it starts.
//!
//! * The package of the program has no `build.rs` as above: tch can't pass on the path of libtorch. On the CPU, these do
//!   instead: `cargo run` and `cargo test` with the feature `download-libtorch`;
//!   `LD_LIBRARY_PATH=$LIBTORCH/lib`; or `rustflags = ["-Clink-arg=-Wl,-rpath,/that/folder/lib"]` under `[build]` in
//!   `.cargo/config.toml`. With CUDA the `build.rs` is needed: without it the linker drops CUDA.
//! * libtorch was moved or removed after the build: set `LIBTORCH` to where it is now, and build again.
//!
//! ## Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `distributed` | training in several processes: [`distributed`], [`Builder::workers`], [`GradientAverage`] |
//! | `images` | batches of images from their bytes: `tch_ext::images` |
//! | `torchscript` | TorchScript modules: `tch_ext::torchscript` |
//! | `serde` | settings that read and write as a table of a config file |
//! | `download-libtorch` | tch downloads libtorch while it is built, unless `LIBTORCH` names one |
//! | `doc-only` | builds without libtorch and without linking, for documentation |
//!
//! None is on by default.
//!
//! ## Versions
//!
//! tch 0.26 and libtorch 2.13.0. This crate reads a private field of tch's optimizer, its pointer to C++, and refuses to
//! compile if a version of tch lays it out differently; tch 0.25 and 0.27 are written for another libtorch. A program
//! has one version of tch: with `lookahead_core::tch` it is always the right one.

// The example build.rs has a `main`.
#![allow(clippy::needless_doctest_main)]

mod accumulation;
mod averaged;
#[cfg(feature = "distributed")]
mod averaging;
mod averaging_rule;
mod builder;
mod clipping;
mod composite;
mod config;
mod ema_nesterov;
mod error;
mod group_options;
mod inner;
pub mod laws;
mod learning_rate;
mod lookahead;
mod master_weights;
mod mutation_detector;
pub mod optimizers;
mod preset;
mod primal_averaging;
mod range;
mod replaced;
mod running_statistics;
mod schedule;
mod settings;
mod slot_keys;
mod slow_moments;
mod slow_statistics;
mod state;
mod step_rule;
mod swapped_weights;
mod tail_average;
mod taken;
pub mod tch_ext;
mod tch_optimizer;
mod variables;
mod wrapped;

pub use accumulation::Accumulation;
pub use averaged::{AveragedOptimizer, ResultWeights};
#[cfg(feature = "distributed")]
pub use averaging::GradientAverage;
pub use averaging_rule::AveragingRule;
pub use builder::{Builder, FromConfig, FromOptimizer};
pub use composite::{Composite, CompositeBuilder};
#[cfg(feature = "distributed")]
pub use config::TransferDtype;
pub use config::{AlphaPlacement, LookaheadConfig, MomentumPolicy, NonFinite};
pub use ema_nesterov::{EmaNesterov, Extrapolation, Nesterov};
pub use error::{Error, Result};
pub use group_options::GroupOptions;
pub use inner::{Curvature, InnerOptimizer, Moment, Parameter};
pub use learning_rate::{
    Anneal, DecayShape, LearningRate, LearningRateKind, LearningRateSchedule, SchedulePosition,
};
pub use lookahead::Lookahead;
pub use lookahead::norms::VariableNorms;
pub use lookahead::swap::SlowWeights;
#[cfg(feature = "distributed")]
pub use lookahead_sys::distributed;
pub use lookahead_sys::fused;
pub use lookahead_sys::sync::Path as SyncPath;
pub use master_weights::MasterWeights;
pub use preset::Preset;
pub use primal_averaging::{Primal, PrimalAveraging, PrimalMean};
pub use range::check_learning_rate;
pub use replaced::Replaced;
pub use running_statistics::{fewest_values_per_channel, recalibrate};
pub use schedule::Schedule;
pub use state::State;
pub use step_rule::{ParameterStep, RuleOptimizer, Step, StepRule};
pub use tail_average::{Tail, TailAverage, TailMean, WeightAverage};
pub use taken::Taken;
pub use tch_optimizer::TchOptimizer;
pub use variables::Variables;
pub use wrapped::WrappedOptimizer;

pub use tch;
