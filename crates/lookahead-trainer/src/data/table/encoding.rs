//! How the rows of a table become numbers: all that a prediction needs besides the model.

use serde::{Deserialize, Serialize};

use super::rows::{Row, is_missing, no_column, shown};

/// How rows become the inputs of a model. Checkpoints keep it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Encoding {
    /// The columns that are inputs, in the order of the training file.
    pub inputs: Vec<Column>,
    /// The column to predict.
    pub target: String,
    /// What a missing cell becomes.
    pub missing: Missing,
    /// The character between cells.
    pub delimiter: char,
}

/// A column that is an input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name in the header.
    pub name: String,
    /// What its cells become.
    #[serde(flatten)]
    pub values: ColumnValues,
}

/// What the cells of a column become.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnValues {
    /// (cell − mean) / std.
    Number {
        /// The mean of the training rows.
        mean: f64,
        /// The standard deviation of the training rows.
        std: f64,
    },
    /// One number for each category: 1 for the cell's own, 0 for the others.
    Categories(Vec<String>),
}

impl ColumnValues {
    /// The number of inputs that a cell becomes.
    pub fn width(&self) -> usize {
        match self {
            ColumnValues::Number { .. } => 1,
            ColumnValues::Categories(categories) => categories.len(),
        }
    }
}

/// What a missing cell of an input becomes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// An error with line and column.
    #[default]
    Error,
    /// The column's mean over the training rows; in a column of text, no category.
    Mean,
    /// The number 0, before standardization; in a column of text, no category.
    Zero,
}

impl Encoding {
    /// Inputs of a row.
    pub fn width(&self) -> usize {
        self.inputs.iter().map(|column| column.values.width()).sum()
    }

    /// Finds the input columns in a header, by name and in any order.
    ///
    /// # Errors
    /// A sentence about the first column that is not there.
    pub fn positions(&self, header: &[String]) -> Result<Vec<usize>, String> {
        let position = |column: &Column| {
            let found = header.iter().position(|name| *name == column.name);
            found.ok_or_else(|| no_column(header, &column.name, "is an input of the model"))
        };
        self.inputs.iter().map(position).collect()
    }

    /// Appends the inputs of a row, whose columns are at `positions`. A text that the training rows don't have
    /// becomes no category.
    ///
    /// # Errors
    /// A sentence with line and column about a cell that can't be used.
    pub fn encode(
        &self,
        row: Row<'_>,
        positions: &[usize],
        inputs: &mut Vec<f32>,
    ) -> Result<(), String> {
        for (column, &position) in self.inputs.iter().zip(positions) {
            let cell = row.cell(position);
            let is_missing = is_missing(cell);
            if is_missing && self.missing == Missing::Error {
                return Err(missing_cell(row.line, &column.name, cell, true));
            }
            match &column.values {
                ColumnValues::Number { mean, std } => {
                    let cell = match self.missing {
                        Missing::Mean if is_missing => {
                            inputs.push(0.0);
                            continue;
                        }
                        _ if is_missing => "0",
                        _ => cell,
                    };
                    inputs.push(standardized(cell, row.line, &column.name, (*mean, *std))?);
                }
                ColumnValues::Categories(categories) => {
                    let own = |category: &String| category == cell && !is_missing;
                    inputs.extend(categories.iter().map(|name| f32::from(u8::from(own(name)))));
                }
            }
        }
        Ok(())
    }
}

/// A cell as a finite number.
///
/// # Errors
/// A sentence with line and column, if it isn't one.
pub fn finite(cell: &str, line: u64, column: &str) -> Result<f64, String> {
    let number = cell.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| {
        format!("Line {line}, column `{column}`: {} isn't a finite number.", shown(cell))
    })
}

/// (cell − mean) / std.
///
/// # Errors
/// A sentence with line and column, if the cell isn't a finite number, or the result is too large for `f32`.
pub fn standardized(
    cell: &str,
    line: u64,
    column: &str,
    (mean, std): (f64, f64),
) -> Result<f32, String> {
    let value = ((finite(cell, line, column)? - mean) / std) as f32;
    if value.is_finite() {
        return Ok(value);
    }
    Err(format!(
        "Line {line}, column `{column}`: {} is too far from the mean of the training rows, {mean:e}. Correct it, or \
         remove the row.",
        shown(cell)
    ))
}

/// A sentence about a missing cell.
pub fn missing_cell(line: u64, column: &str, cell: &str, is_input: bool) -> String {
    let found = match cell {
        "" => "the cell is empty".to_owned(),
        _ => format!("{cell:?} counts as missing"),
    };
    let remedy = if is_input {
        "Fill it in, remove the row, or use `data.missing = \"mean\"` or `\"zero\"`."
    } else {
        "The target can't be missing: fill it in, or remove the row."
    };
    format!("Line {line}, column `{column}`: {found}. {remedy}")
}

#[cfg(test)]
mod tests;
