//! `data.kind = "csv"`: a table in a CSV file, whose columns of numbers and texts predict one column.
//!
//! | module | what is in it |
//! |---|---|
//! | `records` | the records of a file, with their lines |
//! | [`rows`] | the rows of a file, as cells of text |
//! | [`fit`] | what the columns hold, and the encoding that follows from the training rows |
//! | [`encoding`] | how a row becomes numbers |
//! | [`reader`] | rows of other files as inputs of a trained model |

pub mod encoding;
pub mod fit;
pub mod reader;
pub(crate) mod records;
pub mod rows;

use std::io::Read;
use std::path::{Path, PathBuf};

use lookahead_run::event::Task;
use lookahead_run::words::reason;
use serde::{Deserialize, Serialize};

use super::array::{Array, Values};
use super::dataset::{Dataset, LoadContext};
use super::gzip;
use super::in_memory::InMemory;
use super::spec::{DataSpec, Inputs, Scale};
use super::split::{TEST_FILE, TEST_FRACTION, TEST_PART, check_test_part, shuffled_parts};
use crate::config::issue::{ConfigIssue, require};
use crate::config::key::Key;
use crate::config::kinds::KindOptions;
use crate::usage::UsageError;
use encoding::{Encoding, Missing};
use fit::{Layout, Table, TableTask, TargetValues};
use rows::Rows;

/// The keys of `[data]` for a table.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TableOptions {
    /// The file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// A file with the test set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_file: Option<PathBuf>,
    /// The part of the rows that becomes the test set, without `test_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_fraction: Option<f64>,
    /// The name of the column to predict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// What is predicted. By default a number, if the target has numbers that aren't few whole ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<TableTask>,
    /// Columns to leave out.
    pub ignore: Vec<String>,
    /// Columns whose numbers are the names of categories.
    pub categorical: Vec<String>,
    /// The character between cells.
    pub delimiter: char,
    /// What a missing cell becomes.
    pub missing: Missing,
}

impl Default for TableOptions {
    fn default() -> Self {
        TableOptions {
            file: None,
            test_file: None,
            test_fraction: None,
            target: None,
            task: None,
            ignore: Vec::new(),
            categorical: Vec::new(),
            delimiter: ',',
            missing: Missing::Error,
        }
    }
}

impl KindOptions for TableOptions {
    const KEYS: &'static [Key] = &[
        Key::path(
            "file",
            "a table in UTF-8 whose first line names the columns, compressed with gzip or not; stored as an absolute \
             path",
        )
        .required("\"table.csv\""),
        TEST_FILE,
        TEST_PART,
        Key::text("target", "the column to predict")
            .allowed("a column's name")
            .required("\"price\""),
        Key::choice("task", &["classification", "regression"], "what is predicted")
            .default(
                "classification if the target holds texts or at most 20 different whole numbers, otherwise regression",
            )
            .example("\"regression\""),
        Key::texts("ignore", "columns to leave out").allowed("columns' names").example("[\"id\"]"),
        Key::texts("categorical", "columns whose numbers are the names of categories")
            .allowed("columns' names")
            .example("[\"zone\"]"),
        Key::text("delimiter", "the character between cells")
            .allowed("one ASCII character, for example `\",\"`, `\";\"` or `\"\\t\"`")
            .pattern(r#"^[^"\n\r\u0000\u0080-\uffff]$"#),
        Key::choice(
            "missing",
            &["error", "mean", "zero"],
            "what a missing cell of an input becomes. `mean` is the column's mean over the training rows, `zero` is 0 \
             before standardization; with both, a missing text is no category",
        )
        .example("\"mean\""),
    ];

    fn about(_kind: &str) -> &'static str {
        "a table of your own, in a CSV file"
    }

    fn starter(_kind: &str) -> &'static str {
        r#"
[data]
batch_size = 32

[model]
kind = "mlp"
hidden = [32]

[optimizer]
kind = "adam"
lr = 0.003

[train]
epochs = 40
"#
    }

    fn check(&self) -> Result<(), ConfigIssue> {
        for (key, given, example) in [
            (
                "file",
                self.file.is_some(),
                "Name a CSV file, for example `--set data.file=table.csv`.",
            ),
            (
                "target",
                self.target.is_some(),
                "Name the column to predict, for example `--set data.target=price`.",
            ),
        ] {
            if !given {
                return Err(ConfigIssue::new(
                    "data.kind",
                    format!("`data.kind` is csv, but `data.{key}` is missing. {example}"),
                ));
            }
        }
        check_test_part(self.test_fraction, self.test_file.is_some().then_some("data.test_file"))?;
        let fits = self.delimiter.is_ascii() && !['"', '\n', '\r', '\0'].contains(&self.delimiter);
        let found = format!("{:?}", self.delimiter);
        require(
            fits,
            "data.delimiter",
            found,
            "one ASCII character, for example \",\", \";\" or \"\\t\"",
        )
    }
}

