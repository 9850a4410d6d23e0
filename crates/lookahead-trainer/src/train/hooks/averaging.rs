//! The mean of θ, step by step, or of φ, sync by sync.

use crate::config::averaging::AveragedWeights;
use crate::train::hook::{Hook, HookContext, InnerStep};

/// Adds θ to the mean after each step, or φ after each sync, if the run averages.
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
        add(context, AveragedWeights::Fast)
    }

    fn after_sync(&mut self, context: &mut HookContext<'_>, _last: bool) -> anyhow::Result<()> {
        add(context, AveragedWeights::Slow)
    }
}

fn add(context: &mut HookContext<'_>, weights: AveragedWeights) -> anyhow::Result<()> {
    match &mut context.average {
        Some(average) => average.update(&context.model.vs, context.state.step, weights),
        None => Ok(()),
    }
}
