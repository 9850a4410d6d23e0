//! `lookahead resume`: a run goes on.

use std::path::Path;

use anyhow::Context;
use lookahead_run::checkpoint::fingerprint_of;
use lookahead_run::event::{Event, Resumed, RunEnded, Status};
use lookahead_run::{Checkpoint, RunFolder, RunLock, TrainingMetadata, log};
use serde_json::{Map, Value};

use super::selection::{refuse_other_program, select_checkpoint};
use crate::checkpointing::ranks::{self, Plan, Received};
use crate::cli;
use crate::config::mutable_keys::{
    FINAL_SYNC, LIVE, PERIOD, flattened, may_change, may_change_list, value_at,
};
use crate::config::{Config, Override};
use crate::console::eprint_line;
use crate::controls::Hangup;
use crate::distributed::{ControlFlags, WorkerGroup, is_own};
use crate::panics::caught;
use crate::train::hooks::Hooks;
use crate::train::run::{follow, run_to_the_end, warn};
use crate::train::setup::Training;
use crate::train::state::{OutdatedConfig, TrainState};
use crate::usage::UsageError;

/// Goes on with a run from its newest valid checkpoint, or from the one of `--from`.
///
/// # Errors
/// Where there is no valid checkpoint, a change does not fit it, or the training fails.
pub fn resume(arguments: &cli::Resume) -> anyhow::Result<()> {
    let asked = arguments.shared.overrides.iter().rev();
    let timeout = asked
        .filter(|set| set.key == "distributed.timeout_seconds")
        .find_map(|set| u64::try_from(set.value.as_integer()?).ok());
    let workers = WorkerGroup::join_to_resume(timeout)?;
    workers.abort_peers_on_error(|workers| resume_with(arguments, workers))
}

/// Goes on as one of several processes, which may be the only one.
fn resume_with(arguments: &cli::Resume, workers: WorkerGroup) -> anyhow::Result<()> {
    if !workers.is_rank_zero() {
        return follow_resume(workers, |config| {
            // What was asked for of this process's machine; all else is rank 0's.
            let own = &arguments.shared.overrides;
            let own: Vec<Override> = own.iter().filter(|set| is_own(&set.key)).cloned().collect();
            Ok(Config::parse("the run's config", &config.to_toml(), &own)?.config)
        });
    }
    let folder = RunFolder::open(&arguments.run)?;
    refuse_other_program(&folder)?;
    let lock = folder.lock()?;
    continue_run(&lock, arguments.from, &arguments.shared, workers)
}

/// The run of this name, where it has a checkpoint. One that has none yet, since it was killed before its
/// first, makes way for a new one.
///
/// # Errors
/// Where another process trains it, or the folder is no run's.
pub(super) fn resumable(out: &Path, name: &str) -> anyhow::Result<Option<RunLock>> {
    let path = out.join(name);
    if path.symlink_metadata().is_err() {
        return Ok(None);
    }
    let folder = RunFolder::open(&path)?;
    refuse_other_program(&folder)?;
    let lock = folder.lock()?;
    if !lock.folder().checkpoints().list()?.is_empty() {
        return Ok(Some(lock));
    }
    let mut number = 1;
    let aside = loop {
        let aside = out.join(format!("{name}-without-checkpoint-{number}"));
        if aside.symlink_metadata().is_err() {
            break aside;
        }
        number += 1;
    };
    std::fs::rename(&path, &aside)
        .with_context(|| format!("{} can't make way for a new run.", path.display()))?;
    eprint_line(format_args!(
        "{name} had no checkpoint to go on from, and begins again; what there was is in {}.",
        aside.display()
    ));
    Ok(None)
}