/// Reads the table, shuffles its rows, the same for every seed, and splits them.
pub fn load(options: TableOptions, context: &LoadContext) -> anyhow::Result<Dataset> {
    let path = options.file.unwrap_or_default();
    let in_file = |reason| refused("file", &path, reason);
    let file = read(&path).map_err(in_file)?;
    let layout = Layout {
        delimiter: options.delimiter as u8,
        target: options.target.unwrap_or_default(),
        ignore: options.ignore,
        categorical: options.categorical,
        missing: options.missing,
        task: options.task,
    };
    let table = Table::scan(&file, layout).map_err(in_file)?;
    let fraction = match options.test_file {
        Some(_) => 0.0,
        None => options.test_fraction.unwrap_or(TEST_FRACTION),
    };
    let (train, test) = shuffled_parts(table.rows(), fraction).map_err(in_file)?;
    let validation = context.validation_samples(train.len())?;
    let mut is_training = vec![false; table.rows()];
    for &row in &train[..train.len() - validation] {
        is_training[row] = true;
    }
    let (encoding, target) = table.fit(&file, |row| is_training[row]).map_err(in_file)?;
    let samples = encoded(&file, &encoding, &target).map_err(in_file)?;
    let test = match &options.test_file {
        Some(path) => {
            let samples = read(path).and_then(|file| encoded(&file, &encoding, &target));
            samples.map_err(|reason| refused("test_file", path, reason))?
        }
        None => samples.select(&test),
    };
    let spec = spec(context.name, encoding, target);
    Ok(Dataset::in_memory(context, spec, samples.select(&train), test)?)
}

/// The character between the cells of a table, and the names of its columns.
///
/// # Errors
/// If the file can't be read, or has no column `needed`.
pub(crate) fn columns(
    path: &Path,
    needed: Option<&str>,
) -> Result<(char, Vec<String>), UsageError> {
    let header = |delimiter: u8| {
        rows::open(path).and_then(|file| Ok(Rows::open(file, delimiter)?.header().to_vec()))
    };
    let found = [b';', b'\t', b'|'].into_iter().find_map(|delimiter| {
        let columns = header(delimiter).ok()?;
        // A name may hold one of these, a comma too.
        let of_commas = header(b',').map_or(0, |columns| columns.len());
        (columns.len() > of_commas.max(1)).then_some((delimiter.into(), columns))
    });
    let in_file = |reason| refused("file", path, reason);
    let (delimiter, columns) = match found {
        Some(found) => found,
        None => (',', header(b',').map_err(in_file)?),
    };
    match needed.filter(|name| !columns.iter().any(|column| column == name)) {
        Some(name) => Err(in_file(rows::no_column(&columns, name, "`--target` names"))),
        None => Ok((delimiter, columns)),
    }
}

fn refused(key: &str, path: &Path, reason: String) -> UsageError {
    UsageError::new(format!("The table {} of `data.{key}` can't be used. {reason}", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut file = Vec::new();
    let limited = rows::open(path)?.take(gzip::LARGEST + 1).read_to_end(&mut file);
    limited.map_err(|cause| format!("It can't be read: {}.", reason(&cause)))?;
    if file.len() as u64 > gzip::LARGEST {
        return Err(format!("It has more than {} bytes, so it is not read.", gzip::LARGEST));
    }
    Ok(file)
}

/// All rows of a file that has the target.
fn encoded(file: &[u8], encoding: &Encoding, target: &TargetValues) -> Result<InMemory, String> {
    let mut rows = Rows::open(file, encoding.delimiter as u8)?;
    let positions = encoding.positions(rows.header())?;
    let name = &encoding.target;
    let position = rows.header().iter().position(|column| column == name);
    let position =
        position.ok_or_else(|| rows::no_column(rows.header(), name, "`data.target` names"))?;
    let (mut inputs, mut targets) = (Vec::new(), Vec::new());
    while let Some(row) = rows.next()? {
        encoding.encode(row, &positions, &mut inputs)?;
        targets.push(target.encode(row, position, name)?);
    }
    let count = targets.len();
    if count == 0 {
        return Err("It has no rows below the first line, which names the columns.".to_owned());
    }
    let inputs = Array::new(&[count, encoding.width()], inputs)?;
    let targets = match target {
        TargetValues::Classes(_) => {
            let classes: Vec<i64> = targets.into_iter().map(|class| class as i64).collect();
            Array::new(&[count], classes)?
        }
        TargetValues::Number { .. } => {
            let values: Vec<f32> = targets.into_iter().map(|value| value as f32).collect();
            Array::new(&[count, 1], Values::Floats(values))?
        }
    };
    InMemory::new(inputs, targets).map_err(|usage| usage.to_string())
}

fn spec(name: &str, encoding: Encoding, target: TargetValues) -> DataSpec {
    let inputs = Inputs::raw(&[encoding.width()], &["feature"], "float32");
    let spec = |task, outputs| DataSpec::new(name, task, inputs, outputs);
    let spec = match target {
        TargetValues::Classes(classes) => {
            spec(Task::Classification, classes.len()).with_class_names(classes)
        }
        TargetValues::Number { mean, std } => DataSpec {
            target: Some(Scale { mean: vec![mean], std: vec![std] }),
            ..spec(Task::Regression, 1)
        },
    };
    DataSpec { table: Some(encoding), ..spec }
}

#[cfg(test)]
mod tests;
