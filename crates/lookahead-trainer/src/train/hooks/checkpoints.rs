//! Checkpoints, written while training continues.

use std::time::{Duration, Instant};

use anyhow::Context;
use lookahead_run::event::{self, Event, RollBackCause};
use lookahead_run::words::sentences;
use lookahead_run::{MachineInfo, RunFolder, TrainingMetadata};

use super::events::Events;
use super::roll_back::record_roll_back;
use super::settings::Settings;
use super::timing::Phase;
use crate::checkpointing::snapshot::Snapshot;
use crate::checkpointing::writer::{SaveRequest, SaveResult, THREAD_IS_GONE, Writer};
use crate::checkpointing::{LAST_ATTEMPTS, RETRY};
use crate::train::best::retention_by;
use crate::train::diverged::Diverged;
use crate::train::divergence::{ROLLED_BACK, check_divergence_limit};
use crate::train::recalibration::buffers_of_phi;
use crate::train::setup::{Training, software};
use crate::train::state::{DataIdentity, OutdatedConfig, TrainState};
use crate::weights::all_finite;

/// How the warning of a checkpoint that could not be saved begins.
pub(crate) const NO_CHECKPOINT: &str = "NO CHECKPOINT";

/// Decides when checkpoints are saved, and has them written.
#[derive(Debug)]
pub struct Checkpoints {
    writer: Writer,
    settings: Settings,
    /// None if another process keeps the run's record, or none does.
    pub(crate) folder: Option<RunFolder>,
    /// When to try again a checkpoint that could not be saved.
    retry_at: Option<Instant>,
}

impl Checkpoints {
    pub(super) fn new(writer: Writer, settings: Settings, folder: Option<RunFolder>) -> Self {
        Checkpoints { writer, settings, folder, retry_at: None }
    }

    /// Whether the run has a checkpoint that this process can see.
    pub(crate) fn is_any_there(&self) -> bool {
        let found = self.folder.as_ref().map(|folder| folder.checkpoints().list());
        found.is_some_and(|list| list.is_ok_and(|list| !list.is_empty()))
    }

    /// Records a checkpoint that was written meanwhile. Fails if its weights are NaN or infinity.
    pub(super) fn collect(&mut self, t: &Training, events: &mut Events) -> anyhow::Result<()> {
        self.settings.keep(t.state.step, events, false);
        match self.writer.poll() {
            Some(done) => self.record(events, done).map(drop),
            None => Ok(()),
        }
    }

    /// Whether a routine checkpoint is due: its step has come, or the step's model is the best so far and that one
    /// is kept, or it is time to retry one that could not be saved.
    pub(super) fn is_due(&self, t: &Training) -> bool {
        let (every, step) = (t.config.checkpoint.every_steps, t.state.step);
        let regular = every > 0 && step.is_multiple_of(every);
        let best = t.config.keeps_best() && t.state.best.at() == Some(step);
        // Only one of several processes knows of a retry: it requests one from all.
        let again = t.workers.is_single() && self.is_overdue();
        (regular || best || again) && step < t.total_steps
    }

    /// Whether it is time to try again a checkpoint that could not be saved.
    pub(super) fn is_overdue(&self) -> bool {
        self.retry_at.is_some_and(|at| at <= Instant::now())
    }

    /// Takes a snapshot and has it written while training continues, after waiting for the one that is being written.
    /// If the disk refuses it, that is a warning, and it is retried. Fails if the weights are NaN or infinity.
    pub(super) fn save(&mut self, t: &mut Training, events: &mut Events) -> anyhow::Result<()> {
        events.timer.begin();
        let begun = self.begin(t, events);
        events.timer.end(Phase::Checkpoint);
        begun
    }

    fn begin(&mut self, t: &mut Training, events: &mut Events) -> anyhow::Result<()> {
        let started = Instant::now();
        let snapshot = self.snapshot(t, events)?;
        self.retry_at = None;
        let ranks = states_of_others(t, &snapshot);
        if let Ok(Some(ranks)) = ranks {
            let request = self.request(t, snapshot, ranks, started.elapsed());
            return self.writer.begin(request);
        }
        // Another process writes it.
        self.writer.give_back(snapshot);
        ranks.map(drop)
    }

