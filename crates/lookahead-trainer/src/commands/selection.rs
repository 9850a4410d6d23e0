//! What a command works on: a run of this program, one of its checkpoints, and a set of weights.

use std::path::Path;

use lookahead_run::event::{Event, MetricInfo, Task, TaskInfo, Weights};
use lookahead_run::{Checkpoint, Manifest, RunFolder, log, program_name};

use crate::cli::{CheckpointArgument, WeightsArgument};
use crate::config::Config;
use crate::config::averaging::AveragingKind;
use crate::config::kinds::Kinds;
use crate::train::best::retention_by;
use crate::train::early_stopping;
use crate::train::setup::PROGRAM;
use crate::usage::UsageError;

/// A run of this program, its config, and the weights to use: by default those of its final model.
pub(super) fn open_run(
    kinds: &Kinds,
    path: &Path,
    weights: Option<WeightsArgument>,
) -> anyhow::Result<(RunFolder, Config, Weights)> {
    let folder = RunFolder::open(path)?;
    refuse_other_program(&folder)?;
    let config = read_config(kinds, &folder)?;
    let weights = select_weights(weights, &config, folder.name())?;
    Ok((folder, config, weights))
}

fn read_config(kinds: &Kinds, folder: &RunFolder) -> anyhow::Result<Config> {
    let origin = folder.config_path().display().to_string();
    Ok(Config::parse(kinds, &origin, &folder.read_config()?, &[])?.config)
}

/// Refuses a run that another program wrote in this format.
pub(super) fn refuse_other_program(folder: &RunFolder) -> anyhow::Result<()> {
    let newest = folder.checkpoints().list()?.pop();
    let in_manifest =
        newest.and_then(|found| Manifest::read(&found.path).ok()?.metadata.software.program);
    let found = in_manifest.filter(|program| program != PROGRAM).or_else(|| other_program(folder));
    let Some(program) = found else { return Ok(()) };
    Err(UsageError::new(format!(
        "`{program}` wrote the run {}, and only that program can interpret its config and tensors. Use it \
         instead; `{} watch`, `plot` and `inspect` work on the run.",
        folder.path().display(),
        program_name()
    ))
    .into())
}

/// The program in the log's first event, if it is another one. Earlier versions did not write it.
pub(super) fn other_program(folder: &RunFolder) -> Option<String> {
    match log::first(&folder.events_path()).ok()??.event {
        Event::RunStarted(info) => {
            // Whatever the name of a program that records its own loop.
            let is_other =
                |program: &String| program != PROGRAM || info.task.kind == Task::Recorded;
            info.software.program.filter(is_other)
        }
        _ => None,
    }
}

fn select_weights(
    requested: Option<WeightsArgument>,
    config: &Config,
    run: &str,
) -> Result<Weights, UsageError> {
    let averages = config.averaging.kind != AveragingKind::None;
    let lookahead = config.lookahead.is_some();
    match requested {
        Some(WeightsArgument::Slow) if lookahead && averages => Err(UsageError::new(format!(
            "The final model of {run} is an average, and its slow weights are only in the training state. Remove \
             `--weights slow`."
        ))),
        Some(WeightsArgument::Slow) if !lookahead => Err(UsageError::new(format!(
            "{run} was trained without Lookahead, so it has no slow weights. Remove `--weights slow`."
        ))),
        Some(WeightsArgument::Average) if !averages => Err(UsageError::new(format!(
            "{run} was trained without `averaging`, so it has no averaged weights. Remove `--weights average`."
        ))),
        Some(weights) => Ok(weights.into()),
        None => Ok(config.final_weights()),
    }
}

/// Whether these weights are in the file of the final model. If not, they are with the training state.
pub(super) fn are_final(weights: Weights, config: &Config) -> bool {
    let is_bare = config.lookahead.is_none() && config.averaging.kind == AveragingKind::None;
    weights != Weights::Fast || is_bare
}

/// The name of a set of weights in messages.
pub(super) fn label(weights: Weights) -> &'static str {
    match weights {
        Weights::Slow => "slow weights",
        Weights::Fast => "fast weights",
        Weights::Average => "averaged weights",
    }
}

