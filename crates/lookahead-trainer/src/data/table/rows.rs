//! The rows of a CSV file: a header that names the columns, and cells of text.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use lookahead_run::words::reason;

use super::records::Records;
use crate::file_kind;
use crate::nearest::meant;

/// Cells that count as missing.
pub const MISSING: [&str; 9] = ["", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null", "?"];

/// Opens a table, compressed with gzip or not.
///
/// # Errors
/// A sentence, if the file can't be read, or isn't text in UTF-8 by its first bytes.
pub fn open(path: &Path) -> Result<Box<dyn Read + Send>, String> {
    let cause = |cause: std::io::Error| format!("It can't be read: {}.", reason(&cause));
    let file = lookahead_run::open_plain(path).map_err(cause)?;
    let mut reader = BufReader::new(file);
    let start = reader.fill_buf().map_err(cause)?;
    if let Some(sentence) = file_kind::stand_in(start) {
        return Err(sentence.to_owned());
    }
    match *start {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            Err("It is UTF-16. Convert it with `iconv -f UTF-16 -t UTF-8`.".to_owned())
        }
        [b'P', b'K', 3, 4, ..] => Err(
            "It is a zip archive or a spreadsheet. Unpack it, or save the sheet as CSV in UTF-8."
                .to_owned(),
        ),
        [0x1f, 0x8b, ..] => Ok(Box::new(MultiGzDecoder::new(reader))),
        _ => Ok(Box::new(reader)),
    }
}

/// The rows of a file, one after the other.
#[derive(Debug)]
pub struct Rows<R> {
    records: Records<R>,
    header: Vec<String>,
    row: csv::StringRecord,
}

/// A row, with its line in the file.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// The line on which it starts, counted from 1.
    pub line: u64,
    cells: &'a csv::StringRecord,
}

impl<'a> Row<'a> {
    /// A cell without the spaces around it.
    pub fn cell(&self, column: usize) -> &'a str {
        self.cells.get(column).unwrap_or_default().trim()
    }
}

/// Whether a cell counts as missing.
pub fn is_missing(cell: &str) -> bool {
    MISSING.contains(&cell)
}

impl<R: Read> Rows<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// A sentence, if the first line doesn't name the columns.
    pub fn open(source: R, delimiter: u8) -> Result<Self, String> {
        let (records, row) = (Records::new(source, delimiter), csv::StringRecord::new());
        let mut rows = Rows { records, header: Vec::new(), row };
        let header: Vec<String> = match rows.read()? {
            Some(row) => row.cells.iter().map(|name| name.trim().to_owned()).collect(),
            None => return Err("It is empty. The first line must name the columns.".to_owned()),
        };
        check_header(&header, delimiter)?;
        rows.header = header;
        Ok(rows)
    }

    /// The names of the columns.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// The next row.
    ///
    /// # Errors
    /// A sentence with the line, if the row has more or fewer cells than there are columns, or can't be read.
    #[allow(clippy::should_implement_trait)] // a row borrows from this
    pub fn next(&mut self) -> Result<Option<Row<'_>>, String> {
        let columns = self.header.len();
        match self.read()? {
            Some(row) if row.cells.len() != columns => Err(format!(
                "Line {} has {} cells, and the first line names {columns} columns.",
                row.line,
                row.cells.len()
            )),
            row => Ok(row),
        }
    }

    fn read(&mut self) -> Result<Option<Row<'_>>, String> {
        let unreadable = |error: csv::Error| match error.into_kind() {
            csv::ErrorKind::Io(error) => format!("It can't be read: {}.", reason(&error)),
            _ => "It can't be read.".to_owned(),
        };
        let Some((line, record)) = self.records.next().map_err(unreadable)? else {
            return Ok(None);
        };
        let bytes = std::mem::take(record);
        self.row = csv::StringRecord::from_byte_record(bytes).map_err(|error| {
            let column = error.utf8_error().field() + 1;
            format!(
                "Line {line}, column {column}: the text isn't UTF-8. Convert the file, for example with `iconv -f \
                 WINDOWS-1252 -t UTF-8`."
            )
        })?;
        Ok(Some(Row { line, cells: &self.row }))
    }
}

fn check_header(header: &[String], delimiter: u8) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for (name, number) in header.iter().zip(1..) {
        if name.is_empty() {
            return Err(format!(
                "Column {number} has no name in the first line, which must name the columns."
            ));
        }
        if name.contains('\r') {
            return Err(
                "Its lines end in a carriage return alone. Convert it with `tr '\\r' '\\n'`."
                    .to_owned(),
            );
        }
        if !seen.insert(name) {
            return Err(format!(
                "Two columns are named `{name}` in the first line. Rename one of them."
            ));
        }
    }
    if let [only] = header
        && let Some(other) = [b',', b';', b'\t', b'|']
            .into_iter()
            .find(|&other| other != delimiter && only.contains(char::from(other)))
    {
        return Err(format!(
            "Its first line has no {:?} between columns, but {:?}. Use `data.delimiter = {:?}`.",
            char::from(delimiter),
            char::from(other),
            char::from(other)
        ));
    }
    Ok(())
}

/// A cell in a sentence, shortened.
pub fn shown(cell: &str) -> String {
    const LONGEST: usize = 40;
    match cell.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", &cell[..end]),
        None => format!("{cell:?}"),
    }
}

/// Names in a sentence.
pub fn listed<S: AsRef<str>>(names: &[S]) -> String {
    const MOST: usize = 20;
    let quoted = names.iter().take(MOST).map(|name| format!("`{}`", name.as_ref()));
    let quoted = quoted.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST) {
        0 => quoted,
        more => format!("{quoted} and {more} more"),
    }
}

/// A sentence about a column that a table lacks, with the nearest name that it has.
pub fn no_column(header: &[String], name: &str, needed: &str) -> String {
    let meant = meant(header.iter().map(String::as_str), name)
        .map(|name| format!(" Did you mean `{name}`?"));
    format!(
        "It has no column `{name}`, which {needed}.{} Its columns are {}.",
        meant.unwrap_or_default(),
        listed(header)
    )
}

#[cfg(test)]
mod tests;
