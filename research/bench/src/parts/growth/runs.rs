//! Runs of any length, and folders of many, by the project's own writer and without a training; what reads them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use lookahead_dashboard::{Offscreen, Options, RunSource};
use lookahead_run::event::{Event, Record};
use lookahead_run::log::{self, EventLog};
use lookahead_run::{RunFolder, RunSummary};

use super::Run;
use crate::parts::dashboard::events;
use crate::protocol::peak_memory_of;

/// Events that are written at once.
const AT_ONCE: usize = 10_000;

fn write(path: &Path, records: impl Iterator<Item = Record>) -> anyhow::Result<()> {
    let mut log = EventLog::open(path)?;
    for record in records {
        log.buffer(&record)?;
        if log.buffered() >= AT_ONCE {
            log.write()?;
        }
    }
    Ok(log.write()?)
}

/// A log of a run of that many steps, made once.
fn run_log(folder: &Path, steps: u64) -> anyhow::Result<PathBuf> {
    let path = folder.join(format!("steps-{steps}.jsonl"));
    if !path.exists() {
        write(&path, (0..=steps).flat_map(|step| events(step, steps)))?;
    }
    Ok(path)
}

/// What a run is, from its log.
pub(super) fn summary(folder: &Path, steps: u64) -> anyhow::Result<Run> {
    let path = run_log(folder, steps)?;
    Ok(Box::new(move || {
        let summary = RunSummary::read(&path)?;
        ensure!(summary.step == steps, "The log has other steps.");
        Ok(None)
    }))
}

/// The dashboard with all of a run's log, and its first frame.
pub(super) fn dashboard(folder: &Path, steps: u64) -> anyhow::Result<Run> {
    let path = run_log(folder, steps)?;
    Ok(Box::new(move || {
        let before = resident();
        let mut dashboard = Offscreen::new(&["run"], &Options::default(), 200, 60);
        for record in log::records(&path)? {
            dashboard.feed(0, record?);
        }
        dashboard.draw()?;
        Ok(resident().zip(before).map(|(after, before)| after.saturating_sub(before)))
    }))
}

/// Bytes of this process's memory.
fn resident() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(4096 * statm.split_whitespace().nth(1)?.parse::<u64>().ok()?)
}

/// `lookahead resume` for one step more. The run has trained for a few steps; its log has as many events of steps as if
/// it were that long.
pub(super) fn resume(lookahead: &Path, folder: &Path, steps: u64) -> anyhow::Result<Run> {
    const TRAINED: u64 = 20;
    let (lookahead, folder) = (lookahead.to_owned(), folder.join("resume"));
    let name = format!("steps-{steps}");
    let config = concat!(env!("CARGO_MANIFEST_DIR"), "/../../configs/digits.toml");
    let mut train = Command::new(&lookahead);
    train.args(["train", config, "--quiet", "--name", &name, "--out"]).arg(&folder);
    let sets = ["train.evaluate_every_epochs=0", "checkpoint.every_steps=0", "train.threads=1"];
    for set in sets {
        train.args(["--set", set]);
    }
    run(train.args(["--set", &format!("train.max_steps={TRAINED}")]))?;
    let path = folder.join(&name).join("events.jsonl");
    let mut records = log::read(&path)?.into_iter();
    let first = records.next().context("A log has a first event.")?;
    let rest: Vec<Record> = records.collect();
    std::fs::remove_file(&path)?;
    // Steps up to the checkpoint, or the resume would move them away.
    let of_step = |step: u64| {
        let at = (step * TRAINED / steps).clamp(1, TRAINED - 1);
        let time = first.time;
        events(step, steps).into_iter().map(move |record| Record { step: at, time, ..record })
    };
    let long = (1..=steps).flat_map(of_step);
    let last = rest.into_iter().filter(|record| {
        record.step >= TRAINED || !matches!(record.event, Event::Step(_) | Event::Sync(_))
    });
    write(&path, std::iter::once(first.clone()).chain(long).chain(last))?;
    let mut until = TRAINED;
    let run_folder = folder.join(name);
    Ok(Box::new(move || {
        until += 1;
        let mut command = Command::new(&lookahead);
        command.arg("resume").arg(&run_folder).arg("--quiet");
        run(command.args(["--set", &format!("train.max_steps={until}")])).map(Some)
    }))
}

/// A folder of that many short runs, made once.
fn many(folder: &Path, count: u64) -> anyhow::Result<PathBuf> {
    const STEPS: u64 = 100;
    let all = folder.join(format!("runs-{count}"));
    if all.exists() {
        return Ok(all);
    }
    let first = RunFolder::create(&all, "run-00000")?;
    first.write_config(include_str!("../../../../../configs/digits.toml"))?;
    write(&first.events_path(), (0..=STEPS).flat_map(|step| events(step, STEPS)))?;
    for run in 1..count {
        let copy = RunFolder::create(&all, &format!("run-{run:05}"))?;
        for (from, to) in
            [(first.config_path(), copy.config_path()), (first.events_path(), copy.events_path())]
        {
            std::fs::copy(from, to)?;
        }
    }
    Ok(all)
}

/// `lookahead list`.
pub(super) fn list(lookahead: &Path, folder: &Path, count: u64) -> anyhow::Result<Run> {
    let (lookahead, all) = (lookahead.to_owned(), many(folder, count)?);
    Ok(Box::new(move || run(Command::new(&lookahead).arg("list").arg(&all)).map(Some)))
}

/// The dashboard's table of runs.
pub(super) fn table(folder: &Path, count: u64) -> anyhow::Result<Run> {
    let all = many(folder, count)?;
    Ok(Box::new(move || {
        let all = all.clone();
        let find = move || {
            let entries = std::fs::read_dir(&all).into_iter().flatten().flatten();
            entries.map(|e| (e.file_name().to_string_lossy().into_owned(), e.path())).collect()
        };
        let source = RunSource { title: "runs".to_owned(), planned: None, find: Box::new(find) };
        let before = resident();
        let mut table = Offscreen::browse(source, &Options::default(), 200, 60);
        table.draw()?;
        Ok(resident().zip(before).map(|(after, before)| after.saturating_sub(before)))
    }))
}

/// Runs a program to its end; returns about the most memory that it had.
fn run(command: &mut Command) -> anyhow::Result<u64> {
    let mut child = command
        .env("OMP_NUM_THREADS", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let (pid, mut peak) = (child.id().to_string(), 0);
    while child.try_wait()?.is_none() {
        peak = peak.max(peak_memory_of(&pid).unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let ended = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.success(), "{command:?} failed: {said}");
    Ok(peak)
}
