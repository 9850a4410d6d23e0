//! **Lookahead** for any [`tch`] program: *k steps forward, 1 step back*.
//!
//! Lookahead (Zhang, Lucas, Hinton, Ba, 2019) trains with two sets of weights. An *inner
//! optimizer*, such as SGD or Adam, moves the *fast weights* θ, which are the model's own
//! variables. After every `k` of its steps the *slow weights* φ go a part `α` of the way to them,
//! φ ← φ + α(θ − φ), and θ restarts from φ. The final model is φ.
//!
//! ```
//! use lookahead_core::Lookahead;
//! use tch::{Device, Kind, Tensor, nn, nn::Module};
//!
//! tch::manual_seed(0);
//! let vs = nn::VarStore::new(Device::cuda_if_available());
//! let net = nn::linear(vs.root(), 4, 3, Default::default());
//! # let x = Tensor::randn([32, 4], (Kind::Float, vs.device()));
//! # let y = Tensor::randint(3, [32], (Kind::Int64, vs.device()));
//! let mut opt = Lookahead::builder(nn::sgd(0.9, 0., 0., false)).k(5).alpha(0.5).build(&vs, 0.1)?;
//! for _ in 0..100 {
//!     opt.backward_step(&net.forward(&x).cross_entropy_for_logits(&y))?; // tch's own verbs
//! }
//! let accuracy = opt.with_slow_weights(|| net.forward(&x).accuracy_for_logits(&y))?;
//! opt.finish()?; // `vs` now holds φ
//! # assert!(f64::try_from(accuracy)? > 0.3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What to know
//!
//! * φ is made when the optimizer is built, so build it *after* loading weights. Weights that are
//!   loaded, moved or cast later are noticed at the next step: an error that names
//!   [`reset_slow_weights`](Lookahead::reset_slow_weights).
//! * The first sync comes after the k-th step. [`step`](Lookahead::step) tells whether it synced;
//!   it is [`inner_step`](Lookahead::inner_step), then [`sync_if_due`](Lookahead::sync_if_due).
//! * Evaluate at φ with [`with_slow_weights`](Lookahead::with_slow_weights); end with
//!   [`finish`](Lookahead::finish).
//! * With an equal learning rate Lookahead makes smaller net steps than its inner optimizer; it
//!   usually wants a larger one.
//! * To save a training, save the variables *and* [`state`](Lookahead::state). To go on, load the
//!   variables, build the optimizer, then [`load_state`](Lookahead::load_state): the training goes
//!   on bit for bit, with the generator's state from [`generator`] where there is dropout.
//! * Variables added later join at the next step, with slow weights equal to their first values.
//!   Frozen ones (`requires_grad` false) are left alone.
//! * Not there yet: α per parameter group, and resetting or pulling back the inner optimizer's
//!   momentum at a sync. Its state is kept.
//! * Buffers, such as batch normalization's running statistics, belong to θ.
//!
//! # Where things are
//!
//! | item | what it is |
//! |---|---|
//! | [`Lookahead`], [`Builder`] | the optimizer and how it is put together |
//! | [`SlowWeights`] | φ standing in for θ, for evaluation |
//! | [`TchOptimizer`] | any optimizer that tch can build, with its state |
//! | [`WrappedOptimizer`] | a [`tch::nn::Optimizer`] that somebody else built, without its state |
//! | [`InnerOptimizer`], [`Parameter`] | what to implement for an inner optimizer of your own |
//! | [`State`] | what an optimizer remembers, as named tensors and numbers |
//! | [`generator`], [`build`] | random-generator state, and which libtorch this is |
//!
//! # Linking
//!
//! tch programs must be told where libtorch is, and a CUDA build of libtorch is dropped by the
//! linker unless it is told not to. This crate knows the arguments: a dependent's `build.rs` that
//! prints each part of the variable `DEP_LOOKAHEAD_CORE_LINK_ARGS`, split at the character U+001F,
//! as `cargo:rustc-link-arg=…` has both right.

mod builder;
mod error;
mod inner;
mod lookahead;
mod schedule;
mod settings;
mod state;
mod tch_optimizer;
mod variables;
mod watch;
mod wrapped;

pub use builder::{Builder, FromConfig, FromOptimizer};
pub use error::{Error, Result};
pub use inner::{Curvature, InnerOptimizer, Moment, Parameter};
pub use lookahead::{Lookahead, SlowWeights, recalibrate};
pub use lookahead_sys::sync::Path as SyncPath;
pub use lookahead_sys::{build, fused, generator};
pub use schedule::Schedule;
pub use settings::{MomentumPolicy, NonFinite, OuterMomentum};
pub use state::State;
pub use tch_optimizer::TchOptimizer;
pub use variables::Variables;
pub use wrapped::WrappedOptimizer;
