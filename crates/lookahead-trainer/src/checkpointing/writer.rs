//! A thread that writes a snapshot to the disk while training continues.
//!
//! One checkpoint is written at a time, and there is memory for one snapshot: the next one waits until it is written. So
//! every checkpoint that is due is saved, however slow the disk is, and a run needs the memory of at most one more state.
//!
//! The thread only copies bytes, so that it takes no threads of libtorch from the training.

use std::io::{BufWriter, Write};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context;
use crossbeam_channel::{Receiver, Sender, bounded};
use lookahead_run::log::LogSyncer;
use lookahead_run::{CheckpointStore, CheckpointWriter, Published, Retention, TrainingMetadata};

use super::moment::{MOMENT, Moment};
use super::snapshot::Snapshot;
use super::{FAST, MODEL, OPTIMIZER, SLOW, TRAINING, training_of_rank};
use crate::panics::caught;
use crate::tensor_file::{self, SIGNATURE, has_non_finite};
use crate::train::diverged::Diverged;

/// A checkpoint to be written.
#[derive(Debug)]
pub struct SaveRequest {
    /// The training's state.
    pub snapshot: Snapshot,
    /// Training states of the other processes, as files, from rank 1 on.
    pub ranks: Vec<Vec<u8>>,
    /// Its manifest.
    pub metadata: TrainingMetadata,
    /// Which checkpoints are kept afterwards.
    pub retention: Retention,
    /// The learning rate, for the advice to a training that diverged.
    pub lr: f64,
    /// How long training has waited for it.
    pub stall: Duration,
}

/// The result of a request.
#[derive(Debug)]
pub struct SaveResult {
    /// The checkpoint's step.
    pub step: u64,
    /// How long training had waited for it.
    pub stall: Duration,
    /// How long the writing took.
    pub writing: Duration,
    /// The checkpoint, or why there is none: [`Diverged`] if the weights hold NaN or infinity.
    pub outcome: anyhow::Result<Published>,
    /// Other faults; the checkpoint is there and whole.
    pub warnings: Vec<String>,
}

/// Why no checkpoint can be written any more.
pub(crate) const THREAD_IS_GONE: &str = "The thread that writes checkpoints is gone.";

/// The thread, and the snapshot's memory while nothing is written.
#[derive(Debug)]
pub struct Writer {
    jobs: Option<Sender<SaveRequest>>,
    done: Receiver<(SaveResult, Snapshot)>,
    /// `None` while a checkpoint is being written.
    spare: Option<Snapshot>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread, which publishes in `store` once all earlier events are on the disk too.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn new(store: CheckpointStore, log: LogSyncer) -> anyhow::Result<Self> {
        let (jobs, jobs_out) = bounded::<SaveRequest>(0);
        let (done_in, done) = bounded(1);
        let thread = std::thread::Builder::new()
            .name("checkpoints".into())
            .spawn(move || {
                // With few processors, training comes first: Linux counts niceness by thread.
                let _ = rustix::process::nice(10);
                for job in jobs_out {
                    let finished = work(&store, &log, job);
                    if done_in.send(finished).is_err() {
                        return;
                    }
                }
            })
            .context("The thread that writes checkpoints can't be started.")?;
        let spare = Some(Snapshot::default());
        Ok(Writer { jobs: Some(jobs), done, spare, thread: Some(thread) })
    }

    /// For a process that writes none: only a snapshot's memory.
    pub fn idle() -> Self {
        let spare = Some(Snapshot::default());
        Writer { jobs: None, done: crossbeam_channel::never(), spare, thread: None }
    }

    /// Whether a checkpoint is being written.
    pub fn is_busy(&self) -> bool {
        self.spare.is_none()
    }

    /// The memory to take the next snapshot in; `None` while a checkpoint is being written.
    pub fn spare(&mut self) -> Option<Snapshot> {
        self.spare.take()
    }

    /// Returns the memory of a snapshot that is not written.
    pub fn give_back(&mut self, snapshot: Snapshot) {
        self.spare = Some(snapshot);
    }

    /// Has a checkpoint written.
    ///
    /// # Errors
    /// If the thread is gone.
    pub fn begin(&mut self, job: SaveRequest) -> anyhow::Result<()> {
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        anyhow::ensure!(sent, "{THREAD_IS_GONE}");
        Ok(())
    }

