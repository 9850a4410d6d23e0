//! `lookahead resume`: continues a run.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context;
use lookahead_run::checkpoint::fingerprint_of;
use lookahead_run::event::{Event, Resumed, RunEnded, Status};
use lookahead_run::folder::read_config;
use lookahead_run::{Checkpoint, RunFolder, RunLock, TrainingMetadata, log, program_name};
use serde_json::{Map, Value};

use super::find;
use super::selection::{refuse_other_program, select_checkpoint};
use super::status::locked;
use crate::checkpointing::ranks::{self, Plan, Received};
use crate::cli;
use crate::config::alert::AlertConfig;
use crate::config::kinds::Kinds;
use crate::config::mutable_keys::{
    ALPHA_SCHEDULE, FINAL_SYNC, LIVE, PERIOD, PERIOD_SCHEDULE, PRESET, flattened, may_change,
    may_change_list, value_at,
};
use crate::config::schedule::ScheduleKind;
use crate::config::watchdog::WatchdogConfig;
use crate::config::{Config, Override};
use crate::console::eprint_line;
use crate::controls::Hangup;
use crate::distributed::{WorkerGroup, is_local};
use crate::panics::caught;
use crate::registry::Registry;
use crate::train::hooks::Hooks;
use crate::train::run::{follow, print_place, run_to_the_end, warn};
use crate::train::setup::Training;
use crate::train::state::{OutdatedConfig, TrainState};
use crate::usage::UsageError;

/// Continues a run from its newest valid checkpoint, or from the one of `--from`.
///
/// # Errors
/// If there is no valid checkpoint, a change does not fit it, or the training fails.
pub fn resume(registry: &Registry, arguments: &cli::Resume) -> anyhow::Result<()> {
    let overrides = arguments.shared.overrides.iter().rev();
    let timeout = overrides
        .filter(|set| set.key == "distributed.timeout_seconds")
        .find_map(|set| u64::try_from(set.value.as_integer()?).ok());
    let workers = WorkerGroup::join_to_resume(timeout)?;
    workers.abort_peers_on_error(|workers| resume_with(registry, arguments, workers))
}

fn resume_with(
    registry: &Registry,
    arguments: &cli::Resume,
    workers: WorkerGroup,
) -> anyhow::Result<()> {
    if !workers.is_rank_zero() {
        return follow_resume(registry, workers, |config| {
            // Only what is about this process's machine: all else comes from rank 0.
            let own = arguments.shared.overrides.iter().filter(|set| is_local(&set.key));
            let own: Vec<Override> = own.cloned().collect();
            Ok(Config::parse(registry.kinds(), "the run's config", &config.to_toml(), &own)?.config)
        });
    }
    let (run, from) = find::checkpoint(arguments.run.as_deref(), arguments.from)?;
    let folder = RunFolder::open(&run)?;
    refuse_other_program(&folder)?;
    let lock = locked(&folder)?;
    continue_run(registry, &lock, from, &arguments.shared, workers, None)
}

/// The run of this name, if it has a checkpoint. A run that was killed before its first one is moved aside. Fails
/// if another process trains it, or the folder is not a run's.
pub(super) fn resumable(out: &Path, name: &str) -> anyhow::Result<Option<RunLock>> {
    let path = out.join(name);
    if path.symlink_metadata().is_err() {
        return Ok(None);
    }
    let folder = RunFolder::open(&path)?;
    refuse_other_program(&folder)?;
    let lock = locked(&folder)?;
    if !lock.folder().checkpoints().list()?.is_empty() {
        return Ok(Some(lock));
    }
    let names = (1..).map(|number| out.join(format!("{name}-without-checkpoint-{number}")));
    let aside = names.into_iter().find(|aside| aside.symlink_metadata().is_err());
    let aside = aside.context("There is no free name to move the run to.")?;
    std::fs::rename(&path, &aside)
        .with_context(|| format!("{} can't be moved aside for a new run.", path.display()))?;
    eprint_line(format_args!(
        "{name} has no checkpoint to resume from, so it starts again. Its old files are in {}.",
        aside.display()
    ));
    Ok(None)
}

