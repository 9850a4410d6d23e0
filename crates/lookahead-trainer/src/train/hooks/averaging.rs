//! The mean of θ, step by step.

use crate::train::hook::{Hook, HookContext, InnerStep};

/// Adds θ to the mean after each step, if the run averages.
#[derive(Debug)]
pub(super) struct AveragingHook;

impl Hook for AveragingHook {
    fn name(&self) -> &'static str {
        "averaging"
    }

    fn after_inner_step(
        &mut self,
        context: &mut HookContext<'_>,
        _: &InnerStep,
    ) -> anyhow::Result<()> {
        match &mut context.average {
            Some(average) => average.update(&context.model.vs, context.state.step),
            None => Ok(()),
        }
    }
}
