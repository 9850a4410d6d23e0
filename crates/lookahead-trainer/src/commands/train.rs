//! `lookahead train`: a new run.

use std::path::Path;

use anyhow::Context;
use lookahead_run::{RunFolder, RunLock};

use super::{find, resume};
use crate::cli;
use crate::config::distributed::DistributedMode;
use crate::config::{Config, Loaded};
use crate::controls::Hangup;
use crate::distributed::WorkerGroup;
use crate::initial::InitialWeights;
use crate::panics::caught;
use crate::registry::Registry;
use crate::train::hooks::Hooks;
use crate::train::run::{follow, print_place, run_to_the_end, warn};
use crate::train::setup::Training;
use crate::usage::UsageError;

/// Starts a run from a config.
///
/// # Errors
/// If the config, the data or the training fails. A run that can't start leaves no folder.
pub fn train(registry: &Registry, arguments: &cli::Train) -> anyhow::Result<()> {
    let config = find::config(&arguments.config)?;
    let mut loaded = Config::load(registry.kinds(), &config, &arguments.shared.overrides)?;
    loaded.config.anchor()?;
    // A name that is taken is reported before the data is loaded.
    if let Some(name) = arguments.name.as_ref().filter(|_| !arguments.auto_resume) {
        RunFolder::check_free(&arguments.out, name)?;
    }
    let workers = WorkerGroup::join(&loaded.config)?;
    workers
        .abort_peers_on_error(|workers| train_with(registry, arguments, &config, loaded, workers))
}

fn train_with(
    registry: &Registry,
    arguments: &cli::Train,
    config: &Path,
    mut loaded: Loaded,
    workers: WorkerGroup,
) -> anyhow::Result<()> {
    if loaded.config.distributed.mode != DistributedMode::None
        && std::env::var_os("WORLD_SIZE").is_none()
    {
        let note = "`distributed.mode` is set, and WORLD_SIZE is not: this is the only process.";
        loaded.notes.push(note.to_owned());
    }
    if let Some(name) = arguments.name.as_ref().filter(|_| arguments.auto_resume) {
        let is_rank_zero = workers.is_rank_zero();
        let found = if is_rank_zero { resume::resumable(&arguments.out, name)? } else { None };
        // The other processes may not see the folder.
        let resumes = workers.any(found.is_some())?;
        if let Some(lock) = found {
            let (given, shared) = ((&*arguments.config, &loaded.config), &arguments.shared);
            let kinds = registry.kinds();
            let other = resume::other_file(kinds, lock.folder(), given, &shared.overrides)?;
            return resume::continue_run(registry, &lock, None, shared, workers, other);
        }
        if resumes {
            let own = &loaded.config;
            return resume::follow_resume(registry, workers, |config| {
                Ok(WorkerGroup::localized(config, own))
            });
        }
    }
    let (partial, renames) = (arguments.init_partial, &arguments.init_rename);
    let init_from = arguments.init_from.clone().map(|path| InitialWeights {
        path,
        partial,
        renames: renames.clone(),
        optimizer: arguments.init_optimizer.clone(),
    });
    if arguments.init_optimizer.is_some() && !workers.is_single() {
        return Err(UsageError::new(
            "`--init-optimizer` works in one process only. Train there to a checkpoint, and resume with several.",
        )
        .into());
    }
    let mut training = caught(|| {
        Training::with_workers(registry, loaded.config.clone(), init_from.as_ref(), workers)
    })?;
    loaded.notes.extend(training.check_syncs()?);
    if !training.workers().is_rank_zero() {
        return follow(training);
    }

    if arguments.out.is_file() {
        let out = arguments.out.display();
        return Err(UsageError::new(format!(
            "`--out` is {out}, a file. Use the name of a folder."
        ))
        .into());
    }
    let folder = match &arguments.name {
        Some(name) => RunFolder::create(&arguments.out, name)?,
        None => {
            let stem = config.file_stem().context("A config that was read has a name.")?;
            // The name of a pipe is a number.
            let is_named = config.is_file() && !config.starts_with("/dev");
            let stem = if is_named { stem.to_string_lossy() } else { "run".into() };
            RunFolder::create_numbered(&arguments.out, &stem)?
        }
    };
    let begun = begin(&folder, &training, &arguments.shared);
    let (lock, mut hooks) = begun.inspect_err(|_| {
        // This process has just created it, and it holds no run yet.
        let _ = std::fs::remove_dir_all(folder.path());
    })?;
    let notes =
        [training.origin(), training.note(), training.oversized_batch(), training.extrapolation()];
    let unused = training.unused_settings();
    for message in loaded.notes.into_iter().chain(notes.into_iter().flatten()).chain(unused) {
        hooks.events.note(0, message);
    }
    let not_open = hooks.open_to_others(&training, None);
    warn(&mut hooks, 0, lock.warnings().iter().cloned().chain(not_open).collect());
    let ended = run_to_the_end(&mut training, &mut hooks)?;
    training.workers().leave()?;
    if !hooks.events.observer.is_quiet() {
        print_place(lock.folder(), &ended);
    }
    Ok(())
}

/// Writes the config and the first event into the new folder.
fn begin(
    folder: &RunFolder,
    training: &Training,
    shared: &cli::Shared,
) -> anyhow::Result<(RunLock, Hooks)> {
    let lock = folder.lock()?;
    let folder = lock.folder();
    folder.write_config(&training.config().to_toml())?;
    let hangup = Hangup::of(shared.keep_on_hangup);
    let mut hooks = Hooks::new(folder, training, &shared.show(), hangup)?;
    hooks.events.record_start(training.info(folder.name()));
    hooks.events.observer.finish()?;
    Ok((lock, hooks))
}
