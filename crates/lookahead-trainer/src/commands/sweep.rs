//! `lookahead sweep`: one config in many variations.

mod report;

use std::path::Path;
use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context;
use lookahead_run::program_name;
use lookahead_run::words::sentences;
use lookahead_study::sweep::{self, Options, Outcome, Plan, Refused, SweepFile, SweepFolder};
use serde_json::Value as Json;
use signal_hook::consts::{SIGHUP, SIGINT};
use signal_hook::iterator::Signals;

use self::report::SweepReport;
use super::find;
use crate::cli;
use crate::config::kinds::Kinds;
use crate::config::{Config, Override};
use crate::console::{self, eprint_line, print_line};
use crate::controls::{Hangup, STOPS};
use crate::hints::quoted;

/// Runs a sweep, or resumes it.
///
/// # Errors
/// If the sweep's file or one of its configs is refused, or runs failed.
pub fn sweep(kinds: &Kinds, arguments: &cli::Sweep) -> anyhow::Result<()> {
    let resolve = |path: &Path, sets: &[(String, toml::Value)]| resolve(kinds, path, sets);
    let file = SweepFile::read(&find::sweep_file(&arguments.file)?)?;
    let name = arguments.name.clone().unwrap_or_else(|| file.name.clone());
    let plan = Plan::new(file, &resolve)?;
    if arguments.dry_run {
        return list(&plan);
    }

    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = arguments.jobs.map_or_else(|| plan.jobs(processors), usize::from);
    let folder = SweepFolder::create(&arguments.out, &name)?;
    let _lock = folder.lock()?;
    let mut report = SweepReport::new(arguments.quiet);
    report.begin(&plan, jobs, processors, &folder);
    let options = Options {
        program: std::env::current_exe().context("This program's own path can't be found.")?,
        jobs,
        retry_failed: arguments.retry_failed,
    };
    let stop = listen()?;
    let outcome = sweep::run(&plan, &folder, &options, &resolve, &stop, &mut report);
    report.end();
    conclude(arguments, &folder, &outcome?, plan.points.len())
}

/// Part of the message of a run whose loss became NaN or infinity.
const DIVERGED: &str = "the training diverged";

/// Reports the outcome; an error if runs failed.
fn conclude(
    arguments: &cli::Sweep,
    folder: &SweepFolder,
    outcome: &Outcome,
    total: usize,
) -> anyhow::Result<()> {
    let (finished, failed) = (outcome.finished, outcome.failed.len());
    let mut again = again(arguments);
    if failed > 0 {
        again += " --retry-failed";
    }
    if outcome.killed {
        eprint_line(format_args!(
            "Killed with {finished} of {total} runs finished. The others continue from their newest \
             checkpoints.\nResume with: {again}"
        ));
        console::finish();
        exit(130);
    }
    if outcome.stopped {
        eprint_line(format_args!(
            "Stopped with {finished} of {total} runs finished; those that trained have saved \
             checkpoints.\nResume with: {again}"
        ));
        return Ok(());
    }
    if !arguments.quiet {
        let results = folder.csv();
        eprint_line(format_args!(
            "{finished} of {total} runs are finished: {}.",
            results.display()
        ));
        if outcome.unfinished > 0 {
            eprint_line(format_args!("{} were stopped.", outcome.unfinished));
        }
    }
    let all_diverged = outcome.failed.iter().all(|(_, why)| why.contains(DIVERGED));
    if failed == 0 || (arguments.allow_divergence && all_diverged) {
        if failed > 0 {
            eprint_line(format_args!("{failed} of {total} runs diverged."));
        }
        if !arguments.quiet {
            let compare = format!("{} compare {}", program_name(), quoted(folder.path()));
            eprint_line(match outcome.unfinished {
                0 => format!("Compare with: {compare}"),
                _ => format!("Resume with: {again}"),
            });
        }
        return Ok(());
    }
    for (name, why) in &outcome.failed {
        eprint_line(format_args!("failed: {name}: {why}"));
    }
    anyhow::bail!(
        "{failed} of {total} runs failed. Their output is in {}. Fix the cause, and run them again.\nRetry with: {again}",
        folder.path().join("output").display()
    );
}

/// The command that resumes the sweep.
fn again(arguments: &cli::Sweep) -> String {
    let mut command = format!("{} sweep {}", program_name(), quoted(&arguments.file));
    if arguments.out != Path::new("checkpoints") {
        command += &format!(" --out {}", quoted(&arguments.out));
    }
    if let Some(name) = &arguments.name {
        command += &format!(" --name {}", quoted(Path::new(name)));
    }
    if let Some(jobs) = arguments.jobs {
        command += &format!(" --jobs {jobs}");
    }
    if arguments.allow_divergence {
        command += " --allow-divergence";
    }
    command
}

/// Prints the points and their settings.
fn list(plan: &Plan) -> anyhow::Result<()> {
    for planned in &plan.points {
        print_line(&planned.point.name)?;
        for set in &planned.point.sets {
            print_line(format_args!("    --set {}={}", set.key, set.value))?;
        }
    }
    print_line(format_args!("{} runs", plan.points.len()))?;
    Ok(())
}

/// The config of a run.
fn resolve(kinds: &Kinds, path: &Path, sets: &[(String, toml::Value)]) -> Result<Json, Refused> {
    let set = |(key, value): &(String, toml::Value)| Override::of_value(key, value.clone());
    let overrides: Vec<Override> = sets.iter().map(set).collect();
    let mut loaded = Config::load(kinds, path, &overrides).map_err(|error| {
        let blamed = overrides.iter().find(|set| set.to_string() == error.origin());
        Refused { key: blamed.map(|set| set.key.clone()), message: error.to_string() }
    })?;
    let anchored = loaded.config.anchor();
    anchored.map_err(|error| Refused { key: None, message: sentences(error.as_ref()) })?;
    Ok(loaded.config.to_json())
}

/// Counts requests to stop: the first signal, and then each SIGINT.
fn listen() -> anyhow::Result<Arc<AtomicU32>> {
    let mut handled = STOPS.to_vec();
    if Hangup::of(false) == Hangup::Stop {
        handled.push(SIGHUP);
    }
    let mut signals = Signals::new(handled).context("The signal handlers can't be installed.")?;
    let requests = Arc::<AtomicU32>::default();
    let counted = Arc::clone(&requests);
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for signal in signals.forever() {
                let is_first = counted.load(Ordering::Relaxed) == 0;
                if is_first || signal == SIGINT {
                    counted.fetch_add(1, Ordering::Relaxed);
                }
            }
        })
        .context("The thread that handles signals can't be started.")?;
    Ok(requests)
}
