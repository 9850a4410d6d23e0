//! Rows of plain numbers: a sample per row.

use std::io::Read;

use csv::{ByteRecord, ReaderBuilder, Terminator};

use super::chunks::{Chunks, Take};
use super::preparation::Preparation;
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
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        // Carriage returns are trimmed with spaces: as terminators, lines would be counted wrongly.
        .terminator(Terminator::Any(b'\n'))
        // A last line without a line feed gets one, so that each row ends a line.
        .from_reader(source.chain(&b"\n"[..]));
    let mut chunks = Chunks::new(name, preparation, most, take);
    let mut row = ByteRecord::new();
    let mut is_first = true;
    loop {
        let more = reader
            .read_byte_record(&mut row)
            .map_err(|error| UsageError::new(format!("{name} can't be read: {error}.")))?;
        if !more {
            return chunks.finish();
        }
        if row.len() == 1 && row[0].trim_ascii().is_empty() {
            continue;
        }
        if std::mem::take(&mut is_first) && row.iter().all(|cell| parsed(cell).is_none()) {
            continue;
        }
        let inside = row.as_slice().iter().filter(|&&byte| byte == b'\n').count() as u64;
        // The position is on the line after the row.
        let line = reader.position().line().saturating_sub(1 + inside);
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
            for (column, cell) in (1..).zip(&row) {
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
