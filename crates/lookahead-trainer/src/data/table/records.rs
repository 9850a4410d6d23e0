//! The records of a CSV file, with their lines. None of them is a header.

use std::io::{Chain, Read};

use csv::{ByteRecord, Reader, ReaderBuilder, Terminator};

/// The records of a file, one after the other, without blank lines.
#[derive(Debug)]
pub(crate) struct Records<R> {
    reader: Reader<Chain<R, &'static [u8]>>,
    record: ByteRecord,
}

impl<R: Read> Records<R> {
    /// Reads records whose cells are separated by `delimiter`.
    pub(crate) fn new(source: R, delimiter: u8) -> Self {
        let reader = ReaderBuilder::new()
            .delimiter(delimiter)
            // Carriage returns are trimmed from the cells: with them as a terminator, lines would be counted wrongly.
            .terminator(Terminator::Any(b'\n'))
            .has_headers(false)
            .flexible(true)
            // A last line without a line feed gets one, so that each record ends a line.
            .from_reader(source.chain(&b"\n"[..]));
        Records { reader, record: ByteRecord::new() }
    }

    /// The next record, and the line on which it starts, counted from 1. The caller may take the record.
    ///
    /// # Errors
    /// If the source can't be read.
    pub(crate) fn next(&mut self) -> csv::Result<Option<(u64, &mut ByteRecord)>> {
        loop {
            if !self.reader.read_byte_record(&mut self.record)? {
                return Ok(None);
            }
            if self.record.len() > 1 || !self.record[0].trim_ascii().is_empty() {
                break;
            }
        }
        let line_feeds = self.record.as_slice().iter().filter(|&&byte| byte == b'\n').count();
        // The position is on the line after the record.
        let line = self.reader.position().line().saturating_sub(1 + line_feeds as u64);
        Ok(Some((line, &mut self.record)))
    }
}
