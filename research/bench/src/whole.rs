//! Whole processes: how long they take to their first training step, how much memory they need, and what
//! the dashboard costs.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::time::Instant;

use anyhow::{Context, bail};
use lookahead_run::event::Event;
use lookahead_run::log;
use lookahead_trainer::config::Config;
use portable_pty::{CommandBuilder, PtySize, native_pty_system};

use crate::plan::{PEERS, Plan, Programs};
use crate::protocol::{Job, Worker, peak_memory_of};
use crate::report::{Report, Row, Unit};
use crate::statistics::{Aim, Meaning};
use crate::workload::{Training, Work};

/// Steps that a process takes whose memory is measured.
const STEPS: u64 = 50;
/// The trainer's name here, as a whole program.
const PROGRAM: &str = "lookahead train";

/// Seconds to the first step, and the most memory in bytes.
type Found = (f64, f64);

/// Measures a training's start and memory, and for those whose own cost has an aim the dashboard too. `step`
/// is how long a step takes, in seconds.
///
/// # Errors
/// If a process fails.
pub fn measure(
    programs: &Programs,
    plan: &Plan,
    training: &Training,
    work: &Work,
    step: f64,
    folder: &Path,
    report: &mut Report,
) -> anyhow::Result<()> {
    // In the quick benchmark there is time for one training.
    if plan.quick && plan.only.is_empty() && training.name != "mlp-32" {
        return Ok(());
    }
    let Work::Training { config, .. } = work else { bail!("A training was expected.") };
    let names = [PROGRAM, PEERS[0], PEERS[1]];
    let mut found: Vec<Vec<Found>> = vec![Vec::new(); names.len()];
    for round in 0..=plan.few_rounds() {
        for turn in 0..names.len() {
            let i = (round + turn) % names.len();
            let this = match i {
                0 => start_of_trainer(programs, config, folder),
                _ => start_of_peer(programs, names[i], work, plan.threads, folder),
            };
            // In the first round files come from the disk.
            if round > 0 {
                found[i].push(this?);
            }
        }
    }
    let column =
        |i: usize, what: fn(&Found) -> f64| -> Vec<f64> { found[i].iter().map(what).collect() };
    for (quantity, unit, bound, what) in [
        (
            "start of the process to the first step",
            Unit::Seconds,
            1.0 / 6.0,
            (|f| f.0) as fn(&Found) -> f64,
        ),
        ("peak memory of the process", Unit::Bytes, 1.0, |f| f.1),
    ] {
        for (peer, name) in names.iter().enumerate().skip(1) {
            let values = (&column(0, what)[..], &column(peer, what)[..]);
            let pair = (PROGRAM, *name);
            let aim = Some(Aim::median(bound));
            let row = Row::new(training.name, quantity, pair, values, unit, Meaning::Takes, aim);
            report.rows.extend(row);
        }
    }
    match training.own_cost {
        Some(_) => dashboard(programs, plan, training.name, config, step, folder, report),
        None => Ok(()),
    }
}

/// A folder for a run, which goes with the value, and the config in it.
fn run_folder(folder: &Path, config: &Config) -> anyhow::Result<tempfile::TempDir> {
    let run = tempfile::tempdir_in(folder)?;
    std::fs::write(run.path().join("config.toml"), config.to_toml())?;
    Ok(run)
}

/// `lookahead train`, whose events show the first step. It evaluates the test set at the end.
fn start_of_trainer(programs: &Programs, config: &Config, folder: &Path) -> anyhow::Result<Found> {
    let mut config = config.clone();
    config.train.max_steps = Some(STEPS);
    let run = run_folder(folder, &config)?;
    let started = Instant::now();
    let mut child = Process::new(&programs.lookahead)
        .args(["train", "config.toml", "--out", ".", "--name", "run", "--json", "--quiet"])
        .current_dir(run.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} can't be started.", programs.lookahead.display()))?;
    let pid = child.id().to_string();
    let events = child.stdout.take().context("The process was given a pipe.")?;
    let (mut first, mut peak) = (None, 0);
    for line in BufReader::new(events).lines() {
        let line = line?;
        if line.contains(r#""event":"step""#) {
            first.get_or_insert_with(|| started.elapsed().as_secs_f64());
        } else {
            // The peak only grows; the last look that finds the process counts.
            peak = peak.max(peak_memory_of(&pid).unwrap_or(0));
        }
    }
    let mut said = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut said)?;
    }
    let status = child.wait()?;
    match first {
        Some(seconds) if status.success() && peak > 0 => Ok((seconds, peak as f64)),
        _ => bail!("`lookahead train` ended with {status}, and said: {said}"),
    }
}

