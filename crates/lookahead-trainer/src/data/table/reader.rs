//! Rows of a file as inputs of a trained model, some at a time.

use std::io::Read;
use std::path::Path;

use super::encoding::Encoding;
use super::rows::{Rows, open};
use crate::data::array::Array;

/// Reads a table in chunks, with no more than a chunk in memory. Columns are found by name, in any order; others,
/// also the target, are ignored.
#[derive(Debug)]
pub struct TableReader<R> {
    rows: Rows<R>,
    encoding: Encoding,
    positions: Vec<usize>,
}

impl TableReader<Box<dyn Read + Send>> {
    /// Opens the file at `path`, compressed with gzip or not.
    ///
    /// # Errors
    /// A sentence, if it can't be read, or lacks a column.
    pub fn open(path: &Path, encoding: &Encoding) -> Result<Self, String> {
        TableReader::new(open(path)?, encoding)
    }
}

impl<R: Read> TableReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// A sentence, if it lacks a column.
    pub fn new(source: R, encoding: &Encoding) -> Result<Self, String> {
        let delimiter = u8::try_from(encoding.delimiter).map_err(|_| {
            format!("The delimiter {:?} is not an ASCII character.", encoding.delimiter)
        })?;
        let rows = Rows::open(source, delimiter)?;
        let positions = encoding.positions(rows.header())?;
        Ok(TableReader { rows, encoding: encoding.clone(), positions })
    }

    /// The inputs of the next rows, at most `most` of them, of shape (n, inputs); `None` at the end.
    ///
    /// # Errors
    /// A sentence with line and column, if a cell can't be used.
    pub fn next_chunk(&mut self, most: usize) -> Result<Option<Array>, String> {
        let mut inputs = Vec::new();
        let mut count = 0;
        while count < most
            && let Some(row) = self.rows.next()?
        {
            self.encoding.encode(row, &self.positions, &mut inputs)?;
            count += 1;
        }
        if count == 0 {
            return Ok(None);
        }
        Array::new(&[count, self.encoding.width()], inputs).map(Some)
    }
}

#[cfg(test)]
mod tests;
