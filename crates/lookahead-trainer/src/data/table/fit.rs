//! What a table's columns hold, and the [`Encoding`] that follows from its training rows.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::encoding::{
    Column, ColumnValues, Encoding, Missing, finite, missing_cell, standardized,
};
use super::rows::{Row, Rows, is_missing, listed, no_column, shown};

/// The most categories of a column, each of which becomes an input, and the most classes.
pub const MOST_CATEGORIES: usize = 1000;

/// A target of whole numbers is taken as classes up to this many different ones.
pub const MOST_NUMBERED_CLASSES: usize = 20;

/// What is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableTask {
    /// A class.
    Classification,
    /// A number.
    Regression,
}

/// How a file is read.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The character between cells.
    pub delimiter: u8,
    /// The column to predict.
    pub target: String,
    /// Columns to leave out.
    pub ignore: Vec<String>,
    /// Columns whose numbers are the names of categories.
    pub categorical: Vec<String>,
    /// What a missing cell becomes.
    pub missing: Missing,
    /// What is predicted; by default what the target's values suggest.
    pub task: Option<TableTask>,
}

/// What the cells of the target become.
#[derive(Debug, Clone, PartialEq)]
pub enum TargetValues {
    /// The position of a class.
    Classes(Vec<String>),
    /// (cell − mean) / std.
    Number {
        /// The mean of the training rows.
        mean: f64,
        /// The standard deviation of the training rows.
        std: f64,
    },
}

impl TargetValues {
    /// The number of a row's target, which is in the column of this position and name: the position of its class, or
    /// the standardized value.
    ///
    /// # Errors
    /// A sentence with line and column, if the training rows don't have the class, or it isn't a number.
    pub fn encode(&self, row: Row<'_>, position: usize, name: &str) -> Result<f64, String> {
        let (cell, line) = (row.cell(position), row.line);
        if is_missing(cell) {
            return Err(missing_cell(line, name, cell, false));
        }
        let classes = match self {
            TargetValues::Classes(classes) => classes,
            TargetValues::Number { mean, std } => {
                return standardized(cell, line, name, (*mean, *std)).map(f64::from);
            }
        };
        let number = cell.parse::<f64>();
        // 1.0 is the class 1.
        let same = |class: &String| number.is_ok() && class.parse::<f64>() == number;
        let equal = classes.iter().position(|class| class == cell);
        let class = equal.or_else(|| classes.iter().position(same));
        class.map(|class| class as f64).ok_or_else(|| {
            format!(
                "Line {line}, column `{name}`: no training row has the class {}. Their classes are {}. Add rows of \
                 this class to the training part, or remove the row.",
                shown(cell),
                listed(classes)
            )
        })
    }
}

/// The columns of a file, after a first look at all rows.
#[derive(Debug)]
pub struct Table {
    layout: Layout,
    header: Vec<String>,
    /// Whether a column holds numbers, for each column.
    numeric: Vec<bool>,
    rows: usize,
}

/// What is counted in a column.
#[derive(Debug, Default)]
struct Count {
    numbers: usize,
    texts: usize,
    /// Texts that a comma instead of a point keeps from being numbers.
    commas: usize,
    /// The first text, and its line.
    first_text: Option<(u64, String)>,
}

impl Count {
    fn add(&mut self, cell: &str, line: u64) {
        if cell.parse::<f64>().is_ok() {
            self.numbers += 1;
            return;
        }
        self.texts += 1;
        self.commas += usize::from(cell.replacen(',', ".", 1).parse::<f64>().is_ok());
        self.first_text.get_or_insert_with(|| (line, shown(cell)));
    }

    /// Whether the column holds numbers.
    fn numeric(&self, name: &str, is_target: bool) -> Result<bool, String> {
        let Some((line, text)) = &self.first_text else {
            return match self.numbers {
                0 if is_target => Err(format!("Column `{name}`, the target, has no values.")),
                0 => Err(format!("Column `{name}` has no values. {}", leave_out(name))),
                _ => Ok(true),
            };
        };
        if self.commas == self.texts {
            return Err(format!(
                "Line {line}, column `{name}`: {text} has a comma instead of a decimal point. Replace the commas in \
                 numbers, or use `data.categorical = [\"{name}\"]`."
            ));
        }
        // A single text among numbers is a mistake more often than a category.
        if self.numbers > self.texts {
            return Err(format!(
                "Line {line}, column `{name}`: {text} isn't a number, and {} of the column's cells are. Correct it, \
                 or use `data.categorical = [\"{name}\"]`.",
                self.numbers
            ));
        }
        Ok(false)
    }
}

