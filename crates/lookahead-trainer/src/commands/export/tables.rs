//! The event logs of runs as CSV: one file for the events of a kind, with the events of all runs.
//!
//! Numbers have all digits. NaN and infinity are `NaN`, `inf` and `-inf`, as pandas and polars read them, and what was
//! not measured is empty.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::Context;
use lookahead_run::event::{Evaluation, Event, Layers, Probe, Record, Scalars, Step, Sync};
use lookahead_run::log;

use super::runs::{Named, refuse_run_folder};
use crate::console::eprint_line;
use crate::output_file;
use crate::usage::UsageError;

const STEPS: &str = "steps.csv";
const SYNCS: &str = "syncs.csv";
const PROBES: &str = "probes.csv";
const LAYERS: &str = "layers.csv";
const EVALUATIONS: &str = "evaluations.csv";
const SCALARS: &str = "scalars.csv";
const ALL: [&str; 6] = [STEPS, SYNCS, PROBES, LAYERS, EVALUATIONS, SCALARS];

/// Writes the tables into `folder`, which is made if it is missing.
///
/// # Errors
/// If one of them exists without `force`, a log can't be read, or a file can't be written.
pub(super) fn export(runs: &[Named], folder: &Path, force: bool) -> anyhow::Result<()> {
    if folder.is_file() {
        return Err(UsageError::new(format!(
            "`--csv` is {}, a file. Use the name of a folder, which gets {}.",
            folder.display(),
            ALL.join(", ")
        ))
        .into());
    }
    refuse_run_folder(folder, "Use another folder for `--csv`.")?;
    for name in ALL.iter().filter(|_| folder.exists()) {
        output_file::check(&folder.join(name), force)?;
    }
    let failed = || format!("The tables can't be written to {}.", folder.display());
    std::fs::create_dir_all(folder).with_context(failed)?;
    let aside = tempfile::Builder::new().prefix(".export-").tempdir_in(folder);
    let aside = aside.with_context(failed)?;
    let mut tables = Tables::create(aside.path()).with_context(failed)?;
    for named in runs {
        for record in log::records(&named.run.events_path())? {
            tables.add(&named.name, &record?).with_context(failed)?;
        }
    }
    let counts = tables.finish().with_context(failed)?;
    for (name, count) in counts {
        let path = folder.join(name);
        std::fs::rename(aside.path().join(name), &path).with_context(failed)?;
        let rows = if count == 1 { "row" } else { "rows" };
        eprint_line(format_args!("Written: {}, {count} {rows}", path.display()));
    }
    Ok(())
}

type Csv = csv::Writer<BufWriter<File>>;

/// The tables that are being written.
struct Tables {
    steps: (Csv, u64),
    syncs: (Csv, u64),
    probes: (Csv, u64),
    layers: (Csv, u64),
    evaluations: Csv,
    scalars: (Csv, u64),
    /// Held until all metrics are known.
    found: Vec<(String, u64, f64, Evaluation)>,
}

impl Tables {
    fn create(folder: &Path) -> anyhow::Result<Self> {
        let create = |name: &str| -> anyhow::Result<Csv> {
            Ok(csv::Writer::from_writer(BufWriter::new(File::create_new(folder.join(name))?)))
        };
        let with_header = |name: &str, columns: &[&str]| -> anyhow::Result<(Csv, u64)> {
            let mut table = create(name)?;
            table.write_record([&["run", "step", "time"], columns].concat())?;
            Ok((table, 0))
        };
        let steps = ["epoch", "loss", "learning_rate", "samples_per_second", "phase"];
        Ok(Tables {
            steps: with_header(STEPS, &steps)?,
            syncs: with_header(SYNCS, &["sync", "alpha", "distance", "gradient_norm", "last"])?,
            probes: with_header(PROBES, &["sync", "fast_loss", "slow_loss", "seconds"])?,
            layers: with_header(LAYERS, &["sync", "layer", "distance", "gradient_norm"])?,
            evaluations: create(EVALUATIONS)?,
            scalars: with_header(SCALARS, &["name", "value"])?,
            found: Vec::new(),
        })
    }