    /// A snapshot of the training, once the previous one is written.
    fn snapshot(&mut self, t: &mut Training, events: &mut Events) -> anyhow::Result<Snapshot> {
        // The log has all events of a step before its checkpoint is there.
        events.read_losses(&mut t.state, t.config.optimizer.lr)?;
        self.settings.keep(t.state.step, events, true);
        events.observer.write();
        if let Some(done) = self.writer.wait() {
            self.record(events, done)?;
        }
        let mut snapshot = self.writer.spare().context(THREAD_IS_GONE)?;
        if let Err(error) = take(t, &mut snapshot) {
            self.writer.give_back(snapshot);
            return Err(error);
        }
        Ok(snapshot)
    }

    /// Takes a snapshot for the last checkpoint, before the last sync. It stays in the writer's memory, and what is
    /// saved from now on continues it.
    pub(crate) fn keep_state(
        &mut self,
        t: &mut Training,
        events: &mut Events,
    ) -> anyhow::Result<()> {
        let snapshot = self.snapshot(t, events)?;
        self.writer.give_back(snapshot);
        Ok(())
    }

    fn request(
        &self,
        t: &Training,
        snapshot: Snapshot,
        ranks: Vec<Vec<u8>>,
        stall: Duration,
    ) -> SaveRequest {
        let metadata = metadata(t, &snapshot, self.settings.outdated_config());
        let best = t.config.keeps_best().then(|| {
            let by = t.objective.metric(t.config.train.best_by());
            (retention_by(&by), t.state.best.at())
        });
        SaveRequest {
            metadata,
            retention: t.config.checkpoint.retention(best),
            lr: t.config.optimizer.lr,
            snapshot,
            ranks,
            stall,
        }
    }

    /// Saves, and waits until the checkpoint is on the disk; a training in memory saves none. If the disk refuses, it is retried a few times, and then
    /// fails.
    pub(crate) fn save_and_wait(
        &mut self,
        t: &mut Training,
        events: &mut Events,
    ) -> anyhow::Result<()> {
        if self.folder.is_none() && t.workers.is_single() {
            return Ok(());
        }
        for pause in LAST_ATTEMPTS {
            self.save(t, events)?;
            let saved = match self.writer.wait() {
                Some(done) => self.record(events, done)?,
                None if t.workers.is_single() => break,
                None => !t.workers.is_rank_zero(),
            };
            // The others wait for the one that writes: it needs their states when it retries.
            if !t.workers.any(!saved)? {
                return Ok(());
            }
            std::thread::sleep(pause);
        }
        anyhow::bail!(
            "The checkpoint of step {} could not be saved in {} attempts. The warnings have the cause.",
            t.state.step,
            LAST_ATTEMPTS.len()
        )
    }

    /// Records the result of a request, and returns whether the checkpoint is there.
    fn record(&mut self, events: &mut Events, done: SaveResult) -> anyhow::Result<bool> {
        let step = done.step;
        let mut warnings = done.warnings;
        let saved = match done.outcome {
            Ok(published) => {
                events.status.record_checkpoint(&published.name);
                let saved = event::Checkpoint {
                    name: published.name,
                    bytes: published.bytes,
                    seconds: done.stall.as_secs_f64(),
                    write_seconds: done.writing.as_secs_f64(),
                };
                events.record(step, Event::Checkpoint(saved));
                true
            }
            Err(error) if error.is::<Diverged>() => return Err(error),
            Err(error) => {
                self.retry_at = Some(Instant::now() + RETRY);
                let cause = match error.downcast_ref() {
                    Some(lookahead_run::Error::WriterFailed { cause, .. }) => format!("{cause}."),
                    _ => sentences(error.as_ref()),
                };
                warnings.push(format!(
                    "{NO_CHECKPOINT} of step {step}: {cause} Training continues and retries; the earlier \
                     checkpoints are unchanged."
                ));
                false
            }
        };
        for message in warnings {
            events.warn(step, message);
        }
        Ok(saved)
    }

    /// Waits for the checkpoint that is being written, and records it and the steps whose losses are still on the
    /// device: before the run's end is recorded.
    pub(crate) fn finish_writing(&mut self, t: &mut Training, events: &mut Events) {
        // A training that failed has its error: a loss or weights that are NaN are not another one.
        let _ = events.read_losses(&mut t.state, t.config.optimizer.lr);
        if let Some(done) = self.writer.wait() {
            let _ = self.record(events, done);
        }
    }

