//! Evaluations of a run: of θ before a sync and of φ after it, on validation data, and at the end on test
//! data. Whoever asks the run to stop does not wait for one: it is done after the resume.

use std::collections::BTreeMap;
use std::ops::ControlFlow::{self, Break, Continue};

use lookahead_run::event::{Evaluation, Event, Split, Weights};

use super::log::Events;
use super::timing::Phase;
use crate::controls::Controls;
use crate::models::Model;
use crate::train::best;
use crate::train::evaluation::evaluate_among;
use crate::train::recalibration::recalibrate;
use crate::train::setup::Training;
use crate::train::state::PendingEvaluation;

/// What was found, or nothing if the split is empty or there are no such weights; `Break` if the run was
/// asked to stop meanwhile.
pub(crate) type EvalResult = ControlFlow<(), Option<Evaluation>>;

/// Evaluates θ before the step's sync, if that is due.
///
/// # Errors
/// If an evaluation fails.
pub(super) fn before_sync(
    t: &mut Training,
    events: &mut Events,
    controls: &mut Controls,
) -> anyhow::Result<ControlFlow<()>> {
    if t.state.pending != PendingEvaluation::Both {
        return Ok(Continue(()));
    }
    if test_fast(t, events, controls)?.is_break() {
        return Ok(Break(()));
    }
    let Continue(found) = measure(t, events, controls, Split::Validation, Weights::Fast)? else {
        return Ok(Break(()));
    };
    if let (Some(found), Weights::Fast) = (found, t.final_weights()) {
        take_in(t, &found);
    }
    t.state.pending = PendingEvaluation::Slow;
    Ok(Continue(()))
}

/// Evaluates the final model, if it is not θ, after the step's sync, if that is due.
///
/// # Errors
/// If an evaluation fails.
pub(super) fn after_sync(
    t: &mut Training,
    events: &mut Events,
    controls: &mut Controls,
) -> anyhow::Result<ControlFlow<()>> {
    if t.state.pending != PendingEvaluation::Slow {
        return Ok(Continue(()));
    }
    let weights = t.final_weights();
    // An evaluation that is there only because the run ends is that of φ after the last sync.
    let comes_again = t.state.step == t.total_steps && t.lacks_final_sync();
    if weights != Weights::Fast && (!comes_again || t.is_regular_evaluation()) {
        let Continue(found) = measure(t, events, controls, Split::Validation, weights)? else {
            return Ok(Break(()));
        };
        if let Some(found) = found {
            take_in(t, &found);
        }
    }
    t.state.pending = PendingEvaluation::None;
    Ok(Continue(()))
}

/// Evaluates θ on test data after the last step, before its sync makes it φ.
///
/// # Errors
/// If the evaluation fails.
pub(crate) fn test_fast(
    t: &mut Training,
    events: &mut Events,
    controls: &mut Controls,
) -> anyhow::Result<ControlFlow<()>> {
    if t.state.step < t.total_steps || t.optimizer.lookahead().is_none() {
        return Ok(Continue(()));
    }
    Ok(measure(t, events, controls, Split::Test, Weights::Fast)?.map_continue(|found| {
        t.state.fast_test_loss = found.map(|found| found.loss);
    }))
}

/// Takes in what was found of the final model on validation data. An evaluation that is there only
/// because the run is at its end does not count for the best so far: a longer run would not have it.
fn take_in(t: &mut Training, found: &Evaluation) {
    t.state.metrics = Some((t.state.step, metrics(found)));
    if t.is_regular_evaluation() {
        t.state.best.take(t.config.train.best_by(), t.state.step, found);
    }
}

/// The values of an evaluation by their names in a manifest.
pub(crate) fn metrics(found: &Evaluation) -> BTreeMap<String, f64> {
    // A task without classes has no accuracy.
    let accuracy = Some((best::ACCURACY, found.accuracy)).filter(|(_, value)| !value.is_nan());
    let all = accuracy.into_iter().chain([(best::LOSS, found.loss)]);
    all.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Evaluates one set of weights on one split, and records what is found.
///
/// # Errors
/// If the evaluation fails.
pub(crate) fn measure(
    t: &mut Training,
    events: &mut Events,
    controls: &mut Controls,
    split: Split,
    weights: Weights,
) -> anyhow::Result<EvalResult> {
    events.read_losses(t)?;
    events.observer.write();
    let Training { optimizer, average, model, data, workers, state, config, .. } = t;
    let Some(samples) = data.split(split) else { return Ok(Continue(None)) };
    events.timer.begin();
    let mut evaluate = |model: &Model| {
        let stop = || controls.stop_is_requested();
        let found = || evaluate_among(workers, model, samples, split, weights, stop);
        if workers.is_single() || weights == Weights::Fast {
            found()
        } else {
            workers.with_rank_zero_buffers(model, found)
        }
    };
    let found = match weights {
        Weights::Fast => evaluate(model)?,
        Weights::Average => {
            let Some(average) = average else { return Ok(Continue(None)) };
            average.with(&model.vs, || evaluate(model))?
        }
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
    events.record(state.step, Event::Evaluation(found));
    Ok(Continue(Some(found)))
}