    fn add(&mut self, run: &str, record: &Record) -> anyhow::Result<()> {
        let Record { step, time, event } = record;
        let (table, cells) = match event {
            Event::Step(Step { epoch, loss, learning_rate, samples_per_second, phase }) => {
                let [loss, rate, speed] = [*loss, *learning_rate, *samples_per_second].map(number);
                (&mut self.steps, vec![epoch.to_string(), loss, rate, speed, phase.to_string()])
            }
            Event::Sync(Sync { sync, alpha, distance, gradient_norm, last }) => {
                let [distance, norm] = [*distance, *gradient_norm].map(optional);
                let cells =
                    vec![sync.to_string(), number(*alpha), distance, norm, last.to_string()];
                (&mut self.syncs, cells)
            }
            Event::Probe(Probe { sync, fast_loss, slow_loss, seconds }) => {
                let [fast, slow, seconds] = [*fast_loss, *slow_loss, *seconds].map(number);
                (&mut self.probes, vec![sync.to_string(), fast, slow, seconds])
            }
            Event::Evaluation(evaluation) => {
                self.found.push((run.to_owned(), *step, *time, evaluation.clone()));
                return Ok(());
            }
            Event::Layers(Layers { sync, names, distance, gradient_norm }) => {
                let (table, count) = &mut self.layers;
                for ((name, distance), norm) in names.iter().zip(distance).zip(gradient_norm) {
                    let first = [run.to_owned(), step.to_string(), number(*time)];
                    *count += 1;
                    let cells = [sync.to_string(), name.clone(), number(*distance), number(*norm)];
                    table.write_record(first.into_iter().chain(cells))?;
                }
                return Ok(());
            }
            Event::Scalars(Scalars { values }) => {
                let (table, count) = &mut self.scalars;
                *count += values.len() as u64;
                for (name, value) in values {
                    let first = [run.to_owned(), step.to_string(), number(*time)];
                    table.write_record(first.into_iter().chain([name.clone(), number(*value)]))?;
                }
                return Ok(());
            }
            _ => return Ok(()),
        };
        let (table, count) = table;
        *count += 1;
        let first = [run.to_owned(), step.to_string(), number(*time)];
        Ok(table.write_record(first.into_iter().chain(cells))?)
    }

    /// Writes the evaluations, with a column for each metric that one of them has, and returns the number of rows of
    /// each table.
    fn finish(mut self) -> anyhow::Result<[(&'static str, u64); 6]> {
        let of = |evaluation: &Evaluation| -> Vec<String> {
            let accuracy = evaluation.value("accuracy").map(|_| "accuracy".to_owned());
            evaluation.metrics.keys().cloned().chain(accuracy).collect()
        };
        let metrics: BTreeSet<String> = self.found.iter().flat_map(|found| of(&found.3)).collect();
        let header = ["run", "step", "time", "split", "weights", "loss"];
        let header = header.into_iter().chain(metrics.iter().map(String::as_str));
        self.evaluations.write_record(header.chain(["samples", "seconds", "model_step"]))?;
        for (run, step, time, found) in &self.found {
            let first = [run.clone(), step.to_string(), number(*time)];
            let names = [found.split.name(), found.weights.name()].map(str::to_owned);
            let values = metrics.iter().map(|name| optional(found.value(name)));
            let model_step = found.model_step.unwrap_or(*step);
            let last = [found.samples.to_string(), number(found.seconds), model_step.to_string()];
            let cells = first.into_iter().chain(names).chain([number(found.loss)]);
            self.evaluations.write_record(cells.chain(values).chain(last))?;
        }
        let counts = [
            (STEPS, self.steps.1),
            (SYNCS, self.syncs.1),
            (PROBES, self.probes.1),
            (LAYERS, self.layers.1),
            (EVALUATIONS, self.found.len() as u64),
            (SCALARS, self.scalars.1),
        ];
        let tables = [self.steps.0, self.syncs.0, self.probes.0, self.layers.0];
        let tables = tables.into_iter().chain([self.evaluations, self.scalars.0]);
        for table in tables {
            let file = table.into_inner().map_err(csv::IntoInnerError::into_error)?;
            file.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
        }
        Ok(counts)
    }
}

/// The shortest text that gives the number back, with an exponent if it is large or small.
fn number(value: f64) -> String {
    format!("{value:?}")
}

fn optional(value: Option<f64>) -> String {
    value.map(number).unwrap_or_default()
}