/// Goes on with a run as the process that keeps its record.
pub(super) fn continue_run(
    lock: &RunLock,
    from: Option<cli::CheckpointArgument>,
    shared: &cli::Shared,
    workers: WorkerGroup,
) -> anyhow::Result<()> {
    let (folder, overrides) = (lock.folder(), &shared.overrides);
    let (checkpoint, manifest, passed_over) = select_checkpoint(folder, from)?;
    let Changed { config, changes, outdated, notes: mut warnings } =
        changed_config(folder, &checkpoint, &manifest.metadata, overrides)?;
    warnings.extend(passed_over);
    warnings.extend(not_as_saved(&checkpoint, &manifest.metadata, &changes, overrides));

    refuse_other_mode(&manifest.metadata, &config)?;
    let plan = Plan { config: config.clone(), metadata: manifest.metadata.clone() };
    ranks::send(&workers, &checkpoint.path, &plan)?;
    let workers = workers.configured(&config.distributed)?;
    let mut training = caught(|| Training::with_workers(config.clone(), None, workers))?;
    let other_workers = caught(|| training.restore(&checkpoint.path, &manifest.metadata))?;
    refuse_fewer_steps(&training, &config)?;
    let over = is_over(folder, &training, &config)?;
    if training
        .workers()
        .all_reduce_flags(ControlFlags { stop: over.is_some(), ..ControlFlags::default() })?
        .stop
    {
        over.into_iter().for_each(eprint_line);
        return training.workers().leave();
    }
    warnings.extend(other_workers);
    warnings.extend(training.machine().other_bits(&manifest.metadata));
    warnings.extend(other_curve(&config, &changes));
    if [PERIOD, FINAL_SYNC].iter().any(|key| changes.contains_key(*key)) {
        warnings.extend(training.syncs_to_come());
    }

    // What may fail comes before anything in the folder is moved.
    let mut hooks =
        Hooks::new(folder, &training, &shared.show(), Hangup::of(shared.keep_on_hangup))?;
    // From here on the run has one timeline again: the one that continues from this checkpoint. The
    // checkpoints go first: the log must not lack steps of a checkpoint that is still there.
    let checkpoints = folder.checkpoints();
    checkpoints.clear_leftovers()?;
    checkpoints.abandon_after(training.step())?;
    hooks.events.observer.rewind_log(training.step())?;
    let info = training.info(folder.name());
    let changed = !changes.is_empty() || outdated;
    let resumed = Resumed { checkpoint: checkpoint.name(), changes, info };
    hooks.events.record(training.step(), Event::Resumed(resumed));
    // Before the config changes: a line of time must not begin unseen.
    hooks.events.observer.finish()?;
    // After the log: a config of steps that no line of the log accounts for would mislead.
    if changed {
        folder.write_config(&training.config().to_toml())?;
    }
    for message in [training.note(), training.pending_k()].into_iter().flatten() {
        hooks.events.note(training.step(), message);
    }
    warnings.extend_from_slice(lock.warnings());
    warnings.extend(hooks.open_to_others(&training, Some(checkpoint.name())));
    warn(&mut hooks, training.step(), warnings);
    run_to_the_end(&mut training, &mut hooks)?;
    training.workers().leave()?;
    if !hooks.events.observer.is_quiet() {
        eprint_line(format_args!("Run folder: {}", folder.present_path().display()));
    }
    Ok(())
}

/// Of several processes each has a θ and moments of its own in one mode, and in the other all have the
/// same.
fn refuse_other_mode(metadata: &TrainingMetadata, config: &Config) -> anyhow::Result<()> {
    let before = value_at(&metadata.config, "distributed.mode").and_then(Value::as_str);
    let now = config.to_json();
    let now = value_at(&now, "distributed.mode").and_then(Value::as_str);
    let workers = TrainState::from_metadata(metadata)?.workers;
    match (before, now) {
        (Some(before), Some(now)) if workers > 1 && now != "none" && before != now => {
            Err(UsageError::new(format!(
                "`distributed.mode` can't become {now} in a run of several processes that was {before}: \
                 leave it, or begin another run from its model with `lookahead train --init-from`."
            ))
            .into())
        }
        _ => Ok(()),
    }
}

/// Goes on as one of several processes, with what rank 0 sends.
pub(super) fn follow_resume(
    workers: WorkerGroup,
    localize: impl FnOnce(Config) -> anyhow::Result<Config>,
) -> anyhow::Result<()> {
    let Received { plan, saved } = ranks::receive(&workers)?;
    let workers = workers.configured(&plan.config.distributed)?;
    let mut config = localize(plan.config)?;
    config.data.anchor()?;
    let mut training = caught(|| Training::with_workers(config.clone(), None, workers))?;
    caught(|| training.restore_from(&plan.metadata, || Ok(saved)))?;
    if training.workers().all_reduce_flags(ControlFlags::default())?.stop {
        return training.workers().leave();
    }
    follow(training)
}

/// The run's config with the changes asked for.
struct Changed {
    config: Config,
    /// What of it differs from the checkpoint's.
    changes: Map<String, Value>,
    /// Whether the run's `config.toml` lacks settings that the checkpoint was saved with.
    outdated: bool,
    notes: Vec<String>,
}

