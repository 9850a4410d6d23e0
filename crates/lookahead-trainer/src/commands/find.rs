//! What was typed, as the run, checkpoint, sweep or config that it names.
//!
//! | typed | what it names |
//! |---|---|
//! | a path | what is there |
//! | the name of a run or sweep | `checkpoints/NAME` |
//! | the name of a config | `NAME.toml`, otherwise `configs/NAME.toml` |
//! | the name of a sweep's file | `NAME.toml`, otherwise `configs/sweeps/NAME.toml` |
//! | nothing | the latest run in `checkpoints/`, which a line on stderr names |
//!
//! A path comes before a name.

use std::fs;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use lookahead_run::{RunFolder, program_name};
use lookahead_study::sweep::{self, SweepFolder};

use super::remote::Address;
use crate::cli::CheckpointArgument;
use crate::console::eprint_line;
use crate::nearest::suggestion;
use crate::usage::UsageError;

/// Where runs and sweeps are created by default.
pub(super) const RUNS: &str = "checkpoints";
const CONFIGS: &str = "configs";
const SWEEP_FILES: &str = "configs/sweeps";

/// The folder of a run; by default the latest.
///
/// # Errors
/// If there is none. A folder that is not a run's is no error here.
pub(super) fn run(typed: Option<&Path>) -> Result<PathBuf, UsageError> {
    match typed {
        Some(typed) => existing(typed, is_run).map_or_else(|| or_missing(typed, is_run), Ok),
        None => latest(written),
    }
}

/// As [`run`], but by default the latest of those that are running, if any is.
pub(super) fn running(typed: Option<&Path>) -> Result<PathBuf, UsageError> {
    match typed {
        Some(typed) => run(Some(typed)),
        None => latest(|folder| Some((is_running(folder), written(folder)?))),
    }
}

/// The folder of a run, and the checkpoint to use. For the folder of a checkpoint, those are its run and its step.
///
/// # Errors
/// As [`run`]; if a checkpoint was named twice.
pub(super) fn checkpoint(
    typed: Option<&Path>,
    from: Option<CheckpointArgument>,
) -> Result<(PathBuf, Option<CheckpointArgument>), UsageError> {
    let Some(typed) = typed else { return Ok((run(None)?, from)) };
    let Some(found) = existing(typed, |path| is_run(path) || run_and_step(path).is_some()) else {
        let path = or_missing(typed, is_run)?;
        return if is_checkpoint(&path) { Err(outside_a_run(&path)) } else { Ok((path, from)) };
    };
    let Some((run, step)) = run_and_step(&found) else { return Ok((found, from)) };
    let wanted = CheckpointArgument::Step(step);
    if from.is_some_and(|from| from != wanted) {
        return Err(UsageError::new(format!(
            "`{}` names the checkpoint of step {step}, and `--from` another one. Use one of them.",
            typed.display()
        )));
    }
    Ok((run, Some(wanted)))
}

/// The folder of a run or of a checkpoint; by default that of the latest run.
///
/// # Errors
/// As [`run`].
pub(super) fn run_or_checkpoint(typed: Option<&Path>) -> Result<PathBuf, UsageError> {
    let Some(typed) = typed else { return run(None) };
    let is_either = |path: &Path| is_run(path) || is_checkpoint(path);
    existing(typed, is_either).map_or_else(|| or_missing(typed, is_run), Ok)
}

/// The folder of a run or of a sweep.
///
/// # Errors
/// As [`run`].
pub(super) fn run_or_sweep(typed: &Path) -> Result<PathBuf, UsageError> {
    existing(typed, is_run_or_sweep).map_or_else(|| or_missing(typed, is_run_or_sweep), Ok)
}

/// The folders of runs and of sweeps, some of which may begin later, or folders of them; by default that of the latest
/// run or sweep.
///
/// # Errors
/// If none was named and there is none.
pub(super) fn present_or_future(typed: &[PathBuf]) -> Result<Vec<PathBuf>, UsageError> {
    if typed.is_empty() {
        return Ok(vec![latest(|folder| written(folder).or_else(|| written_in_sweep(folder)))?]);
    }
    let place = |typed: &PathBuf| {
        let future = || {
            let is_name =
                matches!(typed.components().collect::<Vec<_>>()[..], [Component::Normal(_)]);
            let is_awaited = is_name && !typed.exists() && Path::new(RUNS).is_dir();
            if is_awaited { Path::new(RUNS).join(typed) } else { typed.clone() }
        };
        let found = existing(typed, is_run_or_sweep).or_else(|| existing(typed, has_runs));
        found.unwrap_or_else(future)
    };
    Ok(typed.iter().map(place).collect())
}