/// The most attempts to read a checkpoint of a running run that removes old ones.
const ATTEMPTS: u32 = 20;

/// Reads from a run's checkpoints. A running run may remove one just before it is read. It has then published
/// another, so `read` is tried again.
pub(super) fn retry_while_pruned<T>(
    folder: &RunFolder,
    read: impl Fn() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut attempt = 1;
    loop {
        let before = folder.checkpoints().list()?;
        let found = read();
        let changed = attempt < ATTEMPTS && before != folder.checkpoints().list()?;
        match found {
            Err(_) if changed => attempt += 1,
            found => return found,
        }
    }
}

/// The requested checkpoint, or the newest valid one, and sentences about those that were skipped.
pub(super) fn select_checkpoint(
    kinds: &Kinds,
    folder: &RunFolder,
    from: Option<CheckpointArgument>,
) -> anyhow::Result<(Checkpoint, Manifest, Vec<String>)> {
    let checkpoints = folder.checkpoints();
    let step = match from {
        Some(CheckpointArgument::Step(step)) => Some(step),
        Some(CheckpointArgument::Best) => Some(best_step(kinds, folder)?),
        None => None,
    };
    if let Some(step) = step {
        let (checkpoint, manifest) = checkpoints.at_step(step)?;
        return Ok((checkpoint, manifest, Vec::new()));
    }
    let newest = checkpoints.newest_valid()?;
    let name = newest.checkpoint.name();
    let skipped = newest.rejected.iter();
    let skipped = skipped.map(|(_, why)| format!("{why} Skipped; the newest valid one is {name}."));
    Ok((newest.checkpoint, newest.manifest, skipped.collect()))
}

/// As [`select_checkpoint`], but the best model by default if the run stopped early.
pub(super) fn select_result(
    kinds: &Kinds,
    folder: &RunFolder,
    from: Option<CheckpointArgument>,
) -> anyhow::Result<(Checkpoint, Manifest, Vec<String>)> {
    let (checkpoint, manifest, skipped) = select_checkpoint(kinds, folder, from)?;
    let mut notes: Vec<String> = skipped.iter().map(|why| format!("Warning: {why}")).collect();
    let best = early_stopping::best_step(&manifest.metadata).filter(|_| from.is_none());
    let Some(best) = best else { return Ok((checkpoint, manifest, notes)) };
    let (run, last) = (folder.name(), checkpoint.step);
    match folder.checkpoints().at_step(best) {
        Ok((checkpoint, manifest)) => {
            notes.push(format!(
                "Note: {run} stopped early, at step {last}. This is its best model, of step {best}; use \
                 `--from {last}` for the last one."
            ));
            Ok((checkpoint, manifest, notes))
        }
        Err(error) => {
            notes.push(format!(
                "Warning: {run} stopped early, at step {last}. This is its last model, since the best one \
                 can't be read: {error}"
            ));
            Ok((checkpoint, manifest, notes))
        }
    }
}

/// The step of the best checkpoint on validation data.
pub(super) fn best_step(kinds: &Kinds, folder: &RunFolder) -> anyhow::Result<u64> {
    let config = read_config(kinds, folder)?;
    let by = config.train.best_by();
    // The log names the run's metrics.
    let task = match log::first(&folder.events_path()).ok().flatten().map(|first| first.event) {
        Some(Event::RunStarted(info)) => info.task,
        _ => TaskInfo::default(),
    };
    let unknown = || MetricInfo { name: by.to_owned(), ..MetricInfo::loss() };
    let best = retention_by(&task.metric(by).unwrap_or_else(unknown));
    best.among(&folder.checkpoints().list()?).ok_or_else(|| {
        UsageError::new(format!(
            "{} has no checkpoint that was evaluated on validation data, so there is no best one. Use \
             `--from STEP`. `checkpoint.keep_best` or `train.patience` keeps the best one.",
            folder.name()
        ))
        .into()
    })
}
