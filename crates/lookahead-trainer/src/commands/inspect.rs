//! `lookahead inspect`: verifies a run or a checkpoint and lists its contents.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;

use lookahead_run::event::{Compute, Reason, RunInfo, Status, Task};
use lookahead_run::words::sentences;
use lookahead_run::{
    Checkpoint, FileEntry, Manifest, RunFolder, RunSummary, TrainingMetadata, checkpoint, format,
    log, program_name,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::find;
use super::selection::best_step;
use crate::cli;
use crate::config::kinds::Kinds;
use crate::console::{print_data, print_line};
use crate::data::spec::DataSpec;
use crate::tensor_file::{Description, TensorFile};
use crate::usage::UsageError;

/// Verifies a run or a checkpoint and prints what it contains. Writes nothing into the folder.
///
/// # Errors
/// If the path is neither; after the output, if something is damaged.
pub fn inspect(kinds: &Kinds, arguments: &cli::Inspect) -> anyhow::Result<()> {
    let path = &find::run_or_checkpoint(arguments.path.as_deref())?;
    let found = if path.join("manifest.json").exists() {
        Found::Checkpoint(CheckpointReport::new(path))
    } else if path.join("config.toml").exists() {
        Found::Run(RunReport::new(kinds, path)?)
    } else {
        return Err(UsageError::new(format!(
            "{} is neither the folder of a run, which has a `config.toml`, nor of a checkpoint, which has a \
             `manifest.json`. `{} list` shows the runs.",
            path.display(),
            program_name()
        ))
        .into());
    };
    if arguments.json {
        print_data(serde_json::to_string(&found)?)?;
    } else {
        print_line(found.text().trim_end())?;
    }
    match found.faults() {
        0 => Ok(()),
        1 => anyhow::bail!("{} is damaged: see above.", path.display()),
        count => anyhow::bail!("{} is damaged in {count} places: see above.", path.display()),
    }
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Found {
    Run(RunReport),
    Checkpoint(CheckpointReport),
}

impl Found {
    fn faults(&self) -> usize {
        match self {
            Found::Checkpoint(found) => usize::from(found.fault.is_some()),
            Found::Run(run) => {
                let damaged = run.checkpoints.iter().filter(|found| found.fault.is_some());
                damaged.count() + usize::from(run.log_fault.is_some())
            }
        }
    }

    fn text(&self) -> String {
        match self {
            Found::Run(run) => run.text(),
            Found::Checkpoint(found) => found.text(),
        }
    }
}

/// The contents of a run's folder.
#[derive(Serialize)]
struct RunReport {
    run: String,
    /// `running`, `finished`, `stopped`, `failed`, or `interrupted` if the log has no end event.
    state: &'static str,
    /// Why it ended, as in the event `run_ended`.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    /// The message of that event.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// The last step in the log.
    step: u64,
    total_steps: Option<u64>,
    events: u64,
    /// Wall-clock time of the first and of the last event, in Unix seconds.
    first_event: Option<f64>,
    last_event: Option<f64>,
    warnings: u64,
    log_fault: Option<String>,
    about: Option<RunInfo>,
    /// The model's inputs and outputs, by the newest valid checkpoint.
    #[serde(skip_serializing_if = "Value::is_null")]
    signature: Value,
    checkpoints: Vec<CheckpointSummary>,
    abandoned: usize,
}

/// One checkpoint of a run.
#[derive(Serialize)]
struct CheckpointSummary {
    name: String,
    step: u64,
    bytes: Option<u64>,
    created: Option<f64>,
    metrics: BTreeMap<String, Value>,
    /// Whether it is the best one on validation data.
    best: bool,
    /// What is wrong with it.
    fault: Option<String>,
}

impl RunReport {
    fn new(kinds: &Kinds, path: &Path) -> anyhow::Result<Self> {
        let folder = RunFolder::open(path)?;
        let best = best_step(kinds, &folder).ok();
        let mut signature = Value::Null;
        let mut summary = |found: &Checkpoint| {
            let verified = found.verify();
            let manifest = verified.as_ref().ok();
            if let Some(manifest) = manifest {
                signature.clone_from(&manifest.metadata.signature);
            }
            CheckpointSummary {
                name: found.name(),
                step: found.step,
                bytes: manifest.map(Manifest::bytes),
                created: manifest.map(|manifest| manifest.created),
                metrics: manifest.map(|m| metrics(&m.metadata)).unwrap_or_default(),
                best: best == Some(found.step),
                fault: verified.err().map(|error| error.to_string()),
            }
        };
        let checkpoints = folder.checkpoints().list()?.iter().map(&mut summary).collect();
        // Up to the first damaged line.
        let mut log = RunSummary::default();
        let read = log::records(&folder.events_path()).and_then(|mut records| {
            records.try_for_each(|record| record.map(|record| log.apply(&record)))
        });
        let is_running = folder.is_in_use()?;
        let end = log.ended().filter(|_| !is_running).cloned();
        let state = match end.as_ref().map(|end| end.status) {
            Some(Status::Finished) => "finished",
            Some(Status::Stopped) => "stopped",
            Some(Status::Failed) => "failed",
            None if is_running => "running",
            None => "interrupted",
        };
        let (reason, message) = end.map(|end| (end.reason, end.message)).unwrap_or_default();
        Ok(RunReport {
            run: folder.name().to_owned(),
            state,
            reason,
            message,
            step: log.step,
            total_steps: log.info.as_ref().map(|info| info.total_steps),
            events: log.events,
            first_event: log.first_time,
            last_event: log.last_time,
            warnings: log.warnings,
            log_fault: read.err().map(|error| error.to_string()),
            about: log.info,
            checkpoints,
            signature,
            abandoned: abandoned_checkpoints(path),
        })
    }

    fn text(&self) -> String {
        let total = self.total_steps.filter(|total| *total > 0);
        let of = total.map(|total| format!(" of {total}")).unwrap_or_default();
        let state = match self.reason {
            Some(Reason::EarlyStopping) => "stopped early",
            _ => self.state,
        };
        let why = self.message.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let mut text = format!("{}: {state} at step {}{of}{why}\n", self.run, self.step);
        if let Some(about) = &self.about {
            let recorded = about.task.kind == Task::Recorded;
            let around = about
                .lookahead
                .as_ref()
                .map(|l| format!("Lookahead(k {}, α {}) around ", l.k, l.alpha));
            if recorded {
                let program = about.software.program.as_deref().unwrap_or("a program of its own");
                let named = [&about.model, &about.data, &about.optimizer].into_iter();
                let named: String =
                    named.filter(|name| !name.is_empty()).map(|name| format!("{name}, ")).collect();
                let _ = writeln!(text, "  {named}seed {}, recorded by {program}", about.seed);
            } else {
                let _ = writeln!(
                    text,
                    "  {} on {}, {}{}, {}, seed {}, on {}",
                    about.model,
                    about.data,
                    around.unwrap_or_default(),
                    about.optimizer,
                    about.parameters,
                    about.seed,
                    about.compute.device
                );
            }
        }
        text += &signature_text(&self.signature);
        text += &match &self.log_fault {
            Some(fault) => format!("  event log: DAMAGED: {fault}\n"),
            None => {
                let number = |count, word| {
                    let plural = if count == 1 { "" } else { "s" };
                    format!("{} {word}{plural}", format::count(count))
                };
                format!(
                    "  event log: {}, {}\n",
                    number(self.events, "event"),
                    number(self.warnings, "warning")
                )
            }
        };
        for CheckpointSummary { name, bytes, metrics, best, fault, .. } in &self.checkpoints {
            text += &match fault {
                Some(fault) => format!("  {name}: DAMAGED: {fault}\n"),
                None => format!(
                    "  {name}: valid, {} bytes{}{}\n",
                    bytes.unwrap_or(0),
                    listed(metrics),
                    if *best { " (the best)" } else { "" }
                ),
            };
        }
        if self.checkpoints.is_empty() {
            text += "  no checkpoint\n";
        }
        if self.abandoned > 0 {
            text += &format!("  {} in abandoned/\n", self.abandoned);
        }
        text
    }
}

/// The number of checkpoints in `abandoned/`.
fn abandoned_checkpoints(run: &Path) -> usize {
    let entries = std::fs::read_dir(run.join("abandoned")).into_iter().flatten().flatten();
    entries.filter(|entry| entry.path().is_dir()).count()
}

/// The contents of a checkpoint.
#[derive(Serialize)]
struct CheckpointReport {
    path: String,
    /// What is wrong with it.
    fault: Option<String>,
    manifest: Option<Manifest>,
    /// The tensors of each file.
    tensors: BTreeMap<String, BTreeMap<String, Description>>,
}

impl CheckpointReport {
    fn new(path: &Path) -> Self {
        let mut report = CheckpointReport {
            path: path.display().to_string(),
            fault: None,
            manifest: None,
            tensors: BTreeMap::new(),
        };
        let found = checkpoint::verify(path).map_err(anyhow::Error::from).and_then(|manifest| {
            let manifest = report.manifest.insert(manifest);
            for name in manifest.files.keys().filter(|name| name.ends_with(".safetensors")) {
                let file: TensorFile<File> = TensorFile::open(&path.join(name))?;
                report.tensors.insert(name.clone(), file.descriptions());
            }
            Ok(())
        });
        report.fault = found.err().map(|error| sentences(error.as_ref()));
        report
    }

    fn text(&self) -> String {
        let mut text = match &self.fault {
            Some(fault) => format!("{}: DAMAGED: {fault}\n", self.path),
            None => format!("{}: valid\n", self.path),
        };
        let Some(Manifest { format, metadata, files, .. }) = &self.manifest else { return text };
        let TrainingMetadata { step, phase, epoch, cursor, seed, .. } = metadata;
        let Compute { device, threads, cpu_capability } = &metadata.machine.compute;
        let versions = &metadata.software.versions;
        let _ = writeln!(
            text,
            "  step {step}, {phase} inner steps since the last sync; epoch {epoch}, batch {cursor}; \
             seed {seed}\n  after {:.1} s; saved by lookahead {}, tch {}, libtorch {}, on {device} \
             with {threads} threads and {cpu_capability}; format {format}{}",
            metadata.wall_seconds,
            versions.lookahead,
            versions.tch,
            versions.libtorch,
            listed(&metrics(metadata))
        );
        text += &signature_text(&metadata.signature);
        if let Some(git) = &metadata.git {
            let modified = if git.modified { ", with uncommitted changes" } else { "" };
            let _ = writeln!(text, "  git revision {}{modified}", git.revision);
        }
        for (name, FileEntry { bytes, sha256 }) in files {
            let _ = writeln!(text, "  {name}: {bytes} bytes, SHA-256 {sha256}");
            for (tensor, Description { dtype, shape }) in
                self.tensors.get(name).into_iter().flatten()
            {
                let _ = writeln!(text, "    {tensor}  {dtype:?} {shape:?}");
            }
        }
        text
    }
}

/// A model's signature as text, if this version can read it.
fn signature_text(signature: &Value) -> String {
    DataSpec::deserialize(signature).map(|spec| spec.describe()).unwrap_or_default()
}

/// The metrics, in the number format of the event log.
fn metrics(metadata: &TrainingMetadata) -> BTreeMap<String, Value> {
    let all = metadata.metrics.iter();
    let written =
        |value: f64| lookahead_run::number::serialize(&value, serde_json::value::Serializer);
    all.map(|(name, value)| (name.clone(), written(*value).unwrap_or(Value::Null))).collect()
}

fn listed(metrics: &BTreeMap<String, Value>) -> String {
    metrics.iter().map(|(name, value)| format!(", {name} {value}")).collect()
}
