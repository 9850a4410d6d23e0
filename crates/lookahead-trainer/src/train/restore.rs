//! A training continued from a checkpoint.

use std::path::Path;

use anyhow::Context;
use lookahead_core::tch_ext::generator;
use lookahead_run::{TrainingMetadata, program_name, shown};
use serde_json::Value;

use super::setup::{Training, refuse_other_contents};
use super::state::{PendingEvaluation, TrainState};
use crate::checkpointing::restore::{Saved, restore};
use crate::config::mutable_keys::{LEARNING_RATE, WEIGHT_DECAY, value_at};
use crate::data::batches::Batches;
use crate::usage::UsageError;

impl Training {
    /// Loads a checkpoint. Returns a sentence if another number of processes took it.
    ///
    /// # Errors
    /// If the checkpoint does not fit; nothing of it is used then. What the user can fix, for example data of
    /// another size, is a usage error.
    pub fn restore(
        &mut self,
        folder: &Path,
        metadata: &TrainingMetadata,
    ) -> anyhow::Result<Option<String>> {
        self.restore_from(metadata, || Saved::read(folder))
            .with_context(|| format!("The checkpoint {} can't be used.", shown(folder).display()))
    }

    /// As [`restore`](Self::restore), with a state that is read only if its metadata fits.
    pub(crate) fn restore_from(
        &mut self,
        metadata: &TrainingMetadata,
        read: impl FnOnce() -> anyhow::Result<Saved>,
    ) -> anyhow::Result<Option<String>> {
        let state = TrainState::from_metadata(metadata)?;
        self.refuse_other_data(metadata, &state)?;
        let average = self.average.as_mut();
        let (metadata, sound) = &restore(read()?, &self.model.vs, &mut self.optimizer, average)?;
        self.guard.restore(sound, self.device())?;
        // The state has the settings that it was taken with; the config may have others now. The learning rate is
        // set in every step.
        let saved = value_at(&metadata.config, WEIGHT_DECAY).and_then(Value::as_f64);
        let weight_decay = self.config.optimizer.weight_decay;
        if let Some(weight_decay) = weight_decay.filter(|now| saved != Some(*now)) {
            self.optimizer.set_weight_decay(weight_decay)?;
        }
        if let Some(config) = &self.config.lookahead {
            if config.adaptive_alpha == 0.0 {
                let alphas = self.config.optimizer.alphas(self.registry.kinds());
                self.optimizer.set_alpha(config.alpha, &alphas)?;
            }
            if let Some(lookahead) = self.optimizer.lookahead() {
                lookahead.set_k(config.k)?;
            }
        }
        let saved = state.workers;
        // It is the state before the last sync.
        self.state = TrainState { final_sync: false, ..state };
        let saved_lr = value_at(&metadata.config, LEARNING_RATE).and_then(Value::as_f64);
        if saved_lr.is_some_and(|saved| saved != self.config.optimizer.lr) {
            self.state.roll_backs.lr_scale = 1.0;
        }
        let size = self.workers.size();
        let cursor = if saved == size {
            metadata.cursor
        } else {
            // As many samples as were seen, in whole steps of the present number of processes.
            let cursor = metadata.cursor * saved as u64 / size as u64;
            cursor.min(self.batches().per_epoch() - 1)
        };
        let (data, train) = (&self.config.data, &self.config.train);
        let count = self.data.train.len();
        let batches = Batches::new(count, data.batch_size, train.seed, metadata.epoch, cursor)
            .for_rank(self.workers.rank(), size)
            .accumulating(train.accumulate);
        self.set_batches(batches);
        (self.state.epoch, self.state.cursor) = (metadata.epoch, cursor);
        self.total_steps = self.steps_in_all()?;
        // Setting k and α has ended them.
        self.set_schedules()?;
        if saved == size {
            return Ok(None);
        }
        self.join_other_workers(saved).map(Some)
    }

    /// Continues with another number of processes than took the checkpoint: from φ, with the inner states that are
    /// there. Returns a sentence about them.
    fn join_other_workers(&mut self, saved: usize) -> anyhow::Result<String> {
        let (step, rank, size) = (self.state.step, self.workers.rank(), self.workers.size());
        let count =
            |n: usize| if n == 1 { "1 process".to_owned() } else { format!("{n} processes") };
        let mut from = String::new();
        if let Some(lookahead) = self.optimizer.lookahead() {
            from = format!(
                ", from the slow weights: the inner steps since the last sync are dropped ({})",
                lookahead.phase()
            );
            // Within a cycle each process has its own θ, and φ is the same for all.
            lookahead.discard_cycle()?;
            if self.state.pending == PendingEvaluation::Both {
                self.state.pending = PendingEvaluation::Slow;
            }
        }
        if rank >= saved {
            let seed = self.config.train.seed.wrapping_add(step);
            generator::seed(self.workers.seed(seed))?;
        }
        let states = if size > saved {
            "new processes get rank 0's inner optimizer state and their own random numbers"
        } else {
            "the inner optimizer states of the other processes are dropped"
        };
        Ok(format!(
            "The checkpoint of step {step} was taken by {}, and the run continues with {}{from}; {states}. It continues \
             at the start of a global batch, so some samples may be seen again.",
            count(saved),
            count(size),
        ))
    }

    /// Inner steps of the whole run: those so far, and those of the remaining epochs.
    fn steps_in_all(&self) -> Result<u64, UsageError> {
        let train = &self.config.train;
        let per_epoch = self.batches().per_epoch();
        let all = train.total_steps(per_epoch).map_err(UsageError::new)?;
        if train.max_steps.is_some() {
            return Ok(all);
        }
        // The product, unless the number of processes has changed.
        let done = self.batches().epoch() * per_epoch + self.batches().cursor();
        Ok((all + self.state.step).saturating_sub(done))
    }

    /// The position in the data has a meaning only in as much data as before.
    fn refuse_other_data(
        &self,
        metadata: &TrainingMetadata,
        state: &TrainState,
    ) -> anyhow::Result<()> {
        refuse_other_contents(&self.data, metadata)?;
        let found = self.data.train.len() as u64;
        let saved = state.data.train_samples.unwrap_or(found);
        // Checkpoints of early versions have no number; a position beyond the end shows it.
        let other_workers = state.workers != self.workers.size();
        if saved == found && (other_workers || metadata.cursor < self.batches().per_epoch()) {
            return Ok(());
        }
        Err(UsageError::new(format!(
            "The training set has {found} samples, and the checkpoint of step {} was taken with \
             {saved}, after {} batches of an epoch: its position has no meaning in other data. Point \
             `data.dir` to the data that the run started with, or start a new run with `{} train`.",
            metadata.step,
            metadata.cursor,
            program_name()
        ))
        .into())
    }
}