/// Continues a run as the process that keeps its record. `other_file` is a sentence about the config on the command
/// line, if there is one and it differs from the run's.
pub(super) fn continue_run(
    registry: &Registry,
    lock: &RunLock,
    from: Option<cli::CheckpointArgument>,
    shared: &cli::Shared,
    workers: WorkerGroup,
    other_file: Option<String>,
) -> anyhow::Result<()> {
    let (folder, overrides) = (lock.folder(), &shared.overrides);
    let (checkpoint, manifest, skipped) = select_checkpoint(registry.kinds(), folder, from)?;
    let metadata = &manifest.metadata;
    let Changed { config, changes, outdated, notes: mut warnings } =
        changed_config(registry.kinds(), folder, &checkpoint, metadata, overrides)?;
    warnings.extend(skipped);
    warnings.extend(other_file);
    warnings.extend(changed_file(&checkpoint, metadata, &changes, overrides));

    refuse_other_mode(metadata, &config)?;
    let plan = Plan { config: config.clone(), metadata: metadata.clone() };
    ranks::send(&workers, &checkpoint.path, &plan)?;
    let workers = workers.configured(&config.distributed)?;
    let mut training = caught(|| Training::with_workers(registry, config.clone(), None, workers))?;
    let other_workers = caught(|| training.restore(&checkpoint.path, metadata))?;
    refuse_fewer_steps(&training, &config)?;
    let finished = is_finished(folder, &training, &config)?;
    if training.workers().any(finished.is_some())? {
        finished.into_iter().for_each(eprint_line);
        return training.workers().leave();
    }
    warnings.extend(other_workers);
    warnings.extend(training.machine().other_bits(metadata));
    warnings.extend(other_curve(&config, &changes, training.total_steps()));
    if ["train.epochs", "train.max_steps"].iter().any(|key| changes.contains_key(*key)) {
        warnings.extend(training.other_outer_curve());
    }
    if [PERIOD, FINAL_SYNC].iter().any(|key| changes.contains_key(*key)) {
        warnings.extend(training.syncs_to_come());
    }

    // What may fail comes before anything in the folder is moved.
    let hangup = Hangup::of(shared.keep_on_hangup);
    let mut hooks = Hooks::new(folder, &training, &shared.show(), hangup)?;
    // From here on the run's timeline is the one that continues from this checkpoint. The later checkpoints move
    // first: the log must have all steps of the checkpoints that are there.
    let step = training.step();
    let checkpoints = folder.checkpoints();
    checkpoints.clear_leftovers()?;
    checkpoints.abandon_after(step)?;
    hooks.events.observer.rewind_log(step)?;
    hooks.events.observer.show_past(folder);
    let info = training.info(folder.name());
    let has_changed = !changes.is_empty() || outdated;
    let resumed = Resumed { checkpoint: checkpoint.name(), changes, info };
    hooks.events.record(step, Event::Resumed(resumed));
    // The log has the changes before the config has: a config must not hold for steps that the log lacks.
    hooks.events.observer.finish()?;
    if has_changed {
        folder.write_config(&training.config().to_toml())?;
    }
    let notes = [training.note(), training.pending_k(), training.extrapolation()];
    for message in notes.into_iter().flatten() {
        hooks.events.note(step, message);
    }
    warnings.extend_from_slice(lock.warnings());
    warnings.extend(hooks.open_to_others(&training, Some(checkpoint.name())));
    warn(&mut hooks, step, warnings);
    let ended = run_to_the_end(&mut training, &mut hooks)?;
    training.workers().leave()?;
    if !hooks.events.observer.is_quiet() {
        print_place(folder, &ended);
    }
    Ok(())
}