/// The run on another machine that is named, unless there is something of that name here.
pub(super) fn remote(typed: &Path) -> Option<Address> {
    Address::parse(typed).filter(|_| existing(typed, Path::exists).is_none())
}

/// The file of a config.
///
/// # Errors
/// If there is none.
pub(super) fn config(typed: &Path) -> Result<PathBuf, UsageError> {
    file(typed, CONFIGS, "config")
}

/// The file of a sweep.
///
/// # Errors
/// If there is none.
pub(super) fn sweep_file(typed: &Path) -> Result<PathBuf, UsageError> {
    file(typed, SWEEP_FILES, "sweep")
}

/// The runs and the sweeps in a folder, in no order.
pub(super) fn runs_and_sweeps(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| is_run_or_sweep(path)).collect()
}

/// Whether a process trains the run.
pub(super) fn is_running(run: &Path) -> bool {
    RunFolder::open(run).is_ok_and(|run| run.is_in_use().unwrap_or(false))
}

/// When a run's log was last written; none without a log.
pub(super) fn written(run: &Path) -> Option<SystemTime> {
    is_run(run).then(|| run.join("events.jsonl").metadata().ok()?.modified().ok()).flatten()
}

fn written_in_sweep(folder: &Path) -> Option<SystemTime> {
    let sweep = SweepFolder::open(folder)?;
    sweep::latest(&sweep.runs(), usize::MAX)
        .ok()?
        .iter()
        .filter_map(|run| written(run.path()))
        .max()
}

/// Whether a run or a sweep is in a folder that is neither.
pub(super) fn has_runs(folder: &Path) -> bool {
    let entries = || fs::read_dir(folder).into_iter().flatten().flatten();
    !is_run_or_sweep(folder) && entries().any(|entry| is_run_or_sweep(&entry.path()))
}

/// Whether runs can begin in a folder: it is neither a run nor a sweep, and has runs or no files.
pub(super) fn holds_runs(folder: &Path) -> bool {
    let is_empty = || {
        let mut entries = fs::read_dir(folder).into_iter().flatten().flatten();
        folder.is_dir() && entries.all(|entry| entry.path().is_dir())
    };
    has_runs(folder) || (!is_run_or_sweep(folder) && is_empty())
}

pub(super) fn is_run(path: &Path) -> bool {
    RunFolder::open(path).is_ok()
}

fn is_run_or_sweep(path: &Path) -> bool {
    is_run(path) || SweepFolder::open(path).is_some()
}

fn is_checkpoint(path: &Path) -> bool {
    path.join("manifest.json").is_file()
}

/// The run and the step that the folder of a checkpoint names, whether or not it is there.
fn run_and_step(path: &Path) -> Option<(PathBuf, u64)> {
    // `.` is not a name.
    let path =
        if path.file_name().is_some() { path.to_owned() } else { path.canonicalize().ok()? };
    let step = path.file_name()?.to_str()?.strip_prefix("step-")?.parse().ok()?;
    let run = path.parent()?;
    let run = if run.as_os_str().is_empty() { Path::new(".") } else { run };
    is_run(run).then(|| (run.to_owned(), step))
}

fn outside_a_run(checkpoint: &Path) -> UsageError {
    let path = checkpoint.display();
    UsageError::new(format!(
        "The checkpoint `{path}` is not in the folder of its run, which has the config. Move it there, or start a \
         new run with its weights: `{} train CONFIG --init-from {path}/model.safetensors`.",
        program_name()
    ))
}

/// The typed path, or what has that name in `checkpoints/`.
fn existing(typed: &Path, is_wanted: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    [typed.to_owned(), Path::new(RUNS).join(typed)].into_iter().find(|path| is_wanted(path))
}

