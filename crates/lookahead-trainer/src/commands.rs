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

use crate::training::{Outside, Training};

/// Trains to the end, records how it ended, and passes a failure on.
fn run_to_the_end(training: &mut Training, outside: &mut Outside) -> anyhow::Result<()> {
    let outcome = crate::training::train(training, outside);
    let ended = match &outcome {
        Ok(status) => RunEnded { status: *status, message: None },
        Err(error) => RunEnded { status: Status::Failed, message: Some(format!("{error:#}")) },
    };
    let recorded = outside.observer.record(training.step(), Event::RunEnded(ended));
    outside.observer.close();
    outcome?;
    recorded
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
) -> anyhow::Result<(Checkpoint, Manifest, Vec<String>)> {
    let checkpoints = folder.checkpoints();
    if let Some(step) = from {
        let (checkpoint, manifest) = checkpoints.at_step(step)?;
        return Ok((checkpoint, manifest, Vec::new()));
    }
    let newest = checkpoints.newest_valid()?;
    let passed_over = newest
        .rejected
        .iter()
        .map(|(rejected, why)| {
            format!("{why} The one before it is used: {} is not.", rejected.name())
        })
        .collect();
    Ok((newest.checkpoint, newest.manifest, passed_over))
}
