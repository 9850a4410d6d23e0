//! Rows of plain numbers: a sample per row.

use std::io::Read;

use super::chunks::{Chunks, Take};
use super::preparation::Preparation;
use crate::data::table::records::Records;
use crate::usage::UsageError;

/// Reads rows with one number for each value of a sample, in the order of its shape. A first row without any
/// numbers is a header.
///
/// # Errors
/// If a row has more or fewer values, or one that isn't a finite number; with its line and column.
pub(super) fn read<'a>(
    source: impl Read,
    name: &'a str,
    delimiter: u8,
    preparation: &'a Preparation,
    most: usize,
    take: &'a mut Take<'a>,
) -> anyhow::Result<()> {
    let needed = preparation.values();
    let mut records = Records::new(source, delimiter);
    let mut chunks = Chunks::new(name, preparation, most, take);
    let mut is_first = true;
    loop {
        let record = records
            .next()
            .map_err(|error| UsageError::new(format!("{name} can't be read: {error}.")))?;
        let Some((line, row)) = record else { return chunks.finish() };
        if std::mem::take(&mut is_first) && row.iter().all(|cell| parsed(cell).is_none()) {
            continue;
        }
        if row.len() != needed {
            return Err(UsageError::new(format!(
                "{name} can't be used. Line {line} has {} values, and a sample of this model has {needed}, of shape {}. Remove \
                 other columns, for example the target.",
                row.len(),
                preparation.describe()
            ))
            .into());
        }
        chunks.add(|values| {
            for (column, cell) in (1..).zip(&*row) {
                values.push(parsed(cell).ok_or_else(|| {
                    let shown: String = String::from_utf8_lossy(cell).chars().take(40).collect();
                    UsageError::new(format!(
                        "{name} can't be used. Line {line}, column {column}: {shown:?} is not a finite number. Every value must \
                         be one."
                    ))
                })?);
            }
            Ok(())
        })?;
    }
}

/// A cell's value, if it is a finite number.
fn parsed(cell: &[u8]) -> Option<f32> {
    let text = std::str::from_utf8(cell).ok()?;
    text.trim_ascii().parse().ok().filter(|value: &f32| value.is_finite())
}

#[cfg(test)]
mod tests;
