//! Inner optimizers: `[optimizer]`.
//!
//! | module | what is in it |
//! |---|---|
//! | [`optimizer`] | an inner optimizer alone, or Lookahead around it |
//! | [`kind`] | a kind of inner optimizer, as `optimizer.kind` selects it |
//! | `groups` | a composite of optimizers for `[[optimizer.group]]` |
//! | [`sgd`] | stochastic gradient descent |
//! | [`adam`] | Adam and AdamW |
//! | [`rmsprop`] | RMSprop |
//! | [`adagrad`] | Adagrad |
//! | [`adan`] | Adan |
//! | [`lion`] | Lion |
//! | [`muon`] | Muon for the matrices, AdamW for the rest |
//! | [`nadam`] | NAdam |
//! | [`radam`] | RAdam |
//!
//! To add an optimizer, add a file here with a type for its keys and a function that builds an
//! [`InnerOptimizer`](lookahead_core::InnerOptimizer), and a line in
//! [`Registry::builtin`](crate::registry::Registry::builtin).

pub mod adagrad;
pub mod adam;
pub mod adan;
pub(crate) mod groups;
pub mod kind;
pub mod lion;
pub mod muon;
pub mod nadam;
pub mod optimizer;
pub mod radam;
pub mod rmsprop;
pub mod sgd;

pub use kind::OptimizerContext;
pub use optimizer::Optimizer;

#[cfg(test)]
mod tests;
