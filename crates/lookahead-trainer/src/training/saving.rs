//! Checkpoints of a training that goes on meanwhile.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lookahead_core::NonFinite;
use lookahead_run::Details;
use lookahead_run::event::{self, Event, Warning};

use super::divergence::{Diverged, Saving, can_be_saved};
use super::last_sync::FINAL_SYNC;
use super::recalibration::buffers_of_phi;
use super::{Outside, PROGRAM, Training, device_name, versions};
use crate::averaging::Average;
use crate::checkpointing::snapshot::Snapshot;
use crate::checkpointing::writer::{Done, Job};
use crate::checkpointing::{AGAIN, AVERAGED, LAST_ATTEMPTS};
use crate::distributed::Wishes;
use crate::timing::Part;

/// Tells of a checkpoint that has been written meanwhile, if one has.
///
/// # Errors
/// [`Diverged`] where its weights were no finite numbers.
pub(super) fn collect(t: &mut Training, outside: &mut Outside) -> anyhow::Result<()> {
    super::settings::keep(t, outside, false);
    match outside.writer.poll() {
        Some(done) => tell(t, outside, done).map(drop),
        None => Ok(()),
    }
}

/// Whether a routine checkpoint should be saved now: its step has come, or the step's model is the best
/// so far and that one is to be kept, or one could not be saved a while ago.
pub(super) fn is_due(t: &Training) -> bool {
    let every = t.config.checkpoint.every_steps;
    let regular = every > 0 && t.step.is_multiple_of(every);
    let best = t.config.keeps_best() && t.best.at() == Some(t.step);
    // Of several processes only one knows of that one: it is asked for where they meet.
    let again = t.team.is_alone() && is_overdue(t);
    (regular || best || again) && t.step < t.total_steps
}

/// Whether it is time to try again a checkpoint that could not be saved.
pub(super) fn is_overdue(t: &Training) -> bool {
    t.save_again.is_some_and(|at| at <= Instant::now())
}

/// Takes a snapshot and has it written while training goes on. Waits for the one on its way first.
/// A disk that says no is told as a warning, here or when that is known, and tried again.
///
/// # Errors
/// Where the weights are no finite numbers; what the optimizer or libtorch says.
pub(super) fn begin(t: &mut Training, outside: &mut Outside, saving: Saving) -> anyhow::Result<()> {
    t.clock.begin();
    let begun = begin_now(t, outside, saving);
    t.clock.end(Part::Checkpoint);
    begun
}

fn begin_now(t: &mut Training, outside: &mut Outside, saving: Saving) -> anyhow::Result<()> {
    let started = Instant::now();
    let Some(snapshot) = taken(t, outside, saving)? else { return Ok(()) };
    t.save_again = None;
    let ranks = match states_of_others(t, &snapshot) {
        // Another process writes it.
        Ok(None) => {
            outside.writer.give_back(snapshot);
            return Ok(());
        }
        Ok(Some(ranks)) => ranks,
        Err(error) => {
            outside.writer.give_back(snapshot);
            return Err(error);
        }
    };
    outside.writer.begin(job(t, outside, snapshot, ranks, started.elapsed()))
}

/// A snapshot of the training as it is now, once the one on its way is written; none where a routine
/// checkpoint is left out.
fn taken(
    t: &mut Training,
    outside: &mut Outside,
    saving: Saving,
) -> anyhow::Result<Option<Snapshot>> {
    // What is recorded of a step is recorded before its checkpoint.
    super::losses::read(t, outside)?;
    super::settings::keep(t, outside, true);
    outside.observer.write();
    if let Some(done) = outside.writer.wait() {
        tell(t, outside, done)?;
    }
    if !can_be_saved(t, outside, saving)? {
        return Ok(None);
    }
    let Some(mut snapshot) = outside.writer.spare() else {
        anyhow::bail!("The thread that writes checkpoints is gone.");
    };
    if let Err(error) = take(t, &mut snapshot) {
        outside.writer.give_back(snapshot);
        return Err(error);
    }
    Ok(Some(snapshot))
}