fn leave_out(name: &str) -> String {
    format!("Leave it out with `data.ignore = [\"{name}\"]`.")
}

impl Table {
    /// Reads all rows once, to find the columns of numbers and to count the rows.
    ///
    /// # Errors
    /// A sentence, if the file isn't a table, lacks a column of the layout, or has a text among numbers.
    pub fn scan(file: &[u8], layout: Layout) -> Result<Self, String> {
        let mut rows = Rows::open(file, layout.delimiter)?;
        let header = rows.header().to_vec();
        for (key, names) in [
            ("target", std::slice::from_ref(&layout.target)),
            ("ignore", &layout.ignore),
            ("categorical", &layout.categorical),
        ] {
            if let Some(name) = names.iter().find(|name| !header.contains(name)) {
                return Err(no_column(&header, name, &format!("`data.{key}` names")));
            }
        }
        if layout.ignore.contains(&layout.target) {
            return Err(format!(
                "Column `{}` is the target, and `data.ignore` names it too. Remove it there.",
                layout.target
            ));
        }
        let mut counts: Vec<Count> = header.iter().map(|_| Count::default()).collect();
        let mut count = 0;
        while let Some(row) = rows.next()? {
            count += 1;
            for (column, counted) in counts.iter_mut().enumerate() {
                let cell = row.cell(column);
                if !is_missing(cell) {
                    counted.add(cell, row.line);
                }
            }
        }
        if count == 0 {
            return Err("It has no rows below the first line, which names the columns.".to_owned());
        }
        let mut numeric = Vec::new();
        for (name, counted) in header.iter().zip(&counts) {
            let is_text = layout.ignore.contains(name) || layout.categorical.contains(name);
            numeric.push(!is_text && counted.numeric(name, *name == layout.target)?);
        }
        Ok(Table { layout, header, numeric, rows: count })
    }

    /// Rows below the header.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Computes the encoding from the rows for which `is_training` holds, counted from 0.
    ///
    /// # Errors
    /// A sentence, if a column can't be an input or the target.
    pub fn fit(
        &self,
        file: &[u8],
        is_training: impl Fn(usize) -> bool,
    ) -> Result<(Encoding, TargetValues), String> {
        let Layout { delimiter, target, ignore, missing, .. } = &self.layout;
        let mut columns: Vec<Statistics> =
            self.header.iter().map(|_| Statistics::default()).collect();
        let mut rows = Rows::open(file, *delimiter)?;
        let mut number = 0;
        while let Some(row) = rows.next()? {
            number += 1;
            if !is_training(number - 1) {
                continue;
            }
            for (column, name) in self.header.iter().enumerate() {
                let cell = row.cell(column);
                if ignore.contains(name) {
                    continue;
                }
                if !is_missing(cell) {
                    columns[column].add(cell, row.line, name, self.numeric[column])?;
                } else if name == target || *missing == Missing::Error {
                    return Err(missing_cell(row.line, name, cell, name != target));
                }
            }
        }
        let mut inputs = Vec::new();
        let mut values = None;
        for ((name, statistics), &numeric) in self.header.iter().zip(columns).zip(&self.numeric) {
            if name == target {
                values = Some(statistics.target(name, numeric, self.layout.task)?);
            } else if !ignore.contains(name) {
                inputs
                    .push(Column { name: name.clone(), values: statistics.input(name, numeric)? });
            }
        }
        let (Some(values), false) = (values, inputs.is_empty()) else {
            return Err(format!(
                "It has no column besides the target `{target}`, so there are no inputs."
            ));
        };
        let (target, missing) = (target.clone(), *missing);
        let encoding = Encoding { inputs, target, missing, delimiter: char::from(*delimiter) };
        Ok((encoding, values))
    }
}