/// In one mode each process has its own θ and moments, and in the other all have the same.
fn refuse_other_mode(metadata: &TrainingMetadata, config: &Config) -> anyhow::Result<()> {
    let mode = |config: &Value| Some(value_at(config, "distributed.mode")?.as_str()?.to_owned());
    let workers = TrainState::from_metadata(metadata)?.workers;
    match (mode(&metadata.config), mode(&config.to_json())) {
        (Some(before), Some(now)) if workers > 1 && now != "none" && before != now => {
            Err(UsageError::new(format!(
                "`distributed.mode` can't become {now}: this run of several processes is {before}. Leave it, or \
                 start another run from its model with `{} train --init-from`.",
                program_name()
            ))
            .into())
        }
        _ => Ok(()),
    }
}

/// Continues as one of several processes, with what rank 0 sends.
pub(super) fn follow_resume(
    registry: &Registry,
    workers: WorkerGroup,
    localize: impl FnOnce(Config) -> anyhow::Result<Config>,
) -> anyhow::Result<()> {
    let Received { plan, saved } = ranks::receive(&workers)?;
    let workers = workers.configured(&plan.config.distributed)?;
    let mut config = localize(plan.config)?;
    config.anchor()?;
    let mut training = caught(|| Training::with_workers(registry, config.clone(), None, workers))?;
    caught(|| training.restore_from(&plan.metadata, || Ok(saved)))?;
    if training.workers().any(false)? {
        return training.workers().leave();
    }
    follow(training)
}

/// The run's config with the requested changes.
struct Changed {
    config: Config,
    /// Its differences from the checkpoint's.
    changes: Map<String, Value>,
    /// Whether the run's `config.toml` lacks settings that the checkpoint was saved with.
    outdated: bool,
    notes: Vec<String>,
}

fn changed_config(
    kinds: &Kinds,
    folder: &RunFolder,
    checkpoint: &Checkpoint,
    metadata: &TrainingMetadata,
    overrides: &[Override],
) -> anyhow::Result<Changed> {
    if overrides.iter().any(|set| set.key == PRESET) {
        return Err(UsageError::new(format!(
            "`{PRESET}` can't change on resume: the run's config has its settings as keys of their own. Set those, for \
             example `--set lookahead.alpha=0.8`."
        ))
        .into());
    }
    let place = folder.config_path().display().to_string();
    let text = folder.read_config()?;
    let unkept = unkept_settings(&text, metadata)?;
    let mut before = Config::parse(kinds, &place, &text, &unkept)?.config;
    let mut after = Config::parse(kinds, &place, &text, &[&unkept, overrides].concat())?;
    if !unkept.is_empty() {
        let all = unkept.iter().map(|set| format!("`{}` = {}", set.key, set.value));
        after.notes.push(format!(
            "`{place}` could not be written when settings changed. The run continues with those of {}: {}.",
            checkpoint.name(),
            all.collect::<Vec<_>>().join(", ")
        ));
    }
    before.anchor()?;
    after.config.anchor()?;
    if before.lookahead.is_some() != after.config.lookahead.is_some() {
        return Err(other_algorithm(before.lookahead.is_some()).into());
    }
    let before = before.to_json();
    // The state belongs to the checkpoint's config. The run's own may have been edited, or the checkpoint may be
    // another run's. Checkpoints of early versions have none.
    let saved = if metadata.config.is_null() { &before } else { &metadata.config };
    let foreign = differences(saved, &before);
    if let Some((key, now)) =
        foreign.iter().find(|(key, now)| !may_change(key) && !is_default(kinds, saved, key, now))
    {
        return Err(UsageError::new(format!(
            "The checkpoint {} was taken with another config than `{place}`: `{key}` was {}, and is {now}. Correct \
             it there, or resume from a checkpoint of this run with `--from`.",
            checkpoint.name(),
            value_at(saved, key).unwrap_or(&Value::Null)
        ))
        .into());
    }
    let mut changes = differences(saved, &after.config.to_json());
    changes.retain(|key, now| !is_default(kinds, saved, key, now));
    let refused: Vec<&String> = changes.keys().filter(|key| !may_change(key)).collect();
    // Another kind has other keys: the one to name is the one that was set.
    let set = refused.iter().find(|key| overrides.iter().any(|set| &set.key == **key));
    if let Some(key) = set.or(refused.first()) {
        return Err(UsageError::new(format!(
            "`{key}` can't change on resume: the checkpoint's weights, optimizer state or order of data would not \
             fit. Start a new run for it with `{} train`. These may change: {}.",
            program_name(),
            may_change_list()
        ))
        .into());
    }
    let outdated = !unkept.is_empty();
    Ok(Changed { config: after.config, changes, outdated, notes: after.notes })
}

