//! Predictions as rows of CSV or JSON lines, on stdout or in a file.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use lookahead_run::words::reason;
use tempfile::NamedTempFile;

use super::chunks::Origin;
use super::outputs::{Outputs, Predictions};
use crate::cli::RowFormat;
use crate::console::Stdout;
use crate::output_file;
use crate::usage::UsageError;

/// Where rows go.
#[derive(Debug)]
pub(crate) enum Target {
    /// Standard output.
    Stdout,
    /// A file that appears once all rows are in it.
    File {
        /// Its final name.
        path: PathBuf,
        /// Where it is written, next to it.
        part: NamedTempFile,
        /// Whether an existing file is replaced.
        force: bool,
    },
}

impl Target {
    /// The file at `path`, otherwise stdout.
    ///
    /// # Errors
    /// If the file exists and may not be replaced, or can't be created.
    pub(crate) fn new(path: Option<&Path>, force: bool) -> anyhow::Result<Self> {
        let Some(path) = path else { return Ok(Target::Stdout) };
        output_file::check(path, force)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut options = tempfile::Builder::new();
        // A temporary file is private, but this one is a file like any other.
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        options.prefix(".predictions-").permissions(permissions);
        let part = options.tempfile_in(folder.unwrap_or(Path::new("."))).map_err(|cause| {
            UsageError::new(format!("{} can't be written: {}.", path.display(), reason(&cause)))
        })?;
        Ok(Target::File { path: path.to_owned(), part, force })
    }
}

/// Writes predictions as rows.
#[derive(Debug)]
pub(crate) struct RowWriter {
    target: Target,
    stdout: Option<Stdout>,
    layout: Layout,
    rows: u64,
}

/// The columns of a row: the file and the class of a sample that has them, then probabilities or values.
#[derive(Debug)]
struct Layout {
    format: RowFormat,
    has_files: bool,
    /// The names of the classes.
    classes: Vec<String>,
    /// The names of the probabilities or values.
    columns: Vec<String>,
    is_double: bool,
}

impl RowWriter {
    /// A writer of the predictions of a model, with the file of each sample if it has one.
    pub(crate) fn new(
        target: Target,
        format: RowFormat,
        outputs: &Outputs,
        has_files: bool,
    ) -> anyhow::Result<Self> {
        let stdout = matches!(target, Target::Stdout).then(Stdout::new).transpose()?;
        let layout = Layout {
            format,
            has_files,
            classes: outputs.classes().unwrap_or_default().to_vec(),
            columns: outputs.columns(),
            is_double: outputs.is_double(),
        };
        Ok(RowWriter { target, stdout, layout, rows: 0 })
    }

    /// Rows written so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes a row for each sample of a chunk.
    ///
    /// # Errors
    /// If stdout or the file can't be written.
    pub(crate) fn write(
        &mut self,
        origin: Origin<'_>,
        predictions: &Predictions,
    ) -> anyhow::Result<()> {
        let bytes = match self.layout.format {
            RowFormat::Csv => self.layout.csv(self.rows == 0, origin, predictions)?,
            RowFormat::Jsonl => self.layout.json_lines(origin, predictions)?,
        };
        self.rows += predictions.samples as u64;
        match (&mut self.target, &mut self.stdout) {
            (Target::File { path, part, .. }, _) => part
                .write_all(&bytes)
                .with_context(|| format!("{} can't be written.", path.display())),
            (Target::Stdout, stdout) => match stdout {
                Some(stdout) => Ok(stdout.write_all(&bytes).and_then(|()| stdout.flush())?),
                None => Ok(()),
            },
        }
    }

    /// Gives a file its name, and returns it.
    ///
    /// # Errors
    /// If it can't be written, or another one has the name by now.
    pub(crate) fn finish(self) -> anyhow::Result<Option<PathBuf>> {
        let Target::File { path, part, force } = self.target else { return Ok(None) };
        let failed = || format!("{} can't be written.", path.display());
        part.as_file().sync_all().with_context(failed)?;
        let saved = if force { part.persist(&path) } else { part.persist_noclobber(&path) };
        match saved {
            Ok(_) => Ok(Some(path)),
            Err(error) if !force && path.symlink_metadata().is_ok() => {
                drop(error);
                Err(output_file::exists(&path).into())
            }
            Err(error) => Err(error.error).with_context(failed),
        }
    }
}

impl Layout {
    fn csv(
        &self,
        with_names: bool,
        origin: Origin<'_>,
        predictions: &Predictions,
    ) -> anyhow::Result<Vec<u8>> {
        let mut rows = csv::Writer::from_writer(Vec::new());
        if with_names {
            let file = self.has_files.then_some("file");
            let class = (!self.classes.is_empty()).then_some("class");
            let columns = self.columns.iter().map(String::as_str);
            rows.write_record(file.into_iter().chain(class).chain(columns))?;
        }
        let mut number = Vec::new();
        for (i, (class, values)) in self.samples(predictions).enumerate() {
            if let Some(file) = file_of(origin, i) {
                rows.write_field(file)?;
            }
            if let Some(class) = class {
                rows.write_field(class)?;
            }
            for &value in values {
                number.clear();
                self.write_number(value, &mut number)?;
                rows.write_field(&number)?;
            }
            rows.write_record(None::<&[u8]>)?;
        }
        rows.into_inner().context("Writing to memory failed.")
    }

    fn json_lines(&self, origin: Origin<'_>, predictions: &Predictions) -> anyhow::Result<Vec<u8>> {
        let columns: Vec<String> =
            self.columns.iter().map(serde_json::to_string).collect::<Result<_, _>>()?;
        let mut lines = Vec::new();
        for (i, (class, values)) in self.samples(predictions).enumerate() {
            let start = lines.len();
            let file = file_of(origin, i);
            for (name, text) in [("file", file.as_deref()), ("class", class)] {
                if let Some(text) = text {
                    write!(lines, ",\"{name}\":{}", serde_json::to_string(text)?)?;
                }
            }
            for (name, &value) in columns.iter().zip(values) {
                write!(lines, ",{name}:")?;
                self.write_number(value, &mut lines)?;
            }
            lines.extend(b"}\n");
            lines[start] = b'{';
        }
        Ok(lines)
    }

    /// Writes the shortest number that is read back as the same one.
    fn write_number(&self, value: f64, out: &mut Vec<u8>) -> serde_json::Result<()> {
        if self.is_double {
            serde_json::to_writer(out, &value)
        } else {
            serde_json::to_writer(out, &(value as f32))
        }
    }

    /// The class and the values of each sample.
    fn samples<'a>(
        &'a self,
        predictions: &'a Predictions,
    ) -> impl Iterator<Item = (Option<&'a str>, &'a [f64])> {
        let class = |i: usize| Some(self.classes[predictions.classes.as_ref()?[i]].as_str());
        predictions
            .values
            .chunks(self.columns.len())
            .enumerate()
            .map(move |(i, values)| (class(i), values))
    }
}

/// The file of a sample, if it has one of its own.
fn file_of(origin: Origin<'_>, index: usize) -> Option<String> {
    match origin {
        Origin::Files(files) => Some(files[index].display().to_string()),
        Origin::File { .. } => None,
    }
}