fn start_of_peer(
    programs: &Programs,
    name: &str,
    work: &Work,
    threads: usize,
    folder: &Path,
) -> anyhow::Result<Found> {
    let job = Job {
        contender: name.to_owned(),
        threads,
        form: "fused".to_owned(),
        // The form that takes less memory.
        storage: "bytes".to_owned(),
        work: work.clone(),
        initial: None,
        order: None,
        samples: None,
    };
    let started = Instant::now();
    let mut worker: Worker = programs.peer(name, folder)?;
    worker.prepare(job)?;
    worker.losses(1)?;
    let seconds = started.elapsed().as_secs_f64();
    worker.losses(STEPS - 1)?;
    worker.evaluate(false)?;
    Ok((seconds, worker.peak_memory()? as f64))
}

/// The whole program with a terminal and without, about two seconds long.
fn dashboard(
    programs: &Programs,
    plan: &Plan,
    name: &str,
    config: &Config,
    step: f64,
    folder: &Path,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut config = config.clone();
    config.checkpoint.every_steps = 0;
    config.train.max_steps = Some((2.0 / step).clamp(50.0, 20_000.0) as u64);
    let mut seconds = [Vec::new(), Vec::new()];
    for round in 0..plan.few_rounds().max(3) {
        for turn in 0..2 {
            let with = (round + turn) % 2;
            seconds[with].push(in_a_terminal(programs, &config, with == 1, folder)?);
        }
    }
    let [without, with] = &seconds;
    let names = ("with the dashboard", "--no-tui");
    let aim = Some(Aim::median(1.03));
    let unit = Unit::Step { samples: config.data.batch_size };
    report.rows.extend(Row::new(
        name,
        "dashboard",
        names,
        (with, without),
        unit,
        Meaning::Takes,
        aim,
    ));
    Ok(())
}

/// Seconds of a step in a run on a terminal of its own, by the times of its events.
fn in_a_terminal(
    programs: &Programs,
    config: &Config,
    dashboard: bool,
    folder: &Path,
) -> anyhow::Result<f64> {
    let run = run_folder(folder, config)?;
    let size = PtySize { rows: 36, cols: 120, pixel_width: 0, pixel_height: 0 };
    let terminal = native_pty_system().openpty(size)?;
    let mut command = CommandBuilder::new(&programs.lookahead);
    command.args(["train", "config.toml", "--out", ".", "--name", "run"]);
    if !dashboard {
        command.arg("--no-tui");
    }
    command.cwd(run.path());
    command.env("TERM", "xterm-256color");
    let mut child = terminal.slave.spawn_command(command)?;
    drop(terminal.slave);
    let mut output = terminal.master.try_clone_reader()?;
    // Drain the output, or the program would block.
    let reader = std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
    let status = child.wait()?;
    drop(terminal.master);
    let _ = reader.join();
    if !status.success() {
        bail!("`lookahead train` in a terminal ended with {status}.");
    }
    let records = log::read(&run.path().join("run").join("events.jsonl"))?;
    let steps: Vec<f64> = records
        .iter()
        .filter(|record| matches!(record.event, Event::Step(_)))
        .map(|record| record.time)
        .collect();
    match steps[..] {
        [first, .., last] => Ok((last - first) / (steps.len() - 1) as f64),
        _ => bail!("`lookahead train` in a terminal took less than two steps."),
    }
}