/// Settings that were changed in the run that saved the checkpoint, but that the disk did not take into the
/// `config.toml` that is still there.
fn unkept_settings(text: &str, metadata: &TrainingMetadata) -> anyhow::Result<Vec<Override>> {
    let outdated = TrainState::from_metadata(metadata)?.outdated_config;
    let fingerprint = fingerprint_of(text.as_bytes());
    let is_this = |outdated: &OutdatedConfig| outdated.fingerprint == fingerprint;
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
    // A value that was set in the run has ended its schedule.
    for key in [ALPHA_SCHEDULE, PERIOD_SCHEDULE] {
        let (section, name) = key.split_once('.').unwrap_or_default();
        let is_kept = kept.get(section).and_then(|section| section.get(name)).is_some();
        if is_kept && value_at(&metadata.config, key).is_none() {
            unkept.push(Override::of_value(key, toml::Value::Boolean(false)));
        }
    }
    Ok(unkept)
}

/// A sentence about settings that differ from the checkpoint's and were not set on this command line: the run's
/// config was changed since, during the run or in an editor.
fn changed_file(
    checkpoint: &Checkpoint,
    metadata: &TrainingMetadata,
    changes: &Map<String, Value>,
    overrides: &[Override],
) -> Option<String> {
    let defaults = defaults();
    let in_file = changes.iter().filter(|(key, _)| overrides.iter().all(|set| set.key != **key));
    let all = in_file.map(|(key, now)| {
        let then = value_at(&metadata.config, key).or_else(|| value_at(&defaults, key));
        format!("`{key}` is {now}, and was {}", then.unwrap_or(&Value::Null))
    });
    let all = all.collect::<Vec<_>>();
    (!all.is_empty()).then(|| {
        format!(
            "The run's config has changed since {} was saved. From here on: {}.",
            checkpoint.name(),
            all.join("; ")
        )
    })
}

/// A sentence if the run's own config, which a resume takes, differs from what `file` says; `config` is what was read
/// from it.
pub(super) fn other_file(
    kinds: &Kinds,
    folder: &RunFolder,
    (file, config): (&Path, &Config),
    overrides: &[Override],
) -> anyhow::Result<Option<String>> {
    let place = folder.config_path().display().to_string();
    let mut own = Config::parse(kinds, &place, &folder.read_config()?, overrides)?.config;
    own.anchor()?;
    // A pipe can't be read twice. Only the keys in a file count: defaults depend on other keys.
    if !file.is_file() {
        return Ok(None);
    }
    let written: Value = toml::from_str(&read_config(file)?)?;
    let (own, given) = (own.to_json(), config.to_json());
    let keys = flattened(&written).into_iter().map(|(key, _)| key);
    let differing = keys.filter_map(|key| {
        let value = value_at(&given, &key)?.clone();
        (value_at(&own, &key) != Some(&value)).then_some((key, value))
    });
    let all: Vec<String> = differing
        .map(|(key, value)| {
            let own = value_at(&own, &key).unwrap_or(&Value::Null);
            format!("`{key}` is {own}, not {value}")
        })
        .collect();
    let (file, all) = (file.display(), all.join("; "));
    Ok((!all.is_empty()).then(|| {
        format!(
            "The run resumes with its own config, and {file} differs from it: {all}. Use `--set` to change the run's."
        )
    }))
}

/// Whether a key has its default, that of the section or of the saved kind, on the side that has it: another version of the
/// program did not know it, or leaves out the defaults of its section.
fn is_default(kinds: &Kinds, saved: &Value, key: &str, now: &Value) -> bool {
    if let Some(before) = value_at(saved, key) {
        return now.is_null() && value_at(&defaults(), key) == Some(before);
    }
    let of_kind = || {
        let (section, own) = key.split_once('.')?;
        let kind = value_at(saved, &format!("{section}.kind"))?.as_str()?;
        serde_json::to_value(kinds.default_of(section, kind, own)?).ok()
    };
    value_at(&defaults(), key) == Some(now) || of_kind().as_ref() == Some(now)
}

