//! A checkpoint of several processes, distributed by the one that has the files.
//!
//! The folder may be on rank 0's disk only. So rank 0 reads it and sends the other processes what they need: the
//! configuration, the manifest, φ, and their own state, or rank 0's if they have none.

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

/// What all processes continue with.
#[derive(Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The configuration, with all changes.
    pub config: Config,
    /// The manifest.
    pub metadata: TrainingMetadata,
}

/// What a process that has no files received.
#[derive(Debug)]
pub struct Received {
    /// What all processes continue with.
    pub plan: Plan,
    /// This process's state.
    pub saved: Saved,
}

/// Sends a checkpoint to the other processes.
///
/// # Errors
/// If a file can't be read, or a process does not answer.
pub fn send(workers: &WorkerGroup, path: &Path, plan: &Plan) -> anyhow::Result<()> {
    if workers.is_single() {
        return Ok(());
    }
    // The checkpoint may be of more processes, or of fewer.
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
/// If it does not answer.
pub fn receive(workers: &WorkerGroup) -> anyhow::Result<Received> {
    let plan: Plan = serde_json::from_slice(&workers.broadcast_bytes(&[])?)
        .context("Rank 0 has another version of the program.")?;
    let mut tensors = TensorFile::new(Cursor::new(workers.broadcast_bytes(&[])?))?.tensors()?;
    let saved = TrainState::from_metadata(&plan.metadata)?.workers;
    for rank in 1..saved.min(workers.size()) {
        let bytes = workers.broadcast_bytes(&[])?;
        if rank == workers.rank() {
            // This process's own state in place of rank 0's; φ is the same.
            tensors.retain(|name, _| is_shared(name));
            tensors.extend(TensorFile::new(Cursor::new(bytes))?.tensors()?);
        }
    }
    let place = PathBuf::from(format!("rank 0's checkpoint of step {}", plan.metadata.step));
    let saved = Saved { metadata: plan.metadata.clone(), tensors, place };
    Ok(Received { plan, saved })
}

/// Whether the tensor of this name is the same in all processes.
pub(super) fn is_shared(name: &str) -> bool {
    name.strip_prefix(OPTIMIZER)
        .and_then(|name| name.strip_prefix('/'))
        .is_some_and(|name| name.strip_prefix(SLOW).is_some_and(|name| name.starts_with('/')))
}