/// Takes a snapshot for the last checkpoint, before the last sync. It waits in the writer's memory, where
/// what is saved from now on finds it.
///
/// # Errors
/// As [`begin`].
pub(super) fn keep_state(t: &mut Training, outside: &mut Outside) -> anyhow::Result<()> {
    if let Some(snapshot) = taken(t, outside, Saving::Asked)? {
        outside.writer.give_back(snapshot);
    }
    Ok(())
}

/// The training states of the other processes, as files, where this one writes the checkpoint; what all
/// have alike is left out of them.
fn states_of_others(t: &Training, snapshot: &Snapshot) -> anyhow::Result<Option<Vec<Vec<u8>>>> {
    if t.team.is_alone() {
        return Ok(Some(Vec::new()));
    }
    let own = match t.team.leads() {
        true => Vec::new(),
        false => snapshot.own_part()?,
    };
    let all = t.team.gather_bytes(&own)?;
    Ok(all.map(|all| all.into_iter().skip(1).collect()))
}

fn job(
    t: &Training,
    outside: &Outside,
    snapshot: Snapshot,
    ranks: Vec<Vec<u8>>,
    stall: Duration,
) -> Job {
    let mut details = t.details(&snapshot);
    if let Some(outdated) = outside.settings.outdated_config() {
        details.integers.insert(super::OUTDATED_CONFIG.to_owned(), outdated);
    }
    let best = t.config.keeps_best().then(|| (t.best.at(), t.config.train.best_by()));
    Job {
        details,
        retention: t.config.checkpoint.retention(best),
        lr: t.config.optimizer.lr,
        snapshot,
        ranks,
        stall,
    }
}

fn take(t: &mut Training, snapshot: &mut Snapshot) -> anyhow::Result<()> {
    let recalibrated = buffers_of_phi(t)?;
    if t.has_ended {
        return snapshot.take_final_model(&t.model.vs, recalibrated);
    }
    // Where a cycle begins they are those in the model, and between two steps under other policies.
    let sound = match t.diverging_policy() == NonFinite::RollBack && t.optimizer.phase() != 0 {
        true => t.sound_buffers.copies(),
        false => BTreeMap::new(),
    };
    let average = t.average.as_ref().map(Average::tensors);
    snapshot.take(&t.model.vs, &mut t.optimizer, average, recalibrated, sound)
}

/// Saves, and waits until the checkpoint is on the disk: before this process ends. A disk that says
/// no is asked again a few times.
///
/// # Errors
/// Where the weights are no finite numbers, or the disk goes on saying no.
pub(super) fn save_and_wait(t: &mut Training, outside: &mut Outside) -> anyhow::Result<()> {
    for pause in LAST_ATTEMPTS {
        begin(t, outside, Saving::Asked)?;
        let saved = match outside.writer.wait() {
            Some(done) => tell(t, outside, done)?,
            None if t.team.is_alone() => break,
            None => !t.team.leads(),
        };
        // The others wait for the one that writes, or they would be gone when it tries again.
        if !t.team.decide(Wishes { checkpoint: !saved, ..Wishes::default() })?.checkpoint {
            return Ok(());
        }
        std::thread::sleep(pause);
    }
    anyhow::bail!(
        "The checkpoint of step {} could not be saved, as the warning says, though it was tried {} \
         times.",
        t.step,
        LAST_ATTEMPTS.len()
    )
}

