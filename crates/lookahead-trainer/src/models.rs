//! Models: `[model]`.
//!
//! | module | what is in it |
//! |---|---|
//! | [`model`] | a network with its variables, and what its results come to |
//! | [`registry`] | the kinds of models that are built in |
//! | [`network`] | what every model is, and parts that several have |
//! | [`mlp`] | fully connected layers |
//! | [`cnn`] | 3×3 convolutions with pooling, then fully connected layers |
//! | [`resnet`] | residual networks of basic blocks |
//! | `pointwise` | convolutions whose kernel is one pixel, with a stride |
//! | [`lstm`] | long short-term memory on symbols |
//! | [`transformer`] | a decoder-only transformer on symbols |
//! | [`quadratic`] | a point that looks for the minimum of a quadratic function |
//!
//! To add a model: a file beside these with a type for its options and a function that builds a [`Network`],
//! and a line in [`registry`].

pub mod cnn;
pub mod lstm;
pub mod mlp;
pub mod model;
pub mod network;
mod pointwise;
pub mod quadratic;
pub mod registry;
pub mod resnet;
pub mod transformer;

pub use model::{Model, Score};
pub use network::Network;
pub use registry::builtin;