    /// The result of the request, once it is done.
    pub fn poll(&mut self) -> Option<SaveResult> {
        let (done, snapshot) = self.done.try_recv().ok()?;
        self.spare = Some(snapshot);
        Some(done)
    }

    /// Waits for the result, if a checkpoint is being written.
    pub fn wait(&mut self) -> Option<SaveResult> {
        if !self.is_busy() {
            return None;
        }
        let (done, snapshot) = self.done.recv().ok()?;
        self.spare = Some(snapshot);
        Some(done)
    }
}

impl Drop for Writer {
    /// Waits for the checkpoint that is being written.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn work(store: &CheckpointStore, log: &LogSyncer, job: SaveRequest) -> (SaveResult, Snapshot) {
    let SaveRequest { snapshot, ranks, metadata, retention, lr, stall } = job;
    let (step, started) = (metadata.step, Instant::now());
    let mut warnings = Vec::new();
    // After a power cut the log must not be behind the checkpoint. But a checkpoint is worth more than its log.
    if let Err(error) = log.sync() {
        warnings.push(error.to_string());
    }
    let outcome = caught(|| publish(store, metadata, &snapshot, &ranks, lr));
    if outcome.is_ok()
        && let Err(error) = store.retain(&retention, Some(step))
    {
        warnings.push(format!("{error} Old checkpoints stay until the next one is saved."));
    }
    let done = SaveResult { step, stall, writing: started.elapsed(), outcome, warnings };
    (done, snapshot)
}

/// Bytes per write.
const CHUNK: usize = 1 << 20;

fn publish(
    store: &CheckpointStore,
    metadata: TrainingMetadata,
    snapshot: &Snapshot,
    ranks: &[Vec<u8>],
    lr: f64,
) -> anyhow::Result<Published> {
    let step = metadata.step;
    let signature = (!metadata.signature.is_null()).then(|| metadata.signature.to_string());
    let signature = signature.as_deref().map(|text| (SIGNATURE, text));
    let moment = Moment::of(&metadata).text();
    let mut diverged = None;
    let mut write = |writer: &mut CheckpointWriter| -> anyhow::Result<()> {
        let files = [
            (TRAINING, Some((MOMENT, &moment[..])), snapshot.training()),
            (MODEL, signature, snapshot.model()),
        ];
        for (file, entry, entries) in files {
            let mut out = BufWriter::with_capacity(CHUNK, writer.create_file(file)?);
            tensor_file::write_to(&mut out, entry, entries, |name, kind, bytes| {
                let Some(what) = must_be_finite(file, name) else { return Ok(()) };
                if has_non_finite(kind, bytes) {
                    return Err(diverged
                        .insert(Diverged::of_saved(&what, step, lr))
                        .clone()
                        .into());
                }
                Ok(())
            })?;
            out.into_inner().map_err(std::io::IntoInnerError::into_error)?.finish()?;
        }
        for (i, bytes) in ranks.iter().enumerate() {
            let mut file = writer.create_file(&training_of_rank(i + 1))?;
            file.write_all(bytes)?;
            file.finish()?;
        }
        Ok(())
    };
    let published = store.publish(metadata, |writer| {
        // The store looks into it for the operating system's error.
        write(writer).map_err(anyhow::Error::reallocate_into_boxed_dyn_error_without_backtrace)
    });
    match diverged {
        // The store's error has only its words.
        Some(diverged) => Err(diverged.into()),
        None => Ok(published?),
    }
}

/// The name of a tensor in messages, if it must be finite: weights, buffers and the optimizer's state. A resume refuses
/// them otherwise, and such a checkpoint must not displace a good one.
fn must_be_finite(file: &str, name: &str) -> Option<String> {
    if file == MODEL {
        return Some(format!("The final model's `{name}`"));
    }
    let (section, name) = name.split_once('/')?;
    match (section, name.split_once('/')) {
        (FAST, _) => Some(format!("The fast weights' `{name}`")),
        (OPTIMIZER, Some((SLOW, name))) => Some(format!("The slow weights' `{name}`")),
        (OPTIMIZER, _) => Some(format!("The optimizer's `{name}`")),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
