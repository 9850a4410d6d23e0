//! The library's tests, in one program, so that libtorch is linked once.
//!
//! nextest runs each test in its own process; plain `cargo test` runs them one after another.

#[macro_use]
mod common;
#[path = "../../examples/ranger/main.rs"]
#[allow(dead_code, unused_imports)]
mod ranger_example;

mod averages;
mod clipping;
mod complex;
mod composite;
mod cuda;
mod ending;
mod evaluation;
mod groups;
mod inner_optimizers;
mod laws;
mod master_weights;
mod muon;
mod non_finite;
mod norms;
mod outer_step;
mod outer_theory;
mod packages;
mod partial;
mod peers;
mod policies;
mod properties;
mod ranger;
mod recalibration;
mod refusals;
mod resources;
mod resume;
mod scalars;
mod slow_step_size;
mod sparse;
mod states;
mod statistics;
mod tensors;
mod theory;
mod trajectories;
mod trajectory;
mod variables;
#[cfg(feature = "distributed")]
mod workers;
