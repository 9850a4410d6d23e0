//! Models: `[model]`.
//!
//! | module | what is in it |
//! |---|---|
//! | [`model`] | a network with its variables |
//! | `kind` | a kind of model, as `model.kind` selects it |
//! | `freeze` | parameters that keep their first values |
//! | [`network`] | the trait of all models, and parts that several share |
//! | [`mlp`] | fully connected layers |
//! | [`cnn`] | 3×3 convolutions with pooling, then fully connected layers |
//! | [`resnet`] | residual networks of basic blocks |
//! | `pointwise` | 1×1 convolutions with a stride |
//! | [`torchscript`] | a network that PyTorch scripted or traced |
//! | `trace` | a model as a TorchScript module |
//! | [`lstm`] | long short-term memory on characters |
//! | [`transformer`] | a decoder-only transformer on characters |
//! | [`quadratic`] | a point, for the minimum of a quadratic function |
//!
//! To add a model, add a file here with a type for its keys and a function that builds a [`Network`],
//! and a line in [`Registry::builtin`](crate::registry::Registry::builtin).

pub mod cnn;
pub(crate) mod freeze;
pub(crate) mod kind;
pub mod lstm;
pub mod mlp;
pub mod model;
pub mod network;
mod pointwise;
pub mod quadratic;
pub mod resnet;
pub mod torchscript;
pub(crate) mod trace;
pub mod transformer;

pub use model::Model;
pub use network::Network;
