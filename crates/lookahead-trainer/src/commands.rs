//! The commands, one a file.

mod doctor;
mod eval;
mod resume;
mod train;

pub use doctor::doctor;
pub use eval::eval;
pub use resume::resume;
pub use train::train;

use lookahead_run::event::{Event, RunEnded, Status, Warning};
use lookahead_run::{Checkpoint, Manifest, RunFolder};

use crate::panics::caught;
use crate::say::say;
use crate::training::divergence::Diverged;
use crate::training::{Outside, Training, rescue};

/// Trains to the end, records how it ended, and passes a failure on.
fn run_to_the_end(training: &mut Training, outside: &mut Outside) -> anyhow::Result<()> {
    let outcome = caught(|| crate::training::train(training, outside));
    let (ended, last_words) = match &outcome {
        Ok(status) => (RunEnded { status: *status, message: None }, None),
        Err(error) => {
            let message = Some(format!("{error:#}"));
            (RunEnded { status: Status::Failed, message }, save_after(error, training, outside))
        }
    };
    let recorded = outside.observer.record(training.step(), Event::RunEnded(ended));
    outside.observer.close();
    last_words.into_iter().for_each(say);
    outcome?;
    recorded
}

/// Tries to lose nothing of a training that failed, and says what came of it. The log, which may
/// be what failed, is not touched.
fn save_after(error: &anyhow::Error, training: &mut Training, outside: &Outside) -> Option<String> {
    if error.is::<Diverged>() || training.step() == 0 {
        return None;
    }
    let step = training.step();
    Some(match caught(|| rescue(training, outside)) {
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
fn warn(outside: &mut Outside, step: u64, messages: Vec<String>) -> anyhow::Result<()> {
    for message in messages {
        outside.observer.record(step, Event::Warning(Warning { message }))?;
    }
    Ok(())
}

/// The checkpoint of a step, or the newest valid one and sentences about those passed over.
fn choose(
    folder: &RunFolder,
    from: Option<u64>,
) -> lookahead_run::Result<(Checkpoint, Manifest, Vec<String>)> {
    let checkpoints = folder.checkpoints();
    if let Some(step) = from {
        let (checkpoint, manifest) = checkpoints.at_step(step)?;
        return Ok((checkpoint, manifest, Vec::new()));
    }
    let newest = checkpoints.newest_valid()?;
    let name = newest.checkpoint.name();
    let passed_over = newest
        .rejected
        .iter()
        .map(|(_, why)| format!("{why} It is passed over; the newest valid one is {name}."))
        .collect();
    Ok((newest.checkpoint, newest.manifest, passed_over))
}
