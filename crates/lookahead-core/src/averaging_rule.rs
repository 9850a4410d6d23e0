//! What one way of averaging keeps and does, beside an inner optimizer.

use std::fmt;

use tch::Tensor;

use crate::{Result, State, SyncPath};

/// A tensor that is kept for each parameter.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    /// Its part of the state.
    pub(crate) key: &'static str,
    /// Whether it is in single precision for weights in half precision. Otherwise it has their own type.
    pub(crate) wide: bool,
    /// Where it begins.
    pub(crate) begins: Begins,
}

/// Where a slot begins, and what becomes of it when a Lookahead around it sets other weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begins {
    /// At the weights. It restarts from others.
    Weights,
    /// At the weights. It stays when others are set.
    FirstWeights,
    /// At 0. It stays when others are set.
    Zero,
}

/// A parameter and what is kept for it.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// In the order of the rule's slots.
    pub(crate) slots: &'a [Tensor],
    /// The model's variable.
    pub(crate) model: &'a Tensor,
    /// Its parameter group.
    pub(crate) group: usize,
}

/// A way of averaging: what [`AveragedOptimizer`](crate::AveragedOptimizer) does after each step of its inner
/// optimizer. Only this crate implements it.
#[allow(private_interfaces)]
pub trait AveragingRule: fmt::Debug + Clone {
    /// What is kept for each parameter.
    #[doc(hidden)]
    const SLOTS: &'static [Slot];

    /// The slot with the result of the training.
    #[doc(hidden)]
    const RESULT: usize;

    /// The slot at which the inner optimizer steps; `None` for the model.
    #[doc(hidden)]
    const INNER_POINT: Option<usize>;

    /// Whether the inner optimizer makes the result, so that it ends its own cycle first.
    #[doc(hidden)]
    const ENDS_INNER: bool = false;

    /// Whether [`begin`](Self::begin) needs learning rates.
    #[doc(hidden)]
    fn needs_learning_rates(&self) -> bool {
        false
    }

    /// Prepares to average step `step`, counted from 1, which was taken with these learning rates of the groups.
    #[doc(hidden)]
    fn begin(&mut self, step: u64, learning_rates: &[f64]);

    /// Averages, and returns whether all weights were finite. Those that are not reach no slot.
    #[doc(hidden)]
    fn average(&self, parts: &[Part<'_>], path: SyncPath) -> Result<bool>;

    /// Whether the model was moved away from where the inner optimizer left it.
    #[doc(hidden)]
    fn moves_model(&self) -> bool {
        false
    }

    /// What the model holds between two steps; `None` if only the inner optimizer moves it.
    #[doc(hidden)]
    fn model(&self, slots: &[Tensor]) -> Result<Option<Tensor>>;

    /// The model was set to other weights, from which it restarts.
    #[doc(hidden)]
    fn restart(&mut self) {}

    /// Adds what the next steps depend on besides the slots.
    #[doc(hidden)]
    fn save(&self, state: &mut State);

    /// This rule with what [`save`](Self::save) wrote.
    #[doc(hidden)]
    fn loaded(&self, state: &State) -> Result<Self>;

    /// Whether [`save`](Self::save) writes an entry of this name.
    #[doc(hidden)]
    fn has_entry(&self, key: &str) -> bool;
}
