//! Rows of a table, for a model that was trained on one.

use std::io::Read;

use tch::Device;

use super::chunks::{Chunk, Origin, Take};
use super::preparation::Preparation;
use crate::data::table::encoding::Encoding;
use crate::data::table::reader::TableReader;
use crate::usage::UsageError;

/// Reads rows below a header. Columns are found by name; others, also the target, are ignored.
///
/// # Errors
/// If a column is missing, or a cell can't be used; with its line and column.
pub(super) fn read(
    source: impl Read,
    name: &str,
    encoding: &Encoding,
    preparation: &Preparation,
    most: usize,
    take: &mut Take<'_>,
) -> anyhow::Result<()> {
    let failed = |reason| UsageError::new(format!("{name} can't be used. {reason}"));
    let mut reader = TableReader::new(source, encoding).map_err(failed)?;
    let mut first = 1;
    while let Some(rows) = reader.next_chunk(most).map_err(failed)? {
        let count = rows.rows();
        let inputs = preparation.batch(&rows.slice(0..count, Device::Cpu), count)?;
        take(Chunk { inputs, origin: Origin::File { name, first } })?;
        first += count;
    }
    Ok(())
}
