//! A training from its first step in this process to its last, with a record of how it ended.

use lookahead_run::event::{Event, RunEnded, Status};

use super::diverged::Diverged;
use super::hooks::Hooks;
use super::r#loop::train;
use super::setup::Training;
use crate::console::{self, eprint_line};
use crate::panics::caught;

/// Trains to the end, records how it ended, and passes a failure on.
pub fn run_to_the_end(training: &mut Training, hooks: &mut Hooks) -> anyhow::Result<()> {
    let outcome = caught(|| train(training, hooks));
    hooks.checkpoints.finish_writing(training, &mut hooks.events);
    let outcome = outcome.map_err(|error| advised(error, training, hooks));
    if outcome.as_ref().is_ok_and(|ended| ended.status == Status::Stopped) {
        console::hurry();
    }
    let (mut ended, last_words) = match &outcome {
        Ok(ended) => (ended.clone(), None),
        Err(error) => {
            let message = Some(format!("{error:#}"));
            let ended = RunEnded { message, ..RunEnded::new(Status::Failed) };
            (ended, save_after(error, training, hooks))
        }
    };
    hooks.finish(training, &mut ended);
    hooks.events.observer.record(training.step(), Event::RunEnded(ended));
    let logged = hooks.events.observer.finish();
    // What is left is to wait for readers.
    hooks.controls.saved();
    hooks.events.observer.close();
    last_words.into_iter().for_each(eprint_line);
    outcome?;
    logged
}

/// The error, with advice that fits the run.
fn advised(error: anyhow::Error, training: &Training, hooks: &Hooks) -> anyhow::Error {
    match error.downcast::<Diverged>() {
        Ok(diverged) => {
            let alone = training.workers().is_single();
            diverged.advise(training.config(), hooks.checkpoints.is_any_there(), alone).into()
        }
        Err(error) => error,
    }
}

/// Trains as one of several processes that keeps no record and no files: rank 0 does.
pub fn follow(mut training: Training) -> anyhow::Result<()> {
    let mut hooks = Hooks::follower(&training)?;
    run_to_the_end(&mut training, &mut hooks)?;
    training.workers().leave()
}

/// Tries to lose nothing of a training that failed, and says what came of it. The log, which may
/// be what failed, is not touched.
fn save_after(error: &anyhow::Error, training: &mut Training, hooks: &mut Hooks) -> Option<String> {
    // Without the others there is only a part of it.
    if error.is::<Diverged>() || training.step() == 0 || !training.workers().is_single() {
        return None;
    }
    let step = training.step();
    Some(match caught(|| hooks.rescue(training)) {
        Ok(name) => format!(
            "The training is saved as it stood at step {step}, in {name}: once the cause of the \
             failure is mended, go on with `lookahead resume`."
        ),
        Err(error) => format!(
            "The training could not be saved as it stood at step {step}: {error:#} `lookahead \
             resume` goes on from the newest checkpoint before, if there is one."
        ),
    })
}

/// Sentences for whoever runs it, as events.
pub fn warn(hooks: &mut Hooks, step: u64, messages: Vec<String>) {
    for message in messages {
        hooks.events.warn(step, message);
    }
}