fn changed_config(
    folder: &RunFolder,
    checkpoint: &Checkpoint,
    metadata: &TrainingMetadata,
    overrides: &[Override],
) -> anyhow::Result<Changed> {
    let place = folder.config_path().display().to_string();
    let text = folder.read_config()?;
    let unkept = unkept_settings(&text, metadata)?;
    let mut before = Config::parse(&place, &text, &unkept)?.config;
    let mut after = Config::parse(&place, &text, &[&unkept, overrides].concat())?;
    if !unkept.is_empty() {
        let all: Vec<String> =
            unkept.iter().map(|set| format!("`{}` = {}", set.key, set.value)).collect();
        after.notes.push(format!(
            "`{place}` could not be written when settings changed. The run continues with those of {}: \
             {}.",
            checkpoint.name(),
            all.join(", ")
        ));
    }
    before.data.anchor()?;
    after.config.data.anchor()?;
    if before.lookahead.is_some() != after.config.lookahead.is_some() {
        return Err(other_algorithm(before.lookahead.is_some()).into());
    }
    let before = before.to_json();
    // The state is that of the config in the checkpoint. The run's own may have been edited, or the
    // checkpoint come from another run. Checkpoints of earlier versions don't tell.
    let saved = if metadata.config.is_null() { &before } else { &metadata.config };
    let foreign = differences(saved, &before);
    if let Some((key, now)) =
        foreign.iter().find(|(key, now)| !may_change(key) && !is_new(saved, key, now))
    {
        return Err(UsageError::new(format!(
            "The checkpoint {} was taken with another config than the run's `{place}` says: `{key}` \
             was {}, and is {now}. Put that right there, or resume from a checkpoint of this run \
             with `--from`.",
            checkpoint.name(),
            value_at(saved, key).unwrap_or(&Value::Null)
        ))
        .into());
    }
    let changes: Map<String, Value> = differences(saved, &after.config.to_json())
        .into_iter()
        .filter(|(key, now)| !is_new(saved, key, now))
        .collect();
    let refused: Vec<&String> = changes.keys().filter(|key| !may_change(key)).collect();
    // Another kind has other keys: the one that was asked for is the one to name.
    let asked = refused.iter().find(|key| overrides.iter().any(|set| &set.key == **key));
    if let Some(key) = asked.or(refused.first()) {
        return Err(UsageError::new(format!(
            "`{key}` can't change on resume: the checkpoint's weights, optimizer state or order of \
             data would no longer fit. Start a new run for it with `lookahead train`. What may \
             change: {}.",
            may_change_list()
        ))
        .into());
    }
    let outdated = !unkept.is_empty();
    Ok(Changed { config: after.config, changes, outdated, notes: after.notes })
}

/// Settings that were changed in the run that saved the checkpoint, and that the disk did not take into
/// the `config.toml` that is still there.
fn unkept_settings(text: &str, metadata: &TrainingMetadata) -> anyhow::Result<Vec<Override>> {
    let outdated = TrainState::from_metadata(metadata)?.outdated_config;
    let is_this =
        |outdated: &OutdatedConfig| outdated.fingerprint == fingerprint_of(text.as_bytes());
    let Some(outdated) = outdated.filter(is_this) else { return Ok(Vec::new()) };
    let kept: toml::Table = toml::from_str(text)?;
    let mut unkept = Vec::new();
    for key in LIVE {
        let mut value = value_at(&metadata.config, key).cloned();
        if let (PERIOD, Some(k)) = (key, outdated.next_k) {
            value = Some(k.into());
        }
        let Some(value) = value.filter(|value| !value.is_null()) else { continue };
        let value = toml::Value::try_from(value)?;
        let (section, name) = key.split_once('.').unwrap_or_default();
        let section = kept.get(section).and_then(toml::Value::as_table);
        if section.is_some_and(|section| section.get(name) != Some(&value)) {
            unkept.push(Override::of_value(key, value));
        }
    }
    Ok(unkept)
}

/// Settings that are not those of the checkpoint, though no one asked for that here: the run's config
/// was changed since, in the run or by hand.
fn not_as_saved(
    checkpoint: &Checkpoint,
    metadata: &TrainingMetadata,
    changes: &Map<String, Value>,
    overrides: &[Override],
) -> Option<String> {
    let of_the_file =
        changes.iter().filter(|(key, _)| overrides.iter().all(|set| set.key != **key));
    let all: Vec<String> = of_the_file
        .map(|(key, now)| {
            let then = value_at(&metadata.config, key).unwrap_or(&Value::Null);
            format!("`{key}` is {now}, and was {then}")
        })
        .collect();
    (!all.is_empty()).then(|| {
        format!(
            "The run's config has changed since {} was saved, and holds from here on: {}.",
            checkpoint.name(),
            all.join("; ")
        )
    })
}