/// Records what came of a checkpoint; tells whether it is there.
fn tell(t: &mut Training, outside: &mut Outside, done: Done) -> anyhow::Result<bool> {
    let step = done.step;
    let mut warnings = done.warnings;
    let saved = match done.outcome {
        Ok(published) => {
            outside.status.saved(&published.name);
            let saved = event::Checkpoint {
                name: published.name,
                bytes: published.bytes,
                seconds: done.stall.as_secs_f64(),
                write_seconds: done.writing.as_secs_f64(),
            };
            outside.observer.record(step, Event::Checkpoint(saved));
            true
        }
        Err(error) if error.is::<Diverged>() => return Err(error),
        Err(error) => {
            t.save_again = Some(Instant::now() + AGAIN);
            warnings.push(format!(
                "NO CHECKPOINT of step {step}: {error:#} Training goes on and tries again; the \
                 checkpoints before are as they were."
            ));
            false
        }
    };
    for message in warnings {
        outside.observer.record(step, Event::Warning(Warning { message }));
    }
    Ok(saved)
}

/// Waits for a checkpoint on its way, and tells of it and of the steps whose losses wait: before the run's
/// end is recorded.
pub fn finish_writing(t: &mut Training, outside: &mut Outside) {
    // That one is no finite number is no news of a training that failed.
    let _ = super::losses::read(t, outside);
    if let Some(done) = outside.writer.wait() {
        // That its weights were no finite numbers is no news of a training that failed.
        let _ = tell(t, outside, done);
    }
}

/// Saves what a training has come to that can't go on, and returns the checkpoint's name. The
/// checkpoint is not recorded: it follows the run's end.
///
/// # Errors
/// Where the failure came inside a step, so that the weights are of no step; where the disk says
/// no.
pub fn rescue(t: &mut Training, outside: &mut Outside) -> anyhow::Result<String> {
    anyhow::ensure!(!t.in_step, "Step {} had begun and was not taken.", t.step + 1);
    // One on its way is not lost by another that can't be saved.
    finish_writing(t, outside);
    let mut snapshot = outside.writer.spare().unwrap_or_default();
    take(t, &mut snapshot)?;
    outside.writer.begin(job(t, outside, snapshot, Vec::new(), Duration::ZERO))?;
    let done = outside.writer.wait();
    Ok(done.ok_or_else(|| anyhow::anyhow!("The thread that writes it is gone."))?.outcome?.name)
}

impl Training {
    fn details(&self, snapshot: &Snapshot) -> Details {
        let mut integers = snapshot.integers().clone();
        let mut numbers = snapshot.numbers().clone();
        let mut own = |key: &str, value: i64| integers.insert(key.to_owned(), value);
        own(super::TRAIN_SAMPLES, self.data.train.len() as i64);
        own(super::DIVERGING, i64::from(self.diverging));
        own(super::OWED, self.owed as i64);
        if !self.team.is_alone() {
            own(super::RANKS, self.team.size() as i64);
        }
        if self.has_ended {
            own(FINAL_SYNC, 1);
        }
        if let Some(fingerprint) = self.data.train.fingerprint() {
            own(super::FINGERPRINT, fingerprint);
        }
        if let Some(average) = &self.average {
            own(AVERAGED, average.count() as i64);
        }
        if let Some(value) = self.best.value {
            own(super::BEST_STEP, self.best.step as i64);
            own(super::SINCE_BEST, self.best.since as i64);
            numbers.insert(super::BEST.to_owned(), value);
        }
        let machine = self.machine.clone();
        Details {
            step: self.step,
            // The optimizer itself may have made its last sync since.
            phase: snapshot.integers().get("phase").map_or(0, |phase| phase.unsigned_abs()),
            epoch: self.batches.epoch(),
            cursor: self.batches.cursor(),
            seed: self.config.train.seed,
            program: Some(PROGRAM.to_owned()),
            versions: versions(),
            device: device_name(self.device),
            threads: machine.threads,
            cpu_capability: machine.cpu_capability,
            processor: machine.processor,
            environment: Some(machine.environment),
            integers,
            numbers,
            metrics: match &self.measured {
                Some((step, metrics)) if *step == self.step => metrics.clone(),
                _ => BTreeMap::new(),
            },
            wall_seconds: self.wall_seconds(),
            git: self.git.clone(),
            config: self.config.to_json(),
            signature: serde_json::to_value(&self.data.signature).unwrap_or_default(),
        }
    }
}