    /// Saves a training that failed, and returns the checkpoint's name. The checkpoint is not recorded, since it
    /// follows the run's end.
    pub(super) fn rescue(
        &mut self,
        t: &mut Training,
        events: &mut Events,
    ) -> anyhow::Result<String> {
        // The one that is being written must not be lost if this one fails.
        self.finish_writing(t, events);
        let mut snapshot = self.writer.spare().unwrap_or_default();
        take(t, &mut snapshot)?;
        let request = self.request(t, snapshot, Vec::new(), Duration::ZERO);
        self.writer.begin(request)?;
        Ok(self.writer.wait().context(THREAD_IS_GONE)?.outcome?.name)
    }
}

/// The training states of the other processes as files, if this one writes the checkpoint, without what is the same in
/// all.
fn states_of_others(t: &Training, snapshot: &Snapshot) -> anyhow::Result<Option<Vec<Vec<u8>>>> {
    if t.workers.is_single() {
        return Ok(Some(Vec::new()));
    }
    let own = if t.workers.is_rank_zero() { Vec::new() } else { snapshot.own_part()? };
    let all = t.workers.gather_bytes(&own)?;
    Ok(all.map(|all| all.into_iter().skip(1).collect()))
}

fn take(t: &mut Training, snapshot: &mut Snapshot) -> anyhow::Result<()> {
    let recalibrated = buffers_of_phi(t)?;
    if t.state.final_sync {
        return snapshot.take_final_model(&t.model.vs, t.average.as_ref(), recalibrated);
    }
    let last_good = t.guard.buffers_to_save(t.optimizer.phase());
    let average = t.average.as_ref();
    snapshot.take(&t.model.vs, &mut t.optimizer, average, recalibrated, last_good)
}

/// The metadata of a snapshot.
fn metadata(t: &Training, snapshot: &Snapshot, outdated_config: Option<i64>) -> TrainingMetadata {
    let machine = t.machine().clone();
    let mut metadata = TrainingMetadata {
        // The optimizer itself may have made its last sync since.
        phase: snapshot.integers().get("phase").map_or(0, |phase| phase.unsigned_abs()),
        seed: t.config.train.seed,
        software: software(),
        machine: MachineInfo {
            compute: t.compute(),
            processor: machine.processor,
            environment: Some(machine.environment),
        },
        integers: snapshot.integers().clone(),
        numbers: snapshot.numbers().clone(),
        wall_seconds: t.wall_seconds(),
        git: t.git().cloned(),
        config: t.config.to_json(),
        signature: serde_json::to_value(&t.data.spec).unwrap_or_default(),
        ..TrainingMetadata::default()
    };
    let state = TrainState {
        // As the phase, from before the last sync.
        averaged_steps: snapshot.averaged_steps(),
        workers: t.workers.size(),
        data: DataIdentity::new(&t.data),
        outdated_config: outdated_config
            .map(|fingerprint| OutdatedConfig { fingerprint, next_k: None }),
        ..t.state.clone()
    };
    state.write_into(&mut metadata);
    metadata
}

/// Why a checkpoint is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Saving {
    /// Its step has come.
    Routine,
    /// It was requested, or the run ends.
    Requested,
}

/// Whether a checkpoint can be saved now. Fast weights that the next sync will roll back can't: a routine
/// checkpoint is skipped then, so that checkpoints never change a training, and for a requested one they are
/// rolled back at once.
pub(super) fn can_be_saved(
    t: &mut Training,
    events: &mut Events,
    saving: Saving,
) -> anyhow::Result<bool> {
    if !t.guard.drops_cycles() {
        return Ok(true);
    }
    // φ is finite under this policy, since non-finite values of θ never reach it.
    let mut finite = true;
    for variable in t.model.vs.variables().values() {
        finite = finite && all_finite(variable)?;
    }
    // Within a cycle each process has weights of its own.
    finite = !t.workers.any(!finite)?;
    let (false, Some(lookahead)) = (finite, t.optimizer.lookahead()) else { return Ok(true) };
    let what = "The weights to be saved hold NaN or infinity";
    if saving == Saving::Routine {
        events.warn(t.state.step, format!("{what}: this checkpoint is skipped."));
        return Ok(false);
    }
    lookahead.roll_back()?;
    t.guard.restore_cycle(&t.model)?;
    let what = format!("{what}: {ROLLED_BACK}");
    check_divergence_limit(&mut t.state, events, t.config.optimizer.lr, what.clone())?;
    record_roll_back(t, events, RollBackCause::NonFinite, what)?;
    Ok(true)
}
