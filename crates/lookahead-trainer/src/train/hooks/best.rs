//! The best evaluation so far.

use lookahead_run::event::{Event, Split};

use crate::train::best::metrics;
use crate::train::hook::{Hook, HookContext};
use crate::train::state::Metrics;

/// Keeps the metrics of the last evaluation of the final model on validation data, and the best so far.
#[derive(Debug)]
pub(super) struct BestHook;

impl Hook for BestHook {
    fn name(&self) -> &'static str {
        "best"
    }

    fn on_event(
        &mut self,
        context: &mut HookContext<'_>,
        step: u64,
        event: &Event,
    ) -> anyhow::Result<()> {
        let Event::Evaluation(found) = event else { return Ok(()) };
        let (config, state) = (context.config, &mut *context.state);
        if found.split != Split::Validation || found.weights != config.final_weights() {
            return Ok(());
        }
        state.metrics = Some(Metrics { step, values: metrics(found) });
        // An evaluation that is there only because the run ends does not count: a longer run would not have
        // it.
        if !state.final_sync && state.is_regular_evaluation(&config.train) {
            let by = context.objective.metric(config.train.best_by());
            state.best.update(&by, step, found);
        }
        Ok(())
    }
}