/// What else has the path or the name: whoever opens it says what it lacks.
///
/// # Errors
/// If there is nothing, or a sweep.
fn or_missing(typed: &Path, is_wanted: impl Fn(&Path) -> bool) -> Result<PathBuf, UsageError> {
    if let Some(found) = existing(typed, Path::exists) {
        return if SweepFolder::open(&found).is_some() { Err(a_sweep(&found)) } else { Ok(found) };
    }
    if let Some(address) = Address::parse(typed) {
        return Err(address.not_here());
    }
    let all = fs::read_dir(RUNS).into_iter().flatten().flatten();
    let all = all.filter(|entry| is_wanted(&entry.path()));
    let all: Vec<String> =
        all.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    let name = typed.strip_prefix(RUNS).unwrap_or(typed).to_string_lossy();
    let hint = if all.is_empty() {
        format!("Start one with `{} train CONFIG`.", program_name())
    } else {
        let names = suggestion(&name, all.iter().map(String::as_str));
        format!("{names} `{} list` shows all.", program_name())
    };
    let named = (!typed.starts_with(RUNS)).then(|| Path::new(RUNS).join(typed));
    Err(missing("run", typed, named, &hint))
}

fn a_sweep(folder: &Path) -> UsageError {
    let name = folder.strip_prefix(RUNS).unwrap_or(folder).display();
    UsageError::new(format!(
        "`{}` is a sweep, and this command takes one run. `{} list {name}` lists its runs.",
        folder.display(),
        program_name()
    ))
}

/// Nothing is at the path, nor at the one that it names, if it can be a name.
fn missing(what: &str, typed: &Path, named: Option<PathBuf>, hint: &str) -> UsageError {
    let named = named.filter(|named| named != typed);
    let also = named.map(|named| format!(", nor is there `{}`", named.display()));
    let typed = typed.display();
    UsageError::new(format!("There is no {what} `{typed}`{}. {hint}", also.unwrap_or_default()))
}

/// The path in `checkpoints/` for which `time` is the latest.
fn latest<T: Ord>(time: impl Fn(&Path) -> Option<T>) -> Result<PathBuf, UsageError> {
    let all = runs_and_sweeps(Path::new(RUNS)).into_iter();
    let newest = all.filter_map(|path| Some((time(&path)?, path))).max();
    let Some((_, path)) = newest else {
        return Err(UsageError::new(format!(
            "There is no run in `{RUNS}/` yet. Start one with `{} train CONFIG`, or give the folder of a run.",
            program_name()
        )));
    };
    eprint_line(format_args!("Latest run: {}", path.display()));
    Ok(path)
}

/// The typed file, or the one of that name in a folder.
fn file(typed: &Path, folder: &str, what: &str) -> Result<PathBuf, UsageError> {
    let is_there = typed.exists();
    if is_there && !typed.is_dir() {
        return Ok(typed.to_owned());
    }
    let named = with_extension(&Path::new(folder).join(typed));
    if let Some(found) = [&with_extension(typed), &named].into_iter().find(|path| path.is_file()) {
        return Ok(found.clone());
    }
    let (other, command) =
        if folder == CONFIGS { (SWEEP_FILES, "sweep") } else { (CONFIGS, "train") };
    let mut hints = Vec::new();
    if with_extension(&Path::new(other).join(typed)).is_file() {
        hints.push(format!(
            "`{} {command} {}` takes the file of that name in {other}/.",
            program_name(),
            typed.display()
        ));
    } else if is_there {
        return Ok(typed.to_owned());
    } else {
        let nearest = nearest_files(typed, folder);
        if folder == CONFIGS {
            hints.extend(nearest);
            hints.push(format!("`{} init` writes one.", program_name()));
        } else {
            let form = "A sweep is a TOML file with a line `config = \"digits.toml\"` and a section `[grid]`.";
            hints.push(nearest.unwrap_or_else(|| form.to_owned()));
        }
    }
    let named = (!typed.starts_with(folder)).then_some(named);
    Err(missing(what, typed, named, &hints.join(" ")))
}

/// A sentence with the names of files in a folder that resemble the typed one; none if there are no files.
fn nearest_files(typed: &Path, folder: &str) -> Option<String> {
    let all = fs::read_dir(folder).into_iter().flatten().flatten();
    let all: Vec<String> = all
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "toml"))
        .filter_map(|entry| Some(entry.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    let name = typed.file_stem().unwrap_or_default().to_string_lossy();
    (!all.is_empty()).then(|| suggestion(&name, all.iter().map(String::as_str)))
}

/// The path with `.toml` at its end.
fn with_extension(path: &Path) -> PathBuf {
    if path.extension().is_some_and(|extension| extension == "toml") {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(".toml");
    name.into()
}
