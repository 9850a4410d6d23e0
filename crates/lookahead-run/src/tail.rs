//! Following an event log as another process writes it.
//!
//! [`log::read`](crate::log::read) reads a log once; a [`LogTail`] continues with each call.
//!
//! | it finds | it returns |
//! |---|---|
//! | no file | nothing: the run is about to begin, or the file comes back |
//! | another file of that name, a shorter one, or one with another beginning, as when a run is resumed from an earlier step | [`LogItem::Restarted`], and then all of it |
//! | a `resumed` event that abandons earlier ones, in a log of an earlier version | [`LogItem::Restarted`], and then all of it without those |
//! | a last line without its line feed | nothing until the line is whole |
//! | a whole line that is not an event, or that has more than [`LARGEST_LINE`](crate::log::LARGEST_LINE) bytes | [`LogItem::Damaged`], and then the rest |
//! | a folder or a pipe | an error |
//!
//! A part of a line is not kept between calls but read again: a run that is resumed cuts a torn last line
//! off and writes another in its place.
//!
//! ```
//! use lookahead_run::event::{Event, Record};
//! use lookahead_run::{EventLog, LogItem, LogTail};
//!
//! # fn main() -> lookahead_run::Result<()> {
//! # let temp = tempfile::tempdir().unwrap();
//! # let path = temp.path().join("events.jsonl");
//! let mut tail = LogTail::new(&path);
//! assert_eq!(tail.read(1000)?, []);
//! EventLog::open(&path)?.append(&Record::now(7, Event::Paused))?;
//! assert!(matches!(&tail.read(1000)?[..], [LogItem::Record(record)] if record.step == 7));
//! # Ok(())
//! # }
//! ```

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::disk::{self, At};
use crate::error::Result;
use crate::event::{Event, Record};
use crate::lines::{BEGINNING, Lines};
use crate::timeline::Rewinds;

/// Most bytes of one line that are skipped in one call, so that a call ends.
const SKIPPED_AT_ONCE: u64 = 64 << 20;

/// Reads an event log as it grows.
#[derive(Debug)]
pub struct LogTail {
    path: PathBuf,
    /// Bytes of the file from here on are not read.
    limit: u64,
    source: Option<Source>,
}

/// An item of a log.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly all are records")]
pub enum LogItem {
    /// One event.
    Record(Record),
    /// Earlier items no longer count, and the log is read from its beginning: it is another log, or a part
    /// of it was abandoned.
    Restarted,
    /// A whole line that is not an event; it was skipped.
    Damaged {
        /// Number of the line, from 1.
        line: u64,
        /// The reason, as a clause.
        cause: String,
    },
}

/// The file of the last call. While it is open, no other file gets its inode.
#[derive(Debug)]
struct Source {
    lines: Lines,
    device: u64,
    inode: u64,
    /// Its length and time of change in the last call; while both are the same, the buffer is valid.
    seen: (u64, i64, i64),
    /// The first bytes of what was returned, at most [`BEGINNING`]. A log begins with the time of its
    /// first event.
    beginning: Vec<u8>,
    /// Bytes of the file from here on are not read.
    limit: u64,
    rewinds: Rewinds,
    /// The greatest step of an event that was returned.
    greatest: u64,
}

impl LogTail {
    /// Follows the log at `path` from its first line. The file need not exist yet.
    pub fn new(path: &Path) -> LogTail {
        LogTail { path: path.to_owned(), limit: u64::MAX, source: None }
    }

    /// As [`new`](Self::new), only the lines that end within the first `length` bytes of the log.
    pub fn up_to(path: &Path, length: u64) -> LogTail {
        LogTail { limit: length, ..LogTail::new(path) }
    }

