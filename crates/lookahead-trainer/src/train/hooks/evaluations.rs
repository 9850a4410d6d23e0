//! Evaluations of a run: of θ before a sync and of φ after it on validation data, and at the end on test
//! data. A request to stop does not wait for one: it is done after the resume.

use std::ops::ControlFlow::{self, Break, Continue};

use lookahead_run::event::{Evaluation, Event, Split, Weights};

use super::Hooks;
use super::timing::Phase;
use crate::controls::Controls;
use crate::models::Model;
use crate::train::evaluation::{Evaluating, evaluate_with_workers};
use crate::train::hook::HookContext;
use crate::train::recalibration::recalibrate;
use crate::train::setup::Training;
use crate::train::state::PendingEvaluation;

/// The result, or none if the split is empty or there are no such weights; `Break` if the run was requested to
/// stop meanwhile.
pub(crate) type EvalResult = ControlFlow<(), Option<Evaluation>>;

impl Hooks {
    /// Evaluates θ after a step and before its sync, if that is due. `Break` if the run is requested to stop.
    pub(crate) fn evaluate_fast(&mut self, t: &mut Training) -> anyhow::Result<ControlFlow<()>> {
        if t.state.pending != PendingEvaluation::Both {
            return Ok(Continue(()));
        }
        if self.test_fast(t)?.is_break()
            || self.evaluate(t, Split::Validation, Weights::Fast)?.is_break()
        {
            return Ok(Break(()));
        }
        t.state.pending = PendingEvaluation::Slow;
        Ok(Continue(()))
    }

    /// Evaluates the final model, unless that is θ, after a step and its sync, if that is due. `Break` if the
    /// run is requested to stop.
    pub(crate) fn evaluate_slow(&mut self, t: &mut Training) -> anyhow::Result<ControlFlow<()>> {
        if t.state.pending != PendingEvaluation::Slow {
            return Ok(Continue(()));
        }
        let weights = t.config.final_weights();
        // An evaluation that is there only because the run ends is that of φ after the last sync.
        let comes_again = t.state.step == t.total_steps && t.lacks_final_sync();
        if weights != Weights::Fast
            && (!comes_again || t.state.is_regular_evaluation(&t.config.train))
            && self.evaluate(t, Split::Validation, weights)?.is_break()
        {
            return Ok(Break(()));
        }
        t.state.pending = PendingEvaluation::None;
        Ok(Continue(()))
    }

    /// Evaluates θ on test data after the last step, before its sync makes it φ.
    pub(crate) fn test_fast(&mut self, t: &mut Training) -> anyhow::Result<ControlFlow<()>> {
        if t.state.step < t.total_steps || t.optimizer.lookahead().is_none() {
            return Ok(Continue(()));
        }
        Ok(self.evaluate(t, Split::Test, Weights::Fast)?.map_continue(|found| {
            self.fast_test_loss = found.map(|found| found.loss);
        }))
    }

    /// Evaluates one set of weights on one split, and records the result.
    pub(crate) fn evaluate(
        &mut self,
        t: &mut Training,
        split: Split,
        weights: Weights,
    ) -> anyhow::Result<EvalResult> {
        let mut context = t.context(&mut self.events);
        let found = measure(&mut context, &mut self.controls, split, weights)?;
        self.deliver_events(t)?;
        Ok(found)
    }
}

fn measure(
    context: &mut HookContext<'_>,
    controls: &mut Controls,
    split: Split,
    weights: Weights,
) -> anyhow::Result<EvalResult> {
    context.read_losses()?;
    context.events.observer.write();
    let HookContext { config, data, workers, model, objective, optimizer, average, events, .. } =
        context;
    let Some(samples) = data.split(split) else { return Ok(Continue(None)) };
    let _rest = events.step_clock.rest();
    events.timer.begin();
    let clock = Some(&events.step_clock);
    let mut evaluate = |model: &Model| {
        let stop = || controls.stop_is_requested();
        let evaluating = Evaluating { objective, model, samples, split, clock };
        let found = || evaluate_with_workers(workers, evaluating, weights, stop);
        if workers.is_single() || weights == Weights::Fast {
            found()
        } else {
            events.step_clock.part_begins(workers.share(samples.len()).len());
            workers.with_rank_zero_buffers(model, found)
        }
    };
    let found = match weights {
        Weights::Fast => evaluate(model)?,
        Weights::Average => match (optimizer.average(), average) {
            (Some(averaged), _) => averaged.with_result(|| evaluate(model))??,
            (None, Some(average)) => average.with(&model.vs, || evaluate(model))?,
            (None, None) => return Ok(Continue(None)),
        },
        Weights::Slow => {
            let Some(lookahead) = optimizer.lookahead() else { return Ok(Continue(None)) };
            let mut at_phi = lookahead.slow_weights()?;
            recalibrate(&mut at_phi, model, data, config)?;
            let found = evaluate(model)?;
            at_phi.end()?;
            found
        }
    };
    events.timer.end(Phase::Evaluation);
    let Some(found) = found else { return Ok(Break(())) };
    context.record(Event::Evaluation(found.clone()));
    Ok(Continue(Some(found)))
}