fn defaults() -> Value {
    let lookahead = Some(lookahead_core::LookaheadConfig::default());
    let mut all = Config { lookahead, ..Config::default() }.to_json(); // without these sections
    all["watchdog"] = serde_json::to_value(WatchdogConfig::default()).unwrap_or_default();
    all["alert"] = serde_json::to_value(AlertConfig::default()).unwrap_or_default();
    all
}

fn other_algorithm(with: bool) -> UsageError {
    let (is, change) = if with { ("with", "removed") } else { ("without", "added") };
    UsageError::new(format!(
        "The run was started {is} Lookahead, and `[lookahead]` can't be {change} on resume: the checkpoint holds \
         the state of the other algorithm. Leave out the `--set` that does it, or start a new run with \
         `{} train`.",
        program_name()
    ))
}

/// A total below the checkpoint's step is a mistake, not a finished run.
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
        "{found}, and the checkpoint is of step {step}. Raise it with `--set {key}=…`, or resume from an earlier \
         checkpoint with `--from`."
    )))
}

/// A sentence if the run is finished.
fn is_finished(
    folder: &RunFolder,
    training: &Training,
    config: &Config,
) -> anyhow::Result<Option<String>> {
    let (step, total) = (training.step(), training.total_steps());
    let is_out_of_patience = training.is_out_of_patience();
    // A run that was killed after its last step and before its end was recorded still lacks the evaluations on
    // test data.
    if !(is_out_of_patience || step == total) || !was_finished(folder, step)? {
        return Ok(None);
    }
    let name = folder.name();
    Ok(Some(if is_out_of_patience {
        format!(
            "{name} stopped early at step {step}: {} evaluations came without a better one. To continue, set more \
             patience: `--set train.patience=…`, 0 for no limit.",
            config.train.patience
        )
    } else {
        let key = config.train.deciding_key();
        format!(
            "{name} has taken all of its {total} steps. To continue, set more: `--set {key}=…`."
        )
    }))
}

/// Whether the run was finished at this step, by its log.
fn was_finished(folder: &RunFolder, step: u64) -> anyhow::Result<bool> {
    let mut finished = None;
    for record in log::records(&folder.events_path())? {
        let record = record?;
        match record.event {
            Event::RunEnded(RunEnded { status: Status::Finished, .. }) => {
                finished = Some(record.step);
            }
            // What came later is on an abandoned timeline.
            Event::Resumed(_) if finished > Some(record.step) => finished = None,
            _ => {}
        }
    }
    Ok(finished == Some(step))
}

/// The dotted keys whose values differ, with the new values; null for a key that is gone.
fn differences(before: &Value, after: &Value) -> Map<String, Value> {
    let (before, after) = (flattened(before), flattened(after));
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    keys.into_iter()
        .filter(|key| before.get(*key) != after.get(*key))
        .map(|key| (key.clone(), after.get(key).cloned().unwrap_or(Value::Null)))
        .collect()
}

/// Most curves follow the length of the run, so a longer run has another one from its first step on.
fn other_curve(config: &Config, changes: &Map<String, Value>, total: u64) -> Option<String> {
    let longer = changes.contains_key("train.epochs") || changes.contains_key("train.max_steps");
    let kind = config.schedule.kind;
    let begins = config.schedule.steps_before_decay(total);
    if !longer || begins >= total {
        return None;
    }
    let schedule =
        format!("The number of steps changed, and with it the {} schedule:", kind.name());
    Some(if kind == ScheduleKind::Wsd {
        format!("{schedule} its decay begins after step {begins}.")
    } else {
        format!(
            "{schedule} from here on the learning rate follows the new curve, which the steps so far did not."
        )
    })
}

#[cfg(test)]
mod tests;