    /// Follows the log at `path` from its present end: it returns what is appended from now on. If a line is being
    /// appended at this moment, its rest may come as [`LogItem::Damaged`]. Lines are counted from here.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn from_end(path: &Path) -> Result<LogTail> {
        let mut tail = LogTail::new(path);
        tail.check_file()?;
        if let Some(source) = &mut tail.source
            && let Some(file) = source.lines.file().at("read", path)?
        {
            let end = source.seen.0;
            source.beginning = vec![0; BEGINNING.min(end as usize)];
            file.read_exact_at(&mut source.beginning, 0).at("read", path)?;
            source.lines = Lines::from(file, end);
        }
        Ok(tail)
    }

    /// What was appended since the last call, at most `limit` items. Fewer than `limit` mean that there is
    /// nothing more for now, with one exception: of a line with far more than
    /// [`LARGEST_LINE`](crate::log::LARGEST_LINE) bytes a call skips 64 MiB, and
    /// [`progress`](Self::progress) shows that there is more.
    ///
    /// [`LogItem::Restarted`] comes only if something was returned before. After an error it can be
    /// called again, and no item is lost or returned twice.
    ///
    /// # Errors
    /// If the system refuses to read the file, or it is not a plain file. A missing file is not an error.
    pub fn read(&mut self, limit: usize) -> Result<Vec<LogItem>> {
        let mut items = Vec::new();
        if limit == 0 {
            return Ok(items);
        }
        if self.check_file()? {
            items.push(LogItem::Restarted);
        }
        let Some(source) = &mut self.source else { return Ok(items) };
        while items.len() < limit {
            match source.next() {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                // Items are not lost, and the next call returns the error.
                Err(_) if !items.is_empty() => break,
                Err(cause) => return Err(cause).at("read", &self.path),
            }
        }
        Ok(items)
    }

    /// Bytes read and bytes in total, as of the last call, for a progress display.
    pub fn progress(&self) -> (u64, u64) {
        let Some(source) = &self.source else { return (0, 0) };
        let read = source.lines.position();
        // It may have grown while it was read.
        (read, source.seen.0.min(self.limit).max(read))
    }

    /// Closes the file until there is something new in it, if everything was read: for a program that
    /// follows more logs than a process may have files open.
    pub fn rest(&mut self) {
        if let Some(source) = &mut self.source {
            source.lines.close();
        }
    }

    /// Checks whether the file is still the same. Returns whether items that were returned no longer count.
    fn check_file(&mut self) -> Result<bool> {
        let found = match fs::metadata(&self.path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
            result => result.at("look at", &self.path)?,
        };
        if let Some(source) = &mut self.source
            && (source.device, source.inode) == (found.dev(), found.ino())
            && source.continues(&found, &self.path).at("read", &self.path)?
        {
            return Ok(false);
        }
        let file = match disk::open_plain(&self.path) {
            // It was removed meanwhile.
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
            result => result.at("read", &self.path)?,
        };
        let found = file.metadata().at("look at", &self.path)?;
        let before = self.source.replace(Source::new(file, &found, self.limit));
        Ok(before.is_some_and(|source| source.lines.start() > 0))
    }
}

impl Source {
    fn new(file: File, found: &Metadata, limit: u64) -> Source {
        Source {
            lines: Lines::up_to(file, limit),
            device: found.dev(),
            inode: found.ino(),
            seen: seen(found),
            beginning: Vec::new(),
            limit,
            rewinds: Rewinds::default(),
            greatest: 0,
        }
    }

    /// Whether what was returned is still in the file. Drops the buffer if it may have changed.
    fn continues(&mut self, found: &Metadata, path: &Path) -> io::Result<bool> {
        if self.seen == seen(found) {
            return Ok(true);
        }
        if self.lines.is_closed() {
            let file = match disk::open_plain(path) {
                // The next call opens it.
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(true),
                result => result?,
            };
            let opened = file.metadata()?;
            if (opened.dev(), opened.ino()) != (self.device, self.inode) {
                return Ok(false);
            }
            self.lines.reopen(file);
        }
        // A file that was cut and has grown again may be longer than it was.
        if found.len() < self.lines.start() || !self.lines.has(0, &self.beginning)? {
            return Ok(false);
        }
        self.lines.read_again(found.len())?;
        self.seen = seen(found);
        Ok(true)
    }

    fn next(&mut self) -> io::Result<Option<LogItem>> {
        loop {
            let Some(line) = self.lines.next(SKIPPED_AT_ONCE)? else { return Ok(None) };
            if self.beginning.len() < BEGINNING {
                // No gaps: each line is kept as far as there is room.
                let room = BEGINNING - self.beginning.len();
                self.beginning.extend_from_slice(&line.bytes[..line.bytes.len().min(room)]);
            }
            let (at, end) = (line.at, line.end);
            let record = match line.parse() {
                Ok(record) => record,
                Err(cause) => return Ok(Some(LogItem::Damaged { line: line.number, cause })),
            };
            if self.rewinds.abandon(at, record.step) {
                continue;
            }
            if matches!(record.event, Event::Resumed(_)) && record.step < self.greatest {
                return self.rewind(end).map(Some);
            }
            self.greatest = self.greatest.max(record.step);
            return Ok(Some(LogItem::Record(record)));
        }
    }

    /// Starts again, without what the events before the byte `end` abandon.
    fn rewind(&mut self, end: u64) -> io::Result<LogItem> {
        let closed = || io::Error::other("it is closed");
        let file = self.lines.file()?.ok_or_else(closed)?;
        let length = self.seen.0.max(end).min(self.limit);
        self.rewinds = Rewinds::find(file.try_clone()?, length)?;
        self.lines = Lines::up_to(file, self.limit);
        self.beginning.clear();
        self.greatest = 0;
        Ok(LogItem::Restarted)
    }
}

fn seen(found: &Metadata) -> (u64, i64, i64) {
    (found.len(), found.mtime(), found.mtime_nsec())
}

#[cfg(test)]
mod tests;
