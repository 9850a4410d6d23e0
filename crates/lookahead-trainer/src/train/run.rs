//! A training from its first step in this process to its last, and the record of its end.

use lookahead_run::RunFolder;
use lookahead_run::event::{Event, Reason, RunEnded, Status};

use lookahead_run::words::sentences;

use super::diverged::Diverged;
use super::hooks::Hooks;
use super::hooks::roll_back::StoppedByHook;
use super::r#loop::train;
use super::setup::Training;
use crate::alerts::StandIn;
use crate::console::{self, eprint_line};
use crate::hints;
use crate::panics::caught;

/// Trains to the end, and records how it ended.
///
/// # Errors
/// If the training fails.
pub(crate) fn run_to_the_end(
    training: &mut Training,
    hooks: &mut Hooks,
) -> anyhow::Result<RunEnded> {
    let mut stand_in = None;
    let outcome = caught(|| {
        let folder = hooks.checkpoints.folder.as_ref();
        stand_in = StandIn::share(training.workers(), folder, &training.config().alert)?;
        train(training, hooks)
    });
    hooks.events.step_clock.end();
    hooks.checkpoints.finish_writing(training, &mut hooks.events);
    let outcome = outcome.map_err(|error| with_advice(error, training, hooks));
    if outcome.as_ref().is_ok_and(|ended| ended.status == Status::Stopped) {
        console::shorten_patience();
    }
    let (mut ended, rescue) = match &outcome {
        Ok(ended) => (ended.clone(), None),
        Err(error) => {
            let message = Some(sentences(error.as_ref()));
            let reason = error.is::<StoppedByHook>().then_some(Reason::Watchdog);
            let ended = RunEnded { message, reason, ..RunEnded::new(Status::Failed) };
            (ended, save_after(error, training, hooks))
        }
    };
    hooks.finish(training, &mut ended);
    hooks.events.observer.record(training.step(), Event::RunEnded(ended));
    let logged = hooks.events.observer.finish();
    // From here on the process only waits for readers.
    hooks.controls.saved();
    hooks.events.observer.close();
    rescue.into_iter().for_each(eprint_line);
    if let (Err(error), Some(stand_in)) = (&outcome, stand_in)
        && training.workers().stands_in_for_rank_zero(error)
    {
        stand_in.alert(training.step(), sentences(error.as_ref()));
    }
    let ended = outcome?;
    logged.map(|()| ended)
}

/// Prints where the run is, and the command that resumes it if it was stopped.
pub(crate) fn print_place(folder: &RunFolder, ended: &RunEnded) {
    let path = folder.present_path();
    eprint_line(format_args!("Run folder: {}", path.display()));
    if ended.status == Status::Stopped {
        eprint_line(format_args!("Resume with: {}", hints::resume(&path)));
    }
}

/// The error, with advice that fits the run.
fn with_advice(error: anyhow::Error, training: &Training, hooks: &Hooks) -> anyhow::Error {
    match error.downcast::<Diverged>() {
        Ok(diverged) => diverged.advise(training.config(), hooks.checkpoints.is_any_there()).into(),
        Err(error) => error,
    }
}

/// Trains as a process other than rank 0, which keeps the record and the files.
pub(crate) fn follow(mut training: Training) -> anyhow::Result<()> {
    let mut hooks = Hooks::follower(&training)?;
    run_to_the_end(&mut training, &mut hooks)?;
    training.workers().leave()
}

/// Tries to save a training that failed, and returns the outcome as a sentence. The log is not touched, since it may
/// be what failed.
fn save_after(error: &anyhow::Error, training: &mut Training, hooks: &mut Hooks) -> Option<String> {
    // One of several processes has only a part of the training.
    let folder = hooks.checkpoints.folder.as_ref()?;
    let resume = hints::resume(&folder.present_path());
    if let Some(stopped) = error.downcast_ref::<StoppedByHook>() {
        let more = stopped.max_roll_backs;
        let more = more.map(|more| format!(" --set watchdog.max_roll_backs={more}"));
        return Some(format!("Resume with: {resume}{}", more.unwrap_or_default()));
    }
    if error.is::<Diverged>() || training.step() == 0 || !training.workers().is_single() {
        return None;
    }
    let step = training.step();
    Some(match caught(|| hooks.rescue(training)) {
        Ok(name) => format!(
            "The training is saved as it was at step {step}, in {name}. Fix the cause of the failure, and continue \
             with `{resume}`."
        ),
        Err(error) => format!(
            "The training could not be saved as it was at step {step}: {} `{resume}` continues from the \
             newest earlier checkpoint, if there is one.",
            sentences(error.as_ref())
        ),
    })
}

/// Records sentences for the user.
pub(crate) fn warn(hooks: &mut Hooks, step: u64, messages: Vec<String>) {
    for message in messages {
        hooks.events.warn(step, message);
    }
}
