//! The commands, one a file.

mod compare;
mod ctl;
mod doctor;
mod eval;
mod export;
mod inspect;
mod plot;
mod resume;
mod status;
mod sweep;
mod train;
mod watch;

pub use compare::compare;
pub use ctl::ctl;
pub use doctor::doctor;
pub use eval::eval;
pub use export::export;
pub use inspect::inspect;
pub use plot::plot;
pub use resume::resume;
pub use sweep::sweep;
pub use train::train;
pub use watch::watch;

use lookahead_run::event::{Event, Weights};
use lookahead_run::{Checkpoint, Manifest, RunFolder, log, retention};

use crate::cli::{From, WeightsArgument};
use crate::config::Config;
use crate::config::averaging::AveragingKind;
use crate::train::early_stopping;
use crate::train::setup::PROGRAM;
use crate::usage::UsageError;

/// Refuses a run that another program wrote in this format: its config and its tensors mean something
/// else.
fn refuse_other_program(folder: &RunFolder) -> anyhow::Result<()> {
    let newest = folder.checkpoints().list()?.pop();
    let in_manifest =
        newest.and_then(|found| Manifest::read(&found.path).ok()?.metadata.software.program);
    match other_program(in_manifest).or_else(|| other_program(program_in_log(folder))) {
        Some(program) => Err(UsageError::new(format!(
            "`{program}` wrote the run {}, and only that program knows what its config and tensors mean: use \
             it for this. `lookahead watch`, `plot` and `inspect` work on the run.",
            folder.path().display()
        ))
        .into()),
        None => Ok(()),
    }
}

/// Which program trains, as the log's first line tells.
fn program_in_log(folder: &RunFolder) -> Option<String> {
    match log::first(&folder.events_path()).ok()??.event {
        Event::RunStarted(info) => info.software.program,
        _ => None,
    }
}

/// A program's name, where it is not this one's. Earlier versions of this one did not tell.
fn other_program(found: Option<String>) -> Option<String> {
    found.filter(|program| program != PROGRAM)
}

/// The weights that are asked for, or those that are a run's final model.
fn which_weights(
    asked: Option<WeightsArgument>,
    config: &Config,
    run: &str,
) -> Result<Weights, UsageError> {
    let averages = config.averaging.kind != AveragingKind::None;
    match (asked.map(Weights::from), &config.lookahead) {
        (Some(Weights::Slow), None) => Err(UsageError::new(format!(
            "{run} trained without Lookahead, so it has no slow weights: leave `--weights slow` out."
        ))),
        (Some(Weights::Average), _) if !averages => Err(UsageError::new(format!(
            "{run} trained without `averaging`, so it has no mean of θ: leave `--weights average` out."
        ))),
        (Some(weights), _) => Ok(weights),
        (None, Some(_)) => Ok(Weights::Slow),
        (None, None) if averages => Ok(Weights::Average),
        (None, None) => Ok(Weights::Fast),
    }
}

/// Whether the file of the final model holds them; θ of a run that has another is with its training
/// state.
fn are_final(weights: Weights, config: &Config) -> bool {
    let plain = config.lookahead.is_none() && config.averaging.kind == AveragingKind::None;
    weights != Weights::Fast || plain
}

/// Weights, for people.
fn label(weights: Weights) -> &'static str {
    match weights {
        Weights::Slow => "slow weights φ",
        Weights::Fast => "fast weights θ",
        Weights::Average => "the mean of θ",
    }
}

/// How often a checkpoint is looked for in a run that lives and removes old ones.
const ATTEMPTS: u32 = 20;

/// Reads something of a run's checkpoints. A run that trains meanwhile can remove one between the look
/// and the reading; then it has published another, and it is tried again.
fn retry_while_pruned<T>(
    folder: &RunFolder,
    read: impl Fn() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut attempt = 1;
    loop {
        let there = folder.checkpoints().list()?;
        let found = read();
        let changed = attempt < ATTEMPTS && there != folder.checkpoints().list()?;
        match found {
            Err(_) if changed => attempt += 1,
            found => return found,
        }
    }
}

/// The checkpoint that was asked for, or the newest valid one; and sentences about those that were skipped.
fn select_checkpoint(
    folder: &RunFolder,
    from: Option<From>,
) -> anyhow::Result<(Checkpoint, Manifest, Vec<String>)> {
    let checkpoints = folder.checkpoints();
    let step = match from {
        Some(From::Step(step)) => Some(step),
        Some(From::Best) => Some(best_of(folder)?),
        None => None,
    };
    if let Some(step) = step {
        let (checkpoint, manifest) = checkpoints.at_step(step)?;
        return Ok((checkpoint, manifest, Vec::new()));
    }
    let newest = checkpoints.newest_valid()?;
    let name = newest.checkpoint.name();
    let passed_over = newest
        .rejected
        .iter()
        .map(|(_, why)| format!("{why} It is passed over; the newest valid one is {name}."))
        .collect();
    Ok((newest.checkpoint, newest.manifest, passed_over))
}

/// As [`select_checkpoint`], of the run's result: after early stopping that is the best model. The sentences say
/// whether they warn.
fn select_result(
    folder: &RunFolder,
    from: Option<From>,
) -> anyhow::Result<(Checkpoint, Manifest, Vec<String>)> {
    let (checkpoint, manifest, passed_over) = select_checkpoint(folder, from)?;
    let mut notes: Vec<String> = passed_over.iter().map(|why| format!("Warning: {why}")).collect();
    let best = early_stopping::best_step(&manifest.metadata).filter(|_| from.is_none());
    let Some(best) = best else { return Ok((checkpoint, manifest, notes)) };
    let (run, last) = (folder.name(), checkpoint.step);
    match folder.checkpoints().at_step(best) {
        Ok((checkpoint, manifest)) => {
            notes.push(format!(
                "Note: {run} stopped early, at step {last}: this is its best model, of step {best}. \
                 `--from {last}` takes the last one."
            ));
            Ok((checkpoint, manifest, notes))
        }
        Err(error) => {
            notes.push(format!(
                "Warning: {run} stopped early, at step {last}, and this is its last model, since the \
                 best one can't be had: {error}"
            ));
            Ok((checkpoint, manifest, notes))
        }
    }
}

/// The step of the best checkpoint on validation data of those that are there.
fn best_of(folder: &RunFolder) -> anyhow::Result<u64> {
    let place = folder.config_path().display().to_string();
    let config = Config::parse(&place, &folder.read_config()?, &[])?.config;
    let best = retention::Best::from(config.train.best_by());
    best.among(&folder.checkpoints().list()?).ok_or_else(|| {
        UsageError::new(format!(
            "{} has no checkpoint that was evaluated on validation data, so none is the best: give the \
             step of one to `--from`. `checkpoint.keep_best` or `train.patience` keeps the best one.",
            folder.name()
        ))
        .into()
    })
}