/// What the training rows have in a column.
#[derive(Debug, Default)]
struct Statistics {
    /// The different cells, up to one more than a column may have.
    texts: BTreeSet<String>,
    count: f64,
    mean: f64,
    /// The sum of the squared differences from the mean.
    squares: f64,
}

impl Statistics {
    fn add(&mut self, cell: &str, line: u64, name: &str, numeric: bool) -> Result<(), String> {
        if self.texts.len() <= MOST_CATEGORIES && !self.texts.contains(cell) {
            self.texts.insert(cell.to_owned());
        }
        if numeric {
            // Mean and variance in one pass (Welford, 1962).
            let value = finite(cell, line, name)?;
            self.count += 1.0;
            let before = value - self.mean;
            self.mean += before / self.count;
            self.squares += before * (value - self.mean);
        }
        Ok(())
    }

    fn std(&self) -> f64 {
        (self.squares / self.count).sqrt()
    }

    fn check_range(&self, name: &str) -> Result<(), String> {
        if self.std().is_finite() && self.mean.is_finite() {
            return Ok(());
        }
        Err(format!(
            "Column `{name}` has numbers too large for a standard deviation. Divide the column by a constant."
        ))
    }

    fn input(self, name: &str, numeric: bool) -> Result<ColumnValues, String> {
        let constant = if numeric { self.squares == 0.0 } else { self.texts.len() < 2 };
        if constant {
            let value = self.texts.first().map_or("no value".to_owned(), |cell| shown(cell));
            return Err(format!(
                "Column `{name}` is constant: it has {value} in all training rows. {}",
                leave_out(name)
            ));
        }
        if numeric {
            self.check_range(name)?;
            return Ok(ColumnValues::Number { mean: self.mean, std: self.std() });
        }
        if self.texts.len() > MOST_CATEGORIES {
            return Err(format!(
                "Column `{name}` has more than {MOST_CATEGORIES} different texts, each of which would become an \
                 input. {}",
                leave_out(name)
            ));
        }
        Ok(ColumnValues::Categories(self.texts.into_iter().collect()))
    }

    fn target(
        self,
        name: &str,
        numeric: bool,
        task: Option<TableTask>,
    ) -> Result<TargetValues, String> {
        // By their numbers, so that 1 and 1.0 are one class.
        let mut classes = BTreeMap::new();
        for text in &self.texts {
            let number = if numeric { text.parse().unwrap_or_default() } else { 0.0 };
            // 0 and −0 are equal.
            let key = if numeric { ((number + 0.0_f64).to_bits(), "") } else { (0, text.as_str()) };
            classes.entry(key).or_insert((number, text.clone()));
        }
        let mut classes: Vec<(f64, String)> = classes.into_values().collect();
        classes.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        if let [(_, only)] = &classes[..] {
            return Err(format!(
                "Column `{name}`, the target, has {} in all training rows, so there is nothing to learn. At least \
                 two different values are needed.",
                shown(only)
            ));
        }
        let few = classes.len() <= MOST_NUMBERED_CLASSES
            && classes.iter().all(|(number, _)| number.fract() == 0.0);
        let guessed = match (numeric, few) {
            (true, false) => TableTask::Regression,
            _ => TableTask::Classification,
        };
        match task.unwrap_or(guessed) {
            TableTask::Regression if !numeric => Err(format!(
                "`data.task` is regression, and column `{name}`, the target, holds texts, for example {}. Use \
                 classification, or name a column of numbers.",
                classes.first().map_or_else(String::new, |(_, text)| shown(text))
            )),
            TableTask::Regression => {
                self.check_range(name)?;
                Ok(TargetValues::Number { mean: self.mean, std: self.std() })
            }
            TableTask::Classification if classes.len() > MOST_CATEGORIES => Err(format!(
                "Column `{name}`, the target, has more than {MOST_CATEGORIES} different values, and at most \
                 {MOST_CATEGORIES} classes are allowed. Use `data.task = \"regression\"` for numbers, or another \
                 target."
            )),
            TableTask::Classification => {
                Ok(TargetValues::Classes(classes.into_iter().map(|(_, text)| text).collect()))
            }
        }
    }
}

#[cfg(test)]
mod tests;
