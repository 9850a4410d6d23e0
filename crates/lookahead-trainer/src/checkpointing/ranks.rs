//! A checkpoint of several processes, handed out by the one that has the files.
//!
//! The folder may be on the disk of rank 0 alone. So rank 0 reads it and sends each of the others what it
//! goes on from: the configuration, what the manifest says, φ, and the rest of its own state, or of rank 0's
//! where there is none.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::Context;
use lookahead_run::{TrainingMetadata, checkpoint};
use serde::{Deserialize, Serialize};

use super::restore::Saved;
use super::{OPTIMIZER, SLOW, TRAINING, training_of_rank};
use crate::config::Config;
use crate::distributed::WorkerGroup;
use crate::tensor_file::TensorFile;
use crate::train::state::TrainState;

/// What all go on with.
#[derive(Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The configuration, with all changes.
    pub config: Config,
    /// What the manifest says.
    pub metadata: TrainingMetadata,
}

/// What a process that has no files was sent.
#[derive(Debug)]
pub struct Received {
    /// What all go on with.
    pub plan: Plan,
    /// This process's state.
    pub saved: Saved,
}

/// Sends all that the others need of a checkpoint.
///
/// # Errors
/// Where a file can't be read, or a process does not answer.
pub fn send(workers: &WorkerGroup, path: &Path, plan: &Plan) -> anyhow::Result<()> {
    if workers.is_single() {
        return Ok(());
    }
    // There may be fewer than processes, or more.
    let saved = TrainState::from_metadata(&plan.metadata)?.workers;
    let names: Vec<String> = (1..saved).map(training_of_rank).collect();
    let mut wanted: Vec<&str> = names.iter().map(String::as_str).collect();
    wanted.push(TRAINING);
    let (_, mut contents) = checkpoint::read(path, &wanted)?;
    workers.broadcast_bytes(&serde_json::to_vec(plan)?)?;
    workers.broadcast_bytes(&contents.remove(TRAINING).unwrap_or_default())?;
    for name in names.iter().take(workers.size() - 1) {
        workers.broadcast_bytes(&contents.remove(name).unwrap_or_default())?;
    }
    Ok(())
}

/// Receives what rank 0 sends, in memory: this process has no files.
///
/// # Errors
/// Where it does not answer.
pub fn receive(workers: &WorkerGroup) -> anyhow::Result<Received> {
    let plan: Plan = serde_json::from_slice(&workers.broadcast_bytes(&[])?)
        .context("Rank 0 has another version of the program.")?;
    let mut tensors = TensorFile::new(Cursor::new(workers.broadcast_bytes(&[])?))?.tensors()?;
    let saved = TrainState::from_metadata(&plan.metadata)?.workers;
    for rank in 1..saved.min(workers.size()) {
        let bytes = workers.broadcast_bytes(&[])?;
        if rank == workers.rank() {
            // Rank 0's own gives way to this process's; φ is the same.
            tensors.retain(|name, _| is_shared(name));
            tensors.extend(TensorFile::new(Cursor::new(bytes))?.tensors()?);
        }
    }
    let place = PathBuf::from(format!("rank 0's checkpoint of step {}", plan.metadata.step));
    let saved = Saved { metadata: plan.metadata.clone(), tensors, place };
    Ok(Received { plan, saved })
}

/// Whether all processes have the same under this name.
pub(super) fn is_shared(name: &str) -> bool {
    name.strip_prefix(OPTIMIZER)
        .and_then(|name| name.strip_prefix('/'))
        .is_some_and(|name| name.strip_prefix(SLOW).is_some_and(|name| name.starts_with('/')))
}