/// Whether a key has come with a later version of the program, which sets its default. A kind's own
/// keys, which may be absent as well, go with the kind, which can't change.
fn is_new(saved: &Value, key: &str, now: &Value) -> bool {
    value_at(saved, key).is_none() && value_at(&defaults(), key) == Some(now)
}

fn defaults() -> Value {
    let lookahead = Some(lookahead_core::LookaheadConfig::default());
    Config { lookahead, ..Config::default() }.to_json()
}

fn other_algorithm(with: bool) -> UsageError {
    let (is, change) = match with {
        true => ("with", "taken out"),
        false => ("without", "added"),
    };
    UsageError::new(format!(
        "The run was begun {is} Lookahead, and `[lookahead]` can't be {change} on resume: the \
         checkpoint holds the state of the other algorithm. Leave out the `--set` that does it, or \
         start a new run with `lookahead train`."
    ))
}

/// A total below where the run stands is a mistake, and not a run that is done.
fn refuse_fewer_steps(training: &Training, config: &Config) -> Result<(), UsageError> {
    let (step, total) = (training.step(), training.total_steps());
    if total >= step {
        return Ok(());
    }
    let key = config.train.deciding_key();
    let found = match config.train.max_steps {
        Some(_) => format!("`{key}` is {total}"),
        None => format!("`{key}` is {}, which makes {total} steps", config.train.epochs),
    };
    Err(UsageError::new(format!(
        "{found}, and the checkpoint is of step {step}: give it more with `--set {key}=…`, or go \
         on from an earlier checkpoint with `--from`."
    )))
}

/// Why there is nothing to go on with, as a sentence, where that is so.
fn is_over(
    folder: &RunFolder,
    training: &Training,
    config: &Config,
) -> anyhow::Result<Option<String>> {
    if training.is_out_of_patience() && has_ended(folder, training.step())? {
        return Ok(Some(format!(
            "{} stopped early at step {}: {} evaluations came without a better one. To go on, give it \
             more patience: `--set train.patience=…`, 0 for no end of it.",
            folder.name(),
            training.step(),
            config.train.patience
        )));
    }
    // A run that was killed after its last step and before its end was recorded still owes the
    // evaluations on test data.
    if training.step() == training.total_steps() && has_ended(folder, training.step())? {
        return Ok(Some(format!(
            "{} has taken all of its {} steps. To go on, give it more: `--set {}=…`.",
            folder.name(),
            training.total_steps(),
            config.train.deciding_key()
        )));
    }
    Ok(None)
}

/// Whether the log tells that the run was finished at this step.
fn has_ended(folder: &RunFolder, step: u64) -> anyhow::Result<bool> {
    let mut finished = None;
    for record in log::records(&folder.events_path())? {
        let record = record?;
        match record.event {
            Event::RunEnded(RunEnded { status: Status::Finished, .. }) => {
                finished = Some(record.step);
            }
            // What came later belongs to an abandoned line of time.
            Event::Resumed(_) if finished > Some(record.step) => finished = None,
            _ => {}
        }
    }
    Ok(finished == Some(step))
}

/// The dotted keys whose values differ, with the new values; null where a key is gone.
fn differences(before: &Value, after: &Value) -> Map<String, Value> {
    let (before, after) = (flattened(before), flattened(after));
    let keys: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    keys.into_iter()
        .filter(|key| before.get(*key) != after.get(*key))
        .map(|key| (key.clone(), after.get(key).cloned().unwrap_or(Value::Null)))
        .collect()
}

/// A longer cosine is another cosine from its first step on.
fn other_curve(config: &Config, changes: &Map<String, Value>) -> Option<String> {
    let longer = changes.contains_key("train.epochs") || changes.contains_key("train.max_steps");
    (longer && config.schedule.kind == crate::config::schedule::ScheduleKind::Cosine).then(|| {
        "The number of steps changed, and the cosine schedule with it: from here on the learning \
         rate follows the new curve, which the steps so far did not."
            .to_owned()
    })
}

#[cfg(test)]
mod tests;
