//! A run that stops early because it no longer improves: its result is the best model, not the last.

use lookahead_run::event::{Event, Reason, RunEnded, Split, Status, Weights};
use lookahead_run::format::count;
use lookahead_run::words::sentences;
use lookahead_run::{RunFolder, TrainingMetadata};
use serde_json::Value;

use super::diverged::refuse_loss;
use super::evaluation::{Evaluating, evaluate_with_workers};
use super::hooks::Hooks;
use super::setup::Training;
use super::state::TrainState;
use crate::checkpointing::restore::load_weights;
use crate::config::mutable_keys::value_at;

/// The step of the best model, if a checkpoint is the last one of a run that stopped early.
pub(crate) fn best_step(metadata: &TrainingMetadata) -> Option<u64> {
    let config = |key: &str| value_at(&metadata.config, key).and_then(Value::as_u64);
    let patience = config("train.patience").filter(|patience| *patience > 0)?;
    let all_taken = match config("train.max_steps") {
        Some(total) => metadata.step >= total,
        None => metadata.epoch >= config("train.epochs")?,
    };
    let state = TrainState::from_metadata(metadata).ok()?;
    let stopped = state.is_out_of_patience(patience) && !all_taken;
    state.best.at().filter(|_| stopped)
}

/// Tests the best model of a run that has stopped early, and returns how the run ended.
pub(super) fn finish(t: &mut Training, hooks: &mut Hooks) -> anyhow::Result<RunEnded> {
    let (patience, by) = (t.config.train.patience, t.objective.metric(t.config.train.best_by()));
    let best = t.state.best.value.zip(t.state.best.at());
    let tested = match best {
        Some((_, step)) => test_best(t, hooks, step)?,
        None => Tested::Lost,
    };
    if tested == Tested::Interrupted {
        return Ok(RunEnded::new(Status::Stopped));
    }
    let (name, s) = (&by.name, if patience == 1 { "" } else { "s" });
    let mut message =
        format!("no better validation {name} in {patience} evaluation{s} (`train.patience`)");
    if let Some((value, step)) = best {
        message += &format!("; the best is {} at step {}", by.format(value), count(step));
    }
    message += match tested {
        Tested::Done => ", whose model `eval` and `export` use",
        _ => "; its checkpoint can't be read, so `eval` and `export` use the last model",
    };
    Ok(RunEnded {
        status: Status::Finished,
        message: Some(message),
        reason: Some(Reason::EarlyStopping),
        best_step: t.state.best.at().filter(|_| tested == Tested::Done),
    })
}

/// The outcome of testing the best model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tested {
    Done,
    /// Its checkpoint can't be read.
    Lost,
    /// The run was requested to stop meanwhile.
    Interrupted,
}

/// Evaluates the checkpoint of the best model on test data. Warns if it can't be read.
fn test_best(t: &mut Training, hooks: &mut Hooks, step: u64) -> anyhow::Result<Tested> {
    // Another model: the training stays as it was saved.
    let model = t.registry.build_model(&t.config.model, &t.data.spec, t.device())?;
    let model = model.computing_as(&t.config.train)?;
    let last = t.config.final_weights();
    let both = [Weights::Fast, last];
    for weights in if last == Weights::Fast { &both[..1] } else { &both[..] } {
        let load = |folder: &RunFolder| -> anyhow::Result<()> {
            let (checkpoint, _) = folder.checkpoints().at_step(step)?;
            load_weights(&checkpoint.path, *weights == last, &model.vs)
        };
        // Rank 0 has the folder, and sends the weights to the others.
        let loaded = hooks.checkpoints.folder.as_ref().map_or(Ok(()), load);
        if t.workers.any(loaded.is_err())? {
            if let Err(error) = loaded {
                let message = format!(
                    "The best model, of step {step}, can't be tested. {}",
                    sentences(error.as_ref())
                );
                hooks.events.warn(t.state.step, message);
            }
            return Ok(Tested::Lost);
        }
        t.workers.broadcast_weights(&model.vs)?;
        let (samples, controls) = (&*t.data.test, &mut hooks.controls);
        let stop = || controls.stop_is_requested();
        let (objective, split) = (&t.objective, Split::Test);
        let evaluating = Evaluating { objective, model: &model, samples, split, clock: None };
        let found = evaluate_with_workers(&t.workers, evaluating, *weights, stop)?;
        let Some(mut found) = found else { return Ok(Tested::Interrupted) };
        found.model_step = Some(step);
        let loss = found.loss;
        hooks.events.record(t.state.step, Event::Evaluation(found));
        refuse_loss("The loss on the test set", loss, step, t.config.optimizer.lr)?;
    }
    Ok(Tested::Done)
}
